//! What has been read of a message once and is asked for again and again: the Request-URI, the topmost Via, CSeq, From, To, and the
//! only Route, Record-Route and Contact. Keeps offsets, in the arena, until the next message is parsed into it.
//!
//! WHY cells: a message is lent out by shared reference to everybody who handles it; who asks first
//! fills them. Only what was read without error is kept.

use super::cseq::CSeqParts;
use super::name::HeaderName;
use super::name_addr::NameAddrParts;
use super::uri_parts::UriParts;
use super::via::ViaParts;
use core::cell::OnceCell;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Memo {
    pub(super) top_via: OnceCell<ViaParts>,
    pub(super) cseq: OnceCell<CSeqParts>,
    from: OnceCell<NameAddrParts>,
    to: OnceCell<NameAddrParts>,
    route: OnceCell<NameAddrParts>,
    record_route: OnceCell<NameAddrParts>,
    pub(super) request_uri: OnceCell<UriParts>,
    contact: OnceCell<NameAddrParts>,
}

impl Memo {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.top_via.take();
        self.cseq.take();
        self.from.take();
        self.to.take();
        self.route.take();
        self.record_route.take();
        self.request_uri.take();
        self.contact.take();
    }

    /// The first value of that header; `None` if it is not one of those that are kept.
    #[inline]
    pub(super) fn name_addr(&self, name: HeaderName) -> Option<&OnceCell<NameAddrParts>> {
        match name {
            HeaderName::From => Some(&self.from),
            HeaderName::To => Some(&self.to),
            HeaderName::Route => Some(&self.route),
            HeaderName::RecordRoute => Some(&self.record_route),
            HeaderName::Contact => Some(&self.contact),
            _ => None,
        }
    }
}
