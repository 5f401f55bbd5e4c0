//! Compiles customers and vendors into [`Trunks`].

use super::account::AccountRules;
use super::advance::Advance;
use super::caps::Caps;
use super::destinations::{Destination, Destinations};
use super::dialled::{Inward, Outward};
use super::dip::DipRules;
use super::emergency::Emergency;
use super::header_rules::compile as header_rules;
use super::identity::{Boundary, CallerOut};
use super::pins::Pins;
use super::quality::QualityRules;
use super::refusal::Refusals;
use super::sources::{Entry, SourceTable};
use super::trunks::{Customer, DeckImage, DeckPlace, HuntRules, Numbers, Offer, Trunks, Vendor};
use super::windows::Hours;
use super::worth::Scales;
use crate::calls::oversee::Lifetimes;
use crate::sources::Prefix;
use crate::tables::{Number, TablesError};
use deck::image::Asked;
use deck::money::{Decimal, Digits};
use proto::time::Micros;
use std::collections::BTreeMap;
use std::sync::Arc;
use tuning::{Config, NumberPrefix};

/// Decimals that prices are compared with: those of a price and those of a rate of exchange.
const WORTH_DIGITS: u32 = 2 * Digits::MAX.count() as u32;

impl Trunks {
    /// Compiles; `None` without customers. `set` gives the number of a set by its index in the file.
    pub(crate) fn build(
        config: &Config,
        decks: Option<&Arc<DeckImage>>,
        set: impl Fn(usize) -> Result<Number, TablesError>,
        previous: Option<&Trunks>,
    ) -> Result<Option<Trunks>, TablesError> {
        if config.customers.is_empty() {
            return Ok(None);
        }
        let image = decks.ok_or(TablesError::NoDecks)?;
        let (currency, scales) = scales(config, image)?;
        let nothing = Numbers::default();
        let known = previous.map_or(&nothing, |trunks| &trunks.numbers);
        let many = |_| TablesError::TooManyTrunks;
        let customers = config.customers.iter().map(|customer| customer.name.clone());
        let vendors = config.vendors.iter().map(|vendor| vendor.name.clone());
        let destinations = config.customers.iter().flat_map(|customer| {
            customer.destinations.iter().map(|destination| (customer.name.clone(), destination.name.clone()))
        });
        let numbers = Numbers {
            destinations: known.destinations.renew(destinations, limits::CAPPED_DESTINATIONS_MAX).map_err(many)?,
            customers: known.customers.renew(customers, limits::TRUNKS_MAX).map_err(many)?,
            vendors: known.vendors.renew(vendors, limits::TRUNKS_MAX).map_err(many)?,
        };
        let mut trunks = Trunks {
            customers: vec![None; numbers.customers.slots()],
            vendors: vec![None; numbers.vendors.slots()],
            destinations: vec![None; numbers.destinations.slots()],
            loops: previous.map(|trunks| Arc::clone(&trunks.loops)).unwrap_or_default(),
            sources: SourceTable::default(),
            offers: Vec::new(),
            image: Arc::clone(image),
            scales,
            currency,
            refusals: Refusals::new(&config.class4.refusals),
            rules: rules(&config.class4),
            lifetimes: lifetimes(config),
            emergency: Emergency::default(),
            dip: config.class4.lnp.on().map(DipRules::new),
            high_risk: texts(&config.class4.high_risk).into(),
            quality: QualityRules::new(&config.class4.quality),
            numbers,
        };
        let mut carriers = Carriers::default();
        for vendor in &config.vendors {
            trunks.add_vendor(vendor, set(vendor.set.index())?, &mut carriers, previous)?;
        }
        let mut offers = BTreeMap::new();
        let mut sources = Vec::new();
        for customer in &config.customers {
            let key = (customer.plan.as_str(), customer.deck.name.as_str());
            let offer = match offers.get(&key) {
                Some(offer) => *offer,
                None => {
                    let offer = trunks.add_offer(config, customer)?;
                    offers.insert(key, offer);
                    offer
                }
            };
            trunks.add_customer(customer, offer, &mut carriers, previous, &mut sources)?;
        }
        trunks.emergency = Emergency::new(&config.class4.emergency, |name| trunks.numbers.vendors.get(name));
        trunks.sources = SourceTable::build(&sources).map_err(|_| TablesError::TooManyTrunks)?;
        Ok(Some(trunks))
    }

    fn add_vendor(
        &mut self,
        vendor: &tuning::Vendor,
        set: Number,
        carriers: &mut Carriers,
        previous: Option<&Trunks>,
    ) -> Result<(), TablesError> {
        let number = self.numbers.vendors.get(&vendor.name).ok_or(TablesError::Unchecked)?;
        let compiled = Vendor {
            number,
            name: vendor.name.as_str().into(),
            carrier: carriers.number(vendor.carrier()),
            set,
            outward: Outward { strip: usize::from(vendor.strip), add: text(vendor.add.as_ref()), plus: vendor.plus },
            priority: u16::try_from(vendor.priority).unwrap_or(u16::MAX),
            weight: vendor.weight,
            caps: Caps::new(vendor.cps, vendor.burst, vendor.concurrent),
            load: previous
                .and_then(|trunks| trunks.vendor(number))
                .map(|vendor| Arc::clone(&vendor.load))
                .unwrap_or_default(),
            quality: previous
                .and_then(|trunks| trunks.vendor(number))
                .map(|vendor| Arc::clone(&vendor.quality))
                .unwrap_or_default(),
            blocked: texts(&vendor.blocked),
            allowed: texts(&vendor.allowed),
            windows: vendor.windows.iter().map(Hours::new).collect(),
            boundary: Boundary {
                trusted: vendor.trusted,
                received: header_rules(&vendor.received_headers),
                sent: header_rules(&vendor.sent_headers),
            },
            caller: CallerOut {
                place: vendor.caller_in,
                outward: Outward {
                    strip: usize::from(vendor.caller_strip),
                    add: text(vendor.caller_add.as_ref()),
                    plus: vendor.caller_plus,
                },
            },
            advance: Advance::new(vendor.advance_codes, &vendor.advance_causes),
        };
        *self.vendors.get_mut(number.slot()).ok_or(TablesError::Unchecked)? = Some(compiled);
        Ok(())
    }

    fn add_customer(
        &mut self,
        customer: &tuning::Customer,
        offer: usize,
        carriers: &mut Carriers,
        previous: Option<&Trunks>,
        sources: &mut Vec<Entry>,
    ) -> Result<(), TablesError> {
        let number = self.numbers.customers.get(&customer.name).ok_or(TablesError::Unchecked)?;
        let destinations = self.add_destinations(customer, previous)?;
        let tech_prefix = text(customer.tech_prefix.as_ref());
        for source in &customer.sources {
            let entry = |prefix| Entry {
                prefix,
                port: source.port,
                tech_prefix: tech_prefix.clone(),
                customer: number.slot_index(),
            };
            sources.extend(Prefix::of_network(&source.network).map(entry));
        }
        let compiled = Customer {
            number,
            name: customer.name.as_str().into(),
            carrier: carriers.number(customer.carrier()),
            carrier_name: customer.carrier().into(),
            destinations,
            tech_prefix,
            inward: Inward {
                strip: usize::from(customer.strip),
                add: text(customer.add.as_ref()),
                country: customer.country.as_ref().map(|country| country.as_str().into()),
                national: customer.national_prefix.as_str().into(),
                international: customer.international_prefix.as_str().into(),
            },
            offer,
            order: customer.order,
            margin_percent: customer.margin_percent.on().copied(),
            caps: Caps::new(customer.cps, customer.burst, customer.concurrent),
            load: previous
                .and_then(|trunks| trunks.customer(number))
                .map(|customer| Arc::clone(&customer.load))
                .unwrap_or_default(),
            blocked: texts(&customer.blocked),
            allowed: texts(&customer.allowed),
            high_risk: Arc::clone(&self.high_risk),
            high_risk_allowed: texts(&customer.high_risk_allowed),
            spending: AccountRules::new(customer),
            account: previous
                .and_then(|trunks| trunks.customer(number))
                .map(|customer| Arc::clone(&customer.account))
                .unwrap_or_default(),
            pins: Pins::new(&customer.pins, |name| self.numbers.vendors.get(name)),
            boundary: Boundary {
                trusted: customer.trusted,
                received: header_rules(&customer.received_headers),
                sent: header_rules(&customer.sent_headers),
            },
        };
        *self.customers.get_mut(number.slot()).ok_or(TablesError::Unchecked)? = Some(compiled);
        Ok(())
    }

    /// Bounds of a customer's calls to some destinations.
    fn add_destinations(
        &mut self,
        customer: &tuning::Customer,
        previous: Option<&Trunks>,
    ) -> Result<Destinations, TablesError> {
        let number = |name: &str| self.numbers.destinations.get(&(customer.name.clone(), name.to_owned()));
        for destination in &customer.destinations {
            let number = number(&destination.name).ok_or(TablesError::Unchecked)?;
            let compiled = Destination {
                number,
                name: destination.name.as_str().into(),
                caps: Caps::new(destination.cps, destination.burst, destination.concurrent),
                load: previous
                    .and_then(|trunks| trunks.destination(number))
                    .map(|destination| Arc::clone(&destination.load))
                    .unwrap_or_default(),
            };
            *self.destinations.get_mut(number.slot()).ok_or(TablesError::Unchecked)? = Some(compiled);
        }
        let deck = self.image.deck(&customer.deck.name).map(|(index, _)| index).ok_or(TablesError::NoDecks)?;
        Ok(Destinations::new(customer, number, &self.image, deck))
    }

    /// What is asked for the calls of a plan with a customer's deck.
    fn add_offer(&mut self, config: &Config, customer: &tuning::Customer) -> Result<usize, TablesError> {
        let deck = |name: &str| self.image.deck(name).map(|(index, _)| index).ok_or(TablesError::NoDecks);
        let sell = deck(&customer.deck.name)?;
        let mut decks = vec![sell];
        let mut vendors = Vec::new();
        for vendor in config.vendors.iter().filter(|vendor| vendor.plans.contains(&customer.plan)) {
            let number = self.numbers.vendors.get(&vendor.name).ok_or(TablesError::Unchecked)?;
            let buy = deck(&vendor.deck.name)?;
            decks.push(buy);
            vendors.push((number.slot_index(), buy));
        }
        let asked = Asked::new(&*self.image, &decks);
        let place = |deck: usize| {
            let deck = u16::try_from(deck).ok()?;
            let answer = asked.decks().iter().position(|asked| *asked == deck)?;
            Some(DeckPlace { deck, answer: u16::try_from(answer).ok()? })
        };
        let vendors: Option<Vec<_>> = vendors.into_iter().map(|(slot, deck)| Some((slot, place(deck)?))).collect();
        let (Some(sell), Some(vendors)) = (place(sell), vendors) else { return Err(TablesError::Unchecked) };
        self.offers.push(Offer { asked, sell, vendors });
        Ok(self.offers.len() - 1)
    }
}

fn rules(class4: &tuning::Class4) -> HuntRules {
    let seconds = |seconds: u32| Micros::from_secs(u64::from(seconds));
    let micros = |span: &std::time::Duration| Micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    HuntRules {
        attempts_max: usize::try_from(class4.attempts_max).unwrap_or(limits::BRANCHES_MAX),
        after_ringing: class4.advance_after_ringing,
        after_media: class4.advance_after_media,
        hold_503: class4.hold_503.on().map(micros),
        loop_window: class4.loop_window.on().map(micros),
        gateways_answer_for_503: class4.gateways_answer_for_503,
        vendor_ring: seconds(class4.vendor_ring_seconds),
        post_dial: seconds(class4.post_dial_seconds),
        ring: seconds(class4.ring_seconds),
        early_media: seconds(class4.early_media_seconds),
    }
}

fn lifetimes(config: &Config) -> Lifetimes {
    let seconds = |seconds: u32| Micros::from_secs(u64::from(seconds));
    Lifetimes {
        call_max: seconds(config.class4.call_seconds.min(config.policy.call_max_seconds)),
        ack: seconds(config.class4.ack_seconds),
        ask: config.class4.ask_seconds.on().map(|interval| seconds(*interval)),
    }
}

/// Numbers for the names of companies.
#[derive(Default)]
struct Carriers(BTreeMap<String, u32>);

impl Carriers {
    fn number(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

fn text(prefix: Option<&NumberPrefix>) -> Box<str> {
    prefix.map_or("", NumberPrefix::as_str).into()
}

fn texts(prefixes: &[NumberPrefix]) -> Box<[Box<str>]> {
    prefixes.iter().map(|prefix| prefix.as_str().into()).collect()
}

/// The currency that prices are compared in, and for each deck of the image what one unit of its prices is in
/// units of 10^-24 of that currency.
fn scales(config: &Config, image: &DeckImage) -> Result<(Box<str>, Vec<Scales>), TablesError> {
    let first = config.decks.first().map(|deck| &deck.currency);
    let house = config.rating.currency.as_ref().or(first).ok_or(TablesError::NoDecks)?.as_str();
    let one = Decimal { units: 1, digits: Digits::default() };
    let scales = image.decks().iter().map(|deck| {
        let currency = &deck.settings.currency;
        let scale = |rate: Decimal| {
            let decimals = u32::from(deck.price_digits.count()) + u32::from(rate.digits.count());
            i128::from(rate.units).checked_mul(10_i128.pow(WORTH_DIGITS.checked_sub(decimals)?))
        };
        if currency == house {
            return scale(one).map(Scales::always).unwrap_or_default();
        }
        let exchanges = config.exchanges.iter();
        let mine = exchanges.filter(|exchange| exchange.from.as_str() == currency && exchange.to.as_str() == house);
        let times = mine.filter_map(|exchange| {
            let from = exchange.effective.map_or(i64::MIN, |moment| moment.0);
            Some((from, scale(Decimal::parse(exchange.rate.as_str()).ok()?)?))
        });
        Scales::from_times(times.collect())
    });
    Ok((house.as_str().into(), scales.collect()))
}
