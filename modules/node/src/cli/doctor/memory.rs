//! Memory and descriptors: whether the pools fit, stay in memory, and lie on huge pages.

use super::demand::Demand;
use super::finding::Finding;
use super::host::{CAP_IPC_LOCK, Host};

pub(super) fn check(host: &Host, demand: &Demand) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(pools(host, demand));
    found.extend(huge_pages(host));
    found.extend(locked(host, demand));
    found.extend(open_files(host, demand));
    found
}

/// Part of the memory that pools may take, in percent, as `tandem check` holds it.
const MEMORY_PERCENT: u64 = 90;

fn pools(host: &Host, demand: &Demand) -> Option<Finding> {
    let total = host.files.field("/proc/meminfo", "MemTotal")?;
    let total = total.strip_suffix(" kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    let figure = format!("pools take {} of {}", mebibytes(demand.pools), mebibytes(total));
    if demand.pools <= total / 100 * MEMORY_PERCENT {
        return Some(Finding::fine("pools", figure));
    }
    let finding = Finding::loss("pools", figure)
        .why("pools are reserved and touched at start: Tandem will not start")
        .remedy("fewer shards, or smaller [limits]: `tandem check --print` shows them");
    Some(finding)
}

fn huge_pages(host: &Host) -> Option<Finding> {
    let file = "/sys/kernel/mm/transparent_hugepage/enabled";
    let modes = host.files.text(file)?;
    if !modes.contains("[never]") {
        return Some(Finding::fine("huge-pages", "pools may lie on huge pages"));
    }
    let finding = Finding::slow("huge-pages", "transparent huge pages are switched off")
        .why("pools lie on pages of 4 KiB: looking up a call misses the TLB, several times a message")
        .remedy("let programs that ask have them; Tandem asks for its pools alone")
        .command(format!("echo madvise > {file}"));
    Some(finding)
}

fn locked(host: &Host, demand: &Demand) -> Option<Finding> {
    let (soft, _) = host.files.limit("Max locked memory")?;
    let swaps = host.files.text("/proc/swaps").unwrap_or_default().lines().count() > 1;
    if host.files.may(CAP_IPC_LOCK) || soft.is_none_or(|limit| limit >= demand.pools) {
        return Some(Finding::fine("memlock", "pools can be locked in memory"));
    }
    let limit = mebibytes(soft.unwrap_or(0));
    let figure = format!("at most {limit} can be locked in memory (MEMLOCK), pools take {}", mebibytes(demand.pools));
    let finding = Finding::slow_if(swaps, "memlock", figure)
        .why("what is not locked can be written out under memory pressure; a shard that touches it then waits for the disk")
        .remedy("`LimitMEMLOCK=infinity` in the unit file, or `ulimit -l unlimited` before the start");
    Some(finding)
}

fn open_files(host: &Host, demand: &Demand) -> Option<Finding> {
    let (_, hard) = host.files.limit("Max open files")?;
    let needed = demand.files;
    let figure = format!(
        "{needed} descriptors are needed, {} allowed",
        hard.map_or("any number".into(), |hard| hard.to_string())
    );
    if hard.is_none_or(|hard| hard >= needed) {
        return Some(Finding::fine("open-files", figure));
    }
    let finding = Finding::loss("open-files", figure)
        .why("each shard has two sockets for each listener: Tandem will not start")
        .remedy("`LimitNOFILE=65536` in the unit file, or `ulimit -Hn 65536` before the start");
    Some(finding)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
