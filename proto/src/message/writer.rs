//! [`Writer`]: octets into a buffer that the caller owns. Never allocates, never panics.

use core::net::{IpAddr, SocketAddr};

/// The buffer was too small, or edits came out of order: what was written must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// Writes to the front of a buffer. What does not fit is not written, and that is remembered:
/// [`Writer::finish`] says so, once, at the end.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut [u8],
    /// INVARIANT: `len <= out.len()`.
    len: usize,
    failed: bool,
}

impl<'o> Writer<'o> {
    /// Over `out`, from its first octet.
    pub fn new(out: &'o mut [u8]) -> Writer<'o> {
        Writer { out, len: 0, failed: false }
    }

    /// Writes `bytes`, whole or not at all.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.len..).and_then(|room| room.get_mut(..bytes.len())) {
            Some(room) if !self.failed => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            _ => self.failed = true,
        }
    }

    /// Writes one octet.
    #[inline]
    pub fn byte(&mut self, octet: u8) {
        self.put(&[octet]);
    }

    /// Writes a number in decimal.
    pub fn decimal(&mut self, number: u64) {
        const DIGITS_MAX: usize = 20;
        let mut digits = [b'0'; DIGITS_MAX];
        let mut rest = number;
        let mut length = 0;
        for digit in digits.iter_mut().rev() {
            // The remainder is below 10.
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            length += 1;
            if rest == 0 {
                break;
            }
        }
        self.put(digits.get(DIGITS_MAX - length..).unwrap_or_default());
    }

    /// Writes the lowest `width` (at most 16) hexadecimal digits of a number, in lower case.
    pub fn hex(&mut self, number: u64, width: usize) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let width = width.min(16);
        let mut text = [b'0'; 16];
        let mut rest = number;
        for digit in text.iter_mut().rev() {
            // The mask keeps the index below 16.
            *digit = DIGITS[(rest & 15) as usize];
            rest >>= 4;
        }
        self.put(text.get(16 - width..).unwrap_or_default());
    }

    /// Writes an address, an IPv6 one in brackets: a host of a URI or of a sent-by.
    pub fn ip(&mut self, address: IpAddr) {
        if address.is_ipv6() {
            self.byte(b'[');
            self.ip_bare(address);
            self.byte(b']');
        } else {
            self.ip_bare(address);
        }
    }

    /// Writes an address without brackets, as `received` has it (RFC 5118 §4.5).
    pub fn ip_bare(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                for (index, part) in address.octets().into_iter().enumerate() {
                    if index > 0 {
                        self.byte(b'.');
                    }
                    self.decimal(u64::from(part));
                }
            }
            IpAddr::V6(address) => {
                use core::fmt::Write as _;
                // Failure is remembered in `self`.
                let _ = write!(self, "{address}");
            }
        }
    }

    /// Writes host and port of an address: `192.0.2.1:5060`, `[2001:db8::1]:5060`.
    pub fn sent_by(&mut self, address: SocketAddr) {
        self.ip(address.ip());
        self.byte(b':');
        self.decimal(u64::from(address.port()));
    }

    /// Octets written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is written so far.
    pub fn written(&self) -> &[u8] {
        self.out.get(..self.len).unwrap_or_default()
    }

    /// Ends the writing; returns the number of octets.
    ///
    /// # Errors
    /// Something did not fit, or an edit was out of order.
    pub fn finish(self) -> Result<usize, Overflow> {
        if self.failed { Err(Overflow) } else { Ok(self.len) }
    }

    /// Remembers that the output is not what was meant.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }
}

impl core::fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.put(text.as_bytes());
        if self.failed { Err(core::fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use std::format;
    use std::string::String;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut room = [0; 128];
        let mut out = Writer::new(&mut room);
        write(&mut out);
        let text = String::from_utf8(out.written().to_vec()).unwrap();
        assert_eq!(out.finish(), Ok(text.len()));
        text
    }

    #[test]
    fn numbers_and_addresses() {
        for number in [0, 9, 10, 4_294_967_296, u64::MAX] {
            assert_eq!(written(|out| out.decimal(number)), format!("{number}"));
        }
        assert_eq!(written(|out| out.hex(0xfe_dcba, 4)), "dcba");
        assert_eq!(written(|out| out.hex(0xa, 16)), "000000000000000a");
        assert_eq!(written(|out| out.hex(0xa, 0)), "");
        assert_eq!(written(|out| out.ip([192, 0, 2, 255].into())), "192.0.2.255");
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(written(|out| out.ip(v6)), "[2001:db8::1]");
        assert_eq!(written(|out| out.ip_bare(v6)), "2001:db8::1");
        assert_eq!(written(|out| out.sent_by((v6, 5060).into())), "[2001:db8::1]:5060");
        let widest: IpAddr = "1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap();
        assert_eq!(written(|out| out.sent_by((widest, 65535).into())), format!("[{widest}]:65535"));
    }

    #[test]
    fn what_does_not_fit_is_remembered() {
        let mut room = [0; 3];
        let mut out = Writer::new(&mut room);
        out.put(b"ab");
        out.put(b"cd");
        out.put(b"e");
        assert_eq!(out.written(), b"ab", "nothing is written after a gap");
        assert_eq!(out.finish(), Err(Overflow));
        let mut out = Writer::new(&mut room);
        out.put(b"abc");
        out.put(b"");
        assert_eq!(out.finish(), Ok(3));
    }
}
