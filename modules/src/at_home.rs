//! Our own domains: REGISTERs for them are carried out, requests for their users go to the contacts that those
//! registered; what is for nobody registered goes to the domain's media set. Called by [`crate::phones`].
//!
//! A user that belongs to another shard is asked for there; the request comes here again with the answer. Who is not
//! registered and whom no media set takes is looked for among the accounts: 480 if there is such a one, else 404.

use crate::authentication::question::{Query, read_answer};
use crate::authentication::{Exists, stage};
use crate::note::Note;
use crate::phones;
use crate::policy::TandemPolicy;
use crate::question::{Asked, Subject};
use crate::reason::{Reason, Step};
use crate::registrar::{Presence, Registrar, Wanted};
use crate::tables::Number;
use proto::message::{DigestCredentials, Uri, unescaped_text};
use proto::policy::{Answer, Inbound, TargetSet, Verdict};
use proto::steer;
use proto::time::{Micros, Now};
use std::ops::ControlFlow::{Break, Continue};

/// Longest wait for another shard. One that is behind for so long loses calls anyway.
const ANSWER_MAX: Micros = Micros::from_millis(500);

impl TandemPolicy {
    /// A REGISTER for the domain of that index is carried out.
    pub(crate) fn register(
        &mut self,
        index: u16,
        request: &Inbound<'_>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Verdict<Reason> {
        let to = request.message.to().ok().and_then(|to| Uri::parse(to.uri).ok());
        let to_us = to.and_then(|uri| self.tables.domains.find(&uri.host)).is_some_and(|(found, _)| found == index);
        let reason = match (&mut self.registrar, self.tables.domains.get(index).filter(|_| to_us)) {
            (Some(registrar), Some(domain)) => registrar.register((index, domain), request, targets, now),
            _ => Reason::RegisterUnknownUser,
        };
        if matches!(reason, Reason::Registered | Reason::RegistrationRefreshed | Reason::RegistrationRepeated) {
            self.note_registered(index, request, now);
        }
        reason.verdict()
    }

    /// To the contacts of the user that the Request-URI names in that domain; to `otherwise` if it has none.
    pub(crate) fn call_user(
        &mut self,
        (index, otherwise): (u16, Option<Number>),
        request: &Inbound<'_>,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<Verdict<Reason>> {
        let (presence, is_gruu) = self.find(index, &request.request_uri, answer, targets, now)?;
        if presence == Presence::Present {
            note.fork = self.forks.begin(&self.found, request.message.method(), note.phones.by_phone, targets);
            if !targets.is_empty() {
                return Continue(Verdict::Forward);
            }
        }
        match (otherwise.filter(|_| !is_gruu), presence) {
            (Some(set), _) => self.dispatch(set, request, note, targets, now),
            (None, Presence::Unknown) => self.nobody(index, request, note, targets, now),
            (None, Presence::Away | Presence::Present) => Break(Reason::UserAway.verdict()),
        }
    }

    /// Nobody of that name is registered: its account decides between 404 and 480. Without accounts, or where a RADIUS
    /// server has them, which tells of nobody without a proof, it is 404.
    fn nobody(
        &mut self,
        index: u16,
        request: &Inbound<'_>,
        note: &mut Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<Verdict<Reason>> {
        let realm = self.tables.realms.get(index).filter(|realm| realm.tells_of_users);
        let (Some(realm), Some(authentication)) = (realm, &mut self.authentication) else {
            return Break(Reason::UserUnknown.verdict());
        };
        let mut room = [0; limits::USER_BYTES_MAX];
        let user = unescaped_text(request.request_uri.user_without_params(), &mut room);
        let Some(username) = user.filter(|user| !user.is_empty()) else {
            return Break(Reason::UserUnknown.verdict());
        };
        let exists = authentication.authenticator.exists(&realm.realm, username, request.source.peer.ip(), now);
        if exists != Exists::Ask {
            return Break(presence_of(exists).verdict());
        }
        let credentials = DigestCredentials { username, realm: &realm.realm.name, ..DigestCredentials::default() };
        let query = Query { domain: &realm.realm.domain, method: request.message.method_bytes(), credentials };
        if !targets.attach(|out| query.write(out)) {
            return Break(Reason::UserUnknown.verdict());
        }
        note.phones.asked = phones::Asked::Account;
        let asked = Asked { subject: Subject::Credentials, shard: None };
        Break(asked.verdict(stage::source_wait(&self.tables)))
    }

    /// What the source of the account said ([`TandemPolicy::nobody`]).
    pub(crate) fn account_told(
        &mut self,
        index: u16,
        request: &Inbound<'_>,
        answer: Option<Answer>,
        now: Now,
    ) -> Verdict<Reason> {
        let (Some(realm), Some(authentication)) = (self.tables.realms.get(index), &mut self.authentication) else {
            return Reason::UserUnknown.verdict();
        };
        let said = match answer {
            Some(Answer::Module(number)) => read_answer(number, self.answered.of(answer)),
            _ => None,
        };
        let mut room = [0; limits::USER_BYTES_MAX];
        let username = unescaped_text(request.request_uri.user_without_params(), &mut room).unwrap_or_default();
        presence_of(authentication.authenticator.told(&realm.realm, username, said, now)).verdict()
    }

    /// Where the user of a URI is in the domain of that index, and whether the URI means one phone alone. Its bindings
    /// are in `found` then. Another shard is asked if the user is there and no answer has come yet.
    pub(crate) fn find(
        &mut self,
        index: u16,
        uri: &Uri<'_>,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<(Presence, bool)> {
        self.found.clear();
        let Some(registrar) = &self.registrar else { return Continue((Presence::Unknown, false)) };
        let (mut room, mut named) = ([0; limits::USER_BYTES_MAX], None);
        let Some(wanted) = Wanted::read(uri, registrar.gruu_secret(), &mut room, &mut named) else {
            return Continue((Presence::Unknown, false));
        };
        let slot = steer::slot_of_plain_user(&self.choice_secret, wanted.user);
        let owner = steer::shard_of_slot(slot, self.shards);
        let presence = match answer {
            _ if owner == self.shard => registrar.locate(index, &wanted, now, &mut self.found),
            Some(Answer::Module(number)) => {
                wanted.keep_wanted(registrar.gruu_secret(), self.answered.of(answer), &mut self.found);
                Presence::of_number(number).of(&self.found)
            }
            Some(_) => return Break(Reason::LocationUnanswered.verdict()),
            None => {
                targets.attach(|out| wanted.write(index, out));
                let asked = Asked { subject: Subject::Location, shard: Some(owner) };
                return Break(asked.verdict(ANSWER_MAX));
            }
        };
        Continue((presence, wanted.is_gruu()))
    }
}

/// Who is called and not registered. WHY 480 where nobody could tell: a 404 would be believed.
fn presence_of(exists: Exists) -> Reason {
    match exists {
        Exists::No => Reason::UserUnknown,
        Exists::Yes => Reason::UserAway,
        Exists::Ask | Exists::Untold => Reason::UserUntold,
    }
}

/// The registrar's part of what the policy's owner asks of it.
impl TandemPolicy {
    /// Registers phones from now on; `registrar` has what was on the disk.
    pub fn take_registrar(&mut self, registrar: Box<Registrar>) {
        self.keep_alives.install(self.tables.keep_alive, registrar.places());
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
