//! The SIP text of both ends.

use std::net::SocketAddr;

/// As a carrier sends it.
pub(crate) const SDP: &str = "v=0\r\no=caller 2890844526 2890844526 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\n\
t=0 0\r\nm=audio 49172 RTP/AVP 0 8 18 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";

/// A request of the caller; `dialog` is the Route and the gateway of an established call.
pub(crate) fn request(method: &str, number: u32, call: usize, dialog: Option<(&String, SocketAddr)>) -> String {
    let (uri, to_tag, route) = match dialog {
        Some((route, gateway)) => (format!("sip:15551230002@{gateway}"), ";tag=b", format!("Route: {route}\r\n")),
        None => ("sip:15551230002@192.0.2.1:5060".to_owned(), "", String::new()),
    };
    let (content, body) = if method == "INVITE" { ("Content-Type: application/sdp\r\n", SDP) } else { ("", "") };
    format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-{call}-{number}-{method};rport\r\nMax-Forwards: 70\r\n{route}\
         From: \"Alice\" <sip:15551230001@192.0.2.10>;tag=a{call}\r\nTo: <sip:15551230002@192.0.2.1>{to_tag}\r\n\
         Call-ID: {call}-1234567890@192.0.2.10\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:15551230001@192.0.2.10:5060>\r\nUser-Agent: Example/1.0\r\n\
         Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK\r\nSupported: 100rel, timer\r\n{content}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The answer of a gateway.
pub(crate) fn response(request: &str, status: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.split("\r\n") {
        match line.split(':').next().unwrap() {
            "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => text.push_str(&format!("{line}\r\n")),
            "To" => text.push_str(&format!("{};tag=b\r\n", line.split(";tag").next().unwrap())),
            _ => {}
        }
    }
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let length = body.len();
    text + &format!("Contact: <sip:15551230002@192.0.2.20:5060>\r\n{content}Content-Length: {length}\r\n\r\n{body}")
}

/// The value of Record-Route.
pub(crate) fn route(invite: &str) -> String {
    invite.split("\r\n").find_map(|line| line.strip_prefix("Record-Route: ")).unwrap().to_owned()
}
