//! What a registrar behind us granted is kept here too: a REGISTER that was passed on and its 200 (RFC 3261 §10.2.4).
//!
//! The 200 is the registrar's word: which of the request's contacts stand, and for how long. Path, flow and the phone's
//! real address are of the request, as we saw it. Called at point 3 by [`crate::phones`]; the response does not wait for
//! our disk, since what was granted is kept behind us.

use super::Registrar;
use super::contact::{self, Contacts, Wanted};
use super::record::{self, Account, Binding, Bindings};
use super::register::{Request, bound, is_for, make_room, user_of};
use crate::reason::Reason;
use crate::tables::{Domain, Expires};
use limits::registrar::{AGENT_BYTES_MAX, GRACE_SECONDS};
use proto::message::{HeaderName, Message, NameAddr, Uri};
use proto::policy::Endpoint;
use proto::time::Now;

/// Whoever granted it has checked it: no bounds of ours hold, but that what is kept has an end.
const GRANTED: Expires = Expires { default: 3_600, min: 0, max: 604_800, jitter_percent: 0 };

impl Registrar {
    /// Takes in what a 2xx of a registrar behind us says of the REGISTER that it answers, as it came from `source`.
    ///
    /// # Errors
    /// Why nothing of it is kept: the request cannot be read, or there is no room. Its calls go by the registrar then.
    pub(crate) fn keep_granted(
        &mut self,
        (index, domain): (u16, &Domain),
        request: &[u8],
        source: &Endpoint,
        response: &Message<'_>,
        now: Now,
    ) -> Result<(), Reason> {
        // INVARIANT: it is there; it is put back below.
        let Some(mut arena) = self.arena.take() else { return Err(Reason::ContactMalformed) };
        let kept = Message::parse(request, &mut arena)
            .map_err(|_| Reason::ContactMalformed)
            .and_then(|message| self.take_granted((index, domain), &message, source, response, now));
        self.arena = Some(arena);
        kept
    }

    fn take_granted(
        &mut self,
        (index, domain): (u16, &Domain),
        message: &Message<'_>,
        source: &Endpoint,
        response: &Message<'_>,
        now: Now,
    ) -> Result<(), Reason> {
        let mut room = [0; limits::USER_BYTES_MAX];
        let user = user_of(message, &mut room)?;
        let mut list = [None; limits::CONTACTS_MAX];
        let contacts = contact::read(message, &GRANTED, contact::is_outbound(message), &mut list)?;
        let number = self.names.number(index);
        if matches!(contacts, Contacts::None) {
            return Ok(());
        }
        let agent = message.value(HeaderName::UserAgent).unwrap_or_default();
        let request = Request {
            message,
            call_id: message.call_id(),
            cseq: message.cseq().map_or(0, |cseq| cseq.number),
            agent: agent.get(..AGENT_BYTES_MAX).unwrap_or(agent),
            gruu: false,
            direct: contact::is_direct(message),
            second: self.clock.second(now),
        };
        let mut path = std::mem::take(&mut self.path);
        let kept = contact::path(message, &mut path)
            .and_then(|()| self.change_granted((number, domain), user, &request, &list, &path, source, response));
        self.path = path;
        kept
    }

    #[expect(clippy::too_many_arguments, reason = "a request, what it wants and what was granted")]
    fn change_granted(
        &mut self,
        (number, domain): (u16, &Domain),
        user: &[u8],
        request: &Request<'_>,
        wanted: &contact::List<'_>,
        path: &[u8],
        source: &Endpoint,
        response: &Message<'_>,
    ) -> Result<(), Reason> {
        let known = self.table.find(number, user);
        let before = known.and_then(|id| Account::read(self.table.record(id)));
        let old = before.map_or(Bindings(b""), |account| account.bindings());
        let old_count = old.clone().count();
        let said = Granted::of(response, wanted, &old);
        let mut next = [None; limits::CONTACTS_MAX];
        let mut count = 0;
        let stays = |binding: &Binding<'_>| {
            binding.is_live(request.second, GRACE_SECONDS)
                && !wanted.iter().flatten().any(|wanted| is_for(wanted, binding))
                && said.leaves(binding)
        };
        for binding in old.filter(stays) {
            *next.get_mut(count).ok_or(Reason::ContactsTooMany)? = Some((binding, false));
            count += 1;
        }
        for wanted in wanted.iter().flatten() {
            let Some(seconds) = said.seconds(wanted).filter(|seconds| *seconds > 0) else { continue };
            make_room(&mut next, &mut count, domain.contacts_max)?;
            let binding = bound(wanted, request.second.saturating_add(seconds), request, path, source);
            *next.get_mut(count).ok_or(Reason::ContactsTooMany)? = Some((binding, true));
            count += 1;
        }
        if count == 0 && known.is_none() {
            return Ok(());
        }
        let all = next.iter().flatten().map(|(binding, _)| binding);
        let mut record = std::mem::take(&mut self.scratch);
        record::begin(number, user, &mut record);
        all.clone().for_each(|binding| binding.write(&mut record));
        let fits = record::finish(count, &mut record);
        let due = all.map(|binding| binding.expires).min().unwrap_or(0).saturating_add(GRACE_SECONDS);
        let kept = if fits { self.put(known, &record, count, old_count, due) } else { Err(Reason::ContactsTooMany) };
        self.scratch = record;
        kept.map(|_| ())
    }
}

/// The Contacts of a 200: all bindings that stand (RFC 3261 §10.3 step 8).
struct Granted<'r> {
    response: &'r Message<'r>,
    /// Of the header, for those without their own.
    of_header: Option<u32>,
    /// It says of each binding that is kept here whether it stands. WHY it may not: what a registrar writes anew may be
    /// what we have under another name, so that nothing else is taken away then.
    whole: bool,
}

impl<'r> Granted<'r> {
    fn of(response: &'r Message<'r>, wanted: &contact::List<'_>, old: &Bindings<'_>) -> Self {
        let of_header = response.value(HeaderName::Expires).and_then(contact::seconds);
        let mut granted = Granted { response, of_header, whole: false };
        let asked = || wanted.iter().flatten().filter(|wanted| wanted.expires > 0);
        let anew = asked().filter(|wanted| granted.listed(&wanted.uri).is_none()).count();
        let is_known = |listed: &Uri<'_>| {
            asked().any(|wanted| listed.equivalent(&wanted.uri))
                || old.clone().any(|kept| Uri::parse(kept.contact).is_ok_and(|kept| listed.equivalent(&kept)))
        };
        let unknown = granted.all().filter(|listed| !Uri::parse(listed.uri).is_ok_and(|uri| is_known(&uri))).count();
        // As many as were asked for and are not listed by their names are those, written anew: no name is left for another.
        granted.whole = unknown <= anew;
        granted
    }

    fn all(&self) -> impl Iterator<Item = NameAddr<'r>> {
        self.response.name_addrs(HeaderName::Contact).flatten()
    }

    fn listed(&self, uri: &Uri<'_>) -> Option<NameAddr<'r>> {
        self.all().find(|listed| {
            listed.uri == uri.bytes() || Uri::parse(listed.uri).is_ok_and(|listed| listed.equivalent(uri))
        })
    }

    /// For how long a contact of the request stands; `None`: it does not.
    fn seconds(&self, wanted: &Wanted<'_>) -> Option<u32> {
        let of = |listed: NameAddr<'_>| listed.param(b"expires").and_then(contact::seconds).or(self.of_header);
        let granted = match self.listed(&wanted.uri) {
            Some(listed) => of(listed).unwrap_or(wanted.expires),
            // Written anew, or not granted; something was, so it is held to the shortest that was.
            None => self.all().filter_map(of).min()?,
        };
        // §10.2.4: what is granted may be shorter than what was asked for; 0 was asked for to be gone.
        Some(granted.min(GRANTED.max)).filter(|_| wanted.expires > 0)
    }

    /// Whether a binding of another request still stands behind us.
    fn leaves(&self, binding: &Binding<'_>) -> bool {
        !self.whole || Uri::parse(binding.contact).is_ok_and(|contact| self.listed(&contact).is_some())
    }
}
