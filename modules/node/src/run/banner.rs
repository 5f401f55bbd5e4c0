//! What a start says: a few lines for whoever typed the command, or reads the journal later.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tuning::{Config, OffOr};

/// Gateways of one set that are named; of more the number is.
const GATEWAYS_MAX: usize = 4;

/// Sets that are named; of more the number is.
const SETS_MAX: usize = 5;

/// What is known once everything serves.
pub(super) struct Started<'s> {
    pub(super) config: &'s Config,
    pub(super) serving: &'s engine::Serving,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) socket: &'s Path,
    pub(super) unresolved: usize,
    pub(super) took: Duration,
}

/// The lines.
pub(super) fn banner(started: &Started<'_>) -> String {
    let serving = started.serving;
    let list = |items: Vec<String>| items.join(", ");
    let addresses = list(serving.addresses.iter().map(|address| format!("{address} (udp)")).collect());
    let cores = list(serving.cores.iter().map(ToString::to_string).collect());
    let shards = match serving.cores.len() {
        1 => format!("1 shard, on core {cores}"),
        count => format!("{count} shards, on cores {cores}"),
    };
    let driver = match &serving.why {
        Some(why) => format!("{} ({why})", serving.driver),
        None => serving.driver.to_owned(),
    };
    let steering = match &serving.no_owner {
        Some(why) => format!("{} (not the owner's: {why})", serving.steering),
        None => serving.steering.to_owned(),
    };
    let mut lines = vec![
        format!("tandem {}", env!("CARGO_PKG_VERSION")),
        line("listens on", &addresses),
        line("carries by", &shards),
        line("driver", &driver),
    ];
    if serving.cores.len() > 1 {
        lines.push(line("datagrams", &format!("to {steering}")));
    }
    lines.extend(serving.queues.iter().map(|queue| line("queue", &queue.to_string())));
    let sets = &started.config.sets;
    lines.extend(sets.iter().take(SETS_MAX).map(|set| line("gateways", &set_in_words(set))));
    if sets.len() > SETS_MAX {
        lines.push(line("", &format!("and {} more sets", sets.len() - SETS_MAX)));
    }
    if started.unresolved > 0 {
        lines.push(line("", &format!("{} names have no address yet", started.unresolved)));
    }
    lines.push(line("control", &started.socket.display().to_string()));
    lines.extend(started.metrics.map(|address| line("metrics", &format!("http://{address}/metrics"))));
    lines.push(format!("up in {} ms", started.took.as_millis()));
    lines.join("\n") + "\n"
}

fn line(what: &str, value: &str) -> String {
    format!("  {what:<11} {value}")
}

fn set_in_words(set: &tuning::Set) -> String {
    let gateway = |gateway: &tuning::Gateway| {
        let target = gateway.uri.0.to_string();
        let mut text = if gateway.name == target { target } else { format!("{} at {target}", gateway.name) };
        if set.algorithm.weights {
            text += &format!(" weight {}", gateway.weight);
        }
        text
    };
    let mut gateways: Vec<String> = set.gateways.iter().take(GATEWAYS_MAX).map(gateway).collect();
    if set.gateways.len() > GATEWAYS_MAX {
        gateways.push(format!("{} more", set.gateways.len() - GATEWAYS_MAX));
    }
    let probed = if matches!(set.probe, OffOr::Off) { ", not probed" } else { "" };
    format!("{} ({}{probed}): {}", set.name, set.algorithm, gateways.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn says_listeners_shards_driver_and_gateways_in_a_few_lines() {
        let text = "[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"carriers\"\ngateways = [\n\
                    { uri = \"sip:127.0.0.1:5071\", weight = 70 }, { name = \"b\", uri = \"sip:127.0.0.1:5072\", weight = 30 }]\n";
        let config = tuning::parse(text, "test.toml", &tuning::Environment::unknown()).unwrap().config;
        let serving = engine::Serving {
            driver: "mmsg",
            queues: vec![engine::XdpQueue {
                interface: "eth0".to_owned(),
                queue: 3,
                shard: 1,
                mode: engine::QueueMode::NativeCopy,
                why: Some("its driver has no zero-copy".to_owned()),
            }],
            why: Some("io_uring is not permitted".into()),
            steering: "any shard",
            no_owner: Some("no CAP_BPF".into()),
            cores: vec![0, 1],
            addresses: vec!["127.0.0.1:5060".parse().unwrap()],
        };
        let text = banner(&Started {
            config: &config,
            serving: &serving,
            metrics: None,
            socket: Path::new("/run/tandem/control.sock"),
            unresolved: 0,
            took: Duration::from_millis(40),
        });
        for part in [
            "127.0.0.1:5060 (udp)",
            "2 shards, on cores 0, 1",
            "mmsg (io_uring is not permitted)",
            "any shard (not the owner's: no CAP_BPF)",
            "eth0 queue 3: shard 1, native, copied (its driver has no zero-copy)",
            "carriers (weighted): 127.0.0.1:5071 weight 70, b at 127.0.0.1:5072 weight 30",
            "/run/tandem/control.sock",
            "up in 40 ms",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        assert!(text.lines().count() < 10, "{text}");
    }
}
