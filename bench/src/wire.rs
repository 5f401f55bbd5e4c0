//! What a caller or a gateway needs of the world: send, timers, the time.
//!
//! Implemented by a shard's outbox (`station`) and by a virtual network in tests, so that the state
//! machines of both ends are proved under loss without a socket and without waiting.

use std::net::SocketAddr;

use proto::{message::Writer, time::Mono};

use crate::identity::Key;

/// The world of one shard.
pub trait Wire {
    /// Names a timer that has been armed.
    type Alarm: Copy;

    /// Now, for timers; the same during one event.
    fn now(&self) -> Mono;

    /// Sends one datagram from `listener`; `write` writes it in place and may be asked again.
    /// False if there was no room to send.
    fn send(&mut self, listener: u16, peer: SocketAddr, write: impl FnMut(&mut Writer<'_>)) -> bool;

    /// Calls back with `token` at `at`.
    fn arm(&mut self, at: Mono, token: Token) -> Self::Alarm;

    /// Forgets a timer; harmless if it has fired.
    fn disarm(&mut self, alarm: Self::Alarm);
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A call (or single request) of the caller.
    Caller(Key),
    /// A call at a gateway.
    Gateway(Key),
    /// The next start of the schedule.
    Start,
    /// Time to report and to look whether to stop.
    Tick,
}

/// Bits of the role in a packed token; what is left of the upper half bounds the slabs.
const ROLE_SHIFT: u32 = 60;
/// Most places in a slab whose keys go into tokens.
pub const SLOTS_MAX: u32 = 1 << 28;

impl Token {
    /// As the timers of the engine carry it.
    pub fn pack(self) -> u64 {
        let place = |role: u64, key: Key| role << ROLE_SHIFT | u64::from(key.slot) << 32 | u64::from(key.generation);
        match self {
            Token::Caller(key) => place(0, key),
            Token::Gateway(key) => place(1, key),
            Token::Start => 2 << ROLE_SHIFT,
            Token::Tick => 3 << ROLE_SHIFT,
        }
    }

    /// Back from the engine.
    pub fn unpack(packed: u64) -> Option<Token> {
        let [a, b, c, d, e, f, g, h] = packed.to_be_bytes();
        let key = Key { slot: u32::from_be_bytes([a & 0x0f, b, c, d]), generation: u32::from_be_bytes([e, f, g, h]) };
        Some(match packed >> ROLE_SHIFT {
            0 => Token::Caller(key),
            1 => Token::Gateway(key),
            2 => Token::Start,
            3 => Token::Tick,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_packing() {
        let key = Key { slot: SLOTS_MAX - 1, generation: u32::MAX };
        for token in [Token::Caller(key), Token::Gateway(key), Token::Start, Token::Tick] {
            assert_eq!(Token::unpack(token.pack()), Some(token));
        }
        assert_eq!(Token::unpack(u64::MAX), None);
    }
}
