//! The stage of our own domains: REGISTERs for them are carried out, requests for their users go to the contacts that
//! those registered; what is for nobody registered goes to the domain's media set.
//!
//! A user that belongs to another shard is asked for there; the request comes here again with the answer.

use crate::calls::life;
use crate::note::Note;
use crate::policy::TandemPolicy;
use crate::question::{Asked, Subject};
use crate::reason::{Reason, Step};
use crate::registrar::{Presence, Registrar, Wanted};
use crate::tables::Domain;
use proto::message::Method;
use proto::policy::{Answer, Inbound, TargetSet, Verdict};
use proto::steer;
use proto::time::{Micros, Now};
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

/// Longest wait for another shard. One that is behind for so long loses calls anyway.
const ANSWER_MAX: Micros = Micros::from_millis(500);

impl TandemPolicy {
    /// The stage. Goes on with what is for no domain of ours.
    pub(crate) fn at_home(
        &mut self,
        request: &Inbound<'_>,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<()> {
        if self.registrar.is_none() {
            return Continue(());
        }
        let tables = Arc::clone(&self.tables);
        let Some((index, domain)) = tables.domains.find(&request.request_uri.host) else { return Continue(()) };
        let user = !request.request_uri.user_without_params().is_empty();
        match request.message.method() {
            Method::Register if !user => Break(self.register((index, domain), request, targets, now)),
            Method::Ack | Method::Cancel => Continue(()),
            _ if user => self.call_user((index, domain), request, note, answer, targets, now),
            _ => Continue(()),
        }
    }

    fn register(
        &mut self,
        domain: (u16, &Domain),
        request: &Inbound<'_>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Verdict<Reason> {
        let to = request.message.to().ok().and_then(|to| proto::message::Uri::parse(to.uri).ok());
        let to_us = to.and_then(|uri| self.tables.domains.find(&uri.host)).is_some_and(|(index, _)| index == domain.0);
        let reason = match &mut self.registrar {
            Some(registrar) if to_us => registrar.register(domain, request, targets, now),
            _ => Reason::RegisterUnknownUser,
        };
        if matches!(reason, Reason::Registered | Reason::RegistrationRefreshed | Reason::RegistrationRepeated) {
            self.note_registered(domain.0, request, now);
        }
        reason.verdict()
    }

    fn call_user(
        &mut self,
        (index, domain): (u16, &Domain),
        request: &Inbound<'_>,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<()> {
        let Some(registrar) = &self.registrar else { return Continue(()) };
        let (mut room, mut named) = ([0; limits::USER_BYTES_MAX], None);
        let wanted = Wanted::read(&request.request_uri, registrar.gruu_secret(), &mut room, &mut named);
        let Some(wanted) = wanted else { return Break(Reason::UserUnknown.verdict()) };
        let slot = steer::slot_of_plain_user(&self.choice_secret, wanted.user);
        let owner = steer::shard_of_slot(slot, self.shards);
        let presence = if owner == self.shard {
            let mut found = std::mem::take(&mut self.found);
            found.clear();
            let presence = registrar.locate(index, &wanted, now, &mut found);
            self.found = found;
            presence
        } else if let Some(answer) = answer {
            self.found.clear();
            let bytes = self.answered.of(Some(answer));
            wanted.keep_wanted(registrar.gruu_secret(), bytes, &mut self.found);
            match answer {
                Answer::Module(number) => Presence::of_number(number).of(&self.found),
                _ => return Break(Reason::LocationUnanswered.verdict()),
            }
        } else {
            targets.attach(|out| wanted.write(index, out));
            let asked = Asked { subject: Subject::Location, shard: Some(owner) };
            return Break(asked.verdict(ANSWER_MAX));
        };
        self.fork_or_media(presence, wanted.is_gruu(), domain, request, note, targets, now)
    }

    #[allow(clippy::too_many_arguments, reason = "a request with all that was found out about it")]
    fn fork_or_media(
        &mut self,
        presence: Presence,
        is_gruu: bool,
        domain: &Domain,
        request: &Inbound<'_>,
        note: &mut Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<()> {
        if presence == Presence::Present {
            let by_source = !self.tables.is_gateway_host(request.source.peer.ip());
            note.fork = self.forks.begin(&self.found, request.message.method(), by_source, targets);
            if !targets.is_empty() {
                life::note_request(request.message, None, note);
                return Break(Verdict::Forward);
            }
        }
        // WHY not from a gateway: it asked for a phone, and would get its own request back.
        let media = domain.media.filter(|_| !is_gruu && !self.tables.is_gateway_host(request.source.peer.ip()));
        if let Some(set) = media {
            life::note_request(request.message, None, note);
            let (Continue(verdict) | Break(verdict)) = self.dispatch(set, request, note, targets, now);
            return Break(verdict);
        }
        Break(match presence {
            Presence::Unknown => Reason::UserUnknown.verdict(),
            Presence::Away | Presence::Present => Reason::UserAway.verdict(),
        })
    }
}

/// The registrar's part of what the policy's owner asks of it.
impl TandemPolicy {
    /// Registers phones from now on; `registrar` has what was on the disk.
    pub fn take_registrar(&mut self, registrar: Box<Registrar>) {
        self.registrar = Some(registrar);
    }

    /// What the registrar holds; `None` where there are no domains.
    pub fn registrations(&self) -> Option<crate::registrar::Figures> {
        self.registrar.as_ref().map(|registrar| registrar.figures())
    }

    /// The registrar, where there are domains.
    pub fn registrar(&mut self) -> Option<&mut Registrar> {
        self.registrar.as_deref_mut()
    }
}
