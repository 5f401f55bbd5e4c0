//! One header field: where its name, its value and its line end (RFC 3261 §7.3.1).
//!
//! [`plain_line`] reads what nearly every line is: `Name: value CRLF`, without foldings, tabs or control
//! characters. [`any_line`] reads whatever there is and says what is wrong with it; a property test holds
//! the first to the second. Called by `parse` only.

use super::error::Malformation;
use super::lex::{LWS, TOKEN};
use super::name::{HeaderName, lookup, lookup_short, start_of};
use super::scan::{first_word, name_end, next_control, word_at};

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

/// Reads a plain line at `start`; `None` if it is not plain, or close to the end of `bytes`.
#[inline]
pub(super) fn plain_line(bytes: &[u8], start: usize) -> Option<HeaderLine> {
    plain(bytes.get(start..)?, start)
}

/// The same where so little is left that the searches would look octet by octet: zeros are put after it, which end
/// a value like any control character. `None` also if more is left.
#[inline(never)]
pub(super) fn plain_line_near_end(bytes: &[u8], start: usize) -> Option<HeaderLine> {
    let line = bytes.get(start..)?;
    let mut room = [0; NEAR_END];
    room.get_mut(..line.len())?.copy_from_slice(line);
    plain(&room, start)
}

/// Octets near the end of a message.
const NEAR_END: usize = 64;

/// Reads the plain line that `line` begins with; it stands at `start`.
#[inline(always)]
fn plain(line: &[u8], start: usize) -> Option<HeaderLine> {
    let head: &[u8; HEAD] = line.first_chunk()?;
    let name = first_word(word_at(head, 0)?);
    let (name_len, known) = match name.length {
        Some(length) => (length, lookup_short(name.word, length)),
        None => {
            let length = name_end(head, 8);
            (length, lookup(name.word, head.get(..length)?))
        }
    };
    if name_len > HEAD - 3 || head[name_len] != b':' {
        return None;
    }
    let value_start = name_len + 1 + usize::from(head[name_len + 1] == b' ');
    let first = head[value_start];
    let value_end = next_control(line, value_start);
    let [last, b'\r', b'\n', next] = *line.get(value_end.wrapping_sub(1)..)?.first_chunk()? else {
        return None;
    };
    // A space may be white space round the value, or a folding; both belong to `any_line`.
    if first == b' ' || last == b' ' || next == b' ' || next == b'\t' || value_end > VALUE_END_MAX {
        return None;
    }
    if known == HeaderName::Other {
        let name = line.get(..name_len)?;
        if name.is_empty() || !TOKEN.has_all(name) {
            return None;
        }
    }
    // All three lie in `bytes`: nothing wraps.
    Some(HeaderLine {
        name: known,
        name_len,
        value_start: start.wrapping_add(value_start),
        value_end: start.wrapping_add(value_end),
        end: start.wrapping_add(value_end).wrapping_add(2),
    })
}

/// A plain line's name ends among so many octets, and so many are there.
const HEAD: usize = 32;

/// Where the value of the longest line ends.
const VALUE_END_MAX: usize = limits::HEADER_LINE_BYTES_MAX - 2;

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
    (lookup(start_of(name), name), name.len(), stop + spaces + 1)
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
            for line in [plain_line(text.as_bytes(), 0), plain_line_near_end(text.as_bytes(), 0)].into_iter().flatten() {
                prop_assert_eq!(any_line(text.as_bytes(), 0), Some((line, Oddities::default())));
            }
        }
    }

    #[test]
    fn usual_lines_are_plain() {
        for text in [
            "Via: SIP/2.0/UDP a\r\nTo: b 0123456789",
            "l:0\r\n\r\n0123456789abcdef0123456789abcdef",
            "X-Unknown: a b\tc\r\n0123456789abcdef",
        ] {
            let plain = plain_line(text.as_bytes(), 0);
            assert_eq!(plain.is_some(), !text.contains('\t'), "{text:?}");
        }
    }
}
