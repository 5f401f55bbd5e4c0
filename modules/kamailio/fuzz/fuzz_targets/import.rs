//! Files of every kind, read and translated: nothing panics, nothing is larger than its file allows.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| kamailio::trial::import(octets));
