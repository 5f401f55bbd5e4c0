//! A SIP message as it lies in its datagram: zero-copy, headers as small offsets in a reused arena
//! (RFC 3261 §7).
//!
//! [`Message::parse`] makes one pass over the header section and finds the start line, the name and
//! the value of each header field, and the body. Values are parsed when asked for
//! ([`Message::top_via`], [`Message::cseq`], ...), so that a malformed header that no rule reads
//! passes byte for byte. [`validate_request`] and [`validate_response`] ask for what every rule needs.
//! [`Splice`] copies a message with changes into an output buffer ([`Writer`]).
//!
//! | File | Holds |
//! |---|---|
//! | `parse`, `start_line`, `header_line`, `scan`, `marks`, `name`, `arena` | datagram to offsets: the one pass |
//! | `view`, `list`, `removal`, `memo` | [`Message`], headers of several values, what was read already |
//! | `via`, `name_addr`, `cseq`, `uri`, `uri_parts`, `host`, `transport`, `method` | values |
//! | `credentials` | Authorization and Proxy-Authorization |
//! | `lex`, `escape` | characters, quoted strings, parameters, `%HH` |
//! | `uri_equivalence` | RFC 3261 §19.1.4 |
//! | `validate` | what is refused before routing, and with which answer |
//! | `edit`, `writer` | copying with changes |
//! | `error`, `span` | why not, and where |

mod arena;
mod credentials;
mod cseq;
mod edit;
mod error;
mod escape;
mod header_line;
mod host;
mod lex;
mod list;
mod marks;
mod memo;
mod method;
mod name;
mod name_addr;
mod parse;
#[cfg(test)]
mod parse_tests;
mod removal;
mod scan;
mod span;
mod start_line;
mod text;
mod transport;
mod uri;
mod uri_equivalence;
mod uri_parts;
#[cfg(test)]
mod uri_tests;
mod validate;
mod via;
mod view;
mod writer;

pub use arena::{Arena, Field};
pub use credentials::DigestCredentials;
pub use cseq::CSeq;
pub use edit::{Splice, replace_body};
pub use error::{Fault, HeaderError, Malformation, ParseError, UriError};
pub(crate) use escape::unescape_into;
pub use escape::unescaped_text;
pub use host::Host;
pub use method::Method;
pub use name::HeaderName;
pub use name_addr::NameAddr;
pub use span::Span;
pub use start_line::StartLine;
pub use transport::Transport;
pub use uri::{Scheme, Uri};
pub use validate::{RejectReason, Rejection, validate_request, validate_response, validate_response_to_request};
pub use via::{BRANCH_COOKIE, KnownVia, Rport, Via};
pub use view::Message;
pub use writer::{Overflow, Writer};
