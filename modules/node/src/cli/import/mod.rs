//! `tandem import`: what another program's configuration becomes here. Works on files and databases alone.

mod bindings;
mod database;
mod kamailio;
mod read;
mod write;

use super::Exit;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a configuration, decks, accounts and bindings of Kamailio's tables and lists.
    ///
    /// Says what was taken, what has no counterpart, and what would behave otherwise and why. Exit code 0: written,
    /// and `tandem check` accepts it; 1: not; 78: written, and it has to be corrected first.
    Kamailio(kamailio::Arguments),
}

pub(super) fn import(command: &Command) -> Exit {
    match command {
        Command::Kamailio(arguments) => kamailio::import(arguments),
    }
}
