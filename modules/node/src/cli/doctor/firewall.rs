//! The firewall: rules that drop what goes to our ports, connection tracking, and its SIP helper.

use super::demand::Demand;
use super::finding::{Finding, quoted};
use super::host::Host;
use super::ruleset::{BaseChain, Rule, Ruleset};

pub(super) fn check(host: &Host, demand: &Demand) -> Vec<Finding> {
    let mut found = Vec::new();
    let ruleset = match &host.asked.ruleset {
        Ok(document) => {
            let ruleset = Ruleset::read(document);
            found.extend(drops(&ruleset, demand));
            Some(ruleset)
        }
        Err(why) => {
            found.push(Finding::note("firewall", format!("rules not read: {why}")));
            None
        }
    };
    found.extend(older_tables(host));
    let ruleset = ruleset.unwrap_or_default();
    found.extend(tracking(host, demand, &ruleset));
    found.extend(sip_alg(host, &ruleset));
    found
}

fn names_ours(rule: &Rule, demand: &Demand) -> bool {
    demand.ports.iter().any(|port| rule.names_port(*port))
}

fn drops(ruleset: &Ruleset, demand: &Demand) -> Vec<Finding> {
    let ports = demand.ports_in_words();
    let mut found: Vec<Finding> = Vec::new();
    for rule in ruleset.rules.iter().filter(|rule| rule.drops() && names_ours(rule, demand)) {
        let counted = rule.packets().map(|packets| format!(", {packets} packets so far")).unwrap_or_default();
        let figure = format!("rule {} drops UDP to port {ports}{counted}", rule.place());
        if rule.has_other_conditions() && rule.packets().unwrap_or(0) == 0 {
            let note = Finding::note("firewall", figure + ", under further conditions");
            found.push(note.why("meant for strangers, most likely; a carrier's address among them would be lost"));
            continue;
        }
        let why = "calls that it meets are gone without a word: their senders see a timeout";
        let remedy = "take the rule away, or let your carriers' addresses through before it";
        let finding = Finding::loss("firewall", figure).why(why).remedy(remedy);
        found.push(finding.command(format!("nft delete rule {}", rule.place())));
    }
    for chain in ruleset.chains.iter().filter(|chain| chain.hook == "input" && chain.drops_by_default) {
        found.extend(closed(ruleset, chain, demand));
    }
    if found.is_empty() {
        let count = ruleset.rules.len();
        found.push(Finding::fine("firewall", format!("none of {count} rules drops UDP to port {ports}")));
    }
    found
}

/// A chain that drops by default and lets none of our ports in, as far as its table says.
fn closed(ruleset: &Ruleset, chain: &BaseChain, demand: &Demand) -> Option<Finding> {
    let lets_in = |rule: &Rule| {
        let same_table = rule.table == chain.table && rule.family == chain.family;
        same_table && rule.accepts() && names_ours(rule, demand)
    };
    if ruleset.rules.iter().any(lets_in) {
        return None;
    }
    let ports = demand.ports_in_words();
    let BaseChain { family, table, name, .. } = chain;
    let figure = format!("chain {family} {table} {name} drops by default, and no rule names UDP port {ports}");
    let why = "what no rule accepts is dropped without a word: callers see a timeout";
    let remedy = "accept our ports, better still from your carriers' addresses alone";
    let (table, name) = (quoted(table), quoted(name));
    let command = format!("nft insert rule {family} {table} {name} udp dport '{{ {ports} }}' accept");
    Some(Finding::loss("firewall", figure).why(why).remedy(remedy).command(command))
}

/// Tables of the old iptables, which nft does not show.
fn older_tables(host: &Host) -> Option<Finding> {
    let files = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];
    let tables = files.iter().filter_map(|file| host.files.text(file)).collect::<String>();
    let tables: Vec<&str> = tables.split_whitespace().collect();
    if tables.is_empty() {
        return None;
    }
    let figure = format!("tables of the old iptables are in use ({}) and are not read here", tables.join(", "));
    let finding = Finding::note("firewall-legacy", figure).why("each of their rules is walked for each datagram");
    Some(finding.remedy("look with `iptables-legacy-save -c`; move them to nft"))
}

/// Part of the table, in percent, from which on it is nearly full.
const NEARLY_FULL_PERCENT: u64 = 80;

fn tracking(host: &Host, demand: &Demand, ruleset: &Ruleset) -> Option<Finding> {
    let entries: u64 = host.files.number("/proc/sys/net/netfilter/nf_conntrack_count")?;
    let most: u64 = host.files.number("/proc/sys/net/netfilter/nf_conntrack_max").unwrap_or(u64::MAX);
    let refused = refused(host);
    if entries == 0 && refused == 0 && !ruleset.tracks() {
        return Some(Finding::fine("conntrack", "connections are not tracked"));
    }
    let excepted = ruleset.rules.iter().any(|rule| rule.leaves_untracked() && names_ours(rule, demand));
    let nearly_full = entries.saturating_mul(100) >= most.saturating_mul(NEARLY_FULL_PERCENT);
    let figure = format!("connections are tracked: {entries} of at most {most} entries, {refused} packets refused");
    if excepted && !nearly_full {
        return Some(Finding::fine("conntrack", figure + "; our ports are excepted"));
    }
    let finding = if nearly_full || refused > 0 {
        Finding::loss("conntrack", figure).why(
            "with the table full, packets of every new peer and of every scan are dropped before any socket sees them",
        )
    } else {
        Finding::slow("conntrack", figure)
            .why("each datagram costs a lookup and a timer, and a scan of strangers can fill the table for all")
    };
    Some(untracked(finding, demand))
}

fn untracked(finding: Finding, demand: &Demand) -> Finding {
    let ports = demand.ports_in_words();
    finding
        .remedy(
            "do not track SIP; rules that accept by `ct state established` no longer see it, so accept the port by itself",
        )
        .command("nft add table inet tandem_notrack")
        .command("nft add chain inet tandem_notrack received '{ type filter hook prerouting priority raw; }'")
        .command(format!("nft add rule inet tandem_notrack received udp dport '{{ {ports} }}' notrack"))
        .command("nft add chain inet tandem_notrack sent '{ type filter hook output priority raw; }'")
        .command(format!("nft add rule inet tandem_notrack sent udp sport '{{ {ports} }}' notrack"))
}

/// /proc/net/stat/nf_conntrack: names, then a line of hexadecimal counts for each core.
fn refused(host: &Host) -> u64 {
    let text = host.files.text("/proc/net/stat/nf_conntrack").unwrap_or_default();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let places = ["drop", "early_drop"].map(|wanted| names.iter().position(|name| *name == wanted));
    let count = |line: &str, place: usize| {
        let field = line.split_whitespace().nth(place)?;
        u64::from_str_radix(field, 16).ok()
    };
    lines.flat_map(|line| places.iter().flatten().filter_map(move |place| count(line, *place))).sum()
}

const SIP_ALG_COSTS: &str = "it reads every SIP message in the kernel, rewrites addresses in headers and SDP where NAT is near, and \
     drops what it does not understand";

fn sip_alg(host: &Host, ruleset: &Ruleset) -> Option<Finding> {
    let by_rule: Vec<&Rule> = ruleset
        .rules
        .iter()
        .filter(|rule| rule.tracking_module().is_some_and(|name| ruleset.sip_modules.contains(name)))
        .collect();
    // WHY the module too: built in, it has no line in /proc/modules.
    let there = host.files.exists("/sys/module/nf_conntrack_sip");
    let automatic = host.files.number::<u32>("/proc/sys/net/netfilter/nf_conntrack_helper") == Some(1);
    let loaded =
        host.files.text("/proc/modules").unwrap_or_default().lines().any(|line| line.starts_with("nf_conntrack_sip "));
    if !by_rule.is_empty() || (there || loaded) && automatic {
        let how = if by_rule.is_empty() { "by itself (nf_conntrack_helper = 1)" } else { "by rule" };
        let finding = Finding::loss("sip-helper", format!("the kernel's SIP helper is at work, {how}"))
            .why(SIP_ALG_COSTS)
            .remedy("take it away");
        let finding =
            by_rule.iter().fold(finding, |finding, rule| finding.command(format!("nft delete rule {}", rule.place())));
        let finding = if automatic { finding.sysctl("net.netfilter.nf_conntrack_helper", 0) } else { finding };
        return Some(if loaded { unload(finding) } else { finding });
    }
    if loaded {
        let finding =
            Finding::slow("sip-helper", "the kernel's SIP helper is loaded; nothing that was read here uses it")
                .why(format!("a rule that was not read, or the next one, puts it on port 5060: {SIP_ALG_COSTS}"))
                .remedy("unload it and keep it out");
        return Some(unload(finding));
    }
    there.then(|| Finding::fine("sip-helper", "the kernel has a SIP helper, nothing uses it"))
}

fn unload(finding: Finding) -> Finding {
    finding
        .command("modprobe -r nf_nat_sip nf_conntrack_sip || rmmod nf_conntrack_sip")
        .command(
            "printf 'install nf_nat_sip /bin/false\\ninstall nf_conntrack_sip /bin/false\\n' > /etc/modprobe.d/tandem-no-sip-helper.conf",
        )
}
