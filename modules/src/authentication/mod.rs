//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760): who proves to be whom, at what cost to us, and who is shut
//! out for trying too often.
//!
//! No I/O: whoever runs this asks the source of credentials when [`Decision::Ask`] says so, and comes back with what it
//! said. One [`Authenticator`] a shard; a user's proofs are all examined on the shard that owns the user.
//!
//! | File | Holds |
//! |---|---|
//! | `stage` | the stage of the policy: what becomes of a request, step by step |
//! | `demand` | which requests have to prove something |
//! | `realms` | domains and rules as the file has them |
//! | `algorithm` | MD5, SHA-256, SHA-512-256 and their hashes |
//! | `proof` | the response of a client, checked against an HA1 |
//! | `proof_uri` | whether it was made for this request |
//! | `nonce` | nonces that cost no state |
//! | `windows` | which counts of a nonce were used |
//! | `credentials` | HA1s remembered, decoys for users that there are not |
//! | `existence` | which users have an account, for calls to them |
//! | `guard`, `living` | who is shut out, and who is spared |
//! | `question` | what is asked of the source of an account, as bytes |
//! | `owner` | a proof examined by the user's shard for another |
//! | `challenge` | the header lines of 401 and 407 |
//! | `buckets` | the table under all that may be forgotten |

pub mod algorithm;
mod buckets;
pub mod challenge;
pub mod credentials;
pub mod demand;
mod existence;
pub mod guard;
pub mod living;
pub mod nonce;
pub mod owner;
pub mod proof;
mod proof_uri;
pub mod question;
pub mod realms;
pub mod stage;
#[cfg(test)]
mod tests;
pub mod windows;

use algorithm::Algorithm;
use challenge::Asker;
use credentials::{Credentials, Ha1s, Lifetimes};
use existence::Existence;
use guard::Guard;
use living::Living;
use nonce::Nonces;
use proof::{LastHa2, Proof};
use proto::hash::{KeyedHash, Purpose, Secret};
use proto::message::{DigestCredentials, Writer};
use proto::time::{Micros, Mono, Now};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use windows::{Use, Windows};

/// What an authenticator is made with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Keys of the state directory, the one that signs first: nonces survive a restart.
    pub nonce_secrets: Vec<Secret>,
    /// Key of this boot, for tables.
    pub boot_secret: Secret,
    /// Seed of this shard's random numbers.
    pub seed: u64,
    /// Users of this shard whose credentials and nonce counts are remembered.
    pub accounts: u32,
    /// Users and addresses whose failures are remembered.
    pub failures: u32,
    /// When somebody is shut out.
    pub rules: guard::Rules,
    /// Where authenticated bindings live, shared by all shards.
    pub living: Arc<Living>,
}

/// A protection domain (RFC 3261 §22.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// The name of its domain: accounts of different domains are different.
    pub domain: Box<[u8]>,
    /// Its name, as it is shown to users.
    pub name: Box<[u8]>,
    /// Algorithms in the order in which they are offered; at least one.
    pub offered: Vec<Algorithm>,
    /// How long a nonce may be used.
    pub nonce_lifetime: Micros,
    /// How long answers of its source are remembered.
    pub lifetimes: Lifetimes,
}

/// A request that needs a proof.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'m> {
    /// What it brings for the realm.
    pub credentials: Option<DigestCredentials<'m>>,
    /// Its method.
    pub method: &'m [u8],
    /// From where it came.
    pub source: SocketAddr,
    /// Its Call-ID.
    pub call_id: &'m [u8],
    /// Its CSeq number.
    pub cseq: u32,
}

/// Whether the user has a binding at the very address and port that a request comes from. Asked only before it would be shut
/// out there.
pub type Home<'h> = &'h dyn Fn() -> bool;

/// What an account's source said.
#[derive(Clone, Copy, Debug)]
pub enum Said {
    /// There is such an account, with these HA1s.
    Known(Ha1s),
    /// There is none.
    Unknown,
    /// The source checked the proof itself (RADIUS), and it holds or not.
    Judged(bool),
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is whom it says to be.
    Proven {
        /// It is a retransmission of one that was proven.
        again: bool,
    },
    /// It has to prove that, or its nonce cannot be used.
    Challenge {
        /// The client may answer without asking its user.
        stale: bool,
    },
    /// Its proof does not hold. It is challenged as if it had brought none.
    Failed,
    /// Only the source of the account can tell.
    Ask,
    /// It may not cause another question now: dropped.
    OverBudget,
    /// Its user or its address is shut out: dropped.
    ShutOut,
}

/// Whether a user has an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exists {
    /// It has.
    Yes,
    /// It has none.
    No,
    /// Only the source of the account can tell.
    Ask,
    /// The source does not answer, or may not be asked now.
    Untold,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Proofs that held.
    pub proven: u64,
    /// Requests without a usable proof.
    pub challenged: u64,
    /// Proofs with a nonce that is expired, used or not ours.
    pub stale: u64,
    /// Proofs that did not hold.
    pub failed: u64,
    /// Questions to sources.
    pub asked: u64,
    /// Requests that might not cause one.
    pub over_budget: u64,
    /// Requests of those who are shut out.
    pub shut_out: u64,
    /// Nonce counts that had to make room.
    pub windows_evicted: u64,
}

impl Figures {
    /// Each by its name.
    pub const fn named(self) -> [(&'static str, u64); 8] {
        [
            ("proven", self.proven),
            ("challenged", self.challenged),
            ("stale", self.stale),
            ("failed", self.failed),
            ("asked", self.asked),
            ("over_budget", self.over_budget),
            ("shut_out", self.shut_out),
            ("windows_evicted", self.windows_evicted),
        ]
    }
}

// WHY: a configuration is held against the host's memory by this.
const _: () = {
    let remembered = Credentials::PLACE_BYTES + Existence::PLACE_BYTES + 2 * Windows::PLACE_BYTES;
    assert!(remembered <= limits::pool::REMEMBERED_ACCOUNT_BYTES as usize, "as checked against memory");
    assert!(2 * Guard::PLACE_BYTES <= limits::pool::FAILURES_BYTES as usize, "as checked against memory");
};

/// Windows for each account: phones of one user, and nonces one after the other.
const WINDOWS_PER_ACCOUNT: u32 = 2;

/// The part of a nonce's salt that is the same for all nonces of a process, and most likely of no other.
const MARK_MASK: u64 = 0xffff;

/// See the module.
#[derive(Debug)]
pub struct Authenticator {
    nonces: Nonces,
    windows: Windows,
    credentials: Credentials,
    existence: Existence,
    guard: Guard,
    secret: Secret,
    salt: u64,
    /// What nonces of this process have in their salt.
    mark: u64,
    /// The request in hand was proven to come from its user.
    is_proven: bool,
    last_ha2: LastHa2,
    figures: Figures,
}

impl Authenticator {
    /// Reserves all memory that it will ever use.
    pub fn new(setup: Setup, now: Now) -> Self {
        let secret = setup.boot_secret;
        let nonces = Nonces::new(setup.nonce_secrets, now);
        let started = nonces.clock().read(now);
        Authenticator {
            windows: Windows::new(setup.accounts.saturating_mul(WINDOWS_PER_ACCOUNT), secret, started),
            nonces,
            credentials: Credentials::new(setup.accounts, secret),
            existence: Existence::new(setup.accounts),
            guard: Guard::new(setup.failures, setup.rules, setup.living, secret),
            secret,
            salt: setup.seed,
            mark: KeyedHash::new(&secret, Purpose::Nonce).finish_low() & MARK_MASK,
            is_proven: false,
            last_ha2: LastHa2::default(),
            figures: Figures::default(),
        }
    }

    /// What becomes of a request.
    pub fn examine(&mut self, realm: &Realm, asked: &Asked<'_>, home: Home<'_>, now: Now) -> Decision {
        let decision = self.decide(realm, asked, None, home, now);
        self.count(decision)
    }

    /// The same after [`Decision::Ask`], with what the source said. Never asks again.
    pub fn examine_again(
        &mut self,
        realm: &Realm,
        asked: &Asked<'_>,
        said: Said,
        home: Home<'_>,
        now: Now,
    ) -> Decision {
        let decision = match self.decide(realm, asked, Some(said), home, now) {
            // A table without places: nothing can be remembered, and nobody proven.
            Decision::Ask => Decision::Failed,
            decision => decision,
        };
        self.count(decision)
    }

    fn decide(&mut self, realm: &Realm, asked: &Asked<'_>, said: Option<Said>, home: Home<'_>, now: Now) -> Decision {
        if self.guard.is_source_shut_out(asked.source.ip(), now.mono) {
            return Decision::ShutOut;
        }
        let Some(credentials) = asked.credentials else { return Decision::Challenge { stale: false } };
        let Ok(proof) = Proof::of(credentials, asked.method, &realm.offered) else {
            return Decision::Challenge { stale: false };
        };
        let source = asked.source.ip();
        let nonce = self.nonces.read(credentials.nonce, &realm.name, source, realm.nonce_lifetime, now);
        let Some(nonce) = nonce else { return Decision::Challenge { stale: true } };
        let account = self.account(realm, credentials.username);
        let user = self.guard.user(account, asked.source);
        if self.guard.is_user_shut_out(user, now.mono) && !home() {
            return Decision::ShutOut;
        }
        match self.check(realm, account, &proof, said, now.mono) {
            Some(true) => {}
            Some(false) => {
                self.guard.failed(account, credentials.username, asked.source, now);
                return Decision::Failed;
            }
            None if self.guard.may_ask(source, now) => return Decision::Ask,
            None => return Decision::OverBudget,
        }
        let request = self.request(&proof, asked);
        // WHY not by their time alone: a wall clock that was put back makes nonces of an earlier process young again.
        let is_ours = nonce.salt & MARK_MASK == self.mark;
        let used = if is_ours { self.windows.take(account, nonce, proof.count, request) } else { Use::Stale };
        if used == Use::Stale {
            return Decision::Challenge { stale: true };
        }
        self.guard.proven(user);
        self.is_proven = true;
        Decision::Proven { again: used == Use::Again }
    }

    /// Whether the proof holds; `None`: the source has to be asked.
    fn check(
        &mut self,
        realm: &Realm,
        account: u128,
        proof: &Proof<'_>,
        said: Option<Said>,
        now: Mono,
    ) -> Option<bool> {
        match said {
            Some(Said::Judged(holds)) => return Some(holds),
            Some(Said::Known(ha1s)) => self.credentials.learn(account, Some(ha1s), realm.lifetimes, now),
            Some(Said::Unknown) => self.credentials.learn(account, None, realm.lifetimes, now),
            None => {}
        }
        let known = self.credentials.get(account, now)?;
        let holds = known.ha1s.get(proof.algorithm).is_some_and(|ha1| proof.holds(ha1, &mut self.last_ha2));
        if !holds && said.is_some() {
            known.remember_failure(realm.lifetimes, now);
        }
        (holds || known.knows_failures(now)).then_some(holds)
    }

    /// Another request is looked at.
    pub const fn begin(&mut self) {
        self.is_proven = false;
    }

    /// The REGISTER in hand was granted for `lifetime` (0: it has none any more), if its user proved itself.
    pub fn registered(&mut self, source: SocketAddr, lifetime: Micros, now: Mono) {
        if std::mem::take(&mut self.is_proven) && lifetime.0 > 0 {
            self.guard.lives(source.ip(), lifetime, now);
        }
    }

    /// Writes the header lines of a challenge with a nonce of its own.
    pub fn write_challenge(
        &mut self,
        writer: &mut Writer<'_>,
        asker: Asker,
        realm: &Realm,
        source: IpAddr,
        stale: bool,
        now: Now,
    ) {
        // Knuth's MMIX generator; only its high bits are used. What a nonce needs of it is to differ from its siblings.
        self.salt = self.salt.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let salt = self.salt >> 16 & !MARK_MASK | self.mark;
        let nonce = self.nonces.make(&realm.name, source, salt, now);
        challenge::write(writer, asker, &realm.name, &realm.offered, &nonce, stale);
    }

    /// The source of an account says that it has changed.
    pub fn forget(&mut self, realm: &Realm, username: &[u8]) {
        let account = self.account(realm, username);
        self.credentials.forget(account);
    }

    /// Whether that user has an account, for a request to it from `source`: its source of accounts may have to be asked.
    pub fn exists(&mut self, realm: &Realm, username: &[u8], source: IpAddr, now: Now) -> Exists {
        let account = self.account(realm, username);
        match self.existence.get(account, now.mono) {
            Some(true) => Exists::Yes,
            Some(false) => Exists::No,
            None if self.guard.may_ask(source, now) => Exists::Ask,
            None => Exists::Untold,
        }
    }

    /// What the source said of that; nothing is remembered of a failure.
    pub fn told(&mut self, realm: &Realm, username: &[u8], said: Option<Said>, now: Now) -> Exists {
        let exists = match said {
            Some(Said::Known(_)) => true,
            Some(Said::Unknown) => false,
            // Proofs are judged elsewhere; nobody asked for one.
            Some(Said::Judged(_)) | None => return Exists::Untold,
        };
        let account = self.account(realm, username);
        self.existence.learn(account, exists, realm.lifetimes, now.mono);
        if exists { Exists::Yes } else { Exists::No }
    }

    /// Sources have changed.
    pub fn forget_all(&mut self) {
        self.credentials.forget_all();
        self.existence.forget_all();
    }

    /// Who is shut out.
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Who is shut out, to be changed.
    pub const fn guard_mut(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// What happened so far.
    pub const fn figures(&self) -> Figures {
        Figures { windows_evicted: self.windows.evicted(), ..self.figures }
    }

    fn account(&self, realm: &Realm, username: &[u8]) -> u128 {
        KeyedHash::new(&self.secret, Purpose::Account).pair(&realm.domain, username).finish()
    }

    /// What tells a retransmission from another request with the same count.
    fn request(&self, proof: &Proof<'_>, asked: &Asked<'_>) -> u64 {
        let hash = KeyedHash::new(&self.secret, Purpose::Transaction).pair(asked.method, asked.call_id);
        hash.number(u64::from(asked.cseq)).part(proof.credentials.response).finish_low()
    }

    const fn count(&mut self, decision: Decision) -> Decision {
        let figures = &mut self.figures;
        match decision {
            Decision::Proven { .. } => figures.proven += 1,
            Decision::Challenge { stale: true } => figures.stale += 1,
            Decision::Challenge { stale: false } => figures.challenged += 1,
            Decision::Failed => figures.failed += 1,
            Decision::Ask => figures.asked += 1,
            Decision::OverBudget => figures.over_budget += 1,
            Decision::ShutOut => figures.shut_out += 1,
        }
        decision
    }
}
