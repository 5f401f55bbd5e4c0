//! `tandem cdr`: records of calls from the files of `[records]`: followed, asked by time, party, cause and Call-ID,
//! exported, added up. Needs no running Tandem.

pub(super) mod story;
mod totals;

use super::client::print;
use super::table::{Align, Column, Text, colour, render};
use super::{Exit, colour_on_stderr};
use crate::records::reader::{Mark, Reader, Told};
use crate::records::shown;
use clap::{Args, ValueEnum};
use modules::records::Field;
use modules::records::field::{find, number};
use modules::records::record::RecordKind;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// Only what ended from this time on.
    #[arg(long, value_name = "TIME", value_parser = super::deck::moment)]
    since: Option<i64>,
    /// Only what ended before this time.
    #[arg(long, value_name = "TIME", value_parser = super::deck::moment)]
    until: Option<i64>,
    /// Only of this customer.
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// Only of this vendor.
    #[arg(long, value_name = "NAME")]
    vendor: Option<String>,
    /// Only with this number as the beginning of the caller's or the called one, with its country code.
    #[arg(long, value_name = "NUMBER")]
    party: Option<String>,
    /// Only with this SIP code, our own cause or Q.850 cause.
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Only of this Call-ID.
    #[arg(long, value_name = "ID")]
    call_id: Option<String>,
    /// What is shown.
    #[arg(long, value_enum, default_value_t)]
    kind: Wanted,
    /// Go on with what is recorded from now on.
    #[arg(long)]
    follow: bool,
    /// Add up instead: calls, answers, seconds, income, cost and margin by customer and vendor; and say where records are
    /// missing.
    #[arg(long, conflicts_with = "follow")]
    totals: bool,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

/// Where the files are.
#[derive(Args, Debug)]
pub(super) struct Folder {
    /// The configuration, which says where they are.
    #[arg(long, value_name = "FILE", required_unless_present = "dir")]
    config: Option<PathBuf>,
    /// Their folder.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Calls, and BYEs for calls that are not known.
    #[default]
    Calls,
    /// Attempts.
    Attempts,
    /// Everything.
    All,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
    /// Comma-separated values, with a line of names before them.
    Csv,
}

/// Between two looks at the files when following.
const FOLLOW_PACE: Duration = Duration::from_millis(200);

const COLUMNS: &[Column] = &[
    ("setup", Align::Left),
    ("customer", Align::Left),
    ("vendor", Align::Left),
    ("caller", Align::Left),
    ("called", Align::Left),
    ("code", Align::Right),
    ("cause", Align::Left),
    ("seconds", Align::Right),
    ("margin", Align::Right),
    ("closed by", Align::Left),
    ("call-id", Align::Left),
];

impl Folder {
    /// Where the records are that a configuration asks for.
    pub(super) fn of_config(file: &Path) -> Result<PathBuf, Exit> {
        Folder { config: Some(file.to_owned()), dir: None }.path()
    }

    /// The folder.
    pub(super) fn path(&self) -> Result<PathBuf, Exit> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        let Some(file) = &self.config else { return Err(Exit::Usage) };
        let loaded = tuning::load(file).map_err(|diagnostics| {
            eprint!("{}", diagnostics.render(colour_on_stderr()));
            Exit::BadConfiguration
        })?;
        let records = loaded.config.records.on().map(|records| records.dir.clone());
        records.ok_or_else(|| {
            eprintln!("tandem: {} has no [records]: calls are not recorded", file.display());
            Exit::Failed
        })
    }
}

pub(super) fn cdr(arguments: &Arguments) -> Exit {
    let folder = match arguments.folder.path() {
        Ok(folder) => folder,
        Err(exit) => return exit,
    };
    let done = if arguments.totals {
        totals::show(&folder, arguments.format == Form::Json, |told| arguments.wants(told))
    } else {
        show(&folder, arguments)
    };
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("tandem: {}: {error}", folder.display());
            Exit::Failed
        }
        _ => Exit::Good,
    }
}

fn show(folder: &Path, arguments: &Arguments) -> io::Result<()> {
    let mut reader = Reader::new(folder, Mark::default());
    let mut out = Lines::new(arguments.format)?;
    if arguments.follow && arguments.since.is_none() {
        // What there is already is not wanted.
        while reader.portion()?.is_some() {}
    }
    loop {
        while let Some(portion) = reader.portion()? {
            let beside = portion.span().is_some_and(|(first, last)| arguments.is_beside(first, last));
            for told in portion.records().filter(|told| !beside && arguments.wants(told)) {
                out.put(&told)?;
            }
            out.flush()?;
        }
        if !arguments.follow {
            return out.end();
        }
        std::thread::sleep(FOLLOW_PACE);
    }
}

impl Arguments {
    /// Whether nothing that was written between two moments (µs since 1970) is wanted.
    fn is_beside(&self, first: u64, last: u64) -> bool {
        let us = |second: i64| u64::try_from(second).unwrap_or(0).saturating_mul(1_000_000);
        self.since.is_some_and(|since| last < us(since)) || self.until.is_some_and(|until| first >= us(until))
    }

    fn wants(&self, told: &Told<'_>) -> bool {
        let record = &told.record;
        let kind = match self.kind {
            Wanted::Calls => matches!(record.kind, RecordKind::Call | RecordKind::Orphan),
            Wanted::Attempts => record.kind == RecordKind::Attempt,
            Wanted::All => record.sequence > 0,
        };
        let is = |field: Field, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| find(record.fields, field) == Some(wanted.as_bytes()))
        };
        kind && !self.is_beside(record.at, record.at)
            && is(Field::Customer, &self.customer)
            && is(Field::Vendor, &self.vendor)
            && is(Field::CallId, &self.call_id)
            && self.party.as_ref().is_none_or(|party| has_party(record.fields, party))
            && self.cause.as_ref().is_none_or(|cause| has_cause(record.fields, cause))
    }
}

fn has_party(fields: &[u8], party: &str) -> bool {
    let party = party.trim_start_matches('+').as_bytes();
    let begins = |field| find(fields, field).is_some_and(|number| number.starts_with(party));
    begins(Field::Caller) || begins(Field::Called)
}

fn has_cause(fields: &[u8], cause: &str) -> bool {
    let is_code = cause.parse().is_ok_and(|code: u64| number(fields, Field::Status) == Some(code));
    let own = find(fields, Field::Cause) == Some(cause.as_bytes());
    let reason = String::from_utf8_lossy(find(fields, Field::Reason).unwrap_or_default()).to_ascii_lowercase();
    let q850 = reason.split(',').filter(|reason| reason.trim_start().starts_with("q.850"));
    let mut q850 = q850.flat_map(|reason| reason.split(';').filter_map(|part| part.trim().strip_prefix("cause=")));
    is_code || own || q850.any(|value| value.trim() == cause)
}

/// Records as lines, in the form that is wanted.
enum Lines {
    Text(Vec<Vec<Text>>),
    Json(io::BufWriter<io::Stdout>),
    Csv(Box<csv::Writer<io::Stdout>>),
}

impl Lines {
    fn new(form: Form) -> io::Result<Self> {
        Ok(match form {
            Form::Text => Lines::Text(Vec::new()),
            Form::Json => Lines::Json(io::BufWriter::new(io::stdout())),
            Form::Csv => {
                let mut writer = csv::Writer::from_writer(io::stdout());
                writer.write_record(shown::columns())?;
                Lines::Csv(Box::new(writer))
            }
        })
    }

    fn put(&mut self, told: &Told<'_>) -> io::Result<()> {
        match self {
            Lines::Text(rows) => {
                rows.push(row(told));
                Ok(())
            }
            Lines::Json(out) => writeln!(out, "{}", shown::json(told)),
            Lines::Csv(writer) => writer.write_record(shown::row(told)).map_err(Into::into),
        }
    }

    /// What has been put is shown. A table is shown in parts, so that one that is followed is seen.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Lines::Text(rows) if rows.is_empty() => Ok(()),
            Lines::Text(rows) => {
                let table = render(COLUMNS, rows, colour());
                rows.clear();
                io::stdout().write_all(table.as_bytes())
            }
            Lines::Json(out) => out.flush(),
            Lines::Csv(writer) => writer.flush(),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        print("");
        Ok(())
    }
}

fn row(told: &Told<'_>) -> Vec<Text> {
    let fields = told.record.fields;
    let text = |field| shown::text(told, field);
    let cell = |field: Field| number(fields, field).map_or_else(String::new, |number| number.to_string());
    let seconds = number(fields, Field::Duration)
        .map_or_else(String::new, |us| format!("{}.{:03}", us / 1_000_000, us / 1_000 % 1_000));
    let margin = find(fields, Field::Margin).and_then(modules::records::field::as_decimal);
    let margin = margin.map_or_else(String::new, |margin| format!("{margin} {}", text(Field::Currency)));
    let setup = number(fields, Field::Setup).unwrap_or(told.record.at);
    vec![
        shown::time(setup).into(),
        text(Field::Customer).into(),
        text(Field::Vendor).into(),
        text(Field::Caller).into(),
        text(Field::Called).into(),
        cell(Field::Status).into(),
        if told.record.kind == RecordKind::Orphan { "orphan".into() } else { text(Field::Cause).into() },
        seconds.into(),
        margin.into(),
        text(Field::ClosedBy).into(),
        text(Field::CallId).into(),
    ]
}
