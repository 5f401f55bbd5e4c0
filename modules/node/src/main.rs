//! The program `tandem`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// WHY: shards allocate at start only, lanes all the time; this one keeps their heaps apart.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tandem::cli::main().into()
}
