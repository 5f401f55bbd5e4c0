//! What another configuration makes of a call of the past.

use super::past::Past;
use modules::class4::refusal::Why;
use modules::class4::sources::Sender;
use modules::class4::{Deciding, Trunks, Understood};
use modules::records::terms::{Terms, margin};
use proto::message::Uri;

/// See the module.
pub(super) struct Judge<'t> {
    trunks: &'t Trunks,
    deciding: Deciding,
}

/// What becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Now {
    /// The vendor that has it; empty: none.
    pub(super) vendor: String,
    /// Why there is none.
    pub(super) refusal: Option<&'static str>,
    /// Name of its destination.
    pub(super) destination: String,
    /// Cost in the vendor's currency with its rate, and margin in the currency of the house, of an answered call.
    pub(super) cost: Option<(String, String)>,
    /// See above.
    pub(super) margin: Option<String>,
}

/// Chance among equals is drawn alike in every run.
const SEED: u64 = 1;

impl<'t> Judge<'t> {
    pub(super) fn new(trunks: &'t Trunks) -> Self {
        Judge { trunks, deciding: Deciding::new(SEED) }
    }

    pub(super) fn judge(&mut self, past: &Past) -> Now {
        let refused = |why: &'static str| Now { refusal: Some(why), ..Now::default() };
        let Ok(uri) = Uri::parse(past.uri.as_bytes()) else { return refused(label(Why::MalformedNumber)) };
        if past.emergency {
            // An emergency goes where the file says, whatever prices are.
            let vendor = self.trunks.emergency.vendors(self.trunks).next().unwrap_or_default().to_owned();
            return Now { vendor, destination: past.destination.clone(), ..Now::default() };
        }
        let sender = past.source.map(|source| self.trunks.sender(source, uri.user_without_params()));
        let customer = match sender {
            Some(Sender::Customer(slot)) => self.trunks.customer_at(slot),
            _ => None,
        };
        let Some(customer) = customer else { return refused(label(Why::UnknownCustomer)) };
        let caller = past.caller.as_deref().and_then(user_of);
        let call = match Understood::of(customer, &uri, caller, past.at_us) {
            Ok(call) => call,
            Err(why) => return refused(label(why)),
        };
        let Some(decision) = self.deciding.decide(self.trunks, customer, &call) else {
            return refused(label(Why::NoRoute));
        };
        if let Some(why) = decision.refusal() {
            return refused(label(why));
        }
        let at = call.question.at;
        let name = |slot: u16| self.trunks.vendor_at(slot).map(|vendor| vendor.name.to_string()).unwrap_or_default();
        let mut routed = decision.routed().map(|candidate| (name(candidate.vendor), candidate));
        let Some((vendor, candidate)) = routed.find(|(name, _)| !past.failed.contains(name)) else {
            return refused("every vendor that may take it failed it");
        };
        let image = &self.trunks.image;
        let destination =
            image.detail(usize::from(candidate.deck), &candidate.found).map_or("", |detail| detail.destination);
        let mut now = Now { vendor, destination: destination.to_owned(), ..Now::default() };
        let buy = Terms::of(self.trunks, candidate.deck, &candidate.found, at);
        let sell = Terms::of(self.trunks, decision.sell.0, &decision.sell.1, at);
        if let (Some(duration), Some(buy), Some(sell)) = (past.duration_us, buy, sell)
            && let (Some(cost), Some(income)) = (buy.bill(duration), sell.bill(duration))
        {
            now.cost = buy.rate.map(|rate| (cost.amount.to_string(), rate.to_string()));
            now.margin = margin((&sell, &income), (&buy, &cost)).map(|left| left.to_string());
        }
        now
    }
}

/// The user part of a URI, in angle brackets or not.
fn user_of(uri: &str) -> Option<&[u8]> {
    let inside = uri.split_once('<').map_or(uri, |(_, rest)| rest.split('>').next().unwrap_or(rest));
    Uri::parse(inside.trim().as_bytes()).ok()?.user
}

const fn label(why: Why) -> &'static str {
    match why {
        Why::UnknownCustomer => "no customer has its source",
        Why::MalformedNumber => "its number is malformed",
        Why::Blocked => "its number is blocked",
        Why::NoPrice => "the customer's deck has no price",
        Why::Margin => "no vendor leaves the least margin",
        _ => "no vendor takes it",
    }
}
