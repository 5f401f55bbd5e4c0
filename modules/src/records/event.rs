//! What a shard tells the record lane: an event for each thing that happens to a call, fields behind a short head.
//!
//! ```text
//! kind  length of the fields  call  time (µs since 1970)  fields
//!  1             4              8            8
//! ```
//!
//! Shard and lane are one process, so that this has no version; what stands in files is the ledger's.

use super::field::Fields;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Happened {
    /// A customer's INVITE has come.
    Setup = 1,
    /// Its number was understood and its vendors chosen.
    Chosen = 2,
    /// An attempt left for a gateway.
    Attempt = 3,
    /// The first 18x, or the first session description of an attempt.
    Progress = 4,
    /// An attempt ended without a 2xx.
    Outcome = 5,
    /// A 2xx.
    Answered = 6,
    /// The customer has a final response, or his call was refused.
    Finished = 7,
    /// The first BYE of a call.
    Bye = 8,
    /// That BYE was challenged: the call goes on.
    ByeRefused = 9,
    /// The call is over.
    Ended = 10,
    /// A BYE for a call that is not known.
    Orphan = 11,
    /// A vendor that might have taken the call was passed over.
    PassedOver = 12,
    /// An INVITE or UPDATE within the call was accepted: its Contacts, session and CSeqs are others.
    Refreshed = 13,
}

impl Happened {
    const ALL: [Happened; 13] = [
        Happened::Setup,
        Happened::Chosen,
        Happened::Attempt,
        Happened::Progress,
        Happened::Outcome,
        Happened::Answered,
        Happened::Finished,
        Happened::Bye,
        Happened::ByeRefused,
        Happened::Ended,
        Happened::Orphan,
        Happened::PassedOver,
        Happened::Refreshed,
    ];
}

/// An event, read back.
#[derive(Clone, Copy, Debug)]
pub struct Event<'b> {
    /// What.
    pub happened: Happened,
    /// The call, as the shard numbers it.
    pub call: u64,
    /// When, in microseconds since 1970.
    pub at: u64,
    /// What is told of it.
    pub fields: &'b [u8],
}

/// Bytes of the head.
pub const EVENT_HEAD: usize = 21;

impl<'b> Event<'b> {
    /// Reads one; returns it and the bytes behind it. `None`: these are not the bytes of one.
    pub fn read(bytes: &'b [u8]) -> Option<(Event<'b>, &'b [u8])> {
        let (&kind, rest) = bytes.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (call, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (fields, behind) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let happened = Happened::ALL.into_iter().find(|happened| *happened as u8 == kind)?;
        Some((Event { happened, call: u64::from_le_bytes(*call), at: u64::from_le_bytes(*at), fields }, behind))
    }

    /// Appends one whose fields `tell` writes, within what `out` has reserved.
    pub fn write(out: &mut Vec<u8>, happened: Happened, call: u64, at: u64, tell: impl FnOnce(&mut Fields<'_>)) {
        let from = out.len();
        out.push(happened as u8);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&call.to_le_bytes());
        out.extend_from_slice(&at.to_le_bytes());
        tell(&mut Fields::within(out));
        let length = u32::try_from(out.len() - from - EVENT_HEAD).unwrap_or(0).to_le_bytes();
        if let Some(room) = out.get_mut(from + 1..from + 5) {
            room.copy_from_slice(&length);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::super::field::{Field, number};
    use super::*;

    #[test]
    fn events_come_back_and_none_from_less() {
        let mut bytes = Vec::with_capacity(1_000);
        Event::write(&mut bytes, Happened::Setup, 7, 99, |fields| {
            fields.number(Field::Attempt, 3);
        });
        Event::write(&mut bytes, Happened::Ended, 8, 100, |_| ());
        let (first, rest) = Event::read(&bytes).unwrap();
        assert_eq!((first.happened, first.call, first.at), (Happened::Setup, 7, 99));
        assert_eq!(number(first.fields, Field::Attempt), Some(3));
        let (second, end) = Event::read(rest).unwrap();
        assert_eq!((second.happened, second.call, second.fields.len(), end.len()), (Happened::Ended, 8, 0, 0));
        assert!((0..rest.len()).all(|length| Event::read(&rest[..length]).is_none()));
    }
}
