//! What another configuration makes of a call of the past.

use super::past::Past;
use deck::Code;
use modules::Tables;
use modules::class4::refusal::Why;
use modules::class4::sources::Sender;
use modules::class4::{Deciding, Trunks, Understood, Vendor};
use modules::records::terms::{Terms, margin};
use proto::message::Uri;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(crate) struct Judge {
    tables: Arc<Tables>,
    deciding: Deciding,
}

/// What becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// The vendor that has it; empty: none.
    pub(crate) vendor: String,
    /// Why there is none.
    pub(crate) refusal: Option<&'static str>,
    /// Name of its destination.
    pub(crate) destination: String,
    /// Cost in the vendor's currency with its rate, and margin in the currency of the house, of an answered call.
    pub(crate) cost: Option<(String, String)>,
    /// See above.
    pub(crate) margin: Option<String>,
}

/// Chance among equals is drawn alike in every run.
const SEED: u64 = 1;

impl Judge {
    /// By these tables; without customers every call is nobody's.
    pub(crate) fn new(tables: Arc<Tables>) -> Self {
        Judge { tables, deciding: Deciding::new(SEED) }
    }

    /// Currency that it compares in; `None`: its configuration has no customers.
    pub(crate) fn currency(&self) -> Option<&str> {
        self.tables.class4.as_ref().map(|trunks| &*trunks.currency)
    }

    /// Whose gateway each address is.
    pub(crate) fn gateways(&self) -> HashMap<SocketAddr, String> {
        let tables = &self.tables;
        let of_vendor = |vendor: &Vendor| {
            let gateways = tables.set(vendor.set).into_iter().flat_map(|set| tables.gateways_of(set));
            let named = gateways.filter_map(|gateway| Some((gateway.address?, vendor.name.to_string())));
            named.collect::<Vec<_>>()
        };
        tables.class4.iter().flat_map(Trunks::vendors).flat_map(of_vendor).collect()
    }

    pub(crate) fn judge(&mut self, past: &Past) -> Now {
        let tables = Arc::clone(&self.tables);
        match &tables.class4 {
            Some(trunks) if past.turned_away => refused_again(trunks, past),
            Some(trunks) => self.decide(trunks, past),
            None => Now { refusal: Some(label(Why::UnknownCustomer)), ..Now::default() },
        }
    }

    fn decide(&mut self, trunks: &Trunks, past: &Past) -> Now {
        let refused = |why: &'static str| Now { refusal: Some(why), ..Now::default() };
        let Ok(uri) = Uri::parse(past.uri.as_bytes()) else { return refused(label(Why::MalformedNumber)) };
        if past.emergency {
            // An emergency goes where the file says, whatever prices are.
            let vendor = trunks.emergency.vendors(trunks).next().unwrap_or_default().to_owned();
            return Now { vendor, destination: past.destination.clone(), ..Now::default() };
        }
        let sender = past.source.map(|source| trunks.sender(source, uri.user_without_params()));
        let customer = match sender {
            Some(Sender::Customer(slot)) => trunks.customer_at(slot),
            _ => None,
        };
        let Some(customer) = customer else { return refused(label(Why::UnknownCustomer)) };
        let asserted = past.identity.as_deref().filter(|_| customer.is_believed());
        let caller = asserted.or(past.from.as_deref()).and_then(user_of);
        let mut call = match Understood::of(customer, &uri, caller, past.at_us) {
            Ok(call) => call,
            Err(why) => return refused(label(why)),
        };
        // What was asked for then is not asked again.
        if let Some(routing) = past.routing.as_deref().filter(|_| trunks.dip.is_some()) {
            call.question.routing = Code::of_number(routing.as_bytes()).unwrap_or(call.question.routing);
        }
        let Some(decision) = self.deciding.decide(trunks, customer, &call) else {
            return refused(label(Why::NoRoute));
        };
        if let Some(why) = decision.refusal() {
            return refused(label(why));
        }
        let at = call.question.at;
        let name = |slot: u16| trunks.vendor_at(slot).map(|vendor| vendor.name.to_string()).unwrap_or_default();
        let mut routed = decision.routed().map(|candidate| (name(candidate.vendor), candidate));
        let Some((vendor, candidate)) = routed.find(|(name, _)| !past.failed.contains(name)) else {
            return refused("every vendor that may take it failed it");
        };
        let detail = trunks.image.detail(usize::from(candidate.deck), &candidate.found);
        let destination = detail.map_or("", |detail| detail.destination).to_owned();
        let mut now = Now { vendor, destination, ..Now::default() };
        let buy = Terms::of(trunks, candidate.deck, &candidate.found, at);
        let sell = Terms::of(trunks, decision.sell.0, &decision.sell.1, at);
        if let (Some(duration), Some(buy), Some(sell)) = (past.duration_us, buy, sell)
            && let (Some(cost), Some(income)) = (buy.bill(duration), sell.bill(duration))
        {
            now.cost = buy.rate.map(|rate| (cost.amount.to_string(), rate.to_string()));
            now.margin = margin((&sell, &income), (&buy, &cost)).map(|left| left.to_string());
        }
        now
    }
}

/// A call that caps, credit or alarms turned away stays so, if its customer is still there.
fn refused_again(trunks: &Trunks, past: &Past) -> Now {
    let sender =
        |source| Uri::parse(past.uri.as_bytes()).ok().map(|uri| trunks.sender(source, uri.user_without_params()));
    let why = match past.source.and_then(sender) {
        Some(Sender::Customer(_)) => "caps, credit or alarms turned it away then",
        _ => label(Why::UnknownCustomer),
    };
    Now { refusal: Some(why), ..Now::default() }
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
