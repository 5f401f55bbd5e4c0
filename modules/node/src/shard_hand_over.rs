//! Everything that is in flight on a shard as bytes, and back: how a process hands its calls to its successor (hot
//! upgrade), or to another number of shards.
//!
//! The control lane of the old process stops the sockets, lets the shards turn until the rings between them are
//! empty, and posts `Letter::Export` to each; [`ShardApp::export`] changes nothing, so the old process can go on if
//! its successor does not come up. The new process posts all states together to each of its shards
//! (`Letter::Import`), which takes what is its own: a Call-ID belongs to a slot, a slot to a shard. Both have the same
//! keys, boot secret and listeners; shards and configuration may differ. Probes and the health of gateways stay
//! behind.
//!
//! ```text
//! state:  version  frames: kind, length, bytes ...  end, count of frames
//!            1              1      4                 1          8
//! ```
//!
//! The first frame says what the numbers in the others are called ([`modules::Origin`]). Allocates: a shard that
//! exports or imports carries no traffic.

use crate::app::{ShardApp, outbox};
use crate::letter::Letter;
use engine::Outbox;
use modules::{Origin, OriginError, TandemPolicy};
use proto::steer::shard_of_slot;
use proto::time::{Micros, Now};
use std::cmp::Reverse;

/// What a shard took in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Transactions that go on here.
    pub transactions: u64,
    /// Calls that go on here.
    pub calls: u64,
    /// Frames of ours that were not taken: damaged, here already, or no room. Their transactions and calls are lost.
    pub refused: u64,
    /// Calls and branches that go on although their gateway is in no set any more.
    pub gateways_gone: u64,
}

/// Why a state was not taken over. Nothing of any state was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// Another version of this layout.
    Version(u8),
    /// Cut short, or not what [`ShardApp::export`] writes.
    Damaged,
    /// Its names cannot be used.
    Names(OriginError),
}

const VERSION: u8 = 1;
const NAMES: u8 = 1;
const CALL: u8 = 2;
const TRANSACTION: u8 = 3;
const END: u8 = 0xff;

impl ShardApp {
    /// All calls and transactions of this shard, but for requests of its own.
    pub fn export(&self, now: Now) -> Vec<u8> {
        let mut state = StateWriter::new();
        let mut names = Vec::new();
        self.proxy.policy.export_names(&mut names);
        state.frame(NAMES, &names);
        self.proxy.policy.export_calls(now, |frame| state.frame(CALL, frame));
        self.proxy.export(now, |frame| state.frame(TRANSACTION, frame));
        state.end()
    }

    /// Takes what belongs to this shard out of the states of all shards of another process.
    ///
    /// # Errors
    /// One of the states is not one; then nothing of any was taken.
    pub fn import(&mut self, now: Now, states: &[Vec<u8>], out: &mut Outbox<'_, Letter>) -> Result<Taken, StateError> {
        let states: Vec<State<'_>> = states.iter().map(|bytes| State::read(bytes)).collect::<Result<_, _>>()?;
        let origins: Vec<Origin> = states
            .iter()
            .map(|state| self.proxy.policy.read_names(state.names).map_err(StateError::Names))
            .collect::<Result<_, _>>()?;
        let gone_before = self.proxy.policy.gateways_gone();
        let mut taken = Taken::default();
        self.import_calls(now, &states, &origins, &mut taken);
        for (state, origin) in states.iter().zip(origins) {
            self.proxy.policy.expect_from(Some(origin));
            self.import_transactions(now, state, &mut taken, out);
        }
        self.proxy.policy.expect_from(None);
        taken.gateways_gone = self.proxy.policy.gateways_gone() - gone_before;
        Ok(taken)
    }

    /// The calls of all states, the oldest first.
    fn import_calls(&mut self, now: Now, states: &[State<'_>], origins: &[Origin], taken: &mut Taken) {
        let of_state = |(state, origin)| {
            let calls = State::frames_of(state, CALL);
            calls.map(move |call| (TandemPolicy::age_of_call(call).unwrap_or(Micros(0)), call, origin))
        };
        let mut calls: Vec<(Micros, &[u8], &Origin)> = states.iter().zip(origins).flat_map(of_state).collect();
        calls.sort_by_key(|(age, ..)| Reverse(*age));
        let (shard, shards) = (self.shard_number(), self.shards());
        for (_, call, origin) in calls {
            let mine = |slot| shard_of_slot(slot, shards) == shard;
            match self.proxy.policy.import_call(now, call, Some(origin), mine) {
                Ok(is_mine) => taken.calls += u64::from(is_mine),
                Err(_) => taken.refused += 1,
            }
        }
    }

    fn import_transactions(&mut self, now: Now, state: &State<'_>, taken: &mut Taken, out: &mut Outbox<'_, Letter>) {
        let (shard, shards) = (self.shard_number(), self.shards());
        for frame in state.frames_of(TRANSACTION) {
            let mine = |slot| shard_of_slot(slot, shards) == shard;
            match self.proxy.import(now, frame, mine, &mut outbox(out, &mut self.pending)) {
                Ok(is_mine) => taken.transactions += u64::from(is_mine),
                Err(_) => taken.refused += 1,
            }
        }
    }
}

/// A state under construction.
struct StateWriter {
    bytes: Vec<u8>,
    frames: u64,
}

impl StateWriter {
    fn new() -> Self {
        StateWriter { bytes: vec![VERSION], frames: 0 }
    }

    fn frame(&mut self, kind: u8, frame: &[u8]) {
        // INVARIANT: a frame is a call, a transaction with its messages, or a list of names: far below 4 GB.
        let Ok(length) = u32::try_from(frame.len()) else { return };
        self.frames += 1;
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(frame);
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(END);
        self.bytes.extend_from_slice(&self.frames.to_le_bytes());
        self.bytes
    }
}

/// A state whose frames are all there.
struct State<'b> {
    names: &'b [u8],
    frames: Vec<(u8, &'b [u8])>,
}

impl<'b> State<'b> {
    fn read(bytes: &'b [u8]) -> Result<Self, StateError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => Self::read_frames(rest).ok_or(StateError::Damaged),
            Some((&version, _)) => Err(StateError::Version(version)),
            None => Err(StateError::Damaged),
        }
    }

    fn read_frames(mut rest: &'b [u8]) -> Option<Self> {
        let mut frames = Vec::new();
        loop {
            let (&kind, after) = rest.split_first()?;
            if kind == END {
                let count = u64::from_le_bytes(after.try_into().ok()?);
                let (&(first, names), frames) = frames.split_first()?;
                let whole = first == NAMES && count == u64::try_from(frames.len()).ok()? + 1;
                return whole.then(|| State { names, frames: frames.to_vec() });
            }
            let (length, after) = after.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (frame, after) = after.split_at_checked(length)?;
            frames.push((kind, frame));
            rest = after;
        }
    }

    fn frames_of(&self, kind: u8) -> impl Iterator<Item = &'b [u8]> {
        self.frames.iter().filter(move |(of, _)| *of == kind).map(|(_, frame)| *frame)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn state() -> Vec<u8> {
        let mut state = StateWriter::new();
        state.frame(NAMES, b"names");
        state.frame(CALL, b"call");
        state.frame(TRANSACTION, b"");
        state.end()
    }

    #[test]
    fn frames_come_back_and_none_from_less_or_more() {
        let bytes = state();
        let read = State::read(&bytes).unwrap();
        assert_eq!((read.names, read.frames.len()), (&b"names"[..], 2));
        assert_eq!(read.frames_of(CALL).collect::<Vec<_>>(), [b"call"]);
        assert_eq!(read.frames_of(TRANSACTION).collect::<Vec<_>>(), [b""]);
        assert!((0..bytes.len()).all(|length| State::read(&bytes[..length]).err() == Some(StateError::Damaged)));
        assert_eq!(State::read(&[&bytes[..], b"x"].concat()).err(), Some(StateError::Damaged));
    }

    #[test]
    fn another_version_a_wrong_count_and_a_state_without_names_are_refused() {
        let mut other = state();
        other[0] = 9;
        assert_eq!(State::read(&other).err(), Some(StateError::Version(9)));
        let mut wrong = state();
        let count = wrong.len() - 8;
        wrong[count] = 7;
        assert_eq!(State::read(&wrong).err(), Some(StateError::Damaged));
        let mut nameless = StateWriter::new();
        nameless.frame(CALL, b"call");
        assert_eq!(State::read(&nameless.end()).err(), Some(StateError::Damaged));
    }
}
