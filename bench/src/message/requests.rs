//! What a caller sends before there is a dialog: INVITE, its CANCEL and ACK, OPTIONS, REGISTER.

use std::net::SocketAddr;

use proto::{message::Writer, time::Mono};

use super::{sdp, template::Template};
use crate::identity::{self, Key, Leg, Run};

/// About 800 bytes with its description: what wholesale trunks send.
const INVITE: &str = "INVITE sip:+49{callee}@{target};user=phone SIP/2.0
Via: SIP/2.0/UDP {local};branch={branch};rport
Max-Forwards: 70
From: <sip:+44{caller}@{local}>;tag={tag}
To: <sip:+49{callee}@{target}>
Call-ID: {call_id}
CSeq: 1 INVITE
Contact: <sip:+44{caller}@{local}>
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE
P-Asserted-Identity: <sip:+44{caller}@{local}>
User-Agent: tandem-bench
Content-Type: application/sdp
Content-Length: {length}

{sdp}";

/// RFC 3261 §9.1: Request-URI, Via, From, To, Call-ID and CSeq number are the INVITE's.
const CANCEL: &str = "CANCEL sip:+49{callee}@{target};user=phone SIP/2.0
Via: SIP/2.0/UDP {local};branch={branch};rport
Max-Forwards: 70
From: <sip:+44{caller}@{local}>;tag={tag}
To: <sip:+49{callee}@{target}>
Call-ID: {call_id}
CSeq: 1 CANCEL
User-Agent: tandem-bench
Content-Length: 0

";

/// RFC 3261 §17.1.1.3: like the INVITE, but To from the response.
const ACK: &str = "ACK sip:+49{callee}@{target};user=phone SIP/2.0
Via: SIP/2.0/UDP {local};branch={branch};rport
Max-Forwards: 70
From: <sip:+44{caller}@{local}>;tag={tag}
To: {to}
Call-ID: {call_id}
CSeq: 1 ACK
User-Agent: tandem-bench
Content-Length: 0

";

const OPTIONS: &str = "OPTIONS sip:{target} SIP/2.0
Via: SIP/2.0/UDP {local};branch={branch};rport
Max-Forwards: 70
From: <sip:probe@{local}>;tag={tag}
To: <sip:{target}>
Call-ID: {call_id}
CSeq: 1 OPTIONS
Contact: <sip:probe@{local}>
Accept: application/sdp
User-Agent: tandem-bench
Content-Length: 0

";

const REGISTER: &str = "REGISTER sip:{target} SIP/2.0
Via: SIP/2.0/UDP {local};branch={branch};rport
Max-Forwards: 70
From: <sip:{prefix}{callee}@{target}>;tag={tag}
To: <sip:{prefix}{callee}@{target}>
Call-ID: {call_id}
CSeq: {cseq} REGISTER
Contact: <sip:{prefix}{callee}@{contact}>;expires=3600
{authorization}User-Agent: tandem-bench
Content-Length: 0

";

/// Smallest body of the large INVITEs (2.5 KB in all).
const LARGE_BODY_BYTES: usize = 1_950;

#[derive(Clone, Copy)]
enum Hole {
    Branch,
    Tag,
    CallId,
    Callee,
    Caller,
    To,
    CSeq,
    Authorization,
}

fn hole(name: &str) -> Option<Hole> {
    Some(match name {
        "branch" => Hole::Branch,
        "tag" => Hole::Tag,
        "call_id" => Hole::CallId,
        "callee" => Hole::Callee,
        "caller" => Hole::Caller,
        "to" => Hole::To,
        "cseq" => Hole::CSeq,
        "authorization" => Hole::Authorization,
        _ => return None,
    })
}

/// What can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// INVITE of about 800 bytes.
    Invite,
    /// INVITE of about 2.5 KB.
    LargeInvite,
    /// CANCEL of either.
    Cancel,
    /// ACK of a failure.
    Ack,
    /// OPTIONS to the target itself.
    Options,
    /// REGISTER of one contact.
    Register,
}

/// What distinguishes one call from another.
#[derive(Clone, Copy, Debug)]
pub struct Particulars {
    /// Place of the call.
    pub key: Key,
    /// When it was meant to start.
    pub intended: Mono,
    /// The number called, up to ten digits; callers are derived from it.
    pub number: u64,
}

/// Whom and where a REGISTER registers, beside the number.
#[derive(Clone, Debug, Default)]
pub struct Registered {
    /// What stands before the number in the user's name.
    pub prefix: String,
    /// Where the Contact leads; `None`: to the address that the REGISTER comes from.
    pub contact: Option<SocketAddr>,
}

/// The requests of one caller's address.
pub struct Requests {
    run: Run,
    invite: Template<Hole>,
    large_invite: Template<Hole>,
    cancel: Template<Hole>,
    ack: Template<Hole>,
    options: Template<Hole>,
    register: Template<Hole>,
    register_uri: String,
}

/// Decimal digits of subscriber numbers.
const NUMBER_DIGITS: usize = 10;
const NUMBER_MODULUS: u64 = 10_u64.pow(NUMBER_DIGITS as u32);

impl Requests {
    /// Renders everything that stays the same for calls from `local` to `target`.
    pub fn new(run: Run, local: SocketAddr, target: SocketAddr, registered: &Registered) -> Self {
        let offer = sdp::offer(local.ip(), 0);
        let large_offer = sdp::offer(local.ip(), LARGE_BODY_BYTES);
        let contact = registered.contact.unwrap_or(local).to_string();
        let (local, target) = (local.to_string(), target.to_string());
        let template = |text: &str, sdp: &str| {
            let length = sdp::crlf_bytes(sdp).to_string();
            let fixed = [
                ("local", local.as_str()),
                ("target", target.as_str()),
                ("sdp", sdp),
                ("length", length.as_str()),
                ("prefix", registered.prefix.as_str()),
                ("contact", contact.as_str()),
            ];
            Template::new(text, &fixed, hole)
        };
        Requests {
            run,
            invite: template(INVITE, &offer),
            large_invite: template(INVITE, &large_offer),
            cancel: template(CANCEL, ""),
            ack: template(ACK, ""),
            options: template(OPTIONS, ""),
            register: template(REGISTER, ""),
            register_uri: format!("sip:{target}"),
        }
    }

    /// Request-URI of a REGISTER.
    pub fn register_uri(&self) -> &str {
        &self.register_uri
    }

    /// Writes a REGISTER with credentials: the first one of its kind, or the second after a challenge.
    pub fn write_register(&self, leg: Leg, call: &Particulars, credentials: &str, out: &mut Writer<'_>) {
        self.fill(&self.register, leg, call, b"", Some(credentials), out);
    }

    /// Writes one request; `to` is the To value of the response that an ACK acknowledges.
    pub fn write(&self, request: Request, call: &Particulars, to: &[u8], out: &mut Writer<'_>) {
        let (template, leg) = match request {
            Request::Invite => (&self.invite, Leg::Invite),
            Request::LargeInvite => (&self.large_invite, Leg::Invite),
            Request::Cancel => (&self.cancel, Leg::Invite),
            Request::Ack => (&self.ack, Leg::Invite),
            Request::Options => (&self.options, Leg::Single),
            Request::Register => (&self.register, Leg::Single),
        };
        self.fill(template, leg, call, to, None, out);
    }

    fn fill(
        &self,
        template: &Template<Hole>,
        leg: Leg,
        call: &Particulars,
        to: &[u8],
        credentials: Option<&str>,
        out: &mut Writer<'_>,
    ) {
        let run = self.run;
        template.render(out, |hole, out| match hole {
            Hole::Branch => out.put(&identity::branch(run, call.key, leg)),
            Hole::Tag => out.put(&identity::tag(run, call.key)),
            Hole::CallId => out.put(&identity::call_id(run, call.key, call.intended)),
            Hole::Callee => out.put(&digits(call.number)),
            Hole::Caller => out.put(&digits(call.number.wrapping_mul(CALLER_STRIDE))),
            Hole::To => out.put(to),
            Hole::CSeq => out.decimal(if leg == Leg::Credentials { 2 } else { 1 }),
            Hole::Authorization => {
                if let Some(credentials) = credentials {
                    out.put(b"Authorization: ");
                    out.put(credentials.as_bytes());
                    out.put(b"\r\n");
                }
            }
        });
    }
}

/// The user that a call to a number is for.
pub(crate) fn callee(number: u64) -> [u8; CALLEE_PREFIX.len() + NUMBER_DIGITS] {
    let mut user = [0; CALLEE_PREFIX.len() + NUMBER_DIGITS];
    let (prefix, rest) = user.split_at_mut(CALLEE_PREFIX.len());
    prefix.copy_from_slice(CALLEE_PREFIX);
    rest.copy_from_slice(&digits(number));
    user
}

/// What stands before the number in the INVITEs above.
const CALLEE_PREFIX: &[u8] = b"+49";

/// Spreads callers over their numbers, away from the callees'.
const CALLER_STRIDE: u64 = 7_919;

/// The last ten decimal digits, zeros in front.
pub(crate) fn digits(number: u64) -> [u8; NUMBER_DIGITS] {
    let mut left = number % NUMBER_MODULUS;
    let mut out = [b'0'; NUMBER_DIGITS];
    for place in out.iter_mut().rev() {
        // The remainder is below ten.
        *place = b'0' + (left % 10) as u8;
        left /= 10;
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proto::message::{Arena, Message, Method};

    fn written(request: Request) -> Vec<u8> {
        let local = "127.0.0.1:5090".parse().unwrap();
        let target = "127.0.0.1:5060".parse().unwrap();
        let registered = Registered { prefix: "+49".to_owned(), contact: "127.0.0.9:5061".parse().ok() };
        let requests = Requests::new(Run(7), local, target, &registered);
        let call = Particulars { key: Key { slot: 1, generation: 2 }, intended: Mono(3), number: 30_123 };
        let mut room = [0; 4096];
        let mut out = Writer::new(&mut room);
        requests.write(request, &call, b"<sip:x@y>;tag=z", &mut out);
        let length = out.finish().unwrap();
        room[..length].to_vec()
    }

    #[test]
    fn every_request_is_sip_with_the_right_length() {
        for (request, method) in [
            (Request::Invite, Method::Invite),
            (Request::LargeInvite, Method::Invite),
            (Request::Cancel, Method::Cancel),
            (Request::Ack, Method::Ack),
            (Request::Options, Method::Options),
            (Request::Register, Method::Register),
        ] {
            let bytes = written(request);
            let mut arena = Arena::new();
            let message = Message::parse(&bytes, &mut arena).unwrap();
            assert_eq!(message.method(), method);
            assert_eq!(message.bytes().len(), bytes.len(), "Content-Length");
            let branch = message.top_via().unwrap().branch;
            assert!(identity::key_of_branch(Run(7), branch).is_some());
            assert_eq!(identity::intended_start(message.call_id()), Some(Mono(3)), "{request:?}");
        }
    }

    #[test]
    fn who_is_registered_can_be_called() {
        let register = String::from_utf8(written(Request::Register)).unwrap();
        let user = String::from_utf8(callee(30_123).to_vec()).unwrap();
        assert!(register.contains(&format!("To: <sip:{user}@127.0.0.1:5060>\r\n")), "{register}");
        assert!(register.contains(&format!("Contact: <sip:{user}@127.0.0.9:5061>;expires=3600\r\n")), "{register}");
        let invite = String::from_utf8(written(Request::Invite)).unwrap();
        assert!(invite.starts_with(&format!("INVITE sip:{user}@127.0.0.1:5060;")), "{invite}");
    }

    #[test]
    fn invites_have_the_sizes_of_real_traffic() {
        let typical = written(Request::Invite).len();
        assert!((780..830).contains(&typical), "{typical}");
        let large = written(Request::LargeInvite).len();
        assert!((2_450..2_600).contains(&large), "{large}");
    }

    #[test]
    fn numbers_have_ten_digits() {
        assert_eq!(&digits(0), b"0000000000");
        assert_eq!(&digits(30_123), b"0000030123");
        assert_eq!(&digits(u64::MAX), b"3709551615");
    }
}
