//! Fields of a row: codes with their lists and ranges, prices, increments.

use super::finding::Odd;
use crate::billing::Increments;
use crate::code::Code;
use crate::money::{Decimal, DecimalError};

/// Most codes that one range or one row stands for.
pub(crate) const RANGE_CODES_MAX: u64 = 10_000;

/// Calls `each` with every code of `text`: a list of codes and ranges, each after `before`.
pub(crate) fn codes(text: &str, before: &str, each: &mut dyn FnMut(Code)) -> Result<(), Odd> {
    let mut count = 0;
    for part in text.split([';', ',', '|', '\n', '&']).map(str::trim).filter(|part| !part.is_empty()) {
        count += one_or_range(part, before, RANGE_CODES_MAX.saturating_sub(count), each)?;
    }
    if count == 0 { Err(Odd::NoCode) } else { Ok(()) }
}

fn one_or_range(part: &str, before: &str, room: u64, each: &mut dyn FnMut(Code)) -> Result<u64, Odd> {
    if part.contains(['E', 'e']) && part.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Odd::SpreadsheetCode);
    }
    let range = part.split_once(['-', '–', '—']).filter(|(low, _)| !low.trim().is_empty());
    let Some((low, high)) = range else {
        each(code(part, before)?);
        return if room == 0 { Err(Odd::BadRange) } else { Ok(1) };
    };
    let (low, mut high) = (digits(low).ok_or(Odd::BadCode)?, digits(high).ok_or(Odd::BadCode)?);
    if high.len() < low.len() {
        // 4470-79: only what differs is written.
        high.insert_str(0, low.get(..low.len() - high.len()).unwrap_or_default());
    }
    let bounds = low.parse::<u64>().ok().zip(high.parse::<u64>().ok());
    let (first, last) = bounds.filter(|(first, last)| high.len() == low.len() && first <= last).ok_or(Odd::BadRange)?;
    if last - first >= room {
        return Err(Odd::BadRange);
    }
    for value in first..=last {
        each(code(&format!("{value:0width$}", width = low.len()), before)?);
    }
    Ok(last - first + 1)
}

fn code(text: &str, before: &str) -> Result<Code, Odd> {
    // The ordinary case allocates nothing.
    if before.is_empty()
        && let Some(code) = Code::parse(text.as_bytes())
    {
        return if code.is_empty() { Err(Odd::NoCode) } else { Ok(code) };
    }
    let digits = digits(text).ok_or(Odd::BadCode)?;
    Code::parse([before, &digits].concat().as_bytes()).filter(|code| !code.is_empty()).ok_or(Odd::BadCode)
}

/// The digits of a code as people write it: a leading `+`, an apostrophe that keeps a spreadsheet from
/// counting, blanks, dots, brackets.
fn digits(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('\'');
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '.' | '(' | ')' | '\u{a0}')).collect();
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// What stands in a price column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nothing, or a word for it.
    Closed,
    /// A number.
    Number(Decimal),
}

/// Reads a price: `0.0123`, `0,0123`, `$ 0.0123`, `1.234,5`, `9E-04`; empty, `blocked` and `closed` close.
pub(crate) fn price(text: &str) -> Result<Written, Odd> {
    // The ordinary case first: plain digits with a point.
    match Decimal::parse(text) {
        Ok(number) if number.units >= 0 => return Ok(Written::Number(number)),
        Ok(_) => return Err(Odd::NegativePrice),
        Err(DecimalError::Empty) => return Ok(Written::Closed),
        Err(DecimalError::TooFine | DecimalError::TooLarge) => return Err(Odd::BadPrice),
        Err(DecimalError::Malformed) => {}
    }
    if closes(text) {
        return Ok(Written::Closed);
    }
    match Decimal::parse(&with_point(text).ok_or(Odd::BadPrice)?) {
        Ok(number) if number.units < 0 => Err(Odd::NegativePrice),
        Ok(number) => Ok(Written::Number(number)),
        Err(_) => Err(Odd::BadPrice),
    }
}

/// A word in a price or status column that closes a code.
pub(crate) fn closes(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "blocked",
        "block",
        "closed",
        "close",
        "barred",
        "deleted",
        "delete",
        "removed",
        "remove",
        "discontinued",
        "suspended",
        "withdrawn",
    ];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(text.trim()))
}

/// The number in `text` with a decimal point, without currency and separators of thousands.
///
/// The last of point and comma is the decimal one; where there is only one of them it is a decimal one too:
/// no deck has a price of 1,234 a minute.
fn with_point(text: &str) -> Option<String> {
    let bare = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '$' | '€' | '£'));
    let bare = bare.trim_matches(|c: char| c.is_ascii_alphabetic()).trim();
    let decimal = bare.rfind(['.', ',']);
    let mut number = String::with_capacity(bare.len());
    for (at, c) in bare.char_indices() {
        match c {
            '.' | ',' if Some(at) == decimal => number.push('.'),
            '.' | ',' if bare.get(decimal?..decimal? + 1) == bare.get(at..=at) => return None,
            '.' | ',' | '\'' | ' ' | '\u{a0}' | '\u{202f}' => {}
            c => number.push(c),
        }
    }
    Some(number)
}

/// `60/60`, `30-6`, `1`; three numbers are initial, next, further: refused unless the last two agree.
pub(crate) fn increments(text: &str) -> Result<Increments, Odd> {
    let parts: Result<Vec<u16>, Odd> = text.split(['/', '-', '+', ':', ';', ',', '|']).map(seconds).collect();
    match *parts?.as_slice() {
        [both] if both > 0 => Ok(Increments { initial: both, subsequent: both }),
        [initial, subsequent] if subsequent > 0 => Ok(Increments { initial, subsequent }),
        [initial, next, further] if next == further && next > 0 => Ok(Increments { initial, subsequent: next }),
        _ => Err(Odd::BadIncrements),
    }
}

/// Whole seconds, as `60`, `60.0` or `60s`.
pub(crate) fn seconds(text: &str) -> Result<u16, Odd> {
    let bare = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let whole =
        bare.split_once('.').filter(|(_, rest)| rest.bytes().all(|b| b == b'0')).map_or(bare, |(whole, _)| whole);
    whole.parse().map_err(|_| Odd::BadIncrements)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str, before: &str) -> Result<String, Odd> {
        let mut found = Vec::new();
        codes(text, before, &mut |code| found.push(code.to_string()))?;
        Ok(found.join(" "))
    }

    #[test]
    fn codes_lists_and_ranges() {
        for (text, before, expected) in [
            ("44", "", "44"),
            ("+44 (20)", "", "4420"),
            ("'44", "", "44"),
            ("44;45, 46|47", "", "44 45 46 47"),
            ("4470-4473", "", "4470 4471 4472 4473"),
            ("4470 – 4471; 49", "", "4470 4471 49"),
            ("4479-81", "", "4479 4480 4481"),
            ("070-072", "44", "44070 44071 44072"),
            ("7, 8-9", "44", "447 448 449"),
        ] {
            assert_eq!(list(text, before).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("", Odd::NoCode),
            (" ; ", Odd::NoCode),
            ("44x", Odd::BadCode),
            ("4.47E+11", Odd::SpreadsheetCode),
            ("1234567890123456", Odd::BadCode),
            ("4479-4470", Odd::BadRange),
            ("1-201", Odd::BadRange),
            ("10000-20000", Odd::BadRange),
            ("-44", Odd::BadCode),
            ("44-", Odd::BadCode),
            ("1-2-3", Odd::BadCode),
        ] {
            assert_eq!(list(text, ""), Err(expected), "{text}");
        }
    }

    #[test]
    fn prices_of_many_habits() {
        let number = |text: &str| Ok(Written::Number(Decimal::parse(text).unwrap()));
        for (text, expected) in [
            ("0.0123", "0.0123"),
            ("0,0123", "0.0123"),
            ("$0.0123", "0.0123"),
            ("0.0123 USD", "0.0123"),
            ("€ 0,0123", "0.0123"),
            ("1.234,5", "1234.5"),
            ("1,234.5", "1234.5"),
            ("1,234", "1.234"),
            (".5", "0.5"),
            ("9E-04", "0.0009"),
            ("1 234.5", "1234.5"),
        ] {
            assert_eq!(price(text), number(expected), "{text}");
        }
        assert_eq!([price(""), price("Blocked"), price("CLOSED")], [Ok(Written::Closed); 3]);
        assert_eq!(price("-0.01"), Err(Odd::NegativePrice));
        for text in ["n/a", "0.01.02", "1,2,3", "abc", "0.0123 0.0124x1", "$", "0.0000000000001"] {
            assert_eq!(price(text), Err(Odd::BadPrice), "{text}");
        }
    }

    #[test]
    fn increments_of_many_habits() {
        let expect = |text: &str, initial, subsequent| {
            assert_eq!(increments(text), Ok(Increments { initial, subsequent }), "{text}")
        };
        expect("60/60", 60, 60);
        expect("30-6", 30, 6);
        expect("1", 1, 1);
        expect("60.0/1.0", 60, 1);
        expect("1/1/1", 1, 1);
        expect("0/1", 0, 1);
        expect("60 s / 1 s", 60, 1);
        for text in ["", "1/0", "0", "60/30/1", "a", "70000", "1.5"] {
            assert_eq!(increments(text), Err(Odd::BadIncrements), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[0-9;,.eE–+-]{0,40}", before in "[0-9]{0,6}") {
            let mut count = 0_u64;
            let _ = codes(&text, &before, &mut |_| count += 1);
            prop_assert!(count <= RANGE_CODES_MAX);
            let _ = (price(&text), increments(&text), seconds(&text));
        }
    }
}
