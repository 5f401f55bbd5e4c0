//! What the socket drivers share: sends that wait, sends that failed, and errors that the network
//! reported.
//!
//! A failed send says little: the pending error of a dead gateway surfaces on the next send to a
//! healthy one. So the error queue is asked who is meant, and the send is repeated.

use crate::frame::{Egress, NetworkError, NetworkErrorKind};
use crate::stats::ShardStats;
use engine_sys::send_slots::{SendSlots, SlotId};
use engine_sys::{errno, error_queue};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

/// What to do about a send that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Try it again now: the error was somebody else's.
    Repeat,
    /// Try it again in the next exchange: the buffer is full.
    Later,
    /// Give it up; `own`: its destination is at fault.
    GiveUp {
        /// No report names another destination, so the error is this one's.
        own: bool,
    },
}

impl Failure {
    /// `code` is the `errno`, `tries` counts earlier failures of this send, `reports` how many entries
    /// the error queue held just now.
    pub(super) fn judge(code: i32, tries: u8, reports: usize) -> Self {
        if code == errno::EAGAIN || code == errno::ENOBUFS {
            return if tries < FULL_TRIES_MAX { Failure::Later } else { Failure::GiveUp { own: false } };
        }
        // A UDP send is never refused by its own call. And an error may be read from the queue a moment
        // before it becomes pending, so one failure with an empty queue proves nothing yet.
        let own = code != errno::ECONNREFUSED && reports == 0 && tries >= OWN_AFTER_TRIES;
        if own || tries >= PENDING_TRIES_MAX { Failure::GiveUp { own } } else { Failure::Repeat }
    }
}

/// Committed sends, in order.
pub(super) struct SendQueue {
    ids: Vec<SlotId>,
    done: usize,
    /// How many met a full buffer in the last exchange.
    blocked: usize,
}

impl SendQueue {
    /// Room for `capacity` sends.
    pub(super) fn new(capacity: usize) -> Self {
        SendQueue { ids: Vec::with_capacity(capacity), done: 0, blocked: 0 }
    }

    /// Queues what was written into the reserved slot. On a `wildcard` socket each send names its
    /// source address.
    pub(super) fn commit(&mut self, slots: &mut SendSlots, egress: &Egress, wildcard: bool, length: usize) {
        let source = egress.local.filter(|ip| wildcard && !ip.is_unspecified());
        self.ids.extend(slots.commit(egress.listener, egress.peer, source, length));
    }

    /// Empties the queue: all of it is with the kernel.
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.done = 0;
        self.blocked = 0;
    }

    /// Puts a send back that met a full buffer.
    pub(super) fn again(&mut self, id: SlotId) {
        self.ids.push(id);
        self.blocked += 1;
    }

    /// True when a send waits for room in the socket's buffer.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked > 0
    }

    /// What is still to be sent.
    pub(super) fn waiting(&self) -> &[SlotId] {
        self.ids.get(self.done..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    /// The first `count` were accepted by the kernel.
    pub(super) fn sent(&mut self, count: usize, slots: &mut SendSlots) {
        let from = self.done;
        self.done += count;
        for id in self.ids.get(from..self.done).unwrap_or_default() {
            slots.release(*id);
        }
    }

    /// The first one is given up.
    pub(super) fn give_up(&mut self, slots: &mut SendSlots, stats: &ShardStats) {
        if let Some(id) = self.waiting().first() {
            slots.release(*id);
            self.done += 1;
            stats.send_failed.add(1);
        }
    }

    /// Forgets what is done.
    pub(super) fn settle(&mut self) {
        self.ids.drain(..self.done);
        self.done = 0;
    }
}

/// Errors to be told to the application.
pub(super) struct Reports(VecDeque<NetworkError>);

impl Reports {
    pub(super) fn new() -> Self {
        Reports(VecDeque::with_capacity(REPORTS_MAX))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<NetworkError> {
        self.0.pop_front()
    }

    /// Empties a socket's error queue; returns how many entries it held.
    pub(super) fn drain(&mut self, socket: BorrowedFd<'_>, listener: usize, stats: &ShardStats) -> usize {
        let mut found = 0;
        // WHY bounded: the kernel's queue is, but it holds more than one turn should read.
        while found < DRAIN_MAX
            && let Some(error) = error_queue::next(socket)
        {
            found += 1;
            self.push(listener, error.destination, error.errno, stats);
        }
        found
    }

    /// Adds one of a send from `local` that the kernel refused.
    pub(super) fn push_own(
        &mut self,
        listener: usize,
        local: SocketAddr,
        peer: SocketAddr,
        code: i32,
        stats: &ShardStats,
    ) {
        // WHY looked at: EINVAL and ENETUNREACH come of a bad route as well, and that is the destination's.
        let may_be_ours = matches!(code, errno::EINVAL | errno::EADDRNOTAVAIL | errno::ENETUNREACH | errno::ENETDOWN);
        let kind = if may_be_ours && is_away(local.ip()) {
            NetworkErrorKind::SourceAway
        } else {
            NetworkErrorKind::from_errno(code)
        };
        self.add(listener, peer, kind, stats);
    }

    /// Adds one, unless the same already waits. What finds no room is counted and forgotten: a
    /// destination that stays dead will be reported again.
    pub(super) fn push(&mut self, listener: usize, peer: SocketAddr, code: i32, stats: &ShardStats) {
        self.add(listener, peer, NetworkErrorKind::from_errno(code), stats);
    }

    fn add(&mut self, listener: usize, peer: SocketAddr, kind: NetworkErrorKind, stats: &ShardStats) {
        stats.network_errors.add(1);
        let error = NetworkError { listener: u16::try_from(listener).unwrap_or(u16::MAX), peer, kind };
        if self.0.contains(&error) {
            return;
        }
        if self.0.len() < REPORTS_MAX {
            self.0.push_back(error);
        } else {
            stats.network_errors_untold.add(1);
        }
    }
}

/// Whether an address of a listener is not on this host. A wildcard always is.
fn is_away(address: IpAddr) -> bool {
    std::net::UdpSocket::bind((address, 0)).is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}

/// Different errors that wait to be told.
const REPORTS_MAX: usize = 256;
/// Entries of an error queue that are read in one go.
const DRAIN_MAX: usize = 4_096;
/// Exchanges in which a send finds the socket's buffer full before it is given up.
const FULL_TRIES_MAX: u8 = 64;
/// Failures after which an error that no report explains is the send's own.
const OWN_AFTER_TRIES: u8 = 2;
/// Pending errors of others that one send may meet before it is given up.
const PENDING_TRIES_MAX: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_from_an_address_that_is_away_says_nothing_of_its_destination() {
        let (stats, peer) = (ShardStats::default(), SocketAddr::from(([192, 0, 2, 1], 5060)));
        let kind = |local: [u8; 4], code| {
            let mut reports = Reports::new();
            reports.push_own(0, SocketAddr::from((local, 5060)), peer, code, &stats);
            reports.pop().map(|error| (error.peer, error.kind))
        };
        let away = [203, 0, 113, 77];
        for code in [errno::EINVAL, errno::EADDRNOTAVAIL, errno::ENETUNREACH] {
            assert_eq!(kind(away, code), Some((peer, NetworkErrorKind::SourceAway)));
        }
        assert_eq!(kind([127, 0, 0, 1], errno::ENETUNREACH), Some((peer, NetworkErrorKind::NetUnreachable)));
        assert_eq!(kind([0, 0, 0, 0], errno::ENETUNREACH), Some((peer, NetworkErrorKind::NetUnreachable)));
        assert_eq!(kind(away, errno::EPERM), Some((peer, NetworkErrorKind::Other(errno::EPERM))));
    }

    #[test]
    fn a_send_is_repeated_for_others_errors_and_given_up_for_its_own() {
        let refused = errno::ECONNREFUSED;
        assert_eq!(Failure::judge(refused, 0, 1), Failure::Repeat);
        assert_eq!(Failure::judge(refused, 2, 0), Failure::Repeat, "another shard's report");
        assert_eq!(Failure::judge(refused, 8, 0), Failure::GiveUp { own: false });
        assert_eq!(Failure::judge(errno::ENETUNREACH, 1, 0), Failure::Repeat);
        assert_eq!(Failure::judge(errno::ENETUNREACH, 2, 0), Failure::GiveUp { own: true });
        assert_eq!(Failure::judge(errno::EHOSTUNREACH, 2, 1), Failure::Repeat, "another host's");
    }

    #[test]
    fn a_full_buffer_is_waited_for_and_is_nobodys_fault() {
        assert_eq!(Failure::judge(errno::EAGAIN, 0, 0), Failure::Later);
        assert_eq!(Failure::judge(errno::ENOBUFS, 64, 0), Failure::GiveUp { own: false });
    }

    #[test]
    fn an_error_that_waits_already_is_told_once() {
        let (mut reports, stats) = (Reports::new(), ShardStats::default());
        for round in 0..3u16 {
            for port in 0..300 {
                reports.push(0, SocketAddr::from(([192, 0, 2, 1], port)), errno::ECONNREFUSED, &stats);
            }
            assert_eq!(reports.0.len(), REPORTS_MAX, "{round}");
        }
        assert_eq!((stats.network_errors.get(), stats.network_errors_untold.get()), (900, 132));
        assert_eq!(reports.pop().map(|error| error.peer.port()), Some(0));
    }
}
