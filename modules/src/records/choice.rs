//! The explanation of a choice among vendors, in few bytes: every vendor of the plan, its price, and why it was out.
//!
//! ```text
//! standing: length, text  code  price: units, digits  currency  name: length, text
//!              1            8          8       1          3          1
//! ```

use crate::class4::{Candidate, Decision, Trunks};
use crate::encoding::Decoder;
use deck::Code;
use deck::image::State;
use deck::money::{Decimal, Digits};
use limits::records::{CANDIDATE_NAME_BYTES_MAX, CANDIDATES_MAX};

/// A vendor as it stood with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stood {
    /// Its name.
    pub vendor: String,
    /// `routed`, or why it was out.
    pub standing: String,
    /// Code of its deck; empty: none.
    pub prefix: String,
    /// Price of a minute; `None`: it has none.
    pub price: Option<Decimal>,
    /// Its currency.
    pub currency: String,
}

/// Appends all vendors of a decision, in the order of their turns.
pub(super) fn write(trunks: &Trunks, decision: &Decision<'_>, out: &mut Vec<u8>) {
    for candidate in decision.candidates.iter().take(CANDIDATES_MAX) {
        write_one(trunks, candidate, out);
    }
}

fn write_one(trunks: &Trunks, candidate: &Candidate, out: &mut Vec<u8>) {
    let (Some(vendor), Some(deck)) =
        (trunks.vendor_at(candidate.vendor), trunks.image.decks().get(usize::from(candidate.deck)))
    else {
        return;
    };
    let mut short = |text: &[u8]| {
        let text = text.get(..CANDIDATE_NAME_BYTES_MAX).unwrap_or(text);
        // INVARIANT: what is cut to so much has a length of one byte.
        out.push(u8::try_from(text.len()).unwrap_or(0));
        out.extend_from_slice(text);
    };
    short(candidate.standing.label().as_bytes());
    short(vendor.name.as_bytes());
    out.extend_from_slice(&candidate.found.code.packed().to_le_bytes());
    out.push(u8::from(candidate.found.state == State::Priced));
    out.extend_from_slice(&candidate.found.price.to_le_bytes());
    out.push(deck.price_digits.count());
    out.extend(deck.settings.currency.bytes().chain(std::iter::repeat(b' ')).take(3));
}

/// Reads a choice; stops at what is none.
pub fn read(bytes: &[u8]) -> Vec<Stood> {
    let mut from = Decoder::new(bytes);
    std::iter::from_fn(|| read_one(&mut from)).collect()
}

fn read_one(from: &mut Decoder<'_>) -> Option<Stood> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let standing = from.short_text().map(text)?;
    let vendor = from.short_text().map(text)?;
    let code = Code::from_packed(from.long()?)?;
    let priced = from.flag()?;
    let price = Decimal { units: from.long()?.cast_signed(), digits: Digits::new(from.byte()?)? };
    let currency = text(&from.number::<3>()?).trim_end().to_owned();
    let prefix = if code.is_empty() { String::new() } else { code.to_string() };
    Some(Stood { vendor, standing, prefix, price: priced.then_some(price), currency })
}
