//! The way of a datagram from the card to a shard: backlog, receive buffers, what was lost in them, fragments.

use super::cards::more_than_a_trace;
use super::demand::Demand;
use super::finding::Finding;
use super::host::{CAP_NET_ADMIN, Host};

pub(super) fn check(host: &Host, demand: &Demand) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(receive_buffer(host, demand));
    found.extend(own_sockets(host, demand));
    found.extend(all_sockets(host));
    found.extend(backlog(host));
    found.extend(fragments(host));
    found
}

fn receive_buffer(host: &Host, demand: &Demand) -> Option<Finding> {
    let most: u64 = host.files.number("/proc/sys/net/core/rmem_max")?;
    let wanted = demand.receive_buffer;
    let figure = format!("net.core.rmem_max is {}, a socket wants {}", kibibytes(most), kibibytes(wanted));
    if most >= wanted {
        return Some(Finding::fine("receive-buffer", figure));
    }
    let finding = if host.files.may(CAP_NET_ADMIN) {
        Finding::note("receive-buffer", figure + "; this user may go beyond (CAP_NET_ADMIN), a service's user may not")
    } else {
        Finding::slow("receive-buffer", figure)
    };
    let finding = finding
        .why("a burst, or a core that is away for a moment, fills the buffer, and what comes then is lost")
        .remedy("raise the most that a socket may have; `receive_wait` in [driver] is what asks for it")
        .sysctl("net.core.rmem_max", wanted);
    Some(finding)
}

/// Drops of the sockets on our ports: those of a Tandem that runs.
fn own_sockets(host: &Host, demand: &Demand) -> Option<Finding> {
    let mut dropped = None;
    for file in ["/proc/net/udp", "/proc/net/udp6"] {
        for line in host.files.text(file).unwrap_or_default().lines().skip(1) {
            let mut fields = line.split_whitespace();
            let port = fields.nth(1).and_then(|local| u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok());
            if port.is_some_and(|port| demand.ports.contains(&port)) {
                let drops: u64 = fields.next_back().and_then(|drops| drops.parse().ok()).unwrap_or(0);
                *dropped.get_or_insert(0) += drops;
            }
        }
    }
    let dropped = dropped?;
    let figure = format!("{dropped} datagrams lost in the sockets on port {}", demand.ports_in_words());
    if dropped == 0 {
        return Some(Finding::fine("socket-drops", figure));
    }
    let finding = Finding::loss("socket-drops", figure)
        .why("they came faster than the shards took them, or while a core was away; each had to be repeated")
        .remedy("`tandem stats` shows how busy each shard is: more shards if they are, a longer `receive_wait` if not");
    Some(finding)
}

fn all_sockets(host: &Host) -> Option<Finding> {
    let (received, lost) = (counter(host, "Udp", "InDatagrams")?, counter(host, "Udp", "RcvbufErrors")?);
    let sixth =
        |name| host.files.field("/proc/net/snmp6", name).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
    let (received, lost) = (received + sixth("Udp6InDatagrams"), lost + sixth("Udp6RcvbufErrors"));
    let figure = format!("{lost} of {} UDP datagrams found a full buffer since the host started", received + lost);
    if lost == 0 {
        return Some(Finding::fine("udp-drops", figure));
    }
    let finding = Finding::note("udp-drops", figure)
        .why("of all programs on this host; whether they were SIP, `tandem stats` knows (drops of its sockets)")
        .remedy("watch whether it grows: `nstat UdpRcvbufErrors`");
    Some(finding)
}

/// /proc/net/snmp: a line of names and a line of values for each protocol.
fn counter(host: &Host, protocol: &str, name: &str) -> Option<u64> {
    let text = host.files.text("/proc/net/snmp")?;
    let prefix = format!("{protocol}: ");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    let place = lines.next()?.split(' ').position(|found| found == name)?;
    lines.next()?.split(' ').nth(place)?.parse().ok()
}

/// /proc/net/softnet_stat, hexadecimal, a line a core: packets, dropped, ran out of time, …
fn backlog(host: &Host) -> Option<Finding> {
    let text = host.files.text("/proc/net/softnet_stat")?;
    let column = |line: &str, index| {
        let field = line.split_whitespace().nth(index)?;
        u64::from_str_radix(field, 16).ok()
    };
    let sum = |index| text.lines().filter_map(|line| column(line, index)).sum::<u64>();
    let (packets, dropped) = (sum(0), sum(1));
    let figure = format!("{dropped} of {packets} packets found the kernel's backlog full");
    if dropped == 0 {
        return Some(Finding::fine("backlog", figure));
    }
    let finding = Finding::slow_if(more_than_a_trace(dropped, packets), "backlog", figure)
        .why("a core had more to receive than it could: they are lost before any firewall or socket saw them")
        .remedy("lengthen the queue, and spread interrupts over more cores")
        .sysctl("net.core.netdev_max_backlog", 10_000);
    Some(finding)
}

fn fragments(host: &Host) -> Option<Finding> {
    let (asked, failed) = (counter(host, "Ip", "ReasmReqds")?, counter(host, "Ip", "ReasmFails")?);
    let figure = format!("{failed} of {asked} IPv4 fragments could not be put together");
    if failed == 0 {
        return Some(Finding::fine("fragments", figure));
    }
    // WHY a hundredth: a fragment that is lost on its way fails here too.
    let finding = Finding::slow_if(failed.saturating_mul(100) > asked, "fragments", figure)
        .why("an INVITE of more than about 1,480 bytes comes in fragments; without all of them it never arrives")
        .remedy("let fragments through every firewall on the way (they have no ports), and give them room here")
        .sysctl("net.ipv4.ipfrag_high_thresh", 16 << 20)
        .sysctl("net.ipv6.ip6frag_high_thresh", 16 << 20);
    Some(finding)
}

fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", bytes / 1024)
}
