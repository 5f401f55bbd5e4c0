//! Gateways by name: which names are watched, and the addresses that tables are made with.

use crate::dns::{Service, Watched};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use tuning::{Config, Host, HostPort};

/// What is known of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<Service, Watched>,
}

impl Names {
    /// The names that the gateways of `config` have.
    pub(super) fn wanted(config: &Config) -> BTreeSet<Service> {
        let gateways = config.sets.iter().flat_map(|set| &set.gateways);
        gateways.filter_map(|gateway| service(&gateway.uri.0)).collect()
    }

    /// Forgets names that are no longer wanted.
    pub(super) fn keep(&mut self, wanted: &BTreeSet<Service>) {
        self.known.retain(|service, _| wanted.contains(service));
    }

    /// Takes in news. True: the addresses have changed, and tables must be made anew.
    pub(super) fn learn(&mut self, service: Service, news: Watched) -> bool {
        let before = self.known.insert(service.clone(), news);
        let now = self.known.get(&service);
        before.as_ref().map(Watched::targets).unwrap_or_default() != now.map(Watched::targets).unwrap_or_default()
    }

    /// Names that have been looked up at least once.
    pub(super) fn answered(&self) -> usize {
        self.known.len()
    }

    /// Addresses as tables want them, best first.
    pub(super) fn addresses(&self) -> HashMap<HostPort, Vec<SocketAddr>> {
        let of = |(service, watched): (&Service, &Watched)| {
            let addresses = watched.targets().iter().map(|target| target.address).collect();
            (HostPort { host: Host::Name(service.host.clone()), port: service.port }, addresses)
        };
        self.known.iter().map(of).collect()
    }
}

fn service(at: &HostPort) -> Option<Service> {
    match &at.host {
        Host::Name(host) => Some(Service { host: host.clone(), port: at.port }),
        Host::Address(_) => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::dns::Target;

    #[test]
    fn only_a_change_of_addresses_asks_for_new_tables() {
        let service = Service { host: "gw.example".into(), port: None };
        let targets =
            |last| vec![Target { priority: 0, weight: 0, address: SocketAddr::from(([192, 0, 2, last], 5060)) }];
        let mut names = Names::default();
        assert!(!names.learn(service.clone(), Watched::Unresolved("x".into())));
        assert!(names.learn(service.clone(), Watched::Fresh(targets(1))));
        assert!(!names.learn(service.clone(), Watched::Stale(targets(1), "timeout".into())));
        assert!(names.learn(service.clone(), Watched::Fresh(targets(2))));
        let host = HostPort { host: Host::Name("gw.example".into()), port: None };
        assert_eq!(names.addresses()[&host], ["192.0.2.2:5060".parse().unwrap()]);
        names.keep(&BTreeSet::new());
        assert!(names.addresses().is_empty());
    }
}
