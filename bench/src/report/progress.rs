//! One line a second while a run goes on.

use std::fmt::{self, Display, Formatter};

use proto::time::Micros;

use super::{latency::Timed, totals::Totals};

/// The last second.
pub struct Progress<'a> {
    /// Since the begin.
    pub elapsed: Micros,
    /// What was counted in the last interval.
    pub recent: &'a Totals,
    /// How long that interval was.
    pub interval: Micros,
}

impl Display for Progress<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let per_second = |count: u64| count as f64 * 1e6 / self.interval.0.max(1) as f64;
        let caller = &self.recent.caller;
        write!(f, "{:>6.1} s", self.elapsed.0 as f64 / 1e6)?;
        if caller.started + self.recent.active() > 0 || self.recent.gateways.is_empty() {
            write!(
                f,
                "  started {:>7.0}/s  completed {:>7.0}/s  active {:>6}  rejected {:>5}  failed {:>5}",
                per_second(caller.started),
                per_second(caller.completed),
                self.recent.active(),
                caller.rejected,
                caller.failed() + caller.lost(),
            )?;
        }
        if caller.started == 0 {
            let invites: u64 = self.recent.gateways.iter().map(|(_, g)| g.invites).sum();
            let answered: u64 = self.recent.gateways.iter().map(|(_, g)| g.answered).sum();
            if invites > 0 {
                write!(f, "  INVITE {:>7.0}/s  answered {:>7.0}/s", per_second(invites), per_second(answered))?;
            }
        }
        let times = [Timed::Answer, Timed::RoundTrip, Timed::Transit];
        if let Some((what, figures)) =
            times.into_iter().find_map(|what| Some((what, self.recent.latencies.figures(what)?)))
        {
            write!(f, "  {} p50 {:.2} p99 {:.2} ms", what.label(), figures.p50 as f64 / 1e3, figures.p99 as f64 / 1e3)?;
        }
        Ok(())
    }
}
