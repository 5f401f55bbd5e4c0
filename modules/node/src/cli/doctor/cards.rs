//! Network cards: receive queues and their interrupts against the shards' cores, flow hash, drops, and which
//! memory node they hang on.

use super::demand::{Demand, cores_in_words};
use super::finding::{Finding, quoted};
use super::host::Host;
use std::collections::BTreeSet;
use tuning::Steering;

/// Dropped packets of a million received ones from which on it is more than a trace.
pub(super) const DROPS_PER_MILLION: u64 = 100;

/// Words in the names of interrupts that bring no received packets.
const NOT_RECEIVING: [&str; 8] = ["config", "async", "misc", "mgmnt", "fdir", "ctrl", "output", "-tx-"];

pub(super) fn check(host: &Host, demand: &Demand) -> Vec<Finding> {
    let mut found = Vec::new();
    for card in cards(host) {
        found.push(queues(host, demand, &card));
        found.extend(interrupts(host, demand, &card));
        found.extend(flow_hash(host, &card));
        found.push(drops(host, &card));
        found.extend(memory_node(host, demand, &card));
    }
    if found.is_empty() {
        found
            .push(Finding::fine("queues", "no network card with a device of its own (a container, or loopback alone)"));
    }
    found
}

/// Cards with hardware behind them that are up.
fn cards(host: &Host) -> Vec<String> {
    let mut cards = host.files.names("/sys/class/net");
    cards.retain(|card| {
        let folder = format!("/sys/class/net/{card}");
        let state = host.files.text(&format!("{folder}/operstate")).unwrap_or_default();
        host.files.exists(&format!("{folder}/device")) && matches!(state.trim(), "up" | "unknown")
    });
    cards
}

fn receive_queues(host: &Host, card: &str) -> Vec<String> {
    let mut queues = host.files.names(&format!("/sys/class/net/{card}/queues"));
    queues.retain(|queue| queue.starts_with("rx-"));
    queues
}

fn queues(host: &Host, demand: &Demand, card: &str) -> Finding {
    let queues = receive_queues(host, card);
    let (count, shards) = (queues.len(), demand.cores.len());
    let figure = format!("{card}: {count} receive queue{} for {shards} shard{}", plural(count), plural(shards));
    if count == 0 || count >= shards {
        return Finding::fine("queues", figure);
    }
    let folder = format!("/sys/class/net/{card}/queues");
    let spread = |queue: &String| {
        let mask = host.files.text(&format!("{folder}/{queue}/rps_cpus")).unwrap_or_default();
        mask.bytes().any(|byte| byte.is_ascii_hexdigit() && byte != b'0')
    };
    if queues.iter().all(spread) {
        return Finding::fine("queues", format!("{figure}; the kernel spreads them (rps_cpus)"));
    }
    let most = host.asked.cards.get(card).and_then(|card| card.channels).map_or(0, |channels| channels.most);
    let wanted = u32::try_from(shards).unwrap_or(u32::MAX).min(most);
    let finding = Finding::slow("queues", figure)
        .why("the kernel's receive work of all calls runs on as many cores as there are queues; those are full first");
    if usize::try_from(wanted).is_ok_and(|wanted| wanted > count) {
        return finding
            .remedy(format!("give the card {wanted} queues (it can have {most})"))
            .command(format!("ethtool -L {} combined {wanted}", quoted(card)));
    }
    let mask = mask(&demand.distinct_cores());
    let finding = finding.remedy("the card has no more: let the kernel spread packets over the shards' cores");
    queues.iter().fold(finding, |finding, queue| {
        finding.command(format!("echo {mask} > {}", quoted(&format!("{folder}/{queue}/rps_cpus"))))
    })
}

/// Cores as a mask of the kernel: words of 32 bits, the highest first, separated by commas.
fn mask(cores: &BTreeSet<usize>) -> String {
    let words = cores.last().map_or(1, |last| last / 32 + 1);
    let mut mask = vec![0_u32; words];
    for core in cores {
        if let Some(word) = mask.get_mut(core / 32) {
            *word |= 1 << (core % 32);
        }
    }
    mask.iter().rev().map(|word| format!("{word:08x}")).collect::<Vec<_>>().join(",")
}

/// Where one receive queue interrupts.
struct Interrupt {
    number: String,
    cores: Vec<usize>,
}

fn receive_interrupts(host: &Host, card: &str) -> Vec<Interrupt> {
    // WHY the second: a virtio device's interrupts belong to the PCI device above it.
    let folders = ["device/msi_irqs", "device/../msi_irqs"].map(|place| format!("/sys/class/net/{card}/{place}"));
    let mut numbers =
        folders.iter().map(|folder| host.files.names(folder)).find(|names| !names.is_empty()).unwrap_or_default();
    numbers.sort_by_key(|number| number.parse::<u32>().unwrap_or(u32::MAX));
    let receives = |number: &String| {
        let names = host.files.names(&format!("/proc/irq/{number}")).join(" ").to_ascii_lowercase();
        !names.is_empty() && !NOT_RECEIVING.iter().any(|word| names.contains(word))
    };
    let read = |number: String| {
        let cores = host.files.cores(&format!("/proc/irq/{number}/effective_affinity_list"));
        Interrupt { number, cores }
    };
    numbers.into_iter().filter(receives).map(read).filter(|interrupt| !interrupt.cores.is_empty()).collect()
}

fn interrupts(host: &Host, demand: &Demand, card: &str) -> Option<Finding> {
    let interrupts = receive_interrupts(host, card);
    if interrupts.is_empty() {
        return None;
    }
    let shards = demand.distinct_cores();
    let reached: BTreeSet<usize> = interrupts.iter().flat_map(|interrupt| interrupt.cores.iter().copied()).collect();
    let pinned = interrupts.iter().all(|interrupt| interrupt.cores.len() == 1);
    let count = interrupts.len();
    let figure = format!(
        "{card}: {count} receive interrupt{} on core {}",
        plural(count),
        cores_in_words(reached.iter().copied())
    );
    if pinned && reached == shards {
        return Some(Finding::fine("interrupts", format!("{figure}, one a core, as the shards")));
    }
    let follows = demand.steering == Steering::Core;
    let crowded = reached.len() < count.min(shards.len());
    let could_follow = follows && count >= shards.len();
    if !(crowded || could_follow) {
        return Some(Finding::fine("interrupts", figure));
    }
    let why = if crowded {
        "several queues interrupt the same core: its receive work is done before any shard runs there, the other cores idle"
    } else {
        "a datagram is received on one core and handled on another: its bytes cross caches, and the shard must be woken"
    };
    let finding = Finding::slow("interrupts", figure)
        .why(why)
        .remedy(format!("pin one queue a core, to cores {}", demand.cores_in_words()));
    let finding =
        if runs(host, "irqbalance") { finding.command("systemctl disable --now irqbalance") } else { finding };
    let pins = interrupts.iter().zip(shards.iter().cycle());
    Some(pins.fold(finding, |finding, (interrupt, core)| {
        finding.command(format!("echo {core} > /proc/irq/{}/smp_affinity_list", interrupt.number))
    }))
}

fn runs(host: &Host, program: &str) -> bool {
    let processes = host.files.names("/proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    processes.filter_map(|process| host.files.text(&format!("/proc/{process}/comm"))).any(|name| name.trim() == program)
}

fn flow_hash(host: &Host, card: &str) -> Option<Finding> {
    let by_ports = host.asked.cards.get(card)?.hashes_udp_ports?;
    if by_ports || receive_queues(host, card).len() < 2 {
        return by_ports.then(|| Finding::fine("flow-hash", format!("{card}: UDP is spread by addresses and ports")));
    }
    let card_word = quoted(card);
    let finding = Finding::slow("flow-hash", format!("{card}: UDP is spread over queues by addresses alone"))
        .why("carriers are few: all that one of them sends from one address meets one queue and one core")
        .remedy("hash ports too")
        .command(format!("ethtool -N {card_word} rx-flow-hash udp4 sdfn"))
        .command(format!("ethtool -N {card_word} rx-flow-hash udp6 sdfn"));
    Some(finding)
}

fn drops(host: &Host, card: &str) -> Finding {
    let count = |name: &str| {
        let path = format!("/sys/class/net/{card}/statistics/{name}");
        host.files.number::<u64>(&path).unwrap_or(0)
    };
    let (dropped, received) = (count("rx_missed_errors") + count("rx_fifo_errors"), count("rx_packets"));
    let figure = format!("{card}: {dropped} of {received} packets lost by the card itself");
    if dropped == 0 {
        return Finding::fine("card-drops", figure);
    }
    let many = more_than_a_trace(dropped, received);
    Finding::slow_if(many, "card-drops", figure)
        .why("the card's ring was full when they came: each was a message that its sender had to repeat after 500 ms")
        .remedy("enlarge the ring (`ethtool -g` shows the most that it can have); the count starts again with the host")
        .command(format!("ethtool -G {} rx 4096", quoted(card)))
}

/// Whether so many of all are worth a finding.
pub(super) fn more_than_a_trace(dropped: u64, all: u64) -> bool {
    dropped.saturating_mul(1_000_000) > all.max(1).saturating_mul(DROPS_PER_MILLION)
}

fn memory_node(host: &Host, demand: &Demand, card: &str) -> Option<Finding> {
    // -1: the host has one node.
    let node: u32 = host.files.number(&format!("/sys/class/net/{card}/device/numa_node"))?;
    let near = host.files.cores(&format!("/sys/devices/system/node/node{node}/cpulist"));
    let far: Vec<usize> = demand.distinct_cores().into_iter().filter(|core| !near.contains(core)).collect();
    if far.is_empty() || near.is_empty() {
        return Some(Finding::fine("memory-node", format!("{card}: on memory node {node}, as the shards")));
    }
    let figure = format!("{card}: on memory node {node}, shards on core {} are not", cores_in_words(far));
    let finding = Finding::slow("memory-node", figure)
        .why("each datagram is read across the link between the processors")
        .remedy(format!("write `cores = \"{}\"` in [shards], or fewer of them", cores_in_words(near)));
    Some(finding)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
