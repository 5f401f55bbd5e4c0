//! What a request is matched by: RFC 3261 §17.2.3.

use crate::hash::{KeyedHash, Purpose, Secret};
use crate::message::{Host, Message, Method, Via};

/// Key of a server transaction: a keyed hash, 128 bits, of what §17.2.3 compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub u128);

/// Marks the number of a method, or an address, where the length of a name would stand.
const KNOWN: u64 = 1 << 63;

impl Key {
    /// The key of the transaction that `request` creates or belongs to. An ACK has the key of its INVITE.
    ///
    /// With the cookie: branch, sent-by and method. Without (RFC 2543): Request-URI, From tag, Call-ID,
    /// CSeq number and the whole top Via; the To tag is left out, since an ACK carries ours.
    pub fn of(secret: &Secret, request: &Message<'_>, top: &Via<'_>) -> Key {
        Self::with_method(secret, request, top, request.method(), request.method_bytes())
    }

    /// The key of the INVITE that a CANCEL with this top Via would cancel (§9.2).
    pub fn of_cancelled(secret: &Secret, cancel: &Message<'_>, top: &Via<'_>) -> Key {
        Self::with_method(secret, cancel, top, Method::Invite, b"INVITE")
    }

    fn with_method(secret: &Secret, request: &Message<'_>, top: &Via<'_>, method: Method, name: &[u8]) -> Key {
        let hash = KeyedHash::new(secret, Purpose::Transaction);
        let hash = match method {
            Method::Other => hash.part(name),
            // INVARIANT: no name is as long as this number.
            Method::Ack => hash.number(KNOWN | Method::Invite as u64),
            known => hash.number(KNOWN | known as u64),
        };
        let hash = if top.has_cookie() {
            let hash = hash.part(top.branch);
            let hash = match top.host {
                // INVARIANT: no name is as long as this number.
                Host::V4(address) => hash.number(KNOWN | u64::from(address.to_bits())),
                Host::Name(_) | Host::V6(_) => hash.part_lower(top.host_bytes),
            };
            hash.number(u64::from(top.sent_by_port()))
        } else {
            let number = request.cseq().map_or(0, |cseq| cseq.number);
            hash.part(request.request_uri())
                .part(request.from_tag())
                .part(request.call_id())
                .number(u64::from(number))
                .part(top.value.of(request.bytes()))
        };
        Key(hash.finish())
    }

    /// The part that travels in our branches and finds the transaction again.
    pub const fn id(self) -> u64 {
        self.0 as u64
    }
}
