//! `tandem deck show`: what stands in an image, and what each deck says about a number and why.

use super::options::{moment, shown};
use super::{fail, now};
use crate::cli::client::print;
use crate::cli::table::{Align, Text, colour, render};
use crate::cli::{Exit, Format};
use crate::deck_files::image_file::open_image;
use clap::Args;
use deck::Code;
use deck::image::{Asked, Found, Image, Question, Quotes, State};
use engine_sys::resident_file::ResidentFile;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The image.
    image: PathBuf,
    /// The number that is called, with its country code; without it the decks are listed.
    number: Option<String>,
    /// The time of the call [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<i64>,
    /// The caller's number [default: missing].
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The routing number of a ported number (RFC 4694 rn) [default: the number itself].
    #[arg(long, value_name = "NUMBER")]
    routing: Option<String>,
    /// Also what a call of so many seconds costs.
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn show(arguments: &Arguments) -> Exit {
    let image = match open_image(&arguments.image) {
        Ok(image) => image,
        Err(error) => return fail(error),
    };
    let Some(number) = &arguments.number else {
        return list(arguments, &image);
    };
    let code = |number: &str| Code::of_number(number.as_bytes());
    let Some(dialled) = code(number) else {
        return fail(format!("`{number}` is no number: write digits, with the country code"));
    };
    let routing = match arguments.routing.as_deref().map(|number| (number, code(number))) {
        Some((number, None)) => return fail(format!("`{number}` is no number: write digits, with the country code")),
        Some((_, Some(routing))) => routing,
        None => dialled,
    };
    let caller = arguments.from.as_deref().and_then(code);
    let question = Question { dialled, routing, caller, at: arguments.at.unwrap_or_else(now) };
    let asked = Asked::all(&image);
    let mut quotes = Quotes::for_asked(&asked);
    image.quote(&question, &asked, &mut quotes);
    match arguments.format {
        Format::Json => print(&format!("{:#}\n", answer_json(arguments, &image, &question, &quotes))),
        Format::Text => print(&answer_text(arguments, &image, &question, &quotes)),
    }
}

fn list(arguments: &Arguments, image: &Image<ResidentFile>) -> Exit {
    let decks = image.decks().iter();
    if arguments.format == Format::Json {
        let decks: Vec<Value> = decks
            .map(|deck| {
                json!({
                    "deck": deck.settings.name, "currency": deck.settings.currency, "rows": deck.rows,
                    "digits": deck.settings.digits.count(), "origins": deck.origins.get(1..),
                })
            })
            .collect();
        let document = json!({ "sha256": image.hash().to_string(), "octets": image.octets().len(), "decks": decks });
        return print(&format!("{document:#}\n"));
    }
    let rows: Vec<Vec<Text>> = decks
        .map(|deck| {
            let origins = deck.origins.get(1..).unwrap_or_default().join(", ");
            vec![(&deck.settings.name).into(), (&deck.settings.currency).into(), deck.rows.into(), origins.into()]
        })
        .collect();
    let columns =
        [("DECK", Align::Left), ("CURRENCY", Align::Left), ("ROWS", Align::Right), ("ORIGIN GROUPS", Align::Left)];
    print(&format!("{}sha256 {}\n", render(&columns, &rows, colour()), image.hash()))
}

/// Why an answer is what it is.
fn why(found: &Found) -> &'static str {
    match found.state {
        State::NoCode => "no code in force",
        State::Closed => "closed",
        State::NoOrigin => "no price for this caller's origin",
        State::Priced => "",
    }
}

fn answer_text(arguments: &Arguments, image: &Image<ResidentFile>, question: &Question, quotes: &Quotes) -> String {
    let mut columns = vec![
        ("DECK", Align::Left),
        ("PREFIX", Align::Left),
        ("DESTINATION", Align::Left),
        ("ORIGIN", Align::Left),
        ("A MINUTE", Align::Right),
        ("FEE", Align::Right),
        ("INCREMENTS", Align::Left),
        ("SINCE", Align::Left),
        ("UNTIL", Align::Left),
    ];
    columns.extend(arguments.seconds.map(|_| ("COST", Align::Right)));
    let rows: Vec<Vec<Text>> = image
        .decks()
        .iter()
        .zip(&quotes.found)
        .enumerate()
        .map(|(index, (deck, found))| {
            let mut cells: Vec<Text> = vec![(&deck.settings.name).into()];
            let Some(detail) = image.detail(index, found) else {
                cells.extend(["".into(), why(found).into()]);
                cells.resize_with(columns.len(), || "".into());
                return cells;
            };
            let priced = found.state == State::Priced;
            let amount = |decimal: deck::money::Decimal| {
                if priced { format!("{decimal} {}", deck.settings.currency) } else { String::new() }
            };
            cells.push(found.code.into());
            cells.push(if priced {
                detail.destination.into()
            } else {
                format!("{} ({})", detail.destination, why(found)).into()
            });
            cells.extend([detail.origin.into(), amount(detail.price).into(), amount(detail.fee).into()]);
            cells.push(format!("{}/{}", detail.increments.initial, detail.increments.subsequent).into());
            cells.extend(
                [detail.effective, detail.expiry].map(|time| time.map_or("".into(), |time| shown(time).into())),
            );
            if let Some(seconds) = arguments.seconds {
                let cost = image.cost(index, found, u64::from(seconds) * 1_000_000);
                cells.push(cost.map_or(String::new(), |(_, cost)| format!("{cost} {}", deck.settings.currency)).into());
            }
            cells
        })
        .collect();
    format!("{}{}", headline(image, question, quotes), render(&columns, &rows, colour()))
}

/// What was asked, as it was understood.
fn headline(image: &Image<ResidentFile>, question: &Question, quotes: &Quotes) -> String {
    let state = |number| image.state(number).map_or(String::new(), |state| format!(" ({state})"));
    let caller = question.caller.map_or("no caller".to_owned(), |caller| format!("from {caller}{}", state(caller)));
    let routing = if question.routing == question.dialled {
        String::new()
    } else {
        format!(", routing number {}{}", question.routing, state(question.routing))
    };
    let jurisdiction = quotes.jurisdiction.map_or("", deck::nanp::Jurisdiction::label);
    format!(
        "{}{}{routing}, {caller}, {}: {jurisdiction}\n",
        question.dialled,
        state(question.dialled),
        shown(question.at)
    )
}

fn answer_json(arguments: &Arguments, image: &Image<ResidentFile>, question: &Question, quotes: &Quotes) -> Value {
    let decks: Vec<Value> = image
        .decks()
        .iter()
        .zip(&quotes.found)
        .enumerate()
        .map(|(index, (deck, found))| {
            let detail = image.detail(index, found);
            let priced = detail.filter(|_| found.state == State::Priced);
            let cost = arguments.seconds.and_then(|seconds| image.cost(index, found, u64::from(seconds) * 1_000_000));
            json!({
                "deck": deck.settings.name,
                "currency": deck.settings.currency,
                "priced": priced.is_some(),
                "why_not": Some(why(found)).filter(|why| !why.is_empty()),
                "prefix": detail.map(|_| found.code.to_string()),
                "destination": detail.map(|detail| detail.destination),
                "origin": detail.map(|detail| detail.origin).filter(|origin| !origin.is_empty()),
                "price": priced.map(|detail| detail.price.to_string()),
                "fee": priced.map(|detail| detail.fee.to_string()),
                "initial_increment": detail.map(|detail| detail.increments.initial),
                "subsequent_increment": detail.map(|detail| detail.increments.subsequent),
                "effective": detail.and_then(|detail| detail.effective).map(shown),
                "expiry": detail.and_then(|detail| detail.expiry).map(shown),
                "billed_seconds": cost.map(|(billed, _)| billed),
                "cost": cost.map(|(_, cost)| cost.to_string()),
            })
        })
        .collect();
    json!({
        "number": question.dialled.to_string(),
        "routing": question.routing.to_string(),
        "from": question.caller.map(|caller| caller.to_string()),
        "at": shown(question.at),
        "jurisdiction": quotes.jurisdiction.map(deck::nanp::Jurisdiction::label),
        "decks": decks,
    })
}
