//! A customer's call as it is understood: its numbers with their country codes, and what the decks are asked.
//!
//! The same for a call on the path and for `tandem explain`.

use super::dialled::{Digits, routing_number, split};
use super::refusal::Why;
use super::trunks::Customer;
use deck::image::Question;
use proto::message::{Scheme, Uri};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Understood {
    /// The called number.
    pub called: Digits,
    /// What came of asking for its routing number; empty: it was not asked.
    pub dip: &'static str,
    /// What the decks are asked.
    pub question: Question,
}

impl Understood {
    /// Whether a dip was made already: `rn` or `npdi` stands in the URI (RFC 4694).
    pub(super) fn has_routing_number(uri: &Uri<'_>) -> bool {
        let (_, parameters) = split(uri.user.unwrap_or_default());
        let parameters = if uri.scheme == Scheme::Tel { uri.params } else { parameters };
        let npdi = |parameter: &[u8]| parameter.eq_ignore_ascii_case(b"npdi");
        routing_number(parameters).is_some() || parameters.split(|octet| *octet == b';').any(npdi)
    }

    /// Of a call to `uri`; `caller` is the user part of the caller's identity (P-Asserted-Identity, else From), and
    /// `at_us` the time of its INVITE in microseconds since 1970.
    ///
    /// # Errors
    /// The number is malformed, or blocked for the customer.
    pub fn of(customer: &Customer, uri: &Uri<'_>, caller: Option<&[u8]>, at_us: u64) -> Result<Self, Why> {
        let (user, parameters) = split(uri.user.unwrap_or_default());
        let parameters = if uri.scheme == Scheme::Tel { uri.params } else { parameters };
        let called = customer.inward.called(user, &customer.tech_prefix).ok_or(Why::MalformedNumber)?;
        let dialled = called.code().ok_or(Why::MalformedNumber)?;
        if customer.is_blocked(called.as_bytes()) {
            return Err(Why::Blocked);
        }
        if customer.is_high_risk(called.as_bytes()) {
            return Err(Why::HighRisk);
        }
        let question = Question {
            dialled,
            routing: routing_number(parameters).unwrap_or(dialled),
            caller: caller.and_then(|user| customer.inward.caller(user)).and_then(|digits| digits.code()),
            at: i64::try_from(at_us / 1_000_000).unwrap_or(i64::MAX),
        };
        Ok(Understood { called, dip: "", question })
    }
}
