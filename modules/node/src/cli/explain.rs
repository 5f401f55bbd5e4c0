//! `tandem explain`: the whole decision about one call, by the code that decides on the path.
//!
//! From the file and its image alone: what caps and gateways allow at this moment is the running process's to say.

use super::client::print;
use super::table::{Align, Mood, Text, colour, render};
use super::{Exit, Format, colour_on_stderr};
use crate::deck_files::service;
use clap::Args;
use deck::image::State;
use modules::Tables;
use modules::class4::refusal::Why;
use modules::class4::sources::Sender;
use modules::class4::{Candidate, Customer, Deciding, Decision, Standing, Trunks, Understood, Vendor};
use modules::tables::Inputs;
use proto::message::Uri;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where the call comes from: an address, with its port if that matters [default port: 5060].
    #[arg(long, value_name = "ADDRESS", value_parser = source)]
    source: SocketAddr,
    /// The caller's number, as it is sent [default: missing].
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The called number, as it is sent: with tech prefix, and `;rn=` where it is ported.
    #[arg(long, value_name = "NUMBER")]
    to: String,
    /// The time of the call [default: now].
    #[arg(long, value_name = "TIME", value_parser = super::deck::moment)]
    at: Option<i64>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn source(text: &str) -> Result<SocketAddr, String> {
    let address = |address: IpAddr| SocketAddr::new(address, tuning::SIP_PORT);
    text.parse().or_else(|_| text.parse().map(address)).map_err(|_| format!("`{text}` is no address"))
}

/// Chance among equals is drawn anew for each call; here it is always drawn alike.
const SEED: u64 = 1;

pub(super) fn explain(arguments: &Arguments) -> Exit {
    match tables(arguments) {
        Ok(tables) => match &tables.class4 {
            Some(trunks) => told(arguments, trunks),
            None => fail("the file has no [[customer]]: its calls go by [[route]]"),
        },
        Err(exit) => exit,
    }
}

fn fail(why: impl std::fmt::Display) -> Exit {
    eprintln!("tandem: {why}");
    Exit::Failed
}

fn tables(arguments: &Arguments) -> Result<Tables, Exit> {
    let loaded = tuning::load(&arguments.config).map_err(|diagnostics| {
        eprint!("{}", diagnostics.render(colour_on_stderr()));
        Exit::BadConfiguration
    })?;
    let config = &loaded.config;
    let decks = service::image_of(config).map_err(fail)?;
    let (addresses, marks) = Default::default();
    let inputs = Inputs { config, addresses: &addresses, marks: &marks, local_addresses: &[], decks: decks.as_ref() };
    Tables::build(&inputs, None).map_err(fail)
}

/// What became of the call.
struct Told<'t> {
    customer: Option<&'t Customer>,
    call: Option<Understood>,
    decision: Option<Decision<'t>>,
    /// Vendors of an emergency call, in the order of their turns.
    emergency: Option<Vec<&'t str>>,
    refusal: Option<Why>,
}

fn told(arguments: &Arguments, trunks: &Trunks) -> Exit {
    let uri = format!("sip:{}@host.invalid", arguments.to);
    let Ok(uri) = Uri::parse(uri.as_bytes()) else {
        return fail(format!("`{}` is nothing that a Request-URI could have", arguments.to));
    };
    let at = arguments.at.unwrap_or_else(|| jiff::Timestamp::now().as_second());
    let at_us = u64::try_from(at).unwrap_or(0).saturating_mul(1_000_000);
    let customer = match trunks.sender(arguments.source, uri.user_without_params()) {
        Sender::Customer(slot) => trunks.customer_at(slot),
        Sender::Nobody | Sender::Elsewhere => None,
    };
    let understood =
        customer.map(|customer| Understood::of(customer, &uri, arguments.from.as_deref().map(str::as_bytes), at_us));
    let mut deciding = Deciding::new(SEED);
    let urgent = customer.filter(|customer| trunks.emergency.number(customer, uri.user_without_params()).is_some());
    let emergency = urgent.map(|_| trunks.emergency.vendors(trunks).collect::<Vec<_>>());
    let decided = customer.zip(understood.and_then(Result::ok)).filter(|_| emergency.is_none());
    let decision = decided.and_then(|(customer, call)| deciding.decide(trunks, customer, &call));
    let refusal = match (customer, understood, &decision) {
        (None, ..) => Some(Why::UnknownCustomer),
        _ if emergency.is_some() => None,
        (_, Some(Err(why)), _) => Some(why),
        (.., Some(decision)) => decision.refusal(),
        _ => Some(Why::NoRoute),
    };
    let told = Told { customer, call: understood.and_then(Result::ok), decision, emergency, refusal };
    match arguments.format {
        Format::Json => print(&format!("{:#}\n", as_json(arguments, trunks, &told, at))),
        Format::Text => print(&as_text(arguments, trunks, &told, at)),
    }
}

/// Why, in words for people.
const fn in_words(why: Why) -> &'static str {
    match why {
        Why::UnknownCustomer => "no customer has this source and tech prefix",
        Why::MalformedNumber => "the number has no digits that a deck could have",
        Why::Blocked => "the number is blocked for the customer",
        Why::NoPrice => "the customer's own deck has no price for it",
        Why::NoRoute => "no vendor of the plan takes it",
        Why::Margin => "no vendor leaves the least margin",
        Why::HighRisk => "the number is a high-risk one, not open for the customer",
        Why::Credit => "the customer's balance is used up",
        Why::Spend => "the customer has spent what it may in this hour or day",
        Why::Alarm => "the customer's calls looked like fraud a while ago",
        Why::Concurrent => "the customer has as many calls as it may",
        Why::Cps => "the customer sends more calls a second than it may",
        Why::Vendor => "the vendors' answer is no customer's business",
    }
}

fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |time| time.to_string())
}

/// Hundredths of a percent as percent.
fn percent(points: i128) -> String {
    let sign = if points < 0 { "-" } else { "" };
    let points = points.unsigned_abs();
    format!("{sign}{}.{:02} %", points / 100, points % 100)
}

/// A vendor's line: what both forms of the output are made of.
struct Line<'t> {
    turn: Option<usize>,
    vendor: &'t Vendor,
    deck: &'t str,
    code: String,
    destination: &'t str,
    price: Option<String>,
    worth: Option<String>,
    margin: Option<String>,
    standing: &'static str,
    pinned: bool,
}

fn lines<'t>(trunks: &'t Trunks, decision: &Decision<'_>, at: i64) -> Vec<Line<'t>> {
    let (sell_deck, sell) = decision.sell;
    let sell = trunks.worth_of(sell_deck, sell.price, at);
    let line = |(place, candidate): (usize, &Candidate)| {
        let vendor = trunks.vendor_at(candidate.vendor)?;
        let index = usize::from(candidate.deck);
        let deck = trunks.image.decks().get(index)?;
        let detail = trunks.image.detail(index, &candidate.found);
        let priced = candidate.found.state == State::Priced;
        let left = sell.zip(candidate.worth).and_then(|(sell, cost)| sell.less(cost)?.basis_points_of(sell));
        Some(Line {
            turn: (candidate.standing == Standing::Routed).then_some(place + 1),
            vendor,
            deck: &deck.settings.name,
            code: detail.map_or(String::new(), |_| candidate.found.code.to_string()),
            destination: detail.map_or("", |detail| detail.destination),
            price: detail.filter(|_| priced).map(|detail| format!("{} {}", detail.price, deck.settings.currency)),
            worth: candidate.worth.map(|worth| worth.to_string()),
            margin: left.map(percent),
            standing: candidate.standing.label(),
            pinned: candidate.is_pinned(),
        })
    };
    decision.candidates.iter().enumerate().filter_map(line).collect()
}

fn as_text(arguments: &Arguments, trunks: &Trunks, told: &Told<'_>, at: i64) -> String {
    let mut text = match told.customer {
        Some(customer) => format!("customer {}, from {}\n", customer.name, arguments.source),
        None => format!("from {}: no customer\n", arguments.source),
    };
    if let Some(call) = &told.call {
        let question = &call.question;
        let routing = if question.routing == question.dialled {
            String::new()
        } else {
            format!(", routing number {}", question.routing)
        };
        let caller = question.caller.map_or("no caller".to_owned(), |caller| format!("caller {caller}"));
        let runs = told.decision.as_ref().and_then(|decision| decision.jurisdiction);
        let runs = runs.map_or("", deck::nanp::Jurisdiction::label);
        text += &format!("called {}{routing}, {caller}, {}: {runs}\n", question.dialled, time(at));
    }
    if let Some(vendors) = &told.emergency {
        text += &format!("an emergency number: no cap, price or bar stops it; goes to {}\n", vendors.join(", then "));
    }
    if let Some(decision) = &told.decision {
        let (deck, found) = decision.sell;
        let deck = usize::from(deck);
        let name = trunks.image.decks().get(deck).map_or("", |deck| deck.settings.name.as_str());
        let currency = trunks.image.decks().get(deck).map_or("", |deck| deck.settings.currency.as_str());
        text += &match trunks.image.detail(deck, &found).filter(|_| found.state == State::Priced) {
            Some(detail) => format!(
                "charged by {name}: {} ({}) at {} {currency} a minute\n",
                found.code, detail.destination, detail.price
            ),
            None => format!("{name} has no price for it\n"),
        };
        let columns = [
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
        let rows: Vec<Vec<Text>> = lines(trunks, decision, at)
            .into_iter()
            .map(|line| {
                let mood = if line.turn.is_some() { Mood::Good } else { Mood::Notice };
                let pinned = if line.pinned { ", in the customer's route list" } else { "" };
                vec![
                    line.turn.map_or(String::new(), |turn| turn.to_string()).into(),
                    (&line.vendor.name).into(),
                    line.deck.into(),
                    line.code.into(),
                    line.destination.into(),
                    line.price.unwrap_or_default().into(),
                    line.worth.map_or(String::new(), |worth| format!("{worth} {}", trunks.currency)).into(),
                    line.margin.unwrap_or_default().into(),
                    Text(format!("{}{pinned}", line.standing), mood),
                ]
            })
            .collect();
        text += &render(&columns, &rows, colour());
    }
    if let Some(why) = told.refusal {
        let answer = trunks.refusals.answer(why);
        text += &format!("refused: {} with Q.850 {}: {}\n", answer.status, answer.cause, in_words(why));
    }
    text
}

fn as_json(arguments: &Arguments, trunks: &Trunks, told: &Told<'_>, at: i64) -> Value {
    let sell = told.decision.as_ref().map(|decision| {
        let (deck, found) = (usize::from(decision.sell.0), decision.sell.1);
        let detail = trunks.image.detail(deck, &found).filter(|_| found.state == State::Priced);
        let deck = trunks.image.decks().get(deck);
        json!({
            "deck": deck.map(|deck| &deck.settings.name),
            "currency": deck.map(|deck| &deck.settings.currency),
            "prefix": detail.map(|_| found.code.to_string()),
            "destination": detail.map(|detail| detail.destination),
            "price": detail.map(|detail| detail.price.to_string()),
        })
    });
    let vendors: Vec<Value> = told
        .decision
        .iter()
        .flat_map(|decision| lines(trunks, decision, at))
        .map(|line| {
            json!({
                "turn": line.turn, "vendor": line.vendor.name, "deck": line.deck,
                "prefix": Some(line.code).filter(|code| !code.is_empty()),
                "destination": Some(line.destination).filter(|destination| !destination.is_empty()),
                "price": line.price, "compared": line.worth, "margin": line.margin, "standing": line.standing,
                "pinned": line.pinned,
            })
        })
        .collect();
    let refusal = told.refusal.map(|why| {
        let answer = trunks.refusals.answer(why);
        json!({ "status": answer.status, "cause": answer.cause, "why": in_words(why) })
    });
    json!({
        "source": arguments.source.to_string(),
        "at": time(at),
        "customer": told.customer.map(|customer| &customer.name),
        "called": told.call.map(|call| call.question.dialled.to_string()),
        "routing": told.call.map(|call| call.question.routing.to_string()),
        "caller": told.call.and_then(|call| call.question.caller).map(|caller| caller.to_string()),
        "jurisdiction": told.decision.as_ref().and_then(|decision| decision.jurisdiction).map(deck::nanp::Jurisdiction::label),
        "compared_in": trunks.currency,
        "image": trunks.image.hash().to_string(),
        "sell": sell,
        "vendors": vendors,
        "emergency": told.emergency,
        "refusal": refusal,
    })
}
