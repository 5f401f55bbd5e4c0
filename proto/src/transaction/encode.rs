//! Transactions as bytes, so that another process or another shard can go on with them. Called by
//! `proxy::hand_over`, off the packet path.
//!
//! Numbers are little-endian, texts have their length before them, variants are numbered here and nowhere else:
//! the order of an enum's variants in its source does not matter. What is added to any of these types has to be
//! added here, or it does not compile; then [`VERSION`] goes up.

use super::{
    Branch, CancelState, ClientMachine, Key, Parked, ServerMachine, Stage, TimerHandle, Transaction, client_invite,
    client_non_invite, server_invite, server_non_invite,
};
use crate::policy::{BySource, Endpoint, Outcome, Question, Target};
use crate::time::{Micros, Mono};
use crate::token::Owner;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

const NONE: u32 = u32::MAX;

/// Version of the encoding.
pub(crate) const VERSION: u8 = 3;

/// Why bytes were not taken over. Nothing of them was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Another version than [`VERSION`].
    Version(u8),
    /// Cut short, changed on the way, or not what this encoding writes.
    Damaged,
    /// Written under another boot secret: its keys are not ours.
    OtherSecret,
    /// The policy could not read its note.
    Note,
    /// The transaction is here already.
    AlreadyHere,
    /// A pool is full.
    Full,
}

/// Bytes on their way back into values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'b> {
    rest: &'b [u8],
}

impl<'b> Decoder<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Decoder { rest: bytes }
    }

    /// A value. `None`: the bytes hold none.
    pub(crate) fn get<T: Plain>(&mut self) -> Option<T> {
        T::decode(self)
    }

    /// A text with its length before it.
    pub(crate) fn text(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.get::<u32>()?).ok()?;
        self.take(length)
    }

    /// A text that may be missing.
    pub(crate) fn optional_text(&mut self) -> Option<Option<&'b [u8]>> {
        if self.get()? { self.text().map(Some) } else { Some(None) }
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

/// Writes a text with its length before it.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    // INVARIANT: what is kept is a message or a part of one: shorter than 64 KB. A note is bounded by memory.
    u32::try_from(text.len()).unwrap_or(u32::MAX).encode(out);
    out.extend_from_slice(text);
}

/// Writes a text that may be missing.
pub(crate) fn put_optional_text(out: &mut Vec<u8>, text: Option<&[u8]>) {
    text.is_some().encode(out);
    if let Some(text) = text {
        put_text(out, text);
    }
}

/// A value without pointers.
pub(crate) trait Plain: Sized {
    fn encode(&self, out: &mut Vec<u8>);
    fn decode(from: &mut Decoder<'_>) -> Option<Self>;
}

macro_rules! plain_numbers {
    ($($number:ty),*) => {$(
        impl Plain for $number {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn decode(from: &mut Decoder<'_>) -> Option<Self> {
                let bytes = from.take(size_of::<$number>())?;
                Some(<$number>::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

/// What stands behind `without` does not travel: it comes back as given there.
macro_rules! plain_struct {
    ($name:ty { $($field:ident),* } $(without { $($left_out:ident: $value:expr),* $(,)? })?) => {
        impl Plain for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                let Self { $($field,)* $($($left_out: _,)*)? } = self;
                $($field.encode(out);)*
            }
            fn decode(from: &mut Decoder<'_>) -> Option<Self> {
                Some(Self { $($field: from.get()?,)* $($($left_out: $value,)*)? })
            }
        }
    };
}

macro_rules! plain_enum {
    ($name:ty { $($code:literal => $variant:ident $(($value:ident))? $({ $field:ident })?),* $(,)? }) => {
        impl Plain for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($value))? $({ $field })? => {
                        out.push($code);
                        $($value.encode(out);)?
                        $($field.encode(out);)?
                    })*
                }
            }
            fn decode(from: &mut Decoder<'_>) -> Option<Self> {
                match from.get::<u8>()? {
                    $($code => {
                        $(let $value = from.get()?;)?
                        $(let $field = from.get()?;)?
                        Some(Self::$variant $(($value))? $({ $field })?)
                    })*
                    _ => None,
                }
            }
        }
    };
}

plain_numbers!(u8, u16, u32, u64, u128);

plain_struct!(Endpoint { listener, local, peer, flow });
plain_struct!(Target { gateway, listener, by_source, next_hop, flow, no_response });
plain_struct!(Owner { node, slot, generation });
plain_struct!(Parked { stage, question, round });
plain_struct!(Transaction {
    key, owner, machine, source, reply_port, accepted, accepted_from, answered_tag, ended_tag, retransmit_at,
    interval, expire_at
} without { response: None, context: NONE, branches: NONE, timer: TimerHandle::default() });
plain_struct!(Branch {
    number, machine, answered, ringing, given_up, cancel, outcome, target, loop_hash, max_breadth, sent_at,
    retransmit_at, interval, give_up_at, ring_by, expire_at
} without {
    transaction: NONE, next: NONE, mac: 0, request_uri: None, edits: None, resend: None, challenges: None,
    timer: TimerHandle::default(), silent_previous: NONE, silent_next: NONE,
});

plain_enum!(BySource { 1 => Neither, 2 => Caller, 3 => Callee, 4 => Both });
plain_enum!(Outcome { 1 => Response(status), 2 => GivenUp, 3 => TimedOut { ringing }, 4 => Unreachable, 5 => NotRinging });
plain_enum!(Question { 1 => Resolve, 2 => Module(number) });
plain_enum!(Stage { 1 => NewRequest, 2 => InDialog });
plain_enum!(CancelState { 1 => None, 2 => Wanted, 3 => Sent, 4 => Done });
plain_enum!(ServerMachine { 1 => Invite(state), 2 => NonInvite(state), 3 => Own(ticket) });
plain_enum!(ClientMachine { 1 => Invite(state), 2 => NonInvite(state) });
plain_enum!(client_invite::State { 1 => Calling, 2 => Proceeding, 3 => Completed, 4 => Accepted, 5 => Terminated });
plain_enum!(client_non_invite::State { 1 => Trying, 2 => Proceeding, 3 => Completed, 4 => Terminated });
plain_enum!(server_invite::State { 1 => Proceeding, 2 => Completed, 3 => Confirmed, 4 => Accepted, 5 => Terminated });
plain_enum!(server_non_invite::State { 1 => Trying, 2 => Proceeding, 3 => Completed, 4 => Terminated });

impl Plain for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        u8::from(*self).encode(out);
    }
    fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        match from.get::<u8>()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Plain> Plain for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
    fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        if from.get()? { Some(Some(from.get()?)) } else { Some(None) }
    }
}

impl<A: Plain, B: Plain> Plain for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
    fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        Some((from.get()?, from.get()?))
    }
}

impl Plain for Key {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        from.get().map(Key)
    }
}

impl Plain for Mono {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        from.get().map(Mono)
    }
}

impl Plain for Micros {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        from.get().map(Micros)
    }
}

impl Plain for IpAddr {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            IpAddr::V4(ip) => {
                out.push(4);
                ip.to_bits().encode(out);
            }
            IpAddr::V6(ip) => {
                out.push(6);
                ip.to_bits().encode(out);
            }
        }
    }
    fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        match from.get::<u8>()? {
            4 => Some(IpAddr::V4(Ipv4Addr::from_bits(from.get()?))),
            6 => Some(IpAddr::V6(Ipv6Addr::from_bits(from.get()?))),
            _ => None,
        }
    }
}

impl Plain for SocketAddr {
    fn encode(&self, out: &mut Vec<u8>) {
        self.ip().encode(out);
        self.port().encode(out);
        if let SocketAddr::V6(address) = self {
            address.flowinfo().encode(out);
            address.scope_id().encode(out);
        }
    }
    fn decode(from: &mut Decoder<'_>) -> Option<Self> {
        let (ip, port) = (from.get()?, from.get()?);
        match ip {
            IpAddr::V4(_) => Some(SocketAddr::new(ip, port)),
            IpAddr::V6(ip) => Some(SocketAddr::V6(SocketAddrV6::new(ip, port, from.get()?, from.get()?))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use core::fmt::Debug;

    fn comes_back<T: Plain + PartialEq + Debug>(value: T) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        let mut decoder = Decoder::new(&bytes);
        assert_eq!(decoder.get::<T>(), Some(value));
        assert!(decoder.is_at_end());
        for length in 0..bytes.len() {
            assert_eq!(Decoder::new(bytes.get(..length).unwrap()).get::<T>(), None, "cut short at {length}");
        }
    }

    #[test]
    fn every_value_comes_back_and_none_from_less() {
        comes_back(Target {
            gateway: 7,
            listener: 2,
            by_source: BySource::Callee,
            next_hop: "[fe80::1%3]:5060".parse().unwrap(),
            flow: u64::MAX,
            no_response: Micros(2_000_000),
        });
        comes_back(Some(Parked { stage: Stage::InDialog, question: Question::Module(9), round: 3 }));
        comes_back(Outcome::TimedOut { ringing: true });
        comes_back(Outcome::Response(486));
        comes_back(ServerMachine::Invite(server_invite::State::Confirmed));
        comes_back(ClientMachine::NonInvite(client_non_invite::State::Proceeding));
        comes_back((Key(u128::MAX / 3), CancelState::Sent).0);
        comes_back(Owner { node: 1, slot: 4_095, generation: 9 });
        comes_back::<Option<IpAddr>>(None);
    }

    #[test]
    fn an_unknown_variant_is_none() {
        assert_eq!(Decoder::new(&[9]).get::<Stage>(), None);
        assert_eq!(Decoder::new(&[2]).get::<bool>(), None);
        assert_eq!(Decoder::new(&[5, 0, 0, 0, 0]).get::<IpAddr>(), None);
        assert_eq!(Decoder::new(&[255, 255, 255, 255, 1]).text(), None);
    }
}
