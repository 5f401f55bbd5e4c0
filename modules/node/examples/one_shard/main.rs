//! The work of one whole shard without a kernel: what `bench` measures and counts of it.
//!
//! ```text
//! one_shard calls|registers [--FLAG NUMBER]...
//! ```
//!
//! WHY one program: each is linked with all of Tandem, optimised as a whole.
#![allow(clippy::unwrap_used, reason = "a measuring instrument may panic")]

mod calls;
#[path = "../../tests/composed/mod.rs"]
mod composed;
mod registers;

use std::collections::HashMap;

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let (what, flags) = given.split_first().unwrap();
    let flag = |pair: &[String]| (pair[0].trim_start_matches("--").to_owned(), pair[1].parse().unwrap());
    let flags: HashMap<String, u64> = flags.chunks(2).map(flag).collect();
    match what.as_str() {
        "calls" => calls::run(&flags),
        "registers" => registers::run(&flags),
        other => panic!("{other}: calls or registers"),
    }
}
