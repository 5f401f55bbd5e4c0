//! The North American Numbering Plan: which calls stay within a state.
//!
//! The state of an exchange comes from an imported table (NPA-NXX, or NPA-NXX-X where thousands of one
//! exchange lie in different states). The list of area codes that are no state's stands here: it changes
//! once in some years.

use crate::code::Code;
use std::collections::BTreeMap;

/// Where a call runs, which decides its price in the United States.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Jurisdiction {
    /// The called number is not of the plan, or of a country of the plan in the Caribbean.
    International,
    /// Different states.
    Inter,
    /// The same state.
    Intra,
    /// The caller is missing, toll-free, in a territory or outside the plan, or a state is not known.
    Indeterminate,
    /// The same state, and the table of exchange pairs has it.
    Local,
}

impl Jurisdiction {
    /// Name for people and records.
    pub const fn label(self) -> &'static str {
        match self {
            Jurisdiction::International => "international",
            Jurisdiction::Inter => "interstate",
            Jurisdiction::Intra => "intrastate",
            Jurisdiction::Indeterminate => "indeterminate",
            Jurisdiction::Local => "local",
        }
    }
}

/// What an area code (three digits after the 1) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    /// A state of the United States or a province of Canada: its table says which.
    State,
    /// Free for the caller.
    TollFree,
    /// A territory of the United States.
    Territory,
    /// Another country.
    Abroad,
    /// Not of the plan at all.
    Outside,
}

/// Toll-free area codes in use and held ready.
const TOLL_FREE: [u16; 8] = [800, 822, 833, 844, 855, 866, 877, 888];
/// Puerto Rico, Virgin Islands, Northern Marianas, Guam, American Samoa.
const TERRITORIES: [u16; 6] = [340, 670, 671, 684, 787, 939];
/// Countries and dependencies in the Caribbean and the Atlantic.
const ABROAD: [u16; 21] =
    [242, 246, 264, 268, 284, 345, 441, 473, 649, 658, 664, 721, 758, 767, 784, 809, 829, 849, 868, 869, 876];

impl Area {
    /// Of a number with its country code.
    pub(crate) fn of(number: Code) -> Self {
        if number.len() < 4 || number.symbol(0) != 2 {
            return Area::Outside;
        }
        let digit = |place: usize| u16::try_from(number.symbol(place).saturating_sub(1)).unwrap_or(0);
        let area = digit(1) * 100 + digit(2) * 10 + digit(3);
        match area {
            _ if TOLL_FREE.contains(&area) => Area::TollFree,
            _ if TERRITORIES.contains(&area) => Area::Territory,
            _ if ABROAD.contains(&area) => Area::Abroad,
            200.. => Area::State,
            _ => Area::Outside,
        }
    }
}

/// Decides where a call runs. `state` gives the state of a number, `local` whether two exchanges (as
/// [`pair`] joins them) are local to one another.
pub(crate) fn jurisdiction(
    caller: Option<Code>,
    called: Code,
    state: impl Fn(Code) -> Option<u32>,
    local: impl Fn(u64) -> bool,
) -> Jurisdiction {
    match Area::of(called) {
        Area::Outside | Area::Abroad => return Jurisdiction::International,
        Area::TollFree => return Jurisdiction::Indeterminate,
        Area::State | Area::Territory => {}
    }
    let Some(caller) = caller.filter(|caller| Area::of(*caller) == Area::State) else {
        return Jurisdiction::Indeterminate;
    };
    match (state(caller), state(called)) {
        (Some(from), Some(to)) if from != to => Jurisdiction::Inter,
        (Some(_), Some(_)) if local(pair(caller, called)) => Jurisdiction::Local,
        (Some(_), Some(_)) => Jurisdiction::Intra,
        _ => Jurisdiction::Indeterminate,
    }
}

/// Digits that name an exchange: 1, NPA, NXX.
const EXCHANGE_DIGITS: usize = 7;

/// Two exchanges as one number that sorts.
pub(crate) fn pair(from: Code, to: Code) -> u64 {
    from.first(EXCHANGE_DIGITS).value() << 32 | to.first(EXCHANGE_DIGITS).value()
}

/// States by exchange, and which exchanges are local to one another.
#[derive(Clone, Debug, Default)]
pub struct StateTable {
    names: Vec<String>,
    numbers: BTreeMap<String, u16>,
    exchanges: BTreeMap<Code, u16>,
    pairs: Vec<u64>,
}

/// Why a row of the table of states is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// Not NPA-NXX or NPA-NXX-X.
    BadExchange,
    /// Not two letters.
    BadState,
}

impl StateTable {
    /// Adds an exchange: six or seven digits, with or without the leading 1; a later row replaces.
    ///
    /// # Errors
    /// When it is none, or the state is not two letters.
    pub fn exchange(&mut self, digits: &str, state: &str) -> Result<(), StateError> {
        let code = exchange(digits).ok_or(StateError::BadExchange)?;
        if state.len() != 2 || !state.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(StateError::BadState);
        }
        let state = state.to_ascii_uppercase();
        let next = u16::try_from(self.names.len()).map_err(|_| StateError::BadState)?;
        let number = *self.numbers.entry(state.clone()).or_insert(next);
        if number == next {
            self.names.push(state);
        }
        self.exchanges.insert(code, number);
        Ok(())
    }

    /// Makes calls from one exchange to another local (in this direction).
    ///
    /// # Errors
    /// When either is none.
    pub fn local(&mut self, from: &str, to: &str) -> Result<(), StateError> {
        let (from, to) = (exchange(from).ok_or(StateError::BadExchange)?, exchange(to).ok_or(StateError::BadExchange)?);
        self.pairs.push(pair(from, to));
        Ok(())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (Code, u16)> {
        self.exchanges.iter().map(|(code, state)| (*code, *state))
    }

    pub(crate) fn local_pairs(&self) -> impl Iterator<Item = u64> {
        let mut pairs = self.pairs.clone();
        pairs.sort_unstable();
        pairs.dedup();
        pairs.into_iter()
    }
}

/// `201555`, `2015551`, `1201555`, `201-555`, with the 1 in front.
fn exchange(text: &str) -> Option<Code> {
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    let digits = digits.strip_prefix('1').unwrap_or(&digits);
    if !matches!(digits.len(), 6 | 7) {
        return None;
    }
    Code::parse(format!("1{digits}").as_bytes()).filter(|code| Area::of(*code) != Area::Outside)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn of(caller: &str, called: &str) -> Jurisdiction {
        // States by area code alone: 201 and 973 New Jersey, 212 New York, 787 Puerto Rico.
        let state = |number: Code| match number.first(4).value() {
            1201 | 1973 => Some(1),
            1212 => Some(2),
            1787 => Some(3),
            _ => None,
        };
        let local = |asked: u64| asked == pair(Code::parse(b"1201555").unwrap(), Code::parse(b"1201556").unwrap());
        jurisdiction(Code::of_number(caller.as_bytes()), Code::of_number(called.as_bytes()).unwrap(), state, local)
    }

    #[test]
    fn where_calls_run() {
        for (caller, called, expected) in [
            ("12015551234", "12125551234", Jurisdiction::Inter),
            ("12015551234", "19735551234", Jurisdiction::Intra),
            ("12015551234", "12015561234", Jurisdiction::Local),
            ("12015561234", "12015551234", Jurisdiction::Intra),
            ("", "12015551234", Jurisdiction::Indeterminate),
            ("18005551234", "12015551234", Jurisdiction::Indeterminate),
            ("17875551234", "12015551234", Jurisdiction::Indeterminate),
            ("18765551234", "12015551234", Jurisdiction::Indeterminate),
            ("4420", "12015551234", Jurisdiction::Indeterminate),
            ("13035551234", "12015551234", Jurisdiction::Indeterminate),
            ("12015551234", "17875551234", Jurisdiction::Inter),
            ("12015551234", "18765551234", Jurisdiction::International),
            ("12015551234", "4420", Jurisdiction::International),
            ("12015551234", "18885551234", Jurisdiction::Indeterminate),
        ] {
            assert_eq!(of(caller, called), expected, "{caller} {called}");
        }
    }

    #[test]
    fn the_table_takes_exchanges_of_many_habits() {
        let mut table = StateTable::default();
        for exchange in ["201555", "201-555-1", "1201556", "1 973 555"] {
            assert_eq!(table.exchange(exchange, "nj"), Ok(()));
        }
        assert_eq!(table.exchange("12", "NJ"), Err(StateError::BadExchange));
        assert_eq!(table.exchange("101555", "NJ"), Err(StateError::BadExchange));
        assert_eq!(table.exchange("201555", "N1"), Err(StateError::BadState));
        assert_eq!((table.states().collect::<Vec<_>>(), table.entries().count()), (vec!["NJ"], 4));
    }
}
