//! Characters and small pieces of RFC 3261 §25.1 that every value is made of: linear white space,
//! tokens, quoted strings, parameters. Used by the value parsers of this folder only.
//!
//! WHY: CR and LF count as white space here, because `parse` has already refused every CR or LF that
//! is not part of a folding.

use super::error::Fault;
use super::span::Span;
use super::text::{PARAMETER_TEXT, Text};

/// A set of octets: one bit of [`CLASSES`].
///
/// INVARIANT: exactly one bit is set, see [`Class::run_length`].
#[derive(Clone, Copy)]
pub(super) struct Class(u16);

/// `token`.
pub(super) const TOKEN: Class = Class(1);
/// Linear white space.
pub(super) const LWS: Class = Class(1 << 1);
/// A host name; the underscore is not RFC 3261's, but is in use.
pub(super) const HOST: Class = Class(1 << 2);
/// `user`, without escapes; a raw `#` is not RFC 3261's, but is in use.
pub(super) const USER: Class = Class(1 << 3);
/// `password`, without escapes.
pub(super) const PASSWORD: Class = Class(1 << 4);
/// `paramchar` of a URI, without escapes.
pub(super) const URI_PARAMETER: Class = Class(1 << 5);
/// `hname` and `hvalue` of a URI, without escapes, and the `&` and `=` between them.
pub(super) const URI_HEADER: Class = Class(1 << 6);
/// Decimal digits.
pub(super) const DIGIT: Class = Class(1 << 10);
/// `scheme` after its first letter.
pub(super) const SCHEME: Class = Class(1 << 11);
/// Digits and visual separators of a telephone number (RFC 3966 §3, with `hex digit * #`).
pub(super) const PHONE: Class = Class(1 << 12);

/// A display name without quotation marks: tokens and the white space between them.
pub(super) const DISPLAY_NAME: Class = Class(1 << 14);
/// What stands in a quoted string without a backslash: no control characters but white space.
const QUOTED_TEXT: Class = Class(1 << 15);

impl Class {
    /// Whether `octet` is in the set.
    #[inline]
    pub(super) fn has(self, octet: u8) -> bool {
        CLASSES[usize::from(octet)] & self.0 != 0
    }

    /// Whether all of `octets` are.
    #[inline]
    pub(super) fn has_all(self, octets: &[u8]) -> bool {
        self.run_length(octets) == octets.len()
    }

    /// How many octets at the start of `octets` are in the set.
    #[inline]
    pub(super) fn run_length(self, octets: &[u8]) -> usize {
        let mut rest = octets;
        while let Some((eight, after)) = rest.split_first_chunk::<8>() {
            let shared = eight.iter().fold(self.0, |bits, &octet| bits & CLASSES[usize::from(octet)]);
            if shared == 0 {
                break;
            }
            rest = after;
        }
        let last = rest.iter().position(|&octet| !self.has(octet));
        last.map_or(octets.len(), |last| octets.len() - rest.len() + last)
    }
}

static CLASSES: [u16; 256] = classes();

const fn classes() -> [u16; 256] {
    let mut table = [0u16; 256];
    let mut octet = 0usize;
    while octet < 256 {
        let o = octet as u8;
        let alphanumeric = o.is_ascii_alphanumeric();
        let unreserved = alphanumeric || one_of(o, b"-_.!~*'()");
        let mut bits = 0;
        if alphanumeric || one_of(o, b"-.!%*_+`'~") {
            bits |= TOKEN.0;
        }
        if one_of(o, b" \t\r\n") {
            bits |= LWS.0;
        }
        if alphanumeric || one_of(o, b"-.!%*_+`'~ \t\r\n") {
            bits |= DISPLAY_NAME.0;
        }
        if (o >= b' ' && !one_of(o, b"\"\\\x7f")) || one_of(o, b"\t\r\n") {
            bits |= QUOTED_TEXT.0;
        }
        if alphanumeric || one_of(o, b"-._") {
            bits |= HOST.0;
        }
        if unreserved || one_of(o, b"&=+$,;?/#") {
            bits |= USER.0;
        }
        if unreserved || one_of(o, b"&=+$,") {
            bits |= PASSWORD.0;
        }
        if unreserved || one_of(o, b"[]/:&+$") {
            bits |= URI_PARAMETER.0;
        }
        if unreserved || one_of(o, b"[]/?:+$&=") {
            bits |= URI_HEADER.0;
        }
        if o.is_ascii_digit() {
            bits |= DIGIT.0;
        }
        if alphanumeric || one_of(o, b"+-.") {
            bits |= SCHEME.0;
        }
        if o.is_ascii_hexdigit() || one_of(o, b"*#-.()") {
            bits |= PHONE.0;
        }
        table[octet] = bits;
        octet += 1;
    }
    table
}

const fn one_of(octet: u8, set: &[u8]) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == octet {
            return true;
        }
        i += 1;
    }
    false
}

/// A place in a message, and the end it must not pass.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'m> {
    /// The message up to the end of the value.
    bytes: &'m [u8],
    /// The whole message: what a search may look at beyond the end.
    message: &'m [u8],
    /// INVARIANT: `pos <= bytes.len()`, which is at most [`limits::MESSAGE_BYTES_MAX`].
    pos: usize,
}

/// `;name` or `;name=value` of a header.
pub(super) struct Parameter<'m> {
    pub(super) name: &'m [u8],
    /// Whether it has a value.
    pub(super) has_value: bool,
    /// Where the value stands, with its quotation marks if it has any.
    pub(super) value: Span,
    /// From the semicolon to the last octet.
    pub(super) span: Span,
}

impl<'m> Cursor<'m> {
    /// At the start of `value` in `bytes`.
    #[inline]
    pub(super) fn new(message: &'m [u8], value: Span) -> Cursor<'m> {
        let bytes = message.get(..usize::from(value.end)).unwrap_or_default();
        Cursor { bytes, message, pos: usize::from(value.start).min(bytes.len()) }
    }

    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    #[inline(always)]
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    #[inline(always)]
    pub(super) fn at_end(&self) -> bool {
        self.pos >= self.bytes.len()
    }

    /// Back to a place that [`Cursor::pos`] gave.
    pub(super) fn return_to(&mut self, pos: usize) {
        debug_assert!(pos <= self.pos);
        self.pos = pos;
    }

    /// From `start` to here.
    #[inline(always)]
    pub(super) fn since(&self, start: usize) -> &'m [u8] {
        self.bytes.get(start..self.pos).unwrap_or_default()
    }

    /// The octets of a span of the message.
    #[inline(always)]
    pub(super) fn octets(&self, span: Span) -> &'m [u8] {
        span.of(self.bytes)
    }

    /// What is left.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'m [u8] {
        self.bytes.get(self.pos..).unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn skip_lws(&mut self) {
        while self.peek().is_some_and(|octet| octet <= b' ' && LWS.has(octet)) {
            self.pos += 1;
        }
    }

    /// Takes one octet, whatever it is.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.pos = (self.pos + 1).min(self.bytes.len());
    }

    /// Takes so many octets, or what is left.
    #[inline(always)]
    pub(super) fn take(&mut self, count: usize) {
        self.pos = self.pos.wrapping_add(count).min(self.bytes.len());
    }

    /// Takes `octet` if it is next.
    #[inline(always)]
    pub(super) fn eat(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.pos += usize::from(found);
        found
    }

    /// Takes `text` if it is next, letter for letter.
    #[inline(always)]
    pub(super) fn eat_exactly(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.pos += text.len();
        }
        found
    }

    /// Takes octets as long as they are in `class`; possibly none. For runs of a few octets.
    #[inline(always)]
    pub(super) fn run(&mut self, class: Class) -> &'m [u8] {
        let start = self.pos;
        while self.peek().is_some_and(|octet| class.has(octet)) {
            self.pos += 1;
        }
        self.since(start)
    }

    /// Takes octets as long as they are `text`; possibly none. For runs of a dozen octets and more.
    #[inline(always)]
    pub(super) fn text(&mut self, text: Text) -> &'m [u8] {
        // WHY all of the message: near the end of the value there are still sixteen octets to look at.
        let length = text.run_length(self.message.get(self.pos..).unwrap_or_default());
        let start = self.pos;
        self.pos = self.pos.wrapping_add(length).min(self.bytes.len());
        self.since(start)
    }

    /// Takes a quoted string, quotation marks included. Control characters need a backslash.
    pub(super) fn quoted_string(&mut self) -> Result<&'m [u8], Fault> {
        let start = self.pos;
        if !self.eat(b'"') {
            return Err(Fault::QuotedString);
        }
        loop {
            self.run(QUOTED_TEXT);
            match self.peek() {
                Some(b'"') => {
                    self.pos += 1;
                    return Ok(self.since(start));
                }
                Some(b'\\') if !matches!(self.bytes.get(self.pos + 1), None | Some(b'\r' | b'\n')) => self.pos += 2,
                _ => return Err(Fault::QuotedString),
            }
        }
    }

    /// Takes the next `;name[=value]`. `None` when no semicolon follows; then nothing is taken.
    #[inline(always)]
    pub(super) fn parameter(&mut self) -> Result<Option<Parameter<'m>>, Fault> {
        // Nearly always the semicolon stands right here, or the value ends here.
        if self.at_end() || (self.peek() != Some(b';') && !self.semicolon_follows()) {
            return Ok(None);
        }
        let start = self.pos;
        self.pos += 1;
        self.skip_lws();
        let name = self.parameter_name();
        if name.is_empty() {
            return Err(Fault::Parameter);
        }
        let after_name = self.pos;
        if self.peek() != Some(b'=') {
            self.skip_lws();
        }
        if !self.eat(b'=') {
            self.pos = after_name;
            let (value, span) = (Span::between(after_name, after_name), Span::between(start, after_name));
            return Ok(Some(Parameter { name, has_value: false, value, span }));
        }
        self.skip_lws();
        let value_start = self.pos;
        match self.peek() {
            Some(b'"') => _ = self.quoted_string()?,
            _ => _ = self.text(PARAMETER_TEXT),
        }
        if self.pos == value_start {
            return Err(Fault::Parameter);
        }
        let (value, span) = (Span::between(value_start, self.pos), Span::between(start, self.pos));
        Ok(Some(Parameter { name, has_value: true, value, span }))
    }

    /// Goes to a semicolon behind white space; stays where it is if there is none.
    #[cold]
    fn semicolon_follows(&mut self) -> bool {
        let before = self.pos;
        self.skip_lws();
        if self.peek() == Some(b';') {
            return true;
        }
        self.pos = before;
        false
    }

    /// Takes a parameter's name; the frequent ones at one glance.
    #[inline(always)]
    fn parameter_name(&mut self) -> &'m [u8] {
        let rest = self.rest();
        for frequent in [&b"branch"[..], b"rport", b"received", b"tag"] {
            if rest.starts_with(frequent) && !rest.get(frequent.len()).is_some_and(|&octet| TOKEN.has(octet)) {
                self.take(frequent.len());
                return rest.get(..frequent.len()).unwrap_or_default();
            }
        }
        self.run(TOKEN)
    }

    /// Takes `1*DIGIT`, at most `max`.
    pub(super) fn number(&mut self, max: u32) -> Result<u32, Fault> {
        decimal(self.run(DIGIT)).filter(|&number| number <= max).ok_or(Fault::Number)
    }

    /// After a value of a comma-separated list: the start of the next one, or `None` at the end.
    /// Anything else there is an error.
    pub(super) fn next_value(&mut self) -> Result<Option<usize>, Fault> {
        self.skip_lws();
        if self.at_end() {
            return Ok(None);
        }
        if !self.eat(b',') {
            return Err(Fault::Trailing);
        }
        self.skip_lws();
        if self.at_end() { Err(Fault::Empty) } else { Ok(Some(self.pos)) }
    }
}

/// Without the white space at both ends.
pub(super) fn trim(octets: &[u8]) -> &[u8] {
    let start = octets.iter().position(|&octet| !LWS.has(octet));
    let end = octets.iter().rposition(|&octet| !LWS.has(octet));
    match (start, end) {
        (Some(start), Some(end)) => octets.get(start..=end).unwrap_or_default(),
        _ => &[],
    }
}

/// `1*DIGIT` as a number; `None` if empty, if it has other octets, or above 2^32-1.
pub(super) fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |number, &octet| {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u32::from(digit))
    })
}
