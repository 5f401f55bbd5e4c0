//! The first line: request line or status line (RFC 3261 §7.1, §7.2).

use super::error::Malformation;
use super::lex::{DIGIT, TOKEN, decimal};
use super::marks::Controls;
use super::method::Method;
use super::scan::{FirstWord, first_word, next_control, word_at, word_end};
use super::span::Span;

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// `Method SP Request-URI SP SIP-Version`.
    Request {
        /// By number.
        method: Method,
        /// Its octets.
        method_span: Span,
        /// The Request-URI.
        uri: Span,
    },
    /// `SIP-Version SP Status-Code SP Reason-Phrase`.
    Response {
        /// 100 to 699.
        status: u16,
        /// The Reason-Phrase; possibly empty.
        reason: Span,
    },
}

/// The first line as `parse` reads it.
pub(super) struct FirstLine {
    pub(super) line: StartLine,
    /// After its CRLF.
    pub(super) end: usize,
    /// A request of a version other than 2.0.
    pub(super) foreign_version: bool,
    /// What is wrong with a request line that is good enough to be answered.
    pub(super) trouble: Option<Malformation>,
}

const VERSION: &[u8] = b"SIP/2.0";

/// Reads the line at the start of `bytes`. An error comes with an offset and leaves nothing to answer.
pub(super) fn first_line(bytes: &[u8]) -> Result<FirstLine, (Malformation, usize)> {
    if let Some(line) = plain_status_line(bytes) {
        return Ok(line);
    }
    if let Some(FirstWord { word, length: Some(length) }) = word_at(bytes, 0).map(first_word)
        && let method = Method::of_word(word)
        && method != Method::Other
        && bytes.get(length) == Some(&b' ')
    {
        return request_line(bytes, method, length);
    }
    let length = method_end(bytes);
    let name = bytes.get(..length).unwrap_or_default();
    match bytes.get(length) {
        Some(b'/') if name.eq_ignore_ascii_case(b"SIP") => status_line(bytes),
        Some(b' ') if length > 0 => request_line(bytes, Method::of(name), length),
        _ => Err((Malformation::NotSip, length)),
    }
}

fn method_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|&octet| !TOKEN.has(octet)).unwrap_or(bytes.len())
}

/// Offset of the CR of the CRLF that ends the line. HTAB and other control characters are passed over:
/// who reads the line decides about them.
fn line_end(bytes: &[u8]) -> Result<usize, (Malformation, usize)> {
    let mut at = next_control(bytes, 0);
    loop {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\r'), Some(b'\n')) => return Ok(at),
            (Some(b'\r' | b'\n'), _) => return Err((Malformation::BareLineBreak, at)),
            (Some(_), _) => at = next_control(bytes, at + 1),
            (None, _) => return Err((Malformation::NotSip, at)),
        }
    }
}

fn request_line(bytes: &[u8], method: Method, method_len: usize) -> Result<FirstLine, (Malformation, usize)> {
    let uri_start = method_len + 1;
    let uri_end = word_end(bytes, uri_start);
    if uri_end == uri_start || !is_version_and_end(bytes, uri_end) {
        return odd_request_line(bytes, method, method_len);
    }
    let end = uri_end + VERSION_AND_END.len();
    Ok(FirstLine {
        line: request(method, method_len, uri_start, uri_end),
        end,
        foreign_version: false,
        trouble: (end > limits::HEADER_LINE_BYTES_MAX).then_some(Malformation::RequestLine),
    })
}

/// What nearly always follows the Request-URI.
const VERSION_AND_END: &[u8] = b" SIP/2.0\r\n";

fn is_version_and_end(bytes: &[u8], at: usize) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(VERSION_AND_END))
}

fn request(method: Method, method_len: usize, uri_start: usize, uri_end: usize) -> StartLine {
    StartLine::Request { method, method_span: Span::between(0, method_len), uri: Span::between(uri_start, uri_end) }
}

/// A request line of another version, or one that is wrong: the last space divides Request-URI and
/// version.
#[cold]
fn odd_request_line(bytes: &[u8], method: Method, method_len: usize) -> Result<FirstLine, (Malformation, usize)> {
    let line_end = line_end(bytes)?;
    let line = bytes.get(..line_end).unwrap_or_default();
    let uri_start = method_len + 1;
    let uri_end = line.iter().rposition(|&octet| octet == b' ').filter(|&at| at >= uri_start).unwrap_or(line_end);
    let uri = line.get(uri_start..uri_end).unwrap_or_default();
    let version = line.get(uri_end + 1..).unwrap_or_default();
    let well_formed = !uri.is_empty()
        && uri.iter().all(|&octet| octet > b' ')
        && is_version(version)
        && line_end <= limits::HEADER_LINE_BYTES_MAX;
    Ok(FirstLine {
        line: request(method, method_len, uri_start.min(uri_end), uri_end),
        end: line_end + 2,
        foreign_version: !version.eq_ignore_ascii_case(VERSION),
        trouble: (!well_formed).then_some(Malformation::RequestLine),
    })
}

/// `"SIP" "/" 1*DIGIT "." 1*DIGIT`.
fn is_version(version: &[u8]) -> bool {
    let Some((name, number)) = version.split_at_checked(4) else {
        return false;
    };
    let mut parts = number.split(|&octet| octet == b'.');
    let digits = |part: Option<&[u8]>| part.is_some_and(|part| !part.is_empty() && DIGIT.has_all(part));
    name.eq_ignore_ascii_case(b"SIP/") && digits(parts.next()) && digits(parts.next()) && parts.next().is_none()
}

/// A status line as nearly all are: `SIP/2.0 200 OK`, without a control character.
#[inline(always)]
fn plain_status_line(bytes: &[u8]) -> Option<FirstLine> {
    let [first @ (b'1'..=b'6'), second @ b'0'..=b'9', third @ b'0'..=b'9', b' '] =
        *bytes.strip_prefix(b"SIP/2.0 ")?.first_chunk()?
    else {
        return None;
    };
    let digit = |octet: u8| u16::from(octet & 0x0f);
    let status = digit(first) * 100 + digit(second) * 10 + digit(third);
    let reason = VERSION.len() + b" 200 ".len();
    let line_end = Controls::new(bytes, reason).next();
    let end = line_end.wrapping_add(2);
    if !bytes.get(line_end..)?.starts_with(b"\r\n") || line_end > limits::HEADER_LINE_BYTES_MAX {
        return None;
    }
    let line = StartLine::Response { status, reason: Span::between(reason, line_end) };
    Some(FirstLine { line, end, foreign_version: false, trouble: None })
}

fn status_line(bytes: &[u8]) -> Result<FirstLine, (Malformation, usize)> {
    let line_end = line_end(bytes)?;
    let line = bytes.get(..line_end).unwrap_or_default();
    let code_start = VERSION.len() + 1;
    let code_end = code_start + 3;
    let framed = line.get(..VERSION.len()).is_some_and(|version| version.eq_ignore_ascii_case(VERSION))
        && line.get(VERSION.len()) == Some(&b' ')
        && matches!(line.get(code_end), None | Some(b' '))
        && line_end <= limits::HEADER_LINE_BYTES_MAX
        && !line.contains(&0);
    let Some(code) = line.get(code_start..code_end).filter(|_| framed) else {
        return Err((Malformation::StatusLine, code_start.min(line_end)));
    };
    let Some(status) = decimal(code).and_then(|code| u16::try_from(code).ok()).filter(|code| (100..700).contains(code))
    else {
        return Err((Malformation::StatusCode, code_start));
    };
    let reason = (code_end + 1).min(line_end);
    Ok(FirstLine {
        line: StartLine::Response { status, reason: Span::between(reason, line_end) },
        end: line_end + 2,
        foreign_version: false,
        trouble: None,
    })
}
