//! Any datagram: no panic, spans inside, parse ∘ print ∘ parse a fixed point.

#![no_main]

#[path = "../../tests/exercise/mod.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| {
    let _ = exercise::datagram(datagram);
});
