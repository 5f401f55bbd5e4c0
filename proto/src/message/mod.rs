//! A SIP message as it lies in its datagram: zero-copy, headers as small offsets in a reused arena
//! (RFC 3261 §7).
//!
//! [`Message::parse`] makes one pass over the header section and finds the start line, the name and
//! the value of each header field, and the body. Values are parsed when asked for
//! ([`Message::top_via`], [`Message::cseq`], ...), so that a malformed header that no rule reads
//! passes byte for byte.

pub mod edit;
pub mod name;
pub mod uri;
pub mod via;
pub mod name_addr;
