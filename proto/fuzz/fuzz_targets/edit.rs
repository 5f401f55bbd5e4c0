//! A script of edits, and the datagram they are done to: [`exercise::split_script`] says which is which.

#![no_main]

#[path = "../../tests/exercise/mod.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (script, datagram) = exercise::split_script(input);
    exercise::edit::message(datagram, script);
});
