//! The shards' cores: frequency, hyperthreads, isolation, time stolen by a hypervisor, quota of a control group.

use super::demand::{Demand, cores_in_words};
use super::finding::Finding;
use super::host::Host;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(super) fn check(host: &Host, demand: &Demand) -> Vec<Finding> {
    let mut found = vec![governor(host, demand)];
    found.extend(hyperthreads(host, demand));
    found.extend(isolation(host, demand));
    found.extend(steal(host));
    found.push(quota(host, demand));
    found
}

fn governor(host: &Host, demand: &Demand) -> Finding {
    let mut by_word: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for core in demand.distinct_cores() {
        let path = format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        if let Some(word) = host.files.text(&path) {
            by_word.entry(word.trim().to_owned()).or_default().insert(core);
        }
    }
    if by_word.is_empty() {
        return Finding::fine("governor", "the frequency is not ours to set (a virtual machine, or fixed)");
    }
    by_word.remove("performance");
    let Some((word, cores)) = by_word.first_key_value() else {
        return Finding::fine("governor", "the shards' cores run at full frequency");
    };
    let slow: BTreeSet<usize> = by_word.values().flatten().copied().collect();
    let finding =
        Finding::slow("governor", format!("governor `{word}` on core {}", cores_in_words(cores.iter().copied())))
            .why("the clock of a core rises only after it has been busy: bursts meet a slow core, latency varies")
            .remedy("let the shards' cores run at full frequency");
    slow.iter().fold(finding, |finding, core| {
        finding.command(format!("echo performance > /sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"))
    })
}

fn hyperthreads(host: &Host, demand: &Demand) -> Option<Finding> {
    let shards = demand.distinct_cores();
    let mut shared = BTreeSet::new();
    let mut known = false;
    for core in &shards {
        let siblings = host.files.cores(&format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"));
        known |= !siblings.is_empty();
        let together: Vec<usize> = siblings.into_iter().filter(|sibling| shards.contains(sibling)).collect();
        if together.len() > 1 {
            shared.insert(cores_in_words(together));
        }
    }
    if !known {
        return None;
    }
    if shared.is_empty() {
        return Some(Finding::fine("hyperthreads", "each shard has a physical core of its own"));
    }
    let all = host.files.cores("/sys/devices/system/cpu/online").len();
    let pairs: Vec<String> = shared.iter().map(|pair| format!("({pair})")).collect();
    let figure = format!("shards share physical cores: {}", pairs.join(" "));
    // WHY a note when there is nothing else: two threads of a core still carry more than one.
    let finding = Finding::slow_if(all > shards.len(), "hyperthreads", figure)
        .why("two threads of a core share its caches and units: each carries about 60 % of a core, with uneven latency")
        .remedy("name one thread of each pair in `cores` of [shards], and leave the other to the system");
    Some(finding)
}

/// Hosts with fewer cores need every one for everything.
const CORES_FOR_ISOLATION: usize = 4;

fn isolation(host: &Host, demand: &Demand) -> Option<Finding> {
    let online = host.files.cores("/sys/devices/system/cpu/online");
    if online.len() <= CORES_FOR_ISOLATION {
        return None;
    }
    let shards = demand.distinct_cores();
    let isolated: BTreeSet<usize> = host.files.cores("/sys/devices/system/cpu/isolated").into_iter().collect();
    if shards.is_subset(&isolated) {
        return Some(Finding::fine("isolation", "the scheduler leaves the shards' cores alone"));
    }
    let cores = demand.cores_in_words();
    if shards.len() == online.len() {
        let finding = Finding::note("isolation", format!("shards run on all {} cores", online.len()))
            .why("interrupts, DNS, logs and everything else on the host take their turns between calls")
            .remedy("leave one or two cores to the system: `cores` in [shards]");
        return Some(finding);
    }
    let finding = Finding::note("isolation", format!("other programs may run on the shards' cores {cores}"))
        .why("each time one does, the calls of that shard wait for a turn of the scheduler, some milliseconds")
        .remedy(format!("start the kernel with `isolcpus={cores} nohz_full={cores} rcu_nocbs={cores}`"));
    Some(finding)
}

/// Stolen time of a thousand from which on it is felt.
const STEAL_PER_MILLE: u64 = 20;

fn steal(host: &Host) -> Option<Finding> {
    // user nice system idle iowait irq softirq steal …
    let line = host.files.field("/proc/stat", "cpu ")?;
    let times: Vec<u64> = line.split_whitespace().filter_map(|time| time.parse().ok()).take(8).collect();
    let (all, stolen) = (times.iter().sum::<u64>().max(1), *times.get(7)?);
    let per_mille = stolen.saturating_mul(1_000) / all;
    let figure = format!("{}.{} % of all time was stolen by the hypervisor", per_mille / 10, per_mille % 10);
    if per_mille < STEAL_PER_MILLE {
        return Some(Finding::fine("steal", figure));
    }
    let finding = Finding::slow("steal", figure)
        .why("while another guest has the core, nothing is received: datagrams wait, then are lost in full buffers")
        .remedy("ask for dedicated cores, or move to a host that is not overbooked");
    Some(finding)
}

fn quota(host: &Host, demand: &Demand) -> Finding {
    let Some((quota, period, throttled)) = tightest_quota(host) else {
        return Finding::fine("quota", "no control group limits the processor");
    };
    let figure = format!(
        "a control group allows {quota} us of processor in each {period} us{}",
        if throttled > 0 { format!(", and has stopped us {throttled} times") } else { String::new() }
    );
    let shards = u64::try_from(demand.cores.len()).unwrap_or(u64::MAX);
    // Room for the lanes beside the shards.
    if throttled == 0 && quota > shards.saturating_mul(period) {
        return Finding::fine("quota", figure);
    }
    let stop = period / 1_000;
    Finding::loss("quota", figure)
        .why(format!("when it is used up all shards stand still together, up to {stop} ms at a time: buffers overflow"))
        .remedy("give whole cores (a cpuset) and no quota; in Kubernetes: the static CPU policy and no CPU limit")
}

/// Quota and period of the group with the least share, and how often it has stopped its processes.
fn tightest_quota(host: &Host) -> Option<(u64, u64, u64)> {
    let membership = host.files.text("/proc/self/cgroup")?;
    let mut groups = Vec::new();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, own) = (parts.next()?, parts.next()?);
        let first = match controllers {
            "" => "/sys/fs/cgroup",
            _ if controllers.split(',').any(|controller| controller == "cpu") => "/sys/fs/cgroup/cpu",
            _ => continue,
        };
        for group in Path::new(own).ancestors() {
            let folder = format!("{first}{}", group.display());
            groups.extend(quota_of(host, folder.trim_end_matches('/'), controllers.is_empty()));
        }
    }
    groups.into_iter().min_by_key(|(quota, period, _)| quota.saturating_mul(1_000) / (*period).max(1))
}

fn quota_of(host: &Host, folder: &str, second_version: bool) -> Option<(u64, u64, u64)> {
    let (quota, period) = if second_version {
        let text = host.files.text(&format!("{folder}/cpu.max"))?;
        let (quota, period) = text.trim().split_once(' ')?;
        (quota.parse().ok()?, period.parse().ok()?)
    } else {
        // -1: none.
        let quota = host.files.number(&format!("{folder}/cpu.cfs_quota_us"))?;
        (quota, host.files.number(&format!("{folder}/cpu.cfs_period_us"))?)
    };
    let throttled = host.files.field(&format!("{folder}/cpu.stat"), "nr_throttled");
    Some((quota, period, throttled.and_then(|count| count.parse().ok()).unwrap_or(0)))
}
