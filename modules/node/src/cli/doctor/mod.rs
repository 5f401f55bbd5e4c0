//! `tandem doctor`: reads the host and says what costs calls. Changes nothing.
//!
//! Each check reads a part of the [`Host`] and holds it against the [`Demand`] of the configuration; what it
//! says is a list of [`Finding`]s, those included that are fine, so that one sees what was looked at.
//! To add a check: a file with `check`, and a line in [`CHECKS`].

mod cards;
mod demand;
mod finding;
mod firewall;
mod host;
mod kernel;
mod memory;
mod processor;
mod receive;
mod report;
mod ruleset;

use super::client::print;
use super::{Exit, Format, colour_on_stderr, table};
use clap::Args;
use demand::Demand;
use finding::Finding;
use host::Host;
use report::Groups;
use std::path::PathBuf;
use tuning::Environment;

/// Exit code 0: nothing costs calls, 1: something does, 2: wrong usage, 78: the configuration is bad.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The configuration that the host is held against [default: port 5060, a shard for each core].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Form of the findings.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print the remedies as a commented shell script. Exit code 0 whatever it contains.
    #[arg(long, conflicts_with = "format")]
    print_script: bool,
}

type Check = fn(&Host, &Demand) -> Vec<Finding>;

/// All checks with their titles, in the order of a datagram's way.
const CHECKS: &[(&str, Check)] = &[
    ("network cards", cards::check),
    ("receiving", receive::check),
    ("firewall", firewall::check),
    ("processors", processor::check),
    ("memory", memory::check),
    ("kernel and clock", kernel::check),
];

fn examine(host: &Host, demand: &Demand) -> Groups {
    CHECKS.iter().map(|(title, check)| (*title, check(host, demand))).collect()
}

/// What the findings are held against, as a line.
fn subject(demand: &Demand, config: Option<&PathBuf>) -> String {
    let shards = match demand.cores.len() {
        1 => "1 shard on core".to_owned(),
        count => format!("{count} shards on cores"),
    };
    let origin =
        config.map_or("no configuration given, defaults assumed".to_owned(), |file| file.display().to_string());
    format!("{shards} {}, UDP port {} ({origin})", demand.cores_in_words(), demand.ports_in_words())
}

pub(super) fn doctor(arguments: &Arguments) -> Exit {
    let host = Host::this();
    let environment = demand::environment(&host.files);
    // WHY the unknown host: what does not fit is a finding here, not a reason to say nothing else.
    let loaded = match &arguments.config {
        Some(file) => {
            tuning::load_against(file, &Environment { cores: environment.cores.clone(), ..Environment::of_this_host() })
        }
        None => tuning::parse(demand::ASSUMED, "defaults", &Environment::unknown()),
    };
    let config = match loaded {
        Ok(loaded) => loaded.config,
        Err(diagnostics) => {
            eprint!("{}", diagnostics.render(colour_on_stderr()));
            return Exit::BadConfiguration;
        }
    };
    let demand = Demand::of(&config, &environment);
    let groups = examine(&host, &demand);
    let subject = subject(&demand, arguments.config.as_ref());
    if arguments.print_script {
        return print(&report::script(&subject, &groups));
    }
    let shown = match arguments.format {
        Format::Text => print(&report::text(&subject, &groups, table::colour())),
        Format::Json => print(&format!("{:#}\n", report::json(&subject, &groups))),
    };
    match shown {
        Exit::Good if report::count(&groups) > 0 => Exit::Failed,
        other => other,
    }
}

#[cfg(test)]
mod tests;
