//! Domains whose phones register here, compiled.

use super::Number;
use proto::message::Host;
use std::net::IpAddr;
use std::time::Duration;

/// All domains, in the file's order.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    domains: Vec<Domain>,
}

/// One domain.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its name, in lower case, an IPv6 address in brackets: the host of its users' addresses of record.
    pub name: Box<[u8]>,
    /// Hosts that mean it, its name first.
    pub hosts: Vec<tuning::Host>,
    /// The realm of its challenges.
    pub realm: Box<str>,
    /// Who registers or calls is asked for a password.
    pub authenticates: bool,
    /// Where numbers and users go that are not registered here.
    pub media: Option<Number>,
    /// Calls between its phones go straight, not by the media set.
    pub straight: bool,
    /// The set of registrars that REGISTERs go on to.
    pub registrar: Option<Number>,
    /// Contacts that one account may have.
    pub contacts_max: usize,
    /// How long bindings last.
    pub expires: Expires,
    /// The Service-Route lines of a 200, each with its CRLF (RFC 3608).
    pub service_route: Box<[u8]>,
    /// GRUUs are given out (RFC 5627).
    pub gruu: bool,
}

/// How long bindings last, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expires {
    /// When nothing is asked for.
    pub default: u32,
    /// The least that may be asked for.
    pub min: u32,
    /// The most that is granted.
    pub max: u32,
    /// What is granted is shorter by up to so many percent.
    pub jitter_percent: u32,
}

impl Domains {
    /// From the configuration; `set` finds the number of a set by its index.
    pub(super) fn build<E>(
        domains: &[tuning::Domain],
        mut set: impl FnMut(usize) -> Result<Number, E>,
    ) -> Result<Self, E> {
        let compiled = domains.iter().map(|domain| {
            let media = domain.media.as_ref().map(|name| set(name.index())).transpose()?;
            let registrar = domain.registrar.as_ref().map(|name| set(name.index())).transpose()?;
            let hosts = std::iter::once(&domain.name).chain(&domain.aliases).cloned().collect();
            let lines = domain.service_route.iter().map(|uri| format!("Service-Route: <{uri}>\r\n"));
            Ok(Domain {
                name: domain.name.to_string().into_bytes().into(),
                hosts,
                realm: domain.realm.clone().unwrap_or_else(|| domain.name.to_string()).into(),
                authenticates: domain.accounts.is_some(),
                media,
                straight: domain.between_phones == tuning::BetweenPhones::Direct,
                registrar,
                contacts_max: usize::try_from(domain.contacts_max).unwrap_or(limits::CONTACTS_MAX),
                expires: Expires {
                    default: seconds(domain.expires.default),
                    min: seconds(domain.expires.min),
                    max: seconds(domain.expires.max),
                    jitter_percent: domain.expires.jitter_percent,
                },
                service_route: lines.collect::<String>().into_bytes().into(),
                gruu: domain.gruu,
            })
        });
        Ok(Domains { domains: compiled.collect::<Result<_, E>>()? })
    }

    /// Whether there is none: nobody registers here.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// The domain that a host means, and its index.
    pub fn find(&self, host: &Host<'_>) -> Option<(u16, &Domain)> {
        (0u16..).zip(&self.domains).find(|(_, domain)| domain.hosts.iter().any(|wanted| is_host(host, wanted)))
    }

    /// The domain of that name, as it stands in the journal.
    pub fn named(&self, name: &[u8]) -> Option<(u16, &Domain)> {
        (0u16..).zip(&self.domains).find(|(_, domain)| domain.name.eq_ignore_ascii_case(name))
    }

    /// The domain of that index.
    pub fn get(&self, index: u16) -> Option<&Domain> {
        self.domains.get(usize::from(index))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Domain> {
        self.domains.iter()
    }
}

fn is_host(host: &Host<'_>, wanted: &tuning::Host) -> bool {
    match (wanted, host) {
        (tuning::Host::Name(wanted), Host::Name(name)) => name.eq_ignore_ascii_case(wanted.as_bytes()),
        (tuning::Host::Address(wanted), host) => {
            host.ip().map(|ip: IpAddr| ip.to_canonical()) == Some(wanted.to_canonical())
        }
        (tuning::Host::Name(_), _) => false,
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
