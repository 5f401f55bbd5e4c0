//! Retransmission over UDP as RFC 3261 has it: T1, doubling, and when to give up.
//!
//! Without it an overload test lies: real callers repeat what is not answered.

use proto::time::{Micros, Mono};

/// RFC 3261 §17 base values.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Round-trip estimate: the first interval.
    pub t1: Micros,
    /// Longest interval for non-INVITE requests and INVITE responses.
    pub t2: Micros,
}

impl Default for Timing {
    fn default() -> Self {
        Timing { t1: Micros::from_millis(500), t2: Micros::from_secs(4) }
    }
}

/// What is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// An INVITE: Timer A, doubles without a cap (§17.1.1.2).
    Invite,
    /// Any other request: Timer E, doubles up to T2 (§17.1.2.2).
    Request,
    /// A final response to an INVITE: Timer G and the 2xx of §13.3.1.4, doubles up to T2.
    FinalResponse,
}

/// Where the repetition of one message stands.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    what: Repeated,
    interval: Micros,
    give_up: Mono,
}

impl BackOff {
    /// Starts when the message is sent for the first time. Gives up after 64·T1 (Timers B, F, H).
    pub fn start(what: Repeated, timing: Timing, now: Mono) -> Self {
        BackOff { what, interval: timing.t1, give_up: now.after(timing.t1.times(64)) }
    }

    /// When to look again: the next repetition or the end, whichever comes first.
    pub fn next(&self, now: Mono) -> Mono {
        now.after(self.interval).min(self.give_up)
    }

    /// At the moment named by [`BackOff::next`]: repeat, or give up?
    pub fn fire(&mut self, timing: Timing, now: Mono) -> Verdict {
        if now >= self.give_up {
            return Verdict::GiveUp;
        }
        let doubled = self.interval.times(2);
        self.interval = match self.what {
            Repeated::Invite => doubled,
            Repeated::Request | Repeated::FinalResponse => doubled.min(timing.t2),
        };
        Verdict::Repeat
    }

    /// A provisional response came to a non-INVITE request: from now on every T2 (§17.1.2.2).
    pub fn slow_down(&mut self, timing: Timing) {
        self.interval = timing.t2;
    }
}

/// What a fired timer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send again.
    Repeat,
    /// 64·T1 are over.
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sends(what: Repeated) -> (Vec<u64>, u64) {
        let timing = Timing::default();
        let mut now = Mono(0);
        let mut back_off = BackOff::start(what, timing, now);
        let mut at = vec![0];
        loop {
            now = back_off.next(now);
            match back_off.fire(timing, now) {
                Verdict::Repeat => at.push(now.0 / 1000),
                Verdict::GiveUp => return (at, now.0 / 1000),
            }
        }
    }

    #[test]
    fn an_invite_is_sent_seven_times_in_32_seconds() {
        let (at, end) = sends(Repeated::Invite);
        assert_eq!(at, [0, 500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(end, 32_000);
    }

    #[test]
    fn other_messages_are_sent_eleven_times() {
        for what in [Repeated::Request, Repeated::FinalResponse] {
            let (at, end) = sends(what);
            assert_eq!(at.len(), 11);
            assert_eq!(at[..5], [0, 500, 1500, 3500, 7500]);
            assert_eq!(at[5], 11_500);
            assert_eq!(end, 32_000);
        }
    }
}
