//! `tandem shadow`: a candidate beside live traffic ([`crate::shadow`]), until it is promoted or dropped.
//!
//! A deck becomes an image here, not in the process that carries calls: the one in service with that deck replaced.

mod place;
mod show;

use super::client::{self, CallError, call, fail, print, print_reply};
use super::deck::{CandidateDeck, candidate_image};
use super::{Connection, Exit, Format, table};
use crate::reply::{Promoted, Shadow};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// The candidate: a configuration (TOML), an image of decks, or a deck, which replaces the one of its name in the
    /// image in service. Without it, what has come of the one in the shadow is shown.
    file: Option<PathBuf>,
    /// Which deck of the configuration in service FILE is [default: the one that has this file, or its name].
    #[arg(long, value_name = "NAME", requires = "file")]
    deck: Option<String>,
    /// Take the deck even if rows are odd, or it is empty, loses a fifth or moves far.
    #[arg(long, requires = "file")]
    force: bool,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args, Clone, Debug)]
struct Shown {
    /// Show it again every second, until interrupted.
    #[arg(long)]
    watch: bool,
    /// Rows of changes that are shown, those of the largest margin first.
    #[arg(long, default_value_t = 40, value_name = "N")]
    rows: usize,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show which calls would have gone elsewhere, and the margin before and after.
    Status(Shown),
    /// Take the candidate into service, all or nothing, by the checks of a reload, and put its file in place.
    Promote {
        /// Do it even if it empties a set or takes away more than half of all gateways.
        #[arg(long)]
        force: bool,
    },
    /// Take the candidate out of the shadow.
    Drop,
}

/// Between two looks with `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// First octets of an image of decks.
const IMAGE_MAGIC: &[u8; 8] = b"TANDECK\n";

pub(super) fn shadow(arguments: &Arguments) -> Exit {
    let connection = &arguments.connection;
    match (&arguments.command, &arguments.file) {
        (Some(Command::Status(shown)), _) => status(connection, shown),
        (Some(Command::Promote { force }), _) => promote(connection, *force),
        (Some(Command::Drop), _) => client::show(connection, "shadow.drop", &json!({}), |reply: &Shadow| {
            format!("dropped after {} calls: {}\n", reply.outcome.all.before.calls, reply.path.display())
        }),
        (None, Some(file)) => start(arguments, file),
        (None, None) => status(connection, &arguments.shown),
    }
}

fn start(arguments: &Arguments, file: &Path) -> Exit {
    let connection = &arguments.connection;
    let params = match candidate(arguments, file) {
        Ok(params) => params,
        Err(exit) => return exit,
    };
    match call(connection, "shadow.start", &params) {
        Err(error) => fail(connection.format, &error),
        Ok(_) if arguments.shown.watch => watch(connection, &arguments.shown),
        Ok(reply) => print_reply(connection.format, reply, |reply: &Shadow| {
            let next = "see what comes of it with `tandem shadow status`, then `promote` or `drop`";
            let note = reply.note.as_ref().map_or(String::new(), |note| format!("note: {note}\n"));
            format!("{} {} is in the shadow: {next}\n{note}", reply.kind, reply.path.display())
        }),
    }
}

/// The file as the running process is told of it; a deck is made an image first.
fn candidate(arguments: &Arguments, file: &Path) -> Result<Value, Exit> {
    let wrong = |error: std::io::Error| {
        eprintln!("tandem: {}: {error}", file.display());
        Exit::Failed
    };
    let whole = file.canonicalize().map_err(wrong)?;
    let mut magic = Vec::new();
    File::open(&whole).and_then(|file| file.take(8).read_to_end(&mut magic)).map_err(wrong)?;
    if magic == IMAGE_MAGIC {
        return Ok(json!({ "image": whole }));
    }
    if whole.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) {
        return Ok(json!({ "configuration": whole }));
    }
    let base = call(&arguments.connection, "shadow.base", &json!({}));
    let base = base.map_err(|error: CallError| fail(arguments.connection.format, &error))?;
    let config = base.get("configuration").and_then(Value::as_str).unwrap_or_default();
    let deck = CandidateDeck { file: &whole, name: arguments.deck.as_deref(), force: arguments.force };
    let image = candidate_image(Path::new(config), &deck)?;
    Ok(json!({ "image": image }))
}

fn status(connection: &Connection, shown: &Shown) -> Exit {
    if shown.watch {
        return watch(connection, shown);
    }
    client::show(connection, "shadow", &json!({ "rows": shown.rows }), show::status)
}

fn watch(connection: &Connection, shown: &Shown) -> Exit {
    loop {
        match call(connection, "shadow", &json!({ "rows": shown.rows })) {
            Ok(reply) => {
                // Home and clear to the end: less flicker than clearing first.
                let clear = connection.format == Format::Text && table::colour();
                let exit = match (clear, print_reply(connection.format, reply, |reply| show::cleared(reply, clear))) {
                    (_, Exit::Good) => None,
                    (_, other) => Some(other),
                };
                if let Some(exit) = exit {
                    return exit;
                }
            }
            Err(error) => return fail(connection.format, &error),
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn promote(connection: &Connection, force: bool) -> Exit {
    let reply = match call(connection, "shadow.promote", &json!({ "force": force })) {
        Ok(reply) => reply,
        Err(error) => return fail(connection.format, &error),
    };
    let promoted: Promoted = match serde_json::from_value(reply.clone()) {
        Ok(promoted) => promoted,
        Err(error) => {
            eprintln!("tandem: the running tandem is of another release: {error}");
            return Exit::Failed;
        }
    };
    let placed = promoted.in_place.as_ref().map(|place| place::put(&place.from, &place.to));
    let shown = match connection.format {
        Format::Json => print(&format!("{reply:#}\n")),
        Format::Text => print(&show::promoted(&promoted)),
    };
    match (promoted.in_place, placed) {
        (Some(place), Some(Err(error))) => {
            let (from, to) = (place.from.display(), place.to.display());
            eprintln!(
                "tandem: it is in service, but {to} is not replaced: {error}\n  copy {from} there before the next reload or start"
            );
            Exit::Failed
        }
        _ => shown,
    }
}
