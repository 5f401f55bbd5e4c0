//! REGISTER with credentials (RFC 3261 §10.2, §22): a challenge is answered once; where nonces are used again,
//! the last challenge of a line is answered before it is asked.

use proto::message::{HeaderName, Message};

use super::{Caller, call::Phase};
use crate::{
    back_off::{BackOff, Repeated},
    digest::{self, Asked, Challenge},
    identity::{Key, Leg},
    message::requests::{Request, digits},
    report::Book,
    wire::Wire,
};

/// What became of a 401.
pub(super) enum Challenged {
    /// The request is out again, with credentials.
    Answered,
    /// This challenge had been answered before; it came again.
    Before,
    /// The credentials were refused, or the challenge is none that we can answer.
    Refused,
}

impl<A: Copy> Caller<A> {
    /// Gives a registration that starts the credentials of a challenge that its line knows.
    pub(super) fn authorize_first(&mut self, key: Key) {
        if self.settings.account.as_ref().is_some_and(|account| account.nonce_reused) {
            self.park_credentials(key, Leg::Single);
        }
    }

    /// A 401 to a registration.
    pub(super) fn on_challenge<W: Wire<Alarm = A>>(
        &mut self,
        wire: &mut W,
        book: &mut Book,
        key: Key,
        leg: Leg,
        response: &Message<'_>,
    ) -> Challenged {
        let (now, timing) = (wire.now(), self.settings.timing);
        let Some(call) = self.calls.get_mut(key) else {
            return Challenged::Refused;
        };
        if call.phase != Phase::Calling || leg == Leg::Credentials {
            return Challenged::Refused;
        }
        if call.challenged {
            return Challenged::Before;
        }
        let read = |field: &proto::message::Field| Challenge::read(field.value.of(response.bytes()));
        let Some(challenge) = response.all(HeaderName::WwwAuthenticate).find_map(read) else {
            return Challenged::Refused;
        };
        call.challenged = true;
        call.back_off = BackOff::start(Repeated::Request, timing, now);
        if let Some(parked) = call.parked.take() {
            self.parking.leave(parked);
        }
        if let Some(line) = self.calls.get(key).map(|call| call.line).and_then(|line| self.lines.get_mut(line)) {
            line.challenge = Some((challenge, 0));
        }
        if !self.park_credentials(key, Leg::Credentials) {
            return Challenged::Refused;
        }
        book.caller.challenged += 1;
        self.send(wire, book, key, Request::Register);
        let next = self.calls.get(key).map(|call| call.back_off.next(now));
        self.rearm(wire, key, next);
        Challenged::Answered
    }

    /// Writes the REGISTER with credentials and keeps it for this registration. False: there is no challenge
    /// to answer, or no room.
    fn park_credentials(&mut self, key: Key, leg: Leg) -> bool {
        let (Some(call), Some(account)) = (self.calls.get_mut(key), &self.settings.account) else {
            return false;
        };
        let Some(line) = self.lines.get_mut(call.line) else {
            return false;
        };
        let Some((challenge, used)) = &mut line.challenge else {
            return false;
        };
        *used = used.saturating_add(1);
        let prefix = &self.settings.registered.prefix;
        let user = account
            .user
            .clone()
            .unwrap_or_else(|| format!("{prefix}{}", String::from_utf8_lossy(&digits(call.number))));
        let asked =
            Asked { method: "REGISTER", uri: line.requests.register_uri(), user: &user, password: &account.password };
        let credentials = digest::credentials(challenge, &asked, *used, self.random.u64(..));
        let particulars = call.particulars(key);
        let requests = &line.requests;
        call.parked = self.parking.park(|out| requests.write_register(leg, &particulars, &credentials, out)).ok();
        call.parked.is_some()
    }
}
