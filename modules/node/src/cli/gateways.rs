//! `tandem gateways`: the sets, and taking a gateway out of use and back.

use super::client::{self, call, fail, print, print_reply};
use super::table::{self, Align, Column, Mood, Text, ago, count, millis};
use super::{Connection, Exit, Format};
use crate::reply::{GatewayChanged, GatewayRow, Gateways};
use clap::{Args, Subcommand};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    connection: Connection,
    /// Show them again every second, until interrupted.
    #[arg(long)]
    watch: bool,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// No calls, no probes. Outlives restart and reload.
    Disable(Decision),
    /// Take a decision back: probes and calls judge again.
    Enable(Decision),
    /// No new calls; those that stand go on. Outlives restart and reload.
    Drain(Decision),
}

#[derive(Args, Debug)]
struct Decision {
    /// The gateway.
    name: String,
    /// The reason, for whoever looks later.
    #[arg(long, default_value = "")]
    why: String,
}

/// Between two looks with `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

const COLUMNS: &[Column] = &[
    ("set", Align::Left),
    ("gateway", Align::Left),
    ("address", Align::Left),
    ("state", Align::Left),
    ("weight", Align::Right),
    ("calls", Align::Right),
    ("active", Align::Right),
    ("failed", Align::Right),
    ("probe", Align::Right),
    ("since", Align::Right),
    ("why", Align::Left),
];

impl Arguments {
    /// What clap cannot check: a look and a change at once.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        (self.watch && self.change.is_some()).then_some("--watch shows; disable, enable and drain change: use one")
    }
}

pub(super) fn gateways(arguments: &Arguments) -> Exit {
    let connection = &arguments.connection;
    match &arguments.change {
        Some(Change::Disable(decision)) => change(connection, "disable", decision),
        Some(Change::Enable(decision)) => change(connection, "enable", decision),
        Some(Change::Drain(decision)) => change(connection, "drain", decision),
        None if arguments.watch => watch(connection),
        None => client::show(connection, "gateways", &json!({}), |reply| render(reply, now(), table::colour())),
    }
}

fn change(connection: &Connection, action: &str, decision: &Decision) -> Exit {
    let params = json!({ "name": decision.name, "why": decision.why });
    let render = |reply: &GatewayChanged| format!("{}: {} (was {})\n", reply.name, reply.now, reply.before);
    client::show(connection, &format!("gateways.{action}"), &params, render)
}

fn watch(connection: &Connection) -> Exit {
    loop {
        match call(connection, "gateways", &json!({})) {
            Ok(reply) => {
                // Home and clear to the end: less flicker than clearing first.
                if connection.format == Format::Text && table::colour() {
                    print("\u{1b}[H\u{1b}[J");
                }
                let shown = print_reply(connection.format, reply, |reply| render(reply, now(), table::colour()));
                if shown != Exit::Good {
                    return shown;
                }
            }
            Err(error) => return fail(connection.format, &error),
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn render(reply: &Gateways, now: u64, colour: bool) -> String {
    if reply.gateways.is_empty() {
        return "no gateways\n".into();
    }
    let rows: Vec<_> = reply.gateways.iter().map(|gateway| row(gateway, now)).collect();
    let mut text = table::render(COLUMNS, &rows, colour);
    reply.gateways.iter().filter_map(refused).for_each(|line| text.push_str(&line));
    if !reply.absent.is_empty() {
        let absent: Vec<_> = reply.absent.keys().map(String::as_str).collect();
        text.push_str(&format!("decided, but not in the configuration now: {}\n", absent.join(", ")));
    }
    text
}

/// What was not believed under a gateway's name: more often its own second address than a forgery.
fn refused(gateway: &GatewayRow) -> Option<String> {
    let from = gateway.refused_from.as_ref()?;
    Some(format!(
        "{}: {} responses refused, the last from {from}; if that is this carrier's, add it to `reply_from` of the gateway\n",
        gateway.name,
        count(gateway.refused_responses)
    ))
}

fn row(gateway: &GatewayRow, now: u64) -> Vec<Text> {
    let mood = match gateway.state.as_str() {
        "up" => Mood::Good,
        "down" | "unresolved" => Mood::Bad,
        _ => Mood::Notice,
    };
    let (since, why) = match &gateway.admin {
        Some(entry) if entry.why.is_empty() => (entry.since, entry.who.clone()),
        Some(entry) => (entry.since, format!("{}: {}", entry.who, entry.why)),
        None => (gateway.since, gateway.why.clone()),
    };
    let address = gateway.address.clone().unwrap_or_else(|| "-".into());
    // A name that only repeats the address says nothing.
    let address = if address == gateway.name { String::new() } else { address };
    vec![
        gateway.set.clone().into(),
        gateway.name.clone().into(),
        address.into(),
        Text(gateway.state.clone(), mood),
        gateway.weight.into(),
        count(gateway.carried).into(),
        count(gateway.active).into(),
        Text(count(gateway.failed), if gateway.failed > 0 { Mood::Notice } else { Mood::Plain }),
        gateway.probe_micros.map_or("-".into(), millis).into(),
        ago(since, now).into(),
        why.into(),
    ]
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::AdminState;
    use crate::disk::AdminEntry;

    #[test]
    fn every_gateway_is_a_line_with_state_and_reason() {
        let up = GatewayRow {
            set: "carriers".into(),
            name: "127.0.0.1:5071".into(),
            address: Some("127.0.0.1:5071".into()),
            weight: 70,
            state: "up".into(),
            why: "start".into(),
            carried: 12_345,
            probe_micros: Some(1_200),
            ..GatewayRow::default()
        };
        let entry =
            AdminEntry { state: AdminState::Disabled, who: "ann".into(), why: "ticket 7".into(), since: 60_000_000 };
        let off = GatewayRow { name: "b".into(), state: "disabled".into(), admin: Some(entry), ..up.clone() };
        let text = render(&Gateways { gateways: vec![up, off], absent: Default::default() }, 120_000_000, false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("up") && lines[1].contains("12,345") && lines[1].contains("1.2 ms"), "{text}");
        assert!(lines[2].contains("disabled") && lines[2].ends_with("ann: ticket 7"), "{text}");
        assert!(lines[2].contains("1m 0s"), "since the decision, not since the last probe: {text}");
        assert_eq!(lines[1].matches("127.0.0.1:5071").count(), 1);
    }

    #[test]
    fn responses_that_were_not_believed_are_told_with_their_address() {
        let row = |from: Option<&str>| GatewayRow {
            name: "gw1".into(),
            state: "up".into(),
            refused_responses: 1_200,
            refused_from: from.map(str::to_owned),
            ..GatewayRow::default()
        };
        let text = |from| render(&Gateways { gateways: vec![row(from)], absent: Default::default() }, 0, false);
        let told = text(Some("192.0.2.9:5060"));
        assert!(told.contains("gw1: 1,200 responses refused, the last from 192.0.2.9:5060"), "{told}");
        assert!(told.contains("reply_from") && !text(None).contains("reply_from"));
    }
}
