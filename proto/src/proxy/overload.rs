//! A new call is turned away because the shard is behind: 503 without Retry-After (RFC 3261 §21.5.4), without
//! state (§8.2.7). Whoever runs the proxy decides when; here is made sure that it is a new call, and that it
//! costs little: nothing is validated, kept or asked but whether its source may be answered.
//!
//! WHY no Retry-After: a carrier that honours it would take the whole trunk away for seconds.

use super::counters::Refused;
use super::reply::Arrival;
use super::{Outbox, Proxy};
use crate::message::{Message, Method};
use crate::policy::{Endpoint, Policy};
use crate::time::Now;
use crate::transaction::Key;

impl<P: Policy> Proxy<P> {
    /// Turns `message` away if it would begin a call. False: it does not (it belongs to a dialog, or repeats an
    /// INVITE that was taken), or it is refused by policy anyway: carry it on as ever.
    ///
    /// The ACK of this 503 is recognised by its To tag and absorbed, like that of any response without state.
    pub fn turn_away_new_call(
        &mut self,
        now: Now,
        source: &Endpoint,
        message: &Message<'_>,
        out: &mut impl Outbox,
    ) -> bool {
        if !message.is_request() || message.method() != Method::Invite || !message.to_tag().is_empty() {
            return false;
        }
        let Ok(top) = message.top_via() else {
            return false;
        };
        let key = Key::of(&self.settings.boot_secret, message, &top);
        if self.transactions.find(key).is_some()
            || self.policy.admit(message, source, now).is_some()
            || self.policy.is_urgent(message, source)
        {
            return false;
        }
        self.counters.request_received(Method::Invite);
        let arrival = Arrival { source: *source, reply_port: self.reply_port(&top, source), key };
        self.refuse(&arrival, message, Refused::Overload, out);
        true
    }
}
