//! `scripts/demo`: starts Tandem and two gateways on loopback, puts calls through it, kills a gateway in the
//! middle, brings it back, and says what became of every call. Exit code 0 only if all of it held.

#![forbid(unsafe_code)]

mod proof;
mod stage;
mod story;

use std::process::ExitCode;

fn main() -> ExitCode {
    match story::tell() {
        Ok(proofs) => proof::conclude(&proofs),
        Err(error) => {
            eprintln!("the demo could not go on: {error}");
            ExitCode::FAILURE
        }
    }
}
