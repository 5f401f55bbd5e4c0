//! `tandem check`: is this file good?

use super::client::print;
use super::{Exit, Format, colour_on_stderr};
use clap::Args;
use std::path::PathBuf;
use tuning::{Diagnostics, Loaded};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The configuration.
    #[arg(required_unless_present = "schema")]
    file: Option<PathBuf>,
    /// Form of the findings.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Print the effective configuration, with every default.
    #[arg(long)]
    print: bool,
    /// Print the JSON Schema of the file, for editors, and end.
    #[arg(long, exclusive = true)]
    schema: bool,
}

/// Findings go to standard error for people, to standard output as JSON.
pub(super) fn check(arguments: &Arguments) -> Exit {
    let Some(file) = arguments.file.as_deref().filter(|_| !arguments.schema) else {
        return print(&format!("{:#}\n", tuning::json_schema()));
    };
    match tuning::load(file) {
        Ok(loaded) => good(arguments, &loaded),
        Err(diagnostics) => {
            report(arguments.format, &diagnostics);
            Exit::BadConfiguration
        }
    }
}

fn good(arguments: &Arguments, loaded: &Loaded) -> Exit {
    for said in accounts(loaded) {
        eprint!("{said}");
    }
    match (arguments.print, arguments.format) {
        (false, Format::Json) => {
            report(Format::Json, &loaded.warnings);
            Exit::Good
        }
        (false, Format::Text) => {
            if !loaded.warnings.is_empty() {
                report(Format::Text, &loaded.warnings);
            }
            print(&summary(loaded))
        }
        (true, Format::Text) => {
            if !loaded.warnings.is_empty() {
                report(Format::Text, &loaded.warnings);
            }
            print(&loaded.to_toml_with_defaults())
        }
        (true, Format::Json) => {
            let mut document = loaded.warnings.to_json();
            document["effective"] = loaded.to_toml_with_defaults().into();
            print(&format!("{document:#}\n"))
        }
    }
}

/// What stored accounts cannot serve, or why they cannot be read, a line each. Databases over the network and RADIUS
/// servers are not asked.
fn accounts(loaded: &Loaded) -> Vec<String> {
    loaded.config.domains.iter().filter_map(super::accounts::lacking::of_domain).collect()
}

fn report(format: Format, diagnostics: &Diagnostics) {
    match format {
        Format::Json => drop(print(&format!("{:#}\n", diagnostics.to_json()))),
        Format::Text => eprint!("{}", diagnostics.render(colour_on_stderr())),
    }
}

/// One line that says what the file amounts to.
fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let gateways = config.sets.iter().map(|set| set.gateways.len()).sum();
    let parts = [
        plural(config.listen.udp.len(), "listener"),
        plural(config.sets.len(), "set"),
        plural(gateways, "gateway"),
        plural(config.routes.len(), "route"),
    ];
    let verdict = match loaded.warnings.warnings() {
        0 => "good".to_owned(),
        count => format!("good, with {}", plural(count, "warning")),
    };
    format!("{}: {verdict}: {}\n", loaded.warnings.file, parts.join(", "))
}
