//! A REGISTER is carried out (RFC 3261 §10.3, RFC 3327 §5.3, RFC 5626 §6).
//!
//! All of it or nothing: everything is read and decided first, then the new record takes the place of the old one.
//! The same REGISTER again (Call-ID and CSeq of what it registered) is answered again and changes nothing, so no
//! transaction is kept for it.

use super::contact::{self, Contacts, Wanted};
use super::record::{self, Account, Binding, Bindings};
use super::table::AccountId;
use super::{Registrar, answer};
use crate::reason::Reason;
use crate::tables::Domain;
use limits::registrar::{AGENT_BYTES_MAX, GRACE_SECONDS};
use proto::message::{HeaderName, Message, Uri, unescaped_text};
use proto::policy::{Endpoint, Inbound, TargetSet};
use proto::time::Now;

/// A REGISTER with what it means, read.
pub(super) struct Request<'m> {
    pub(super) message: &'m Message<'m>,
    pub(super) call_id: &'m [u8],
    pub(super) cseq: u32,
    pub(super) agent: &'m [u8],
    pub(super) gruu: bool,
    pub(super) direct: bool,
    pub(super) second: u32,
}

/// Bindings of the account as they will be, in their order; `true`: touched by this request.
pub(super) type Next<'r> = [Option<(Binding<'r>, bool)>; limits::CONTACTS_MAX];

impl Registrar {
    /// Answers a REGISTER for a domain of ours; the response's lines are attached, and wait for the journal.
    pub fn register(
        &mut self,
        domain: (u16, &Domain),
        request: &Inbound<'_>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Reason {
        match self.carry_out(domain, request, targets, now) {
            Ok(reason) => {
                if let Some(batch) = self.journal.pending() {
                    targets.hold_until(batch);
                }
                reason
            }
            Err(reason) => {
                targets.attach(|out| answer::write_refusal(reason, &domain.1.expires, request.message, out));
                reason
            }
        }
    }

    fn carry_out(
        &mut self,
        (index, domain): (u16, &Domain),
        inbound: &Inbound<'_>,
        targets: &mut TargetSet,
        now: Now,
    ) -> Result<Reason, Reason> {
        let message = inbound.message;
        if message.tokens(HeaderName::Require).any(|tag| !answer::SUPPORTED.contains(&tag)) {
            return Err(Reason::ExtensionUnsupported);
        }
        let mut room = [0; limits::USER_BYTES_MAX];
        let user = user_of(message, &mut room)?;
        let supports = |option: &[u8]| message.tokens(HeaderName::Supported).any(|tag| tag == option);
        let may_outbound = contact::is_outbound(message);
        let mut list = [None; limits::CONTACTS_MAX];
        let contacts = contact::read(message, &domain.expires, may_outbound, &mut list)?;
        let wants_flow =
            || message.name_addrs(HeaderName::Contact).flatten().any(|value| value.param(b"reg-id").is_some());
        let outbound = may_outbound && wants_flow() && supports(b"outbound");
        if !may_outbound && wants_flow() && supports(b"outbound") {
            return Err(Reason::FirstHopLacksOutbound);
        }
        let mut path = std::mem::take(&mut self.path);
        let mut date = std::mem::take(&mut self.date);
        let read = contact::path(message, &mut path);
        let agent = message.value(HeaderName::UserAgent).unwrap_or_default();
        let request = Request {
            message,
            call_id: message.call_id(),
            // INVARIANT: the CSeq of a request that came this far can be read.
            cseq: message.cseq().map_or(0, |cseq| cseq.number),
            agent: agent.get(..AGENT_BYTES_MAX).unwrap_or(agent),
            gruu: domain.gruu && supports(b"gruu"),
            direct: contact::is_direct(message),
            second: self.clock.second(now),
        };
        let number = self.names.number(index);
        let outcome = read.and_then(|()| match contacts {
            Contacts::None => Ok((Reason::RegistrationsTold, self.table.find(number, user))),
            Contacts::All => self.remove_all(number, user, &request).map(|reason| (reason, None)),
            Contacts::Listed => self.change((number, domain), user, &request, &list, &path, inbound),
        });
        let answered = outcome.and_then(|(reason, account)| {
            let (gruu, second, date) = (request.gruu, request.second, date.at(now.wall));
            let answer = answer::Answer { domain, outbound, gruu, second, user, date };
            let bindings = self.bindings_of(account);
            let keys = &self.gruu_secret;
            let fits = targets.attach(|out| answer::write(&answer, keys, bindings, message, &path, out));
            if fits { Ok(reason) } else { Err(Reason::ContactsTooMany) }
        });
        (self.path, self.date) = (path, date);
        answered
    }

    /// §10.3 item 6: `*`.
    fn remove_all(&mut self, domain: u16, user: &[u8], request: &Request<'_>) -> Result<Reason, Reason> {
        let Some(id) = self.table.find(domain, user) else { return Ok(Reason::RegistrationRepeated) };
        let account = Account::read(self.table.record(id)).ok_or(Reason::RegistrarFull)?;
        for binding in account.bindings() {
            if binding.call_id == request.call_id && binding.cseq >= request.cseq {
                return Err(Reason::RegisterOutOfOrder);
            }
        }
        self.may_change()?;
        let count = usize::from(account.count);
        let gone = Account { count: 0, bindings: b"", ..account };
        self.journal.record(self.names.name(domain), &gone);
        self.table.remove(id);
        self.count_bindings(count, 0);
        Ok(Reason::RegistrationRemoved)
    }

    /// §10.3 item 7. The account too, if it still has bindings.
    fn change(
        &mut self,
        (number, domain): (u16, &Domain),
        user: &[u8],
        request: &Request<'_>,
        wanted: &contact::List<'_>,
        path: &[u8],
        inbound: &Inbound<'_>,
    ) -> Result<(Reason, Option<AccountId>), Reason> {
        let jitter = self.random.next();
        let known = self.table.find(number, user);
        let before = known.and_then(|id| Account::read(self.table.record(id)));
        let old = before.map_or(Bindings(b""), |account| account.bindings());
        let old_count = old.clone().count();
        let make = |wanted: &Wanted<'_>| granted(wanted, domain, jitter, request.second);
        let mut next: Next<'_> = [None; limits::CONTACTS_MAX];
        let mut count = 0;
        let mut taken = [false; limits::CONTACTS_MAX];
        let mut repeated = false;
        for binding in old.filter(|binding| binding.is_live(request.second, GRACE_SECONDS)) {
            let of_it = wanted.iter().flatten().position(|wanted| is_for(wanted, &binding));
            let after = match of_it.and_then(|place| Some((place, wanted.get(place)?.as_ref()?))) {
                None => Some((binding, false)),
                Some((place, wanted)) => {
                    let first = taken.get_mut(place).is_some_and(|taken| !std::mem::replace(taken, true));
                    if binding.call_id == request.call_id && binding.cseq > request.cseq {
                        return Err(Reason::RegisterOutOfOrder);
                    }
                    if binding.call_id == request.call_id && binding.cseq == request.cseq {
                        repeated = true;
                        Some((binding, true))
                    } else {
                        // One Contact is one binding, though it was several by the rules of before.
                        (first && wanted.expires > 0)
                            .then(|| (bound(wanted, make(wanted), request, path, &inbound.source), true))
                    }
                }
            };
            if let Some(after) = after {
                *next.get_mut(count).ok_or(Reason::ContactsTooMany)? = Some(after);
                count += 1;
            }
        }
        let added = wanted.iter().flatten().zip(taken).filter(|(wanted, taken)| !taken && wanted.expires > 0);
        for (wanted, _) in added {
            make_room(&mut next, &mut count, domain.contacts_max)?;
            *next.get_mut(count).ok_or(Reason::ContactsTooMany)? =
                Some((bound(wanted, make(wanted), request, path, &inbound.source), true));
            count += 1;
        }
        let all = next.iter().flatten().map(|(binding, _)| binding);
        if count == 0 && known.is_none() {
            return Ok((Reason::RegistrationRepeated, None));
        }
        let mut record = std::mem::take(&mut self.scratch);
        record::begin(number, user, &mut record);
        all.clone().for_each(|binding| binding.write(&mut record));
        let fits = record::finish(count, &mut record);
        let due = all.map(|binding| binding.expires).min().unwrap_or(0).saturating_add(GRACE_SECONDS);
        let refreshed = old_count == count;
        let kept = if fits { self.put(known, &record, count, old_count, due) } else { Err(Reason::ContactsTooMany) };
        self.scratch = record;
        let reason = match () {
            () if repeated => Reason::RegistrationRepeated,
            () if count == 0 => Reason::RegistrationRemoved,
            () if refreshed => Reason::RegistrationRefreshed,
            () => Reason::Registered,
        };
        kept.map(|account| (reason, account))
    }
}

/// The user of To, escapes undone (§10.3 item 5).
pub(super) fn user_of<'t>(message: &'t Message<'t>, room: &'t mut [u8]) -> Result<&'t [u8], Reason> {
    let to = message.to().ok().and_then(|to| Uri::parse(to.uri).ok()).ok_or(Reason::RegisterUnknownUser)?;
    let user = unescaped_text(to.user_without_params(), room).ok_or(Reason::RegisterUnknownUser)?;
    if user.is_empty() || user.len() > limits::USER_BYTES_MAX || user.iter().any(u8::is_ascii_control) {
        return Err(Reason::RegisterUnknownUser);
    }
    Ok(user)
}

/// Whether a Contact is for a binding: the same instance and flow (RFC 5626 §6), else an equal URI (§19.1.4).
pub(super) fn is_for(wanted: &Wanted<'_>, binding: &Binding<'_>) -> bool {
    if wanted.reg_id != 0 && binding.reg_id != 0 {
        return wanted.reg_id == binding.reg_id && wanted.instance == binding.instance;
    }
    // WHY first: the bytes are nearly always the same.
    wanted.uri.bytes() == binding.contact
        || Uri::parse(binding.contact).is_ok_and(|contact| wanted.uri.equivalent(&contact))
}

/// The second in which it will end: what was asked for, shorter by chance.
fn granted(wanted: &Wanted<'_>, domain: &Domain, jitter: u64, second: u32) -> u32 {
    let most = u64::from(wanted.expires) * u64::from(domain.expires.jitter_percent) / 100;
    let shorter = u32::try_from(jitter % (most + 1)).unwrap_or(0);
    // WHY not below the least: a phone may refuse an answer of less than it was told to ask for.
    let seconds = (wanted.expires - shorter).max(domain.expires.min.min(wanted.expires));
    second.saturating_add(seconds)
}

/// A binding of a Contact until `expires`.
pub(super) fn bound<'r>(
    wanted: &Wanted<'r>,
    expires: u32,
    request: &Request<'r>,
    path: &'r [u8],
    source: &Endpoint,
) -> Binding<'r> {
    let allowed = || contact::methods(request.message.tokens(HeaderName::Allow));
    Binding {
        contact: wanted.uri.bytes(),
        call_id: request.call_id,
        cseq: request.cseq,
        agent: request.agent,
        instance: wanted.instance,
        reg_id: wanted.reg_id,
        path,
        source: source.peer,
        // INVARIANT: there are at most LISTENERS_MAX listeners.
        listener: u8::try_from(source.listener).unwrap_or(0),
        flow: source.flow,
        expires,
        updated: request.second,
        q: wanted.q,
        methods: if wanted.methods == 0 { allowed() } else { wanted.methods },
        gruu: request.gruu && !wanted.instance.is_empty(),
        direct: request.direct,
    }
}

/// One more must fit: what was refreshed longest ago goes. Contacts of this request stay.
pub(super) fn make_room(next: &mut Next<'_>, count: &mut usize, contacts_max: usize) -> Result<(), Reason> {
    if *count < contacts_max {
        return Ok(());
    }
    let untouched = next.iter().take(*count).enumerate().filter_map(|(place, entry)| Some((place, entry.as_ref()?)));
    let oldest = untouched.filter(|(_, (_, touched))| !touched).min_by_key(|(_, (binding, _))| binding.updated);
    let (place, _) = oldest.ok_or(Reason::ContactsTooMany)?;
    if let Some(behind) = next.get_mut(place..*count) {
        behind.rotate_left(1);
        *count -= 1;
        *next.get_mut(*count).ok_or(Reason::ContactsTooMany)? = None;
    }
    Ok(())
}
