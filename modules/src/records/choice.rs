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

/// The choice with another standing of the vendor at `place`. `None`: there is none.
pub(super) fn restand(choice: &[u8], place: usize, standing: &[u8]) -> Option<Vec<u8>> {
    let mut from = Decoder::new(choice);
    for _ in 0..place {
        read_one(&mut from)?;
    }
    let at = choice.len() - from.rest().len();
    let (before, behind) = choice.split_at_checked(at)?;
    let (&length, behind) = behind.split_first()?;
    let behind = behind.get(usize::from(length)..)?;
    let standing = standing.get(..CANDIDATE_NAME_BYTES_MAX).unwrap_or(standing);
    Some([before, &[u8::try_from(standing.len()).ok()?], standing, behind].concat())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn one(vendor: &str, out: &mut Vec<u8>) {
        for text in ["routed", vendor] {
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&Code::parse(b"49").unwrap().packed().to_le_bytes());
        out.push(1);
        out.extend_from_slice(&1_500_i64.to_le_bytes());
        out.push(4);
        out.extend_from_slice(b"USD");
    }

    #[test]
    fn a_vendor_that_was_passed_over_stands_so_and_the_others_as_before() {
        let mut choice = Vec::new();
        ["delta", "echo", "foxtrot"].iter().for_each(|vendor| one(vendor, &mut choice));
        let before = read(&choice);
        let after = restand(&choice, 1, b"at its cap of calls").unwrap();
        let again = restand(&after, 2, b"no gateway that is up").unwrap();
        let mut wanted = before.clone();
        wanted[1].standing = "at its cap of calls".to_owned();
        wanted[2].standing = "no gateway that is up".to_owned();
        assert_eq!((read(&again), before.len()), (wanted, 3));
        assert_eq!(restand(&choice, 3, b"x"), None, "there is no fourth");
        assert!(restand(&choice, 0, &[b'x'; 300]).is_some_and(|long| read(&long).len() == 3));
    }
}
