//! `tandem replay`: calls of the past, from their records or a capture, through another configuration: offline, each at
//! its own time ([`crate::replay`]).

use super::client::print;
use super::explain::tables;
use super::{Exit, Format};
use crate::replay::judge::Judge;
use crate::replay::past::Past;
use crate::replay::source;
use crate::replay::tally::Tally;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Records of calls and attempts: the folder of `[records]`, or what `tandem cdr --kind all --format json` writes. Or a
    /// capture (pcap, pcapng) of SIP over UDP, made at any proxy.
    from: PathBuf,
    /// The other configuration; its image is built by `tandem deck build`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What calls went by before is this configuration's decision, not what the records or the capture say.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
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
    let judges = judge(&arguments.config).and_then(|(judge, currency)| {
        let before = arguments.before.as_deref().map(judge_of).transpose()?;
        Ok((judge, currency, before))
    });
    let (mut judge, currency, mut before) = match judges {
        Ok(judges) => judges,
        Err(exit) => return exit,
    };
    let mut tally = Tally::new(&currency);
    let within = |past: &Past| {
        let at = i64::try_from(past.at_us / 1_000_000).unwrap_or(i64::MAX);
        arguments.since.is_none_or(|since| at >= since) && arguments.until.is_none_or(|until| at < until)
    };
    let read = source::read(&arguments.from, &mut judge, &mut |judge, mut past| {
        if !within(&past) {
            return;
        }
        let now = judge.judge(&past);
        if let Some(before) = &mut before {
            let decision = before.judge(&past);
            past = past.decided_by(decision);
        }
        tally.add(&past, &now);
    });
    let rest = match read {
        Ok(rest) => rest,
        Err(error) => {
            eprintln!("tandem: {}: {error}", arguments.from.display());
            return Exit::Failed;
        }
    };
    let mut outcome = tally.outcome(arguments.rows, rest.odd);
    outcome.before_unpriced = rest.unpriced && before.is_none();
    outcome.notes = rest.notes;
    match arguments.format {
        Format::Text => print(&outcome.text()),
        Format::Json => print(&format!("{:#}\n", serde_json::json!(outcome))),
    }
}

/// By a configuration and its image, with the currency that it compares in.
fn judge(config: &Path) -> Result<(Judge, String), Exit> {
    let judge = Judge::new(Arc::new(tables(config)?));
    match judge.currency().map(str::to_owned) {
        Some(currency) => Ok((judge, currency)),
        None => {
            eprintln!("tandem: {} has no [[customer]]: its calls go by [[route]]", config.display());
            Err(Exit::Failed)
        }
    }
}

fn judge_of(config: &Path) -> Result<Judge, Exit> {
    judge(config).map(|(judge, _)| judge)
}
