//! `tandem-bench`: reads the command line, runs the workload, prints the summary.
//!
//! Exit code: 0 all as expected; 1 calls failed beyond what was allowed; 2 wrong usage; 3 could not
//! run.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use tandem_bench::{
    caller::Kind,
    cli::{Cli, Command, Format},
    report::summary::Summary,
    run::{self, RunError},
    setup::{EchoSetup, Setup, Workload},
};

const EXIT_FAILED_CALLS: u8 = 1;
const EXIT_USAGE: u8 = 2;
const EXIT_NOT_RUN: u8 = 3;

fn main() -> ExitCode {
    match serve(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tandem-bench: {error}");
            ExitCode::from(match error {
                RunError::Setup(_) => EXIT_USAGE,
                RunError::Launch(_) | RunError::Io(_) => EXIT_NOT_RUN,
            })
        }
    }
}

fn serve(command: Command) -> Result<ExitCode, RunError> {
    let setup = match command {
        Command::Call(args) => Setup::calls(Workload::Call, args)?,
        Command::CallStateless(args) => Setup::calls(Workload::CallStateless, args)?,
        Command::Cancel(args) => Setup::calls(Workload::Cancel, args)?,
        Command::Failover(args) => Setup::calls(Workload::Failover, args)?,
        Command::Overload(args) => Setup::calls(Workload::Overload, args)?,
        Command::Wholesale(args) => Setup::calls(Workload::Wholesale, args)?,
        Command::Options(args) => Setup::requests("options", Kind::Options, args)?,
        Command::Register(args) => Setup::registrations("register", args)?,
        Command::RegisterDigest(args) => Setup::registrations_with_digest(args)?,
        Command::Gateways(args) => Setup::gateways(args)?,
        Command::Echo(args) => {
            let setup = EchoSetup::new(args)?;
            let (format, max_failed) = (setup.shared.format, setup.max_failed);
            let summary = run::run_echo(setup)?;
            return Ok(conclude(&summary, format, max_failed, 0));
        }
    };
    let format = setup.shared.format;
    let (max_failed, max_lost) = match &setup.load {
        Some(load) => (load.max_failed, load.max_lost),
        None => (u64::MAX, u64::MAX),
    };
    let summary = run::run(setup)?;
    Ok(conclude(&summary, format, max_failed, max_lost))
}

/// Prints the summary and judges it.
fn conclude(summary: &Summary, format: Format, max_failed: u64, max_lost: u64) -> ExitCode {
    match format {
        Format::Text => print!("{summary}"),
        Format::Json => println!("{:#}", summary.json()),
    }
    let caller = &summary.totals.caller;
    if caller.failed() > max_failed || caller.lost() > max_lost {
        ExitCode::from(EXIT_FAILED_CALLS)
    } else {
        ExitCode::SUCCESS
    }
}
