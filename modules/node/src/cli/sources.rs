//! `tandem sources --unknown`: who was refused.

use super::table::{self, Align, Column, ago, count};
use super::{Connection, Exit, client};
use crate::reply::UnknownSources;
use clap::Args;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Addresses that are nobody's, with the From and To of their last request (the only list there is).
    #[arg(long)]
    unknown: bool,
}

const COLUMNS: &[Column] = &[
    ("address", Align::Left),
    ("requests", Align::Right),
    ("first", Align::Right),
    ("last", Align::Right),
    ("from", Align::Left),
    ("to", Align::Left),
];

pub(super) fn sources(arguments: &Arguments) -> Exit {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let render = |reply: &UnknownSources| render(reply, now, table::colour());
    client::show(&arguments.connection, "sources.unknown", &serde_json::json!({}), render)
}

fn render(reply: &UnknownSources, now: u64, colour: bool) -> String {
    if reply.unknown.is_empty() {
        return "nobody was refused\n".into();
    }
    let rows: Vec<_> = reply
        .unknown
        .iter()
        .map(|source| {
            let seen = |when| format!("{} ago", ago(when, now));
            vec![
                source.address.clone().into(),
                count(source.count).into(),
                seen(source.first).into(),
                seen(source.last).into(),
                source.from.clone().into(),
                source.to.clone().into(),
            ]
        })
        .collect();
    table::render(COLUMNS, &rows, colour)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::UnknownSource;

    #[test]
    fn says_who_how_often_and_what_they_wanted() {
        let source = UnknownSource {
            address: "203.0.113.9".into(),
            count: 1_500,
            first: 0,
            last: 9_000_000,
            from: "sip:a@x".into(),
            to: "sip:\u{1b}[2Jb@y".into(),
        };
        let text = render(&UnknownSources { unknown: vec![source] }, 10_000_000, false);
        assert!(text.contains("203.0.113.9") && text.contains("1,500") && text.contains("1s ago"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert!(render(&UnknownSources::default(), 0, false).contains("nobody"));
    }
}
