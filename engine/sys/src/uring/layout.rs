//! What multishot `recvmsg` writes into a buffer: four lengths, then the name and control areas (as
//! large as they were asked for), then the payload.

use crate::address::RawAddress;
use crate::ancillary;
use crate::mmsg::Datagram;

/// The four lengths: name, control, payload, flags.
pub(super) const HEADER_BYTES: usize = 16;

/// Sizes of the areas of one socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) name: usize,
    pub(super) control: usize,
}

impl Layout {
    /// Reads a filled buffer; `None` if it contradicts itself.
    pub(super) fn parse(self, buffer: &[u8]) -> Option<Datagram<'_>> {
        let field = |at: usize| -> Option<u32> { Some(u32::from_ne_bytes(*buffer.get(at..)?.first_chunk()?)) };
        let name_length = field(0)? as usize;
        let control_length = field(4)? as usize;
        let payload_length = field(8)? as usize;
        let flags = field(12)?;
        let (name, rest) = buffer.get(HEADER_BYTES..)?.split_at_checked(self.name)?;
        let (control, payload) = rest.split_at_checked(self.control)?;
        let control = control.get(..control_length.min(self.control))?;
        let bytes = payload.get(..payload_length.min(payload.len()))?;
        Some(Datagram {
            bytes,
            peer: name.get(..name_length.min(self.name)).and_then(RawAddress::decode),
            ancillary: ancillary::received(control),
            truncated: flags & libc::MSG_TRUNC as u32 != 0 || bytes.len() < payload_length,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::net::SocketAddr;

    fn buffer(payload: &[u8], claimed: u32, flags: u32) -> Vec<u8> {
        let address: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        let name = RawAddress::from(address);
        let mut buffer = Vec::new();
        for field in [16, 0, claimed, flags] {
            buffer.extend(field.to_ne_bytes());
        }
        buffer.extend(name.as_bytes());
        buffer.extend([0; 24]);
        buffer.extend(payload);
        buffer
    }

    const LAYOUT: Layout = Layout { name: 16, control: 24 };

    #[test]
    fn reads_what_the_kernel_writes() {
        let buffer = buffer(b"OPTIONS", 7, 0);
        let datagram = LAYOUT.parse(&buffer).unwrap();
        assert_eq!(datagram.bytes, b"OPTIONS");
        assert_eq!(datagram.peer, Some("192.0.2.1:5060".parse().unwrap()));
        assert!(!datagram.truncated);
    }

    #[test]
    fn a_payload_that_did_not_fit_is_truncated() {
        assert!(LAYOUT.parse(&buffer(b"OPTI", 7, 0)).unwrap().truncated);
        assert!(LAYOUT.parse(&buffer(b"OPTI", 4, libc::MSG_TRUNC as u32)).unwrap().truncated);
    }

    #[test]
    fn a_short_buffer_is_refused() {
        let buffer = buffer(b"", 0, 0);
        for length in 0..buffer.len() {
            assert!(LAYOUT.parse(&buffer[..length]).is_none(), "{length}");
        }
        assert!(LAYOUT.parse(&buffer).unwrap().bytes.is_empty());
    }
}
