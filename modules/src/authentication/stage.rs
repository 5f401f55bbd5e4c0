//! The stage of authentication: who sends a request outside any dialog, proven. Called by [`crate::route`] first.
//!
//! ```text
//! REGISTER: on the user's shard.   examine -> (source of the account -> examine again)
//! others: on the call's shard.     ask the user's shard -> (source -> ask the user's shard again)
//! ```

use super::challenge::Asker;
use super::demand::{self, Demand};
use super::realms::DomainRealm;
use super::{Asked, Authenticator, Decision, Figures, Home, owner, proof_uri};
use crate::authentication::question::Query;
use crate::note::Note;
use crate::policy::TandemPolicy;
use crate::question::{self, Subject};
use crate::reason::{Reason, Step};
use crate::registrar::Registrar;
use crate::tables::Tables;
use proto::hash::Secret;
use proto::message::{Message, Uri, unescaped_text};
use proto::policy::{Answer, Inbound, TargetSet, Verdict};
use proto::steer;
use proto::time::{Micros, Now};
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;
use tuning::ForeignFrom;

/// What a policy has where a domain has accounts.
#[derive(Debug)]
pub struct Authentication {
    pub(crate) authenticator: Authenticator,
    slot_secret: Secret,
    shard: u16,
    shards: u16,
}

/// How far a request has come in proving itself; kept with its transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proving {
    /// Nothing was asked yet.
    #[default]
    Fresh,
    /// The user's shard examines it.
    AtOwner,
    /// The source of the account was asked.
    AtSource,
    /// The user's shard examines it again, with what the source said.
    AtOwnerAgain,
    /// It is whom it says to be.
    Proven,
}

/// Longest wait for another shard. One that is behind for so long loses requests anyway.
const OWNER_MAX: Micros = Micros::from_millis(500);

/// How much longer a source's desk may take than its deadline, before nobody waits any more.
const GRACE: Micros = Micros::from_millis(500);

impl Authentication {
    /// For one shard of so many. `slot_secret`: by which users belong to shards.
    pub fn new(authenticator: Authenticator, shard: u16, shards: u16, slot_secret: Secret) -> Self {
        Authentication { authenticator, slot_secret, shard, shards }
    }

    /// The shard of the user that is asked for a proof; `None`: this one.
    fn owner_elsewhere(&self, name: &[u8]) -> Option<u16> {
        let user = name.split(|&octet| octet == b'@').next().unwrap_or(name);
        let owner = steer::shard_of_slot(steer::slot_of_plain_user(&self.slot_secret, user), self.shards);
        (owner != self.shard).then_some(owner)
    }
}

/// A request under examination.
struct Case<'c> {
    tables: &'c Tables,
    realm: &'c DomainRealm,
    demand: Demand,
    asked: Asked<'c>,
    home: Home<'c>,
}

impl TandemPolicy {
    /// Who registers or calls is asked for proofs from now on.
    pub fn take_authentication(&mut self, mut authentication: Box<Authentication>) {
        authentication.authenticator.guard_mut().obey(self.tables.realms.rules);
        self.authentication = Some(authentication);
    }

    /// Who proves what, where anybody has to.
    pub fn authenticator(&mut self) -> Option<&mut Authenticator> {
        self.authentication.as_mut().map(|authentication| &mut authentication.authenticator)
    }

    /// What came of proofs, where anybody has to prove something.
    pub fn proofs(&self) -> Option<Figures> {
        self.authentication.as_ref().map(|authentication| authentication.authenticator.figures())
    }

    /// The stage. Gives back the answer if it is not for this stage.
    pub(crate) fn authenticate(
        &mut self,
        request: &Inbound<'_>,
        note: &mut Note,
        answer: Option<Answer>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<Option<Answer>> {
        let Some(authentication) = &mut self.authentication else { return Continue(answer) };
        authentication.authenticator.begin();
        if note.proving == Proving::Proven {
            return Continue(answer);
        }
        let tables = Arc::clone(&self.tables);
        let Some(demand) = demand::of(&tables, request.message, request.source.peer.ip()) else {
            return Continue(answer);
        };
        let Some(realm) = tables.realms.get(demand.domain) else { return Continue(answer) };
        let asked = Asked {
            credentials: request.message.digest_credentials(demand.asker.credentials(), &realm.realm.name),
            method: request.message.method_bytes(),
            source: request.source.peer,
            call_id: request.message.call_id(),
            // INVARIANT: the CSeq of a request that came this far can be read.
            cseq: request.message.cseq().map_or(0, |cseq| cseq.number),
        };
        // WHY before anything is known of the user: nothing of the answer may depend on that.
        if note.proving == Proving::Fresh
            && let Some(credentials) = asked.credentials
            && !proof_uri::is_for(&tables, realm.proof_uri, credentials.uri, request)
        {
            return Break(Reason::ProofUriForeign.verdict());
        }
        let (registrar, domain) = (self.registrar.as_deref(), demand.domain);
        let home = || is_at_home(registrar, domain, &asked, now);
        let case = Case { tables: &tables, realm, demand, asked, home: &home };
        case.go_on(authentication, note, (answer, self.answered.of(answer)), targets, now)?;
        note.proving = Proving::Proven;
        case.is_account(request.message, note)?;
        Continue(None)
    }

    /// A proven REGISTER was granted: its address is not shut out as a whole while the binding may live.
    pub(crate) fn note_registered(&mut self, domain: u16, request: &Inbound<'_>, now: Now) {
        let (Some(authentication), Some(domain)) = (&mut self.authentication, self.tables.domains.get(domain)) else {
            return;
        };
        // WHY the longest: what was granted stands in the response, and a binding may only be shorter.
        let lifetime = Micros::from_secs(u64::from(domain.expires.max));
        let source = request.source.peer;
        authentication.authenticator.registered(source, lifetime, now.mono);
    }

    /// Examines a proof for another shard: the decision as a number.
    pub(crate) fn examine_for_another(&mut self, question: &[u8], now: Now) -> u64 {
        let (Some(authentication), Some(examined)) = (&mut self.authentication, owner::Examined::read(question)) else {
            return 0;
        };
        let realm = self.tables.realms.named(examined.domain);
        let registrar = self.registrar.as_deref();
        let domain = self.tables.domains.named(examined.domain).map(|(index, _)| index);
        let home = || domain.is_some_and(|domain| is_at_home(registrar, domain, &examined.asked, now));
        realm.map_or(0, |realm| examined.examine(&mut authentication.authenticator, &realm.realm, &home, now))
    }
}

impl Case<'_> {
    /// The next step. Continues when the sender is proven.
    fn go_on(
        &self,
        authentication: &mut Authentication,
        note: &mut Note,
        (answer, bytes): (Option<Answer>, &[u8]),
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<()> {
        let name = self.asked.credentials.map_or(&b""[..], |credentials| credentials.username);
        // Without a name there is nothing to know about a user.
        let elsewhere =
            authentication.owner_elsewhere(name).filter(|_| self.demand.asker == Asker::Proxy && !name.is_empty());
        let authenticator = &mut authentication.authenticator;
        let decision = match (note.proving, answer) {
            (Proving::Fresh, _) => match elsewhere {
                None => authenticator.examine(&self.realm.realm, &self.asked, self.home, now),
                Some(shard) => return self.ask_owner(shard, Proving::AtOwner, None, note, targets),
            },
            (Proving::AtSource, Some(Answer::Module(number))) => match (owner::said(number, bytes), elsewhere) {
                (None, _) => return Break(Reason::AccountsUnanswered.verdict()),
                (Some(said), None) => authenticator.examine_again(&self.realm.realm, &self.asked, said, self.home, now),
                (Some(_), Some(shard)) => {
                    return self.ask_owner(shard, Proving::AtOwnerAgain, Some((number, bytes)), note, targets);
                }
            },
            (Proving::AtOwner | Proving::AtOwnerAgain, Some(Answer::Module(number))) => {
                match owner::decision_of(number) {
                    Some(decision) => decision,
                    None => return Break(Reason::AccountsUnanswered.verdict()),
                }
            }
            _ => return Break(Reason::AccountsUnanswered.verdict()),
        };
        self.carry_out(decision, authenticator, note, targets, now)
    }

    fn carry_out(
        &self,
        decision: Decision,
        authenticator: &mut Authenticator,
        note: &mut Note,
        targets: &mut TargetSet,
        now: Now,
    ) -> Step<()> {
        let by = |server: Reason, proxy: Reason| if self.demand.asker == Asker::Server { server } else { proxy };
        let (reason, stale) = match decision {
            Decision::Proven { .. } => return Continue(()),
            Decision::Ask if note.proving == Proving::AtOwnerAgain => {
                return Break(Reason::AccountsUnanswered.verdict());
            }
            Decision::Ask => return self.ask_source(note, targets),
            Decision::OverBudget => return Break(Reason::AccountsOverBudget.verdict()),
            Decision::ShutOut => return Break(Reason::ShutOut.verdict()),
            Decision::Challenge { stale: false } => (by(Reason::RegisterUnproven, Reason::SenderUnproven), false),
            Decision::Challenge { stale: true } => (by(Reason::RegisterStale, Reason::SenderStale), true),
            Decision::Failed => (by(Reason::RegisterProofFailed, Reason::SenderProofFailed), false),
        };
        let source = self.asked.source.ip();
        targets
            .attach(|out| authenticator.write_challenge(out, self.demand.asker, &self.realm.realm, source, stale, now));
        Break(reason.verdict())
    }

    fn ask_source(&self, note: &mut Note, targets: &mut TargetSet) -> Step<()> {
        note.proving = Proving::AtSource;
        let credentials = self.asked.credentials.unwrap_or_default();
        let query = Query { domain: &self.realm.realm.domain, method: self.asked.method, credentials };
        ask(None, source_wait(self.tables), targets.attach(|out| query.write(out)))
    }

    fn ask_owner(
        &self,
        shard: u16,
        next: Proving,
        said: Option<(u64, &[u8])>,
        note: &mut Note,
        targets: &mut TargetSet,
    ) -> Step<()> {
        note.proving = next;
        ask(Some(shard), OWNER_MAX, targets.attach(|out| owner::write(&self.realm.realm, &self.asked, said, out)))
    }

    /// What is registered, or whom From names, is the account that has proven itself (RFC 3261 §10.3 items 3 and 4).
    fn is_account(&self, message: &Message<'_>, note: &mut Note) -> Step<()> {
        let (party, reason) = match self.demand.asker {
            Asker::Server => (message.to(), Reason::RegisterOfAnother),
            Asker::Proxy => (message.from(), Reason::ForeignFrom),
        };
        let name = self.asked.credentials.map_or(&b""[..], |credentials| credentials.username);
        let mut room = [0; limits::USER_BYTES_MAX];
        let uri = party.ok().and_then(|party| Uri::parse(party.uri).ok());
        let user = uri.and_then(|uri| unescaped_text(uri.user_without_params(), &mut room));
        let rest = user.and_then(|user| name.strip_prefix(user));
        let is_same = rest.is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'@'));
        match (self.demand.asker, self.realm.foreign_from) {
            _ if is_same => Continue(()),
            (Asker::Proxy, ForeignFrom::Assert) => Continue(()),
            (Asker::Proxy, ForeignFrom::Overwrite) => {
                note.phones.foreign = true;
                Continue(())
            }
            _ => Break(reason.verdict()),
        }
    }
}

/// Whether who is asked has a binding where the request comes from: failures of others do not touch it there.
fn is_at_home(registrar: Option<&Registrar>, domain: u16, asked: &Asked<'_>, now: Now) -> bool {
    let name = asked.credentials.map_or(&b""[..], |credentials| credentials.username);
    let user = name.split(|&octet| octet == b'@').next().unwrap_or(name);
    registrar.is_some_and(|registrar| registrar.is_bound_at(domain, user, asked.source, now))
}

/// Longest wait for the source of an account.
pub(crate) fn source_wait(tables: &Tables) -> Micros {
    Micros(tables.realms.deadline.0.saturating_add(GRACE.0))
}

fn ask(shard: Option<u16>, deadline: Micros, attached: bool) -> Step<()> {
    let question = question::Asked { subject: Subject::Credentials, shard };
    let verdict: Verdict<Reason> = question.verdict(deadline);
    Break(if attached { verdict } else { Reason::AccountsUnanswered.verdict() })
}
