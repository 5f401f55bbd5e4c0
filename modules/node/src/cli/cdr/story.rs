//! `tandem explain --call-id X`: what became of a call of the past, told from its records alone.

use crate::cli::client::print;
use crate::cli::table::{Align, Column, Mood, Text, colour, render};
use crate::cli::{Exit, Format};
use crate::records::reader::{Mark, Reader, Told};
use crate::records::shown;
use modules::records::Field;
use modules::records::choice::{self, Stood};
use modules::records::field::{as_address, as_decimal, find, number};
use modules::records::record::RecordKind;
use serde_json::Value;
use std::io;
use std::path::Path;

/// Tells of every record of a Call-ID.
pub(in crate::cli) fn explain(folder: &Path, call_id: &str, format: Format) -> Exit {
    match tell(folder, call_id, format) {
        Ok(Some(text)) => print(&text),
        Ok(None) => {
            eprintln!("tandem: no record in {} has the Call-ID {call_id}", folder.display());
            Exit::Failed
        }
        Err(error) => {
            eprintln!("tandem: {}: {error}", folder.display());
            Exit::Failed
        }
    }
}

fn tell(folder: &Path, call_id: &str, format: Format) -> io::Result<Option<String>> {
    let mut reader = Reader::new(folder, Mark::default());
    let (mut text, mut documents) = (String::new(), Vec::new());
    while let Some(portion) = reader.portion()? {
        let of_call = |told: &Told<'_>| find(told.record.fields, Field::CallId) == Some(call_id.as_bytes());
        for told in portion.records().filter(of_call) {
            text += &story(&told);
            documents.push(shown::json(&told));
        }
    }
    if documents.is_empty() {
        return Ok(None);
    }
    Ok(Some(match format {
        Format::Text => text,
        Format::Json => format!("{:#}\n", Value::Array(documents)),
    }))
}

fn story(told: &Told<'_>) -> String {
    match told.record.kind {
        RecordKind::Attempt => attempt(told),
        RecordKind::Call => call(told),
        RecordKind::Open => {
            format!("{}: answered; the call goes on or its end is told below\n", when(told, Field::Answer))
        }
        RecordKind::Interim => format!("{}: the call lives\n", shown::time(told.record.at)),
        RecordKind::Orphan => format!("{}: a BYE for a call that was not known\n", shown::time(told.record.at)),
        RecordKind::Start | RecordKind::Checkpoint | RecordKind::Begun => String::new(),
    }
}

fn when(told: &Told<'_>, field: Field) -> String {
    number(told.record.fields, field).map_or_else(String::new, shown::time)
}

/// Milliseconds from one moment to another.
fn after(told: &Told<'_>, from: Field, to: Field) -> Option<String> {
    let passed = number(told.record.fields, to)?.checked_sub(number(told.record.fields, from)?)?;
    Some(format!("{}.{:03} ms", passed / 1_000, passed % 1_000))
}

fn attempt(told: &Told<'_>) -> String {
    let fields = told.record.fields;
    let text = |field| shown::text(told, field);
    let address = find(fields, Field::GatewayAddress).and_then(as_address);
    let mut line = format!(
        "{}: attempt {} to {}, gateway {} ({}), as {}",
        when(told, Field::Sent),
        number(fields, Field::Attempt).unwrap_or(0),
        text(Field::Vendor),
        text(Field::Gateway),
        address.map_or_else(String::new, |address| address.to_string()),
        text(Field::CalledSent),
    );
    for (name, field) in [("18x", Field::Ringing), ("media", Field::Media), ("answer", Field::Answer)] {
        line += &after(told, Field::Sent, field).map_or_else(String::new, |passed| format!("; {name} after {passed}"));
    }
    let status = number(fields, Field::Status).map_or_else(String::new, |status| format!("; {status}"));
    let cause = [text(Field::Cause), text(Field::Reason)].into_iter().filter(|part| !part.is_empty());
    let cause: Vec<_> = cause.collect();
    line + &status + &if cause.is_empty() { String::new() } else { format!(" ({})", cause.join(", ")) } + "\n"
}

fn call(told: &Told<'_>) -> String {
    let fields = told.record.fields;
    let text = |field| shown::text(told, field);
    let mut out = format!(
        "{}: call {} of {} from {} to {} (routing number {}, {})\n",
        when(told, Field::Setup),
        text(Field::CallId),
        text(Field::Customer),
        or_none(text(Field::Caller)),
        or_none(text(Field::Called)),
        or_none(text(Field::Routing)),
        or_none(text(Field::Jurisdiction)),
    );
    out += &format!("decks {}\n", or_none(text(Field::Decks)));
    if find(fields, Field::BoundDestination).is_some() {
        out += &format!("bounded as a call to the destination {}\n", text(Field::BoundDestination));
    }
    out += &side(
        told,
        "charged",
        Field::SellDeck,
        Field::SellPrefix,
        Field::SellDestination,
        Field::SellPrice,
        Field::SellCurrency,
    );
    let stood = find(fields, Field::Choice).map(choice::read).unwrap_or_default();
    if !stood.is_empty() {
        out += &vendors(&stood);
    }
    out += &ending(told);
    out
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

fn side(
    told: &Told<'_>,
    what: &str,
    deck: Field,
    prefix: Field,
    destination: Field,
    price: Field,
    currency: Field,
) -> String {
    let Some(price) = find(told.record.fields, price).and_then(as_decimal) else { return String::new() };
    let text = |field| shown::text(told, field);
    format!(
        "{what} by {}: {} ({}) at {price} {} a minute\n",
        text(deck),
        text(prefix),
        text(destination),
        text(currency)
    )
}

fn vendors(stood: &[Stood]) -> String {
    const COLUMNS: &[Column] = &[
        ("turn", Align::Right),
        ("vendor", Align::Left),
        ("prefix", Align::Left),
        ("a minute", Align::Right),
        ("standing", Align::Left),
    ];
    let row = |(place, one): (usize, &Stood)| {
        let routed = one.standing == "routed";
        let price = one.price.map_or_else(String::new, |price| format!("{price} {}", one.currency));
        vec![
            Text::from(if routed { (place + 1).to_string() } else { String::new() }),
            Text::from(&one.vendor),
            Text::from(&one.prefix),
            Text::from(price),
            Text(one.standing.clone(), if routed { Mood::Good } else { Mood::Notice }),
        ]
    };
    render(COLUMNS, &stood.iter().enumerate().map(row).collect::<Vec<_>>(), colour())
}

/// From whom the same numbers had come, of a call that was refused as a loop.
fn looped(told: &Told<'_>) -> String {
    let (first, ago) =
        (shown::text(told, Field::LoopCustomer), number(told.record.fields, Field::LoopAgo).unwrap_or(0));
    match first.as_str() {
        "" => String::new(),
        first => {
            let seconds = format!("{}.{:03}", ago / 1_000_000, ago / 1_000 % 1_000);
            format!("a loop: {first} had sent the same caller and called number {seconds} s before\n")
        }
    }
}

fn ending(told: &Told<'_>) -> String {
    let fields = told.record.fields;
    let text = |field| shown::text(told, field);
    let status = number(fields, Field::Status).unwrap_or(0);
    let Some(answered) = number(fields, Field::Answer) else {
        return format!("not answered: the customer got {status} ({})\n", or_none(text(Field::Cause))) + &looped(told);
    };
    let us = number(fields, Field::Duration).unwrap_or(0);
    let mut out = format!("answered {} by {}", shown::time(answered), text(Field::Vendor));
    out +=
        &after(told, Field::Setup, Field::Ringing).map_or_else(String::new, |pdd| format!(", post-dial delay {pdd}"));
    out += &format!("; {}.{:06} s", us / 1_000_000, us % 1_000_000);
    let by = text(Field::ClosedBy);
    out += &match by.as_str() {
        "bye" => format!(", {} hung up\n", or_none(text(Field::HungUp))),
        other => format!(", closed by {other}, last proven {}\n", or_none(when(told, Field::Proven))),
    };
    for (what, seconds, amount, currency) in [
        ("customer pays", Field::SellSeconds, Field::SellAmount, Field::SellCurrency),
        ("vendor gets", Field::BuySeconds, Field::BuyAmount, Field::BuyCurrency),
    ] {
        if let (Some(seconds), Some(amount)) = (number(fields, seconds), find(fields, amount).and_then(as_decimal)) {
            out += &format!("{what} {amount} {} for {seconds} s; ", text(currency));
        }
    }
    if let Some(margin) = find(fields, Field::Margin).and_then(as_decimal) {
        out += &format!("left {margin} {}", text(Field::Currency));
    }
    out.trim_end_matches("; ").to_owned() + "\n"
}
