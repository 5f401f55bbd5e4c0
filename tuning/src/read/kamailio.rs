//! Words of Kamailio's configuration, and what stands for them here: those who come from there type them first.

/// What to write instead of `word`; `None`: it is none of Kamailio's.
pub(super) fn instead_of(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    WORDS.iter().find(|(words, _)| words.contains(&word.as_str())).map(|(_, instead)| *instead)
}

const WORDS: &[(&[&str], &str)] = &[
    (
        &["dispatcher", "ds_select", "ds_select_dst", "setid"],
        "sets of gateways are [[set]], each with `name` and `gateways`",
    ),
    (&["destination", "destinations"], "write `gateways = [\"sip:192.0.2.1:5060\"]` in [[set]]"),
    (&["attrs", "duid", "rweight"], "write `weight`, `priority` and `name` as keys of the gateway"),
    (&["ds_hash_size", "hash_size"], "leave it out; sizes of tables are in [limits]"),
    (&["ds_ping_interval", "ping_interval"], "write `interval = \"10s\"` in [probe], or in `probe` of the set"),
    (
        &["ds_ping_method", "ds_ping_from", "ping_from"],
        "probes are OPTIONS; `from_user` and `from_host` are in [probe]",
    ),
    (
        &["ds_probing_mode", "probing_mode", "flags", "ds_flags"],
        "all gateways are probed; `probe = \"off\"` in a set stops it",
    ),
    (&["ds_probing_threshold", "ds_probing_threshhold"], "write `down_after` in [probe]"),
    (&["ds_inactive_threshold"], "write `up_after` in [probe]"),
    (&["ds_ping_reply_codes", "ping_reply_codes"], "any response but 503 shows that a gateway lives"),
    (&["use_default", "force_dst"], "leave it out; `overflow` of a set names the set to try when it is down or full"),
    (&["alg"], "write `algorithm = \"weighted\"` or another word in the set"),
    (
        &["fr_timer", "fr_inv_timer"],
        "`no_response_timeout` of a set moves a silent call on; `timer_c` in [timers] bounds ringing",
    ),
    (&["max_inv_lifetime", "max_noninv_lifetime"], "write `timer_c`, `timer_b` and `timer_f` in [timers]"),
    (&["retr_timer1", "retr_timer2"], "write `t1` and `t2` in [timers]"),
    (
        &["failure_route", "t_on_failure", "failover"],
        "failover is on; `failover_codes` and `attempts_max` are keys of a set",
    ),
    (
        &["children", "workers", "socket_workers", "tcp_children"],
        "there is a shard for each core; `cores` and `count` are in [shards]",
    ),
    (
        &["alias", "aliases", "domain", "auto_aliases"],
        "write `host_names = [\"sip.example.com\"]` at the top of the file",
    ),
    (
        &["advertised_address", "advertised_port", "advertise"],
        "write `udp = [{ address = \"…\", advertise = \"host:port\" }]` in [listen]",
    ),
    (&["port", "socket", "bind"], "write `udp = [\"192.0.2.1:5060\"]` in [listen]"),
    (&["tcp", "tls", "ws", "wss", "sctp", "enable_tls", "disable_tcp"], "UDP alone is spoken; leave it out"),
    (&["debug", "log_level", "loglevel"], "write `level = \"info\"` in [log]"),
    (&["log_stderror", "log_facility", "log_name"], "write `destination = \"stderr\"` or a path in [log]"),
    (
        &["permissions", "address", "trusted", "allow", "acl"],
        "who may send stands in `sources`, or in [[source]] with a name",
    ),
    (
        &["loadmodule", "modparam", "mpath", "modules"],
        "nothing is loaded: everything is there, with defaults; leave it out",
    ),
    (
        &["fork", "daemon", "pid_file", "user", "group"],
        "the service manager does that: see the unit file; leave it out",
    ),
    (
        &["shm_mem", "pkg_mem", "mem_safety", "shm", "pkg"],
        "pools have sizes in [limits]; `tandem check --print` shows them",
    ),
    (&["listen_options", "mhomed"], "`listener` of a set names the listener that its requests leave by"),
    (&["server_signature", "user_agent_header", "server_header"], "write `server = \"name\"` in [policy]"),
    (&["ctl", "mi_fifo", "jsonrpcs", "fifo"], "commands go over `socket` in [control]"),
    (&["xhttp_prom", "prometheus"], "write `listen = \"127.0.0.1:9090\"` in [metrics]"),
    (
        &["dns_servers_no", "use_dns_failover", "dns_try_ipv6", "dns_cache"],
        "names are looked up by RFC 3263; `servers` are in [dns]",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::schema::{Key, Section};
    use std::collections::BTreeSet;

    fn names(keys: &[Key], found: &mut BTreeSet<String>) {
        for key in keys {
            found.insert(key.name.to_owned());
            names(&key.kind.table_keys().unwrap_or_default(), found);
        }
    }

    /// What stands in backquotes or brackets and looks like a key.
    fn named(instead: &str) -> impl Iterator<Item = &str> {
        let key = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        };
        instead.split(['`', '[', ']', ' ']).filter(key).filter(|part| part.contains('_'))
    }

    #[test]
    fn no_word_stands_twice_and_every_key_that_is_named_exists() {
        let mut known = BTreeSet::new();
        names(&Config::keys(), &mut known);
        let mut seen = BTreeSet::new();
        for (words, instead) in WORDS {
            assert!(words.iter().all(|word| seen.insert(*word)), "{words:?} twice");
            let unknown: Vec<_> = named(instead).filter(|name| !known.contains(*name)).collect();
            assert!(unknown.is_empty(), "{instead}: {unknown:?}");
        }
        assert!(instead_of("FR_Timer").is_some_and(|instead| instead.contains("no_response_timeout")));
        assert_eq!(instead_of("gateways"), None);
    }
}
