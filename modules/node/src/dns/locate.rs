//! From a name to addresses: RFC 3263 §4 for requests that go over UDP.

use super::Settings;
use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// Most addresses of one name that are used; each is a gateway of its own.
pub const ADDRESSES_MAX: usize = 32;

/// Most hosts of one SRV name that are looked up.
const HOSTS_MAX: usize = 16;

/// The port of SIP over UDP when neither the URI nor SRV names one (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5060;

/// What is to be found: host and port of a SIP URI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// Host name in lower case.
    pub host: String,
    /// Port of the URI; without one NAPTR and SRV are asked first.
    pub port: Option<u16>,
}

/// One address of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// SRV priority, the lowest first; 0 without SRV.
    pub priority: u16,
    /// SRV weight among equal priorities; 0 without SRV.
    pub weight: u16,
    /// Addresses of the host that this is one of, at least 1: they divide the weight.
    pub siblings: u16,
    /// The address.
    pub address: SocketAddr,
}

/// What a lookup came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// Addresses, best first, and how long they hold (within the bounds of the settings).
    Found(Vec<Target>, Duration),
    /// It is known that there are none.
    Nothing(Duration),
    /// It could not be found out.
    Failed(String),
}

/// Everything that a lookup needs.
pub(super) struct Lookup {
    pub(super) resolver: TokioResolver,
    pub(super) settings: Settings,
}

/// Records of one question, and until when they hold; an empty list when there are none.
type Records<T> = Result<(Vec<T>, Option<Instant>), NetError>;

impl Lookup {
    /// The addresses of `service`.
    pub(super) async fn locate(&self, service: &Service) -> Located {
        if let Ok(address) = service.host.parse::<IpAddr>() {
            let address = SocketAddr::new(address, service.port.unwrap_or(SIP_PORT));
            return Located::Found(
                vec![Target { priority: 0, weight: 0, siblings: 1, address }],
                self.settings.ttl_max,
            );
        }
        let Ok(name) = Name::from_utf8(&service.host) else {
            return Located::Nothing(self.settings.ttl_max);
        };
        match service.port {
            Some(port) => self.hosts([(name, port, 0, 0)], None).await,
            None => self.by_service(name).await,
        }
    }

    /// RFC 3263 §4.1 and §4.2: NAPTR, else SRV of `_sip._udp`, else the host itself.
    async fn by_service(&self, name: Name) -> Located {
        // WHY an error is as good as "none" here: name servers that do not know NAPTR are common, and
        // the questions that follow fail too if the server is really away.
        let (mut rules, mut until) = self.naptr(&name).await.unwrap_or_default();
        rules.retain(is_sip_over_udp);
        rules.sort_by_key(|rule| (rule.order, rule.preference));
        let mut srv_names: Vec<Name> = rules.into_iter().map(|rule| rule.replacement).collect();
        if srv_names.is_empty() {
            srv_names.extend(Name::from_ascii("_sip._udp").and_then(|prefix| prefix.append_domain(&name)));
        }
        for srv_name in srv_names {
            let Ok((mut records, records_until)) = self.srv(&srv_name).await else { continue };
            // RFC 2782: a target of "." says that the service is not offered.
            records.retain(|record| !record.target.is_root());
            if records.is_empty() {
                continue;
            }
            records.sort_by_key(|record| (record.priority, std::cmp::Reverse(record.weight)));
            records.truncate(HOSTS_MAX);
            until = earlier(until, records_until);
            let hosts = records.into_iter().map(|record| (record.target, record.port, record.priority, record.weight));
            return self.hosts(hosts, until).await;
        }
        self.hosts([(name, SIP_PORT, 0, 0)], None).await
    }

    /// The addresses of hosts, in their order.
    async fn hosts(
        &self,
        hosts: impl IntoIterator<Item = (Name, u16, u16, u16)>,
        mut until: Option<Instant>,
    ) -> Located {
        let mut targets = Vec::new();
        let mut failure = None;
        for (host, port, priority, weight) in hosts {
            match self.addresses(&host).await {
                Ok((addresses, addresses_until)) => {
                    until = earlier(until, addresses_until);
                    let siblings = u16::try_from(addresses.len()).unwrap_or(u16::MAX);
                    let place =
                        |address| Target { priority, weight, siblings, address: SocketAddr::new(address, port) };
                    targets.extend(addresses.into_iter().map(place));
                }
                Err(error) => failure = Some(format!("{host}: {error}")),
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        targets.retain(|target| seen.insert(target.address));
        targets.truncate(ADDRESSES_MAX);
        match failure {
            Some(why) if targets.is_empty() => Located::Failed(why),
            // WHY: a part of the answer is missing, so it is asked for again as soon as may be.
            Some(_) => Located::Found(targets, self.settings.ttl_min),
            None if targets.is_empty() => Located::Nothing(self.holds(until)),
            None => Located::Found(targets, self.holds(until)),
        }
    }

    async fn addresses(&self, host: &Name) -> Records<IpAddr> {
        let (four, six) = tokio::join!(self.records(host, RecordType::A), self.records(host, RecordType::AAAA));
        // One family is enough; only when both fail is it a failure.
        let ((mut found, until), other) = match (four, six) {
            (Ok(four), six) => (four, six),
            (Err(_), Ok(six)) => (six, Ok(Default::default())),
            (Err(error), Err(_)) => return Err(error),
        };
        let (more, more_until) = other.unwrap_or_default();
        found.extend(more);
        let address = |data: RData| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        Ok((found.into_iter().filter_map(address).collect(), earlier(until, more_until)))
    }

    async fn naptr(&self, name: &Name) -> Records<NAPTR> {
        let (records, until) = self.records(name, RecordType::NAPTR).await?;
        let rule = |data| if let RData::NAPTR(rule) = data { Some(rule) } else { None };
        Ok((records.into_iter().filter_map(rule).collect(), until))
    }

    async fn srv(&self, name: &Name) -> Records<SRV> {
        let (records, until) = self.records(name, RecordType::SRV).await?;
        let srv = |data| if let RData::SRV(record) = data { Some(record) } else { None };
        Ok((records.into_iter().filter_map(srv).collect(), until))
    }

    async fn records(&self, name: &Name, kind: RecordType) -> Records<RData> {
        match self.resolver.lookup(name.clone(), kind).await {
            Ok(found) => {
                let records = found.answers().iter().map(|record| record.data.clone()).collect();
                Ok((records, Some(found.valid_until())))
            }
            Err(error) if error.is_no_records_found() => Ok((Vec::new(), None)),
            Err(error) => Err(error),
        }
    }

    /// How long what holds until `until` is kept.
    fn holds(&self, until: Option<Instant>) -> Duration {
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        left.clamp(self.settings.ttl_min, self.settings.ttl_max.max(self.settings.ttl_min))
    }
}

/// RFC 3263 §4.1: flag "s", service "SIP+D2U", no regular expression.
fn is_sip_over_udp(rule: &NAPTR) -> bool {
    rule.flags.eq_ignore_ascii_case(b"s") && rule.services.eq_ignore_ascii_case(b"SIP+D2U") && rule.regexp.is_empty()
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
