//! The stages of requests outside any dialog where phones register, in their order. Called by [`crate::route`].

use super::flow::{self, Sender, Whither};
use super::{Asked, identity};
use crate::authentication::demand;
use crate::calls::life;
use crate::note::Note;
use crate::policy::TandemPolicy;
use crate::reason::{Reason, Step};
use crate::registrar::Bindings;
use crate::tables::canonical;
use crate::{routes, serving, sources};
use proto::message::{Message, Method, Uri};
use proto::policy::{Answer, BySource, Inbound, ResponseContext, Target, TargetSet, Verdict};
use proto::time::{Micros, Now};
use std::net::SocketAddr;
use std::ops::ControlFlow::{Break, Continue};

impl TandemPolicy {
    /// A request outside any dialog, where phones register.
    pub(crate) fn phone_stages(
        &mut self,
        request: &Inbound<'_>,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<Verdict<Reason>> {
        let sender = flow::sender(&self.tables, request.message, request.source.peer.ip());
        serving::answer_options(&self.tables, self.serving, request)?;
        self.vouch(sender, request, note, answer, targets, now)?;
        if request.message.method() == Method::Register
            && let Some(index) = sender.domain()
            && !self.passes_on(index)
        {
            return Break(self.register(index, request, targets, now));
        }
        serving::take_in(self.serving, &self.calls, request)?;
        life::note_request(request.message, None, note);
        if let Sender::Phone(domain) = sender {
            note.phones.by_phone = true;
            if !self.edit_as_phone(domain, request, note, targets) {
                return Break(Reason::ForeignFrom.verdict());
            }
        }
        match flow::whither(&self.tables, sender, request) {
            Whither::Routes => {
                let group = self.group_of(request, note, now)?;
                let set = routes::choose(&self.tables, group, request)?;
                self.dispatch(set, request, note, targets, now)
            }
            Whither::Set(set) => self.dispatch(set, request, note, targets, now),
            Whither::Registrar(set) => {
                note.phones.registers = true;
                self.dispatch(set, request, note, targets, now)
            }
            Whither::Path(address) => along_path(address, self.tables.listener_towards(address.ip()), targets),
            Whither::User { domain, .. } if note.phones.asked == Asked::Account => {
                Break(self.account_told(domain, request, answer, now))
            }
            Whither::User { domain, otherwise } => {
                let answer = answer.filter(|_| note.phones.asked == Asked::Callee);
                note.phones.asked = Asked::Callee;
                self.call_user((domain, otherwise), request, note, answer, targets, now)
            }
            Whither::Nowhere(reason) => Break(reason.verdict()),
        }
    }

    /// Whether registrars behind us serve that domain.
    fn passes_on(&self, domain: u16) -> bool {
        self.tables.domains.get(domain).is_some_and(|domain| domain.registrar.is_some())
    }

    /// What holds for each branch of a phone's request. False: others cannot be shown who sends it.
    fn edit_as_phone(&self, domain: u16, request: &Inbound<'_>, note: &Note, targets: &mut TargetSet) -> bool {
        let domain = self.tables.domains.get(domain).filter(|_| note.is_proven());
        let proven = domain.map(|domain| (&*domain.name, domain.realm.as_bytes()));
        targets.for_every(true, |edits| identity::edit(request.message, proven, note.phones.foreign, edits))
    }

    /// What holds for each target of a phone's request within a dialog.
    pub(crate) fn edit_in_dialog(&self, request: &Inbound<'_>, targets: &mut TargetSet) {
        let (message, source) = (request.message, request.source.peer.ip());
        if let Sender::Phone(domain) = flow::sender(&self.tables, message, source) {
            let asked = demand::asks(&self.tables, domain, source);
            targets.for_every(false, |edits| identity::edit_in_dialog(message, asked, edits));
        }
    }

    /// A sender that no source group has is let in by its proof, or, where a registrar behind us asks for that, by a
    /// binding at its very address.
    fn vouch(
        &mut self,
        sender: Sender,
        request: &Inbound<'_>,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<()> {
        let source = request.source.peer;
        if note.is_proven()
            || note.phones.vouched
            || sender == Sender::Media
            || self.tables.sources.group(source.ip()).is_some()
        {
            return Continue(());
        }
        let Some(domain) = sender.domain().filter(|index| self.passes_on(*index)) else {
            return Break(
                sources::refuse(&self.tables, &mut self.unknown, request.message, source.ip(), now).verdict(),
            );
        };
        if request.message.method() == Method::Register {
            return Continue(());
        }
        let answer = answer.filter(|_| note.phones.asked == Asked::Caller);
        let from = request.message.from().ok().and_then(|from| Uri::parse(from.uri).ok());
        if let Some(uri) = from {
            note.phones.asked = Asked::Caller;
            self.find(domain, &uri, answer, targets, now)?;
            note.phones.vouched = Bindings::new(&self.found).any(|binding| binding.source == canonical(source));
        }
        if note.phones.vouched {
            return Continue(());
        }
        Break(sources::refuse(&self.tables, &mut self.unknown, request.message, source.ip(), now).verdict())
    }

    /// A registrar behind us has granted a REGISTER that was passed on: its phone is known here as well, reached without
    /// asking the registrar and recognised by where it is.
    pub(crate) fn keep_granted(&mut self, response: &Message<'_>, context: &ResponseContext<'_>, now: Now) {
        let tables = &self.tables;
        let domain = flow::domain_of(tables, response.to().ok())
            .and_then(|index| Some((index, tables.domains.get(index)?)))
            .filter(|(_, domain)| domain.registrar.is_some());
        let (Some(registrar), Some(domain)) = (&mut self.registrar, domain) else { return };
        if let Err(reason) = registrar.keep_granted(domain, context.request, &context.caller, response, now) {
            self.reasons.count(reason);
        }
    }

    /// Before further targets of a request from a phone (point 4).
    pub(crate) fn edit_again(&self, request: &Inbound<'_>, note: &Note, targets: &mut TargetSet) {
        if note.phones.by_phone
            && let Some(domain) = flow::domain_of(&self.tables, request.message.from().ok())
        {
            _ = self.edit_as_phone(domain, request, note, targets);
        }
    }
}

/// Along our Path: to where the phone really is.
fn along_path(address: SocketAddr, listener: u16, targets: &mut TargetSet) -> Step<Verdict<Reason>> {
    let target = Target {
        gateway: Target::NO_GATEWAY,
        listener,
        by_source: BySource::Callee,
        next_hop: address,
        flow: 0,
        no_response: Micros(0),
    };
    if targets.push(target) { Continue(Verdict::Forward) } else { Break(Reason::RequestUriTooLong.verdict()) }
}
