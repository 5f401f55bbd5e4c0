//! `recvmmsg` and `sendmmsg`: many datagrams a system call.
//!
//! Receiving: every entry of the batch scatters into an ordinary buffer and, behind it, one that takes
//! the rest of the largest datagram. Ordinary messages are read in place; the rare large one is joined
//! in a scratch buffer, so that the parser always sees contiguous bytes.

use crate::address::{RAW_ADDRESS_BYTES, RawAddress};
use crate::ancillary::{self, RECEIVE_WILDCARD_BYTES};
use crate::memory::Region;
use crate::send_slots::{SendSlots, SlotId};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Room for one batch of received datagrams.
pub struct ReceiveBatch {
    messages: Box<[libc::mmsghdr]>,
    /// Two for each message. The messages point here; a boxed slice does not move.
    parts: Box<[libc::iovec]>,
    ends: Box<[End]>,
    small: Region,
    rest: Region,
    small_bytes: usize,
    rest_bytes: usize,
    joined: Region,
    filled: usize,
}

/// One datagram of a batch.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// The payload.
    pub bytes: &'a [u8],
    /// Where it came from; `None` if the kernel gave nothing that can be read.
    pub peer: Option<SocketAddr>,
    /// What its control messages said.
    pub ancillary: ancillary::Received,
    /// The payload was larger than the buffers.
    pub truncated: bool,
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct End {
    control: [u8; RECEIVE_WILDCARD_BYTES],
    name: [u8; RAW_ADDRESS_BYTES],
}

impl ReceiveBatch {
    /// For up to `count` datagrams, of which `small_bytes` lie in an ordinary buffer, and which may be
    /// up to `large_bytes` long.
    ///
    /// # Errors
    /// When there is not enough memory.
    pub fn new(count: usize, small_bytes: usize, large_bytes: usize) -> io::Result<Self> {
        let rest_bytes = large_bytes - small_bytes;
        let small = Region::new(count * small_bytes)?;
        let rest = Region::new(count * rest_bytes)?;
        let mut ends =
            vec![End { control: [0; RECEIVE_WILDCARD_BYTES], name: [0; RAW_ADDRESS_BYTES] }; count].into_boxed_slice();
        let mut parts: Box<[libc::iovec]> = (0..2 * count)
            .map(|part| {
                let (region, length) = if part % 2 == 0 { (&small, small_bytes) } else { (&rest, rest_bytes) };
                libc::iovec { iov_base: region.as_ptr().wrapping_add(part / 2 * length).cast(), iov_len: length }
            })
            .collect();
        let messages = ends
            .iter_mut()
            .zip(parts.chunks_exact_mut(2))
            .map(|(end, parts)| {
                // SAFETY: mmsghdr is plain data for which zero is valid.
                let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
                message.msg_hdr.msg_name = end.name.as_mut_ptr().cast();
                message.msg_hdr.msg_control = end.control.as_mut_ptr().cast();
                message.msg_hdr.msg_iov = parts.as_mut_ptr();
                message.msg_hdr.msg_iovlen = 2;
                message
            })
            .collect();
        Ok(ReceiveBatch {
            messages,
            parts,
            ends,
            small,
            rest,
            small_bytes,
            rest_bytes,
            joined: Region::new(large_bytes)?,
            filled: 0,
        })
    }

    /// Receives what is there, without waiting; returns how many datagrams.
    ///
    /// # Errors
    /// EAGAIN when there is none; the pending error of the socket otherwise.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for message in self.messages.iter_mut().take(self.filled) {
            message.msg_hdr.msg_flags = 0;
        }
        for message in &mut self.messages {
            message.msg_hdr.msg_namelen = RAW_ADDRESS_BYTES as libc::socklen_t;
            message.msg_hdr.msg_controllen = RECEIVE_WILDCARD_BYTES;
        }
        self.filled = 0;
        debug_assert_eq!(self.parts.len(), 2 * self.ends.len());
        // SAFETY: every message points to its own name, control and parts, all alive in `self` and
        // borrowed by nobody, because `self` is borrowed mutably. MSG_DONTWAIT: no timeout is needed.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                self.messages.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        self.filled = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.filled)
    }

    /// Datagram number `index` of what was received last.
    pub fn get(&mut self, index: usize) -> Option<Datagram<'_>> {
        let message = self.messages.get(..self.filled)?.get(index)?;
        let header = &message.msg_hdr;
        let end = self.ends.get(index)?;
        let name = end.name.get(..header.msg_namelen as usize)?;
        let control = end.control.get(..header.msg_controllen)?;
        let length = message.msg_len as usize;
        let start = index * self.small_bytes;
        let bytes = match self.small.get(start..start + self.small_bytes)?.get(..length) {
            Some(bytes) => bytes,
            None => {
                let rest = length - self.small_bytes;
                let rest = self.rest.get(index * self.rest_bytes..)?.get(..rest)?;
                let (head, tail) = self.joined.split_at_mut(self.small_bytes);
                head.copy_from_slice(self.small.get(start..start + self.small_bytes)?);
                tail.get_mut(..rest.len())?.copy_from_slice(rest);
                self.joined.get(..length)?
            }
        };
        Some(Datagram {
            bytes,
            peer: RawAddress::decode(name),
            ancillary: ancillary::received(control),
            truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        })
    }
}

/// Room for the headers of one `sendmmsg`.
pub struct SendBatch(Box<[libc::mmsghdr]>);

impl SendBatch {
    /// For up to `count` datagrams a call.
    pub fn new(count: usize) -> Self {
        // SAFETY: mmsghdr is plain data for which zero is valid.
        SendBatch((0..count).map(|_| unsafe { std::mem::zeroed() }).collect())
    }

    /// Sends slots on `socket`, in their order, without waiting; returns how many were accepted (at
    /// least one, at most the size of the batch).
    ///
    /// # Errors
    /// When the first one was not accepted. What is behind it was not tried.
    pub fn send(&mut self, socket: BorrowedFd<'_>, slots: &SendSlots, ids: &[SlotId]) -> io::Result<usize> {
        let mut count = 0;
        for (message, id) in self.0.iter_mut().zip(ids) {
            message.msg_hdr = *slots.message(*id);
            count += 1;
        }
        // SAFETY: the first `count` headers were copied from committed slots, whose names, payloads
        // and control messages stay where they are while `slots` is borrowed.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), self.0.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Sends one slot, without waiting.
///
/// # Errors
/// EAGAIN when the socket's buffer is full; the pending error of the socket, or the destination's.
pub fn send_now(socket: BorrowedFd<'_>, slots: &SendSlots, id: SlotId) -> io::Result<()> {
    // SAFETY: the header of a committed slot points to its name, payload and control message, which
    // stay where they are while `slots` is borrowed.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), slots.message(id), libc::MSG_DONTWAIT) };
    if sent >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
