//! `tandem explain`: the whole decision about one call, by the code that decides on the path ([`crate::explanation`]).
//!
//! With `--config` from the file and its image alone; else by the running process, from what is in service, with what
//! caps and gateways allow at this moment. With `--call-id`, of a call of the past, from its records
//! ([`super::cdr::story`]).

use super::cdr::{Folder, story};
use super::client;
use super::table::{Align, Mood, Text, colour, render};
use super::{Connection, Exit, Format, colour_on_stderr};
use crate::deck_files::service;
use crate::explanation::{self, Asked, Bound, Explanation, Live, Looped, Row};
use clap::Args;
use modules::Tables;
use modules::tables::Inputs;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The configuration; without it the running tandem is asked.
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
    /// A call of the past, told from the records that the configuration asks for; nothing else is asked then.
    #[arg(long, value_name = "ID", requires = "config", conflicts_with_all = ["source", "from", "to", "at"])]
    call_id: Option<String>,
    /// Where the call comes from: an address, with its port if that matters [default port: 5060].
    #[arg(long, value_name = "ADDRESS", value_parser = source, required_unless_present = "call_id")]
    source: Option<SocketAddr>,
    /// The caller's number, as it is sent [default: missing].
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The called number, as it is sent: with tech prefix, and `;rn=` where it is ported.
    #[arg(long, value_name = "NUMBER", required_unless_present = "call_id")]
    to: Option<String>,
    /// The time of the call [default: now].
    #[arg(long, value_name = "TIME", value_parser = super::deck::moment)]
    at: Option<i64>,
    #[command(flatten)]
    connection: Connection,
}

fn source(text: &str) -> Result<SocketAddr, String> {
    let address = |address: IpAddr| SocketAddr::new(address, tuning::SIP_PORT);
    text.parse().or_else(|_| text.parse().map(address)).map_err(|_| format!("`{text}` is no address"))
}

pub(super) fn explain(arguments: &Arguments) -> Exit {
    if let (Some(call_id), Some(file)) = (&arguments.call_id, &arguments.config) {
        return match Folder::of_config(file) {
            Ok(folder) => story::explain(&folder, call_id, arguments.connection.format),
            Err(exit) => exit,
        };
    }
    let Arguments { source: Some(source), from, to: Some(to), at, .. } = arguments else { return Exit::Usage };
    let Some(file) = &arguments.config else {
        let params = json!({ "source": source, "from": from, "to": to, "at": at });
        return client::show(&arguments.connection, "explain", &params, as_text);
    };
    let tables = match tables(file) {
        Ok(tables) => tables,
        Err(exit) => return exit,
    };
    let at = at.unwrap_or_else(|| jiff::Timestamp::now().as_second());
    match explanation::explain(&tables, &Asked { source: *source, from: from.as_deref(), to, at }, None) {
        Ok(explanation) => match arguments.connection.format {
            Format::Json => client::print(&format!("{:#}\n", json!(explanation))),
            Format::Text => client::print(&as_text(&explanation)),
        },
        Err(why) => fail(why),
    }
}

fn fail(why: impl std::fmt::Display) -> Exit {
    eprintln!("tandem: {why}");
    Exit::Failed
}

pub(super) fn tables(file: &Path) -> Result<Tables, Exit> {
    let loaded = tuning::load(file).map_err(|diagnostics| {
        eprint!("{}", diagnostics.render(colour_on_stderr()));
        Exit::BadConfiguration
    })?;
    let config = &loaded.config;
    let decks = service::image_of(config).map_err(fail)?;
    let (addresses, marks) = Default::default();
    let inputs = Inputs { config, addresses: &addresses, marks: &marks, local_addresses: &[], decks: decks.as_ref() };
    Tables::build(&inputs, None).map_err(fail)
}

const COLUMNS: [(&str, Align); 9] = [
    ("TURN", Align::Right),
    ("VENDOR", Align::Left),
    ("DECK", Align::Left),
    ("PREFIX", Align::Left),
    ("DESTINATION", Align::Left),
    ("A MINUTE", Align::Right),
    ("COMPARED", Align::Right),
    ("MARGIN", Align::Right),
    ("STANDING", Align::Left),
];

fn as_text(told: &Explanation) -> String {
    let mut text = match &told.customer {
        Some(customer) => format!("customer {customer}, from {}\n", told.source),
        None => format!("from {}: no customer\n", told.source),
    };
    if let Some(live) = &told.live {
        text += &format!("it has {}\n", calls(live));
    }
    if let (Some(called), Some(routing)) = (&told.called, &told.routing) {
        let routing = if routing == called { String::new() } else { format!(", routing number {routing}") };
        let asked = if told.routing_asked { " (its routing number would be asked for)" } else { "" };
        let caller = told.caller.as_ref().map_or("no caller".to_owned(), |caller| format!("caller {caller}"));
        let runs = told.jurisdiction.as_deref().unwrap_or_default();
        text += &format!("called {called}{routing}{asked}, {caller}, {}: {runs}\n", told.at);
    }
    if let Some(vendors) = &told.emergency {
        text += &format!("an emergency number: no cap, price or bar stops it; goes to {}\n", vendors.join(", then "));
    }
    if let Some(sell) = &told.sell {
        text += &match (&sell.prefix, &sell.destination, &sell.price) {
            (Some(prefix), Some(destination), Some(price)) => {
                format!("charged by {}: {prefix} ({destination}) at {price} {} a minute\n", sell.deck, sell.currency)
            }
            _ => format!("{} has no price for it\n", sell.deck),
        };
        let live = told.vendors.iter().any(|row| row.live.is_some());
        let columns: Vec<_> = COLUMNS.into_iter().chain(live.then_some(("NOW", Align::Left))).collect();
        let rows: Vec<Vec<Text>> = told.vendors.iter().map(|row| cells(row, &told.compared_in)).collect();
        text += &render(&columns, &rows, colour());
    }
    if let Some(bound) = &told.destination {
        text += &format!("its calls to the destination {}: {}\n", bound.name, bounds(bound));
    }
    if let Some(before) = &told.looped {
        let seconds = format!("{}.{:03}", before.ago_ms / 1_000, before.ago_ms % 1_000);
        let Looped { customer, carrier, .. } = before;
        text += &format!("the same numbers came {seconds} s ago from the customer {customer}, carrier {carrier}\n");
    }
    if let Some(refusal) = &told.refusal {
        text += &format!("refused: {} with Q.850 {}: {}\n", refusal.status, refusal.cause, refusal.why);
    }
    text
}

fn cells(row: &Row, currency: &str) -> Vec<Text> {
    let mood = if row.turn.is_some() { Mood::Good } else { Mood::Notice };
    let pinned = if row.pinned { ", in the customer's route list" } else { "" };
    let optional = |text: &Option<String>| Text::from(text.clone().unwrap_or_default());
    let mut cells = vec![
        row.turn.map_or(String::new(), |turn| turn.to_string()).into(),
        (&row.vendor).into(),
        (&row.deck).into(),
        optional(&row.prefix),
        optional(&row.destination),
        optional(&row.price),
        row.compared.as_ref().map_or(String::new(), |worth| format!("{worth} {currency}")).into(),
        optional(&row.margin),
        Text(format!("{}{pinned}", row.standing), mood),
    ];
    cells.extend(row.live.as_ref().map(|live| {
        let full = live.concurrent.is_some_and(|most| live.calls >= most);
        let down = live.gateways.is_some_and(|(up, _)| up == 0);
        Text(now(live), if full || down { Mood::Bad } else { Mood::Plain })
    }));
    cells
}

fn calls(live: &Live) -> String {
    let most = live.concurrent.map_or(String::new(), |most| format!(" of {most}"));
    format!("{}{most} calls", live.calls)
}

/// What a customer may send to a destination, and does.
fn bounds(bound: &Bound) -> String {
    let calls = match (bound.calls, bound.concurrent) {
        (Some(calls), Some(most)) => Some(format!("{calls} of {most} calls")),
        (Some(calls), None) => Some(format!("{calls} calls")),
        (None, most) => most.map(|most| format!("at most {most} calls")),
    };
    let cps = bound.cps.map(|cps| format!("at most {cps} new ones a second"));
    [calls, cps].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What a vendor does now, in words.
fn now(live: &Live) -> String {
    let gateways = live.gateways.map(|(up, all)| format!("{up} of {all} gateways up"));
    let share = |name: &str, share: Option<u64>| share.map(|share| format!("{name} {}.{} %", share / 10, share % 10));
    let pdd = live.pdd_ms.map(|pdd| format!("PDD {}.{:03} s", pdd / 1_000, pdd % 1_000));
    let parts =
        [gateways, Some(calls(live)), share("ASR", live.asr), share("NER", live.ner), pdd, share("short", live.short)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_trunks_do_now() {
        let live = Live {
            calls: 3,
            concurrent: Some(10),
            gateways: Some((1, 2)),
            attempts: 100,
            asr: Some(455),
            ner: Some(1_000),
            pdd_ms: Some(2_050),
            short: None,
        };
        assert_eq!(now(&live), "1 of 2 gateways up, 3 of 10 calls, ASR 45.5 %, NER 100.0 %, PDD 2.050 s");
        assert_eq!(now(&Live::default()), "0 calls");
        let bound = Bound { name: "cuba".into(), calls: Some(1), concurrent: Some(5), cps: Some(2) };
        assert_eq!(bounds(&bound), "1 of 5 calls, at most 2 new ones a second");
        let told = Explanation {
            looped: Some(Looped { customer: "bolt".into(), carrier: "bolt-group".into(), ago_ms: 1_020 }),
            destination: Some(Bound { calls: None, cps: None, ..bound }),
            source: "192.0.2.1:5060".into(),
            customer: Some("acme".into()),
            emergency: Some(vec!["delta".into(), "echo".into()]),
            live: Some(Live { calls: 2, ..Live::default() }),
            ..Explanation::default()
        };
        let text = as_text(&told);
        assert!(text.contains("1.020 s ago from the customer bolt, carrier bolt-group\n"), "{text}");
        assert!(text.contains("to the destination cuba: at most 5 calls\n"), "{text}");
        assert!(text.contains("it has 2 calls\n") && text.contains("goes to delta, then echo"), "{text}");
    }
}
