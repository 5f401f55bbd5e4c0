//! Any octets that a network card may deliver: no panic, and what is accepted is right.

#![no_main]

#[path = "../../tests/xdp/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| exercise::frame(octets));
