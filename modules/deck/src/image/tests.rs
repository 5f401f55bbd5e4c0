//! The compiled image against a naive model: texts, a loop over all rows, rational money.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::billing::Increments;
use crate::compile::{CompileError, DeckSource, INVALID_ORIGIN, compile};
use crate::money::Decimal;
use crate::nanp::StateTable;
use crate::rows::{ALWAYS, Interned, NEVER, Price, Terms};
use proptest::prelude::*;

/// A row as somebody would write it down.
#[derive(Clone, Debug)]
struct NaiveRow {
    code: String,
    /// `None`: closed. One price, or inter, intra, indeterminate, local.
    price: Option<Result<Decimal, [Decimal; 4]>>,
    effective: Option<i64>,
    expiry: Option<i64>,
    origin: &'static str,
    fee: Decimal,
}

#[derive(Clone, Debug)]
struct NaiveDeck {
    rows: Vec<NaiveRow>,
    rate_on: RateOn,
}

const ORIGINS: [(&str, &str); 4] = [("eea", "49"), ("eea", "33"), ("row", "4"), ("row", "331")];

/// The longest of a deck's prefixes of the caller names its group.
fn naive_origin(caller: &str) -> &'static str {
    let matching = ORIGINS.iter().filter(|(_, prefix)| caller.starts_with(prefix));
    matching.max_by_key(|(_, prefix)| prefix.len()).map_or(INVALID_ORIGIN, |(group, _)| group)
}

fn naive_jurisdiction(caller: &str, called: &str) -> Jurisdiction {
    let state =
        |number: &str| STATES.iter().find(|(exchange, _)| number.starts_with(exchange)).map(|(_, state)| *state);
    match (called.starts_with('1') && called.len() >= 4 && called.as_bytes()[1] >= b'2', state(caller), state(called)) {
        (false, _, _) => Jurisdiction::International,
        (true, Some(from), Some(to)) if from == to => Jurisdiction::Intra,
        (true, Some(_), Some(_)) => Jurisdiction::Inter,
        (true, _, _) => Jurisdiction::Indeterminate,
    }
}

const STATES: [(&str, &str); 3] = [("1222222", "NJ"), ("1222223", "NJ"), ("1333222", "NY")];

fn naive_quote(
    deck: &NaiveDeck,
    dialled: &str,
    routing: &str,
    caller: &str,
    at: i64,
) -> (State, Option<(String, Decimal, Decimal)>) {
    let number = if deck.rate_on == RateOn::Lrn { routing } else { dialled };
    let same = |a: &NaiveRow, b: &NaiveRow| (&a.code, a.origin, a.effective) == (&b.code, b.origin, b.effective);
    // A later row for the same code, origin and effective time replaces the earlier one.
    let rows = deck.rows.iter().enumerate();
    let rows = rows.filter(|(place, row)| !deck.rows.iter().skip(place + 1).any(|later| same(row, later)));
    let all: Vec<&NaiveRow> = rows.map(|(_, row)| row).collect();
    let in_force =
        |row: &&NaiveRow| row.effective.is_none_or(|time| time <= at) && row.expiry.is_none_or(|time| at < time);
    for length in (1..=number.len()).rev() {
        let rows: Vec<_> = all.iter().copied().filter(|row| row.code == number[..length]).filter(in_force).collect();
        if rows.is_empty() {
            continue;
        }
        // The last of those with the latest effective time.
        let latest =
            |origin: &str| rows.iter().filter(|row| row.origin == origin).max_by_key(|row| row.effective).copied();
        let Some(row) = latest(naive_origin(caller)).or_else(|| latest("")) else {
            return (State::NoOrigin, None);
        };
        let price = match row.price {
            None => return (State::Closed, None),
            Some(Ok(price)) => price,
            Some(Err([inter, intra, indeterminate, local])) => match naive_jurisdiction(caller, routing) {
                Jurisdiction::Inter => inter,
                Jurisdiction::Intra => intra,
                Jurisdiction::Indeterminate | Jurisdiction::International => indeterminate,
                Jurisdiction::Local => local,
            },
        };
        return (State::Priced, Some((row.code.clone(), price, row.fee)));
    }
    (State::NoCode, None)
}

fn source(index: usize, deck: &NaiveDeck) -> DeckSource {
    let mut rows = Interned::new();
    for row in &deck.rows {
        let price = match row.price {
            None => Price::Closed,
            Some(Ok(price)) => Price::Flat(price),
            Some(Err([inter, intra, indeterminate, local])) => {
                Price::ByJurisdiction { inter, intra, indeterminate, local }
            }
        };
        let terms = Terms {
            effective: row.effective.unwrap_or(ALWAYS),
            expiry: row.expiry.unwrap_or(NEVER),
            fee: row.fee,
            increments: Increments::SECOND,
            destination: rows.destination("somewhere"),
            origin: rows.origin(row.origin).unwrap(),
        };
        rows.row(Code::parse(row.code.as_bytes()).unwrap(), price, terms);
    }
    let mut rows = rows.finish();
    rows.settle();
    let settings = DeckSettings {
        name: format!("deck-{index}"),
        currency: "USD".into(),
        digits: Digits::new(6).unwrap(),
        rounding: Rounding::Up,
        rate_on: deck.rate_on,
    };
    let origins = ORIGINS.iter().map(|(group, prefix)| ((*group).to_owned(), Code::parse(prefix.as_bytes()).unwrap()));
    DeckSource { settings, rows, origins: origins.collect() }
}

fn states() -> StateTable {
    let mut table = StateTable::default();
    STATES.iter().for_each(|(exchange, state)| table.exchange(exchange, state).unwrap());
    table
}

fn compiled(decks: &[NaiveDeck]) -> Vec<u8> {
    let sources: Vec<_> = decks.iter().enumerate().map(|(index, deck)| source(index, deck)).collect();
    compile(&sources, &states(), &mut |_| ()).unwrap()
}

fn decimal() -> impl Strategy<Value = Decimal> {
    prop_oneof!["[0-9]{1,2}\\.[0-9]{1,6}", "99999[0-9]{1,6}\\.5"].prop_map(|text| Decimal::parse(&text).unwrap())
}

fn row() -> impl Strategy<Value = NaiveRow> {
    let price = prop_oneof![
        1 => Just(None),
        4 => decimal().prop_map(|price| Some(Ok(price))),
        2 => [decimal(), decimal(), decimal(), decimal()].prop_map(|prices| Some(Err(prices))),
    ];
    let time = || proptest::option::of(1_i64..20);
    let origin = prop_oneof![3 => Just(""), 1 => Just("eea"), 1 => Just("row"), 1 => Just(INVALID_ORIGIN)];
    // Few digits, so that codes meet.
    let code = prop_oneof!["[12]{1,7}", "1222222[0-2]{0,3}", "[0-9]{1,15}"];
    (code, price, time(), time(), origin, decimal()).prop_map(|(code, price, effective, expiry, origin, fee)| {
        NaiveRow { code, price, effective, expiry, origin, fee }
    })
}

fn decks() -> impl Strategy<Value = Vec<NaiveDeck>> {
    let deck = (proptest::collection::vec(row(), 0..60), any::<bool>())
        .prop_map(|(rows, lrn)| NaiveDeck { rows, rate_on: if lrn { RateOn::Lrn } else { RateOn::Dialled } });
    proptest::collection::vec(deck, 1..6)
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof!["[12]{1,12}", "(1222222|1222223|1333222|49|331|4|8)[0-9]{4,8}", "[0-9]{1,15}"]
}

fn code(number: &str) -> Code {
    Code::of_number(number.as_bytes()).unwrap()
}

proptest! {
    // Each case builds images of almost a megabyte.
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn answers_as_the_naive_model(decks in decks(), calls in proptest::collection::vec((number(), number(), number(), 0_i64..21), 1..40)) {
        let image = Image::open(compiled(&decks)).unwrap();
        let asked = Asked::all(&image);
        let mut quotes = Quotes::for_asked(&asked);
        for (dialled, routing, caller, at) in calls {
            let question = Question { dialled: code(&dialled), routing: code(&routing), caller: Some(code(&caller)), at };
            image.quote(&question, &asked, &mut quotes);
            for (index, (deck, found)) in decks.iter().zip(&quotes.found).enumerate() {
                let (state, expected) = naive_quote(deck, &dialled, &routing, &caller, at);
                prop_assert_eq!(found.state, state, "{} {} {}", dialled, routing, index);
                if let Some((code, price, fee)) = expected {
                    let detail = image.detail(index, found).unwrap();
                    prop_assert_eq!((found.code.to_string(), detail.price, detail.fee), (code, price, fee));
                }
            }
        }
    }

    #[test]
    fn rows_come_back_and_the_same_decks_give_the_same_octets(decks in decks()) {
        let octets = compiled(&decks);
        prop_assert_eq!(&octets, &compiled(&decks));
        let image = Image::open(octets.as_slice()).unwrap();
        let again: Vec<_> = decks.iter().enumerate().map(|(index, deck)| {
            let rows = image.rows(index);
            DeckSource { rows, ..source(index, deck) }
        }).collect();
        let again = compile(&again, &states(), &mut |_| ()).unwrap();
        let again = Image::open(again).unwrap();
        for (index, deck) in decks.iter().enumerate() {
            // Tables may be in another order; each row must say the same.
            let said = |image: &Image<Vec<u8>>| -> Vec<String> {
                let rows = image.rows(index);
                let one = |row: &crate::rows::Row| {
                    let terms = rows.terms_of(row).unwrap();
                    format!("{} {:?} {:?} {}", row.code, rows.price_of(row), (terms.effective, terms.expiry, terms.fee, terms.increments), rows.origins[usize::from(terms.origin)])
                };
                let mut said: Vec<String> = rows.rows.iter().map(one).collect();
                said.sort();
                said
            };
            let image = Image::open(octets.clone()).unwrap();
            prop_assert_eq!(said(&image), said(&again));
            prop_assert_eq!(image.decks()[index].rows as usize, image.rows(index).rows.len());
            prop_assert!(image.rows(index).rows.len() <= deck.rows.len());
        }
    }

    #[test]
    fn damage_is_noticed_and_harmless(decks in decks(), at in any::<prop::sample::Index>(), with in 1_u8.., cut in any::<prop::sample::Index>(), calls in proptest::collection::vec((number(), number()), 1..20)) {
        let mut octets = compiled(&decks);
        let cut = cut.index(octets.len());
        prop_assert!(Image::open(&octets[..cut]).is_err());
        let _ = Image::open_unhashed(&octets[..cut]).map(|image| ask_everything(&image, &calls));
        // Anywhere, and in the header or the first blocks and nodes, where it does most.
        for at in [at.index(octets.len()), at.index(1024)] {
            octets[at] ^= with;
            prop_assert!(Image::open(octets.as_slice()).is_err());
            let _ = Image::open_unhashed(octets.as_slice()).map(|image| ask_everything(&image, &calls));
        }
    }

    #[test]
    fn any_blocks_and_nodes_are_harmless(decks in decks(), noise in proptest::collection::vec(any::<u8>(), 64..512), calls in proptest::collection::vec((number(), number()), 1..20)) {
        let octets = compiled(&decks);
        let image = Image::open_unhashed(octets.as_slice()).unwrap();
        for section in [Section::Blocks, Section::Nodes, Section::Terms, Section::Direct, Section::Names, Section::OriginBlocks] {
            let range = image.sections.range(section);
            let mut octets = octets.clone();
            for (place, octet) in octets[range].iter_mut().enumerate() {
                *octet ^= noise[place % noise.len()];
            }
            let _ = Image::open_unhashed(octets.as_slice()).map(|image| ask_everything(&image, &calls));
        }
    }
}

/// Must neither panic nor run for ever.
fn ask_everything<B: AsRef<[u8]>>(image: &Image<B>, calls: &[(String, String)]) {
    let asked = Asked::all(image);
    let mut quotes = Quotes::for_asked(&asked);
    for (called, caller) in calls {
        let (dialled, caller) = (code(called), Some(code(caller)));
        image.quote(&Question { dialled, routing: dialled, caller, at: 10 }, &asked, &mut quotes);
        for (deck, found) in quotes.found.iter().enumerate() {
            let _ = (image.detail(deck, found), image.cost(deck, found, 61_000_000));
        }
        let _ = image.state(dialled);
    }
    (0..image.decks().len()).for_each(|deck| drop(image.rows(deck)));
}

#[test]
fn a_row_becomes_effective_by_the_clock() {
    let row = |effective, price: &str| NaiveRow {
        code: "44".into(),
        price: Some(Ok(Decimal::parse(price).unwrap())),
        effective,
        expiry: None,
        origin: "",
        fee: Decimal::ZERO,
    };
    let image =
        Image::open(compiled(&[NaiveDeck { rows: vec![row(None, "1"), row(Some(1000), "2")], rate_on: RateOn::Lrn }]))
            .unwrap();
    let asked = Asked::all(&image);
    let mut quotes = Quotes::for_asked(&asked);
    for (at, price) in [(999, 10), (1000, 20)] {
        let number = code("4420");
        image.quote(&Question { dialled: number, routing: number, caller: None, at }, &asked, &mut quotes);
        let found = quotes.found[0];
        assert_eq!(found.price * 10 / image.decks()[0].price_digits.scale(), price, "{at}");
        // 61 seconds at 2 a minute.
        let (billed, amount) = image.cost(0, &found, 60_000_001).unwrap();
        assert_eq!((billed, amount.to_string()), (61, if at == 1000 { "2.033333" } else { "1.016667" }.to_owned()));
    }
}

#[test]
fn what_cannot_be_compiled_is_said() {
    let deck = |name: &str, currency: &str, origin| {
        let mut source = source(0, &NaiveDeck { rows: Vec::new(), rate_on: RateOn::Lrn });
        (source.settings.name, source.settings.currency) = (name.to_owned(), currency.to_owned());
        source.rows.origins = vec![String::new(), origin];
        source
    };
    let plain = deck("a", "USD", "eea".into());
    let error = |decks: &[DeckSource]| compile(decks, &StateTable::default(), &mut |_| ()).unwrap_err();
    assert_eq!(error(&[plain.clone(), plain]), CompileError::DuplicateDeck("a".into()));
    assert_eq!(error(&[deck("a", "dollars", "eea".into())]), CompileError::BadCurrency("dollars".into()));
    assert_eq!(error(&[deck("a", "USD", "mars".into())]), CompileError::UnknownOrigin("a".into(), "mars".into()));
    let many: Vec<_> = (0..1025).map(|index| deck(&index.to_string(), "USD", INVALID_ORIGIN.into())).collect();
    assert_eq!(error(&many), CompileError::TooManyDecks);
    assert!(compile(&[], &StateTable::default(), &mut |_| ()).is_ok());
}
