//! Which vendors take a call, in which order, and why the others do not.
//!
//! The same for a call on the path and for `tandem explain`: same tables, same question, same chance, same decision.
//! Prices are compared exactly, a minute at a time, in one currency; the connection fee only in the margin guard,
//! where a vendor's must not be above the customer's.

use super::call::Understood;
use super::quality::Rank;
use super::refusal::Why;
use super::trunks::{Customer, DeckPlace, Trunks, Vendor};
use super::windows;
use super::worth::Worth;
use algorithms::Random;
use deck::image::{Asked, Found, Question, Quotes, State};
use std::cmp::Ordering;
use tuning::RouteOrder;

/// What a shard (or whoever explains) decides with: room that is used again for each call.
#[derive(Debug)]
pub struct Deciding {
    quotes: Quotes,
    candidates: Vec<Candidate>,
    random: Random,
}

/// A vendor of the customer's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Slot of the vendor.
    pub vendor: u16,
    /// What stands in its way; [`Standing::Routed`]: nothing.
    pub standing: Standing,
    /// What its deck says.
    pub found: Found,
    /// Deck in the image.
    pub deck: u16,
    /// Price of a minute, as it is compared; `None`: there is none that can be.
    pub worth: Option<Worth>,
    priority: u16,
    weight: u32,
    /// Its place in the customer's route list for the number; `u8::MAX`: it is in none.
    pinned: u8,
    /// By quality, where the customer's order looks at it.
    rank: Rank,
}

impl Candidate {
    /// It stands in the customer's route list for the number.
    pub const fn is_pinned(&self) -> bool {
        self.pinned != u8::MAX
    }
}

/// Where a vendor stands with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may take the call.
    Routed,
    /// No code of its deck is in force for the number.
    NoCode,
    /// Its deck has the code closed.
    Closed,
    /// Its deck has prices for other origins only.
    NoOrigin,
    /// Its price is beyond what can be counted.
    Unpriceable,
    /// It is the customer's own carrier.
    SameCarrier,
    /// The number is blocked for it.
    Blocked,
    /// The number is not among those that it is sent.
    NotAllowed,
    /// It is not sent calls at this time of the day.
    OutOfHours,
    /// The customer's route list for the number has others only.
    NotPinned,
    /// It leaves less than the least margin.
    Margin,
}

impl Standing {
    /// Name for people and records.
    pub const fn label(self) -> &'static str {
        match self {
            Standing::Routed => "routed",
            Standing::NoCode => "no code in force",
            Standing::Closed => "closed",
            Standing::NoOrigin => "no price for this caller's origin",
            Standing::Unpriceable => "price cannot be counted",
            Standing::SameCarrier => "the customer's own carrier",
            Standing::Blocked => "blocked",
            Standing::NotAllowed => "not among its allowed numbers",
            Standing::OutOfHours => "outside its hours",
            Standing::NotPinned => "not in the customer's route list",
            Standing::Margin => "below the least margin",
        }
    }
}

/// A decision. It is about those that are [`Standing::Routed`], which come first and in their order.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'d> {
    /// What the customer's deck says, and its index in the image.
    pub sell: (u16, Found),
    /// Every vendor of the plan.
    pub candidates: &'d [Candidate],
    /// Where the call runs.
    pub jurisdiction: Option<deck::nanp::Jurisdiction>,
}

impl<'d> Decision<'d> {
    /// Those that may take the call, in the order of their turns.
    pub fn routed(&self) -> impl Iterator<Item = &'d Candidate> + use<'d> {
        self.candidates.iter().take_while(|candidate| candidate.standing == Standing::Routed)
    }

    /// Why there is no vendor; `None`: there is one.
    pub fn refusal(&self) -> Option<Why> {
        if self.sell.1.state != State::Priced {
            return Some(Why::NoPrice);
        }
        match self.candidates {
            [first, ..] if first.standing == Standing::Routed => None,
            all if all.iter().any(|candidate| candidate.standing == Standing::Margin) => Some(Why::Margin),
            _ => Some(Why::NoRoute),
        }
    }
}

impl Deciding {
    /// Room for any plan; nothing is allocated later. `seed`: of the chance among equals.
    pub fn new(seed: u64) -> Self {
        Deciding {
            quotes: Quotes::with_room(limits::PLAN_VENDORS_MAX + 1),
            candidates: Vec::with_capacity(limits::PLAN_VENDORS_MAX),
            random: Random::new(seed),
        }
    }

    /// What one deck says.
    pub(super) fn quote(&mut self, trunks: &Trunks, question: &Question, asked: &Asked) -> Option<Found> {
        trunks.image.quote(question, asked, &mut self.quotes);
        self.quotes.found.first().copied()
    }

    /// Decides.
    pub fn decide(&mut self, trunks: &Trunks, customer: &Customer, call: &Understood) -> Option<Decision<'_>> {
        let offer = trunks.offers.get(customer.offer)?;
        trunks.image.quote(&call.question, &offer.asked, &mut self.quotes);
        let answer = |place: DeckPlace| self.quotes.found.get(usize::from(place.answer)).copied().unwrap_or_default();
        let sell = answer(offer.sell);
        let at = call.question.at;
        let guard = Guard::new(trunks, customer, offer.sell.deck, &sell, at);
        let pin = customer.pins.of(call.called.as_bytes());
        let called = call.called.as_bytes();
        self.candidates.clear();
        if sell.state == State::Priced {
            for (slot, place) in &offer.vendors {
                let Some(vendor) = trunks.vendor_at(*slot) else { continue };
                let found = answer(*place);
                let worth = trunks.worth(place.deck, found.price, at);
                let fee = || trunks.worth(place.deck, trunks.image.fee(&found), at);
                let pinned = pin.and_then(|pin| pin.place(vendor.number)).unwrap_or(u8::MAX);
                let standing = match pin {
                    Some(pin) if pin.only && pinned == u8::MAX => Standing::NotPinned,
                    _ => stand((customer, vendor), (called, at), &found, worth, &guard, fee),
                };
                self.candidates.push(Candidate {
                    vendor: *slot,
                    standing,
                    found,
                    deck: place.deck,
                    worth: worth.filter(|_| found.state == State::Priced).map(Worth),
                    priority: vendor.priority,
                    weight: vendor.weight,
                    pinned,
                    rank: match customer.order {
                        RouteOrder::Quality if standing == Standing::Routed => {
                            vendor.quality.figures(&trunks.quality, at).rank(&trunks.quality)
                        }
                        _ => Rank::default(),
                    },
                });
            }
        }
        self.put_in_order(customer.order);
        Some(Decision {
            sell: (offer.sell.deck, sell),
            candidates: &self.candidates,
            jurisdiction: self.quotes.jurisdiction,
        })
    }

    /// Those that may take the call first, by the customer's order; equals by chance and weight.
    fn put_in_order(&mut self, order: RouteOrder) {
        let rank = |a: &Candidate, b: &Candidate| {
            let by_price = || a.worth.cmp(&b.worth);
            let by_priority = || a.priority.cmp(&b.priority);
            a.pinned.cmp(&b.pinned).then_with(|| match order {
                _ if a.pinned != u8::MAX => Ordering::Equal,
                RouteOrder::Price => by_price().then_with(by_priority),
                RouteOrder::Priority => by_priority().then_with(by_price),
                RouteOrder::Weight => Ordering::Equal,
                RouteOrder::Quality => a.rank.cmp(&b.rank).then_with(by_price).then_with(by_priority),
            })
        };
        let out = |candidate: &Candidate| candidate.standing != Standing::Routed;
        // WHY the slot: the same question is answered in the same order, chance aside.
        self.candidates.sort_unstable_by(|a, b| {
            out(a).cmp(&out(b)).then_with(|| rank(a, b)).then_with(|| a.vendor.cmp(&b.vendor))
        });
        let routed = self.candidates.partition_point(|candidate| !out(candidate));
        let mut rest = self.candidates.get_mut(..routed).unwrap_or_default();
        while let [first, ..] = rest {
            let first = *first;
            let equals = rest.iter().take_while(|other| rank(&first, other).is_eq()).count();
            let (group, others) = rest.split_at_mut(equals);
            draw(group, &mut self.random);
            rest = others;
        }
    }
}

/// Puts equals into an order drawn by weight: each place goes to one of those left, with the chance of its share.
fn draw(group: &mut [Candidate], random: &mut Random) {
    let mut left = group;
    while left.len() > 1 {
        let total = left.iter().map(|candidate| u64::from(candidate.weight)).sum();
        let mut drawn = random.below(total);
        let place = left.iter().position(|candidate| {
            let weight = u64::from(candidate.weight);
            let hit = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            hit
        });
        left.swap(0, place.unwrap_or(0));
        left = left.split_first_mut().map_or(&mut [][..], |(_, rest)| rest);
    }
}

/// What the customer pays, and how much of it has to be left.
struct Guard {
    /// `None`: calls may lose money.
    percent: Option<i128>,
    price: Option<i128>,
    fee: Option<i128>,
}

impl Guard {
    fn new(trunks: &Trunks, customer: &Customer, deck: u16, sell: &Found, at: i64) -> Self {
        Guard {
            percent: customer.margin_percent.map(i128::from),
            price: trunks.worth(deck, sell.price, at),
            fee: trunks.worth(deck, trunks.image.fee(sell), at),
        }
    }

    /// Whether what is left is at least the margin: (price − cost) / price ≥ percent / 100, without a division.
    fn lets_pass(&self, cost: i128, fee: Option<i128>) -> bool {
        let Some(percent) = self.percent else { return true };
        let (Some(price), Some(own_fee), Some(fee)) = (self.price, self.fee, fee) else { return false };
        let least = (|| Some(price.checked_mul(100 - percent)? >= cost.checked_mul(100)?))();
        least == Some(true) && fee <= own_fee
    }
}

fn stand(
    (customer, vendor): (&Customer, &Vendor),
    (called, at): (&[u8], i64),
    found: &Found,
    worth: Option<i128>,
    guard: &Guard,
    fee: impl FnOnce() -> Option<i128>,
) -> Standing {
    if vendor.carrier == customer.carrier {
        return Standing::SameCarrier;
    }
    if begins_with(&vendor.blocked, called) {
        return Standing::Blocked;
    }
    if !vendor.allowed.is_empty() && !begins_with(&vendor.allowed, called) {
        return Standing::NotAllowed;
    }
    if !windows::open(&vendor.windows, at) {
        return Standing::OutOfHours;
    }
    match (found.state, worth) {
        (State::NoCode, _) => Standing::NoCode,
        (State::Closed, _) => Standing::Closed,
        (State::NoOrigin, _) => Standing::NoOrigin,
        (State::Priced, None) => Standing::Unpriceable,
        (State::Priced, Some(cost)) if !guard.lets_pass(cost, fee()) => Standing::Margin,
        (State::Priced, Some(_)) => Standing::Routed,
    }
}

impl Customer {
    /// Whether it may not call this number.
    pub fn is_blocked(&self, called: &[u8]) -> bool {
        begins_with(&self.blocked, called) || !self.allowed.is_empty() && !begins_with(&self.allowed, called)
    }
}

impl Customer {
    /// Whether a number is a high-risk one that is closed for it.
    pub fn is_high_risk(&self, called: &[u8]) -> bool {
        begins_with(&self.high_risk, called) && !begins_with(&self.high_risk_allowed, called)
    }
}

fn begins_with(prefixes: &[Box<str>], called: &[u8]) -> bool {
    prefixes.iter().any(|prefix| called.starts_with(prefix.as_bytes()))
}
