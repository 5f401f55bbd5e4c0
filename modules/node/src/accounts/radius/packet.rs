//! RADIUS packets: what is asked, and what is believed of an answer (RFC 2865 §3, RFC 3579 §3.2, RFC 5090 §3,
//! draft-sterman-aaa-sip-00 §3).

use super::Dialect;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use modules::authentication::question::Query;
use std::fmt;
use subtle::ConstantTimeEq as _;

const ACCESS_REQUEST: u8 = 1;
const ACCESS_ACCEPT: u8 = 2;
const ACCESS_REJECT: u8 = 3;
const ACCESS_CHALLENGE: u8 = 11;

const USER_NAME: u8 = 1;
const SERVICE_TYPE: u8 = 6;
const NAS_IDENTIFIER: u8 = 32;
const MESSAGE_AUTHENTICATOR: u8 = 80;
const DIGEST_HA1: u8 = 121;

/// Service-Type of SIP (draft-sterman-aaa-sip-00 §3.1).
const SIP_SESSION: u32 = 15;

const HEADER_BYTES: usize = 20;

/// What an answer has to fit to.
#[derive(Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) identifier: u8,
    /// Sixteen random octets.
    pub(super) authenticator: [u8; 16],
    pub(super) secret: &'r [u8],
}

/// What a server said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) accepted: bool,
    /// Digest-HA1.
    pub(super) ha1: Option<Vec<u8>>,
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unbelieved {
    /// Not an answer to this request, or not made with the secret.
    Forged,
    /// Without a Message-Authenticator.
    NoAuthenticator,
}

impl Unbelieved {
    pub(super) fn is_forged(self) -> bool {
        self == Unbelieved::Forged
    }
}

impl fmt::Display for Unbelieved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unbelieved::Forged => "sent what is not made with our secret",
            Unbelieved::NoAuthenticator => {
                "answers without Message-Authenticator; make it send one, or set radius_authenticator_required = false"
            }
        })
    }
}

/// An Access-Request. `None`: a text is too long for an attribute.
pub(super) fn write(request: &Request<'_>, query: &Query<'_>, dialect: Dialect, append_realm: bool) -> Option<Vec<u8>> {
    let one = &query.credentials;
    let mut packet = vec![ACCESS_REQUEST, request.identifier, 0, 0];
    packet.extend_from_slice(&request.authenticator);
    // WHY first: a server that looks at it does not have to read the rest (draft-ietf-radext-deprecating-radius).
    let place = packet.len() + 2;
    attribute(&mut packet, MESSAGE_AUTHENTICATOR, &[0; 16])?;
    if append_realm && !one.username.contains(&b'@') {
        attribute(&mut packet, USER_NAME, &[one.username, b"@", one.realm].concat())?;
    } else {
        attribute(&mut packet, USER_NAME, one.username)?;
    }
    attribute(&mut packet, SERVICE_TYPE, &SIP_SESSION.to_be_bytes())?;
    attribute(&mut packet, NAS_IDENTIFIER, b"tandem")?;
    let algorithm = if one.algorithm.is_empty() { &b"MD5"[..] } else { one.algorithm };
    // Number in RFC 5090, number within Digest-Attributes of the draft, value.
    let digest = [
        (104, 1, one.realm),
        (105, 2, one.nonce),
        (108, 3, query.method),
        (109, 4, one.uri),
        (110, 5, one.qop),
        (111, 6, algorithm),
        (113, 8, one.cnonce),
        (114, 9, one.nc),
        (115, 10, one.username),
    ];
    for (number, within, value) in digest.into_iter().filter(|(_, _, value)| !value.is_empty()) {
        match dialect {
            Dialect::Rfc5090 => attribute(&mut packet, number, value)?,
            Dialect::Sterman => {
                let mut inside = Vec::new();
                attribute(&mut inside, within, value)?;
                attribute(&mut packet, 207, &inside)?;
            }
        }
    }
    let response = if dialect == Dialect::Rfc5090 { 103 } else { 206 };
    attribute(&mut packet, response, one.response)?;
    let length = u16::try_from(packet.len()).ok().filter(|length| usize::from(*length) <= super::PACKET_BYTES_MAX)?;
    packet.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
    let authenticator = hmac(request.secret, &[&packet])?;
    packet.get_mut(place..place + 16)?.copy_from_slice(&authenticator);
    Some(packet)
}

/// Reads an answer.
///
/// # Errors
/// It must not be believed.
pub(super) fn read(packet: &[u8], request: &Request<'_>, authenticator_required: bool) -> Result<Answer, Unbelieved> {
    let whole = whole(packet, request).ok_or(Unbelieved::Forged)?;
    let (header, attributes) = whole.split_at_checked(HEADER_BYTES).ok_or(Unbelieved::Forged)?;
    let (signed, authenticator) = header.split_at_checked(4).ok_or(Unbelieved::Forged)?;
    let made = Md5::new_with_prefix(signed).chain_update(request.authenticator).chain_update(attributes);
    if !bool::from(made.chain_update(request.secret).finalize().ct_eq(authenticator)) {
        return Err(Unbelieved::Forged);
    }
    let mut answer = Answer { accepted: header.first() == Some(&ACCESS_ACCEPT), ha1: None };
    let (mut rest, mut authenticated) = (attributes, false);
    while let Some(Attribute { number, value, after: following }) = next_attribute(rest)? {
        match number {
            MESSAGE_AUTHENTICATOR => {
                let before = attributes.len() - rest.len() + 2;
                let (before, after) = (attributes.get(..before), attributes.get(before + 16..));
                let (Some(before), Some(after)) = (before, after) else { return Err(Unbelieved::Forged) };
                let parts: [&[u8]; 5] = [signed, &request.authenticator, before, &[0; 16], after];
                let made = hmac(request.secret, &parts).ok_or(Unbelieved::Forged)?;
                if !bool::from(made.ct_eq(value)) {
                    return Err(Unbelieved::Forged);
                }
                authenticated = true;
            }
            DIGEST_HA1 => answer.ha1 = Some(value.to_vec()),
            _ => {}
        }
        rest = following;
    }
    if authenticator_required && !authenticated { Err(Unbelieved::NoAuthenticator) } else { Ok(answer) }
}

/// The packet as long as it says, if it answers this request.
fn whole<'p>(packet: &'p [u8], request: &Request<'_>) -> Option<&'p [u8]> {
    let [code, identifier, high, low, ..] = packet else { return None };
    let answers =
        matches!(*code, ACCESS_ACCEPT | ACCESS_REJECT | ACCESS_CHALLENGE) && *identifier == request.identifier;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    packet.get(..length).filter(|whole| answers && whole.len() >= HEADER_BYTES)
}

/// One attribute, and what follows it.
struct Attribute<'p> {
    number: u8,
    value: &'p [u8],
    after: &'p [u8],
}

/// The next attribute; `None` at the end.
fn next_attribute(bytes: &[u8]) -> Result<Option<Attribute<'_>>, Unbelieved> {
    let [number, length, rest @ ..] = bytes else {
        return if bytes.is_empty() { Ok(None) } else { Err(Unbelieved::Forged) };
    };
    let split = usize::from(*length).checked_sub(2).and_then(|length| rest.split_at_checked(length));
    let (value, after) = split.ok_or(Unbelieved::Forged)?;
    Ok(Some(Attribute { number: *number, value, after }))
}

fn attribute(packet: &mut Vec<u8>, number: u8, value: &[u8]) -> Option<()> {
    let length = u8::try_from(value.len().checked_add(2)?).ok()?;
    packet.extend_from_slice(&[number, length]);
    packet.extend_from_slice(value);
    Some(())
}

fn hmac(secret: &[u8], parts: &[&[u8]]) -> Option<[u8; 16]> {
    let mut mac = Hmac::<Md5>::new_from_slice(secret).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proto::message::DigestCredentials;

    const REQUEST: Request<'static> = Request { identifier: 7, authenticator: [9; 16], secret: b"testing123" };

    fn query() -> Query<'static> {
        let credentials = DigestCredentials {
            username: b"alice",
            realm: b"example.com",
            nonce: b"abc",
            uri: b"sip:example.com",
            response: b"0123456789abcdef0123456789abcdef",
            algorithm: b"",
            cnonce: b"cn",
            qop: b"auth",
            nc: b"00000001",
            opaque: b"",
        };
        Query { domain: b"example.com", method: b"REGISTER", credentials }
    }

    fn attributes(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let (mut rest, mut all) = (&packet[HEADER_BYTES..], Vec::new());
        while let Some(Attribute { number, value, after }) = next_attribute(rest).unwrap() {
            all.push((number, value.to_vec()));
            rest = after;
        }
        all
    }

    /// What a server would send.
    fn answer(code: u8, more: &[(u8, &[u8])], authenticated: bool) -> Vec<u8> {
        let mut packet = vec![code, REQUEST.identifier, 0, 0];
        packet.extend_from_slice(&REQUEST.authenticator);
        more.iter().for_each(|(number, value)| attribute(&mut packet, *number, value).unwrap());
        if authenticated {
            attribute(&mut packet, MESSAGE_AUTHENTICATOR, &[0; 16]).unwrap();
        }
        let length = u16::try_from(packet.len()).unwrap();
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        if authenticated {
            let made = hmac(REQUEST.secret, &[&packet]).unwrap();
            let at = packet.len() - 16;
            packet[at..].copy_from_slice(&made);
        }
        let made: [u8; 16] = Md5::new_with_prefix(&packet).chain_update(REQUEST.secret).finalize().into();
        packet[4..20].copy_from_slice(&made);
        packet
    }

    #[test]
    fn both_dialects_carry_the_whole_proof() {
        let rfc = attributes(&write(&REQUEST, &query(), Dialect::Rfc5090, false).unwrap());
        for (number, value) in [
            (1, &b"alice"[..]),
            (104, b"example.com"),
            (108, b"REGISTER"),
            (111, b"MD5"),
            (114, b"00000001"),
            (115, b"alice"),
        ] {
            assert!(rfc.contains(&(number, value.to_vec())), "{number}");
        }
        let draft = attributes(&write(&REQUEST, &query(), Dialect::Sterman, true).unwrap());
        assert!(draft.contains(&(1, b"alice@example.com".to_vec())));
        assert!(draft.contains(&(207, b"\x01\x0dexample.com".to_vec())));
        assert!(draft.contains(&(206, query().credentials.response.to_vec())));
    }

    #[test]
    fn the_request_is_authenticated() {
        let packet = write(&REQUEST, &query(), Dialect::Rfc5090, false).unwrap();
        let mut zeroed = packet.clone();
        zeroed[22..38].fill(0);
        assert_eq!(packet[22..38], hmac(REQUEST.secret, &[&zeroed]).unwrap());
        let long = [b'a'; 254];
        let credentials = DigestCredentials { uri: &long, ..query().credentials };
        assert!(write(&REQUEST, &Query { credentials, ..query() }, Dialect::Rfc5090, false).is_none());
    }

    #[test]
    fn only_answers_made_with_the_secret_are_believed() {
        let accept = answer(ACCESS_ACCEPT, &[(DIGEST_HA1, b"00ff")], true);
        assert_eq!(read(&accept, &REQUEST, true), Ok(Answer { accepted: true, ha1: Some(b"00ff".to_vec()) }));
        let reject = answer(ACCESS_REJECT, &[], true);
        assert_eq!(read(&reject, &REQUEST, true), Ok(Answer::default()));
        for place in 0..accept.len() {
            let mut forged = accept.clone();
            forged[place] ^= 1;
            assert_eq!(read(&forged, &REQUEST, true), Err(Unbelieved::Forged), "octet {place}");
            assert_eq!(read(&accept[..place], &REQUEST, true), Err(Unbelieved::Forged), "cut at {place}");
        }
        let bare = answer(ACCESS_ACCEPT, &[], false);
        assert_eq!(read(&bare, &REQUEST, true), Err(Unbelieved::NoAuthenticator));
        assert_eq!(read(&bare, &REQUEST, false), Ok(Answer { accepted: true, ha1: None }));
        let other = Request { secret: b"other", ..REQUEST };
        assert_eq!(read(&bare, &other, false), Err(Unbelieved::Forged));
    }
}
