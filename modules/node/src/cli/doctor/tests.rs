//! The checks on other hosts: trees of /proc and /sys files as those hosts have them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::finding::Severity;
use super::host::{Asked, CardAnswers, Files};
use super::*;
use engine_sys::host::{Channels, ClockState};
use serde_json::json;
use std::fs;

/// A host that a test makes.
struct Tree {
    folder: tempfile::TempDir,
    asked: Asked,
}

impl Tree {
    /// Files that every Linux has, on so many cores, with nothing to find.
    fn of(cores: usize) -> Self {
        let asked = Asked {
            clock: Some(ClockState { synchronised: true, error_micros: 120 }),
            cards: Default::default(),
            ruleset: Ok(json!({ "nftables": [] })),
            io_uring: Ok(()),
        };
        let last = cores - 1;
        Tree { folder: tempfile::tempdir().unwrap(), asked }
            .with("proc/self/status", &format!("Name:\tx\nCapEff:\t000001ffffffffff\nCpus_allowed_list:\t0-{last}\nSeccomp:\t0\n"))
            .with("proc/self/limits", "Max open files            1024                 524288               files\nMax locked memory         8388608              8388608              bytes\n")
            .with("proc/self/cgroup", "0::/system.slice/tandem.service\n")
            .with("sys/fs/cgroup/cpu.stat", "nr_throttled 0\n")
            .with("sys/fs/cgroup/system.slice/tandem.service/cpu.max", "max 100000\n")
            .with("proc/meminfo", "MemTotal:       65536000 kB\n")
            .with("proc/stat", "cpu  1000 0 500 90000 10 0 50 5 0 0\n")
            .with("proc/sys/net/core/rmem_max", "67108864\n")
            .with("proc/sys/kernel/osrelease", "6.12.0-1-amd64\n")
            .with("proc/net/snmp", "Ip: ReasmReqds ReasmFails\nIp: 4000 0\nUdp: InDatagrams RcvbufErrors\nUdp: 1000000 0\n")
            .with("proc/net/softnet_stat", "000f4240 00000000 00000000\n")
            .with("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
            .with("sys/devices/system/cpu/online", &format!("0-{last}\n"))
            .with("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n")
    }

    fn with(self, path: &str, text: &str) -> Self {
        let file = self.folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    /// A card whose queue `n` interrupts by number 100 + n on these cores.
    fn card(mut self, name: &str, answers: CardAnswers, affinities: &[&str]) -> Self {
        self.asked.cards.insert(name.into(), answers);
        let folder = format!("sys/class/net/{name}");
        let mut tree = self
            .with(&format!("{folder}/operstate"), "up\n")
            .with(&format!("{folder}/device/numa_node"), "0\n")
            .with("sys/devices/system/node/node0/cpulist", "0-15\n")
            .with(&format!("{folder}/statistics/rx_packets"), "1000000\n")
            // The card's own interrupt is no queue.
            .with(&format!("{folder}/device/msi_irqs/99"), "msix\n")
            .with("proc/irq/99/mlx5_async0@pci/x", "")
            .with("proc/irq/99/effective_affinity_list", "0\n");
        for (number, cores) in affinities.iter().enumerate() {
            tree = tree
                .with(&format!("{folder}/queues/rx-{number}/rps_cpus"), "0000\n")
                .with(&format!("{folder}/device/msi_irqs/{}", 100 + number), "msix\n")
                .with(&format!("proc/irq/{}/mlx5_comp{number}@pci/x", 100 + number), "")
                .with(&format!("proc/irq/{}/effective_affinity_list", 100 + number), &format!("{cores}\n"));
        }
        tree
    }

    fn examine(self, more: &str) -> Findings {
        let files = Files::below(self.folder.path());
        let host = Host { files, asked: self.asked };
        let environment = demand::environment(&host.files);
        let config =
            tuning::parse(&format!("{}{more}", demand::ASSUMED), "test.toml", &Environment::unknown()).unwrap();
        let demand = Demand::of(&config.config, &environment);
        Findings(examine(&host, &demand), subject(&demand, None))
    }
}

struct Findings(Groups, String);

impl Findings {
    fn all(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().flat_map(|(_, findings)| findings)
    }

    /// Rules that a script is told.
    fn told(&self) -> Vec<&'static str> {
        self.all().filter(|finding| finding.counts()).map(|finding| finding.rule).collect()
    }

    fn of(&self, rule: &str) -> &Finding {
        self.all().find(|finding| finding.rule == rule).unwrap_or_else(|| panic!("no {rule}: {:?}", self.0))
    }
}

const BY_PORTS: CardAnswers =
    CardAnswers { hashes_udp_ports: Some(true), channels: Some(Channels { now: 16, most: 16 }) };

const BY_ADDRESS: CardAnswers =
    CardAnswers { hashes_udp_ports: Some(false), channels: Some(Channels { now: 4, most: 32 }) };

const ONE_A_CORE: [&str; 16] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];

#[test]
fn sixteen_cores_well_set_have_no_finding() {
    let findings = Tree::of(16).card("eth0", BY_PORTS, &ONE_A_CORE).examine("");
    assert_eq!(findings.told(), Vec::<&str>::new(), "{}", report::text(&findings.1, &findings.0, false));
    assert!(findings.of("interrupts").figure.contains("16 receive interrupts on core 0-15, one a core"));
    assert_eq!(report::count(&findings.0), 0);
}

#[test]
fn sixteen_cores_and_a_25g_card_as_it_comes_out_of_the_box() {
    let tree = Tree::of(16)
        .card("ens1f0", BY_ADDRESS, &["0", "0", "1", "1"])
        .with("sys/class/net/ens1f0/statistics/rx_missed_errors", "5000\n")
        .with("proc/77/comm", "irqbalance\n")
        .with("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "powersave\n")
        .with("sys/devices/system/cpu/cpu4/cpufreq/scaling_governor", "performance\n")
        .with("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2,10\n")
        .with("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
    let findings = tree.examine("[shards]\ncores = \"2-15\"\n");
    assert_eq!(
        findings.told(),
        ["queues", "interrupts", "flow-hash", "card-drops", "governor", "hyperthreads", "huge-pages"]
    );
    assert_eq!(findings.of("queues").commands, ["ethtool -L ens1f0 combined 14"]);
    let pins = &findings.of("interrupts").commands;
    assert_eq!(pins[0], "systemctl disable --now irqbalance");
    assert_eq!(pins[1], "echo 2 > /proc/irq/100/smp_affinity_list", "the card's own interrupt stays: {pins:?}");
    assert_eq!(findings.of("governor").commands.len(), 1, "core 4 is right already");
    assert!(findings.of("hyperthreads").figure.contains("(2,10)"));
    assert!(findings.of("isolation").remedy.contains("isolcpus=2-15"));
}

#[test]
fn a_container_without_io_uring_and_with_a_quota() {
    let mut tree = Tree::of(2)
        .with("proc/self/status", "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-1\nSeccomp:\t2\n")
        .with("proc/sys/net/core/rmem_max", "212992\n")
        .with("sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n")
        .with("sys/fs/cgroup/system.slice/cpu.stat", "usage_usec 1\nnr_throttled 42\n")
        .with("proc/swaps", "Filename Type\n/swap file\n")
        .with("proc/stat", "cpu  1000 0 500 6000 10 0 50 400 0 0\n");
    tree.asked.io_uring = Err("io_uring is forbidden here".into());
    tree.asked.clock = Some(ClockState { synchronised: false, error_micros: 16_000_000 });
    tree.asked.ruleset = Err("the program nft is not installed".into());
    let findings = tree.examine("");
    assert_eq!(findings.told(), ["receive-buffer", "steal", "quota", "memlock", "driver", "clock"]);
    assert!(findings.of("driver").figure.contains("mmsg will be used: io_uring is forbidden here"));
    assert!(findings.of("driver").remedy.contains("seccomp=FILE"));
    assert_eq!(findings.of("quota").severity, Severity::Loss);
    assert!(findings.of("quota").figure.contains("150000 us") && findings.of("quota").figure.contains("42 times"));
    assert!(findings.of("receive-buffer").commands[0].starts_with("sysctl -w net.core.rmem_max=1152"));
    assert!(findings.of("queues").figure.contains("no network card"));
}

#[test]
fn io_uring_switched_off_by_the_kernel_or_missed_by_the_configuration() {
    let off = || {
        let mut tree = Tree::of(1).with("proc/sys/kernel/io_uring_disabled", "2\n");
        tree.asked.io_uring = Err("io_uring is forbidden here".into());
        tree
    };
    assert_eq!(off().examine("").of("driver").commands[0], "sysctl -w kernel.io_uring_disabled=0");
    let demanded = off().examine("[driver]\nkind = \"io_uring\"\n");
    assert_eq!(demanded.of("driver").severity, Severity::Loss);
    let by_choice = off().examine("[driver]\nkind = \"mmsg\"\n");
    assert_eq!(by_choice.of("driver").severity, Severity::Note);
    let past_the_kernel = Tree::of(1).examine("[driver]\nkind = \"xdp\"\ninterfaces = [\"eth7\"]\n");
    assert!(past_the_kernel.of("driver").figure.contains("AF_XDP on eth7"));
}

fn rule(handle: u32, expressions: &serde_json::Value) -> serde_json::Value {
    json!({ "rule": { "family": "inet", "table": "filter", "chain": "in", "handle": handle, "expr": expressions } })
}

fn to_port(port: &serde_json::Value) -> serde_json::Value {
    json!({ "match": { "op": "==", "left": { "payload": { "protocol": "udp", "field": "dport" } }, "right": port } })
}

fn tracked() -> Tree {
    Tree::of(2)
        .with("proc/sys/net/netfilter/nf_conntrack_count", "9000\n")
        .with("proc/sys/net/netfilter/nf_conntrack_max", "10000\n")
        .with(
            "proc/net/stat/nf_conntrack",
            "entries drop early_drop\n00002328 0000000a 00000001\n00002328 00000000 00000001\n",
        )
}

#[test]
fn connection_tracking_that_reads_sip() {
    let mut tree = tracked()
        .with("sys/module/nf_conntrack_sip/refcnt", "1\n")
        .with("proc/modules", "nf_conntrack_sip 32768 1 nf_nat_sip, Live 0x0\n");
    let from = json!({ "match": { "op": "==", "left": { "ct": { "key": "state" } }, "right": "established" } });
    tree.asked.ruleset = Ok(json!({ "nftables": [
        { "ct helper": { "family": "inet", "table": "filter", "name": "sip-std", "type": "sip" } },
        rule(4, &json!([from, { "accept": null }])),
        rule(5, &json!([to_port(&json!(5060)), { "ct helper": "sip-std" }])),
    ] }));
    let findings = tree.examine("");
    assert_eq!(findings.told(), ["conntrack", "sip-helper"]);
    let tracking = findings.of("conntrack");
    assert_eq!(tracking.severity, Severity::Loss);
    assert!(tracking.figure.contains("9000 of at most 10000 entries, 12 packets refused"), "{}", tracking.figure);
    let module = findings.of("sip-helper");
    assert_eq!(module.commands[0], "nft delete rule inet filter in handle 5");
    assert!(module.commands[1].starts_with("modprobe -r"));
}

#[test]
fn a_module_that_nothing_uses_is_less_and_ports_left_untracked_are_well() {
    let mut tree = tracked()
        .with("proc/sys/net/netfilter/nf_conntrack_count", "12\n")
        .with("proc/net/stat/nf_conntrack", "entries drop early_drop\n0000000c 00000000 00000000\n")
        .with("proc/modules", "nf_conntrack_sip 32768 0 - Live 0x0\n");
    assert_eq!(tree.asked.ruleset.as_ref().map(|_| ()), Ok(()));
    tree.asked.ruleset = Ok(json!({ "nftables": [rule(3, &json!([to_port(&json!(5060)), { "notrack": null }]))] }));
    let findings = tree.examine("");
    assert_eq!(findings.told(), ["sip-helper"]);
    assert_eq!(findings.of("sip-helper").severity, Severity::Slow);
    assert!(findings.of("conntrack").figure.ends_with("our ports are excepted"));
}

#[test]
fn rules_that_drop_our_port_and_chains_that_let_nothing_in() {
    let chain =
        json!({ "chain": { "family": "inet", "table": "filter", "name": "in", "hook": "input", "policy": "drop" } });
    let with = |rules: Vec<serde_json::Value>| {
        let mut tree = Tree::of(2);
        let all: Vec<_> = std::iter::once(chain.clone()).chain(rules).collect();
        tree.asked.ruleset = Ok(json!({ "nftables": all }));
        tree.examine("")
    };
    let closed = with(vec![rule(2, &json!([to_port(&json!(22)), { "accept": null }]))]);
    assert_eq!(closed.told(), ["firewall"]);
    assert_eq!(closed.of("firewall").commands, ["nft insert rule inet filter in udp dport '{ 5060 }' accept"]);

    let open = with(vec![rule(2, &json!([to_port(&json!({ "range": [5060, 5061] })), { "accept": null }]))]);
    assert_eq!(open.told(), Vec::<&str>::new());

    let counter = json!({ "counter": { "packets": 7, "bytes": 1 } });
    let accept = rule(3, &json!([to_port(&json!(5060)), { "accept": null }]));
    let dropped = with(vec![rule(2, &json!([to_port(&json!(5060)), counter, { "drop": null }])), accept.clone()]);
    assert_eq!(dropped.of("firewall").commands, ["nft delete rule inet filter in handle 2"]);
    assert!(dropped.of("firewall").figure.contains("7 packets so far"));

    let limit = json!({ "limit": { "rate": 100, "per": "second" } });
    let limited = with(vec![rule(2, &json!([to_port(&json!(5060)), limit, { "drop": null }])), accept]);
    assert_eq!((limited.told(), limited.of("firewall").severity), (vec![], Severity::Note));
}

#[test]
fn lost_datagrams_weigh_by_whose_they_were_and_how_many() {
    let udp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
        1: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 11 2 0 3\n\
        2: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 12 2 0 900\n";
    let tree = Tree::of(2)
        .with("proc/net/udp", udp)
        .with("proc/net/snmp", "Ip: ReasmReqds ReasmFails\nIp: 4000 400\nUdp: InDatagrams RcvbufErrors\nUdp: 999 1\n");
    let findings = tree.with("proc/net/softnet_stat", "000f4240 00000001 0\n0 00000001 0\n").examine("");
    assert_eq!(findings.told(), ["socket-drops", "fragments"]);
    assert!(findings.of("socket-drops").figure.starts_with("3 datagrams"), "port 53 is not ours");
    assert!(findings.of("udp-drops").figure.starts_with("1 of 1000"));
    assert_eq!(findings.of("backlog").severity, Severity::Note, "2 of a million are a trace");
}

#[test]
fn a_slow_clock_and_pools_that_do_not_fit() {
    let clocks = "sys/devices/system/clocksource/clocksource0";
    let tree = Tree::of(2)
        .with(&format!("{clocks}/current_clocksource"), "hpet\n")
        .with(&format!("{clocks}/available_clocksource"), "tsc hpet acpi_pm\n")
        .with("proc/meminfo", "MemTotal:       262144 kB\n");
    let findings = tree.examine("");
    assert_eq!(findings.told(), ["pools", "clock-source"]);
    assert_eq!(findings.of("clock-source").commands, [format!("echo tsc > /{clocks}/current_clocksource")]);
}

#[test]
fn the_script_is_one_that_a_shell_reads_and_says_why() {
    let mut tree = tracked().card("a b;$(reboot)", BY_ADDRESS, &["0", "0"]);
    tree.asked.ruleset = Ok(json!({ "nftables": [rule(5, &json!([to_port(&json!(5060)), { "drop": null }]))] }));
    tree.asked.clock = Some(ClockState { synchronised: false, error_micros: 1 });
    let findings = tree.with("sys/class/net/a b;$(reboot)/statistics/rx_missed_errors", "999999\n").examine("");
    let script = report::script(&findings.1, &findings.0);
    assert!(script.contains("ethtool -G 'a b;$(reboot)' rx 4096\n") && script.contains("# Why: "), "{script}");
    let file = findings_file(&script);
    let read = std::process::Command::new("sh").arg("-n").arg(file.path()).status().unwrap();
    assert!(read.success(), "{script}");
    for line in script.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let known = ["set -eu", "ethtool ", "echo ", "nft ", "sysctl ", "printf ", "systemctl "];
        assert!(known.iter().any(|start| line.starts_with(start)), "{line}");
    }
}

fn findings_file(script: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), script).unwrap();
    file
}

#[test]
fn text_is_folded_and_json_has_every_finding() {
    let findings = tracked().examine("");
    let text = report::text(&findings.1, &findings.0, false);
    assert!(text.contains("\nfirewall\n") && text.contains("  LOSS  connections are tracked"), "{text}");
    assert!(text.contains("1 finding: 1 loses calls, 0 make them dearer"), "{text}");
    let prose = text.lines().filter(|line| !line.starts_with("                  "));
    assert!(prose.clone().all(|line| line.chars().count() <= 110), "{text}");
    let document = report::json(&findings.1, &findings.0);
    assert_eq!(document["count"], 1);
    let list = document["findings"].as_array().unwrap();
    assert_eq!(list.len(), findings.all().count());
    assert!(
        list.iter().any(|one| one["rule"] == "conntrack" && one["severity"] == "loss" && one["group"] == "firewall")
    );
}

#[test]
fn this_host_can_be_examined_whatever_it_is() {
    let host = Host::this();
    let config = tuning::parse(demand::ASSUMED, "defaults", &Environment::unknown()).unwrap().config;
    let groups = examine(&host, &Demand::of(&config, &demand::environment(&host.files)));
    assert_eq!(groups.len(), CHECKS.len());
    for finding in groups.iter().flat_map(|(_, findings)| findings) {
        let complete = !finding.counts() || (!finding.why.is_empty() && !finding.remedy.is_empty());
        assert!(complete && !finding.figure.is_empty(), "{finding:?}");
    }
}
