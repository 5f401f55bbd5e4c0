//! What every rule needs of a message before it is routed (RFC 3261 §16.3 item 1, §18.1.2; RFC 4475).
//!
//! Called by the proxy right after [`Message::parse`]: for a request the answer comes with the
//! refusal, a response that fails is dropped. Strict in what the proxy reads, blind to all else.

use super::arena::bit;
use super::error::{Fault, HeaderError, Malformation, UriError};
use super::lex::{Cursor, TOKEN};
use super::method::Method;
use super::name::HeaderName;
use super::span::Span;
use super::text::VISIBLE_TEXT;
use super::via::{BRANCH_COOKIE, count_vias};
use super::view::Message;

/// A request that is refused: how it is answered, and what it is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Status code of the answer.
    pub status: u16,
    /// What it is counted under.
    pub reason: RejectReason,
    /// Reason-Phrase of the answer: says which component was at fault (RFC 3261 §21.4.1).
    pub phrase: &'static str,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// A SIP-Version other than 2.0.
    Version,
    /// A Request-URI longer than [`limits::URI_BYTES_MAX`].
    RequestUriTooLong,
    /// A Request-URI that cannot be read.
    RequestUri,
    /// A Request-URI with `?headers` (RFC 3261 §19.1.1 table 1 forbids them there).
    RequestUriHeaders,
    /// No Via, From, To, Call-ID or CSeq.
    HeaderMissing,
    /// Two of a header that there may be one of.
    HeaderRepeated,
    /// A Via value that cannot be read.
    Via,
    /// More than [`limits::VIA_COUNT_MAX`] Via values.
    ViaCount,
    /// A branch that is the magic cookie and nothing else.
    BranchEmpty,
    /// From or To that cannot be read, or a tag longer than [`limits::TAG_BYTES_MAX`].
    FromTo,
    /// A Call-ID with other than visible ASCII, or longer than [`limits::CALL_ID_BYTES_MAX`].
    CallId,
    /// A CSeq that cannot be read.
    CSeq,
    /// A CSeq of another method than the request's.
    CSeqMethod,
    /// Max-Forwards or Max-Breadth that is no number.
    Count,
    /// A Contact that cannot be read, in a request whose Contact is used.
    Contact,
    /// A Route that cannot be read.
    Route,
}

impl RejectReason {
    /// Number of reasons, for tables of counters indexed by `reason as usize`.
    pub const COUNT: usize = RejectReason::ALL.len();

    /// All reasons, in the order of their numbers.
    pub const ALL: [RejectReason; 16] = [
        RejectReason::Version,
        RejectReason::RequestUriTooLong,
        RejectReason::RequestUri,
        RejectReason::RequestUriHeaders,
        RejectReason::HeaderMissing,
        RejectReason::HeaderRepeated,
        RejectReason::Via,
        RejectReason::ViaCount,
        RejectReason::BranchEmpty,
        RejectReason::FromTo,
        RejectReason::CallId,
        RejectReason::CSeq,
        RejectReason::CSeqMethod,
        RejectReason::Count,
        RejectReason::Contact,
        RejectReason::Route,
    ];

    /// The counter's label: lower case with underscores.
    pub const fn label(self) -> &'static str {
        self.answer().2
    }

    /// Status code, Reason-Phrase and label.
    const fn answer(self) -> (u16, &'static str, &'static str) {
        match self {
            RejectReason::Version => (505, "Version Not Supported", "version"),
            RejectReason::RequestUriTooLong => (414, "Request-URI Too Long", "request_uri_too_long"),
            RejectReason::RequestUri => (400, "Bad Request-URI", "request_uri"),
            RejectReason::RequestUriHeaders => (400, "Headers in Request-URI", "request_uri_headers"),
            RejectReason::HeaderMissing => (400, "Missing Header", "header_missing"),
            RejectReason::HeaderRepeated => (400, "Repeated Header", "header_repeated"),
            RejectReason::Via => (400, "Bad Via", "via"),
            RejectReason::ViaCount => (400, "Too Many Via Values", "via_count"),
            RejectReason::BranchEmpty => (400, "Empty Via Branch", "branch_empty"),
            RejectReason::FromTo => (400, "Bad From or To", "from_to"),
            RejectReason::CallId => (400, "Bad Call-ID", "call_id"),
            RejectReason::CSeq => (400, "Bad CSeq", "cseq"),
            RejectReason::CSeqMethod => (400, "CSeq Method Mismatch", "cseq_method"),
            RejectReason::Count => (400, "Bad Max-Forwards or Max-Breadth", "count"),
            RejectReason::Contact => (400, "Bad Contact", "contact"),
            RejectReason::Route => (400, "Bad Route", "route"),
        }
    }
}

impl From<RejectReason> for Rejection {
    fn from(reason: RejectReason) -> Rejection {
        let (status, phrase, _) = reason.answer();
        Rejection { status, reason, phrase }
    }
}

/// Headers that every message has.
const MANDATORY: [HeaderName; 5] =
    [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];

/// Headers that the proxy reads and that there may be one of. Choosing one of two would be guessing
/// which one the next hop chooses.
const SINGLE: [HeaderName; 7] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::MaxBreadth,
    HeaderName::ContentLength,
];

const MANDATORY_BITS: u64 = bits(&MANDATORY);
const SINGLE_BITS: u64 = bits(&SINGLE);

const fn bits(names: &[HeaderName]) -> u64 {
    let (mut bits, mut i) = (0, 0);
    while i < names.len() {
        bits |= bit(names[i]);
        i += 1;
    }
    bits
}

/// The first of `names` whose bit is set; nearly always none.
#[inline(always)]
fn first_of(names: &[HeaderName], set: u64) -> Option<HeaderName> {
    if set == 0 { None } else { names.iter().copied().find(|&name| bit(name) & set != 0) }
}

/// Checks a request as RFC 3261 §16.3 item 1 wants it ("reasonable syntax"), and RFC 2543's too: no
/// branch, no From tag and no Max-Forwards are no faults.
///
/// # Errors
/// The first fault found, with its answer.
pub fn validate_request(message: &Message<'_>) -> Result<(), Rejection> {
    if message.has_foreign_version() {
        return Err(RejectReason::Version.into());
    }
    let (present, repeated) = message.present_and_repeated();
    if present & MANDATORY_BITS != MANDATORY_BITS {
        return Err(RejectReason::HeaderMissing.into());
    }
    if repeated & SINGLE_BITS != 0 {
        return Err(RejectReason::HeaderRepeated.into());
    }
    check_request_uri(message)?;
    check_vias(message)?;
    check_call(message)?;
    let cseq = message.cseq().map_err(|_| RejectReason::CSeq)?;
    let same_method = match message.method() {
        Method::Other => cseq.method_bytes == message.method_bytes(),
        known => cseq.method == known,
    };
    if !same_method {
        return Err(RejectReason::CSeqMethod.into());
    }
    let counts = [HeaderName::MaxForwards, HeaderName::MaxBreadth];
    if counts.iter().any(|&name| message.count(name).is_err()) {
        return Err(RejectReason::Count.into());
    }
    if !message.are_name_addrs(HeaderName::Route) {
        return Err(RejectReason::Route.into());
    }
    if uses_contact(message.method()) && !message.are_name_addrs(HeaderName::Contact) {
        return Err(RejectReason::Contact.into());
    }
    Ok(())
}

fn check_request_uri(message: &Message<'_>) -> Result<(), RejectReason> {
    let uri = message.request_uri_parts().map_err(|error| match error {
        UriError::TooLong => RejectReason::RequestUriTooLong,
        _ => RejectReason::RequestUri,
    })?;
    if uri.headers.is_empty() { Ok(()) } else { Err(RejectReason::RequestUriHeaders) }
}

fn check_vias(message: &Message<'_>) -> Result<(), RejectReason> {
    let top = message.top_via().map_err(|_| RejectReason::Via)?;
    if top.branch.len() == BRANCH_COOKIE.len() && top.has_cookie() {
        return Err(RejectReason::BranchEmpty);
    }
    if top.alone && !message.is_repeated(HeaderName::Via) {
        return Ok(());
    }
    match count_vias(message) {
        Ok(count) if count > limits::VIA_COUNT_MAX => Err(RejectReason::ViaCount),
        Ok(_) => Ok(()),
        Err(_) => Err(RejectReason::Via),
    }
}

/// What a call is known by: From, To, their tags and the Call-ID.
fn check_call(message: &Message<'_>) -> Result<(), RejectReason> {
    if !has_party(message, HeaderName::From) || !has_party(message, HeaderName::To) {
        return Err(RejectReason::FromTo);
    }
    if has_call_id(message) { Ok(()) } else { Err(RejectReason::CallId) }
}

/// Whether From or To can be read, and its tag is not too long.
fn has_party(message: &Message<'_>, name: HeaderName) -> bool {
    message.name_addr_parts(name).is_ok_and(|address| address.tag.len() <= limits::TAG_BYTES_MAX)
}

fn has_call_id(message: &Message<'_>) -> bool {
    message.field(HeaderName::CallId).is_some_and(|field| is_call_id(message, field.value))
}

fn is_call_id(message: &Message<'_>, value: Span) -> bool {
    let mut cursor = Cursor::new(message.bytes(), value);
    let call_id = cursor.text(VISIBLE_TEXT);
    !call_id.is_empty() && call_id.len() <= limits::CALL_ID_BYTES_MAX && cursor.at_end()
}

/// Requests whose Contact is a dialog's target or a binding.
fn uses_contact(method: Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Register | Method::Subscribe | Method::Notify | Method::Refer | Method::Update
    )
}

/// Checks what the proxy reads of a response (RFC 3261 §16.7, §18.1.2).
///
/// # Errors
/// The first fault found; the response is dropped.
pub fn validate_response(message: &Message<'_>) -> Result<(), Malformation> {
    check_response(message, Repeats::default())
}

/// The same for a response whose From and Call-ID are known to be those of a valid request, octet for octet
/// (RFC 3261 §8.2.6.2): neither they are read again, nor the Vias below the first, by which it does not go. Nor is To,
/// if `to` says that it is the request's as well ([`Message::repeats_to`]).
///
/// # Errors
/// The first fault found; the response is dropped.
pub fn validate_response_to_request(message: &Message<'_>, to: bool) -> Result<(), Malformation> {
    check_response(message, Repeats { call: true, to })
}

/// What a response is known to repeat of a valid request.
#[derive(Clone, Copy, Default)]
struct Repeats {
    /// From and Call-ID.
    call: bool,
    to: bool,
}

impl Message<'_> {
    /// Whether To is `to`, that of a valid request (`has_tag`: with a tag), or that with a tag added.
    #[inline]
    pub fn repeats_to(&self, to: &[u8], has_tag: bool) -> bool {
        let said = self.value(HeaderName::To).unwrap_or_default();
        let Some(added) = said.strip_prefix(to).filter(|_| !to.is_empty()) else { return false };
        let is_tag = |tag: &[u8]| !tag.is_empty() && tag.len() <= limits::TAG_BYTES_MAX && TOKEN.has_all(tag);
        added.is_empty() || !has_tag && added.strip_prefix(b";tag=").is_some_and(is_tag)
    }
}

fn check_response(message: &Message<'_>, repeats: Repeats) -> Result<(), Malformation> {
    let (present, repeated) = message.present_and_repeated();
    if let Some(name) = first_of(&MANDATORY, MANDATORY_BITS & !present) {
        return Err(Malformation::Missing(name));
    }
    if let Some(name) = first_of(&SINGLE, SINGLE_BITS & repeated) {
        return Err(Malformation::Repeated(name));
    }
    let top = message.top_via().map_err(unreadable)?;
    // What stands below ours is the way back, which is known from the request.
    let is_way_back_known = repeats.call && top.alone;
    if !is_way_back_known && count_vias(message).map_err(unreadable)? > limits::VIA_COUNT_MAX {
        return Err(Malformation::TooManyVias);
    }
    if !repeats.call {
        check_party(message, HeaderName::From)?;
    }
    if !repeats.to {
        check_party(message, HeaderName::To)?;
    }
    if !repeats.call && !has_call_id(message) {
        return Err(Malformation::Unreadable(HeaderName::CallId));
    }
    message.cseq().map_err(unreadable)?;
    Ok(())
}

fn check_party(message: &Message<'_>, name: HeaderName) -> Result<(), Malformation> {
    if has_party(message, name) { Ok(()) } else { Err(Malformation::Unreadable(name)) }
}

fn unreadable(error: HeaderError) -> Malformation {
    match error.fault {
        Fault::Absent => Malformation::Missing(error.header),
        _ => Malformation::Unreadable(error.header),
    }
}
