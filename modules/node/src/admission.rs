//! Whether a shard takes new calls: the one place where overload is judged.
//!
//! A shard that cannot keep up lets datagrams wait. Their wait is bounded by turning new calls away, not
//! by losing what is in progress: past its end, every message of a call that was begun costs twice. So the
//! age of each new INVITE is looked at before anything of it is read, and `Proxy::turn_away_new_call`
//! does what is decided here. Called by `app.rs`.
//!
//! Up to `wait` nobody is refused. Beyond it, a short crowd is let pass (a burst, a core that was taken away
//! for a moment); one that lasts is not, and what has waited `wait_max` never is. Who was refused lately is
//! not patient again.

use limits::overload::{ALERT_MICROS, PATIENCE_MICROS};
use proto::time::{Micros, Mono};

/// How long datagrams may wait. Both far below the 500 ms after which a caller repeats itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// From here on new calls are refused, if it lasts.
    pub wait: Micros,
    /// From here on at once.
    pub wait_max: Micros,
}

impl Default for Waits {
    fn default() -> Self {
        Waits { wait: Micros(limits::overload::WAIT_MICROS), wait_max: Micros(limits::overload::WAIT_MAX_MICROS) }
    }
}

/// The judge of one shard.
#[derive(Debug)]
pub struct Admission {
    /// `None`: nobody is refused, whatever waits.
    waits: Option<Waits>,
    /// Since when everything has waited longer than `wait`.
    behind_since: Option<Mono>,
    alert_until: Mono,
}

impl Admission {
    /// A judge; `None`: that refuses nobody.
    pub const fn new(waits: Option<Waits>) -> Self {
        Admission { waits, behind_since: None, alert_until: Mono(0) }
    }

    /// Whether a new call that arrived at `arrived` is to be turned away `now`.
    pub fn refuses(&mut self, now: Mono, arrived: Mono) -> bool {
        let Some(waits) = self.waits else {
            return false;
        };
        let waited = now.0.saturating_sub(arrived.0);
        if waited < waits.wait.0 {
            self.behind_since = None;
            return false;
        }
        let since = *self.behind_since.get_or_insert(now);
        let lasting = now < self.alert_until || now.0.saturating_sub(since.0) >= PATIENCE_MICROS;
        if !lasting && waited < waits.wait_max.0 {
            return false;
        }
        self.alert_until = now.after(Micros(ALERT_MICROS));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Waits = Waits { wait: Micros(20_000), wait_max: Micros(50_000) };
    const START: u64 = 1_000_000;

    /// Whether each of some calls is refused that are looked at every 10 ms, having waited so many ms.
    fn refused(judge: &mut Admission, from: u64, waited: &[u64]) -> Vec<bool> {
        let moments = (0..).map(|place| Mono(START + from + place * 10_000));
        waited.iter().zip(moments).map(|(ms, now)| judge.refuses(now, Mono(now.0 - ms * 1_000))).collect()
    }

    #[test]
    fn a_short_crowd_passes() {
        let mut judge = Admission::new(Some(WAITS));
        let crowd = [0, 5, 19, 30, 45, 49, 40, 30, 20, 10, 0];
        assert_eq!(refused(&mut judge, 0, &crowd), [false; 11]);
        assert_eq!(refused(&mut judge, 500_000, &crowd), [false; 11], "and the next one");
    }

    #[test]
    fn one_that_lasts_does_not_and_leaves_no_patience_behind() {
        let mut judge = Admission::new(Some(WAITS));
        let mut lasting = vec![25; 12];
        let verdicts = refused(&mut judge, 0, &lasting);
        assert_eq!(verdicts.iter().position(|refused| *refused), Some(10), "after 100 ms");
        lasting.push(5);
        assert_eq!(refused(&mut judge, 200_000, &[5, 25, 5, 25, 19]), [false, true, false, true, false]);
        assert_eq!(refused(&mut judge, 2_000_000, &[25, 25]), [false; 2], "a second later it is forgotten");
    }

    #[test]
    fn nothing_that_waited_too_long_is_taken() {
        let mut judge = Admission::new(Some(WAITS));
        assert_eq!(refused(&mut judge, 0, &[50, 19, 20, 300]), [true, false, true, true]);
    }

    #[test]
    fn off_takes_everything() {
        assert_eq!(refused(&mut Admission::new(None), 0, &[300, 900]), [false; 2]);
        assert!(!Admission::new(Some(WAITS)).refuses(Mono(5), Mono(9)), "from the future: taken");
    }
}
