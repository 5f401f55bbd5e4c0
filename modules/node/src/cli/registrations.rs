//! `tandem registrations`: who is registered; counts; one user in detail; taking one away.
//!
//! Pages are asked for and shown one after the other, so that a million rows neither wait for one another nor are held
//! anywhere at once.

use super::client::{self, CallError, call, fail, print};
use super::table::{self, Align, Column, Text};
use super::{Connection, Exit, Format};
use crate::reply::{RegistrationCount, RegistrationRow, Registrations, Unregistered};
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
            client::show(connection, "registrations.count", &filter, |reply: &Vec<RegistrationCount>| counts(reply))
        }
        None => list(connection, filter, arguments.user.is_some()),
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

/// Page after page.
fn list(connection: &Connection, mut filter: Value, in_detail: bool) -> Exit {
    let (mut begun, mut total) = (false, 0usize);
    loop {
        let page: Registrations = match page(connection, &filter) {
            Ok(page) => page,
            Err(error) => return fail(connection.format, &error),
        };
        let text = match connection.format {
            Format::Json => page.rows.iter().fold(String::new(), |mut text, row| {
                text += if begun { ",\n " } else { "[" };
                begun = true;
                text + &json!(row).to_string()
            }),
            Format::Text if in_detail => page.rows.iter().map(detail).collect(),
            Format::Text if page.rows.is_empty() => String::new(),
            Format::Text => rows(&page.rows),
        };
        total += page.rows.len();
        if print(&text) != Exit::Good {
            return Exit::Failed;
        }
        let Some((shard, from)) = page.next else { break };
        filter["shard"] = json!(shard);
        filter["from"] = json!(from);
    }
    match connection.format {
        Format::Json => print(if begun { "]\n" } else { "[]\n" }),
        Format::Text if total == 0 => print("nobody is registered by that name\n"),
        Format::Text => Exit::Good,
    }
}

fn page(connection: &Connection, filter: &Value) -> Result<Registrations, CallError> {
    let reply = call(connection, "registrations", filter)?;
    serde_json::from_value(reply)
        .map_err(|error| CallError::Garbled(connection.socket.clone().unwrap_or_default(), error.to_string()))
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

fn counts(counts: &[RegistrationCount]) -> String {
    let total: u64 = counts.iter().map(|entry| entry.count).sum();
    let lines = counts.iter().map(|entry| format!("{:>12}  {}\n", entry.count, entry.kind));
    lines.collect::<String>() + &format!("{total:>12}  in all\n")
}
