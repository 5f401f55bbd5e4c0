//! `tandem credit`: what customers have paid in and spent; paying in, and letting calls in again after an alarm.

use super::table::{self, Align, Column, Mood, Text};
use super::{Connection, Exit, client};
use crate::reply::{Credit, CreditRow};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show accounts: all, or that of one customer.
    Show {
        /// The customer.
        customer: Option<String>,
    },
    /// Pay in; an amount below 0 takes away.
    Add {
        /// The customer.
        customer: String,
        /// How much, in the currency that prices are compared in, such as 250 or 99.50.
        #[arg(allow_negative_numbers = true)]
        amount: String,
    },
    /// Make the balance this much.
    Set {
        /// The customer.
        customer: String,
        /// How much.
        #[arg(allow_negative_numbers = true)]
        amount: String,
    },
    /// Take new calls again after an alarm.
    Unblock {
        /// The customer.
        customer: String,
    },
}

const COLUMNS: &[Column] = &[
    ("customer", Align::Left),
    ("balance", Align::Right),
    ("spent", Align::Right),
    ("a minute", Align::Right),
    ("this hour", Align::Right),
    ("this day", Align::Right),
    ("alarms", Align::Right),
    ("new calls", Align::Left),
];

pub(super) fn credit(arguments: &Arguments) -> Exit {
    let (method, params) = match &arguments.command {
        None => ("credit", json!({})),
        Some(Command::Show { customer }) => ("credit", json!({ "customer": customer })),
        Some(Command::Add { customer, amount }) => ("credit.add", json!({ "customer": customer, "amount": amount })),
        Some(Command::Set { customer, amount }) => ("credit.set", json!({ "customer": customer, "amount": amount })),
        Some(Command::Unblock { customer }) => ("credit.unblock", json!({ "customer": customer })),
    };
    client::show(&arguments.connection, method, &params, |reply: &Credit| render(reply, table::colour()))
}

fn render(reply: &Credit, colour: bool) -> String {
    if reply.accounts.is_empty() {
        return "no such customer has credit, a bound of spend or alarms\n".into();
    }
    let of = |amount: &str, most: Option<&String>| match most {
        Some(most) => format!("{amount} of {most}"),
        None => amount.to_owned(),
    };
    let row = |row: &CreditRow| {
        let refused = row.refused();
        let mood = if refused.is_none() { Mood::Good } else { Mood::Bad };
        vec![
            (&row.customer).into(),
            if row.credit { format!("{} {}", row.balance, row.currency) } else { String::new() }.into(),
            (&row.spent).into(),
            (&row.a_minute).into(),
            of(&row.hour, row.hour_most.as_ref()).into(),
            of(&row.day, row.day_most.as_ref()).into(),
            row.alarms.to_string().into(),
            Text(refused.unwrap_or("taken").to_owned(), mood),
        ]
    };
    table::render(COLUMNS, &reply.accounts.iter().map(row).collect::<Vec<_>>(), colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_left_and_why_calls_are_refused() {
        let row = CreditRow {
            customer: "acme".into(),
            currency: "USD".into(),
            credit: true,
            balance: "-0.25".into(),
            spent: "100.25".into(),
            hour: "3".into(),
            hour_most: Some("50".into()),
            ..CreditRow::default()
        };
        let text = render(&Credit { accounts: vec![row.clone()] }, false);
        assert!(
            text.contains("-0.25 USD") && text.contains("3 of 50") && text.contains("refused: no balance"),
            "{text}"
        );
        let paid = CreditRow { balance: "5".into(), ..row };
        assert_eq!(paid.refused(), None);
        assert_eq!(CreditRow { blocked_until: 9, ..paid }.refused(), Some("refused: alarm"));
        assert!(render(&Credit::default(), false).starts_with("no such"));
    }
}
