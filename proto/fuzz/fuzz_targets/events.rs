//! A sequence of messages, timers, errors and hand-overs, and the invariants of a proxy: `events::bytes::events_of` says
//! which byte is what.

#![no_main]

#[path = "../../tests/events/mod.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod events;
#[path = "../../tests/proxy/rig.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod rig;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (capacity, events) = events::bytes::events_of(input);
    events::run(capacity, &events);
});
