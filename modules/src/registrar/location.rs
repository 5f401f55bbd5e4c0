//! Where a user is: the bindings that are in force, and the targets that they make (RFC 3261 §16.5, §16.6 item 7).
//!
//! The shard that owns the user answers with the bindings themselves; the shard that has the call makes targets of
//! them. Contacts of the highest q ring first, all at once; those of the next q when none of them has taken it.

use super::Registrar;
use super::gruu::{self, Named};
use super::record::{Account, Binding, Bindings};
use crate::tables::canonical;
use limits::registrar::GRACE_SECONDS;
use proto::hash::Secret;
use proto::message::{Host, Method, Scheme, Uri, Writer, unescaped_text};
use proto::policy::{BySource, Target, TargetSet};
use proto::time::{Micros, Now};
use std::net::SocketAddr;

/// Who is looked for.
#[derive(Debug)]
pub struct Wanted<'w> {
    /// The user, escapes undone.
    pub user: &'w [u8],
    /// Only this instance (a public GRUU), without angle brackets; empty: all.
    instance: &'w [u8],
    /// Only what this temporary GRUU means.
    temporary: Option<&'w Named>,
}

/// What is known of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing: no account of that name has registered, or none that is remembered.
    Unknown,
    /// It has an account here and cannot be reached: 480.
    Away,
    /// It is reached.
    Present,
}

impl Presence {
    /// What it comes to when these bindings are left of what was found.
    #[must_use]
    pub fn of(self, bindings: &[u8]) -> Self {
        if self == Presence::Present && bindings.is_empty() { Presence::Away } else { self }
    }

    /// As the answer to a question.
    pub fn number(self) -> u64 {
        self as u64
    }

    /// Back.
    pub fn of_number(number: u64) -> Self {
        match number {
            1 => Presence::Away,
            2 => Presence::Present,
            _ => Presence::Unknown,
        }
    }
}

impl<'w> Wanted<'w> {
    /// Reads whom a Request-URI of a domain of ours wants. `room` holds the user while escapes are undone, `named`
    /// a temporary GRUU. `None`: it has no user, or one that nobody has.
    pub fn read(
        uri: &Uri<'w>,
        secret: &Secret,
        room: &'w mut [u8],
        named: &'w mut Option<Named>,
    ) -> Option<Wanted<'w>> {
        let user = unescaped_text(uri.user_without_params(), room).filter(|user| !user.is_empty())?;
        let Some(parameter) = uri.param(gruu::PARAMETER) else {
            return Some(Wanted { user, instance: b"", temporary: None });
        };
        if !parameter.is_empty() {
            return Some(Wanted { user, instance: parameter, temporary: None });
        }
        *named = Named::read(secret, user);
        let named: &'w Option<Named> = named;
        named.as_ref().map(|named| Wanted { user: named.user(), instance: b"", temporary: Some(named) })
    }

    fn takes(&self, secret: &Secret, binding: &Binding<'_>) -> bool {
        match self.temporary {
            Some(named) => named.is_for(secret, binding),
            None => self.instance.is_empty() || self.instance == gruu::without_brackets(binding.instance),
        }
    }

    /// Of the bindings that another shard found, those that a temporary GRUU means.
    pub fn keep_wanted(&self, secret: &Secret, bindings: &[u8], out: &mut Vec<u8>) {
        let mut rest = bindings;
        while let Some((binding, behind)) = Binding::read(rest) {
            if self.takes(secret, &binding) {
                out.extend_from_slice(rest.get(..rest.len() - behind.len()).unwrap_or_default());
            }
            rest = behind;
        }
    }

    /// Whether it wants one phone, not whoever of the account answers.
    pub fn is_gruu(&self) -> bool {
        self.temporary.is_some() || !self.instance.is_empty()
    }

    /// The question for the shard that owns the user: lengths and texts.
    pub fn write(&self, domain: u16, out: &mut Writer<'_>) {
        out.put(&domain.to_le_bytes());
        out.byte(u8::try_from(self.instance.len()).unwrap_or(0));
        out.put(self.instance);
        out.byte(u8::from(self.temporary.is_some()));
        out.put(self.user);
    }
}

impl Registrar {
    /// Whether a user of the domain of that index has a binding in force at that very address and port.
    #[cold]
    pub(crate) fn is_bound_at(&self, domain: u16, user: &[u8], source: SocketAddr, now: Now) -> bool {
        let (second, source) = (self.clock.second(now), canonical(source));
        let id = self.table.find(self.names.number(domain), user);
        self.bindings_of(id).any(|binding| binding.source == source && binding.is_live(second, GRACE_SECONDS))
    }

    /// Where a user of the domain of that number (of the tables) is; its bindings are appended to `out`.
    pub fn locate(&self, domain: u16, wanted: &Wanted<'_>, now: Now, out: &mut Vec<u8>) -> Presence {
        let second = self.clock.second(now);
        let Some(id) = self.table.find(self.names.number(domain), wanted.user) else { return Presence::Unknown };
        let Some(account) = Account::read(self.table.record(id)) else { return Presence::Unknown };
        let mut found = Presence::Away;
        let mut rest = account.bindings;
        while let Some((binding, behind)) = Binding::read(rest) {
            if binding.is_live(second, GRACE_SECONDS) && wanted.takes(&self.gruu_secret, &binding) {
                out.extend_from_slice(rest.get(..rest.len() - behind.len()).unwrap_or_default());
                found = Presence::Present;
            }
            rest = behind;
        }
        found
    }

    /// The same for a question of another shard ([`Wanted::write`]).
    pub fn answer(&self, asked: &[u8], now: Now, out: &mut Vec<u8>) -> Presence {
        let read = || {
            let (domain, rest) = asked.split_first_chunk::<2>()?;
            let (length, rest) = rest.split_first()?;
            let (instance, rest) = rest.split_at_checked(usize::from(*length))?;
            let (temporary, user) = rest.split_first()?;
            Some((u16::from_le_bytes(*domain), instance, *temporary != 0, user))
        };
        match read() {
            // What a temporary GRUU takes is found out where it was read: all bindings are the answer.
            Some((domain, instance, _, user)) => {
                self.locate(domain, &Wanted { user, instance, temporary: None }, now, out)
            }
            None => Presence::Unknown,
        }
    }
}

/// Puts the contacts of the highest q below `below` into the targets. The q that they have; `None`: there are none.
pub(super) fn targets_of(
    bindings: &[u8],
    method: Method,
    caller_by_source: bool,
    below: u16,
    targets: &mut TargetSet,
) -> Option<u16> {
    let usable = || Bindings(bindings).filter(|binding| binding.q < below && takes(binding, method));
    let mut highest = usable().map(|binding| binding.q).max();
    while let Some(q) = highest {
        for binding in usable().filter(|binding| binding.q == q) {
            push(&binding, caller_by_source, targets);
        }
        if !targets.is_empty() {
            return Some(q);
        }
        highest = usable().map(|binding| binding.q).filter(|other| *other < q).max();
    }
    None
}

/// More than any q.
pub(super) const ABOVE_ALL: u16 = u16::MAX;

/// RFC 3261 §10.2.1, RFC 3840: a contact that names its methods gets no others.
fn takes(binding: &Binding<'_>, method: Method) -> bool {
    method == Method::Other || binding.methods == 0 || binding.methods & 1 << method as u8 != 0
}

fn push(binding: &Binding<'_>, caller_by_source: bool, targets: &mut TargetSet) -> bool {
    let target = Target {
        gateway: Target::NO_GATEWAY,
        listener: u16::from(binding.listener),
        by_source: BySource::of(caller_by_source, binding.direct && binding.path.is_empty()),
        next_hop: next_hop(binding),
        flow: binding.flow,
        no_response: Micros(0),
    };
    targets.push_edited(
        target,
        |out| out.put(binding.contact),
        |edits| {
            if !binding.path.is_empty() {
                edits.route(binding.path);
            }
        },
    )
}

/// Where a request to a contact is sent. With a Path, to its first value, which is whoever sent us the REGISTER.
/// Else to the contact's own address if the REGISTER came from that host; what came from another was behind NAT, or
/// names somebody else, and goes where it came from.
fn next_hop(binding: &Binding<'_>) -> SocketAddr {
    let contact = Uri::parse(binding.contact).ok().filter(|uri| uri.scheme == Scheme::Sip);
    let own = contact.filter(|uri| {
        let host = Host::parse(uri.host_bytes).and_then(|host| host.ip());
        binding.path.is_empty() && host.is_some_and(|ip| ip.to_canonical() == binding.source.ip())
    });
    own.map_or(binding.source, |uri| SocketAddr::new(binding.source.ip(), uri.effective_port()))
}
