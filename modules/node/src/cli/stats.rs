//! `tandem stats`: figures in groups, zeros left out.

use super::table::{self, Align, count, duration};
use super::{Connection, Exit, client};
use crate::reply::{Figure, Stats};
use clap::Args;
use std::collections::BTreeMap;
use std::fmt::Write;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Show figures that are zero too.
    #[arg(long)]
    all: bool,
}

pub(super) fn stats(arguments: &Arguments) -> Exit {
    let render = |reply: &Stats| render(reply, arguments.all, table::colour());
    client::show(&arguments.connection, "stats", &serde_json::json!({}), render)
}

fn render(reply: &Stats, all: bool, colour: bool) -> String {
    let mut text = format!(
        "tandem {}, up {}, {} shards on {}, serving {}, tables generation {}\n",
        reply.version,
        duration(reply.uptime_seconds),
        reply.shards,
        reply.driver,
        reply.serving,
        reply.generation
    );
    for shard in &reply.silent_shards {
        let _ = writeln!(text, "shard {shard} did not answer in time: its figures are missing");
    }
    let mut groups: BTreeMap<usize, (&str, Vec<&Figure>)> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for figure in reply.figures.iter().filter(|figure| all || figure.value != 0.0) {
        let place = order.iter().position(|name| *name == figure.name).unwrap_or_else(|| {
            order.push(&figure.name);
            order.len() - 1
        });
        groups.entry(place).or_insert((&figure.name, Vec::new())).1.push(figure);
    }
    for (name, figures) in groups.values() {
        text.push('\n');
        text.push_str(&group(name, figures, colour));
    }
    text
}

/// One table: a column for each label and one for the value.
fn group(name: &str, figures: &[&Figure], colour: bool) -> String {
    let title = name.trim_start_matches("tandem_").trim_end_matches("_total").replace('_', " ");
    let labels: Vec<&String> = figures.first().map(|figure| figure.labels.keys().collect()).unwrap_or_default();
    if labels.is_empty() {
        let value = figures.first().map(|figure| value(figure)).unwrap_or_default();
        return format!("{title}: {value}\n");
    }
    let titles: Vec<(String, Align)> =
        labels.iter().map(|label| ((*label).clone(), Align::Left)).chain([(String::new(), Align::Right)]).collect();
    let rows: Vec<_> = figures
        .iter()
        .map(|figure| {
            let mut row: Vec<table::Text> = figure.labels.values().map(|label| label.clone().into()).collect();
            row.push(value(figure).into());
            row
        })
        .collect();
    format!("{title}\n{}", table::render_titled(&titles, &rows, colour))
}

fn value(figure: &Figure) -> String {
    if figure.name.contains("_seconds") {
        return format!("{:.3} s", figure.value);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, not negative")]
    let whole = figure.value as u64;
    count(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, labels: &[(&str, &str)], value: f64) -> Figure {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Figure { name: name.into(), labels, value }
    }

    #[test]
    fn figures_stand_in_groups_and_zeros_are_left_out() {
        let figures = vec![
            figure("tandem_requests_total", &[("direction", "in"), ("method", "INVITE")], 12_000.0),
            figure("tandem_requests_total", &[("direction", "in"), ("method", "BYE")], 0.0),
            figure("tandem_calls", &[], 7.0),
            figure("tandem_shard_busy_seconds_total", &[("shard", "0")], 1.5),
        ];
        let reply = Stats { version: "1".into(), shards: 2, silent_shards: vec![1], figures, ..Stats::default() };
        let text = render(&reply, false, false);
        assert!(text.contains("requests\n") && text.contains("INVITE") && text.contains("12,000"), "{text}");
        assert!(text.contains("calls: 7\n") && text.contains("1.500 s") && text.contains("shard 1 did not"), "{text}");
        assert!(!text.contains("BYE"));
        assert!(render(&reply, true, false).contains("BYE"));
    }
}
