//! The whole decision about one call, by the code that decides on the path: for `tandem explain`, from a file and its
//! image, and for the control socket, from what is in service now, with what trunks carry at this moment.

use crate::control::Gathered;
use deck::image::State;
use modules::Tables;
use modules::class4::destinations::Destination;
use modules::class4::quality::Count;
use modules::class4::refusal::Why;
use modules::class4::sources::Sender;
use modules::class4::{Candidate, Customer, Deciding, Decision, Standing, Trunks, Understood, Vendor};
use modules::dispatcher::health;
use proto::message::Uri;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A call that is asked about.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Where it comes from.
    pub source: SocketAddr,
    /// The caller's number, as it is sent.
    pub from: Option<&'a str>,
    /// The called number, as it is sent.
    pub to: &'a str,
    /// When, in seconds since 1970.
    pub at: i64,
}

/// What becomes of it. Its JSON is the contract with scripts: fields are added, never renamed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Where it comes from.
    pub source: String,
    /// When.
    pub at: String,
    /// Whose it is.
    pub customer: Option<String>,
    /// The called number as understood.
    pub called: Option<String>,
    /// The routing number.
    pub routing: Option<String>,
    /// The running process asks for the routing number; here the call's own is taken.
    #[serde(default)]
    pub routing_asked: bool,
    /// The caller's number as understood.
    pub caller: Option<String>,
    /// Where it runs.
    pub jurisdiction: Option<String>,
    /// Currency that prices are compared in.
    pub compared_in: String,
    /// Hash of the image of decks.
    pub image: String,
    /// What the customer's deck says.
    pub sell: Option<Sell>,
    /// Every vendor of the plan, those that may take the call first.
    pub vendors: Vec<Row>,
    /// Vendors of an emergency, in the order of their turns.
    pub emergency: Option<Vec<String>>,
    /// Bounds of the customer's destination that hold for the number.
    #[serde(default)]
    pub destination: Option<Bound>,
    /// The same numbers that have just come from another carrier; only of what is in service.
    #[serde(default)]
    pub looped: Option<Looped>,
    /// Why there is no vendor, and what the customer gets.
    pub refusal: Option<Refusal>,
    /// What the customer does now; only of what is in service.
    #[serde(default)]
    pub live: Option<Live>,
}

/// A destination that is bounded for the customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Its name.
    pub name: String,
    /// Calls now; only of what is in service.
    pub calls: Option<u32>,
    /// Most of them.
    pub concurrent: Option<u32>,
    /// Most new calls a second.
    pub cps: Option<u64>,
}

/// The call that came before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looped {
    /// Whose it was.
    pub customer: String,
    /// Its carrier.
    pub carrier: String,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
}

/// What the customer's deck says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sell {
    /// Its name.
    pub deck: String,
    /// Of its prices.
    pub currency: String,
    /// The code that holds.
    pub prefix: Option<String>,
    /// Its destination.
    pub destination: Option<String>,
    /// A minute.
    pub price: Option<String>,
}

/// A vendor's row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its turn; `None`: it is out.
    pub turn: Option<usize>,
    /// Its name.
    pub vendor: String,
    /// Its deck.
    pub deck: String,
    /// The code that holds.
    pub prefix: Option<String>,
    /// Its destination.
    pub destination: Option<String>,
    /// A minute, in the deck's currency.
    pub price: Option<String>,
    /// A minute, as it is compared.
    pub compared: Option<String>,
    /// What it leaves of the customer's price.
    pub margin: Option<String>,
    /// Why it stands where it does.
    pub standing: String,
    /// It stands in the customer's route list for the number.
    pub pinned: bool,
    /// What it does now; only of what is in service.
    #[serde(default)]
    pub live: Option<Live>,
}

/// What a trunk does now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Calls.
    pub calls: u32,
    /// Most of them.
    pub concurrent: Option<u32>,
    /// Gateways that are up, of how many; customers have none.
    pub gateways: Option<(usize, usize)>,
    /// Calls given in the window of quality.
    pub attempts: u64,
    /// Answered of them, in thousandths.
    pub asr: Option<u64>,
    /// Ended as no vendor could have helped, in thousandths.
    pub ner: Option<u64>,
    /// Mean post-dial delay in milliseconds.
    pub pdd_ms: Option<u64>,
    /// Short calls in thousandths of those that ended.
    pub short: Option<u64>,
}

/// Our own answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// SIP code.
    pub status: u16,
    /// Q.850 cause.
    pub cause: u16,
    /// In words.
    pub why: String,
}

/// Chance among equals is drawn anew for each call; here it is always drawn alike.
const SEED: u64 = 1;

/// Explains. `live`: figures of the running process whose tables these are.
///
/// # Errors
/// Why nothing can be said.
pub fn explain(tables: &Tables, asked: &Asked<'_>, live: Option<&Gathered>) -> Result<Explanation, String> {
    let trunks = tables.class4.as_ref().ok_or("the file has no [[customer]]: its calls go by [[route]]")?;
    let uri = format!("sip:{}@host.invalid", asked.to);
    let nothing = |_| format!("`{}` is nothing that a Request-URI could have", asked.to);
    let uri = Uri::parse(uri.as_bytes()).map_err(nothing)?;
    let at_us = u64::try_from(asked.at).unwrap_or(0).saturating_mul(1_000_000);
    let customer = match trunks.sender(asked.source, uri.user_without_params()) {
        Sender::Customer(slot) => trunks.customer_at(slot),
        Sender::Nobody | Sender::Elsewhere => None,
    };
    let from = asked.from.map(str::as_bytes);
    let understood = customer.map(|customer| Understood::of(customer, &uri, from, at_us));
    let urgent = customer.filter(|customer| trunks.emergency.number(customer, uri.user_without_params()).is_some());
    let emergency = urgent.map(|_| trunks.emergency.vendors(trunks).map(str::to_owned).collect::<Vec<_>>());
    let call = understood.and_then(Result::ok);
    let mut deciding = Deciding::new(SEED);
    let decided = customer.zip(call).filter(|_| emergency.is_none());
    let decision = decided.and_then(|(customer, call)| deciding.decide(trunks, customer, &call));
    let refusal = match (customer, understood, &decision) {
        (None, ..) => Some(Why::UnknownCustomer),
        _ if emergency.is_some() => None,
        (_, Some(Err(why)), _) => Some(why),
        (.., Some(decision)) => decision.refusal(),
        _ => Some(Why::NoRoute),
    };
    let now = Now { tables, trunks, at: asked.at, live };
    let destination = decided.and_then(|(customer, call)| {
        let mut deciding = Deciding::new(SEED);
        trunks.destination_of(customer, (call.called.as_bytes(), &call.question), &mut deciding)
    });
    let looped = decided.and_then(|(customer, call)| now.looped(customer, &call));
    let passing = customer.filter(|_| emergency.is_none());
    let refusal = match looped {
        Some(_) => Some(Why::Loop),
        None => refusal.or_else(|| passing.and_then(|customer| now.refuses(customer, destination))),
    };
    Ok(Explanation {
        source: asked.source.to_string(),
        at: jiff::Timestamp::from_second(asked.at).map_or_else(|_| asked.at.to_string(), |time| time.to_string()),
        customer: customer.map(|customer| customer.name.to_string()),
        called: call.map(|call| call.question.dialled.to_string()),
        routing: call.map(|call| call.question.routing.to_string()),
        routing_asked: customer.zip(trunks.dip.as_ref()).is_some_and(|(customer, dip)| dip.wants(customer, &uri)),
        caller: call.and_then(|call| call.question.caller).map(|caller| caller.to_string()),
        jurisdiction: decision
            .as_ref()
            .and_then(|decision| decision.jurisdiction)
            .map(|jurisdiction| jurisdiction.label().to_owned()),
        compared_in: trunks.currency.to_string(),
        image: trunks.image.hash().to_string(),
        sell: decision.as_ref().map(|decision| now.sell(decision)),
        vendors: decision.iter().flat_map(|decision| now.rows(decision)).collect(),
        emergency,
        destination: destination.map(|destination| Bound {
            name: destination.name.to_string(),
            calls: live.map(|_| destination.load.calls()),
            concurrent: destination.caps.concurrent(),
            cps: destination.caps.cps(),
        }),
        looped,
        refusal: refusal.map(|why| {
            let answer = trunks.refusals.answer(why);
            Refusal { status: answer.status, cause: answer.cause, why: in_words(why).to_owned() }
        }),
        live: customer.and_then(|customer| now.of_customer(customer)),
    })
}

/// What is looked at.
struct Now<'n> {
    tables: &'n Tables,
    trunks: &'n Trunks,
    at: i64,
    live: Option<&'n Gathered>,
}

impl Now<'_> {
    fn sell(&self, decision: &Decision<'_>) -> Sell {
        let (index, found) = (usize::from(decision.sell.0), decision.sell.1);
        let detail = self.trunks.image.detail(index, &found).filter(|_| found.state == State::Priced);
        let deck = self.trunks.image.decks().get(index);
        Sell {
            deck: deck.map(|deck| deck.settings.name.clone()).unwrap_or_default(),
            currency: deck.map(|deck| deck.settings.currency.clone()).unwrap_or_default(),
            prefix: detail.map(|_| found.code.to_string()),
            destination: detail.map(|detail| detail.destination.to_owned()),
            price: detail.map(|detail| detail.price.to_string()),
        }
    }

    fn rows(&self, decision: &Decision<'_>) -> Vec<Row> {
        let (sell_deck, sell) = decision.sell;
        let sell = self.trunks.worth_of(sell_deck, sell.price, self.at);
        let row = |(place, candidate): (usize, &Candidate)| {
            let vendor = self.trunks.vendor_at(candidate.vendor)?;
            let index = usize::from(candidate.deck);
            let deck = self.trunks.image.decks().get(index)?;
            let detail = self.trunks.image.detail(index, &candidate.found);
            let priced = detail.filter(|_| candidate.found.state == State::Priced);
            let left = sell.zip(candidate.worth).and_then(|(sell, cost)| sell.less(cost)?.basis_points_of(sell));
            Some(Row {
                turn: (candidate.standing == Standing::Routed).then_some(place + 1),
                vendor: vendor.name.to_string(),
                deck: deck.settings.name.clone(),
                prefix: detail.map(|_| candidate.found.code.to_string()).filter(|code| !code.is_empty()),
                destination: detail.map(|detail| detail.destination.to_owned()).filter(|name| !name.is_empty()),
                price: priced.map(|detail| format!("{} {}", detail.price, deck.settings.currency)),
                compared: candidate.worth.map(|worth| worth.to_string()),
                margin: left.map(percent),
                standing: candidate.standing.label().to_owned(),
                pinned: candidate.is_pinned(),
                live: self.of_vendor(vendor),
            })
        };
        decision.candidates.iter().enumerate().filter_map(row).collect()
    }

    fn of_customer(&self, customer: &Customer) -> Option<Live> {
        self.live?;
        let (calls, concurrent) = (customer.load.calls(), customer.caps.concurrent());
        Some(Live { calls, concurrent, ..Live::default() })
    }

    fn of_vendor(&self, vendor: &Vendor) -> Option<Live> {
        let gathered = self.live?;
        let set = self.tables.set(vendor.set)?;
        let mut gateways = (0, 0);
        for gateway in self.tables.gateways_of(set) {
            let snapshot = gathered.gateways.get(&gateway.number.0);
            let up = gateway.mark.is_none() && snapshot.is_some_and(|row| row.state == health::State::Up);
            gateways = (gateways.0 + usize::from(up), gateways.1 + 1);
        }
        let figures = vendor.quality.figures(&self.trunks.quality, self.at);
        Some(Live {
            calls: vendor.load.calls(),
            concurrent: vendor.caps.concurrent(),
            gateways: Some(gateways),
            attempts: figures.of(Count::Attempt),
            asr: figures.asr(),
            ner: figures.ner(),
            pdd_ms: figures.pdd_ms(),
            short: figures.short(),
        })
    }

    fn looped(&self, customer: &Customer, call: &Understood) -> Option<Looped> {
        self.live?;
        let before = self.trunks.would_loop(customer, call, crate::control::clocks().mono)?;
        let first = self.trunks.customer(before.customer)?;
        Some(Looped {
            customer: first.name.to_string(),
            carrier: first.carrier_name.to_string(),
            ago_ms: before.ago.0 / 1_000,
        })
    }

    /// Why the customer's next call to this destination would be refused at this moment.
    fn refuses(&self, customer: &Customer, destination: Option<&Destination>) -> Option<Why> {
        self.live?;
        let is_full = |one: &&Destination| one.caps.concurrent().is_some_and(|most| one.load.calls() >= most);
        if destination.filter(is_full).is_some() {
            return Some(Why::DestinationConcurrent);
        }
        let full = customer.caps.concurrent().is_some_and(|most| customer.load.calls() >= most);
        let row = crate::control::credit_row(customer, &self.trunks.currency);
        match row.refused() {
            _ if row.blocked_until > 0 => Some(Why::Alarm),
            Some("refused: no balance") => Some(Why::Credit),
            Some(_) => Some(Why::Spend),
            None => full.then_some(Why::Concurrent),
        }
    }
}

/// Why, in words for people.
const fn in_words(why: Why) -> &'static str {
    match why {
        Why::UnknownCustomer => "no customer has this source and tech prefix",
        Why::MalformedNumber => "the number has no digits that a deck could have",
        Why::Blocked => "the number is blocked for the customer",
        Why::NoPrice => "the customer's own deck has no price for it",
        Why::NoRoute => "no vendor of the plan takes it",
        Why::Margin => "no vendor leaves the least margin",
        Why::HighRisk => "the number is a high-risk one, not open for the customer",
        Why::Credit => "the customer's balance is used up",
        Why::Spend => "the customer has spent what it may in this hour or day",
        Why::Alarm => "the customer's calls looked like fraud a while ago",
        Why::Concurrent => "the customer has as many calls as it may",
        Why::Cps => "the customer sends more calls a second than it may",
        Why::DestinationConcurrent => "the customer has as many calls to this destination as it may",
        Why::DestinationCps => "the customer sends more calls a second to this destination than it may",
        Why::Loop => "the same numbers have just come from another carrier: a loop",
        Why::Vendor => "the vendors' answer is no customer's business",
        Why::PostDial => "no vendor has rung in time",
        Why::RangTooLong | Why::EarlyMedia => "it rang too long without an answer",
    }
}

/// Hundredths of a percent as percent.
fn percent(points: i128) -> String {
    let sign = if points < 0 { "-" } else { "" };
    let points = points.unsigned_abs();
    format!("{sign}{}.{:02} %", points / 100, points % 100)
}
