//! `tandem bans`: who is shut out for failed proofs, why, until when; and lifting it.

use super::table::{self, Align, Column, ago, count};
use super::{Connection, Exit, client};
use crate::reply::Bans;
use clap::{Args, Subcommand};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let an address in again, or one user from there.
    Lift {
        /// The address.
        address: IpAddr,
        /// The user; all of that address if none is given.
        username: Option<String>,
    },
}

const COLUMNS: &[Column] = &[
    ("address", Align::Left),
    ("user", Align::Left),
    ("failures", Align::Right),
    ("since", Align::Right),
    ("until", Align::Right),
];

pub(super) fn bans(arguments: &Arguments) -> Exit {
    let connection = &arguments.connection;
    match &arguments.command {
        None => client::show(connection, "bans", &serde_json::json!({}), |reply: &Bans| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            render(reply, u64::try_from(now.as_micros()).unwrap_or(u64::MAX), table::colour())
        }),
        Some(Command::Lift { address, username }) => {
            let params = serde_json::json!({ "address": address, "username": username });
            client::show(connection, "bans.lift", &params, |reply: &Bans| match reply.count {
                0 => "nobody was shut out\n".into(),
                lifted => format!("{} lifted\n", count(lifted)),
            })
        }
    }
}

fn render(reply: &Bans, now: u64, colour: bool) -> String {
    if reply.bans.is_empty() {
        return "nobody is shut out\n".into();
    }
    let row = |ban: &crate::reply::Ban| {
        let user = if ban.username.is_empty() { "(all)".to_owned() } else { ban.username.clone() };
        let until = format!("in {}", ago(now, ban.until));
        let since = format!("{} ago", ago(ban.since, now));
        vec![ban.address.clone().into(), user.into(), count(u64::from(ban.failures)).into(), since.into(), until.into()]
    };
    let mut text = table::render(COLUMNS, &reply.bans.iter().map(row).collect::<Vec<_>>(), colour);
    if reply.count > 0 {
        text.push_str(&format!("and {} more\n", count(reply.count)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Ban;

    #[test]
    fn says_who_why_and_until_when() {
        let ban = |username: &str| Ban {
            address: "203.0.113.9".into(),
            username: username.into(),
            failures: 12,
            since: 4_000_000,
            until: 70_000_000,
        };
        let text = render(&Bans { bans: vec![ban("alice"), ban("")], count: 3 }, 10_000_000, false);
        for part in ["203.0.113.9", "alice", "(all)", "12", "6s ago", "in 1m", "and 3 more"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(render(&Bans::default(), 0, false).contains("nobody"));
    }
}
