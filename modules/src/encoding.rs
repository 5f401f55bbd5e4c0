//! Values as bytes, for what travels to another shard or process (notes, calls). Little-endian; a text has its
//! length before it. Off the packet path.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Bytes under construction.
#[derive(Debug)]
pub(crate) struct Encoder<'o>(&'o mut Vec<u8>);

impl<'o> Encoder<'o> {
    pub(crate) const fn new(out: &'o mut Vec<u8>) -> Self {
        Encoder(out)
    }

    pub(crate) fn number<const N: usize>(&mut self, bytes: [u8; N]) -> &mut Self {
        self.put(&bytes)
    }

    pub(crate) fn flag(&mut self, flag: bool) -> &mut Self {
        self.number([u8::from(flag)])
    }

    /// How many of something follow.
    pub(crate) fn count(&mut self, count: usize) -> &mut Self {
        // INVARIANT: what is counted has a number of two bytes (listeners, sets, gateways).
        self.number(u16::try_from(count).unwrap_or(0).to_le_bytes())
    }

    pub(crate) fn text(&mut self, text: &[u8]) -> &mut Self {
        // INVARIANT: texts are parts of messages, which are shorter than 64 KB.
        let length = u16::try_from(text.len()).unwrap_or(0);
        self.number(length.to_le_bytes());
        self.put(text.get(..usize::from(length)).unwrap_or_default())
    }

    /// With scope, so that a link-local address comes back whole.
    pub(crate) fn address(&mut self, address: SocketAddr) -> &mut Self {
        let (octets, scope) = match address {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped().octets(), 0),
            SocketAddr::V6(v6) => (v6.ip().octets(), v6.scope_id()),
        };
        self.flag(address.is_ipv4()).number(octets).number(address.port().to_le_bytes()).number(scope.to_le_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Bytes on their way back. Every reader gives `None` when they do not hold what is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'b>(&'b [u8]);

impl<'b> Decoder<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Decoder(bytes)
    }

    pub(crate) fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.number().map(u8::from_le_bytes)
    }

    pub(crate) fn short(&mut self) -> Option<u16> {
        self.number().map(u16::from_le_bytes)
    }

    pub(crate) fn word(&mut self) -> Option<u32> {
        self.number().map(u32::from_le_bytes)
    }

    pub(crate) fn long(&mut self) -> Option<u64> {
        self.number().map(u64::from_le_bytes)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn text(&mut self) -> Option<&'b [u8]> {
        let length = self.short()?;
        self.take(usize::from(length))
    }

    /// A text whose length is one byte.
    pub(crate) fn short_text(&mut self) -> Option<&'b [u8]> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    pub(crate) fn address(&mut self) -> Option<SocketAddr> {
        let v4 = self.flag()?;
        let ip = Ipv6Addr::from(self.number::<16>()?);
        let (port, scope) = (self.short()?, self.word()?);
        match (v4, ip.to_ipv4_mapped()) {
            (true, Some(v4)) => Some(SocketAddr::new(IpAddr::V4(v4), port)),
            (true, None) => None,
            (false, _) => Some(SocketAddrV6::new(ip, port, 0, scope).into()),
        }
    }

    /// What is left.
    pub(crate) const fn rest(self) -> &'b [u8] {
        self.0
    }

    /// Succeeds when nothing is left.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn what_is_written_comes_back_and_nothing_shorter() {
        let mut bytes = Vec::new();
        let (v4, v6) = ("192.0.2.1:5060".parse().unwrap(), "[2001:db8::1]:5061".parse().unwrap());
        let mut out = Encoder::new(&mut bytes);
        out.number(7u32.to_le_bytes()).flag(true).text(b"sip:a@b").address(v4).address(v6);
        let read = |bytes: &[u8]| {
            let mut from = Decoder::new(bytes);
            let all = (from.word()?, from.flag()?, from.text()?.to_vec(), from.address()?, from.address()?);
            from.end().map(|()| all)
        };
        assert_eq!(read(&bytes), Some((7, true, b"sip:a@b".to_vec(), v4, v6)));
        assert!((0..bytes.len()).all(|length| read(&bytes[..length]).is_none()));
    }
}
