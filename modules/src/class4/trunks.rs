//! Customers and vendors as decisions read them. Compiled in `build`, off the packet path.

use super::account::{Account, AccountRules, Tariff};
use super::advance::Advance;
use super::caps::{Caps, Load};
use super::destinations::{Destination, Destinations};
use super::dialled::{Inward, Outward};
use super::dip::DipRules;
use super::emergency::Emergency;
use super::identity::{Boundary, CallerOut};
use super::loops::Loops;
use super::pins::Pins;
use super::quality::{Count, Quality, QualityRules, seconds};
use super::refusal::Refusals;
use super::sources::{Sender, SourceTable};
use super::windows::Hours;
use super::worth::{Scales, Worth};
use crate::calls::oversee::Lifetimes;
use crate::tables::Number;
use crate::tables::numbering::Numbering;
use deck::image::{Asked, Image};
use deck::money::{Decimal, Digits};
use proto::time::{Micros, Mono, Now};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tuning::RouteOrder;

/// The octets of an image of decks: a mapped file, or memory.
pub struct DeckOctets(Box<dyn AsRef<[u8]> + Send + Sync>);

/// An image of decks, as calls are priced by.
pub type DeckImage = Image<DeckOctets>;

impl DeckOctets {
    /// Of whatever holds them.
    pub fn new(octets: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        DeckOctets(Box::new(octets))
    }
}

impl AsRef<[u8]> for DeckOctets {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for DeckOctets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeckOctets({})", self.as_ref().len())
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Trunks {
    /// By slot.
    pub(super) customers: Vec<Option<Customer>>,
    /// By slot.
    pub(super) vendors: Vec<Option<Vendor>>,
    /// By slot: bounds of customers' calls to some destinations.
    pub(super) destinations: Vec<Option<Destination>>,
    /// Which numbers have called which lately.
    pub loops: Arc<Loops>,
    pub(super) sources: SourceTable,
    pub(super) offers: Vec<Offer>,
    /// The decks.
    pub image: Arc<DeckImage>,
    /// By deck of the image: what a unit of its prices is worth; see [`Trunks::worth`].
    pub(super) scales: Vec<Scales>,
    /// Currency that prices are compared in.
    pub currency: Box<str>,
    /// What we say when we refuse.
    pub refusals: Refusals,
    pub(super) rules: HuntRules,
    /// How long calls may go on.
    pub lifetimes: Lifetimes,
    /// Numbers that are always carried.
    pub emergency: Emergency,
    /// Ported numbers are asked for.
    pub dip: Option<DipRules>,
    /// Numbers that are closed unless a customer's say otherwise.
    pub(super) high_risk: Arc<[Box<str>]>,
    /// How well vendors carry calls.
    pub quality: QualityRules,
    pub(super) numbers: Numbers,
}

/// Who has which number, for the next build.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    pub(super) customers: Numbering<String>,
    pub(super) vendors: Numbering<String>,
    /// Of customers' destinations, by the names of both.
    pub(super) destinations: Numbering<(String, String)>,
}

/// Limits of hunting.
#[derive(Clone, Copy, Debug)]
pub(super) struct HuntRules {
    pub(super) attempts_max: usize,
    pub(super) after_ringing: bool,
    pub(super) after_media: bool,
    /// How long a vendor's 503 is held against its destination; `None`: not at all.
    pub(super) hold_503: Option<Micros>,
    /// The same numbers from another carrier within this time are a loop; `None`: nobody looks.
    pub(super) loop_window: Option<Micros>,
    /// 503s count against gateways too.
    pub(super) gateways_answer_for_503: bool,
    /// Until a vendor has sent an 18x.
    pub(super) vendor_ring: Micros,
    /// Until any has.
    pub(super) post_dial: Micros,
    /// From then on.
    pub(super) ring: Micros,
    /// From the first 18x with a session description on.
    pub(super) early_media: Micros,
}

/// Who sends calls.
#[derive(Clone, Debug)]
pub struct Customer {
    /// Its number.
    pub number: Number,
    /// Its name.
    pub name: Box<str>,
    /// Which company it is: the same for its vendors.
    pub(super) carrier: u32,
    /// What that is called.
    pub carrier_name: Box<str>,
    /// What its numbers begin with.
    pub tech_prefix: Box<str>,
    /// How it writes numbers.
    pub inward: Inward,
    pub(super) offer: usize,
    pub(super) order: RouteOrder,
    /// Least margin in percent of its price; `None`: none.
    pub(super) margin_percent: Option<u16>,
    /// What it may do.
    pub caps: Caps,
    /// What it does.
    pub load: Arc<Load>,
    pub(super) destinations: Destinations,
    pub(super) blocked: Box<[Box<str>]>,
    pub(super) allowed: Box<[Box<str>]>,
    /// High-risk numbers of the file, the same for all customers.
    pub(super) high_risk: Arc<[Box<str>]>,
    pub(super) high_risk_allowed: Box<[Box<str>]>,
    /// What it may spend.
    pub spending: AccountRules,
    /// What it spends.
    pub account: Arc<Account>,
    pub(super) pins: Pins,
    pub(super) boundary: Boundary,
}

/// Who takes calls.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Its number.
    pub number: Number,
    /// Its name.
    pub name: Box<str>,
    pub(super) carrier: u32,
    /// Its gateways.
    pub set: Number,
    /// How it wants numbers.
    pub outward: Outward,
    pub(super) priority: u16,
    pub(super) weight: u32,
    /// What it may do.
    pub caps: Caps,
    /// What it does.
    pub load: Arc<Load>,
    pub(super) blocked: Box<[Box<str>]>,
    pub(super) allowed: Box<[Box<str>]>,
    pub(super) windows: Box<[Hours]>,
    /// How well it carries calls.
    pub quality: Arc<Quality>,
    pub(super) boundary: Boundary,
    pub(super) caller: CallerOut,
    pub(super) advance: Advance,
}

/// A plan with a customer's deck: what is asked for a call, once for all of them.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) asked: Asked,
    /// Deck of the image, and its place among the answers.
    pub(super) sell: DeckPlace,
    /// Slot of each vendor of the plan, with its deck.
    pub(super) vendors: Vec<(u16, DeckPlace)>,
}

/// A deck by its index in the image, and the place of its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeckPlace {
    pub(super) deck: u16,
    pub(super) answer: u16,
}

/// To whom an established call is charged: their places are given back when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    customer: u32,
    vendor: u32,
    destination: u32,
    /// What it costs the customer, where that is looked at.
    tariff: Tariff,
}

/// A balance that calls are paid from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// How long it lasts if no call begins or ends; 0: it is used up; `None`: nothing runs.
    pub lasts: Option<Micros>,
    /// Running calls are ended when it is used up.
    pub ends_calls: bool,
}

impl Default for Charge {
    fn default() -> Self {
        Charge::NOBODY
    }
}

impl Charge {
    /// A call that is no customer's.
    pub const NOBODY: Charge =
        Charge { customer: u32::MAX, vendor: u32::MAX, destination: u32::MAX, tariff: Tariff::NONE };

    pub(super) fn new(customer: Option<Number>, vendor: Option<Number>) -> Self {
        let number = |number: Option<Number>| number.map_or(u32::MAX, |number| number.0);
        Charge { customer: number(customer), vendor: number(vendor), ..Charge::NOBODY }
    }

    /// Of a call to a destination that is bounded for its customer.
    pub(super) fn to(self, destination: Option<Number>) -> Self {
        Charge { destination: destination.map_or(u32::MAX, |number| number.0), ..self }
    }

    pub(super) fn at(self, tariff: Tariff) -> Self {
        Charge { tariff, ..self }
    }

    /// What it costs the customer, where that is looked at.
    pub(crate) const fn tariff(&self) -> &Tariff {
        &self.tariff
    }
}

impl Customer {
    /// Whether what it asserts of its callers is believed (RFC 3325).
    pub fn is_believed(&self) -> bool {
        self.boundary.trusted
    }
}

impl Trunks {
    /// The customer of that number, if it is still there.
    pub fn customer(&self, number: Number) -> Option<&Customer> {
        self.customers.get(number.slot())?.as_ref().filter(|customer| customer.number == number)
    }

    /// The vendor of that number, if it is still there.
    pub fn vendor(&self, number: Number) -> Option<&Vendor> {
        self.vendors.get(number.slot())?.as_ref().filter(|vendor| vendor.number == number)
    }

    /// Whose a call to `user` (without parameters) from `peer` is.
    pub fn sender(&self, peer: SocketAddr, user: &[u8]) -> Sender {
        self.sources.find(peer, user)
    }

    /// The customer in a slot.
    pub fn customer_at(&self, slot: u16) -> Option<&Customer> {
        self.customers.get(usize::from(slot))?.as_ref()
    }

    /// All customers.
    pub fn customers(&self) -> impl Iterator<Item = &Customer> {
        self.customers.iter().flatten()
    }

    /// All vendors.
    pub fn vendors(&self) -> impl Iterator<Item = &Vendor> {
        self.vendors.iter().flatten()
    }

    /// The vendor in a slot.
    pub fn vendor_at(&self, slot: u16) -> Option<&Vendor> {
        self.vendors.get(usize::from(slot))?.as_ref()
    }

    /// What a price (or fee) of a deck is worth in the currency that prices are compared in, exactly: in units
    /// of 10^-24, at the rate of exchange in force `at` (seconds since 1970). `None`: there was none, or it is beyond
    /// what can be counted; that is no price.
    pub(super) fn worth(&self, deck: u16, price: i64, at: i64) -> Option<i128> {
        i128::from(price).checked_mul(self.scales.get(usize::from(deck))?.at(at)?)
    }

    /// What a price of a deck is worth `at` a time, as it is compared. `None`: that cannot be said.
    pub fn worth_of(&self, deck: u16, price: i64, at: i64) -> Option<Worth> {
        self.worth(deck, price, at).map(Worth)
    }

    /// What one of the currency of a deck is in the currency that prices are compared in, `at` a time (seconds since
    /// 1970). `None`: there was no rate, or it is beyond what can be counted.
    pub fn rate(&self, deck: u16, at: i64) -> Option<Decimal> {
        let scale = self.scales.get(usize::from(deck))?.at(at)?;
        let digits = self.image.decks().get(usize::from(deck))?.price_digits;
        // INVARIANT: exact, for a rate has no more decimals than a number may have.
        let finest = scale.checked_mul(digits.scale().into())? / i128::from(Digits::MAX.scale());
        Some(Decimal { units: i64::try_from(finest).ok()?, digits: Digits::MAX }.plain())
    }

    /// The sides of an established call, if both are still there.
    pub fn parties(&self, charge: Charge) -> Option<(&Customer, &Vendor)> {
        Some((self.customer(Number(charge.customer))?, self.vendor(Number(charge.vendor))?))
    }

    /// Whether a vendor's response says something of its gateway's health: a 503 is its destination's, not its own.
    pub(crate) fn tells_of_gateway(&self, status: u16) -> bool {
        status != 503 || self.rules.gateways_answer_for_503
    }

    /// What the customer and the vendor of a call are called; `None`: there is none, or no more.
    pub fn names(&self, charge: Charge) -> [Option<&str>; 2] {
        let customer = self.customer(Number(charge.customer)).map(|customer| &*customer.name);
        [customer, self.vendor(Number(charge.vendor)).map(|vendor| &*vendor.name)]
    }

    /// An established call has ended `now`, answered at `opened`: its places are given back.
    pub fn ended(&self, charge: Charge, opened: Mono, now: Now) {
        if let Some(vendor) = self.vendor(Number(charge.vendor)) {
            let (at, lasted) = (seconds(now.wall), now.mono.since(opened));
            vendor.quality.count(&self.quality, at, Count::End, 1);
            if u128::from(lasted.0) < self.quality.short_call.as_micros() {
                vendor.quality.count(&self.quality, at, Count::Short, 1);
            }
        }
        if let Some(customer) = self.customer(Number(charge.customer)) {
            customer.account.end(&customer.spending, &self.quality, &charge.tariff, opened, now);
        }
        self.release(charge);
    }

    /// What was charged to the customer of a call so far, that call's connection included; `None`: nobody looks.
    pub(crate) fn charged(&self, charge: Charge) -> Option<i64> {
        let customer = self.customer(Number(charge.customer)).filter(|_| charge.tariff.is_charged())?;
        Some(customer.account.charged())
    }

    /// How long the balance lasts that a call is paid from; `None`: it is paid from none, or that lasts.
    pub(crate) fn balance_lasts(&self, charge: Charge, now: Mono) -> Option<Balance> {
        let customer = self.customer(Number(charge.customer)).filter(|one| one.spending.credit)?;
        Some(Balance { lasts: customer.account.lasts(now), ends_calls: customer.spending.end_calls })
    }

    /// An established call of the process before goes on: its places are taken again, at those who are still there.
    /// `tariff`: what it costs the customer, if what it has cost is known.
    pub(crate) fn take_over(&self, [customer, vendor, destination]: [&[u8]; 3], tariff: Option<Tariff>) -> Charge {
        let customer = self.customers().find(|one| one.name.as_bytes() == customer);
        let vendor = self.vendors().find(|one| one.name.as_bytes() == vendor);
        customer.into_iter().for_each(|customer| customer.load.force());
        vendor.into_iter().for_each(|vendor| vendor.load.force());
        let destination = customer.and_then(|customer| self.destination_named(customer, destination));
        destination.into_iter().for_each(|destination| destination.load.force());
        let tariff = tariff.filter(|_| customer.is_some_and(|customer| customer.spending.watches()));
        tariff.zip(customer).into_iter().for_each(|(tariff, customer)| customer.account.resume(&tariff));
        Charge::new(customer.map(|customer| customer.number), vendor.map(|vendor| vendor.number))
            .at(tariff.unwrap_or_default())
            .to(destination.map(|destination| destination.number))
    }

    /// Places are given back.
    pub fn release(&self, charge: Charge) {
        if let Some(customer) = self.customer(Number(charge.customer)) {
            customer.load.release();
        }
        if let Some(vendor) = self.vendor(Number(charge.vendor)) {
            vendor.load.release();
        }
        if let Some(destination) = self.destination(Number(charge.destination)) {
            destination.load.release();
        }
    }
}
