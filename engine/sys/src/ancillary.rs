//! Control messages of `recvmsg` and `sendmsg`, read and written as bytes.
//!
//! Read: the address that a datagram was sent to (IP_PKTINFO, IPV6_PKTINFO), when it arrived
//! (SO_TIMESTAMPNS), the socket's drop count (SO_RXQ_OVFL), and extended errors (IP_RECVERR,
//! IPV6_RECVERR). Written: the source address to use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Room for a source address to send with, in bytes.
pub const SOURCE_BYTES: usize = HEADER + align(size_of::<libc::in6_pktinfo>());
/// Room that a received datagram's control messages take on a socket bound to one address: the time of
/// its arrival, and the drops.
pub const RECEIVE_BYTES: usize = HEADER + align(size_of::<libc::timespec>()) + HEADER + align(4);
/// The same on a wildcard socket: the address that was asked as well.
pub const RECEIVE_WILDCARD_BYTES: usize = RECEIVE_BYTES + SOURCE_BYTES;

const HEADER: usize = size_of::<libc::cmsghdr>();

const fn align(length: usize) -> usize {
    (length + 7) & !7
}

/// What a datagram's control messages said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The address that the datagram was sent to.
    pub local: Option<IpAddr>,
    /// When the kernel received the datagram, in microseconds of the wall clock.
    pub arrived: Option<u64>,
    /// Datagrams that the socket has dropped since it was opened (wraps).
    pub drops: Option<u32>,
}

/// An extended error (`sock_extended_err`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// The `errno`.
    pub errno: i32,
    /// Who raised it: `SO_EE_ORIGIN_LOCAL` (1), `_ICMP` (2), `_ICMP6` (3).
    pub origin: u8,
}

/// Reads the control messages of a received datagram.
pub fn received(control: &[u8]) -> Received {
    let mut found = Received::default();
    for (level, kind, data) in Messages(control) {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // in_pktinfo: interface, local address, destination of the header.
                let ip: Option<[u8; 4]> = data.get(8..12).and_then(|b| b.try_into().ok());
                found.local = ip.map(|ip| IpAddr::V4(Ipv4Addr::from(ip)));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let ip: Option<[u8; 16]> = data.get(..16).and_then(|b| b.try_into().ok());
                found.local = ip.map(|ip| IpAddr::V6(Ipv6Addr::from(ip)));
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => found.arrived = micros(data),
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                found.drops = data.first_chunk().map(|b| u32::from_ne_bytes(*b));
            }
            _ => {}
        }
    }
    found
}

/// Reads a timespec.
fn micros(data: &[u8]) -> Option<u64> {
    let seconds = i64::from_ne_bytes(*data.first_chunk()?);
    let nanoseconds = i64::from_ne_bytes(*data.get(8..)?.first_chunk()?);
    let nanoseconds = u64::try_from(nanoseconds).ok()?;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000)?.checked_add(nanoseconds / 1_000)
}

/// Finds the extended error among the control messages of an error-queue entry.
pub fn extended_error(control: &[u8]) -> Option<ExtendedError> {
    Messages(control).find_map(|(level, kind, data)| match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
            Some(ExtendedError { errno: i32::from_ne_bytes(*data.first_chunk()?), origin: *data.get(4)? })
        }
        _ => None,
    })
}

/// Writes the control message that makes `source` the source address; returns its length.
pub fn write_source(buffer: &mut [u8; SOURCE_BYTES], source: IpAddr) -> usize {
    buffer.fill(0);
    let (level, kind, length) = match source {
        IpAddr::V4(ip) => {
            // in_pktinfo: interface 0, then the address to send from.
            buffer[HEADER + 4..HEADER + 8].copy_from_slice(&ip.octets());
            (libc::IPPROTO_IP, libc::IP_PKTINFO, size_of::<libc::in_pktinfo>())
        }
        IpAddr::V6(ip) => {
            buffer[HEADER..HEADER + 16].copy_from_slice(&ip.octets());
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, size_of::<libc::in6_pktinfo>())
        }
    };
    buffer[0..8].copy_from_slice(&(HEADER + length).to_ne_bytes());
    buffer[8..12].copy_from_slice(&level.to_ne_bytes());
    buffer[12..16].copy_from_slice(&kind.to_ne_bytes());
    HEADER + align(length)
}

/// Walks control messages: level, type, data.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (i32, i32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from_ne_bytes(*self.0.first_chunk()?);
        let level = i32::from_ne_bytes(*self.0.get(8..)?.first_chunk()?);
        let kind = i32::from_ne_bytes(*self.0.get(12..)?.first_chunk()?);
        let data = self.0.get(HEADER..length)?;
        self.0 = self.0.get(align(length)..).unwrap_or_default();
        Some((level, kind, data))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (HEADER + data.len()).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    #[test]
    fn reads_all_that_it_knows_and_skips_the_rest() {
        let mut control = message(libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[0; 16]);
        control.extend(message(libc::IPPROTO_IP, libc::IP_PKTINFO, &[1, 0, 0, 0, 9, 9, 9, 9, 192, 0, 2, 7]));
        control.extend(message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, &77u32.to_ne_bytes()));
        let time = [1_700_000_000i64.to_ne_bytes(), 123_456_789i64.to_ne_bytes()].concat();
        control.extend(message(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &time));
        let found = received(&control);
        assert_eq!(found.arrived, Some(1_700_000_000_123_456));
        assert_eq!(found.local, Some("192.0.2.7".parse().unwrap()));
        assert_eq!(found.drops, Some(77));
    }

    #[test]
    fn never_reads_beyond_the_end() {
        let control = message(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[3; 20]);
        for length in 0..36 {
            assert_eq!(received(&control[..length]).local, None);
        }
        assert!(received(&control).local.is_some());
        assert_eq!(received(&[0; 64]), Received::default());
    }

    #[test]
    fn writes_what_the_kernel_would_read() {
        let mut buffer = [0; SOURCE_BYTES];
        let source: IpAddr = "2001:db8::5".parse().unwrap();
        let length = write_source(&mut buffer, source);
        assert_eq!(received(&buffer[..length]).local, Some(source));
        assert_eq!(write_source(&mut buffer, "192.0.2.1".parse().unwrap()), 32);
        assert_eq!(buffer[20..24], [192, 0, 2, 1]);
    }
}
