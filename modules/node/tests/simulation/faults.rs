//! Known bugs, planted between Tandem and its network, in its timers, or in what it hands over: each must be found.

use crate::network::SECOND;
use crate::sip::Sip;
use proto::message::Method;
use proto::time::Micros;
use proto::transaction::Timers;
use std::net::SocketAddr;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No 2xx to an INVITE goes upstream.
    LosesSuccess,
    /// A 2xx to an INVITE goes upstream twice.
    DoublesSuccess,
    /// The body of a 2xx is lost.
    LosesBody,
    /// A failure is followed by another one.
    ChangesItsMind,
    /// An answer goes to an address that nobody has.
    AnswersStranger,
    /// An answer goes to another caller.
    AnswersOtherCaller,
    /// A failed INVITE is not acknowledged.
    LosesAck,
    /// Ringing gateways are not cancelled.
    LosesCancel,
    /// A CANCEL does not wait for a provisional response.
    CancelsEarly,
    /// A gateway is tried again.
    TriesTwice,
    /// What arrives at another shard than the first is lost.
    LosesHandOver,
    /// An INVITE without any response never ends.
    NoTimerB,
    /// An INVITE that rings never ends.
    NoTimerC,
    /// A failure that nobody acknowledges never ends.
    NoTimerH,
    /// An answered request other than INVITE is never forgotten.
    NoTimerJ,
    /// An accepted INVITE is never forgotten.
    NoTimerL,
    /// Open transactions do not arrive at the process that takes over.
    LosesTransactions,
    /// Calls do not.
    LosesCalls,
    /// Branches do not.
    LosesBranches,
    /// No timer of what was taken over ever fires.
    StopsTimers,
    /// What is taken over goes to the wrong shards.
    MistakesSlots,
    /// The numbers of sets and gateways are taken for those of the new process.
    TakesNumbersAsTheyAre,
    /// The old process goes on beside the new one.
    LivesOn,
}

impl Fault {
    pub(crate) const ALL: [Fault; 23] = [
        Fault::LosesSuccess,
        Fault::DoublesSuccess,
        Fault::LosesBody,
        Fault::ChangesItsMind,
        Fault::AnswersStranger,
        Fault::AnswersOtherCaller,
        Fault::LosesAck,
        Fault::LosesCancel,
        Fault::CancelsEarly,
        Fault::TriesTwice,
        Fault::LosesHandOver,
        Fault::NoTimerB,
        Fault::NoTimerC,
        Fault::NoTimerH,
        Fault::NoTimerJ,
        Fault::NoTimerL,
        Fault::LosesTransactions,
        Fault::LosesCalls,
        Fault::LosesBranches,
        Fault::StopsTimers,
        Fault::MistakesSlots,
        Fault::TakesNumbersAsTheyAre,
        Fault::LivesOn,
    ];

    /// Timers that never fire.
    pub(crate) fn break_timers(self, timers: &mut Timers) {
        let timer = match self {
            Fault::NoTimerB => &mut timers.b,
            Fault::NoTimerC => &mut timers.c,
            Fault::NoTimerH => &mut timers.h,
            Fault::NoTimerJ => &mut timers.j,
            Fault::NoTimerL => &mut timers.l,
            _ => return,
        };
        *timer = Micros(100_000 * SECOND);
    }

    /// Whether a datagram that arrives at `shard` is lost there.
    pub(crate) fn loses(self, shard: usize) -> bool {
        self == Fault::LosesHandOver && shard > 0
    }

    /// What leaves in place of what Tandem sent.
    pub(crate) fn distort(self, to: SocketAddr, sip: &Sip, bytes: Vec<u8>) -> Vec<(SocketAddr, Vec<u8>)> {
        let of_invite = !sip.is_request() && sip.method == Method::Invite && sip.is_final();
        let (success, failure) = (of_invite && sip.is_success(), of_invite && !sip.is_success());
        let is = |method| sip.is_request() && sip.method == method;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match self {
            Fault::LosesSuccess if success => vec![],
            Fault::DoublesSuccess if success => vec![(to, bytes.clone()), (to, bytes)],
            Fault::LosesBody if success => {
                let (head, _) = text.split_once("\r\n\r\n").unwrap();
                let length = format!("Content-Length: {}", sip.body.len());
                vec![(to, (head.replace(&length, "Content-Length: 0") + "\r\n\r\n").into_bytes())]
            }
            Fault::ChangesItsMind if failure => {
                let other = text.replacen(&sip.status.to_string(), "580", 1);
                vec![(to, bytes), (to, other.into_bytes())]
            }
            Fault::AnswersStranger if failure => vec![(SocketAddr::from(([192, 0, 2, 99], 5060)), bytes)],
            Fault::AnswersOtherCaller if failure => {
                let other = if to.ip().to_string() == "192.0.2.1" { 2 } else { 1 };
                vec![(SocketAddr::from(([192, 0, 2, other], 5060)), bytes)]
            }
            Fault::LosesAck if is(Method::Ack) && sip.record_routes.is_empty() => vec![],
            Fault::LosesCancel if is(Method::Cancel) => vec![],
            Fault::CancelsEarly if is(Method::Invite) => {
                let cancel = text.replacen("INVITE", "CANCEL", 1).replace("1 INVITE", "1 CANCEL");
                vec![(to, bytes), (to, cancel.into_bytes())]
            }
            Fault::TriesTwice if is(Method::Invite) => {
                let other = text.replacen(&sip.branch, "z9hG4bK-another", 1);
                vec![(to, bytes), (to, other.into_bytes())]
            }
            _ => vec![(to, bytes)],
        }
    }
}
