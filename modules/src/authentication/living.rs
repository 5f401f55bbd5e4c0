//! Until when an authenticated binding lives behind an address: what keeps a whole source from being shut out.
//!
//! All shards share it. Each place is one atomic number, written and read without waiting for anybody. Addresses
//! share places by a keyed hash; two that share one can only spare each other from a ban, never bring one about.

use proto::hash::{KeyedHash, Purpose, Secret};
use proto::time::{Micros, Mono};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Places; a power of two.
///
/// WHY: 256 KiB for the process. With 10,000 offices behind an address each, one attacker in seven is spared.
const PLACES: usize = 65_536;

/// See the module.
#[derive(Debug)]
pub struct Living {
    /// In seconds of the monotonic clock.
    until: Box<[AtomicU32]>,
    secret: Secret,
}

impl Living {
    /// Nobody lives anywhere.
    pub fn new(secret: Secret) -> Self {
        Living { until: std::iter::repeat_with(AtomicU32::default).take(PLACES).collect(), secret }
    }

    /// A binding that is good for `lifetime` lives behind `source`.
    pub fn note(&self, source: IpAddr, lifetime: Micros, now: Mono) {
        let until = seconds(now.after(lifetime)).saturating_add(1);
        if let Some(place) = self.place(source)
            && place.load(Relaxed) < until
        {
            place.fetch_max(until, Relaxed);
        }
    }

    /// Whether one lives there.
    pub fn is_alive(&self, source: IpAddr, now: Mono) -> bool {
        self.place(source).is_some_and(|place| place.load(Relaxed) > seconds(now))
    }

    fn place(&self, source: IpAddr) -> Option<&AtomicU32> {
        let hash = KeyedHash::new(&self.secret, Purpose::Source).address(source).finish_low();
        self.until.get(hash as usize & (PLACES - 1))
    }
}

fn seconds(moment: Mono) -> u32 {
    u32::try_from(moment.0 / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_as_long_as_the_longest_binding() {
        let living = Living::new(Secret([1; 16]));
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let at = |second: u64| Mono(second * 1_000_000);
        assert!(!living.is_alive(here, at(0)));
        living.note(here, Micros::from_secs(60), at(0));
        living.note(here, Micros::from_secs(10), at(1));
        assert!(living.is_alive(here, at(60)) && !living.is_alive(here, at(61)));
        assert!(!living.is_alive(there, at(0)));
    }
}
