//! `tandem stats`: figures in groups, zeros left out. What is short is a line, what belongs together a table.

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
        "tandem {}, up {}, {} shard{} on {}, serving {}, tables generation {}\n",
        reply.version,
        duration(reply.uptime_seconds),
        reply.shards,
        if reply.shards == 1 { "" } else { "s" },
        reply.driver,
        reply.serving,
        reply.generation
    );
    for shard in &reply.silent_shards {
        let _ = writeln!(text, "shard {shard} did not answer in time: its figures are missing");
    }
    let groups = groups(reply.figures.iter().filter(|figure| all || figure.value != 0.0));
    let (mut tables, mut lines) = (String::new(), String::new());
    for group in groups.iter().filter(|group| group.joined_by().is_none()) {
        match group.line() {
            Some(line) => lines.push_str(&line),
            None => tables.push_str(&format!("\n{}", group.table(colour))),
        }
    }
    for label in JOINED_BY {
        tables.push_str(&joined(label, &groups, colour));
    }
    if !lines.is_empty() {
        text.push_str(&format!("\n{lines}"));
    }
    text + &tables
}

/// Labels by which several groups become the columns of one table.
const JOINED_BY: [&str; 2] = ["pool", "shard"];

/// Figures with one label that fit on a line; more are a table.
const ON_A_LINE_MAX: usize = 5;

/// The figures of one metric.
struct Group<'r> {
    name: &'r str,
    figures: Vec<&'r Figure>,
}

/// In the order of the reply.
fn groups<'r>(figures: impl Iterator<Item = &'r Figure>) -> Vec<Group<'r>> {
    let mut groups: Vec<Group<'r>> = Vec::new();
    for figure in figures {
        match groups.iter_mut().find(|group| group.name == figure.name) {
            Some(group) => group.figures.push(figure),
            None => groups.push(Group { name: &figure.name, figures: vec![figure] }),
        }
    }
    groups
}

impl Group<'_> {
    fn title(&self) -> String {
        words(self.name.trim_start_matches("tandem_").trim_end_matches("_total"))
    }

    fn labels(&self) -> Vec<&str> {
        self.figures.first().map(|figure| figure.labels.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    fn joined_by(&self) -> Option<&str> {
        match self.labels().as_slice() {
            [only] => JOINED_BY.into_iter().find(|label| label == only),
            _ => None,
        }
    }

    /// What has at most one label, and few values of it, is one line.
    fn line(&self) -> Option<String> {
        if self.labels().len() > 1 || self.figures.len() > ON_A_LINE_MAX {
            return None;
        }
        let part = |figure: &&Figure| match figure.labels.values().next() {
            Some(label) => format!("{} {}", value(figure), words(label)),
            None => value(figure),
        };
        let parts: Vec<_> = self.figures.iter().map(part).collect();
        Some(format!("{}: {}\n", self.title(), parts.join(", ")))
    }

    /// A row for each combination of labels; directions stand beside each other.
    fn table(&self, colour: bool) -> String {
        let apart = |name: &str| name == "direction";
        let labels: Vec<&str> = self.labels().into_iter().filter(|name| !apart(name)).rev().collect();
        let mut columns: Vec<&str> = Vec::new();
        let mut rows: BTreeMap<Vec<&str>, BTreeMap<&str, String>> = BTreeMap::new();
        for figure in &self.figures {
            let label = |name: &str| figure.labels.get(name).map(String::as_str).unwrap_or_default();
            let column = label("direction");
            if !columns.contains(&column) {
                columns.push(column);
            }
            let key = labels.iter().map(|name| label(name)).collect();
            rows.entry(key).or_default().insert(column, value(figure));
        }
        columns.sort_unstable();
        let left = labels.iter().map(|name| (words(name), Align::Left));
        let titles: Vec<_> = left.chain(columns.iter().map(|name| (words(name), Align::Right))).collect();
        let row = |(key, values): (&Vec<&str>, &BTreeMap<&str, String>)| {
            let cell = |column: &&str| values.get(*column).cloned().unwrap_or_else(|| "0".into()).into();
            key.iter().map(|word| (*word).into()).chain(columns.iter().map(cell)).collect::<Vec<table::Text>>()
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        format!("{}\n{}", self.title(), table::render_titled(&titles, &rows, colour))
    }
}

/// One table of all groups that have `label` alone: a row a value of it, a column a group.
fn joined(label: &str, groups: &[Group<'_>], colour: bool) -> String {
    let groups: Vec<_> = groups.iter().filter(|group| group.joined_by() == Some(label)).collect();
    let mut rows: BTreeMap<(usize, &str), Vec<String>> = BTreeMap::new();
    for (index, group) in groups.iter().enumerate() {
        for figure in &group.figures {
            let of = figure.labels.get(label).map(String::as_str).unwrap_or_default();
            // WHY the length first: shard 10 comes after shard 9.
            let cells = rows.entry((of.len() * usize::from(label == "shard"), of)).or_default();
            cells.resize(index, "0".to_owned());
            cells.push(value(figure));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let title = |group: &&Group<'_>| {
        let title = group.title().replace(" seconds", "");
        (title.trim_start_matches(label).trim_start().to_owned(), Align::Right)
    };
    let titles: Vec<_> = std::iter::once((label.to_owned(), Align::Left)).chain(groups.iter().map(title)).collect();
    let count = groups.len();
    let row = |((_, of), mut cells): ((usize, &str), Vec<String>)| {
        cells.resize(count, "0".to_owned());
        std::iter::once(words(of).into()).chain(cells.into_iter().map(Into::into)).collect::<Vec<table::Text>>()
    };
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    format!("\n{}", table::render_titled(&titles, &rows, colour))
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn value(figure: &Figure) -> String {
    if figure.name.contains("_seconds") {
        return match figure.value {
            short if short < 1.0 => format!("{:.1} ms", short * 1_000.0),
            long => format!("{long:.1} s"),
        };
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
            figure("tandem_requests_total", &[("direction", "out"), ("method", "INVITE")], 12_345.0),
            figure("tandem_requests_total", &[("direction", "in"), ("method", "BYE")], 0.0),
            figure("tandem_requests_total", &[("direction", "out"), ("method", "OPTIONS")], 7.0),
            figure("tandem_calls", &[], 7.0),
            figure("tandem_datagrams_total", &[("direction", "in")], 5.0),
            figure("tandem_datagrams_total", &[("direction", "out")], 6.0),
            figure("tandem_shard_busy_seconds_total", &[("shard", "0")], 1.5),
            figure("tandem_shard_busy_seconds_total", &[("shard", "10")], 2.5),
            figure("tandem_shard_busy_seconds_total", &[("shard", "9")], 3.5),
            figure("tandem_shard_longest_turn_seconds", &[("shard", "9")], 0.0125),
        ];
        let reply = Stats { version: "1".into(), shards: 2, silent_shards: vec![1], figures, ..Stats::default() };
        let text = render(&reply, false, false);
        assert!(text.contains("shard 1 did not") && text.contains("\ncalls: 7\ndatagrams: 5 in, 6 out\n"), "{text}");
        let requests = "requests\nMETHOD       IN     OUT\nINVITE   12,000  12,345\nOPTIONS       0       7\n";
        assert!(text.contains(requests), "{text}");
        let shards = "SHARD   BUSY  LONGEST TURN\n0      1.5 s             0\n9      3.5 s       12.5 ms\n10     2.5 s             0\n";
        assert!(text.ends_with(shards), "{text}");
        assert!(!text.contains("BYE"));
        assert!(render(&reply, true, false).contains("BYE"));
    }
}
