//! The dispatcher's algorithms by name: one function and one row of [`ALGORITHMS`] each.
//!
//! To add one, write its function and its row here, nothing else: the schema of the TOML, its reference and
//! the dispatcher all read this list. A function is given the gateways that may be chosen now (up, not tried
//! for this request yet, in the file's order) and returns the position of one of them. It must not allocate:
//! a decision is made for every call. [`smooth`] and [`rendezvous`] are what they are made of.

#![forbid(unsafe_code)]

pub mod kamailio;
pub mod rendezvous;
pub mod smooth;

use smooth::Credit;

/// A gateway that may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its place in [`Memory::credits`].
    pub slot: usize,
    /// Its weight, at least 1.
    pub weight: u32,
    /// Its priority; lower comes first.
    pub priority: u16,
    /// Its place among the gateways of its set that have a weight, those that may not be chosen included.
    pub place: u16,
    /// Keyed hash of its name and address, for rendezvous hashing.
    pub key: u64,
    /// Calls that it carries for this shard, those being set up included.
    pub load: u32,
}

/// What an algorithm remembers between choices, for one set on one shard.
#[derive(Debug)]
pub struct Memory<'s> {
    /// By gateway slot: what smooth spreading owes to each.
    pub credits: &'s mut [Credit],
    /// Sum of weights at the last choice; credits are in its scale.
    pub total: &'s mut u64,
    /// Where `least-calls` looks first, so that equals take turns.
    pub turn: &'s mut u32,
    /// State of the random numbers.
    pub random: &'s mut Random,
}

/// One choice.
#[derive(Debug)]
pub struct Choice<'c, 's> {
    /// Never empty.
    pub candidates: &'c mut [Candidate],
    /// The request was sent somewhere before: this choice must not disturb the order of first choices.
    pub advance: bool,
    /// Keyed hash of what the algorithm hashes; 0 for those that do not.
    pub hash: u64,
    /// Gateways of the set that have a weight, those that may not be chosen included; at least 1.
    pub places: u16,
    /// Most that a gateway may carry of its share, in thousandths; 0: no bound.
    pub bounded: u32,
    /// The set's memory.
    pub memory: Memory<'s>,
}

/// What of a request a hash algorithm reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The Call-ID.
    CallId,
    /// User and host of the From URI.
    Caller,
    /// User and host of the To URI.
    Callee,
    /// Host of the Request-URI.
    Domain,
    /// The whole Request-URI.
    RequestUri,
    /// What the set's `hash_variables` name.
    Variables,
}

/// One algorithm.
#[derive(Clone, Copy, Debug)]
pub struct Algorithm {
    /// Its name in the TOML.
    pub name: &'static str,
    /// What it does, for the reference of the TOML.
    pub about: &'static str,
    /// Position of the gateway chosen.
    pub choose: fn(&mut Choice<'_, '_>) -> usize,
    /// It reads weights.
    pub weights: bool,
    /// It reads priorities.
    pub priorities: bool,
    /// It hashes this: the same request goes to the same gateway.
    pub hashes: Option<Subject>,
    /// All gateways are tried at once.
    pub parallel: bool,
}

/// All algorithms. The first is the default.
pub const ALGORITHMS: &[Algorithm] = &[
    Algorithm {
        weights: true,
        ..Algorithm::named("weighted", "Smooth, by `weight`: exact over any 100 calls of a shard.", weighted)
    },
    Algorithm::named("round-robin", "One after the other; weights are not used.", round_robin),
    Algorithm {
        weights: true,
        priorities: true,
        ..Algorithm::named("priority", "The lowest `priority` that is up; weights among equals.", priority)
    },
    Algorithm {
        weights: true,
        ..Algorithm::named("least-calls", "The gateway with the fewest active calls for its weight.", least_calls)
    },
    Algorithm { weights: true, ..Algorithm::named("random", "By chance, by weight.", random) },
    Algorithm::hashing(
        "hash-call-id",
        "By Call-ID: retransmissions and everything of one call go the same way.",
        Subject::CallId,
    ),
    Algorithm::hashing("hash-caller", "By the user and host of From.", Subject::Caller),
    Algorithm::hashing("hash-callee", "By the user and host of To.", Subject::Callee),
    Algorithm::hashing("hash-domain", "By the host of the Request-URI.", Subject::Domain),
    Algorithm::hashing("hash-request-uri", "By the user, host and port of the Request-URI.", Subject::RequestUri),
    Algorithm::hashing("hash-variables", "By what `hash_variables` of the set names.", Subject::Variables),
    Algorithm {
        parallel: true,
        ..Algorithm::named("parallel", "All gateways at once; the first to answer has the call.", first)
    },
];

/// The algorithm called `name`.
pub fn by_name(name: &str) -> Option<&'static Algorithm> {
    ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
}

impl Algorithm {
    const fn named(name: &'static str, about: &'static str, choose: fn(&mut Choice<'_, '_>) -> usize) -> Self {
        Algorithm { name, about, choose, weights: false, priorities: false, hashes: None, parallel: false }
    }

    const fn hashing(name: &'static str, about: &'static str, subject: Subject) -> Self {
        Algorithm { hashes: Some(subject), weights: true, ..Algorithm::named(name, about, hash) }
    }
}

/// Shares by weight, evenly mixed: exact over each period of the weights, and never a whole call off.
fn weighted(choice: &mut Choice<'_, '_>) -> usize {
    smooth::choose(choice)
}

/// One after another; weights are ignored.
fn round_robin(choice: &mut Choice<'_, '_>) -> usize {
    choice.candidates.iter_mut().for_each(|candidate| candidate.weight = 1);
    smooth::choose(choice)
}

/// The lowest priority number that has a gateway up; by weight among those.
fn priority(choice: &mut Choice<'_, '_>) -> usize {
    let best = choice.candidates.iter().map(|candidate| candidate.priority).min().unwrap_or(0);
    for candidate in choice.candidates.iter_mut().filter(|candidate| candidate.priority != best) {
        candidate.weight = 0;
    }
    smooth::choose(choice)
}

/// The fewest calls for its weight; equals take turns.
fn least_calls(choice: &mut Choice<'_, '_>) -> usize {
    let count = choice.candidates.len().max(1);
    let start = *choice.memory.turn as usize % count;
    *choice.memory.turn = choice.memory.turn.wrapping_add(1);
    let in_turn = (start..count).chain(0..start);
    in_turn
        .filter_map(|at| choice.candidates.get(at).map(|candidate| (at, candidate)))
        // (load + 1) / weight, compared without dividing.
        .reduce(|best, next| {
            let cost = |one: &Candidate, other: &Candidate| (u64::from(one.load) + 1) * u64::from(other.weight);
            if cost(next.1, best.1) < cost(best.1, next.1) { next } else { best }
        })
        .map_or(0, |(at, _)| at)
}

/// By chance, weights being the odds.
fn random(choice: &mut Choice<'_, '_>) -> usize {
    let total: u64 = choice.candidates.iter().map(|candidate| u64::from(candidate.weight)).sum();
    let mut left = choice.memory.random.below(total);
    for (at, candidate) in choice.candidates.iter().enumerate() {
        match left.checked_sub(u64::from(candidate.weight)) {
            Some(rest) => left = rest,
            None => return at,
        }
    }
    0
}

/// By weighted rendezvous hashing of its subject.
fn hash(choice: &mut Choice<'_, '_>) -> usize {
    rendezvous::choose(choice)
}

/// In the file's order.
fn first(_: &mut Choice<'_, '_>) -> usize {
    0
}

/// Random numbers from a seed: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub const fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound` (0 if that is 0). The bias is below 2^-40 for bounds below 2^24.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.next()) * u128::from(bound)) >> 64).unwrap_or(0)
    }
}

/// Each bit of the result depends on each bit of `bits`.
pub const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
