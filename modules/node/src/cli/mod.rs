//! The command line: what can be typed, and where it goes.
//!
//! `run` and `check` work on a file; all other commands are calls over the control socket of a running
//! Tandem ([`client`]), shown as a table or, with `--format json`, as the reply itself.

mod accounts;
mod bans;
mod calls;
mod cdr;
mod check;
mod client;
mod credit;
mod deck;
mod doctor;
mod exit;
mod explain;
mod gateways;
mod generate;
mod import;
mod pages;
mod registrations;
mod replay;
mod shadow;
mod show;
mod sources;
mod stats;
pub(crate) mod table;

pub use exit::Exit;
pub(crate) use table::colour_on_stderr;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// SIP signalling proxy for carriers.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Carry calls as a configuration file says.
    ///
    /// SIGHUP reads the file again. SIGUSR1 opens the log file anew, after it was renamed. SIGTERM and SIGINT refuse new calls, let open transactions finish
    /// and end the process, at the latest after `drain_seconds`; a second one ends it at once.
    Run {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Prove a configuration file before it goes live. Exit code 0: good, 78: bad.
    Check(check::Arguments),
    /// Say what on this host costs calls, and what to do about it; changes nothing.
    ///
    /// Exit code 0: nothing costs calls, 1: something does, 2: wrong usage, 78: the configuration is bad.
    Doctor(doctor::Arguments),
    /// Check, compile and ask rate decks.
    #[command(subcommand)]
    Deck(deck::Command),
    /// Explain what becomes of a customer's call: whose it is, every vendor with its price, and why it stands where it does.
    Explain(explain::Arguments),
    /// Send recorded calls through another configuration, offline, each at its own time: what changes, per vendor and
    /// destination.
    Replay(replay::Arguments),
    /// Evaluate another configuration or deck beside live traffic: which calls would go elsewhere, at which margin; then
    /// promote or drop it.
    Shadow(shadow::Arguments),
    /// Make a configuration of another program's.
    #[command(subcommand)]
    Import(import::Command),
    /// Show, follow, export and add up records of calls.
    Cdr(cdr::Arguments),
    /// Show the gateways, or take one out of use and back.
    Gateways(gateways::Arguments),
    /// Live calls: list, count, end one.
    Calls(calls::Arguments),
    /// Show who is registered, count them, or take one away.
    Registrations(registrations::Arguments),
    /// Show who was refused: the answer to "we send you calls and you see nothing".
    Sources(sources::Arguments),
    /// Show messages, transactions, drops by reason and the shards' times.
    Stats(stats::Arguments),
    /// Keep the accounts of the embedded database.
    Accounts(accounts::Arguments),
    /// Show who is shut out for failed proofs, and let them in again.
    Bans(bans::Arguments),
    /// Show what customers have paid in and spent; pay in.
    Credit(credit::Arguments),
    /// Read the configuration file again: all or nothing, nothing if it is bad.
    Reload(ReloadArguments),
    /// Let callers move away: OPTIONS get 503 at once, new calls after `drain_new_calls_seconds`.
    Drain(Connection),
    /// Take a drain back.
    Undrain(Connection),
    /// Write completions for a shell to standard output.
    #[command(hide = true)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder.
    #[command(hide = true)]
    ManualPages {
        /// The folder; made if it is missing.
        folder: PathBuf,
    },
}

/// How a running Tandem is reached, and how its answer is shown.
#[derive(Args, Clone, Debug)]
struct Connection {
    /// Control socket of the running tandem [default: as for `run`: below /run or the user's runtime directory].
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
}

/// Form of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document, for programs.
    Json,
}

#[derive(Args, Debug)]
struct ReloadArguments {
    #[command(flatten)]
    connection: Connection,
    /// Do it even if it empties a set or takes away more than half of all gateways.
    #[arg(long)]
    force: bool,
    /// Go back to the last good configuration before the one in service.
    #[arg(long)]
    previous: bool,
}

/// Runs the command line of this process.
pub fn main() -> Exit {
    match Cli::try_parse().and_then(Cli::consistent) {
        Ok(cli) => cli.run(),
        Err(error) => {
            // WHY: --help and --version come this way too, and are no mistake.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Good }
        }
    }
}

impl Cli {
    fn consistent(self) -> Result<Self, clap::Error> {
        let contradiction = match &self.command {
            Command::Gateways(arguments) => arguments.contradiction(),
            _ => None,
        };
        match contradiction {
            Some(why) => Err(Cli::command().error(clap::error::ErrorKind::ArgumentConflict, why)),
            None => Ok(self),
        }
    }

    fn run(self) -> Exit {
        match self.command {
            Command::Run { config } => crate::run::run(&config),
            Command::Check(arguments) => check::check(&arguments),
            Command::Doctor(arguments) => doctor::doctor(&arguments),
            Command::Deck(command) => deck::deck(&command),
            Command::Explain(arguments) => explain::explain(&arguments),
            Command::Import(command) => import::import(&command),
            Command::Cdr(arguments) => cdr::cdr(&arguments),
            Command::Gateways(arguments) => gateways::gateways(&arguments),
            Command::Calls(arguments) => calls::calls(&arguments),
            Command::Shadow(arguments) => shadow::shadow(&arguments),
            Command::Replay(arguments) => replay::replay(&arguments),
            Command::Registrations(arguments) => registrations::registrations(&arguments),
            Command::Sources(arguments) => sources::sources(&arguments),
            Command::Stats(arguments) => stats::stats(&arguments),
            Command::Accounts(arguments) => accounts::accounts(&arguments),
            Command::Bans(arguments) => bans::bans(&arguments),
            Command::Credit(arguments) => credit::credit(&arguments),
            Command::Reload(arguments) => {
                let params = serde_json::json!({ "force": arguments.force, "previous": arguments.previous });
                client::show(&arguments.connection, "reload", &params, show::reload)
            }
            Command::Drain(connection) => client::show(&connection, "drain", &serde_json::json!({}), show::drain),
            Command::Undrain(connection) => client::show(&connection, "undrain", &serde_json::json!({}), show::drain),
            Command::Completions { shell } => generate::completions(shell),
            Command::ManualPages { folder } => generate::manual_pages(&folder),
        }
    }
}

#[cfg(test)]
mod tests;
