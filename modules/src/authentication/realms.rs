//! Protection domains and rules, compiled from the file: part of [`crate::Tables`].

use super::Realm;
use super::algorithm::Algorithm;
use super::credentials::Lifetimes;
use super::demand::Row;
use super::guard::Rules;
use proto::time::Micros;
use std::time::Duration;
use tuning::{Config, DigestAlgorithm, Domain, ForeignFrom, ProofUri};

/// See the module.
#[derive(Clone, Debug)]
pub struct Realms {
    /// By index of the domain; `None`: it has no accounts.
    realms: Vec<Option<DomainRealm>>,
    /// When somebody is shut out.
    pub rules: Rules,
    /// Longest wait for a source of accounts.
    pub deadline: Micros,
}

/// The realm of a domain.
#[derive(Clone, Debug)]
pub struct DomainRealm {
    /// What proofs are examined by.
    pub realm: Realm,
    /// Its source says who has an account without being shown a proof.
    pub tells_of_users: bool,
    /// How the URI in a proof is held against the Request-URI.
    pub proof_uri: ProofUri,
    /// Who has to prove what, before the rule that holds otherwise.
    pub rows: Vec<Row>,
    /// What becomes of a request whose From is not its account.
    pub foreign_from: ForeignFrom,
}

impl Realms {
    /// From the configuration.
    pub fn build(config: &Config) -> Self {
        let authentication = &config.authentication;
        let lifetimes =
            Lifetimes { known: micros(authentication.remembered), unknown: micros(authentication.unknown_remembered) };
        let realm = |domain: &Domain| {
            let accounts = domain.accounts.as_ref()?;
            let name = domain.realm.clone().unwrap_or_else(|| domain.name.to_string());
            let realm = Realm {
                domain: domain.name.to_string().into_bytes().into(),
                name: name.into_bytes().into(),
                offered: domain.algorithms.iter().copied().map(algorithm).collect(),
                nonce_lifetime: micros(authentication.nonce),
                lifetimes,
            };
            Some(DomainRealm {
                realm,
                tells_of_users: accounts.radius.is_empty(),
                proof_uri: domain.proof_uri,
                rows: domain.proof.iter().map(Row::build).collect(),
                foreign_from: domain.foreign_from,
            })
        };
        Realms {
            realms: config.domains.iter().map(realm).collect(),
            rules: Rules {
                user_failures_max: authentication.user_failures,
                source_failures_max: authentication.address_failures,
                forgotten_after: micros(authentication.failures_forgotten),
                ban: micros(authentication.ban),
                ban_max: micros(authentication.ban_max),
                questions_per_second: authentication.address_questions,
                questions_burst: authentication.address_questions_burst,
            },
            deadline: micros(authentication.source_deadline),
        }
    }

    /// The realm of the domain of that index, if it has accounts.
    pub fn get(&self, domain: u16) -> Option<&DomainRealm> {
        self.realms.get(usize::from(domain))?.as_ref()
    }

    /// The realm of the domain of that name.
    pub fn named(&self, domain: &[u8]) -> Option<&DomainRealm> {
        self.realms.iter().flatten().find(|one| *one.realm.domain == *domain)
    }
}

/// An algorithm of the file.
pub fn algorithm(named: DigestAlgorithm) -> Algorithm {
    match named {
        DigestAlgorithm::Md5 => Algorithm::Md5,
        DigestAlgorithm::Sha256 => Algorithm::Sha256,
        DigestAlgorithm::Sha512_256 => Algorithm::Sha512_256,
    }
}

fn micros(duration: Duration) -> Micros {
    Micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
