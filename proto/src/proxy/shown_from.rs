//! A From that others see in place of the caller's own. The policy names it for a request outside any dialog
//! ([`crate::policy::EditWriter::show_from`]); from then on it is kept up by what stands, signed, in our Record-Route:
//!
//! | Message | Changed |
//! |---|---|
//! | a request of the caller, the first and those within the dialog | the URI of From: the shown one |
//! | a response to it, on its way to the caller | From as the caller wrote it (RFC 3261 §8.2.6.2) |
//! | a request to the caller within the dialog | the URI of To: the caller's own |
//! | a response to it, on its way back | To as the far side wrote it |
//!
//! Tags never change, so a dialog is the same on both sides (RFC 3261 §12); peers of RFC 2543, who compare URIs too,
//! find their own. Nothing is kept beyond the transaction, so it holds after a restart. The display name goes with the
//! URI that it belongs to.
//!
//! Our Record-Route says `tf=OWN/SHOWN/MAC`: both URIs with escapes, signed for the Call-ID and the initiator's tag.

use crate::base64;
use crate::hash::{Purpose, SignatureHash};
use crate::message::{HeaderName, Message, NameAddr, Uri, Writer, unescape_into};
use crate::policy::Edits;
use crate::token::Keys;

/// The parameter, before those of `steer`.
const FROM_PARAMETER: &[u8] = b"tf";

/// Characters of its MAC.
const MAC_CHARS: usize = 11;

/// The party of a request that leaves under another URI.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherParty<'m> {
    /// From or To.
    header: HeaderName,
    uri: &'m [u8],
    escaped: bool,
}

/// From and To of a response as whoever is upstream knows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Originals<'k> {
    /// The value of From.
    pub(super) from: &'k [u8],
    /// The value of To; `None`: as it came.
    pub(super) to: Option<&'k [u8]>,
}

impl<'m> OtherParty<'m> {
    /// What the policy shows of who sends the request.
    pub(super) fn of_edits(edits: Edits<'m>) -> Option<Self> {
        let uri = edits.shown_from()?;
        Some(OtherParty { header: HeaderName::From, uri, escaped: false })
    }

    /// What our Route says of a request within a dialog. `None`: it is not as we signed it.
    pub(super) fn of_route(keys: &Keys, request: &Message<'_>, uri: &Uri<'m>, from_initiator: bool) -> Option<Self> {
        let text = uri.param(FROM_PARAMETER)?;
        let (texts, mac) = text.split_at_checked(text.len().checked_sub(MAC_CHARS + 1)?)?;
        let mac: &[u8; MAC_CHARS] = mac.strip_prefix(b"/")?.try_into().ok()?;
        let mac = u64::from_be_bytes(base64::decode(mac)?);
        let tag = if from_initiator { request.from_tag() } else { request.to_tag() };
        let signed = |hash: SignatureHash| sign(hash, request.call_id(), tag, texts) ^ mac == 0;
        if !keys.all(Purpose::ShownFrom).any(signed) {
            return None;
        }
        let slash = texts.iter().position(|&octet| octet == b'/')?;
        let (own, shown) = (texts.get(..slash)?, texts.get(slash + 1..)?);
        let (header, uri) = if from_initiator { (HeaderName::From, shown) } else { (HeaderName::To, own) };
        Some(OtherParty { header, uri, escaped: true })
    }

    /// Whether it stands in fields of this name.
    pub(super) fn is(&self, name: HeaderName) -> bool {
        self.header == name
    }

    /// Writes the value of its field as it leaves: with the URI that is shown, and all parameters.
    pub(super) fn write(&self, message: &Message<'_>, out: &mut Writer<'_>) {
        let party = if self.header == HeaderName::From { message.from() } else { message.to() };
        // INVARIANT: both could be read when the request was let in.
        let Ok(NameAddr { params, .. }) = party else { return out.fail() };
        out.byte(b'<');
        if self.escaped {
            unescape_into(self.uri, out);
        } else {
            out.put(self.uri);
        }
        out.byte(b'>');
        out.put(params);
    }
}

/// Writes the parameter of our Record-Route for a request whose From is shown as `shown`, with the semicolon behind it.
#[cold]
pub(super) fn write_parameter(keys: &Keys, request: &Message<'_>, shown: &[u8], out: &mut Writer<'_>) {
    let Ok(own) = request.from() else { return out.fail() };
    out.put(FROM_PARAMETER);
    out.byte(b'=');
    let start = out.len();
    escape_into(own.uri, out);
    out.byte(b'/');
    escape_into(shown, out);
    let texts = out.written().get(start..).unwrap_or_default();
    let Some(hash) = keys.all(Purpose::ShownFrom).next() else { return out.fail() };
    let mac = sign(hash, request.call_id(), request.from_tag(), texts);
    out.byte(b'/');
    out.put(&base64::encode::<8, MAC_CHARS>(&mac.to_be_bytes()));
    out.byte(b';');
}

fn sign(hash: SignatureHash, call_id: &[u8], initiator_tag: &[u8], texts: &[u8]) -> u64 {
    hash.pair(call_id, initiator_tag).part(texts).finish_low()
}

/// As the value of a URI parameter (RFC 3261 §25.1, paramchar), the slash left to us.
fn escape_into(uri: &[u8], out: &mut Writer<'_>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &octet in uri {
        if octet.is_ascii_alphanumeric() || b"-_.!~*'()[]:&+$".contains(&octet) {
            out.byte(octet);
        } else {
            let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0');
            out.put(&[b'%', digit(octet >> 4), digit(octet & 15)]);
        }
    }
}
