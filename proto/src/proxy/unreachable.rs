//! RFC 3261 §16.9: the transport says that a peer cannot be reached.

use super::{Outbox, Proxy};
use crate::policy::{Outcome, Policy};
use crate::time::Now;
use crate::transaction::{Branch, ClientMachine, client_invite, client_non_invite};
use core::net::SocketAddr;

/// Branches failed per event; the rest follow with the next event or by their timers. Bounds the work of one turn.
const FAILED_AT_ONCE_MAX: usize = 256;

impl<P: Policy> Proxy<P> {
    /// `peer` cannot be reached: every branch that waits for its first word from it fails now.
    ///
    /// WHY only those: an ICMP error can be forged by anybody who guesses an address and a port; a branch
    /// that has been answered is proof that the peer lives.
    pub fn on_unreachable(&mut self, now: Now, peer: SocketAddr, out: &mut impl Outbox) {
        let mut failed = [u32::MAX; FAILED_AT_ONCE_MAX];
        let to_peer = self.transactions.silent_branches().filter(|(_, branch)| branch.target.next_hop == peer);
        for (place, (index, _)) in failed.iter_mut().zip(to_peer) {
            *place = index;
        }
        for index in failed.into_iter().take_while(|&index| index != u32::MAX) {
            // WHY again: what became of the ones before may have changed this one.
            if self.transactions.branch(index).is_some_and(|branch| branch.target.next_hop == peer && branch.silent()) {
                self.fail_branch(now, index, out);
            }
        }
    }

    fn fail_branch(&mut self, now: Now, index: u32, out: &mut impl Outbox) {
        let Some(branch) = self.transactions.branch_mut(index) else {
            return;
        };
        let transaction = branch.transaction;
        branch.machine = match branch.machine {
            ClientMachine::Invite(state) => {
                ClientMachine::Invite(client_invite::step(state, client_invite::Event::TransportError).0)
            }
            ClientMachine::NonInvite(state) => {
                ClientMachine::NonInvite(client_non_invite::step(state, client_non_invite::Event::TransportError).0)
            }
        };
        branch.retransmit_at = Branch::NEVER;
        self.end_branch(now, index, Outcome::Unreachable, out);
        if self
            .transactions
            .branch(index)
            .is_some_and(|branch| branch.transaction == transaction && branch.terminated())
        {
            self.transactions.remove_branch(index, out);
            self.transactions.settle(transaction, out);
        }
    }
}
