//! `tandem deck`: reads, compares, compiles and asks rate decks. Works on files alone, not on a running
//! Tandem.

mod build;
mod candidate;
mod check;
mod options;
mod report;
mod rollback;
mod show;

pub(super) use build::build_image;
pub(super) use candidate::{CANDIDATE_ENDING, CandidateDeck, candidate_image};
pub(super) use options::moment;

use super::Exit;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read a deck as a vendor sends it: every odd row with its line, statistics, changes.
    ///
    /// Exit code 0: good, 78: rows are odd, or it changes more than can be meant.
    Check(check::Arguments),
    /// Compile decks into one image. Exit code 0: written, 78: a deck was refused, nothing written.
    Build(build::Arguments),
    /// Put back the image before the last build, and have the running Tandem take it into service.
    Rollback(rollback::Arguments),
    /// Show the decks of an image, or what each says about a number and why.
    #[command(visible_alias = "price")]
    Show(show::Arguments),
}

pub(super) fn deck(command: &Command) -> Exit {
    match command {
        Command::Check(arguments) => check::check(arguments),
        Command::Build(arguments) => build::build(arguments),
        Command::Rollback(arguments) => rollback::rollback(arguments),
        Command::Show(arguments) => show::show(arguments),
    }
}

/// Says why nothing was done.
fn fail(why: impl std::fmt::Display) -> Exit {
    eprintln!("tandem: {why}");
    Exit::Failed
}

/// Now, in seconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
