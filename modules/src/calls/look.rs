//! What operators see of calls, in parts, so that a million of them never hold up a shard; and the one that they end.

use super::end::CallEnd;
use super::texts::Part;
use super::{Call, CallId, Calls};
use crate::encoding::{Decoder, Encoder};
use crate::tables::{Number, Tables};
use proto::message::Uri;
use proto::time::Mono;
use std::num::NonZeroU64;

/// Places of the table that are looked at for one part.
const SEEN_MAX: u32 = 2_048;

/// Bytes of a part, but for its last call.
const PART_BYTES: usize = 32_768;

/// A question for a part of the calls, and the part: a box that a lane makes, and that goes round.
#[derive(Debug, Default)]
pub struct CallLook {
    /// Where to go on.
    pub from: u32,
    /// Only calls with a caller's or called number that begins with this; empty: all.
    pub number: Vec<u8>,
    /// Only calls of this customer; empty: all.
    pub customer: Vec<u8>,
    /// Only calls of this vendor; empty: all.
    pub vendor: Vec<u8>,
    /// Only the call (or its forks) with this Call-ID; empty: all.
    pub call_id: Vec<u8>,
    /// There is nothing behind this part.
    pub done: bool,
    bytes: Vec<u8>,
}

/// An operator ends a call: a box that goes to the shard and back.
#[derive(Debug, Default)]
pub struct EndCall {
    /// Its [`CallRow::number`].
    pub number: u64,
    /// Both sides are sent a BYE.
    pub ended: bool,
}

/// One call. What is not known of one that is no customer's is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRow<'l> {
    /// Names it on its shard.
    pub number: u64,
    /// Seconds since its answer.
    pub seconds: u32,
    /// It is being ended by us.
    pub ending: bool,
    /// Its Call-ID.
    pub call_id: &'l [u8],
    /// User part of the caller's From.
    pub caller: &'l [u8],
    /// The called number with its country code.
    pub called: &'l [u8],
    /// The customer.
    pub customer: &'l [u8],
    /// The vendor.
    pub vendor: &'l [u8],
    /// The gateway that answered.
    pub gateway: &'l [u8],
}

impl CallLook {
    /// A question for all calls, from the beginning, with room for its answers.
    pub fn new() -> Self {
        CallLook { bytes: Vec::with_capacity(2 * PART_BYTES), ..CallLook::default() }
    }

    /// The calls of this part.
    pub fn rows(&self) -> impl Iterator<Item = CallRow<'_>> {
        let mut rest = Decoder::new(&self.bytes);
        std::iter::from_fn(move || CallRow::read(&mut rest))
    }

    fn wants(&self, row: &CallRow<'_>) -> bool {
        let is = |wanted: &[u8], found: &[u8]| wanted.is_empty() || wanted == found;
        let caller = row.caller.strip_prefix(b"+").unwrap_or(row.caller);
        is(&self.customer, row.customer)
            && is(&self.vendor, row.vendor)
            && is(&self.call_id, row.call_id)
            && (caller.starts_with(&self.number) || row.called.starts_with(&self.number))
    }
}

impl<'l> CallRow<'l> {
    fn write(&self, bytes: &mut Vec<u8>) {
        let mut out = Encoder::new(bytes);
        out.number(self.number.to_le_bytes()).number(self.seconds.to_le_bytes()).flag(self.ending);
        for text in [self.call_id, self.caller, self.called, self.customer, self.vendor, self.gateway] {
            out.text(text);
        }
    }

    fn read(from: &mut Decoder<'l>) -> Option<Self> {
        Some(CallRow {
            number: from.long()?,
            seconds: from.word()?,
            ending: from.flag()?,
            call_id: from.text()?,
            caller: from.text()?,
            called: from.text()?,
            customer: from.text()?,
            vendor: from.text()?,
            gateway: from.text()?,
        })
    }
}

impl Calls {
    /// Fills the next part.
    pub fn look(&self, look: &mut CallLook, tables: &Tables, now: Mono) {
        let mut bytes = std::mem::take(&mut look.bytes);
        bytes.clear();
        let last = look.from.saturating_add(SEEN_MAX).min(self.slab.capacity());
        while look.from < last && bytes.len() < PART_BYTES {
            if let Some(call) = self.slab.get(look.from).filter(|call| !call.early) {
                let row = self.row(call, tables, now);
                if look.wants(&row) {
                    row.write(&mut bytes);
                }
            }
            look.from += 1;
        }
        look.done = look.from >= self.slab.capacity();
        look.bytes = bytes;
    }

    /// An operator ends a call. False: it is gone, is being ended, or is no customer's.
    pub fn end_by_number(&mut self, number: u64) -> bool {
        NonZeroU64::new(number).is_some_and(|number| self.end(CallId(number), CallEnd::Operator))
    }

    fn row<'r>(&'r self, call: &Call, tables: &'r Tables, now: Mono) -> CallRow<'r> {
        let [customer, vendor] = tables.class4.as_ref().map_or([None; 2], |trunks| trunks.names(call.charge));
        let gateway = call.gateway.and_then(|number: Number| tables.gateway(number));
        CallRow {
            number: super::id_of(call.hash).0.get(),
            seconds: u32::try_from(now.since(call.opened).0 / 1_000_000).unwrap_or(u32::MAX),
            ending: self.watches.get(call.watch).is_some_and(|watch| watch.ending.is_some()),
            call_id: self.part(call, Part::CallId),
            caller: user_of(self.part(call, Part::InitiatorName)),
            called: self.part(call, Part::Called),
            customer: customer.unwrap_or_default().as_bytes(),
            vendor: vendor.unwrap_or_default().as_bytes(),
            gateway: gateway.map_or(&[], |gateway| gateway.name.as_bytes()),
        }
    }
}

/// The user part of a name-addr or addr-spec.
fn user_of(name: &[u8]) -> &[u8] {
    let inner = name.iter().rposition(|octet| *octet == b'<').map(|at| name.get(at + 1..).unwrap_or_default());
    let uri = match inner {
        Some(uri) => uri.split(|octet| *octet == b'>').next().unwrap_or_default(),
        None => name.split(|octet| *octet == b';').next().unwrap_or_default(),
    };
    Uri::parse(uri.trim_ascii()).map_or(&[][..], |uri| uri.user_without_params())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_names() {
        for (name, user) in [
            ("\"A <b>\" <sip:+4930;x=y@host>;tag=1", "+4930"),
            ("sip:alice@host;tag=1", "alice"),
            ("<sip:host>;tag=1", ""),
            ("<tel:+4930>;tag=1", "+4930"),
        ] {
            assert_eq!(user_of(name.as_bytes()), user.as_bytes(), "{name}");
        }
    }
}
