//! Calls out of a capture (pcap or pcapng): what a proxy saw on the wire, whichever proxy it was.
//!
//! | File | What |
//! |---|---|
//! | `file.rs` | the container: packets with their times |
//! | `datagram.rs` | link layers, VLANs, IP and its fragments: UDP payloads with their addresses |
//! | `calls.rs` | SIP messages to calls: INVITE, answer, BYE; which gateway had it |

mod calls;
mod datagram;
mod file;
#[cfg(test)]
mod tests;

pub(super) use calls::read;
pub(super) use file::is_capture;
