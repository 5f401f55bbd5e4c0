//! One header field: where its name, its value and its line end (RFC 3261 §7.3.1).
//!
//! [`plain_line`] reads what nearly every line is: `Name: value CRLF`, without foldings, tabs or control
//! characters. [`any_line`] reads whatever there is and says what is wrong with it; a property test holds
//! the first to the second. Called by `parse` only.

use super::error::Malformation;
use super::lex::{LWS, TOKEN};
use super::marks::{Controls, first_colon};
use super::name::{HeaderName, lookup, lookup_short};
use super::scan::{name_end, next_control};

/// A header field; offsets into the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeaderLine {
    pub(super) name: HeaderName,
    pub(super) name_len: usize,
    pub(super) value_start: usize,
    pub(super) value_end: usize,
    /// After the CRLF.
    pub(super) end: usize,
}

/// What is worth saying about a line besides where its parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Oddities {
    /// The first fault and its offset.
    pub(super) fault: Option<(Malformation, usize)>,
    /// Control characters in the value, other than HTAB and those of foldings.
    pub(super) octets: u16,
}

impl Oddities {
    fn fault(&mut self, why: Malformation, offset: usize) {
        self.fault.get_or_insert((why, offset));
    }
}

/// Reads a plain line at `start`, which begins with `head`; `None` if it is not plain. `controls` stands before the
/// first control character of the line, and after it behind its CRLF.
#[inline(always)]
pub(super) fn plain_line(
    bytes: &[u8],
    start: usize,
    head: &[u8; 16],
    controls: &mut Controls<'_>,
) -> Option<HeaderLine> {
    let value_end = controls.next();
    controls.next();
    let [last, carriage_return, line_feed, next] = *octets_at(bytes, value_end.wrapping_sub(1))?;
    // A space may be white space round the value, or a folding; both belong to `any_line`. A control character in the
    // name too.
    let is_end = u16::from_le_bytes([carriage_return, line_feed]) == u16::from_le_bytes(*b"\r\n");
    if !is_end || last == b' ' || (next <= b' ' && next != b'\r') {
        return None;
    }
    let (name, name_len) = match first_colon(head) {
        short @ ..=14 => (lookup_short(head, short), short),
        _ => long_name(bytes, start)?,
    };
    let colon_end = start.wrapping_add(name_len).wrapping_add(1);
    let value_start = colon_end.wrapping_add(usize::from(bytes.get(colon_end) == Some(&b' ')));
    if value_end < value_start || bytes.get(value_start) == Some(&b' ') {
        return None;
    }
    if name == HeaderName::Other && !is_name(bytes.get(start..)?.get(..name_len)?) {
        return None;
    }
    let end = value_end.wrapping_add(2);
    if end.wrapping_sub(start) > limits::HEADER_LINE_BYTES_MAX {
        return None;
    }
    // All of them lie in `bytes`: nothing wraps.
    Some(HeaderLine { name, name_len, value_start, value_end, end })
}

/// A name of fifteen octets and more, and its length.
#[cold]
fn long_name(bytes: &[u8], start: usize) -> Option<(HeaderName, usize)> {
    let end = name_end(bytes, start);
    let name = bytes.get(start..end)?;
    (bytes.get(end) == Some(&b':')).then(|| (lookup(name), name.len()))
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && TOKEN.has_all(name)
}

/// So many octets from `at` on, if they are there.
#[inline(always)]
pub(super) fn octets_at<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    // WHY not what is left and of that the first: two comparisons more, for each line of each message.
    bytes.get(at..at.wrapping_add(N))?.first_chunk()
}

/// Reads the line at `start`, whatever it is; `None` if the message ends before the line does.
#[cold]
#[inline(never)]
pub(super) fn any_line(bytes: &[u8], start: usize) -> Option<(HeaderLine, Oddities)> {
    let mut oddities = Oddities::default();
    let (mut name, name_len, after_colon) = field_name(bytes, start, &mut oddities);
    let value_start = skip_white_space(bytes, after_colon);
    let (line_end, tainted) = field_end(bytes, value_start, &mut oddities)?;
    if tainted {
        name = HeaderName::Other;
    }
    let mut value_end = line_end - 2;
    let is_space = |at: usize| bytes.get(at).is_some_and(|&octet| LWS.has(octet));
    while value_end > value_start && is_space(value_end - 1) {
        value_end -= 1;
    }
    if line_end - start > limits::HEADER_LINE_BYTES_MAX {
        oddities.fault(Malformation::HeaderLineTooLong, start);
    }
    let line = HeaderLine { name, name_len, value_start, value_end, end: line_end };
    Some((line, oddities))
}

/// The name, its length, and the offset after its colon.
///
/// RFC 3261's HCOLON allows spaces and tabs before the colon: such a header is the one it says it is,
/// for us as for the next hop. Without a colon the whole line is the value of nothing.
fn field_name(bytes: &[u8], start: usize, oddities: &mut Oddities) -> (HeaderName, usize, usize) {
    let stop = name_end(bytes, start);
    let spaces = bytes.get(stop..).unwrap_or_default();
    let spaces = spaces.iter().take_while(|&&octet| octet == b' ' || octet == b'\t').count();
    let name = bytes.get(start..stop).unwrap_or_default();
    if name.is_empty() || bytes.get(stop + spaces) != Some(&b':') {
        oddities.fault(Malformation::HeaderName, start);
        return (HeaderName::Other, 0, start);
    }
    if !TOKEN.has_all(name) {
        oddities.fault(Malformation::HeaderName, start);
    }
    (lookup(name), name.len(), stop + spaces + 1)
}

/// Offset of the first octet of a value: past spaces, tabs and foldings.
fn skip_white_space(bytes: &[u8], mut at: usize) -> usize {
    loop {
        match bytes.get(at..).unwrap_or_default() {
            [b' ' | b'\t', ..] => at += 1,
            [b'\r', b'\n', b' ' | b'\t', ..] => at += 3,
            _ => return at,
        }
    }
}

/// Offset after the CRLF that ends the value at `from`, and whether a bare CR, LF or NUL stands in it;
/// `None` if there is no such CRLF.
fn field_end(bytes: &[u8], from: usize, oddities: &mut Oddities) -> Option<(usize, bool)> {
    let mut tainted = false;
    let mut at = next_control(bytes, from);
    loop {
        match bytes.get(at..).unwrap_or_default() {
            [] => return None,
            [b'\r', b'\n', b' ' | b'\t', ..] => at += 2,
            [b'\r', b'\n', ..] => return Some((at + 2, tainted)),
            [b'\r' | b'\n', ..] => {
                oddities.fault(Malformation::BareLineBreak, at);
                tainted = true;
            }
            [0, ..] if at == from || bytes.get(at - 1) != Some(&b'\\') => {
                oddities.fault(Malformation::BareNul, at);
                tainted = true;
            }
            [b'\t', ..] => {}
            _ => oddities.octets = oddities.octets.saturating_add(1),
        }
        at = next_control(bytes, at + 1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// What `plain_line` accepts is what `any_line` reads, and there is nothing odd about it.
        #[test]
        fn plain_agrees_with_any(
            name in "[a-zA-Z-]{0,20}|Via|To|l|Content-Length|Subscription-State|P-Asserted-Identity",
            colon in ":|: |:  | :|:\t|;:|",
            value in "([ -~]{0,40})|([ -~\u{0}\t\r\né]{0,12})",
            end in "\r\n|\r\n |\r|\n|\r\n\r\n",
            more in "[ -~]{0,40}",
        ) {
            let text = std::format!("{name}{colon}{value}{end}{more}");
            let mut controls = Controls::new(text.as_bytes(), 0);
            let head = octets_at(text.as_bytes(), 0);
            if let Some(line) = head.and_then(|head| plain_line(text.as_bytes(), 0, head, &mut controls)) {
                prop_assert_eq!(any_line(text.as_bytes(), 0), Some((line, Oddities::default())));
                prop_assert_eq!(controls.next(), Controls::new(text.as_bytes(), line.end).next());
            }
        }
    }

    #[test]
    fn usual_lines_are_plain() {
        for text in [
            "Via: SIP/2.0/UDP a\r\nTo: b 0123456789",
            "l: 0\r\n\r\nv=0\r\n0123456789",
            "Content-Length:0\r\n\r\n",
            "Session-Expires: 90\r\nX: 1",
            "P-Asserted-Identity: <sip:a>\r\nX: 1",
            "X-Unknown: a b\tc\r\n0123456789abcdef",
        ] {
            let (bytes, mut controls) = (text.as_bytes(), Controls::new(text.as_bytes(), 0));
            let plain = plain_line(bytes, 0, bytes.first_chunk().unwrap(), &mut controls);
            assert_eq!(plain.is_some(), !text.contains('\t'), "{text:?}");
        }
    }
}
