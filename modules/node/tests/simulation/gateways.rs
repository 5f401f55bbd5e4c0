//! The gateways: small honest user agent servers (RFC 3261 §13.3, §17.2), each with a character.

use crate::network::{Event, MS, Network, SECOND};
use crate::repeat::{Repeat, T2};
use crate::sip::{Request, Sip, respond, respond_with};
use proto::message::Method;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a gateway does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Character {
    /// Rings, mostly, and answers.
    Answers,
    /// Says nothing for longer than Tandem waits, then answers.
    Slow,
    /// Refuses with this code, some after ringing.
    Refuses(u16),
    /// Rings until it is told to stop.
    Rings,
    /// Says 100 and nothing more.
    Tries,
    /// Any of the above, for each call anew.
    Moody,
    /// Never says anything.
    Dead,
}

/// What a timer of a gateway is for; of the INVITE with this branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GatewayTimer {
    /// Send this provisional response.
    Provisional(String, u16),
    /// Send a reliable 183 (RFC 3262).
    Reliable(String),
    /// Send this final response.
    Final(String, u16),
    RepeatFinal(String),
    HangUp(String),
    RepeatBye(String),
}

/// A gateway.
pub(crate) struct Gateway {
    number: usize,
    pub(crate) address: SocketAddr,
    tandem: SocketAddr,
    character: Character,
    /// When it is switched off: from and until.
    pub(crate) off: Option<(u64, u64)>,
    /// Its host says so when it does not run (ICMP); else there is silence.
    pub(crate) refuses: bool,
    invites: BTreeMap<String, Invite>,
}

struct Invite {
    request: Sip,
    to_tag: String,
    provisional: Option<Vec<u8>>,
    finally: Option<(u16, Repeat)>,
    acknowledged: bool,
    bye: Option<Repeat>,
    ended: bool,
}

impl Gateway {
    pub(crate) fn new(number: usize, address: SocketAddr, tandem: SocketAddr, character: Character) -> Self {
        Gateway { number, address, tandem, character, off: None, refuses: false, invites: BTreeMap::new() }
    }

    pub(crate) fn is_off(&self, now: u64) -> bool {
        self.character == Character::Dead || self.off.is_some_and(|(from, until)| (from..until).contains(&now))
    }

    /// From now on it works.
    pub(crate) fn repair(&mut self) {
        self.off = None;
        if self.character == Character::Dead {
            self.character = Character::Answers;
        }
    }

    pub(crate) fn on_message(&mut self, sip: &Sip, net: &mut Network) {
        if self.is_off(net.now) {
            return;
        }
        match (sip.is_request(), sip.method) {
            (true, Method::Invite) => self.on_invite(sip, net),
            (true, Method::Ack) => self.on_ack(sip, net),
            (true, Method::Cancel) => self.on_cancel(sip, net),
            (true, Method::Bye) => self.on_bye(sip, net),
            (true, _) => self.reply(sip, 200, net),
            (false, Method::Bye) if sip.is_final() => {
                let of = |invite: &&mut Invite| invite.to_tag == sip.from_tag;
                if let Some(bye) = self.invites.values_mut().find(of).and_then(|invite| invite.bye.as_mut()) {
                    bye.stop();
                }
            }
            _ => {}
        }
    }

    pub(crate) fn on_timer(&mut self, timer: GatewayTimer, net: &mut Network) {
        let event = Event::Gateway(self.number, timer.clone());
        match timer {
            GatewayTimer::Provisional(branch, status) => self.ring(&branch, status, "", net),
            GatewayTimer::Reliable(branch) => self.ring(&branch, 183, "Require: 100rel\r\nRSeq: 1\r\n", net),
            GatewayTimer::Final(branch, status) => self.end(&branch, status, net),
            GatewayTimer::RepeatFinal(branch) => {
                let Some(invite) = self.invites.get_mut(&branch) else { return };
                let given_up = invite.finally.as_mut().is_some_and(|(_, repeat)| repeat.tick(net, event));
                // §13.3.1.4: a 2xx that nobody acknowledges ends its call.
                let opened = invite.request.to_tag.is_empty();
                if given_up && opened && invite.finally.as_ref().is_some_and(|(status, _)| *status < 300) {
                    self.hang_up(&branch, net);
                }
            }
            GatewayTimer::HangUp(branch) => self.hang_up(&branch, net),
            GatewayTimer::RepeatBye(branch) => {
                if let Some(bye) = self.invites.get_mut(&branch).and_then(|invite| invite.bye.as_mut()) {
                    bye.tick(net, event);
                }
            }
        }
    }

    fn on_invite(&mut self, sip: &Sip, net: &mut Network) {
        if let Some(invite) = self.invites.get(&sip.branch) {
            match (&invite.finally, &invite.provisional) {
                (Some((_, repeat)), _) if !invite.acknowledged => repeat.again(net),
                (None, Some(bytes)) => net.send(self.address, self.tandem, bytes),
                _ => {}
            }
            return;
        }
        let again = !sip.to_tag.is_empty();
        let invite = Invite {
            request: sip.clone(),
            to_tag: if again { sip.to_tag.clone() } else { format!("gw{}x{}", self.number, self.invites.len()) },
            provisional: None,
            finally: None,
            acknowledged: false,
            bye: None,
            ended: false,
        };
        self.invites.insert(sip.branch.clone(), invite);
        if again {
            // In a dialog: answered soon, with or without a 100 before.
            let delay = net.rng.u64(0..400 * MS);
            return net.after(delay, Event::Gateway(self.number, GatewayTimer::Final(sip.branch.clone(), 200)));
        }
        self.plan(&sip.branch, net);
    }

    /// Draws what will be said to a new INVITE.
    fn plan(&self, branch: &str, net: &mut Network) {
        let moods = [
            Character::Answers,
            Character::Answers,
            Character::Slow,
            Character::Refuses(503),
            Character::Refuses(486),
            Character::Refuses(404),
            Character::Refuses(603),
            Character::Rings,
            Character::Tries,
            Character::Dead,
        ];
        let mood =
            if self.character == Character::Moody { moods[net.rng.usize(..moods.len())] } else { self.character };
        let first = if mood == Character::Slow { net.rng.u64(2 * SECOND..6 * SECOND) } else { net.rng.u64(0..20 * MS) };
        let rings_at = first + net.rng.u64(10 * MS..2 * SECOND);
        let ends_at = rings_at + net.rng.u64(0..6 * SECOND);
        let (tries, rings, reliable) = (net.rng.f64() < 0.8, net.rng.f64() < 0.8, net.rng.f64() < 0.25);
        let mut at = |delay, timer| net.after(delay, Event::Gateway(self.number, timer));
        let provisional = |status| GatewayTimer::Provisional(branch.to_owned(), status);
        if mood == Character::Dead {
            return;
        }
        if tries || mood == Character::Tries {
            at(first, provisional(100));
        }
        match mood {
            Character::Tries => {}
            Character::Rings => at(rings_at, provisional(180)),
            Character::Refuses(status) => {
                if !rings {
                    at(rings_at, provisional(183));
                }
                at(if rings { first } else { ends_at }, GatewayTimer::Final(branch.to_owned(), status));
            }
            _ => {
                if reliable {
                    at(rings_at, GatewayTimer::Reliable(branch.to_owned()));
                } else if rings {
                    at(rings_at, provisional(180));
                }
                at(ends_at, GatewayTimer::Final(branch.to_owned(), 200));
            }
        }
    }

    fn ring(&mut self, branch: &str, status: u16, lines: &str, net: &mut Network) {
        let off = self.is_off(net.now);
        let Some(invite) = self.invites.get_mut(branch).filter(|invite| invite.finally.is_none() && !off) else {
            return;
        };
        let bytes = respond_with(&invite.request, status, &invite.to_tag, self.address, lines, "");
        net.send(self.address, self.tandem, &bytes);
        invite.provisional = Some(bytes);
    }

    fn end(&mut self, branch: &str, status: u16, net: &mut Network) {
        let off = self.is_off(net.now);
        let Some(invite) = self.invites.get_mut(branch).filter(|invite| invite.finally.is_none() && !off) else {
            return;
        };
        let body = if status < 300 { "v=0\r\ns=answer\r\n" } else { "" };
        let bytes = respond(&invite.request, status, &invite.to_tag, self.address, body);
        let event = Event::Gateway(self.number, GatewayTimer::RepeatFinal(branch.to_owned()));
        invite.finally = Some((status, Repeat::start(net, (self.address, self.tandem), bytes, T2, event)));
    }

    fn on_ack(&mut self, sip: &Sip, net: &mut Network) {
        let (call_id, to_tag) = (&sip.call_id, &sip.to_tag);
        let of = |invite: &Invite| {
            invite.request.call_id == *call_id && invite.to_tag == *to_tag && invite.request.sequence == sip.sequence
        };
        let Some((branch, invite)) = self.invites.iter_mut().find(|(_, invite)| of(invite)) else { return };
        let Some((status, repeat)) = &mut invite.finally else { return };
        repeat.stop();
        let first = !std::mem::replace(&mut invite.acknowledged, true);
        if first && *status < 300 && invite.request.to_tag.is_empty() {
            let event = Event::Gateway(self.number, GatewayTimer::HangUp(branch.clone()));
            let delay = net.rng.u64(100 * MS..8 * SECOND);
            net.after(delay, event);
        }
    }

    fn on_cancel(&mut self, sip: &Sip, net: &mut Network) {
        let pending = self.invites.get(&sip.branch).map(|invite| invite.finally.is_none());
        self.reply(sip, if pending.is_some() { 200 } else { 481 }, net);
        if pending == Some(true) {
            // Some have answered already when they hear of it (§9.2), or do not care.
            let status = if net.rng.f64() < 0.2 { 200 } else { 487 };
            self.end(&sip.branch, status, net);
        }
    }

    fn on_bye(&mut self, sip: &Sip, net: &mut Network) {
        let (call_id, to_tag) = (&sip.call_id, &sip.to_tag);
        let of = |invite: &&mut Invite| invite.request.call_id == *call_id && invite.to_tag == *to_tag;
        let mut status = 481;
        for invite in self.invites.values_mut().filter(of) {
            status = 200;
            invite.ended = true;
            if let Some((_, repeat)) = &mut invite.finally {
                repeat.stop();
            }
        }
        self.reply(sip, status, net);
    }

    fn hang_up(&mut self, branch: &str, net: &mut Network) {
        let (number, address, off) = (self.number, self.address, self.is_off(net.now));
        let Some(invite) = self.invites.get_mut(branch).filter(|invite| !invite.ended && invite.bye.is_none() && !off)
        else {
            return;
        };
        let bytes = Request {
            method: "BYE",
            request_uri: &invite.request.contact,
            sent_by: address,
            branch: &format!("z9hG4bK-gateway-{number}-{}", invite.to_tag),
            routes: &invite.request.record_routes,
            from: &format!("{};tag={}", invite.request.to, invite.to_tag),
            to: &invite.request.from,
            call_id: &invite.request.call_id,
            sequence: 1,
            body: "",
        }
        .write();
        let event = Event::Gateway(number, GatewayTimer::RepeatBye(branch.to_owned()));
        invite.bye = Some(Repeat::start(net, (address, self.tandem), bytes, T2, event));
    }

    fn reply(&self, sip: &Sip, status: u16, net: &mut Network) {
        net.send(self.address, self.tandem, &respond(sip, status, "own", self.address, ""));
    }
}
