//! Who is shut out for failed proofs, and for how long.
//!
//! - A user from one address: after so many failures nothing of it is looked at for a while, each time twice as long.
//!   Elsewhere the user is untouched, and so is the very port that proved itself last.
//! - A whole address: the same, over all users, but never while an authenticated binding lives behind it ([`Living`]).
//! - What an address may ask of credential sources is a budget: a flood of unknown users ends here.
//!
//! Only requests with a nonce that was given out to the address that they come from are counted, so nobody gets
//! another address shut out by forging it. Called by [`super::Authenticator`].

use super::buckets::{Buckets, Entry};
use super::living::Living;
use proto::hash::{KeyedHash, Purpose, Secret};
use proto::time::{Micros, Mono, Now, Wall};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// When somebody is shut out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Failures of a user from one address.
    pub user_failures_max: u32,
    /// Failures of an address, of all users.
    pub source_failures_max: u32,
    /// Failures are forgotten when none came for so long.
    pub forgotten_after: Micros,
    /// The first time; each further time is twice as long.
    pub ban: Micros,
    /// The longest time.
    pub ban_max: Micros,
    /// Questions to credential sources that an address may cause in a second.
    pub questions_per_second: u32,
    /// Questions that it may save up.
    pub questions_burst: u32,
}

/// Octets of a user name that are kept for `tandem bans`.
const USERNAME_KEPT: usize = 48;

/// One who is shut out.
#[derive(Clone, Copy, Debug)]
pub struct Ban {
    /// From where.
    pub source: IpAddr,
    /// Failures since the last proof that held.
    pub failures: u32,
    /// Since when.
    pub since: Wall,
    /// How long it goes on.
    pub left: Micros,
    username: [u8; USERNAME_KEPT],
    username_len: u8,
}

impl Ban {
    /// Whose proofs failed, cut to 48 octets, as it came; empty: the whole address is shut out.
    pub fn username(&self) -> &[u8] {
        self.username.get(..usize::from(self.username_len)).unwrap_or_default()
    }
}

/// Failures of a user from an address, or of an address.
#[derive(Clone, Copy, Debug)]
struct Record {
    source: IpAddr,
    username: [u8; USERNAME_KEPT],
    username_len: u8,
    failures: u32,
    /// Bans so far.
    bans: u8,
    last: Mono,
    until: Mono,
    since: Wall,
    /// The port that proved itself last; 0: none.
    proven_port: u16,
    /// Thousandths of a question that may be asked, as of `counted`.
    budget: u32,
    counted: Mono,
}

impl Entry for Record {
    fn rank(&self) -> u64 {
        self.last.0.max(self.until.0)
    }
}

/// A user at an address and port, as the tables know it.
#[derive(Clone, Copy, Debug)]
pub struct UserThere {
    key: u128,
    port: u16,
}

/// See the module.
#[derive(Debug)]
pub struct Guard {
    rules: Rules,
    users: Buckets<Record>,
    sources: Buckets<Record>,
    living: Arc<Living>,
    secret: Secret,
}

impl Guard {
    /// Memory of a place.
    pub(super) const PLACE_BYTES: usize = Buckets::<Record>::PLACE_BYTES;

    /// Room for `capacity` users and as many addresses.
    pub fn new(capacity: u32, rules: Rules, living: Arc<Living>, secret: Secret) -> Self {
        Guard { rules, users: Buckets::new(capacity), sources: Buckets::new(capacity), living, secret }
    }

    /// Other rules hold from now on. What was begun by the old ones ends by them.
    pub const fn obey(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Whether anything from this address is looked at.
    pub fn is_source_shut_out(&mut self, source: IpAddr, now: Mono) -> bool {
        let key = self.source_key(source);
        let banned = self.sources.find(key).is_some_and(|record| record.until > now);
        banned && !self.living.is_alive(source, now)
    }

    /// A user at an address.
    pub fn user(&self, account: u128, source: SocketAddr) -> UserThere {
        UserThere { key: self.user_key(account, source.ip()), port: source.port() }
    }

    /// Whether a proof of this user from there is looked at.
    pub fn is_user_shut_out(&mut self, user: UserThere, now: Mono) -> bool {
        let record = self.users.find(user.key);
        record.is_some_and(|record| record.until > now && record.proven_port != user.port)
    }

    /// A proof failed.
    pub fn failed(&mut self, account: u128, username: &[u8], source: SocketAddr, now: Now) {
        let rules = self.rules;
        let (user, address) = (self.user_key(account, source.ip()), self.source_key(source.ip()));
        let record = self.users.find_or_put(user, || Record::new(username, source.ip(), &rules, now));
        record.into_iter().for_each(|record| record.fail(&rules, rules.user_failures_max, now));
        let record = self.sources.find_or_put(address, || Record::new(b"", source.ip(), &rules, now));
        record.into_iter().for_each(|record| record.fail(&rules, rules.source_failures_max, now));
    }

    /// A proof held.
    pub fn proven(&mut self, user: UserThere) {
        if let Some(record) = self.users.find(user.key) {
            (record.failures, record.bans, record.until) = (0, 0, Mono(0));
            record.proven_port = user.port;
        }
    }

    /// An authenticated binding lives behind this address for so long.
    pub fn lives(&self, source: IpAddr, lifetime: Micros, now: Mono) {
        self.living.note(source, lifetime, now);
    }

    /// Whether this address may cause another question to a credential source; if so, it is charged.
    pub fn may_ask(&mut self, source: IpAddr, now: Now) -> bool {
        let rules = self.rules;
        let key = self.source_key(source);
        let record = self.sources.find_or_put(key, || Record::new(b"", source, &rules, now));
        record.is_some_and(|record| record.charge(&rules, now.mono))
    }

    /// Everybody who is shut out now.
    pub fn bans(&self, now: Mono) -> impl Iterator<Item = Ban> + '_ {
        let sources = self.sources.iter().filter(move |record| !self.living.is_alive(record.source, now));
        self.users.iter().chain(sources).filter(move |record| record.until > now).map(move |record| Ban {
            source: record.source,
            failures: record.failures,
            since: record.since,
            left: record.until.since(now),
            username: record.username,
            username_len: record.username_len,
        })
    }

    /// Nobody from `source` (and of `username`, if one is given) is shut out any more. How many were.
    pub fn lift(&mut self, source: IpAddr, username: Option<&[u8]>, now: Mono) -> usize {
        let source = source.to_canonical();
        let before = self.bans(now).count();
        let kept = |record: &Record| {
            record.source != source
                || username.is_some_and(|name| record.kept_username() != name.get(..USERNAME_KEPT).unwrap_or(name))
        };
        self.users.retain(kept);
        self.sources.retain(kept);
        before - self.bans(now).count()
    }

    fn source_key(&self, source: IpAddr) -> u128 {
        KeyedHash::new(&self.secret, Purpose::Source).address(source).finish()
    }

    fn user_key(&self, account: u128, source: IpAddr) -> u128 {
        let hash = KeyedHash::new(&self.secret, Purpose::Account).number(account as u64).number((account >> 64) as u64);
        hash.address(source).finish()
    }
}

impl Record {
    fn new(name: &[u8], source: IpAddr, rules: &Rules, now: Now) -> Self {
        let mut username = [0; USERNAME_KEPT];
        username.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        Record {
            source: source.to_canonical(),
            username,
            username_len: u8::try_from(name.len().min(USERNAME_KEPT)).unwrap_or(0),
            failures: 0,
            bans: 0,
            last: now.mono,
            until: Mono(0),
            since: now.wall,
            proven_port: 0,
            budget: rules.questions_burst.saturating_mul(1_000),
            counted: now.mono,
        }
    }

    fn kept_username(&self) -> &[u8] {
        self.username.get(..usize::from(self.username_len)).unwrap_or_default()
    }

    fn fail(&mut self, rules: &Rules, most: u32, now: Now) {
        if now.mono.since(self.last.max(self.until)) > rules.forgotten_after {
            (self.failures, self.bans) = (0, 0);
        }
        self.failures = self.failures.saturating_add(1);
        self.last = now.mono;
        // WHY a remainder: after a ban as many failures as before bring the next one.
        if self.until <= now.mono && self.failures.is_multiple_of(most.max(1)) {
            let length = rules.ban.times(1 << self.bans.min(30)).min(rules.ban_max);
            self.until = now.mono.after(length);
            self.since = now.wall;
            self.bans = self.bans.saturating_add(1);
        }
    }

    fn charge(&mut self, rules: &Rules, now: Mono) -> bool {
        let earned = now.since(self.counted).0 / 1_000 * u64::from(rules.questions_per_second);
        if earned > 0 {
            let most = rules.questions_burst.saturating_mul(1_000);
            self.budget = self.budget.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(most);
            self.counted = now;
        }
        self.last = self.last.max(now);
        let enough = self.budget >= 1_000;
        self.budget -= if enough { 1_000 } else { 0 };
        enough
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const RULES: Rules = Rules {
        user_failures_max: 3,
        source_failures_max: 10,
        forgotten_after: Micros::from_secs(600),
        ban: Micros::from_secs(60),
        ban_max: Micros::from_secs(200),
        questions_per_second: 2,
        questions_burst: 5,
    };

    fn guard() -> Guard {
        Guard::new(256, RULES, Arc::new(Living::new(Secret([1; 16]))), Secret([2; 16]))
    }

    fn at(seconds: u64) -> Now {
        Now { mono: Mono(seconds * 1_000_000), wall: Wall(1_000_000 * seconds) }
    }

    fn from(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], port))
    }

    fn is_shut_out(guard: &mut Guard, account: u128, source: SocketAddr, now: Mono) -> bool {
        guard.is_user_shut_out(guard.user(account, source), now)
    }

    #[test]
    fn a_user_is_shut_out_there_alone_each_time_longer() {
        let mut guard = guard();
        let mut clock = 0;
        for length in [60, 120, 200, 200] {
            for _ in 0..3 {
                assert!(!is_shut_out(&mut guard, 1, from(1, 5060), at(clock).mono));
                guard.failed(1, b"alice", from(1, 5060), at(clock));
            }
            assert!(is_shut_out(&mut guard, 1, from(1, 5060), at(clock + length - 1).mono));
            assert!(!is_shut_out(&mut guard, 1, from(2, 5060), at(clock).mono), "elsewhere");
            assert!(!is_shut_out(&mut guard, 2, from(1, 5060), at(clock).mono), "somebody else");
            clock += length;
        }
        // After the last one is over and a while has passed it begins anew.
        clock += 601;
        (0..3).for_each(|_| guard.failed(1, b"alice", from(1, 5060), at(clock)));
        assert!(!is_shut_out(&mut guard, 1, from(1, 5060), at(clock + 60).mono));
    }

    #[test]
    fn a_proof_ends_it_and_its_port_stays_free() {
        let mut guard = guard();
        guard.failed(1, b"alice", from(1, 5060), at(0));
        guard.proven(guard.user(1, from(1, 5060)));
        (0..3).for_each(|_| guard.failed(1, b"alice", from(1, 6000), at(1)));
        assert!(is_shut_out(&mut guard, 1, from(1, 6000), at(2).mono));
        assert!(!is_shut_out(&mut guard, 1, from(1, 5060), at(2).mono));
    }

    #[test]
    fn a_whole_source_only_while_nobody_lives_there() {
        let mut guard = guard();
        (0..10).for_each(|user| guard.failed(user, b"x", from(1, 5060), at(0)));
        assert!(guard.is_source_shut_out(from(1, 0).ip(), at(1).mono));
        assert!(!guard.is_source_shut_out(from(2, 0).ip(), at(1).mono));
        guard.lives(from(1, 7000).ip(), Micros::from_secs(30), at(1).mono);
        assert!(!guard.is_source_shut_out(from(1, 0).ip(), at(2).mono), "a binding lives there");
        assert!(guard.is_source_shut_out(from(1, 0).ip(), at(33).mono), "it is gone");
        assert!(!guard.is_source_shut_out(from(1, 0).ip(), at(61).mono));
    }

    #[test]
    fn questions_are_a_budget_of_each_source() {
        let mut guard = guard();
        let asked = |guard: &mut Guard, last, when| (0..20).filter(|_| guard.may_ask(from(last, 0).ip(), when)).count();
        assert_eq!(asked(&mut guard, 1, at(0)), 5);
        assert_eq!(asked(&mut guard, 2, at(0)), 5);
        assert_eq!(asked(&mut guard, 1, at(1)), 2);
        assert_eq!(asked(&mut guard, 1, at(1_000)), 5);
    }

    #[test]
    fn bans_are_listed_and_lifted() {
        let mut guard = guard();
        (0..3).for_each(|_| guard.failed(1, b"alice", from(1, 5060), at(5)));
        (0..3).for_each(|_| guard.failed(2, b"bob", from(1, 5060), at(6)));
        let mut bans: Vec<_> =
            guard.bans(at(7).mono).map(|ban| (ban.username().to_vec(), ban.failures, ban.since, ban.left)).collect();
        bans.sort();
        assert_eq!(bans[0], (b"alice".to_vec(), 3, at(5).wall, Micros::from_secs(58)));
        assert_eq!(bans.len(), 2);
        assert_eq!(guard.lift(from(1, 0).ip(), Some(b"alice"), at(7).mono), 1);
        assert!(!is_shut_out(&mut guard, 1, from(1, 5060), at(7).mono));
        assert_eq!(guard.lift(from(1, 0).ip(), None, at(7).mono), 1);
        assert_eq!(guard.bans(at(7).mono).count(), 0);
    }
}
