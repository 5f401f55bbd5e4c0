//! The error queue of a socket (`recvmsg` with MSG_ERRQUEUE): which destination failed, and why.

use crate::address::{RAW_ADDRESS_BYTES, RawAddress};
use crate::ancillary;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedError {
    /// Where the datagram that failed had been sent.
    pub destination: SocketAddr,
    /// The `errno`.
    pub errno: i32,
    /// Reported by the network (ICMP) and not by this host.
    pub from_network: bool,
}

/// Takes the next entry; `None` when the queue is empty. Entries that say nothing are skipped.
pub fn next(socket: BorrowedFd<'_>) -> Option<QueuedError> {
    // WHY: bounded, so that a flood of reports that say nothing cannot hold a shard.
    for _ in 0..SKIPPED_MAX {
        match read(socket) {
            Ok(Some(error)) => return Some(error),
            Ok(None) => {}
            Err(_) => return None,
        }
    }
    None
}

fn read(socket: BorrowedFd<'_>) -> io::Result<Option<QueuedError>> {
    let mut name = [0u8; RAW_ADDRESS_BYTES];
    let mut control = Control([0; 256]);
    // SAFETY: msghdr is plain data for which zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = name.as_mut_ptr().cast();
    message.msg_namelen = RAW_ADDRESS_BYTES as libc::socklen_t;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // WHY: no room for the payload: it is our own message, and nobody wants it back.
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: `message` points to `name` and `control`, with their lengths, both alive.
    let result = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let name = name.get(..message.msg_namelen as usize).unwrap_or_default();
    let control = control.0.get(..message.msg_controllen).unwrap_or_default();
    let (Some(destination), Some(error)) = (RawAddress::decode(name), ancillary::extended_error(control)) else {
        return Ok(None);
    };
    Ok(Some(QueuedError { destination, errno: error.errno, from_network: error.origin != SO_EE_ORIGIN_LOCAL }))
}

#[repr(align(8))]
struct Control([u8; 256]);

const SKIPPED_MAX: usize = 64;
const SO_EE_ORIGIN_LOCAL: u8 = 1;
