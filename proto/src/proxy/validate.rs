//! RFC 3261 §16.3: what a request must be to be forwarded. Syntax is `message::validate`'s matter.

use super::counters::Refused;
use super::loop_hash::loop_hash;
use super::{Preprocessed, Settings};
use crate::message::{HeaderName, Message, Method, Scheme};
use crate::policy::Endpoint;
use crate::token::BranchToken;

/// §16.3 items 2 to 5; item 1 (syntax) and 6 (authorization) are done elsewhere. RFC 5393 adds to item 4.
pub(super) fn validate(
    settings: &Settings,
    source: &Endpoint,
    message: &Message<'_>,
    pre: &Preprocessed<'_>,
) -> Result<(), Refused> {
    scheme(pre)?;
    max_forwards(message, pre)?;
    max_breadth(message)?;
    loop_detection(settings, source, message, pre)?;
    proxy_require(message)
}

/// §16.3 item 2: schemes that no rule of ours can route are answered 416.
fn scheme(pre: &Preprocessed<'_>) -> Result<(), Refused> {
    match pre.uri.scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => Ok(()),
        Scheme::Other => Err(Refused::Scheme),
    }
}

/// §16.3 item 3. An OPTIONS to us needs no hop: peers send it with zero so that nobody passes it on.
fn max_forwards(message: &Message<'_>, pre: &Preprocessed<'_>) -> Result<(), Refused> {
    let is_ours = pre.to_us && message.method() == Method::Options && pre.next_route.is_none();
    if may_hop(message) || is_ours { Ok(()) } else { Err(Refused::MaxForwards) }
}

/// Whether Max-Forwards leaves room for one more hop.
pub(super) fn may_hop(message: &Message<'_>) -> bool {
    message.max_forwards() != Ok(Some(0))
}

/// RFC 5393 §5.3.3.1: a breadth of zero cannot be forwarded at all.
fn max_breadth(message: &Message<'_>) -> Result<(), Refused> {
    if breadth(message) == Some(0) { Err(Refused::MaxBreadth) } else { Ok(()) }
}

/// Max-Breadth of the request, at most [`limits::MAX_BREADTH`]; `None` if it has none that can be read.
pub(super) fn breadth(message: &Message<'_>) -> Option<u32> {
    message.count(HeaderName::MaxBreadth).ok().flatten().map(|breadth| breadth.min(limits::MAX_BREADTH))
}

/// §16.3 item 4, RFC 5393 §4.2.2: it has been here, and everything that decides its way is as it was.
fn loop_detection(
    settings: &Settings,
    source: &Endpoint,
    message: &Message<'_>,
    pre: &Preprocessed<'_>,
) -> Result<(), Refused> {
    let mut hash = None;
    for via in message.vias().flatten() {
        let Some(unverified) = BranchToken::read(via.branch) else {
            continue;
        };
        let Some(token) = unverified.verify(&settings.keys, message.call_id(), message.from_tag()) else {
            continue;
        };
        if token.loop_hash == *hash.get_or_insert_with(|| loop_hash(settings, source, message, pre)) {
            return Err(Refused::Loop);
        }
    }
    Ok(())
}

/// §16.3 item 5: no extension of a proxy is supported that would have to be required.
///
/// §8.2.2.3: in a CANCEL or an ACK the header is ignored.
fn proxy_require(message: &Message<'_>) -> Result<(), Refused> {
    if matches!(message.method(), Method::Cancel | Method::Ack) {
        return Ok(());
    }
    if message.field(HeaderName::ProxyRequire).is_some() && message.tokens(HeaderName::ProxyRequire).next().is_some() {
        return Err(Refused::ProxyRequire);
    }
    Ok(())
}
