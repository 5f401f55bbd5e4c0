//! Who the caller is, across the boundary of trust (RFC 3325), and what else changes in the header of a request that
//! passes from one trunk to the other.
//!
//! | From | To | P-Asserted-Identity |
//! |---|---|---|
//! | not trusted | any | goes (§5: nobody vouches for it), P-Preferred-Identity too |
//! | trusted | not trusted | goes if the caller withholds it (`Privacy: id`, §7) |
//! | trusted | trusted | stays |
//!
//! Then `caller_in` of the vendor writes it anew, unless it is withheld. From stays as it came: a dialog stands on it.
//! Called by `hunt` for an INVITE, by the policy's point 5 for requests within a dialog.

use super::dialled::{Inward, Outward, UserPart, split};
use super::header_rules::{Rule, Turn, Variables, write};
use super::trunks::{Customer, Vendor};
use deck::{CODE_DIGITS_MAX, Code};
use proto::message::{HeaderName, Message, Uri, Writer};
use proto::policy::TargetSet;
use std::io::Write as _;
use tuning::CallerIn;

/// What a trunk's requests go through.
#[derive(Clone, Debug, Default)]
pub struct Boundary {
    /// Within our trust domain.
    pub(super) trusted: bool,
    pub(super) received: Box<[Rule]>,
    pub(super) sent: Box<[Rule]>,
}

/// How a vendor is told the caller's number.
#[derive(Clone, Debug)]
pub struct CallerOut {
    pub(super) place: CallerIn,
    pub(super) outward: Outward,
}

/// A request that passes between a customer and a vendor.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'c> {
    /// Who pays.
    pub customer: &'c Customer,
    /// Who carries.
    pub vendor: &'c Vendor,
    /// It goes to the vendor; else to the customer.
    pub to_vendor: bool,
}

const ASSERTED: &str = "P-Asserted-Identity";
const PREFERRED: &str = "P-Preferred-Identity";

/// Rules of both trunks, and of the boundary between them.
const TURNS_MAX: usize = 2 * limits::HEADER_RULES_MAX + 3;

/// Longest identity that is written: `<sip:` number, host `;user=phone>`.
const IDENTITY_BYTES_MAX: usize = 384;

impl Crossing<'_> {
    /// Writes the edits that hold for every target of the request. `dialled`: the user part that it is for.
    /// False: they do not fit, so the request must not leave.
    pub(crate) fn edit(&self, message: &Message<'_>, dialled: &[u8], targets: &mut TargetSet) -> bool {
        let (from, to) = self.sides();
        let plain = from.received.is_empty() && to.sent.is_empty();
        let says = message.field(HeaderName::PAssertedIdentity).is_some()
            || message.field(HeaderName::PPreferredIdentity).is_some();
        let told = self.to_vendor && self.vendor.caller.place != CallerIn::Keep;
        if plain && !says && !told {
            return true;
        }
        let withheld = !to.trusted && is_withheld(message);
        let caller = self.caller_uri(message);
        let caller_digits = caller.and_then(|uri| self.customer.inward.caller(uri.user_without_params()));
        let mut room = [0; IDENTITY_BYTES_MAX];
        let asserted = caller
            .zip(caller_digits.as_ref())
            .filter(|_| told && !withheld)
            .and_then(|(uri, digits)| write_identity(&self.vendor.caller.outward, digits, &uri, &mut room));
        let mut turns = [Turn::Remove(PREFERRED); TURNS_MAX];
        let boundary = [
            (!from.trusted).then_some(Turn::Remove(PREFERRED)),
            (!from.trusted || withheld).then_some(Turn::Remove(ASSERTED)),
            asserted.map(|value| Turn::Write(ASSERTED, value)),
        ];
        let all = from.received.iter().map(Turn::Rule);
        let all = all.chain(boundary.into_iter().flatten()).chain(to.sent.iter().map(Turn::Rule));
        let count = turns.iter_mut().zip(all).map(|(place, turn)| *place = turn).count();
        let (user, parameters) = split(dialled);
        let called = self.customer.inward.called(user, &self.customer.tech_prefix).unwrap_or_default();
        let caller_digits = caller_digits.unwrap_or_default();
        let variables = Variables {
            called: called.as_bytes(),
            caller: caller_digits.as_bytes(),
            dialled: user,
            routing: super::dialled::routing_text(parameters).unwrap_or(called.as_bytes()),
            customer: &self.customer.name,
            vendor: &self.vendor.name,
        };
        let turns = turns.get(..count).unwrap_or_default();
        targets.for_every(false, |edits| write(turns, message, &variables, edits))
    }

    fn sides(&self) -> (&Boundary, &Boundary) {
        let (customer, vendor) = (&self.customer.boundary, &self.vendor.boundary);
        if self.to_vendor { (customer, vendor) } else { (vendor, customer) }
    }

    /// The URI of who placed the call, whichever way the request goes.
    fn caller_uri<'m>(&self, message: &Message<'m>) -> Option<Uri<'m>> {
        match self.to_vendor {
            true => caller_uri(message, self.customer.boundary.trusted),
            false => Uri::parse(message.to().ok()?.uri).ok(),
        }
    }
}

/// The user part of the caller's identity: P-Asserted-Identity of a trusted sender, else From.
pub(super) fn caller<'m>(message: &Message<'m>, trusted: bool) -> Option<&'m [u8]> {
    caller_uri(message, trusted).map(|uri| uri.user_without_params())
}

fn caller_uri<'m>(message: &Message<'m>, trusted: bool) -> Option<Uri<'m>> {
    let mut asserted = message.name_addrs(HeaderName::PAssertedIdentity).filter_map(Result::ok);
    let identity = match asserted.next().filter(|_| trusted) {
        Some(identity) => identity.uri,
        None => message.from().ok()?.uri,
    };
    Uri::parse(identity).ok()
}

impl Vendor {
    /// The caller's number as this vendor is told it, where `caller_in` writes it anew. `withheld`: the caller asks for
    /// that ([`is_withheld`]).
    pub(crate) fn told_caller(&self, caller: Code, withheld: bool) -> Option<UserPart> {
        if self.caller.place == CallerIn::Keep || withheld && !self.boundary.trusted {
            return None;
        }
        let mut room = [0; CODE_DIGITS_MAX];
        let mut rest = &mut room[..];
        write!(rest, "{caller}").ok()?;
        let left = rest.len();
        let digits = Inward::default().caller(room.get(..CODE_DIGITS_MAX - left)?)?;
        self.caller.outward.write(&digits, [])
    }
}

/// `Privacy: id` (RFC 3325 §9.3).
pub(crate) fn is_withheld(message: &Message<'_>) -> bool {
    message.all(HeaderName::Privacy).any(|field| {
        let values = field.value.of(message.bytes());
        values.split(|octet| matches!(octet, b';' | b',')).any(|value| value.trim_ascii().eq_ignore_ascii_case(b"id"))
    })
}

/// The number as the vendor wants it, at the host that the caller's identity has.
fn write_identity<'r>(
    outward: &Outward,
    digits: &super::dialled::Digits,
    uri: &Uri<'_>,
    room: &'r mut [u8],
) -> Option<&'r [u8]> {
    let user = outward.write(digits, [])?;
    let mut out = Writer::new(room);
    match uri.host_bytes {
        b"" => {
            out.put(b"<tel:");
            out.put(user.as_bytes());
            out.byte(b'>');
        }
        host => {
            out.put(b"<sip:");
            out.put(user.as_bytes());
            out.byte(b'@');
            out.put(host);
            out.put(b";user=phone>");
        }
    }
    let length = out.finish().ok()?;
    room.get(..length)
}
