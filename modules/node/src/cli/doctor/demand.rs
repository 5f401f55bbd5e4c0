//! What Tandem will ask of the host, from its configuration or, without one, from the defaults.

use super::host::Files;
use crate::run::shard_cores;
use std::collections::BTreeSet;
use tuning::{Config, DriverKind, Environment, Steering};

/// What the host is held against.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// The core of each shard.
    pub(super) cores: Vec<usize>,
    /// UDP ports that are listened on.
    pub(super) ports: BTreeSet<u16>,
    /// What one socket asks for as receive buffer, in bytes as `setsockopt` takes them.
    pub(super) receive_buffer: u64,
    /// Memory of all pools, in bytes.
    pub(super) pools: u64,
    /// Descriptors.
    pub(super) files: u64,
    pub(super) driver: DriverKind,
    /// Interfaces that AF_XDP is wanted on.
    pub(super) interfaces: Vec<String>,
    pub(super) steering: Steering,
}

/// The configuration that is assumed when none is given: the defaults, on the port of SIP.
pub(super) const ASSUMED: &str = "sources = [\"any\"]\n[listen]\nudp = [\"0.0.0.0:5060\"]\n\
     [[set]]\nname = \"assumed\"\ngateways = [\"sip:192.0.2.1\"]\n";

/// Descriptors of the process beside its sockets, and of a shard: as `tandem check` counts them.
const FILES_OF_PROCESS: u64 = 64;
const FILES_PER_SHARD: u64 = 4;

impl Demand {
    pub(super) fn of(config: &Config, environment: &Environment) -> Self {
        let cores = shard_cores(config, environment);
        let shards = u64::try_from(cores.len()).unwrap_or(u64::MAX);
        let listeners = u64::try_from(config.listen.udp.len()).unwrap_or(u64::MAX);
        let wait = u64::try_from(config.driver.receive_wait.as_micros()).unwrap_or(u64::MAX);
        let bytes = engine::listener::receive_buffer_bytes(engine::Micros(wait));
        Demand {
            ports: config.listen.udp.iter().map(|listener| listener.address.port()).collect(),
            // WHY half: the kernel doubles what it is asked for.
            receive_buffer: u64::try_from(bytes / 2).unwrap_or(u64::MAX),
            pools: shards.saturating_mul(config.limits.bytes_per_shard()),
            // Each listener has a socket a shard, and one for large datagrams.
            files: FILES_OF_PROCESS + shards * (FILES_PER_SHARD + 2 * listeners),
            driver: config.driver.kind,
            interfaces: config.driver.interfaces.clone(),
            steering: config.shards.steering,
            cores,
        }
    }

    /// The cores, none twice.
    pub(super) fn distinct_cores(&self) -> BTreeSet<usize> {
        self.cores.iter().copied().collect()
    }

    /// For `udp dport { … }`.
    pub(super) fn ports_in_words(&self) -> String {
        self.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Cores as the kernel writes them: `0-3,8`.
    pub(super) fn cores_in_words(&self) -> String {
        cores_in_words(self.distinct_cores())
    }
}

/// The kernel's notation.
pub(super) fn cores_in_words(cores: impl IntoIterator<Item = usize>) -> String {
    let cores = cores.into_iter().filter_map(|core| u32::try_from(core).ok()).collect();
    tuning::CoreList::of(cores).map_or("none".to_owned(), |list| list.to_string())
}

/// The cores that this process may use, from the host's files.
pub(super) fn environment(files: &Files) -> Environment {
    let allowed = files.field("/proc/self/status", "Cpus_allowed_list").unwrap_or_default();
    let cores = tuning::CoreList::parse(&allowed).map(|list| list.cores().to_vec());
    Environment { cores, ..Environment::unknown() }
}
