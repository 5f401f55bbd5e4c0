//! `tandem import kamailio`: reads, translates, writes, checks what it wrote, and reports.

use super::{read, write};
use crate::cli::client::print;
use crate::cli::{Exit, Format, colour_on_stderr};
use ::kamailio::read::script::Script;
use ::kamailio::report::{Kind, Report};
use ::kamailio::{Given, translate};
use clap::Args;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// What is read: a `dispatcher.list`, a folder of dbtext, a dump (mysqldump, pg_dump), or a database
    /// (`postgres://user@host/kamailio`, `mysql://user:password@host/kamailio`). Several are taken together.
    #[arg(required = true)]
    from: Vec<String>,
    /// The folder that is written: tandem.toml, decks, image, accounts, bindings, report.
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    /// kamailio.cfg: says which algorithms were used, whether gateways were probed and failover worked.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// The file of `permissions` (`address_file`), if addresses are not in a database.
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
    /// Address to listen on [default: as the script listens].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<String>,
    /// Who may send, beside the tables: an address, a prefix, or `any`.
    #[arg(long, value_name = "PREFIX")]
    source: Vec<String>,
    /// Kamailio's algorithm of the dispatcher's sets: a number for all, or `SET=NUMBER`.
    #[arg(long, value_name = "[SET=]NUMBER", value_parser = algorithm)]
    algorithm: Vec<(Option<i64>, i64)>,
    /// Keep hash choices (algorithms 0 to 3 and 7) bit for bit as Kamailio makes them.
    #[arg(long)]
    compat: bool,
    /// Domain of users that have none.
    #[arg(long)]
    domain: Option<String>,
    /// Zone of times that databases write as dates: that of Kamailio's host [default: this host's].
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Write into a folder that has an import already.
    #[arg(long)]
    force: bool,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn algorithm(text: &str) -> Result<(Option<i64>, i64), String> {
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| format!("`{text}` is no number"));
    match text.split_once('=') {
        Some((set, algorithm)) => Ok((Some(number(set)?), number(algorithm)?)),
        None => Ok((None, number(text)?)),
    }
}

pub(super) fn import(arguments: &Arguments) -> Exit {
    match run(arguments) {
        Ok(exit) => exit,
        Err(why) => {
            eprintln!("tandem: {why}");
            Exit::Failed
        }
    }
}

fn run(arguments: &Arguments) -> Result<Exit, String> {
    let mut report = Report::default();
    let tables = read::all(&arguments.from, arguments.address_file.as_deref(), &mut report)?;
    let script = match &arguments.script {
        Some(path) => Script::read(&read::text(path)?),
        None => Script::default(),
    };
    let zone = match &arguments.timezone {
        Some(name) => TimeZone::get(name).map_err(|error| error.to_string())?,
        None => TimeZone::system(),
    };
    let folder = write::Folder::make(&arguments.output, arguments.force)?;
    let algorithms: BTreeMap<i64, i64> =
        arguments.algorithm.iter().filter_map(|(set, number)| Some(((*set)?, *number))).collect();
    let made = translate(&Given {
        tables: &tables,
        script: &script,
        listen: &arguments.listen,
        sources: &arguments.source,
        algorithm: arguments.algorithm.iter().find(|(set, _)| set.is_none()).map(|(_, number)| *number),
        algorithms: &algorithms,
        compat: arguments.compat,
        domain: arguments.domain.as_deref(),
        folder: folder.path()?,
        now: jiff::Timestamp::now().as_second(),
        zone: &zone,
    })?;
    for line in made.report.lines() {
        report.push(line.clone());
    }
    folder.accounts(&made.subscribers, arguments.domain.as_deref(), &mut report)?;
    folder.bindings(&made.bindings, &made.listen, &mut report)?;
    let verdict = folder.configuration(&made.toml, &made.decks)?;
    folder.report(&report.text())?;
    let good = verdict.is_ok();
    let shown = match arguments.format {
        Format::Text => {
            if let Err(diagnostics) = &verdict {
                eprint!("{}", diagnostics.render(colour_on_stderr()));
            }
            let path = folder.configuration_path();
            let next =
                if good { "is good: see `tandem check`, then `tandem run --config`" } else { "has to be corrected" };
            print(&format!("{}\n{} {next}\n", report.text(), path.display()))
        }
        Format::Json => print(&format!("{:#}\n", json(&report, verdict.as_ref().err(), &folder))),
    };
    Ok(if good { shown } else { Exit::BadConfiguration })
}

fn json(report: &Report, bad: Option<&tuning::Diagnostics>, folder: &write::Folder) -> serde_json::Value {
    let lines = |kind: Kind| -> Vec<serde_json::Value> {
        let line = |line: &::kamailio::report::Line| serde_json::json!({ "subject": line.subject, "text": line.text, "rows": line.rows });
        report.of(kind).map(line).collect()
    };
    let mut document = serde_json::Map::new();
    for kind in Kind::ALL {
        document.insert(kind.word().to_owned(), lines(kind).into());
    }
    document.insert("configuration".to_owned(), folder.configuration_path().display().to_string().into());
    document.insert("findings".to_owned(), bad.map_or(serde_json::Value::Null, tuning::Diagnostics::to_json));
    document.into()
}
