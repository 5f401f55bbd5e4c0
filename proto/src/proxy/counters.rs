//! Counters of a proxy: every message that is dropped or refused has a typed reason, and each reason a number.

use crate::message::{Malformation, Method, RejectReason};

/// Why a message was dropped in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Drop {
    /// Could not be read as SIP, and nothing in it allows an answer.
    Malformed,
    /// A response whose top Via is not ours, or whose token does not verify.
    ResponseNotOurs,
    /// A response from an address that was not asked.
    ResponseFromElsewhere,
    /// A response to a transaction that is no longer kept.
    ResponseLate,
    /// A response repeated, absorbed by its transaction.
    ResponseRepeated,
    /// A 1xx or 2xx without a second Via.
    ResponseForNobody,
    /// An ACK that belongs to nothing.
    AckUnknown,
    /// An ACK of a final response that we sent without keeping anything.
    AckAbsorbed,
    /// A CANCEL from another address than its INVITE.
    CancelFromElsewhere,
    /// A request repeated, absorbed by its transaction.
    RequestRepeated,
    /// The rewritten message exceeds the largest that can be sent.
    TooLarge,
    /// The outbox had no room.
    NotSent,
    /// An answer to a question that nobody waits for any more.
    AnswerLate,
    /// By the policy; its own counters say why.
    Policy,
}

/// Why a request was refused by the proxy itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refused {
    /// 400, 505 and the like: the message layer's [`RejectReason`] says more.
    Invalid,
    /// 416: scheme of the Request-URI.
    Scheme,
    /// 420: Proxy-Require.
    ProxyRequire,
    /// 440: Max-Breadth used up (RFC 5393).
    MaxBreadth,
    /// 482: loop.
    Loop,
    /// 483: Max-Forwards used up.
    MaxForwards,
    /// 481: CANCEL of nothing.
    CancelUnknown,
    /// 503: no room for another transaction.
    NoRoom,
    /// 503: the shard is behind and takes no new calls.
    Overload,
    /// By the policy; its own counters say why.
    Policy,
}

const METHODS: usize = Method::COUNT;
const DROPS: usize = Drop::Policy as usize + 1;
const REFUSALS: usize = Refused::Policy as usize + 1;

/// All counters of one shard's proxy. Plain numbers: one writer, copied out when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    /// Requests received, by [`Method`].
    pub requests_received: [u64; METHODS],
    /// Requests sent, by [`Method`].
    pub requests_sent: [u64; METHODS],
    /// Responses received, by [`Method`] and class (index 1 to 6).
    pub responses_received: [[u64; 7]; METHODS],
    /// Responses sent, by [`Method`] and class (index 1 to 6), our own included.
    pub responses_sent: [[u64; 7]; METHODS],
    /// Messages dropped, by [`Drop`].
    pub dropped: [u64; DROPS],
    /// Requests refused, by [`Refused`].
    pub refused: [u64; REFUSALS],
    /// Requests found invalid, by [`RejectReason`].
    pub invalid: [u64; RejectReason::COUNT],
    /// Datagrams that are no SIP message, by [`Malformation`].
    pub malformed: [u64; Malformation::COUNT],
    /// Requests and final responses sent again by a timer.
    pub retransmissions_sent: u64,
    /// Transactions created.
    pub transactions: u64,
    /// Branches opened.
    pub branches: u64,
    /// Branches given up for want of any response.
    pub given_up: u64,
    /// 2xx to an INVITE that had been answered already, sent upstream all the same.
    pub second_answers: u64,
    /// Octets after the end of a message in a datagram, ignored (RFC 3261 §18.3); messages.
    pub trailing: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            requests_received: [0; METHODS],
            requests_sent: [0; METHODS],
            responses_received: [[0; 7]; METHODS],
            responses_sent: [[0; 7]; METHODS],
            dropped: [0; DROPS],
            refused: [0; REFUSALS],
            invalid: [0; RejectReason::COUNT],
            malformed: [0; Malformation::COUNT],
            retransmissions_sent: 0,
            transactions: 0,
            branches: 0,
            given_up: 0,
            second_answers: 0,
            trailing: 0,
        }
    }
}

impl Drop {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Drop; DROPS] = [
        Drop::Malformed,
        Drop::ResponseNotOurs,
        Drop::ResponseFromElsewhere,
        Drop::ResponseLate,
        Drop::ResponseRepeated,
        Drop::ResponseForNobody,
        Drop::AckUnknown,
        Drop::AckAbsorbed,
        Drop::CancelFromElsewhere,
        Drop::RequestRepeated,
        Drop::TooLarge,
        Drop::NotSent,
        Drop::AnswerLate,
        Drop::Policy,
    ];

    /// Its label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Drop::Malformed => "malformed",
            Drop::ResponseNotOurs => "response_not_ours",
            Drop::ResponseFromElsewhere => "response_from_elsewhere",
            Drop::ResponseLate => "response_late",
            Drop::ResponseRepeated => "response_repeated",
            Drop::ResponseForNobody => "response_for_nobody",
            Drop::AckUnknown => "ack_unknown",
            Drop::AckAbsorbed => "ack_absorbed",
            Drop::CancelFromElsewhere => "cancel_from_elsewhere",
            Drop::RequestRepeated => "request_repeated",
            Drop::TooLarge => "too_large",
            Drop::NotSent => "not_sent",
            Drop::AnswerLate => "answer_late",
            Drop::Policy => "policy",
        }
    }
}

impl Refused {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Refused; REFUSALS] = [
        Refused::Invalid,
        Refused::Scheme,
        Refused::ProxyRequire,
        Refused::MaxBreadth,
        Refused::Loop,
        Refused::MaxForwards,
        Refused::CancelUnknown,
        Refused::NoRoom,
        Refused::Overload,
        Refused::Policy,
    ];

    /// Its label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Refused::Invalid => "invalid",
            Refused::Scheme => "scheme",
            Refused::ProxyRequire => "proxy_require",
            Refused::MaxBreadth => "max_breadth",
            Refused::Loop => "loop",
            Refused::MaxForwards => "max_forwards",
            Refused::CancelUnknown => "cancel_unknown",
            Refused::NoRoom => "no_room",
            Refused::Overload => "overload",
            Refused::Policy => "policy",
        }
    }

    /// Status code that it is answered with; `None` where the reason alone does not say.
    pub const fn status(self) -> Option<u16> {
        match self {
            Refused::Scheme => Some(416),
            Refused::ProxyRequire => Some(420),
            Refused::MaxBreadth => Some(440),
            Refused::Loop => Some(482),
            Refused::MaxForwards => Some(483),
            Refused::CancelUnknown => Some(481),
            Refused::NoRoom | Refused::Overload => Some(503),
            Refused::Invalid | Refused::Policy => None,
        }
    }
}

impl Counters {
    /// Counts a dropped message.
    pub fn drop(&mut self, why: Drop) {
        bump(&mut self.dropped, why as usize);
    }

    /// Counts a refused request.
    pub fn refuse(&mut self, why: Refused) {
        bump(&mut self.refused, why as usize);
    }

    pub(super) fn request_received(&mut self, method: Method) {
        bump(&mut self.requests_received, method as usize);
    }

    pub(super) fn request_sent(&mut self, method: Method) {
        bump(&mut self.requests_sent, method as usize);
    }

    pub(super) fn response_received(&mut self, method: Method, status: u16) {
        if let Some(classes) = self.responses_received.get_mut(method as usize) {
            bump(classes, usize::from(status / 100));
        }
    }

    pub(super) fn response_sent(&mut self, method: Method, status: u16) {
        if let Some(classes) = self.responses_sent.get_mut(method as usize) {
            bump(classes, usize::from(status / 100));
        }
    }
}

/// Counts at `place`; one outside is nobody's.
pub(super) fn bump(counters: &mut [u64], place: usize) {
    if let Some(counter) = counters.get_mut(place) {
        *counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_unique_and_in_order() {
        for (place, why) in Drop::ALL.iter().enumerate() {
            assert_eq!(*why as usize, place);
            assert_eq!(Drop::ALL.iter().filter(|other| other.label() == why.label()).count(), 1);
        }
        for (place, why) in Refused::ALL.iter().enumerate() {
            assert_eq!(*why as usize, place);
            assert_eq!(Refused::ALL.iter().filter(|other| other.label() == why.label()).count(), 1);
        }
    }
}
