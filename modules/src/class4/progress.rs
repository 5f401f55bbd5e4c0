//! How far a call has come that is being set up, and how long it may stay there: post-dial delay, ringing, early media.
//!
//! Looked at when the time for it is over ([`proto::policy::Policy::overdue`]), not at each response.

use super::refusal::Why;
use super::trunks::HuntRules;
use proto::time::{Micros, Mono};
use proto::transaction::Branch;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    began: Mono,
    /// When the first 18x came, and the first one with a session description: milliseconds after the beginning.
    first_18x: u32,
    first_media: u32,
}

/// Milliseconds after the beginning at which nothing has happened.
const NOT_YET: u32 = u32::MAX;

impl Progress {
    /// The INVITE has come.
    pub(super) const fn begun(now: Mono) -> Self {
        Progress { began: now, first_18x: NOT_YET, first_media: NOT_YET }
    }

    /// When it is looked at first whether a call takes too long, after its beginning.
    pub(super) fn first_look(rules: &HuntRules) -> Micros {
        Micros(rules.post_dial.0.min(rules.ring.0).min(rules.early_media.0))
    }

    /// An 18x has come.
    pub(super) fn heard(&mut self, with_media: bool, now: Mono) {
        let after = u32::try_from(now.since(self.began).0 / 1_000).unwrap_or(NOT_YET);
        self.first_18x = self.first_18x.min(after);
        if with_media {
            self.first_media = self.first_media.min(after);
        }
    }

    /// Until when it may go on as it stands, or why not.
    pub(super) fn until(&self, rules: &HuntRules, now: Mono) -> Result<Mono, Why> {
        let at = |after: u32| self.began.after(Micros::from_millis(u64::from(after)));
        let limits = match self.first_18x {
            NOT_YET => [Some((self.began.after(rules.post_dial), Why::PostDial)), None],
            rang => {
                let media = (self.first_media != NOT_YET).then(|| at(self.first_media).after(rules.early_media));
                [Some((at(rang).after(rules.ring), Why::RangTooLong)), media.map(|end| (end, Why::EarlyMedia))]
            }
        };
        let first = limits.into_iter().flatten().min_by_key(|(end, _)| *end);
        let (end, why) = first.unwrap_or((Branch::NEVER, Why::PostDial));
        if now < end { Ok(end) } else { Err(why) }
    }
}
