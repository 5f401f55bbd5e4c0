//! Finds the transaction of a request among many, a given number of times: the key (RFC 3261 §17.2.3)
//! is made from a message that was read, then looked up as a shard does.
//!
//! ```text
//! cargo build --release -p proto --example find_transaction
//! target/release/examples/find_transaction 1000000      # ns a look-up
//! ```

#![allow(clippy::unwrap_used, reason = "an example may panic")]

use proto::hash::Secret;
use proto::message::{Arena, Message};
use proto::pool::{Index, Slab};
use proto::transaction::Key;
use std::hint::black_box;
use std::time::Instant;

/// Transactions in the table: what a shard keeps at 2,000 calls a second.
const OPEN: u32 = 100_000;
/// Different requests that are looked for in turn; they lie far from each other in the table.
const REQUESTS: u32 = 64;
const SECRET: Secret = Secret([7; 16]);

/// A shard's table, and the requests whose transactions are in it.
pub(crate) struct Table {
    index: Index,
    keys: Slab<Key>,
    requests: Vec<String>,
}

fn request(number: u32) -> String {
    format!(
        "INVITE sip:+4930123456789@198.51.100.20 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bK-524287-{number}-3f9c2a7be1d04f58;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:+442071234567@203.0.113.10>;tag=8f2b{number}\r\n\
         To: <sip:+4930123456789@198.51.100.20>\r\nCall-ID: {number}-5b3a4e649c1e@203.0.113.10\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:203.0.113.10>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn key(message: &Message<'_>) -> Key {
    Key::of(&SECRET, message, &message.top_via().unwrap())
}

impl Table {
    /// A table with [`OPEN`] transactions.
    pub(crate) fn filled() -> Self {
        let mut arena = Arena::new();
        let mut table = Table { index: Index::new(OPEN), keys: Slab::new(OPEN), requests: Vec::new() };
        for number in 0..OPEN {
            let key = if number.is_multiple_of(OPEN / REQUESTS) {
                let text = request(number);
                let key = key(&Message::parse(text.as_bytes(), &mut arena).unwrap());
                table.requests.push(text);
                key
            } else {
                // As evenly spread as a keyed hash, and quicker made than a message.
                Key(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
            };
            let place = table.keys.insert(key).unwrap();
            assert!(table.index.insert(key.id(), place));
        }
        table
    }

    fn find(&self, message: &Message<'_>) -> Option<u32> {
        let key = key(message);
        self.index.find(key.id(), |place| self.keys.get(place) == Some(&key))
    }

    /// Looks `times` up; the reading of the requests is no part of it. Gives the seconds that it took.
    pub(crate) fn look_up(&self, times: u64) -> f64 {
        let mut arenas: Vec<Arena> = self.requests.iter().map(|_| Arena::new()).collect();
        let texts = self.requests.iter().zip(&mut arenas);
        let messages: Vec<_> = texts.map(|(text, arena)| Message::parse(text.as_bytes(), arena).unwrap()).collect();
        let mut in_turn = messages.iter().cycle();
        let started = Instant::now();
        for _ in 0..times {
            let message = in_turn.next().unwrap();
            assert!(black_box(self.find(black_box(message))).is_some());
        }
        started.elapsed().as_secs_f64()
    }
}

fn main() {
    let times = std::env::args().nth(1).map_or(1_000_000, |times| times.parse().unwrap());
    let seconds = Table::filled().look_up(times);
    println!("{times} look-ups among {OPEN}, {:.0} ns each", seconds * 1e9 / times as f64);
}
