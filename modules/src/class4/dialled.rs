//! Numbers as trunks write them, and as decks do: E.164 digits with the country code, without `+`.
//!
//! What comes from a customer is read by [`Inward`], what goes to a vendor is written by [`Outward`].
//! `rn` (RFC 4694) is the routing number of a ported one.

use deck::Code;

/// Most digits of a number that is carried on: E.164 has 15, prefixes for carriers some more.
const DIGITS_MAX: usize = 30;

/// The digits of a called number, normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digits {
    digits: [u8; DIGITS_MAX],
    len: u8,
}

impl Digits {
    /// As text.
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// As decks look it up; `None`: there are none.
    pub fn code(&self) -> Option<Code> {
        Code::of_number(self.as_bytes())
    }

    /// Of digits alone; `None`: anything else is among them, or too many, or none.
    pub(super) fn of_digits(digits: &[u8]) -> Option<Self> {
        Digits::read(digits).filter(|read| read.len > 0)
    }

    fn push(&mut self, digits: &[u8]) -> Option<()> {
        let end = usize::from(self.len) + digits.len();
        self.digits.get_mut(usize::from(self.len)..end)?.copy_from_slice(digits);
        self.len = u8::try_from(end).ok()?;
        Some(())
    }

    /// `digits` with what people write between them left out; `None`: anything else is among them, or too many.
    fn read(text: &[u8]) -> Option<Self> {
        let mut read = Digits::default();
        // RFC 3966 §5.1.1: visual separators mean nothing.
        for byte in text.iter().filter(|byte| !matches!(byte, b'-' | b'.' | b'(' | b')')) {
            read.push(byte.is_ascii_digit().then_some(std::slice::from_ref(byte))?)?;
        }
        Some(read)
    }

    fn joined(parts: [&[u8]; 2]) -> Option<Self> {
        let mut joined = Digits::default();
        parts.into_iter().try_for_each(|part| joined.push(part))?;
        Some(joined)
    }
}

/// How a customer writes numbers.
#[derive(Clone, Debug, Default)]
pub struct Inward {
    /// Digits taken off, after the tech prefix.
    pub strip: usize,
    /// Digits put before what is left.
    pub add: Box<str>,
    /// Country code of national numbers; `None`: all numbers have one.
    pub country: Option<Box<str>>,
    /// What a national number begins with.
    pub national: Box<str>,
    /// What an international one begins with.
    pub international: Box<str>,
}

impl Inward {
    /// The called number of a user part (without its parameters) after `tech_prefix`. `None`: malformed.
    pub fn called(&self, user: &[u8], tech_prefix: &str) -> Option<Digits> {
        let user = user.strip_prefix(b"+").filter(|_| !tech_prefix.is_empty()).unwrap_or(user);
        let rest = user.strip_prefix(tech_prefix.as_bytes())?;
        let (global, rest) = match rest.strip_prefix(b"+") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let digits = Digits::read(rest)?;
        let digits = Digits::joined([self.add.as_bytes(), digits.as_bytes().get(self.strip..)?])?;
        let changed = self.strip > 0 || !self.add.is_empty();
        self.with_country_code(digits, global && !changed).filter(|digits| digits.len > 0)
    }

    /// The digits after `tech_prefix` as they were dialled: short numbers have no country code. `None`: malformed.
    pub fn as_dialled(&self, user: &[u8], tech_prefix: &str) -> Option<Digits> {
        let user = user.strip_prefix(b"+").filter(|_| !tech_prefix.is_empty()).unwrap_or(user);
        let rest = user.strip_prefix(tech_prefix.as_bytes())?;
        Digits::read(rest.strip_prefix(b"+").unwrap_or(rest)).filter(|digits| digits.len > 0)
    }

    /// A caller's number, as it stands in a user part. `None`: it has none that could be one.
    pub fn caller(&self, user: &[u8]) -> Option<Digits> {
        let (global, rest) = match user.strip_prefix(b"+") {
            Some(rest) => (true, rest),
            None => (false, user),
        };
        self.with_country_code(Digits::read(rest)?, global).filter(|digits| digits.len > 0)
    }

    fn with_country_code(&self, digits: Digits, global: bool) -> Option<Digits> {
        let Some(country) = self.country.as_ref().filter(|_| !global) else { return Some(digits) };
        let bytes = digits.as_bytes();
        if let Some(abroad) = bytes.strip_prefix(self.international.as_bytes()) {
            return Digits::joined([b"", abroad]);
        }
        match bytes.strip_prefix(self.national.as_bytes()) {
            Some(national) => Digits::joined([country.as_bytes(), national]),
            None => Some(digits),
        }
    }
}

/// How a vendor wants numbers.
#[derive(Clone, Debug, Default)]
pub struct Outward {
    /// Digits taken off.
    pub strip: usize,
    /// Digits put before what is left.
    pub add: Box<str>,
    /// With a `+` before all.
    pub plus: bool,
}

/// A user part for a vendor, with the parameters that the customer's had.
#[derive(Clone, Copy, Debug)]
pub struct UserPart {
    bytes: [u8; USER_PART_BYTES],
    len: usize,
}

const USER_PART_BYTES: usize = 256;

impl UserPart {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Outward {
    /// The user part; all `parameters` begin with `;` or are empty. `None`: it is too long.
    pub fn write<const N: usize>(&self, digits: &Digits, parameters: [&[u8]; N]) -> Option<UserPart> {
        let mut user = UserPart { bytes: [0; USER_PART_BYTES], len: 0 };
        let plus: &[u8] = if self.plus { b"+" } else { b"" };
        let rest = digits.as_bytes().get(self.strip..).unwrap_or_default();
        for part in [plus, self.add.as_bytes(), rest].into_iter().chain(parameters) {
            let end = user.len + part.len();
            user.bytes.get_mut(user.len..end)?.copy_from_slice(part);
            user.len = end;
        }
        Some(user)
    }
}

/// A user part taken apart: the number, its parameters with the `;` before them.
pub fn split(user: &[u8]) -> (&[u8], &[u8]) {
    let at = user.iter().position(|byte| *byte == b';').unwrap_or(user.len());
    user.split_at_checked(at).unwrap_or((user, b""))
}

/// The routing number of a user part's parameters, as it is written there.
pub(super) fn routing_text(parameters: &[u8]) -> Option<&[u8]> {
    let mut values = parameters.split(|byte| *byte == b';').filter_map(|parameter| {
        let (name, value) = parameter.split_at_checked(3)?;
        name.eq_ignore_ascii_case(b"rn=").then_some(value)
    });
    let value = values.next()?;
    Some(value.strip_prefix(b"+").unwrap_or(value))
}

/// The routing number among the parameters of a user part (RFC 4694 §3); `None`: there is none, or not a global one.
pub fn routing_number(parameters: &[u8]) -> Option<Code> {
    Digits::read(routing_text(parameters)?)?.code()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn german() -> Inward {
        Inward { country: Some("49".into()), national: "0".into(), international: "00".into(), ..Inward::default() }
    }

    fn called(inward: &Inward, user: &str, tech: &str) -> Option<String> {
        inward.called(user.as_bytes(), tech).map(|digits| String::from_utf8(digits.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn numbers_get_their_country_code() {
        for (user, expected) in [
            ("+4930123", Some("4930123")),
            ("004930123", Some("4930123")),
            ("030123", Some("4930123")),
            ("4930123", Some("4930123")),
            ("+49-30-(1).23", Some("4930123")),
            ("0", Some("49")),
            ("alice", None),
            ("", None),
            ("+", None),
            ("49*30", None),
            ("1234567890123456789012345678901", None),
        ] {
            assert_eq!(called(&german(), user, "").as_deref(), expected, "{user}");
        }
    }

    #[test]
    fn prefixes_come_off_in_their_order() {
        let inward = Inward { strip: 2, add: "44".into(), ..Inward::default() };
        assert_eq!(called(&inward, "7001992079", "7001").as_deref(), Some("442079"));
        assert_eq!(called(&inward, "+7001992079", "7001").as_deref(), Some("442079"));
        assert_eq!(called(&inward, "7001+992079", "7001").as_deref(), Some("442079"));
        assert_eq!(called(&inward, "992079", "7001"), None, "not this customer's");
        assert_eq!(called(&inward, "9", ""), None, "less than is taken off");
        assert_eq!(called(&german(), "7001030123", "7001").as_deref(), Some("4930123"));
    }

    #[test]
    fn vendors_get_what_they_want() {
        let digits = german().called(b"+4930123", "").unwrap();
        let user = |outward: Outward| {
            String::from_utf8(outward.write(&digits, [&b";rn=1"[..]]).unwrap().as_bytes().to_vec()).unwrap()
        };
        assert_eq!(user(Outward::default()), "4930123;rn=1");
        assert_eq!(user(Outward { plus: true, ..Outward::default() }), "+4930123;rn=1");
        assert_eq!(user(Outward { strip: 2, add: "0".into(), plus: false }), "030123;rn=1");
        assert_eq!(user(Outward { strip: 20, add: "9".into(), plus: false }), "9;rn=1");
        assert!(Outward::default().write(&digits, [&[b';'; 300][..]]).is_none());
    }

    #[test]
    fn the_routing_number_is_found() {
        let shown = |user: &str| routing_number(split(user.as_bytes()).1).map(|code| code.to_string());
        assert_eq!(shown("+12125551234;rn=+12015550000;npdi").as_deref(), Some("12015550000"));
        assert_eq!(shown("1212;npdi;RN=1-201").as_deref(), Some("1201"));
        assert_eq!([shown("1212"), shown("1212;rn="), shown("1212;rn=x"), shown("1212;rnx=1")], [const { None }; 4]);
    }
}
