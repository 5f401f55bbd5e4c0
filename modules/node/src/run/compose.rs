//! From the configuration to what the engine and the shards are made with.

use crate::admission::Waits;
use crate::app;
use crate::steering;
use engine::{Deferred, Driver, Listener, Pools, XdpConfig, XdpMode};
use modules::Tables;
use modules::authentication::{self, living::Living};
use modules::registrar::{self, Clock};
use proto::hash::Secret;
use proto::message::Transport;
use proto::proxy::{Advertised, Capacity, Listener as SipListener, Settings};
use proto::time::Micros;
use proto::token::Keys;
use proto::transaction::Timers;
use std::sync::Arc;
use std::time::Duration;
use tuning::{Config, DriverKind, Environment, OffOr};

/// Lanes that the engine gives rings to: the control lane, which speaks for the others, the journal's, and the record
/// lane. WHY the journal's always: the first domain may come by a reload.
const fn lanes(config: &Config) -> usize {
    match &config.records {
        OffOr::On(_) => 3,
        OffOr::Off => 2,
    }
}

/// Letters that all mailboxes of one shard hold together; each holds its part, within bounds.
const LETTERS_PER_SHARD: usize = 16_384;

/// Random numbers of this start.
#[derive(Clone, Copy)]
pub(super) struct Randomness {
    /// Key of tables.
    pub(super) boot_secret: Secret,
    /// Seed of the shards' random numbers.
    pub(super) seed: u64,
}

impl Randomness {
    /// From the kernel.
    pub(super) fn draw() -> Result<Self, getrandom::Error> {
        let mut boot_secret = [0; 16];
        getrandom::fill(&mut boot_secret)?;
        Ok(Randomness { boot_secret: Secret(boot_secret), seed: getrandom::u64()? })
    }
}

/// What the engine starts with.
pub(super) fn engine(config: &Config, environment: &Environment, keys: &Keys) -> engine::Config {
    let cores = cores(config, environment);
    let listeners = config.listen.udp.iter().map(|listener| Listener {
        address: listener.address,
        // A floating address may arrive later; one that is mistyped is `check`'s matter.
        freebind: true,
        receive_wait: engine::Micros(micros(config.driver.receive_wait).0),
    });
    engine::Config {
        listeners: listeners.collect(),
        driver: match config.driver.kind {
            DriverKind::Auto => Driver::Auto,
            DriverKind::IoUring => Driver::Uring,
            DriverKind::Mmsg => Driver::Mmsg,
            DriverKind::Xdp => Driver::Xdp,
        },
        xdp: xdp(&config.driver),
        steering: steering::choose(config, &cores, keys),
        // WHY: after a power cut all phones come at once, and calls must not wait behind them.
        deferred: (!config.domains.is_empty()).then_some(Deferred {
            begins: *b"REGISTER",
            receive_wait: engine::Micros::from_millis(limits::REGISTER_WAIT_MS),
        }),
        pools: pools(config, cores.len()),
        cores,
        lanes: lanes(config),
    }
}

fn xdp(driver: &tuning::Driver) -> XdpConfig {
    XdpConfig {
        interfaces: driver.interfaces.clone(),
        mode: match driver.xdp_mode {
            tuning::XdpMode::Best => XdpMode::Best,
            tuning::XdpMode::Copy => XdpMode::Copy,
            tuning::XdpMode::Generic => XdpMode::Generic,
        },
        busy_poll: driver.busy_poll,
    }
}

/// A core for each shard. More shards than cores share them in turn.
pub(crate) fn cores(config: &Config, environment: &Environment) -> Vec<usize> {
    let given = config.shards.cores.as_ref().map(|list| list.cores().to_vec());
    let cores: Vec<usize> = given
        .or_else(|| environment.cores.clone())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|core| usize::try_from(core).ok())
        .collect();
    match config.shards.count {
        Some(count) => cores.iter().copied().cycle().take(size(count)).collect(),
        None => cores.into_iter().take(limits::SHARDS_MAX).collect(),
    }
}

fn pools(config: &Config, shards: usize) -> Pools {
    Pools {
        timers: size(config.limits.timers_per_shard),
        send_slots: size(config.driver.send_slots_per_shard),
        receive_buffers: size(config.driver.receive_slots_per_shard),
        large_receive_buffers: size(config.limits.large_messages_per_shard).next_power_of_two(),
        large_send_slots: size(config.limits.large_messages_per_shard),
        letters: (LETTERS_PER_SHARD / (shards + lanes(config))).clamp(128, 1_024),
        ..Pools::default()
    }
}

/// What each shard is made with.
pub(super) fn shard(config: &Config, keys: Keys, shards: usize, random: &Randomness) -> Option<app::Setup> {
    let choice_secret = keys.slot_secret();
    let limits = &config.limits;
    let settings = Settings {
        listeners: config.listen.udp.iter().map(listener).collect(),
        keys,
        node: config.keys.node,
        generation: 0,
        own_slot: 0,
        boot_secret: random.boot_secret,
        timers: timers(&config.timers),
        capacity: Capacity {
            transactions: limits.transactions_per_shard,
            open: limits.open_requests_per_shard,
            branches: limits.branches_per_shard,
            bytes: size(limits.store_mebibytes_per_shard).saturating_mul(1 << 20),
        },
        server: config.policy.server.clone().unwrap_or_default().into_bytes(),
    };
    let policy = modules::Setup {
        shard: 0,
        shards,
        calls: limits.calls_per_shard,
        open_requests: limits.open_requests_per_shard,
        unknown_sources: limits.unknown_sources_per_shard,
        boot_secret: random.boot_secret,
        choice_secret,
        seed: random.seed,
    };
    Some(app::Setup { shards: u16::try_from(shards).ok()?, proxy: settings, policy, seed: random.seed })
}

/// What proofs are examined with, where a domain has accounts.
pub(super) fn authentication(
    config: &Config,
    setup: &app::Setup,
    tables: &Tables,
    living: &Arc<Living>,
) -> Option<authentication::Setup> {
    config.domains.iter().find(|domain| domain.accounts.is_some())?;
    Some(authentication::Setup {
        // WHY this one: it is the same after a restart, and on every node.
        nonce_secrets: vec![setup.policy.choice_secret],
        boot_secret: setup.policy.boot_secret,
        seed: setup.seed,
        accounts: config.authentication.accounts_per_shard,
        failures: config.authentication.failures_per_shard,
        rules: tables.realms.rules,
        living: Arc::clone(living),
    })
}

/// What the registrar of each shard is made with; `seed` is to be set for each.
pub(super) fn registrar(config: &Config, keys: &Keys, clock: Clock, random: &Randomness) -> registrar::Setup {
    let settings = &config.registrar;
    registrar::Setup {
        clock,
        accounts: size(settings.users_per_shard),
        bytes: size(settings.store_mebibytes_per_shard).saturating_mul(1 << 20),
        durability: match settings.durability {
            tuning::Durability::Strict => registrar::Durability::Strict,
            tuning::Durability::Relaxed => registrar::Durability::Relaxed,
        },
        boot_secret: random.boot_secret,
        gruu_secret: keys.slot_secret(),
        seed: random.seed,
    }
}

/// How long new calls may wait.
pub(super) fn waits(config: &Config) -> Option<Waits> {
    let overload = config.overload.on()?;
    Some(Waits { wait: micros(overload.wait), wait_max: micros(overload.wait_max) })
}

fn listener(listener: &tuning::Listener) -> SipListener {
    let advertised = match &listener.advertise {
        Some(_) => {
            let given = listener.sent_by();
            let port = given.port.unwrap_or(listener.address.port());
            Advertised::Name { host: given.host.to_string().into_bytes(), port }
        }
        None => Advertised::Bound(listener.address),
    };
    SipListener { address: listener.address, advertised, transport: Transport::Udp }
}

fn timers(timers: &tuning::Timers) -> Timers {
    Timers {
        t1: micros(timers.t1),
        t2: micros(timers.t2),
        t4: micros(timers.t4),
        b: micros(timers.timer_b),
        c: micros(timers.timer_c),
        d: micros(timers.timer_d),
        f: micros(timers.timer_f),
        h: micros(timers.timer_h),
        j: micros(timers.timer_j),
        l: micros(timers.timer_l),
        m: micros(timers.timer_m),
    }
}

fn micros(duration: Duration) -> Micros {
    Micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn config(more: &str) -> Config {
        let text = format!(
            "[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"a\"\ngateways = [\"sip:127.0.0.1:5071\"]\n{more}"
        );
        tuning::parse(&text, "test.toml", &Environment::unknown()).unwrap().config
    }

    fn host(cores: &[u32]) -> Environment {
        Environment { cores: Some(cores.to_vec()), ..Environment::unknown() }
    }

    #[test]
    fn a_shard_for_each_core_of_the_mask_or_as_many_as_asked_for() {
        let cores = |more, host: &Environment| super::cores(&config(more), host);
        assert_eq!(cores("", &host(&[0, 3])), [0, 3]);
        assert_eq!(cores("[shards]\ncount = 3\n", &host(&[0, 1])), [0, 1, 0]);
        assert_eq!(cores("[shards]\ncores = \"1\"\n", &host(&[0, 1])), [1]);
        let many: Vec<u32> = (0..200).collect();
        assert_eq!(cores("", &host(&many)).len(), limits::SHARDS_MAX);
    }

    #[test]
    fn mailboxes_of_many_shards_are_smaller() {
        assert_eq!(pools(&config(""), 2).letters, 1_024);
        let all = pools(&config(""), limits::SHARDS_MAX).letters * limits::SHARDS_MAX;
        assert!(all <= 2 * LETTERS_PER_SHARD);
    }

    #[test]
    fn what_is_advertised_has_a_port() {
        let listener = |line: &str| {
            let text = format!(
                "sources = [\"any\"]\n[listen]\nudp = [{line}]\n[[set]]\nname = \"a\"\ngateways = [\"sip:gw.example.com\"]\n"
            );
            let config = tuning::parse(&text, "test.toml", &Environment::unknown()).unwrap().config;
            super::listener(&config.listen.udp[0]).advertised
        };
        let name = |host: &str, port| Advertised::Name { host: host.as_bytes().to_vec(), port };
        assert_eq!(listener("\"0.0.0.0:5080\""), Advertised::Bound("0.0.0.0:5080".parse().unwrap()));
        let given = "{ address = \"0.0.0.0:5080\", advertise = \"sip.example.com\" }";
        assert_eq!(listener(given), name("sip.example.com", 5080));
        let given = "{ address = \"0.0.0.0:5080\", advertise = \"198.51.100.1:5060\" }";
        assert_eq!(listener(given), name("198.51.100.1", 5060));
        let given = "{ address = \"[::]:5080\", advertise = \"[2001:db8::1]:5060\" }";
        assert_eq!(listener(given), name("[2001:db8::1]", 5060));
    }
}
