//! `sockaddr_in` and `sockaddr_in6` as bytes, without unsafe code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Length of the longer of the two layouts.
pub const RAW_ADDRESS_BYTES: usize = size_of::<libc::sockaddr_in6>();
const V4_BYTES: usize = size_of::<libc::sockaddr_in>();

/// A socket address in the kernel's layout.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct RawAddress {
    bytes: [u8; RAW_ADDRESS_BYTES],
    length: u32,
}

impl RawAddress {
    /// Room for an address, to be written by the kernel.
    pub const EMPTY: RawAddress = RawAddress { bytes: [0; RAW_ADDRESS_BYTES], length: 0 };

    /// The bytes that are in use.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length as usize).unwrap_or(&self.bytes)
    }

    /// All bytes, zero beyond those in use.
    pub fn padded(&self) -> &[u8; RAW_ADDRESS_BYTES] {
        &self.bytes
    }

    /// Reads an address in the kernel's layout; `None` for other families or too few bytes.
    pub fn decode(bytes: &[u8]) -> Option<SocketAddr> {
        let family = u16::from_ne_bytes(*bytes.first_chunk()?);
        let port = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
        match libc::c_int::from(family) {
            libc::AF_INET => {
                let ip: [u8; 4] = *bytes.get(4..)?.first_chunk()?;
                Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(ip), port)))
            }
            libc::AF_INET6 => {
                let flow = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
                let ip: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
                let scope = u32::from_ne_bytes(*bytes.get(24..)?.first_chunk()?);
                let ip = Ipv6Addr::from(ip);
                Some(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope)))
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        let mut raw = RawAddress::EMPTY;
        raw.bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                raw.bytes[0..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                raw.bytes[4..8].copy_from_slice(&v4.ip().octets());
                raw.length = V4_BYTES as u32;
            }
            SocketAddr::V6(v6) => {
                raw.bytes[0..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                raw.bytes[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
                raw.bytes[8..24].copy_from_slice(&v6.ip().octets());
                raw.bytes[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                raw.length = RAW_ADDRESS_BYTES as u32;
            }
        }
        raw
    }
}

/// True for `0.0.0.0` and `::`: datagrams to it may have been sent to any address of the host.
pub fn is_wildcard(ip: IpAddr) -> bool {
    ip.is_unspecified()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn survives_the_round_trip() {
        for text in ["192.0.2.1:5060", "[2001:db8::1]:5061", "[fe80::1%3]:65535", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            let raw = RawAddress::from(address);
            assert_eq!(RawAddress::decode(raw.as_bytes()), Some(address));
            assert_eq!(RawAddress::decode(raw.padded()), Some(address));
        }
    }

    #[test]
    fn refuses_what_is_short_or_foreign() {
        let raw = RawAddress::from("[2001:db8::1]:5061".parse::<SocketAddr>().unwrap());
        for length in 0..RAW_ADDRESS_BYTES {
            assert_eq!(RawAddress::decode(&raw.as_bytes()[..length]), None);
        }
        assert_eq!(RawAddress::decode(&[0; 28]), None);
    }
}
