//! `tandem registrations`: who is registered; counts; one user in detail; taking one away.

use super::client;
use super::pages::{self, counts};
use super::table::{self, Align, Column, Text};
use super::{Connection, Exit};
use crate::reply::{Counted, RegistrationRow, Unregistered};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// One user, in detail: `alice` or `alice@example.com`.
    #[arg(value_name = "USER")]
    user: Option<String>,
    /// Only users that begin with this.
    #[arg(long, value_name = "DIGITS", conflicts_with = "user")]
    prefix: Option<String>,
    /// Only this domain, by its name.
    #[arg(long)]
    domain: Option<String>,
    /// How many there are, by this.
    #[arg(long, value_enum, value_name = "BY")]
    count: Option<By>,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Take all bindings of a user away; the phone comes back with its next refresh.
    Remove {
        /// The user, `alice@example.com`.
        user: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Domain,
    Agent,
    Expiry,
}

const COLUMNS: &[Column] = &[
    ("user", Align::Left),
    ("domain", Align::Left),
    ("contact", Align::Left),
    ("expires", Align::Right),
    ("source", Align::Left),
    ("agent", Align::Left),
];

pub(super) fn registrations(arguments: &Arguments) -> Exit {
    let connection = &arguments.connection;
    if let Some(Change::Remove { user }) = &arguments.change {
        let Some((user, domain)) = user.rsplit_once('@') else {
            eprintln!("tandem: name the user with its domain, such as alice@example.com");
            return Exit::Usage;
        };
        let params = json!({ "user": user, "domain": domain });
        return client::show(connection, "registrations.remove", &params, |reply: &Unregistered| {
            format!("{}@{}: {} removed\n", reply.user, reply.domain, reply.removed)
        });
    }
    let mut filter = filter(arguments);
    match arguments.count {
        Some(by) => {
            filter["by"] = json!(format!("{by:?}").to_lowercase());
            client::show(connection, "registrations.count", &filter, |reply: &Vec<Counted>| counts(reply))
        }
        None => {
            let in_detail = arguments.user.is_some();
            let nobody = "nobody is registered by that name\n";
            pages::list(connection, "registrations", filter, nobody, |page: &[RegistrationRow]| match in_detail {
                true => page.iter().map(detail).collect(),
                false => rows(page),
            })
        }
    }
}

fn filter(arguments: &Arguments) -> Value {
    let (user, mut domain) = match arguments.user.as_deref().map(|user| (user, user.rsplit_once('@'))) {
        Some((_, Some((user, domain)))) => (user.to_owned(), Some(domain.to_owned())),
        Some((user, None)) => (user.to_owned(), None),
        None => (arguments.prefix.clone().unwrap_or_default(), None),
    };
    domain = arguments.domain.clone().or(domain);
    json!({ "user": user, "prefix": arguments.prefix.is_some(), "domain": domain.unwrap_or_default() })
}

fn rows(rows: &[RegistrationRow]) -> String {
    let cells = rows.iter().map(|row| {
        vec![
            Text::from(&row.user),
            Text::from(&row.domain),
            Text::from(&row.contact),
            Text::from(format!("{} s", row.expires)),
            Text::from(&row.source),
            Text::from(&row.agent),
        ]
    });
    table::render(COLUMNS, &cells.collect::<Vec<_>>(), table::colour())
}

fn detail(row: &RegistrationRow) -> String {
    let mut lines = vec![
        format!("{}@{}", row.user, row.domain),
        format!("  contact   {}", row.contact),
        format!("  expires   in {} s", row.expires),
        format!("  source    {}", row.source),
        format!("  q         {}", row.q),
        format!("  agent     {}", row.agent),
        format!("  Call-ID   {}, CSeq {}", row.call_id, row.cseq),
    ];
    lines.extend(row.path.iter().map(|path| format!("  path      {path}")));
    lines.extend(row.instance.iter().map(|instance| format!("  instance  {instance}")));
    lines.extend(row.reg_id.iter().map(|reg_id| format!("  reg-id    {reg_id}")));
    lines.join("\n") + "\n"
}
