//! `tandem replay`: calls of the past, from their records, through another configuration: offline, each at its own time.
//!
//! What is decided is decided by the code of the path. A vendor that failed a call when it was made fails it again, so
//! that what changes is the configuration's doing and not a gateway's bad hour. Caps, credit and quality are the running
//! process's and are not replayed; chance among equals is drawn from a seed.

use super::client::print;
use super::explain::tables;
use super::{Exit, Format};
use crate::replay::judge::Judge;
use crate::replay::past::{self, Past};
use crate::replay::tally::Tally;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Records of calls and attempts: the folder of `[records]`, or what `tandem cdr --kind all --format json` writes.
    from: PathBuf,
    /// The other configuration; its image is built by `tandem deck build`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only calls from this time on.
    #[arg(long, value_name = "TIME", value_parser = super::deck::moment)]
    since: Option<i64>,
    /// Only calls before this time.
    #[arg(long, value_name = "TIME", value_parser = super::deck::moment)]
    until: Option<i64>,
    /// Rows of changes that are shown, those of the largest margin first.
    #[arg(long, default_value_t = 40, value_name = "N")]
    rows: usize,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn replay(arguments: &Arguments) -> Exit {
    let tables = match tables(&arguments.config) {
        Ok(tables) => tables,
        Err(exit) => return exit,
    };
    let mut judge = Judge::new(Arc::new(tables));
    let Some(mut tally) = judge.currency().map(Tally::new) else {
        eprintln!("tandem: {} has no [[customer]]: its calls go by [[route]]", arguments.config.display());
        return Exit::Failed;
    };
    let within = |past: &Past| {
        let at = i64::try_from(past.at_us / 1_000_000).unwrap_or(i64::MAX);
        arguments.since.is_none_or(|since| at >= since) && arguments.until.is_none_or(|until| at < until)
    };
    let read = past::read(&arguments.from, &mut |past| {
        if within(&past) {
            let now = judge.judge(&past);
            tally.add(&past, &now);
        }
    });
    match read {
        Err(error) => {
            eprintln!("tandem: {}: {error}", arguments.from.display());
            Exit::Failed
        }
        Ok(odd) => {
            let outcome = tally.outcome(arguments.rows, odd);
            match arguments.format {
                Format::Text => print(&outcome.text()),
                Format::Json => print(&format!("{:#}\n", serde_json::json!(outcome))),
            }
        }
    }
}
