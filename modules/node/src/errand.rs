//! What an operator wants of all shards' authentication: a box that goes round and comes back from each.
//!
//! Made and dropped by the control lane ([`crate::control`]); a shard fills it without allocating.

use modules::TandemPolicy;
use modules::authentication::guard::Ban;
use proto::time::Now;
use std::net::IpAddr;

/// Bans of one shard that are told; of more the longest standing are not more interesting than the rest.
pub const BANS_MAX: usize = 4_096;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Who is shut out.
    Bans,
    /// Nobody from there is shut out any more, or not this user.
    Lift {
        /// From where.
        source: IpAddr,
        /// Whose proofs failed; `None`: of all.
        username: Option<Vec<u8>>,
    },
    /// Accounts have changed: nothing is remembered of them any more.
    Forget,
}

/// See the module.
#[derive(Debug)]
pub struct Errand {
    /// Which errand it belongs to.
    pub number: u64,
    /// What is wanted.
    pub wish: Wish,
    /// Who is shut out.
    pub bans: Vec<Ban>,
    /// Bans that found no room, or were lifted.
    pub count: u64,
}

impl Errand {
    /// A box for one shard.
    pub fn new(number: u64, wish: Wish) -> Self {
        let room = if wish == Wish::Bans { BANS_MAX } else { 0 };
        Errand { number, wish, bans: Vec::with_capacity(room), count: 0 }
    }

    /// Does it on a shard.
    pub fn run(&mut self, policy: &mut TandemPolicy, now: Now) {
        let Some(authenticator) = policy.authenticator() else { return };
        match &self.wish {
            Wish::Bans => {
                for ban in authenticator.guard().bans(now.mono) {
                    if self.bans.len() < self.bans.capacity() {
                        self.bans.push(ban);
                    } else {
                        self.count += 1;
                    }
                }
            }
            Wish::Lift { source, username } => {
                let lifted = authenticator.guard_mut().lift(*source, username.as_deref(), now.mono);
                self.count = u64::try_from(lifted).unwrap_or(u64::MAX);
            }
            Wish::Forget => authenticator.forget_all(),
        }
    }
}
