//! [`Message`]: what one can ask of a parsed message. Values are read when they are asked for.

use super::arena::{Arena, Field, Index, bit};
use super::cseq::{CSeq, CSeqParts};
use super::error::{Fault, HeaderError, ParseError, UriError};
use super::lex::{decimal, trim};
use super::memo::Memo;
use super::method::Method;
use super::name::HeaderName;
use super::name_addr::{NameAddr, NameAddrParts, NameAddrs, known_name_addr, only_name_addr};
use super::removal::Removals;
use super::span::Span;
use super::start_line::StartLine;
use super::uri::Uri;
use super::uri_parts::UriParts;
use super::via::{KnownVia, Via, ViaParts, Vias};
use core::cell::OnceCell;
use core::fmt;

/// A SIP message as it lies in its datagram. Cheap to copy: two references and a few offsets.
///
/// All spans are offsets into [`Message::bytes`].
#[derive(Clone, Copy)]
pub struct Message<'m> {
    bytes: &'m [u8],
    fields: &'m [Field],
    index: &'m Index,
    layout: Layout,
}

/// Where the parts of a message lie.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) start: StartLine,
    pub(super) start_line_end: u16,
    pub(super) header_end: u16,
    pub(super) body_start: u16,
    pub(super) trailing: u16,
    pub(super) content_length: Option<u32>,
    pub(super) foreign_version: bool,
    pub(super) odd_octets: u16,
}

impl<'m> Message<'m> {
    /// Reads a datagram of at most [`limits::MESSAGE_BYTES_MAX`] octets, without allocating.
    ///
    /// CRLFs before the start line are skipped (RFC 3261 §7.5). The body is as long as Content-Length
    /// says, octets after it are ignored ([`Message::trailing`]); without Content-Length it runs to the
    /// end (§18.3).
    ///
    /// # Errors
    /// What makes it unsafe to say where a header or the message ends ([`Malformation`](super::Malformation));
    /// requests come with what could be read of them.
    pub fn parse(bytes: &'m [u8], arena: &'m mut Arena) -> Result<Message<'m>, ParseError<'m>> {
        super::parse::parse(bytes, arena)
    }

    pub(super) fn new(bytes: &'m [u8], fields: &'m [Field], index: &'m Index, layout: Layout) -> Message<'m> {
        Message { bytes, fields, index, layout }
    }

    /// The message from its start line to the end of its body.
    pub fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// Octets of the datagram after the message, which nobody reads and nothing forwards.
    pub fn trailing(&self) -> usize {
        usize::from(self.layout.trailing)
    }

    /// How many control characters (folding and tabs aside) stand in header values: nobody refuses them
    /// in a header that no rule reads, but they are worth counting.
    pub fn odd_octets(&self) -> usize {
        usize::from(self.layout.odd_octets)
    }

    /// The first line.
    pub fn start_line(&self) -> StartLine {
        self.layout.start
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.layout.start, StartLine::Request { .. })
    }

    /// Whether a request says a version other than `SIP/2.0` (505, RFC 3261 §21.5.6).
    pub fn has_foreign_version(&self) -> bool {
        self.layout.foreign_version
    }

    /// A request's method; of a response the method in its CSeq, [`Method::Other`] if unreadable.
    pub fn method(&self) -> Method {
        match self.layout.start {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => self.cseq().map_or(Method::Other, |cseq| cseq.method),
        }
    }

    /// The octets of [`Message::method`]; empty if unreadable.
    pub fn method_bytes(&self) -> &'m [u8] {
        match self.layout.start {
            StartLine::Request { method_span, .. } => method_span.of(self.bytes),
            StartLine::Response { .. } => self.cseq().map_or(&[], |cseq| cseq.method_bytes),
        }
    }

    /// A response's status code, 100 to 699; 0 for a request.
    pub fn status(&self) -> u16 {
        match self.layout.start {
            StartLine::Request { .. } => 0,
            StartLine::Response { status, .. } => status,
        }
    }

    /// A response's Reason-Phrase; empty for a request.
    pub fn reason(&self) -> &'m [u8] {
        match self.layout.start {
            StartLine::Request { .. } => &[],
            StartLine::Response { reason, .. } => reason.of(self.bytes),
        }
    }

    /// A request's Request-URI as it stands there; empty for a response.
    pub fn request_uri(&self) -> &'m [u8] {
        self.request_uri_span().of(self.bytes)
    }

    /// A request's Request-URI taken apart.
    ///
    /// # Errors
    /// It is not a URI ([`Uri::parse`]); it never is in a response.
    #[inline(always)]
    pub fn parsed_request_uri(&self) -> Result<Uri<'m>, UriError> {
        self.request_uri_parts().map(|parts| parts.of(self.request_uri()))
    }

    /// The same as offsets.
    #[inline]
    pub(super) fn request_uri_parts(&self) -> Result<&'m UriParts, UriError> {
        match self.index.memo.request_uri.get() {
            Some(known) => Ok(known),
            None => self.read_request_uri(),
        }
    }

    #[inline(never)]
    fn read_request_uri(&self) -> Result<&'m UriParts, UriError> {
        let parts = UriParts::read(self.request_uri())?;
        Ok(self.index.memo.request_uri.get_or_init(|| parts))
    }

    /// Where the Request-URI stands; an empty range for a response.
    pub fn request_uri_span(&self) -> Span {
        match self.layout.start {
            StartLine::Request { uri, .. } => uri,
            StartLine::Response { .. } => Span::at(0),
        }
    }

    /// All header fields in their order.
    pub fn fields(&self) -> &'m [Field] {
        self.fields
    }

    /// The first field of that name.
    #[inline]
    pub fn field(&self, name: HeaderName) -> Option<&'m Field> {
        self.fields.get(self.first(name)?)
    }

    /// The value of the first field of that name, trimmed.
    #[inline]
    pub fn value(&self, name: HeaderName) -> Option<&'m [u8]> {
        self.field(name).map(|field| field.value.of(self.bytes))
    }

    /// Whether there are two fields of that name or more.
    #[inline]
    pub fn is_repeated(&self, name: HeaderName) -> bool {
        self.index.seen.repeated & bit(name) != 0
    }

    /// Bits of the headers that stand there, and of those that stand there twice or more ([`bit`]).
    #[inline]
    pub(super) fn present_and_repeated(&self) -> (u64, u64) {
        (self.index.seen.present, self.index.seen.repeated)
    }

    /// All fields of that name in their order.
    pub fn all(&self, name: HeaderName) -> impl Iterator<Item = &'m Field> + use<'m> {
        let from = self.first(name).unwrap_or(self.fields.len());
        self.fields.get(from..).unwrap_or_default().iter().filter(move |field| field.name == name)
    }

    /// All fields named `name` (any case) that are no known header ([`HeaderName::Other`]).
    pub fn named<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'m Field> + use<'m, 'n> {
        let message = *self;
        self.all(HeaderName::Other).filter(move |field| message.name_bytes(field).eq_ignore_ascii_case(name))
    }

    /// A field's name as it stands there.
    pub fn name_bytes(&self, field: &Field) -> &'m [u8] {
        let start = field.line.start;
        Span { start, end: start.saturating_add(field.name_len) }.of(self.bytes)
    }

    /// Every Via value of every Via field, topmost first. Ends after the first error.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'m>, HeaderError>> + use<'m> {
        let bytes = self.bytes;
        Vias::new(self).map(move |via| via.map(|parts| parts.of(bytes)))
    }

    /// The topmost Via value.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    // WHY inlined: nobody looks at all of it, and what nobody looks at is not made.
    #[inline(always)]
    pub fn top_via(&self) -> Result<Via<'m>, HeaderError> {
        match self.index.memo.top_via.get() {
            Some(parts) => Ok(parts.of(self.bytes)),
            None => self.read_top_via().map(|parts| parts.of(self.bytes)),
        }
    }

    /// Reads the topmost Via by comparison, if it starts as one that is known. It is read as it would be otherwise.
    #[inline]
    pub fn recognise_top_via(&self, known: &KnownVia) {
        let top = &self.index.memo.top_via;
        if top.get().is_none()
            && let Some(parts) = super::via::known_top_via(self, known)
        {
            top.get_or_init(|| parts);
        }
    }

    /// Reads the only Route or Record-Route by comparison, if it is `start` (from its `<` on), so many token characters
    /// and `>`. It is read as it would be otherwise.
    #[inline]
    pub fn recognise_route(&self, name: HeaderName, start: &[u8], characters: usize) {
        if let Some(memo) = self.index.memo.name_addr(name).filter(|memo| memo.get().is_none())
            && let Some(position) = self.first(name).filter(|_| !self.is_repeated(name))
            && let Some(field) = self.fields.get(position)
            && let Some(address) = known_name_addr(self.bytes, field, position, start, characters)
        {
            memo.get_or_init(|| address);
        }
    }

    /// The From header.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn from(&self) -> Result<NameAddr<'m>, HeaderError> {
        self.name_addr_parts(HeaderName::From).map(|parts| parts.of(self.bytes))
    }

    /// The To header.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn to(&self) -> Result<NameAddr<'m>, HeaderError> {
        self.name_addr_parts(HeaderName::To).map(|parts| parts.of(self.bytes))
    }

    /// The From tag; empty if there is none or From is unreadable.
    pub fn from_tag(&self) -> &'m [u8] {
        self.tag(HeaderName::From)
    }

    /// The To tag; empty if there is none or To is unreadable.
    pub fn to_tag(&self) -> &'m [u8] {
        self.tag(HeaderName::To)
    }

    /// The Call-ID; empty if there is none.
    pub fn call_id(&self) -> &'m [u8] {
        self.value(HeaderName::CallId).unwrap_or_default()
    }

    /// The CSeq.
    ///
    /// # Errors
    /// There is none, its number is not below 2^32, or its method is no token.
    #[inline(always)]
    pub fn cseq(&self) -> Result<CSeq<'m>, HeaderError> {
        match self.index.memo.cseq.get() {
            Some(parts) => Ok(parts.of(self.bytes)),
            None => self.read_cseq().map(|parts| parts.of(self.bytes)),
        }
    }

    /// Max-Forwards; `None` if there is none. More than 255 counts as 255 (RFC 4475 §3.1.2.4).
    ///
    /// # Errors
    /// It is not a number.
    pub fn max_forwards(&self) -> Result<Option<u32>, HeaderError> {
        Ok(self.count(HeaderName::MaxForwards)?.map(|hops| hops.min(255)))
    }

    /// The number in a header that holds nothing else (Max-Forwards, Max-Breadth, Expires, ...), at
    /// most 2^32-1, what is larger counting as that; `None` if there is no such header.
    ///
    /// # Errors
    /// It is not a number.
    pub fn count(&self, name: HeaderName) -> Result<Option<u32>, HeaderError> {
        let Some(field) = self.field(name) else {
            return Ok(None);
        };
        let digits = field.value.of(self.bytes);
        match decimal(digits) {
            Some(number) => Ok(Some(number)),
            None if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => Ok(Some(u32::MAX)),
            None => Err(HeaderError { header: name, fault: Fault::Number, offset: field.value.start }),
        }
    }

    /// Every value of Route, Record-Route, Contact, Path and the like, over all lines in their order.
    /// `*` in a Contact is a value whose URI is `*`. Ends after the first error.
    pub fn name_addrs(&self, name: HeaderName) -> impl Iterator<Item = Result<NameAddr<'m>, HeaderError>> + use<'m> {
        let bytes = self.bytes;
        NameAddrs::new(self, name).map(move |value| value.map(|parts| parts.of(bytes)))
    }

    /// What to cut to take off the first `count` values of such a header: ascending spans, whole lines
    /// where no value of the line stays. For the Routes that name us (RFC 3261 §16.4).
    pub fn removals(&self, name: HeaderName, count: usize) -> impl Iterator<Item = Span> + use<'m> {
        Removals::new(self, name, count)
    }

    /// The comma-separated tokens of Require, Proxy-Require, Supported, Allow and the like, over all
    /// lines in their order; empty ones are left out.
    pub fn tokens(&self, name: HeaderName) -> impl Iterator<Item = &'m [u8]> + use<'m> {
        let bytes = self.bytes;
        self.all(name)
            .flat_map(move |field| field.value.of(bytes).split(|&octet| octet == b','))
            .map(trim)
            .filter(|token| !token.is_empty())
    }

    /// Content-Length as the message says; `None` if it does not.
    pub fn content_length(&self) -> Option<u32> {
        self.layout.content_length
    }

    /// The body.
    pub fn body(&self) -> &'m [u8] {
        self.body_span().of(self.bytes)
    }

    /// Where the body stands.
    pub fn body_span(&self) -> Span {
        Span::between(usize::from(self.layout.body_start), self.bytes.len())
    }

    /// Offset of the CRLF that is the empty line: where a header can be added last.
    pub fn header_end(&self) -> u16 {
        self.layout.header_end
    }

    /// Offset after the start line's CRLF: where a header can be added first.
    pub fn start_line_end(&self) -> u16 {
        self.layout.start_line_end
    }

    /// Index in [`Message::fields`] of the first field of that name.
    #[inline(always)]
    pub(super) fn first(&self, name: HeaderName) -> Option<usize> {
        self.index.first(name)
    }

    #[inline(never)]
    fn read_cseq(&self) -> Result<&'m CSeqParts, HeaderError> {
        let field = self.field(HeaderName::CSeq).ok_or(absent(HeaderName::CSeq))?;
        let parts = CSeqParts::read(self.bytes, field.value).map_err(|fault| HeaderError {
            header: HeaderName::CSeq,
            fault,
            offset: field.value.start,
        })?;
        Ok(self.index.memo.cseq.get_or_init(|| parts))
    }

    #[inline(never)]
    fn read_top_via(&self) -> Result<&'m ViaParts, HeaderError> {
        let parts = super::via::top_via(self)?;
        Ok(self.index.memo.top_via.get_or_init(|| parts))
    }

    /// What has been read already.
    #[inline]
    pub(super) fn memo(&self) -> &'m Memo {
        &self.index.memo
    }

    /// Reads a header of one value: From or To. Or the first Route or Contact, if it stands alone in its line.
    #[inline]
    pub(super) fn name_addr_parts(&self, name: HeaderName) -> Result<&'m NameAddrParts, HeaderError> {
        let memo = self.index.memo.name_addr(name).ok_or(absent(name))?;
        match memo.get() {
            Some(known) => Ok(known),
            None => self.read_name_addr(name, memo),
        }
    }

    #[inline(never)]
    fn read_name_addr(
        &self,
        name: HeaderName,
        memo: &'m OnceCell<NameAddrParts>,
    ) -> Result<&'m NameAddrParts, HeaderError> {
        let position = self.first(name).ok_or(absent(name))?;
        let field = self.fields.get(position).ok_or(absent(name))?;
        let address = only_name_addr(self.bytes, field, position)?;
        Ok(memo.get_or_init(|| address))
    }

    /// Whether every value of such a header can be read.
    pub(super) fn are_name_addrs(&self, name: HeaderName) -> bool {
        // Nearly always one line with one value.
        let only = self.name_addr_parts(name).is_ok() && !self.is_repeated(name);
        only || NameAddrs::new(self, name).all(|value| value.is_ok())
    }

    fn tag(&self, name: HeaderName) -> &'m [u8] {
        self.name_addr_parts(name).map_or(&[], |address| address.tag.of(self.bytes))
    }
}

pub(super) fn absent(header: HeaderName) -> HeaderError {
    HeaderError { header, fault: Fault::Absent, offset: 0 }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first_line = self.bytes.get(..usize::from(self.layout.start_line_end)).unwrap_or_default();
        write!(
            f,
            "Message({}, {} fields, {} bytes)",
            first_line.trim_ascii_end().escape_ascii(),
            self.fields.len(),
            self.bytes.len()
        )
    }
}
