//! Does one thing with a typical 800-byte INVITE a given number of times, for instruction counts and
//! timings of the message layer alone: `parse` it; parse and `validate` it; parse it, `rewrite` it as a
//! proxy does and write it out; or `all` three.
//!
//! ```text
//! cargo build --release -p proto --example parse_invite
//! target/release/examples/parse_invite parse 1000000      # ns a message
//! valgrind --tool=callgrind target/release/examples/parse_invite parse 1000
//! ```
//!
//! Instructions a message are the difference between two runs of different length, divided by the
//! difference in length.

#![allow(clippy::unwrap_used, reason = "an example may panic")]

use proto::message::{Arena, HeaderName, Message, Splice, Writer, validate_request};
use std::hint::black_box;
use std::time::Instant;

/// 800 bytes as they come from a carrier's gateway: 14 header fields, SDP of a voice call.
pub(crate) const INVITE: &str = concat!(
    "INVITE sip:+4930123456789@198.51.100.20:5060;user=phone SIP/2.0\r\n",
    "Via: SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bK-524287-1---3f9c2a7be1d04f58;rport\r\n",
    "Max-Forwards: 70\r\n",
    "From: \"+442071234567\" <sip:+442071234567@203.0.113.10>;tag=8f2b6c1d\r\n",
    "To: <sip:+4930123456789@198.51.100.20>\r\n",
    "Call-ID: 7d1f0c9e-5b3a-4e64-9c1e-2f8a6d3b7e90@203.0.113.10\r\n",
    "CSeq: 1 INVITE\r\n",
    "Contact: <sip:+442071234567@203.0.113.10:5060>\r\n",
    "Allow: INVITE,ACK,BYE,CANCEL,OPTIONS,PRACK,UPDATE\r\n",
    "Supported: timer,100rel\r\n",
    "User-Agent: Gateway 7.2\r\n",
    "Content-Type: application/sdp\r\n",
    "Content-Length: 209\r\n",
    "\r\n",
    "v=0\r\n",
    "o=- 3951 3951 IN IP4 203.0.113.10\r\n",
    "s=-\r\n",
    "c=IN IP4 203.0.113.10\r\n",
    "t=0 0\r\n",
    "m=audio 16422 RTP/AVP 8 0 101\r\n",
    "a=rtpmap:8 PCMA/8000\r\n",
    "a=rtpmap:0 PCMU/8000\r\n",
    "a=rtpmap:101 telephone-event/8000\r\n",
    "a=ptime:20\r\na=sendrecv\r\n",
);

/// What a proxy sends on (RFC 3261 §16.6): another Request-URI, a Via, a Record-Route, one hop less, and
/// `rport` and `received` in the Via of the sender.
pub(crate) fn rewrite(message: &Message<'_>, out: &mut Writer<'_>) {
    let via = message.top_via().unwrap();
    let hops = message.max_forwards().unwrap().unwrap_or(70);

    let mut splice = Splice::new(message.bytes(), out);
    splice.replace(message.request_uri_span(), |out| out.put(b"sip:+4930123456789@192.0.2.77:5060;user=phone"));
    splice.insert(message.start_line_end(), |out| {
        out.put(b"Via: SIP/2.0/UDP ");
        out.sent_by(([198, 51, 100, 20], 5060).into());
        out.put(b";branch=z9hG4bK");
        out.hex(0x0123_4567_89ab_cdef, 16);
        out.hex(0x0fed_cba9_8765_4321, 16);
        out.put(b";rport\r\nRecord-Route: <sip:");
        out.hex(0x0fed_cba9_8765_4321, 16);
        out.byte(b'@');
        out.sent_by(([198, 51, 100, 20], 5060).into());
        out.put(b";lr>\r\n");
    });
    splice.replace(via.rport_span, |out| {
        out.put(b";rport=");
        out.decimal(5060);
        out.put(b";received=");
        out.ip_bare([203, 0, 113, 10].into());
    });
    if let Some(field) = message.field(HeaderName::MaxForwards) {
        splice.replace(field.value, |out| out.decimal(u64::from(hops) - 1));
    }
    splice.finish();
}

/// Does it `times` times; returns nanoseconds each.
fn run(what: &str, times: u32, arena: &mut Arena) -> f64 {
    let mut room = [0; 2_048];
    let started = Instant::now();
    for _ in 0..times {
        let message = Message::parse(black_box(INVITE.as_bytes()), arena).unwrap();
        if matches!(what, "validate" | "all") {
            validate_request(black_box(&message)).unwrap();
        }
        if matches!(what, "rewrite" | "all") {
            let mut out = Writer::new(&mut room);
            rewrite(black_box(&message), &mut out);
            black_box(out.finish().unwrap());
        }
        black_box(&message);
    }
    started.elapsed().as_secs_f64() * 1e9 / f64::from(times)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "parse".into());
    assert!(["parse", "validate", "rewrite", "all"].contains(&what.as_str()), "unknown: {what}");
    let times: u32 = arguments.next().map_or(1_000_000, |times| times.parse().unwrap());
    let mut arena = Arena::new();
    // The best of ten batches: others use the machine too.
    let batch = times.div_ceil(10);
    let nanoseconds = (0..10).map(|_| run(&what, batch, &mut arena)).fold(f64::MAX, f64::min);
    println!("{what}: {} bytes, {} times, {nanoseconds:.0} ns each", INVITE.len(), batch * 10);
}
