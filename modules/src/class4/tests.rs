//! The compiled decision against a naive model: texts, a loop over all rows, exact fractions.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::tables::{Inputs, Tables};
use deck::compile::{DeckSettings, DeckSource, compile};
use deck::image::{RateOn, Rounding};
use deck::money::{Decimal, Digits};
use deck::nanp::StateTable;
use deck::read::{DeckReader, Settings};
use proptest::prelude::*;
use refusal::Why;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// An image of decks from CSV texts, each `name`, `currency`, rows.
pub(crate) fn image(decks: &[(&str, &str, &str)]) -> Arc<DeckImage> {
    let sources: Vec<DeckSource> = decks
        .iter()
        .map(|(name, currency, rows)| {
            let increments = deck::billing::Increments::SECOND;
            let settings =
                Settings { zone: jiff::tz::TimeZone::UTC, dates: None, increments, currency: (*currency).to_owned() };
            let mut reader = DeckReader::new(settings);
            reader.push(format!("prefix,destination,price,connection fee\n{rows}").as_bytes());
            let settings = DeckSettings {
                name: (*name).to_owned(),
                currency: (*currency).to_owned(),
                digits: Digits::new(6).unwrap(),
                rounding: Rounding::Up,
                rate_on: RateOn::Lrn,
            };
            DeckSource { settings, rows: reader.finish().rows, origins: Vec::new() }
        })
        .collect();
    let octets = compile(&sources, &StateTable::default(), &mut |_| {}).unwrap();
    Arc::new(DeckImage::open(DeckOctets::new(octets)).unwrap())
}

fn tables(toml: &str, image: &Arc<DeckImage>) -> Tables {
    let loaded = tuning::parse(toml, "test.toml", &tuning::Environment::unknown());
    let config = loaded.unwrap_or_else(|findings| panic!("{findings:?}")).config;
    let (addresses, marks) = (HashMap::new(), BTreeMap::new());
    let inputs =
        Inputs { config: &config, addresses: &addresses, marks: &marks, local_addresses: &[], decks: Some(image) };
    Tables::build(&inputs, None).unwrap()
}

fn understood(customer: &Customer, number: &[u8], at_us: u64) -> Understood {
    let uri = [b"sip:", number, b"@192.0.2.1"].concat();
    Understood::of(customer, &proto::message::Uri::parse(&uri).unwrap(), None, at_us).unwrap()
}

/// A trunk of the model.
#[derive(Clone, Debug)]
struct Trunk {
    euros: bool,
    /// Prefix, price and fee in millionths.
    rows: Vec<(String, u64, u64)>,
    own_carrier: bool,
    priority: u32,
    blocked: Option<String>,
}

fn trunk() -> impl Strategy<Value = Trunk> {
    let row = ("[12]{1,3}", 0_u64..20_000, prop_oneof![4 => Just(0_u64), 1 => 0_u64..50]);
    (
        any::<bool>(),
        prop::collection::vec(row, 0..8),
        prop::bool::weighted(0.1),
        0_u32..3,
        prop::option::weighted(0.2, "[12]{1,2}"),
    )
        .prop_map(|(euros, rows, own_carrier, priority, blocked)| {
            // One row a code: which of two equal ones holds is the reader's matter.
            let rows: BTreeMap<String, (u64, u64)> =
                rows.into_iter().map(|(code, price, fee)| (code, (price, fee))).collect();
            let rows = rows.into_iter().map(|(code, (price, fee))| (code, price, fee)).collect();
            Trunk { euros, rows, own_carrier, priority, blocked }
        })
}

/// One euro is so many ten-thousandths of a dollar.
const EURO: u64 = 10_837;

impl Trunk {
    fn csv(&self) -> String {
        let amount = |millionths: u64| format!("0.{millionths:06}");
        let row = |(code, price, fee): &(String, u64, u64)| format!("{code},x,{},{}\n", amount(*price), amount(*fee));
        self.rows.iter().map(row).collect()
    }

    fn currency(&self) -> &'static str {
        if self.euros { "EUR" } else { "USD" }
    }

    /// Price and fee by the longest code, in units of 10^-10 dollars.
    fn quote(&self, number: &str) -> Option<(u64, u64)> {
        let matching = self.rows.iter().filter(|(code, ..)| number.starts_with(code.as_str()));
        let (_, price, fee) = matching.max_by_key(|(code, ..)| code.len())?;
        let worth = |millionths: u64| millionths * if self.euros { EURO } else { 10_000 };
        Some((worth(*price), worth(*fee)))
    }
}

/// Which vendors may take a call, cheapest (or lowest priority) first; or why none.
fn naive(
    sell: &Trunk,
    vendors: &[Trunk],
    number: &str,
    margin: Option<u64>,
    order: &str,
) -> Result<Vec<(u64, u64)>, Why> {
    let (price, fee) = sell.quote(number).ok_or(Why::NoPrice)?;
    let (mut routed, mut below) = (Vec::new(), false);
    for vendor in vendors {
        let blocked = vendor.blocked.as_ref().is_some_and(|blocked| number.starts_with(blocked.as_str()));
        let Some((cost, own)) = vendor.quote(number).filter(|_| !vendor.own_carrier && !blocked) else { continue };
        if margin.is_none_or(|margin| price * (100 - margin) >= cost * 100 && own <= fee) {
            routed.push((cost, u64::from(vendor.priority)));
        } else {
            below = true;
        }
    }
    match order {
        "price" => routed.sort_unstable(),
        _ => routed.sort_unstable_by_key(|(cost, priority)| (*priority, *cost)),
    }
    match routed.is_empty() {
        false => Ok(routed),
        true if below => Err(Why::Margin),
        true => Err(Why::NoRoute),
    }
}

fn toml(sell: &Trunk, vendors: &[Trunk], margin: Option<u64>, order: &str) -> String {
    let margin = margin.map_or("\"off\"".to_owned(), |margin| margin.to_string());
    let deck = |name: &str, trunk: &Trunk| {
        format!("[[deck]]\nname = \"{name}\"\nfile = \"x.csv\"\ncurrency = \"{}\"\n", trunk.currency())
    };
    let mut text = format!(
        "[listen]\nudp = [\"198.51.100.1:5060\"]\n[[set]]\nname = \"s\"\ngateways = [\"sip:203.0.113.1\"]\n\
         [rating]\ncurrency = \"USD\"\nimage = \"x\"\n[[exchange]]\nfrom = \"EUR\"\nto = \"USD\"\nrate = \"1.0837\"\n\
         [[customer]]\nname = \"c\"\nsources = [\"192.0.2.0/24\"]\nplan = \"p\"\ndeck = \"sell\"\n\
         margin_percent = {margin}\norder = \"{order}\"\n{}\
         [[vendor]]\nname = \"other\"\nset = \"s\"\nplans = [\"p\"]\ndeck = \"empty\"\n\
         [[deck]]\nname = \"empty\"\nfile = \"x.csv\"\ncurrency = \"USD\"\n",
        deck("sell", sell)
    );
    for (number, vendor) in vendors.iter().enumerate() {
        let carrier = if vendor.own_carrier { "c".to_owned() } else { format!("v{number}") };
        let blocked = vendor.blocked.iter().map(|blocked| format!("blocked = [\"{blocked}\"]\n")).collect::<String>();
        text += &format!(
            "[[vendor]]\nname = \"v{number}\"\ncarrier = \"{carrier}\"\nset = \"s\"\nplans = [\"p\"]\ndeck = \"d{number}\"\n\
             priority = {}\n{blocked}{}",
            vendor.priority,
            deck(&format!("d{number}"), vendor)
        );
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn decisions_are_those_of_the_model(
        sell in trunk(), vendors in prop::collection::vec(trunk(), 1..7),
        numbers in prop::collection::vec("[12]{1,5}", 1..6),
        margin in prop::option::of(0_u64..40), by_price: bool, seed: u64,
    ) {
        let order = if by_price { "price" } else { "priority" };
        let names: Vec<String> = (0..vendors.len()).map(|number| format!("d{number}")).collect();
        let rows: Vec<String> = vendors.iter().map(Trunk::csv).collect();
        let own = sell.csv();
        let mut decks = vec![("sell", sell.currency(), own.as_str()), ("empty", "USD", "")];
        decks.extend(names.iter().zip(&vendors).zip(&rows).map(|((name, vendor), rows)| (name.as_str(), vendor.currency(), rows.as_str())));
        let tables = tables(&toml(&sell, &vendors, margin, order), &image(&decks));
        let trunks = tables.class4.as_ref().unwrap();
        let customer = trunks.customers().next().unwrap();
        let mut deciding = Deciding::new(seed);
        for number in &numbers {
            let question = understood(customer, number.as_bytes(), 1_700_000_000_000_000);
            let decision = deciding.decide(trunks, customer, &question).unwrap();
            let found = match decision.refusal() {
                Some(why) => Err(why),
                None => Ok(decision.routed().map(|candidate| {
                    let name = &trunks.vendor_at(candidate.vendor).unwrap().name;
                    let vendor = &vendors[name[1..].parse::<usize>().unwrap()];
                    (vendor.quote(number).unwrap().0, u64::from(vendor.priority))
                }).collect::<Vec<_>>()),
            };
            prop_assert_eq!(found, naive(&sell, &vendors, number, margin, order), "{}", number);
        }
    }
}

/// Three vendors that are equal but for their weights.
fn equals() -> Tables {
    let vendor = |number: u32, weight: u32| {
        format!("[[vendor]]\nname = \"v{number}\"\nset = \"s\"\nplans = [\"p\"]\ndeck = \"d\"\nweight = {weight}\n")
    };
    let toml = format!(
        "[listen]\nudp = [\"198.51.100.1:5060\"]\n[[set]]\nname = \"s\"\ngateways = [\"sip:203.0.113.1\"]\n\
         [rating]\nimage = \"x\"\n[[deck]]\nname = \"d\"\nfile = \"x\"\ncurrency = \"USD\"\n\
         [[customer]]\nname = \"c\"\nsources = [\"192.0.2.0/24\"]\nplan = \"p\"\ndeck = \"d\"\n{}{}{}",
        vendor(0, 60),
        vendor(1, 30),
        vendor(2, 10)
    );
    tables(&toml, &image(&[("d", "USD", "4,x,0.01,0\n")]))
}

#[test]
fn equals_share_by_weight() {
    let tables = equals();
    let trunks = tables.class4.as_ref().unwrap();
    let customer = trunks.customers().next().unwrap();
    let question = understood(customer, b"49", 0);
    let mut deciding = Deciding::new(7);
    let mut first = [0_u32; 3];
    for _ in 0..10_000 {
        let decision = deciding.decide(trunks, customer, &question).unwrap();
        assert_eq!(decision.routed().count(), 3);
        let vendor = decision.routed().next().unwrap().vendor;
        first[usize::from(vendor)] += 1;
    }
    for (found, expected) in first.into_iter().zip([6_000, 3_000, 1_000]) {
        assert!(found.abs_diff(expected) < 200, "{first:?}");
    }
}

#[test]
fn amounts_compare_across_currencies_to_the_last_digit() {
    // 0.010837 dollars are one euro cent at 1.0837, exactly.
    let price = |text: &str| Decimal::parse(text).unwrap();
    assert_eq!(price("0.01").units, 1);
    let sell = "49,x,0.010837,0\n";
    for (buy, passes) in [("49,x,0.01,0\n", true), ("49,x,0.010000000001,0\n", false)] {
        let vendor = Trunk { euros: true, rows: Vec::new(), own_carrier: false, priority: 0, blocked: None };
        let own = Trunk { euros: false, ..vendor.clone() };
        let image = image(&[("sell", "USD", sell), ("empty", "USD", ""), ("d0", "EUR", buy)]);
        let tables = tables(&toml(&own, &[vendor], Some(0), "price"), &image);
        let trunks = tables.class4.as_ref().unwrap();
        let customer = trunks.customers().next().unwrap();
        let question = understood(customer, b"4930", 0);
        let mut deciding = Deciding::new(1);
        let decision = deciding.decide(trunks, customer, &question).unwrap();
        assert_eq!(decision.refusal().is_none(), passes, "{buy}");
    }
}
