//! What must have held, and the last lines of the demo.

use std::process::ExitCode;

/// One thing that must hold.
pub(crate) struct Proof {
    /// What it is.
    pub(crate) what: &'static str,
    /// What was seen.
    pub(crate) seen: String,
    /// Whether it held.
    pub(crate) held: bool,
}

impl Proof {
    /// One thing that was looked at.
    pub(crate) fn new(what: &'static str, seen: impl Into<String>, held: bool) -> Proof {
        Proof { what, seen: seen.into(), held }
    }
}

/// Prints all of them; success only if all held.
pub(crate) fn conclude(proofs: &[Proof]) -> ExitCode {
    println!("\n  What must hold, and what was seen");
    for proof in proofs {
        let mark = if proof.held { "ok " } else { "NOT" };
        println!("    {mark}  {:<52} {}", proof.what, proof.seen);
    }
    let held = proofs.iter().all(|proof| proof.held);
    println!("\n  {}\n", if held { "All of it held." } else { "Not all of it held." });
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
