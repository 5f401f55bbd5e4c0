//! `tandem calls`: live calls; counts; ending one.

use super::client;
use super::pages::{self, counts};
use super::table::{self, Align, Column, Text};
use super::{Connection, Exit};
use crate::reply::{CallLine, CallsEnded, Counted};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Only calls from or to numbers that begin with this.
    #[arg(long, value_name = "DIGITS")]
    number: Option<String>,
    /// Only calls of this customer.
    #[arg(long)]
    customer: Option<String>,
    /// Only calls over this vendor.
    #[arg(long)]
    vendor: Option<String>,
    /// How many there are, by this.
    #[arg(long, value_enum, value_name = "BY")]
    count: Option<By>,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// End a customer's call: both sides get a BYE.
    End {
        /// Its Call-ID.
        #[arg(value_name = "CALL-ID")]
        call_id: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Customer,
    Vendor,
    Country,
}

const COLUMNS: &[Column] = &[
    ("caller", Align::Left),
    ("called", Align::Left),
    ("customer", Align::Left),
    ("vendor", Align::Left),
    ("gateway", Align::Left),
    ("for", Align::Right),
    ("Call-ID", Align::Left),
];

pub(super) fn calls(arguments: &Arguments) -> Exit {
    let connection = &arguments.connection;
    if let Some(Change::End { call_id }) = &arguments.change {
        return end(connection, call_id);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut filter = json!({
        "number": text(&arguments.number), "customer": text(&arguments.customer), "vendor": text(&arguments.vendor),
    });
    match arguments.count {
        Some(by) => {
            filter["by"] = json!(format!("{by:?}").to_lowercase());
            client::show(connection, "calls.count", &filter, |reply: &Vec<Counted>| counts(reply))
        }
        None => pages::list(connection, "calls", filter, "no such calls\n", rows),
    }
}

fn end(connection: &Connection, call_id: &str) -> Exit {
    client::show(connection, "calls.end", &json!({ "call_id": call_id }), |reply: &CallsEnded| match reply.ended {
        0 => format!("{}: no live call of a customer\n", reply.call_id),
        ended => format!("{}: {ended} ended, a BYE to both sides\n", reply.call_id),
    })
}

fn rows(rows: &[CallLine]) -> String {
    let text = |text: &Option<String>| Text::from(text.as_deref().unwrap_or("-"));
    let cells = rows.iter().map(|row| {
        vec![
            text(&row.caller),
            text(&row.called),
            text(&row.customer),
            text(&row.vendor),
            text(&row.gateway),
            Text::from(format!("{}{} s", if row.ending { "ending, " } else { "" }, row.seconds)),
            text(&row.call_id),
        ]
    });
    table::render(COLUMNS, &cells.collect::<Vec<_>>(), table::colour())
}
