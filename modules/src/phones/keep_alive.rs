//! When which account is looked at for keep-alives: spread evenly over the interval, and never later than that.
//!
//! Places of accounts are visited in the order of a Weyl sequence: place `n` has its turn at the fraction `n · φ mod 1`
//! of the interval. However many of the first places are taken, their turns lie evenly (the three-gap theorem), each
//! comes once in every interval, and nothing has to be kept for it.

use crate::registrar::{Binding, Registrar, Ticket};
use crate::tables::Tables;
use proto::message::Writer;
use proto::policy::{BySource, Target};
use proto::time::{Micros, Mono, Now};

/// See the module.
#[derive(Debug)]
pub struct Turns {
    interval: Micros,
    /// Places, a power of two.
    places: u64,
    /// Turn t is the place t · `inverse`.
    inverse: u64,
    /// When turn 0 was.
    start: Mono,
    /// Turns that were taken since then.
    taken: u64,
}

/// How finely turns are kept: work is done so often, and what is due by then at once.
const GRAIN: Micros = Micros::from_millis(20);

impl Turns {
    /// For so many places.
    pub fn new(places: u32, interval: Micros, now: Mono) -> Self {
        let places = u64::from(places.clamp(1, 1 << 30)).next_power_of_two();
        // Turn t is the place n with n · step = t: the step is odd, so that it has an inverse.
        let inverse = inverse(step(places));
        Turns { interval: Micros(interval.0.max(1)), places, inverse, start: now, taken: 0 }
    }

    /// When [`Turns::next`] has something to give again.
    pub fn deadline(&self) -> Mono {
        self.moment(self.taken).after(GRAIN)
    }

    /// The next place whose turn has come; to be called until there is none.
    pub fn next(&mut self, now: Mono) -> Option<u32> {
        if self.moment(self.taken) > now {
            return None;
        }
        let turn = self.taken % self.places;
        self.taken += 1;
        u32::try_from(turn.wrapping_mul(self.inverse) % self.places).ok()
    }

    fn moment(&self, turn: u64) -> Mono {
        // INVARIANT: places are a power of two.
        let after = (u128::from(turn) * u128::from(self.interval.0)) >> self.places.trailing_zeros();
        self.start.after(Micros(u64::try_from(after).unwrap_or(u64::MAX)))
    }
}

/// So many turns are between the places n and n + 1: the golden ratio's part of all.
fn step(places: u64) -> u64 {
    let golden = (u128::from(places) * 0x9e37_79b9_7f4a_7c15) >> 64;
    u64::try_from(golden).unwrap_or(1) | 1
}

/// The inverse of an odd number modulo 2^64 (Newton's iteration doubles the bits that are right, from 3).
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut round = 0;
    while round < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        round += 1;
    }
    inverse
}

/// What is sent, how often, and what comes of silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Two line ends instead of an OPTIONS.
    pub crlf: bool,
    /// How often each phone gets one.
    pub interval: Micros,
    /// So many unanswered ones in a row take away a binding whose phone has answered before; 0: never.
    pub misses_max: u8,
}

/// A keep-alive to be sent now.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// Under this its answer comes back.
    pub ticket: u64,
    /// Where it goes.
    pub target: Target,
    /// Two line ends, not an OPTIONS: that is wanted, or its Contact is too long to be asked by.
    pub crlf: bool,
    contact: [u8; CONTACT_BYTES_MAX],
    length: usize,
}

/// Longest Contact that an OPTIONS is written for.
const CONTACT_BYTES_MAX: usize = 256;

impl KeepAlive {
    /// Call-ID and From tag: the answer is known by its branch.
    pub const ID: &'static [u8] = b"keep-alive";

    /// Writes the OPTIONS; `via`: the Via line.
    pub fn write(&self, tables: &Tables, out: &mut Writer<'_>, via: &[u8]) {
        let contact = self.contact.get(..self.length).unwrap_or_default();
        let us = tables.given_out.get(usize::from(self.target.listener)).map_or(&[][..], |text| text);
        out.put(b"OPTIONS ");
        out.put(contact);
        out.put(b" SIP/2.0\r\n");
        out.put(via);
        out.put(b"Max-Forwards: 70\r\nFrom: <sip:keep-alive@");
        out.put(us);
        out.put(b">;tag=");
        out.put(Self::ID);
        out.put(b"\r\nTo: <");
        out.put(contact);
        out.put(b">\r\nCall-ID: ");
        out.put(Self::ID);
        out.put(b"\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n");
    }
}

/// Who has his turn now, and what he gets.
#[derive(Debug, Default)]
pub(crate) struct KeepAlives {
    rules: Option<Rules>,
    places: u32,
    /// They begin when they are first asked for.
    turns: Option<Turns>,
    /// The place whose turn it is, and the bindings of it that had theirs.
    here: Option<(u32, usize)>,
    /// Bindings that were taken away.
    gone: u64,
}

impl KeepAlives {
    /// These rules hold from now on.
    pub(crate) fn install(&mut self, rules: Option<Rules>, places: u32) {
        let interval = rules.map(|rules| rules.interval);
        if interval != self.rules.map(|rules| rules.interval) {
            self.turns = None;
        }
        (self.rules, self.places) = (rules, places);
    }

    /// When [`KeepAlives::next`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.rules.map(|_| self.turns.as_ref().map_or(Mono(0), Turns::deadline))
    }

    /// Bindings that were taken away since the start.
    pub(crate) const fn gone(&self) -> u64 {
        self.gone
    }

    /// The next keep-alive to send; to be called until there is none.
    pub(crate) fn next(&mut self, registrar: &mut Registrar, now: Now) -> Option<KeepAlive> {
        let rules = self.rules?;
        let turns = self.turns.get_or_insert_with(|| Turns::new(self.places, rules.interval, now.mono));
        loop {
            let (place, skip) = match self.here.take() {
                Some(here) => here,
                None => (turns.next(now.mono)?, 0),
            };
            let Some((binding, ticket, behind)) = registrar.behind_nat(place, skip, now) else { continue };
            let made = keep_alive(&binding, ticket, &rules);
            // WHY only OPTIONS count: nobody owes an answer to two line ends.
            let missed = if made.crlf { None } else { registrar.reminded(ticket) };
            if rules.misses_max > 0
                && missed.is_some_and(|missed| missed >= rules.misses_max)
                && registrar.forget(ticket)
            {
                self.gone += 1;
                self.here = Some((place, behind - 1));
                continue;
            }
            self.here = Some((place, behind));
            return Some(made);
        }
    }
}

fn keep_alive(binding: &Binding<'_>, ticket: Ticket, rules: &Rules) -> KeepAlive {
    let mut contact = [0; CONTACT_BYTES_MAX];
    let room = contact.get_mut(..binding.contact.len());
    let fits = room.map(|room| room.copy_from_slice(binding.contact)).is_some();
    let target = Target {
        gateway: Target::NO_GATEWAY,
        listener: u16::from(binding.listener),
        by_source: BySource::Neither,
        next_hop: binding.source,
        flow: binding.flow,
        no_response: Micros(0),
    };
    KeepAlive { ticket: ticket.0, target, crlf: rules.crlf || !fits, contact, length: binding.contact.len() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const INTERVAL: Micros = Micros::from_secs(25);

    /// Turns of the first `used` places within one interval, as fractions of it in millionths.
    fn turns(places: u32, used: u32) -> Vec<u64> {
        let mut all = Turns::new(places, INTERVAL, Mono(0));
        let mut moments = Vec::new();
        for moment in (0..INTERVAL.0).step_by(1_000).map(|moment| moment + 999) {
            while let Some(place) = all.next(Mono(moment)) {
                if place < used {
                    moments.push(moment / 25);
                }
            }
        }
        moments
    }

    #[test]
    fn everyone_has_one_turn_in_every_interval_at_the_same_time() {
        let mut all = Turns::new(1_000, INTERVAL, Mono(5));
        let mut last = std::collections::HashMap::new();
        for moment in (5..4 * INTERVAL.0).step_by(1_000) {
            while let Some(place) = all.next(Mono(moment)) {
                if let Some(before) = last.insert(place, moment) {
                    let apart = moment - before;
                    assert!(apart.abs_diff(INTERVAL.0) <= 1_000, "place {place} waited {apart}");
                }
            }
        }
        assert_eq!(last.len(), 1_024);
    }

    #[test]
    fn turns_lie_evenly_however_many_there_are() {
        for used in [10, 100, 1_000, 30_000, 65_536] {
            let moments = turns(65_536, used);
            assert_eq!(moments.len(), usize::try_from(used).unwrap());
            // In each tenth of the interval a tenth of them, give or take what three gaps allow.
            for tenth in 0..10u64 {
                let here = moments.iter().filter(|moment| **moment / 100_000 == tenth).count() as u64;
                let wanted = u64::from(used) / 10;
                assert!(here.abs_diff(wanted) <= 2 + wanted / 20, "{used}: {here} of {wanted} in tenth {tenth}");
            }
        }
    }

    #[test]
    fn who_was_late_makes_up_for_it() {
        let mut all = Turns::new(64, INTERVAL, Mono(0));
        assert_eq!(std::iter::from_fn(|| all.next(Mono(INTERVAL.0 - 1))).count(), 64);
        assert!(all.deadline() > Mono(INTERVAL.0));
    }

    #[test]
    fn inverses() {
        for odd in [1, 3, 0x9e37_79b9_7f4a_7c15, u64::MAX] {
            assert_eq!(odd.wrapping_mul(inverse(odd)), 1);
        }
    }
}
