//! Rules about the host: cores, memory and open files that the configuration asks for.

use super::Checker;
use crate::config::{Config, CoreList};

/// Descriptors of a shard beside its sockets: ring, waker, error queue.
const FILES_PER_SHARD: u64 = 4;

/// Descriptors of the process beside its shards: control connections, metrics, log, state, lanes.
const FILES_OF_PROCESS: u64 = 64;

/// Part of the memory that pools may take, in percent; the rest is the system, the process and its sockets.
const MEMORY_PERCENT: u64 = 90;

/// Rules of this file after which counting shards is idle.
const SHARDS_UNCLEAR: [&str; 3] = ["no-such-core", "shards-and-cores", "too-many-shards"];

pub(super) fn cores(checker: &mut Checker<'_>) {
    let Some(wanted) = &checker.config.shards.cores else {
        return;
    };
    let count = wanted.cores().len();
    if count > limits::SHARDS_MAX {
        let finding = checker.error("too-many-shards", "shards.cores", format!("there would be {count} shards"));
        checker.note(finding.label("one for each core").remedy(format!("name at most {} cores", limits::SHARDS_MAX)));
        return;
    }
    let Some(there) = &checker.environment.cores else {
        return;
    };
    let missing: Vec<u32> = wanted.cores().iter().copied().filter(|core| !there.contains(core)).collect();
    let Some(missing) = CoreList::of(missing) else {
        return;
    };
    let there = CoreList::of(there.clone()).map_or("none".to_owned(), |there| there.to_string());
    let finding = checker
        .error("no-such-core", "shards.cores", format!("this process cannot run on core {missing}"))
        .label(format!("it may run on {there}"))
        .remedy(format!("write cores = \"{there}\", or leave the key out"));
    checker.note(finding);
}

pub(super) fn shard_count(checker: &mut Checker<'_>) {
    let shards = &checker.config.shards;
    let Some(count) = shards.count.map(|count| count as usize) else { return };
    let listed = shards.cores.as_ref().map(|list| list.cores().len());
    let Some(cores) = listed.or(checker.environment.cores.as_ref().map(Vec::len)) else { return };
    if listed.is_some_and(|listed| count < listed) {
        let message = format!("`count` is {count} and {cores} cores are listed: some would have no shard");
        let finding = checker.error("shards-and-cores", "shards.count", message).label("less than the cores");
        checker.note(finding.related(checker.given_place("shards.cores"), "the cores").remedy("remove `count`"));
    } else if count > cores {
        let message = format!("`count` is {count} and the number of cores {cores}: shards would wait for one another");
        let finding = checker.warning("shared-cores", "shards.count", message).label("more than the cores");
        checker.note(finding.remedy(format!("write count = {cores}, or leave it so for a test")));
    }
}

/// Pools are reserved and touched at start: what does not fit then never fits.
pub(super) fn memory(checker: &mut Checker<'_>) {
    let Some(there) = checker.environment.memory_bytes else {
        return;
    };
    let Some(shards) = checker.shards() else {
        return;
    };
    let each = checker.bytes_per_shard();
    let needed = shards.saturating_mul(each);
    let allowed = there / 100 * MEMORY_PERCENT;
    if needed <= allowed {
        return;
    }
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let pools = checker.config.limits.pools();
    let of_limits = pools.iter().map(|(key, bytes)| ("limits", *key, *bytes));
    let pools: Vec<_> = of_limits.chain(checker.config.phone_pools()).collect();
    let (section, largest) = pools
        .iter()
        .max_by_key(|(.., bytes)| *bytes)
        .map_or(("limits", "store_mebibytes_per_shard"), |one| (one.0, one.1));
    let path = |section: &str, key: &str| format!("{section}.{key}");
    let given =
        pools.iter().filter(|(section, key, _)| checker.given(&path(section, key))).max_by_key(|(.., bytes)| *bytes);
    let at = given.map_or("shards.count".to_owned(), |(section, key, _)| path(section, key));
    let message = format!(
        "the pools need {} MiB ({shards} shards of {} MiB); of {} MiB of memory they may take {}",
        mebibytes(needed),
        mebibytes(each),
        there >> 20,
        allowed >> 20
    );
    let finding = checker
        .error("not-enough-memory", &at, message)
        .label(format!("the largest is `{largest}`"))
        .remedy(format!("write smaller [{section}], beginning with `{largest}`, or use fewer cores"));
    checker.note(finding);
}

/// Bindings take their memory as they come; all of it should be there.
pub(super) fn memory_of_bindings(checker: &mut Checker<'_>) {
    let (Some(there), Some(shards)) = (checker.environment.memory_bytes, checker.shards()) else { return };
    if checker.config.domains.is_empty() || checker.findings.iter().any(|finding| finding.rule == "not-enough-memory") {
        return;
    }
    let store = u64::from(checker.config.registrar.store_mebibytes_per_shard) << 20;
    let needed = shards.saturating_mul(checker.bytes_per_shard().saturating_add(store));
    let allowed = there / 100 * MEMORY_PERCENT;
    if needed > allowed {
        let message = format!(
            "with a full registrar {} MiB are needed ({shards} shards, of which each has {} MiB of bindings); of {} MiB of \
             memory {} may be taken",
            needed.div_ceil(1 << 20),
            store >> 20,
            there >> 20,
            allowed >> 20
        );
        let finding = checker.warning("registrar-memory", "registrar.store_mebibytes_per_shard", message);
        let left = (allowed / shards.max(1)).saturating_sub(checker.bytes_per_shard()) >> 20;
        let remedy = format!("write store_mebibytes_per_shard = {}: a binding takes about 200 bytes", left.max(1));
        checker.note(finding.label("is taken as it is needed").remedy(remedy));
    }
}

pub(super) fn open_files(checker: &mut Checker<'_>) {
    let (Some(most), Some(shards)) = (checker.environment.open_files, checker.shards()) else {
        return;
    };
    let listeners = checker.config.listen.udp.len() as u64;
    let needed = shards.saturating_mul(listeners + FILES_PER_SHARD) + FILES_OF_PROCESS;
    if needed > most && checker.config.listen.udp.len() <= limits::LISTENERS_MAX {
        let message = format!("{needed} open files are needed, and this process may have {most}");
        let finding = checker.error("not-enough-files", "listen.udp", message).label("each shard opens each listener");
        checker.note(
            finding.remedy(format!(
                "run `ulimit -n {0}` first, or LimitNOFILE={0} in the unit",
                needed.next_power_of_two()
            )),
        );
    }
}

/// Rings of the kernel have a power of two of slots.
pub(super) fn ring_sizes(checker: &mut Checker<'_>) {
    let driver = &checker.config.driver;
    let rings = [
        ("receive_slots_per_shard", driver.receive_slots_per_shard),
        ("send_slots_per_shard", driver.send_slots_per_shard),
    ];
    for (key, slots) in rings {
        if !slots.is_power_of_two() {
            let message = format!("`{key}` is {slots}: a ring has a power of two of slots");
            let finding = checker.error("not-a-power-of-two", &format!("driver.{key}"), message);
            let (below, above) = (slots.next_power_of_two() / 2, slots.next_power_of_two());
            checker.note(finding.label("not a power of two").remedy(format!("write {below} or {above}")));
        }
    }
}

/// Pools that draw on each other.
pub(super) fn pool_order(checker: &mut Checker<'_>) {
    let limits = &checker.config.limits;
    let orders = [
        (
            "open_requests_per_shard",
            limits.open_requests_per_shard,
            "transactions_per_shard",
            limits.transactions_per_shard,
        ),
        ("open_requests_per_shard", limits.open_requests_per_shard, "branches_per_shard", limits.branches_per_shard),
        ("transactions_per_shard", limits.transactions_per_shard, "timers_per_shard", limits.timers_per_shard),
    ];
    for (small, least, large, most) in orders {
        if least <= most {
            continue;
        }
        let at = if checker.given(&format!("limits.{large}")) { large } else { small };
        let finding = checker
            .error(
                "pool-order",
                &format!("limits.{at}"),
                format!("`{small}` ({least}) can never be used: each needs one of `{large}` ({most})"),
            )
            .label("out of proportion")
            .remedy(format!("write {large} = {least} or more"));
        checker.note(finding);
    }
}

impl Config {
    /// What is reserved for phones: section, key and bytes of each pool of a shard. Without domains nothing is.
    fn phone_pools(&self) -> Vec<(&'static str, &'static str, u64)> {
        if self.domains.is_empty() {
            return Vec::new();
        }
        let all = |count: u32, bytes: u64| u64::from(count.next_power_of_two()).saturating_mul(bytes);
        let held = limits::registrar::HELD_REPLIES_BYTES + 2 * limits::registrar::JOURNAL_BATCH_BYTES;
        let users = u64::from(self.registrar.users_per_shard) * limits::pool::REGISTERED_USER_BYTES + held as u64;
        let mut pools = vec![("registrar", "users_per_shard", users)];
        if self.domains.iter().any(|domain| domain.accounts.is_some()) {
            let (accounts, failures) = (self.authentication.accounts_per_shard, self.authentication.failures_per_shard);
            let remembered = all(accounts, limits::pool::REMEMBERED_ACCOUNT_BYTES);
            pools.push(("authentication", "accounts_per_shard", remembered));
            pools.push(("authentication", "failures_per_shard", all(failures, limits::pool::FAILURES_BYTES)));
        }
        pools
    }
}

impl Checker<'_> {
    /// How many shards there will be; `None` when that is in doubt.
    fn shards(&self) -> Option<u64> {
        if self.findings.iter().any(|finding| SHARDS_UNCLEAR.contains(&finding.rule)) {
            return None;
        }
        let available = self.environment.cores.as_ref().map_or(1, Vec::len);
        Some(self.config.shards.count_on(available) as u64)
    }

    fn bytes_per_shard(&self) -> u64 {
        let driver = &self.config.driver;
        let slots = u64::from(driver.receive_slots_per_shard) + u64::from(driver.send_slots_per_shard);
        let hunts = if self.config.customers.is_empty() { 0 } else { self.config.limits.open_requests_per_shard };
        let records = self.config.records.on().map_or(0, |_| {
            let fixed = 2 * limits::records::BATCH_BYTES + limits::records::HELD_ANSWERS_BYTES;
            fixed as u64 + u64::from(hunts) * limits::records::DRAFT_BYTES
        });
        let hunts = u64::from(hunts) * limits::pool::HUNT_BYTES;
        let phones: u64 = self.config.phone_pools().iter().map(|(.., bytes)| bytes).sum();
        let slots = slots * limits::SEND_SLOT_BYTES as u64;
        self.config.limits.bytes_per_shard() + slots + hunts + records + phones
    }
}
