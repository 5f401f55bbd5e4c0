//! What is counted, at callers and at gateways, and the names it is reported under.
//!
//! Each shard counts for itself; the main thread adds up what the shards send it.

use proto::time::Mono;

/// Why an attempt (a call that was started, or a single request) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No response of any kind within 64·T1 (Timer B or F).
    NoResponse,
    /// Provisional responses, then no final one, even after CANCEL.
    NoFinalResponse,
    /// A final response that this workload does not expect.
    UnexpectedResponse,
    /// A 2xx without a Contact, or one that is too long to keep.
    UnusableAnswer,
    /// The route set or the Contact leads to an address that the user did not give.
    AddressNotGiven,
    /// The generator had no place for one more call; nothing was sent.
    NoPlace,
    /// The run ended first.
    Unfinished,
}

impl Failure {
    /// All of them, in the order of reports.
    pub const ALL: [Failure; 7] = [
        Failure::NoResponse,
        Failure::NoFinalResponse,
        Failure::UnexpectedResponse,
        Failure::UnusableAnswer,
        Failure::AddressNotGiven,
        Failure::NoPlace,
        Failure::Unfinished,
    ];

    /// Name in reports.
    pub const fn label(self) -> &'static str {
        match self {
            Failure::NoResponse => "no_response",
            Failure::NoFinalResponse => "no_final_response",
            Failure::UnexpectedResponse => "unexpected_response",
            Failure::UnusableAnswer => "unusable_answer",
            Failure::AddressNotGiven => "address_not_given",
            Failure::NoPlace => "no_place",
            Failure::Unfinished => "unfinished",
        }
    }

    /// What it means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Failure::NoResponse => "no response at all within 64*T1",
            Failure::NoFinalResponse => "no final response, even after CANCEL",
            Failure::UnexpectedResponse => "a final response that is not expected here",
            Failure::UnusableAnswer => "a 2xx without a usable Contact or too long to keep",
            Failure::AddressNotGiven => "the answer leads to an address that was not given",
            Failure::NoPlace => "not sent: the generator had no place for it",
            Failure::Unfinished => "the run ended first",
        }
    }
}

/// What went wrong with a call after it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// BYE without a final response within 64·T1.
    ByeNoResponse,
    /// BYE answered with a failure.
    ByeRejected,
    /// The generator had no room to keep its BYE; it was ended at once.
    NoRoom,
    /// The run ended while the call was up.
    Unfinished,
}

impl Loss {
    /// All of them, in the order of reports.
    pub const ALL: [Loss; 4] = [Loss::ByeNoResponse, Loss::ByeRejected, Loss::NoRoom, Loss::Unfinished];

    /// Name in reports.
    pub const fn label(self) -> &'static str {
        match self {
            Loss::ByeNoResponse => "bye_no_response",
            Loss::ByeRejected => "bye_rejected",
            Loss::NoRoom => "no_room",
            Loss::Unfinished => "unfinished",
        }
    }
}

/// Lowest and highest status code that is counted by itself.
const CODES: std::ops::Range<u16> = 100..700;

/// Responses by status code.
#[derive(Clone)]
pub struct Codes(Box<[u64]>);

impl Default for Codes {
    fn default() -> Self {
        Codes(vec![0; CODES.len()].into_boxed_slice())
    }
}

impl std::fmt::Debug for Codes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Codes {
    /// Counts one; codes outside of 100 to 699 do not get past the parser.
    pub fn count(&mut self, code: u16) {
        let place = code.checked_sub(CODES.start);
        if let Some(place) = place.and_then(|place| self.0.get_mut(usize::from(place))) {
            *place += 1;
        }
    }

    /// The codes that occurred.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        CODES.zip(self.0.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Adds figures of the same kind.
pub trait Merge {
    /// Adds `more` to `self`.
    fn merge(&mut self, more: &Self);
}

impl Merge for u64 {
    fn merge(&mut self, more: &u64) {
        *self += more;
    }
}

impl<const N: usize> Merge for [u64; N] {
    fn merge(&mut self, more: &Self) {
        for (sum, part) in self.iter_mut().zip(more) {
            *sum += part;
        }
    }
}

impl Merge for Codes {
    fn merge(&mut self, more: &Self) {
        for (sum, part) in self.0.iter_mut().zip(&more.0) {
            *sum += part;
        }
    }
}

macro_rules! tally {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind,)* }

        impl Merge for $name {
            fn merge(&mut self, more: &Self) {
                $(self.$field.merge(&more.$field);)*
            }
        }
    };
}

tally! {
    /// Counted by the callers of a shard.
    CallerTally {
        /// Calls (or single requests) whose time came.
        started: u64,
        /// Got a 2xx.
        answered: u64,
        /// Answered calls that ended in order (BYE and its 200, from either side).
        completed: u64,
        /// Final failures that the workload expects.
        rejected: u64,
        /// CANCELs sent.
        cancelled: u64,
        /// Registrations whose challenge was answered.
        challenged: u64,
        /// First final response of each attempt, by code.
        finals: Codes,
        /// Final responses to BYE, by code.
        bye_finals: Codes,
        /// Attempts that failed, by [`Failure`].
        failures: [u64; Failure::ALL.len()],
        /// Answered calls that were lost, by [`Loss`].
        losses: [u64; Loss::ALL.len()],
        /// Answered calls that the other side ended.
        hung_up_by_peer: u64,
        /// INVITEs sent again (Timer A).
        invites_repeated: u64,
        /// Other requests sent again (Timer E).
        requests_repeated: u64,
        /// Final responses that came again; each drew its ACK again.
        repeated_finals: u64,
        /// A second 2xx, from another branch, to a call that had one: ACK and BYE.
        second_answers: u64,
        /// A 2xx to an attempt that had ended: ACK and BYE.
        late_answers: u64,
        /// Datagrams that belong to nothing of this run.
        strays: u64,
        /// Datagrams that are not SIP.
        unreadable: u64,
        /// Messages that the driver had no room for.
        unsent: u64,
        /// ICMP errors that the sockets reported.
        network_errors: u64,
    }
}

tally! {
    /// Counted by one gateway.
    GatewayTally {
        /// New INVITEs.
        invites: u64,
        /// INVITEs that came again.
        invites_repeated: u64,
        /// 2xx sent (first time).
        answered: u64,
        /// Failures sent (first time), by code.
        rejected: Codes,
        /// INVITEs that got CANCEL in time.
        cancelled: u64,
        /// Calls that ended in order.
        completed: u64,
        /// Final responses sent again because the ACK was late.
        finals_repeated: u64,
        /// Final responses that never got an ACK.
        unacknowledged: u64,
        /// BYEs that this gateway sent and nobody answered.
        bye_no_response: u64,
        /// BYEs that this gateway sent and that were refused.
        bye_rejected: u64,
        /// BYEs and CANCELs for calls that are not ours (answered 481).
        unknown_dialogs: u64,
        /// OPTIONS answered.
        options: u64,
        /// REGISTER answered.
        registers: u64,
        /// Requests that are none of the above (answered 501).
        other_requests: u64,
        /// Datagrams thrown away by `drop`.
        dropped: u64,
        /// Datagrams thrown away in an outage.
        outage_dropped: u64,
        /// New INVITEs among them.
        outage_invites: u64,
        /// INVITEs answered 503 because no place was left.
        no_place: u64,
        /// Datagrams that are not SIP or belong to nothing.
        strays: u64,
        /// Messages that the driver had no room for.
        unsent: u64,
        /// When INVITEs were seen.
        seen: Seen,
    }
}

/// First and last sight of INVITEs at a gateway.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// First INVITE of the run.
    pub first: Option<Mono>,
    /// Latest INVITE.
    pub last: Option<Mono>,
    /// Latest new INVITE that fell into an outage.
    pub last_in_outage: Option<Mono>,
    /// First INVITE after an outage.
    pub first_after_outage: Option<Mono>,
}

impl Merge for Seen {
    fn merge(&mut self, more: &Seen) {
        let earlier = |a: Option<Mono>, b: Option<Mono>| a.into_iter().chain(b).min();
        self.first = earlier(self.first, more.first);
        self.last = self.last.max(more.last);
        self.last_in_outage = self.last_in_outage.max(more.last_in_outage);
        self.first_after_outage = earlier(self.first_after_outage, more.first_after_outage);
    }
}

impl CallerTally {
    /// Counts a failed attempt.
    pub fn fail(&mut self, why: Failure) {
        if let Some(place) = self.failures.get_mut(why as usize) {
            *place += 1;
        }
    }

    /// Counts an answered call that was lost.
    pub fn lose(&mut self, why: Loss) {
        if let Some(place) = self.losses.get_mut(why as usize) {
            *place += 1;
        }
    }

    /// Attempts that failed.
    pub fn failed(&self) -> u64 {
        self.failures.iter().sum()
    }

    /// Answered calls that were lost.
    pub fn lost(&self) -> u64 {
        self.losses.iter().sum()
    }

    /// Attempts by reason of failure, zeros included.
    pub fn failures(&self) -> impl Iterator<Item = (Failure, u64)> {
        Failure::ALL.into_iter().zip(self.failures)
    }

    /// Answered calls by reason of loss, zeros included.
    pub fn losses(&self) -> impl Iterator<Item = (Loss, u64)> {
        Loss::ALL.into_iter().zip(self.losses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_counted_under_their_own_place() {
        for (place, class) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place);
        }
        for (place, class) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place);
        }
    }

    #[test]
    fn merging_adds_every_field() {
        let mut sum = CallerTally::default();
        let mut part = CallerTally { started: 2, ..CallerTally::default() };
        part.fail(Failure::NoResponse);
        part.finals.count(486);
        sum.merge(&part);
        sum.merge(&part);
        assert_eq!((sum.started, sum.failed()), (4, 2));
        assert_eq!(sum.finals.iter().collect::<Vec<_>>(), [(486, 2)]);
    }

    #[test]
    fn sight_keeps_the_earliest_first_and_the_latest_last() {
        let seen = |first, last| Seen { first: Some(Mono(first)), last: Some(Mono(last)), ..Seen::default() };
        let mut sum = Seen::default();
        sum.merge(&seen(5, 9));
        sum.merge(&seen(3, 4));
        assert_eq!((sum.first, sum.last), (Some(Mono(3)), Some(Mono(9))));
    }
}
