//! What the policy keeps with each transaction: plain data, no pointers, handed over with it.

use crate::authentication::stage::Proving;
use crate::calls::CallId;
use crate::class4::hunt::HuntIndex;
use crate::encoding::{Decoder, Encoder};
use crate::phones::PhoneNote;
use crate::registrar::ForkId;
use crate::tables::Number;
use proto::message::Span;
use proto::policy::{NoteEncoding, Target};
use std::num::NonZeroU64;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The set whose gateways are tried; `None` for an in-dialog request.
    pub(crate) set: Option<Number>,
    /// Gateways that were tried for it, and are not tried again.
    pub(crate) attempts: Attempts,
    /// Attempts that were made before this set's turn came.
    pub(crate) before: u8,
    /// The hunt for vendors that it belongs to; only on this shard, and not handed over.
    pub(crate) hunt: Option<HuntIndex>,
    /// Its routing number was asked for. It does not travel: the question does not, either.
    pub(crate) dipping: bool,
    /// It is a customer's new call.
    pub(crate) customers: bool,
    /// It has had its final response (a customer's call alone).
    pub(crate) ended: bool,
    /// URI of the sender's Contact, as a range of the request's bytes: the dialog's remote target.
    pub(crate) contact: Span,
    /// The request opens or refreshes a dialog's target: INVITE, UPDATE.
    pub(crate) kind: Kind,
    /// The call that it belongs to.
    pub(crate) call: Option<CallId>,
    /// The sender is the side that sent the first INVITE.
    pub(crate) from_initiator: bool,
    /// An 18x has come from a gateway of this round: a 408 moves nothing on any more.
    pub(crate) ringing: bool,
    /// A final response has come in this round that no other gateway shall be tried after.
    pub(crate) settled: bool,
    /// Early dialogs of this INVITE.
    pub(crate) early: [Option<CallId>; EARLY_MAX],
    /// Contacts of a phone that are to be tried after those that ring. Does not travel: they are not tried then.
    pub(crate) fork: ForkId,
    /// Ends of the To tags for which a call was opened: a 2xx retransmitted after the BYE opens none.
    pub(crate) answered: [u32; ANSWERS_KEPT],
    /// How far its sender has come in proving itself. It does not travel (hand-over): what was asked is not, either.
    pub(crate) proving: Proving,
    /// Of requests from or to phones.
    pub(crate) phones: PhoneNote,
    /// Number of the record of a customer's call; 0: it has none.
    pub(crate) record: u64,
}

/// Early dialogs of one INVITE that are kept; further ones need a listed target for their PRACK.
const EARLY_MAX: usize = 2;

/// Forks that answer one INVITE: more than this many may open a call again.
const ANSWERS_KEPT: usize = 4;

/// What a request means to its call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    #[default]
    Other,
    /// INVITE outside a dialog: its 2xx opens a call.
    Opens,
    /// INVITE or UPDATE inside one: its 2xx refreshes the remote targets.
    Refreshes,
    /// BYE: its final answer closes the call.
    Closes,
}

/// Gateways tried, by number, in their order; which of them still owe a final response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    gateways: [u32; limits::BRANCHES_MAX],
    len: u8,
    open: u16,
}

const _: () = assert!(limits::BRANCHES_MAX <= u16::BITS as usize, "one bit a branch");

// WHY: a configuration is held against the host's memory by this.
const _: () = assert!(
    size_of::<Option<proto::transaction::Context<Note>>>() <= limits::pool::OPEN_REQUEST_BYTES as usize,
    "as checked against memory"
);

impl Attempts {
    /// Adds one. False: no branch is left.
    pub(crate) fn push(&mut self, gateway: Number) -> bool {
        let Some(place) = self.gateways.get_mut(usize::from(self.len)) else { return false };
        *place = gateway.0;
        self.open |= 1 << self.len;
        self.len += 1;
        true
    }

    /// How many there were.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether this gateway was tried.
    pub(crate) fn contains(&self, gateway: Number) -> bool {
        self.iter().any(|(_, tried)| tried == gateway)
    }

    /// The gateway owes nothing any more. False: it owed nothing.
    pub(crate) fn close(&mut self, gateway: Number) -> bool {
        let found = self.iter().find(|&(at, tried)| tried == gateway && self.open & (1 << at) != 0);
        found.map(|(at, _)| self.open &= !(1 << at)).is_some()
    }

    /// Whether the gateway owes a final response.
    pub(crate) fn owes(&self, gateway: Number) -> bool {
        self.open().any(|open| open == gateway)
    }

    /// In which place a gateway was tried.
    pub(crate) fn place_of(&self, gateway: Number) -> Option<usize> {
        self.iter().find(|(_, tried)| *tried == gateway).map(|(at, _)| at)
    }

    /// Takes out one that still owes a final response.
    pub(crate) fn close_any(&mut self) -> Option<Number> {
        let open = self.iter().find(|&(at, _)| self.open & (1 << at) != 0);
        open.map(|(at, gateway)| {
            self.open &= !(1 << at);
            gateway
        })
    }

    /// Other numbers for the same gateways. One that has none is nobody's, and owes nothing.
    pub(crate) fn renumber(&mut self, number: impl Fn(Number) -> Option<Number>) {
        for (at, gateway) in self.gateways.iter_mut().take(usize::from(self.len)).enumerate() {
            match number(Number(*gateway)) {
                Some(ours) => *gateway = ours.0,
                None => {
                    *gateway = Target::NO_GATEWAY;
                    self.open &= !(1 << at);
                }
            }
        }
    }

    /// Those that still owe a final response.
    pub(crate) fn open(&self) -> impl Iterator<Item = Number> + use<> {
        let open = self.open;
        self.iter().filter(move |(at, _)| open & (1 << at) != 0).map(|(_, gateway)| gateway)
    }

    fn iter(&self) -> impl Iterator<Item = (usize, Number)> + use<> {
        let (gateways, len) = (self.gateways, usize::from(self.len));
        gateways.into_iter().take(len).map(Number).enumerate()
    }
}

impl Note {
    /// Whether the sender has proven to be an account of ours.
    pub(crate) fn is_proven(&self) -> bool {
        self.proving == Proving::Proven
    }

    /// Another set's turn comes: what became of the request at the last one is past.
    pub(crate) fn next_set(&mut self) {
        self.set = None;
        self.before = self.attempts.len;
        (self.ringing, self.settled) = (false, false);
    }

    /// Gateways that were tried of this set and those that it overflows to.
    pub(crate) fn tried_of_set(&self) -> usize {
        self.attempts.len().saturating_sub(usize::from(self.before))
    }

    /// Notes that a call was opened for this To tag. False: it was before.
    pub(crate) fn answer(&mut self, tag: u32) -> bool {
        let tag = tag.max(1);
        if self.answered.contains(&tag) {
            return false;
        }
        self.answered.rotate_right(1);
        let [newest, ..] = &mut self.answered;
        *newest = tag;
        true
    }
}

/// Version of a note's encoding.
const VERSION: u8 = 6;

impl NoteEncoding for Note {
    fn encode(&self, out: &mut Vec<u8>) {
        let Note {
            set,
            attempts,
            before: _,
            hunt: _,
            dipping: _,
            customers,
            ended,
            contact,
            kind,
            call,
            from_initiator,
            ringing,
            settled,
            early,
            answered,
            phones,
            record,
            proving,
            fork: _,
        } = self;
        let call_number = |call: &Option<CallId>| call.map_or(0, |id| id.0.get()).to_le_bytes();
        let mut out = Encoder::new(out);
        out.number([VERSION]).flag(set.is_some()).number(set.map_or(0, |set| set.0).to_le_bytes());
        out.number([attempts.len]).number(attempts.open.to_le_bytes());
        for gateway in attempts.gateways.iter().take(attempts.len()) {
            out.number(gateway.to_le_bytes());
        }
        out.number(contact.start.to_le_bytes()).number(contact.end.to_le_bytes()).number([kind.number()]);
        out.number(call_number(call)).flag(*from_initiator).flag(*ringing).flag(*settled);
        for call in early {
            out.number(call_number(call));
        }
        for tag in answered {
            out.number(tag.to_le_bytes());
        }
        // WHY not the rest: what a question was about is forgotten with it, and a fork ends with what is under way.
        out.flag(phones.by_phone).flag(phones.vouched).flag(phones.registers).number(record.to_le_bytes());
        out.flag(*customers).flag(*ended).flag(*proving == Proving::Proven).flag(phones.foreign);
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes);
        let mut note = Note::default();
        if from.byte()? != VERSION {
            return None;
        }
        let (has_set, set) = (from.flag()?, from.word()?);
        note.set = has_set.then_some(Number(set));
        note.attempts.len = from.byte().filter(|len| usize::from(*len) <= limits::BRANCHES_MAX)?;
        note.attempts.open = from.short().filter(|open| u32::from(*open) >> note.attempts.len == 0)?;
        for gateway in note.attempts.gateways.iter_mut().take(usize::from(note.attempts.len)) {
            *gateway = from.word()?;
        }
        note.contact = Span { start: from.short()?, end: from.short()? };
        note.kind = Kind::of_number(from.byte()?)?;
        note.call = NonZeroU64::new(from.long()?).map(CallId);
        (note.from_initiator, note.ringing, note.settled) = (from.flag()?, from.flag()?, from.flag()?);
        for call in &mut note.early {
            *call = NonZeroU64::new(from.long()?).map(CallId);
        }
        for tag in &mut note.answered {
            *tag = from.word()?;
        }
        let PhoneNote { by_phone, vouched, registers, .. } = &mut note.phones;
        (*by_phone, *vouched, *registers) = (from.flag()?, from.flag()?, from.flag()?);
        note.record = from.long()?;
        (note.customers, note.ended) = (from.flag()?, from.flag()?);
        let (proven, foreign) = (from.flag()?, from.flag()?);
        note.phones.foreign = foreign;
        if proven {
            note.proving = Proving::Proven;
        }
        from.end().map(|()| note)
    }
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Kind::Other => 0,
            Kind::Opens => 1,
            Kind::Refreshes => 2,
            Kind::Closes => 3,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        [Kind::Other, Kind::Opens, Kind::Refreshes, Kind::Closes].into_iter().find(|kind| kind.number() == number)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_note_travels() {
        let mut note = Note {
            set: Some(Number(0x0003_0002)),
            contact: Span { start: 100, end: 140 },
            kind: Kind::Closes,
            call: NonZeroU64::new(77).map(CallId),
            from_initiator: true,
            ringing: true,
            early: [None, NonZeroU64::new(9).map(CallId)],
            phones: PhoneNote { by_phone: true, registers: true, foreign: true, ..PhoneNote::default() },
            proving: Proving::Proven,
            ended: true,
            ..Note::default()
        };
        note.attempts.push(Number(5));
        note.attempts.push(Number(6));
        note.answer(3);
        let mut bytes = Vec::new();
        note.encode(&mut bytes);
        let read = Note::decode(&bytes).unwrap();
        assert_eq!(read, note);
        assert!((0..bytes.len()).all(|length| Note::decode(&bytes[..length]).is_none()));
        bytes[0] = 9;
        assert_eq!(Note::decode(&bytes), None);
    }

    #[test]
    fn each_attempt_closes_once() {
        let mut attempts = Attempts::default();
        assert!(attempts.push(Number(7)) && attempts.push(Number(9)));
        assert!(attempts.contains(Number(9)) && !attempts.contains(Number(8)));
        assert!(attempts.close(Number(9)) && !attempts.close(Number(9)));
        assert_eq!((attempts.close_any(), attempts.close_any()), (Some(Number(7)), None));
        assert_eq!(attempts.len(), 2);
    }

    #[test]
    fn a_gateway_without_a_number_owes_nothing() {
        let mut attempts = Attempts::default();
        assert!(attempts.push(Number(7)) && attempts.push(Number(9)) && attempts.close(Number(9)));
        attempts.renumber(|theirs| (theirs == Number(7)).then_some(Number(3)));
        assert_eq!((attempts.len(), attempts.open().collect::<Vec<_>>()), (2, vec![Number(3)]));
        attempts.renumber(|_| None);
        assert_eq!((attempts.open().count(), attempts.close_any()), (0, None));
    }

    #[test]
    fn there_is_no_more_room_than_branches() {
        let mut attempts = Attempts::default();
        assert!((0..16).all(|n| attempts.push(Number(n))));
        assert!(!attempts.push(Number(16)));
    }

    #[test]
    fn an_answer_counts_once() {
        let mut note = Note::default();
        assert!(note.answer(0) && !note.answer(0));
        assert!(note.answer(5) && !note.answer(5) && !note.answer(0));
    }
}
