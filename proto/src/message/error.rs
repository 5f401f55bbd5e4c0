//! Why a message or a header value cannot be read: small `Copy` enums, one counter label each.
//!
//! `parse` returns [`ParseError`], value parsers return [`HeaderError`], `Uri::parse` returns
//! [`UriError`]. What is answered to them is decided in `validate` and in the proxy.

use super::name::HeaderName;
use super::view::Message;

/// Why a datagram is not a message that can be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformation {
    /// Nothing but CRLFs (or nothing at all): RFC 5626 §3.5.1 keep-alive. Not an error of the peer.
    KeepAlive,
    /// Longer than [`limits::MESSAGE_BYTES_MAX`].
    MessageTooLong,
    /// The first line is neither a request line nor a status line.
    NotSip,
    /// A request line that is not `Method SP Request-URI SP SIP-Version` (RFC 3261 §7.1).
    RequestLine,
    /// A status line that is not `SIP/2.0 SP 3DIGIT SP Reason-Phrase` (RFC 3261 §7.2).
    StatusLine,
    /// A status code outside 100 to 699.
    StatusCode,
    /// A CR without LF, or an LF without CR, in the header section. Others might end the line there.
    BareLineBreak,
    /// A NUL in the header section that is no quoted-pair. Others might end the text there.
    BareNul,
    /// A header line without a colon, or with a name that is not a token.
    HeaderName,
    /// A header line longer than [`limits::HEADER_LINE_BYTES_MAX`], foldings included.
    HeaderLineTooLong,
    /// More than [`limits::HEADER_COUNT_MAX`] header fields.
    TooManyHeaders,
    /// No empty line ends the header section.
    HeadersUnterminated,
    /// A second Content-Length, be it equal to the first or not.
    ContentLengthRepeated,
    /// A Content-Length that is no number, or a number beyond 2^32-1.
    ContentLengthUnreadable,
    /// Fewer octets after the header section than Content-Length says (RFC 3261 §18.3).
    BodyTooShort,
    /// A response without a header that every response has.
    Missing(HeaderName),
    /// A response with two of a header that there may be one of.
    Repeated(HeaderName),
    /// A response with an unreadable value in a header that the proxy reads.
    Unreadable(HeaderName),
    /// More than [`limits::VIA_COUNT_MAX`] Via values.
    TooManyVias,
}

impl Malformation {
    /// Number of kinds, whatever header they name: for tables of counters.
    pub const COUNT: usize = 19;

    /// One of each kind, in the order of their numbers. Those that name a header name one of many.
    pub const ALL: [Malformation; Malformation::COUNT] = [
        Malformation::KeepAlive,
        Malformation::MessageTooLong,
        Malformation::NotSip,
        Malformation::RequestLine,
        Malformation::StatusLine,
        Malformation::StatusCode,
        Malformation::BareLineBreak,
        Malformation::BareNul,
        Malformation::HeaderName,
        Malformation::HeaderLineTooLong,
        Malformation::TooManyHeaders,
        Malformation::HeadersUnterminated,
        Malformation::ContentLengthRepeated,
        Malformation::ContentLengthUnreadable,
        Malformation::BodyTooShort,
        Malformation::Missing(HeaderName::Via),
        Malformation::Repeated(HeaderName::Via),
        Malformation::Unreadable(HeaderName::Via),
        Malformation::TooManyVias,
    ];

    /// The number of its kind, below [`Malformation::COUNT`].
    pub const fn index(self) -> usize {
        match self {
            Malformation::KeepAlive => 0,
            Malformation::MessageTooLong => 1,
            Malformation::NotSip => 2,
            Malformation::RequestLine => 3,
            Malformation::StatusLine => 4,
            Malformation::StatusCode => 5,
            Malformation::BareLineBreak => 6,
            Malformation::BareNul => 7,
            Malformation::HeaderName => 8,
            Malformation::HeaderLineTooLong => 9,
            Malformation::TooManyHeaders => 10,
            Malformation::HeadersUnterminated => 11,
            Malformation::ContentLengthRepeated => 12,
            Malformation::ContentLengthUnreadable => 13,
            Malformation::BodyTooShort => 14,
            Malformation::Missing(_) => 15,
            Malformation::Repeated(_) => 16,
            Malformation::Unreadable(_) => 17,
            Malformation::TooManyVias => 18,
        }
    }

    /// The counter's label: lower case with underscores.
    pub const fn label(self) -> &'static str {
        match self {
            Malformation::KeepAlive => "keep_alive",
            Malformation::MessageTooLong => "message_too_long",
            Malformation::NotSip => "not_sip",
            Malformation::RequestLine => "request_line",
            Malformation::StatusLine => "status_line",
            Malformation::StatusCode => "status_code",
            Malformation::BareLineBreak => "bare_line_break",
            Malformation::BareNul => "bare_nul",
            Malformation::HeaderName => "header_name",
            Malformation::HeaderLineTooLong => "header_line_too_long",
            Malformation::TooManyHeaders => "too_many_headers",
            Malformation::HeadersUnterminated => "headers_unterminated",
            Malformation::ContentLengthRepeated => "content_length_repeated",
            Malformation::ContentLengthUnreadable => "content_length_unreadable",
            Malformation::BodyTooShort => "body_too_short",
            Malformation::Missing(_) => "header_missing",
            Malformation::Repeated(_) => "header_repeated",
            Malformation::Unreadable(_) => "header_unreadable",
            Malformation::TooManyVias => "too_many_vias",
        }
    }

    /// Status code of the answer, when a request is answered at all (RFC 3261 §21.4).
    pub const fn status(self) -> u16 {
        match self {
            Malformation::MessageTooLong => 513,
            _ => 400,
        }
    }

    /// Reason-Phrase of that answer: says which component was at fault (RFC 3261 §21.4.1).
    pub const fn phrase(self) -> &'static str {
        match self {
            Malformation::KeepAlive | Malformation::NotSip => "Bad Request",
            Malformation::MessageTooLong => "Message Too Large",
            Malformation::RequestLine => "Bad Request Line",
            Malformation::StatusLine | Malformation::StatusCode => "Bad Status Line",
            Malformation::BareLineBreak => "Bad Line Break in Header",
            Malformation::BareNul => "NUL in Header",
            Malformation::HeaderName => "Bad Header Name",
            Malformation::HeaderLineTooLong => "Header Line Too Long",
            Malformation::TooManyHeaders => "Too Many Headers",
            Malformation::HeadersUnterminated => "No Empty Line After Headers",
            Malformation::ContentLengthRepeated => "Repeated Content-Length",
            Malformation::ContentLengthUnreadable => "Bad Content-Length",
            Malformation::BodyTooShort => "Body Shorter Than Content-Length",
            Malformation::Missing(_) => "Missing Header",
            Malformation::Repeated(_) => "Repeated Header",
            Malformation::Unreadable(_) => "Unreadable Header",
            Malformation::TooManyVias => "Too Many Via Values",
        }
    }
}

/// What `parse` says when it says no.
#[derive(Clone, Copy, Debug)]
pub struct ParseError<'m> {
    /// The first thing that was wrong.
    pub why: Malformation,
    /// Where in the datagram.
    pub offset: u16,
    /// A request's start line and header lines, as far as they could be told apart, so that it can be
    /// answered. A line with a bare CR, LF or NUL is [`HeaderName::Other`] here: nobody copies it.
    pub partial: Option<Message<'m>>,
}

/// Which header value could not be read, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeaderError {
    /// The header.
    pub header: HeaderName,
    /// What is wrong with it.
    pub fault: Fault,
    /// Where in the message.
    pub offset: u16,
}

/// What is wrong with a header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// There is no such header.
    Absent,
    /// Nothing where a value must stand.
    Empty,
    /// `sent-protocol` of a Via is not three tokens.
    Protocol,
    /// A host that is neither name nor address.
    Host,
    /// A port that is not 1 to 65,535.
    Port,
    /// A parameter without a name or without the value its `=` promises.
    Parameter,
    /// A parameter that must be unique stands there twice.
    RepeatedParameter,
    /// A quoted string without its end, or with a control character that is not escaped.
    QuotedString,
    /// A display name that is neither tokens nor a quoted string.
    DisplayName,
    /// No URI, or one that needs angle brackets and has none, or one that is not closed.
    Uri,
    /// Not a number, or one that is too large.
    Number,
    /// Not a token.
    Token,
    /// Octets after the value that belong to nothing.
    Trailing,
}

/// Why a URI cannot be read (RFC 3261 §19.1.1, RFC 3966 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UriError {
    /// Longer than [`limits::URI_BYTES_MAX`].
    TooLong,
    /// No scheme, or one with illegal characters.
    Scheme,
    /// White space, a control character, an angle bracket or a quotation mark.
    Octet,
    /// An illegal character or a broken escape in the user part or the password.
    User,
    /// Two `@`: one would hide another host.
    TwoAts,
    /// A host that is neither name nor address.
    Host,
    /// A port that is not 1 to 65,535.
    Port,
    /// An illegal character, a broken escape or an empty name in the parameters.
    Parameter,
    /// An illegal character or a broken escape after `?`.
    Headers,
    /// A telephone number without digits, or with illegal ones.
    Number,
}
