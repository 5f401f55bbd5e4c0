//! Makes a configuration complete: derived defaults are filled in, names become indices.
//!
//! Called once after reading, before [`crate::check`]; and again when a reload keeps parts of the
//! old configuration, because indices move.

use crate::config::{Config, Route, SourceGroup, Timers};
use crate::diagnostic::Finding;
use crate::environment::Environment;
use crate::read::{Host, Marks, Network, OffOr, suggestion};
use std::time::Duration;

/// Everything that does not need names: gateway names, timers that follow T1, paths, sources.
pub(crate) fn fill_in(config: &mut Config, marks: &mut Marks, environment: &Environment) {
    for listener in &mut config.listen.udp {
        if listener.name.is_empty() {
            listener.name = listener.address.to_string();
        }
    }
    for gateway in config.sets.iter_mut().flat_map(|set| &mut set.gateways) {
        if gateway.name.is_empty() {
            let target = &gateway.uri.0;
            gateway.name = target
                .address()
                .map_or_else(|| target.to_string(), |address| address.to_string());
        }
    }
    default_sources(config, marks);
    if config.routes.is_empty()
        && let [only] = config.sets.as_slice()
    {
        config.routes.push(Route::everything_to(&only.name));
    }
    derive_timers(&mut config.timers, marks);
    if config.control.socket.as_os_str().is_empty() {
        config.control.socket = environment.runtime_dir.join("control.sock");
    }
    if config.state.dir.as_os_str().is_empty() {
        config.state.dir = environment.state_dir.clone();
    }
    if config.keys.dir.as_os_str().is_empty() {
        config.keys.dir = config.state.dir.join("keys");
    }
}

/// The top-level `sources` becomes a group like any other too, at the end of the list.
fn default_sources(config: &mut Config, marks: &mut Marks) {
    let listeners = &config.listen.udp;
    let loopback_only = listeners
        .iter()
        .all(|listener| listener.address.ip().is_loopback());
    if loopback_only && !marks.given("sources") && config.source_groups.is_empty() {
        config.sources = loopback_networks();
    }
    if !config.sources.is_empty() {
        let group = format!("source[{}]", config.source_groups.len());
        marks.alias(&format!("{group}.prefixes"), "sources");
        marks.alias(&group, "sources");
        config.source_groups.push(SourceGroup {
            name: SourceGroup::DEFAULT_NAME.to_owned(),
            prefixes: config.sources.clone(),
        });
    }
}

fn loopback_networks() -> Vec<Network> {
    ["127.0.0.0/8", "::1/128"]
        .iter()
        .filter_map(|prefix| prefix.parse().ok())
        .map(Network::Prefix)
        .collect()
}

fn derive_timers(timers: &mut Timers, marks: &Marks) {
    let follows_t1 = timers.t1.saturating_mul(64);
    let derive = |path: &str, timer: &mut Duration, value: Duration| {
        if !marks.given(path) {
            *timer = value;
        }
    };
    derive("timers.timer_b", &mut timers.timer_b, follows_t1);
    derive(
        "timers.timer_d",
        &mut timers.timer_d,
        follows_t1.max(Duration::from_secs(32)),
    );
    derive("timers.timer_f", &mut timers.timer_f, follows_t1);
    derive("timers.timer_h", &mut timers.timer_h, follows_t1);
    derive("timers.timer_j", &mut timers.timer_j, follows_t1);
    derive("timers.timer_l", &mut timers.timer_l, follows_t1);
    derive("timers.timer_m", &mut timers.timer_m, follows_t1);
}

/// Gives every reference its index; each name that nothing has becomes a finding.
pub(crate) fn resolve(config: &mut Config, marks: &Marks) -> Vec<Finding> {
    let sets: Vec<String> = config.sets.iter().map(|set| set.name.clone()).collect();
    let sources: Vec<String> = config
        .source_groups
        .iter()
        .map(|group| group.name.clone())
        .collect();
    let listeners: Vec<Vec<String>> = config
        .listen
        .udp
        .iter()
        .map(|listener| vec![listener.name.clone(), listener.address.to_string()])
        .collect();
    let single = |names: &[String]| {
        names
            .iter()
            .map(|name| vec![name.clone()])
            .collect::<Vec<_>>()
    };
    let (sets, sources) = (single(&sets), single(&sources));
    let mut names = Names {
        marks,
        findings: Vec::new(),
    };

    for (index, set) in config.sets.iter_mut().enumerate() {
        let path = format!("set[{index}]");
        if let Some(overflow) = &mut set.overflow {
            names.resolve(
                &sets,
                "set",
                &format!("{path}.overflow"),
                &overflow.name,
                &mut overflow.index,
            );
        }
        if let Some(listener) = &mut set.listener {
            names.resolve(
                &listeners,
                "listener",
                &format!("{path}.listener"),
                &listener.name,
                &mut listener.index,
            );
        }
        names.probe(&listeners, &format!("{path}.probe"), &mut set.probe);
    }
    for (index, route) in config.routes.iter_mut().enumerate() {
        let path = format!("route[{index}]");
        names.resolve(
            &sets,
            "set",
            &format!("{path}.set"),
            &route.set.name,
            &mut route.set.index,
        );
        for (nth, source) in route.source.iter_mut().enumerate() {
            names.resolve(
                &sources,
                "source group",
                &format!("{path}.source[{nth}]"),
                &source.name,
                &mut source.index,
            );
        }
        for (nth, listener) in route.listener.iter_mut().enumerate() {
            names.resolve(
                &listeners,
                "listener",
                &format!("{path}.listener[{nth}]"),
                &listener.name,
                &mut listener.index,
            );
        }
    }
    names.probe(&listeners, "probe", &mut config.probe);
    names.findings
}

struct Names<'m> {
    marks: &'m Marks,
    findings: Vec<Finding>,
}

impl Names<'_> {
    /// `known`: for each index the names that it goes by.
    fn resolve(
        &mut self,
        known: &[Vec<String>],
        what: &str,
        path: &str,
        name: &str,
        index: &mut usize,
    ) {
        if let Some(found) = known
            .iter()
            .position(|names| names.iter().any(|known| known == name))
        {
            *index = found;
            return;
        }
        let first_names: Vec<&str> = known
            .iter()
            .filter_map(|names| names.first())
            .map(String::as_str)
            .collect();
        let finding = Finding::error(
            "unknown-name",
            self.marks.value(path),
            format!("there is no {what} `{name}`"),
        );
        let listed: Vec<_> = first_names.iter().map(|name| format!("{name:?}")).collect();
        let finding = match suggestion(name, first_names.iter().copied()) {
            Some(likely) => finding
                .label(format!("did you mean {likely:?}?"))
                .remedy(format!("write {likely:?}")),
            None if listed.is_empty() => finding
                .label("not declared")
                .remedy(format!("declare the {what} `{name}`")),
            None => finding.label("not declared").remedy(format!(
                "write one of {}, or declare the {what} `{name}`",
                listed.join(", ")
            )),
        };
        self.findings.push(finding);
    }

    fn probe(
        &mut self,
        listeners: &[Vec<String>],
        path: &str,
        probe: &mut OffOr<crate::config::Probe>,
    ) {
        // WHY: what a set inherits from the top level is reported there, once.
        let path = if self.marks.given(&format!("{path}.listener")) {
            path
        } else {
            "probe"
        };
        if let OffOr::On(probe) = probe
            && let Some(listener) = &mut probe.listener
        {
            self.resolve(
                listeners,
                "listener",
                &format!("{path}.listener"),
                &listener.name,
                &mut listener.index,
            );
        }
    }
}

/// Whether `host` is one of the names that mean this proxy.
pub(crate) fn names_us(config: &Config, host: &Host) -> bool {
    let advertised = config
        .listen
        .udp
        .iter()
        .filter_map(|listener| listener.advertise.as_ref());
    config.host_names.contains(host)
        || advertised
            .into_iter()
            .any(|advertised| advertised.host == *host)
}
