//! Session descriptions, as a wholesale trunk offers and answers them; nothing listens there.

use std::net::IpAddr;

/// Codecs of the offer: what a carrier's switch sends.
const OFFER_MEDIA: &str = "m=audio 40000 RTP/AVP 8 0 18 101
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:18 G729/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
";

const ANSWER_MEDIA: &str = "m=audio 41000 RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
";

/// An offer, padded with attributes until it has at least `bytes_min` bytes.
pub fn offer(address: IpAddr, bytes_min: usize) -> String {
    let mut text = session(address) + OFFER_MEDIA;
    // WHY: large INVITEs of real traffic are large by attributes (candidates, crypto lines).
    let mut line = 0;
    while crlf_bytes(&text) < bytes_min {
        text.push_str(&format!("a=x-padding:{line:03} 0123456789abcdefghijklmnopqrstuvwxyz\n"));
        line += 1;
    }
    text
}

/// An answer.
pub fn answer(address: IpAddr) -> String {
    session(address) + ANSWER_MEDIA
}

/// Length of `text` once its line ends are CRLF: its Content-Length.
pub fn crlf_bytes(text: &str) -> usize {
    text.len() + text.matches('\n').count()
}

fn session(address: IpAddr) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    format!("v=0\no=- 20518 1 IN {family} {address}\ns=-\nc=IN {family} {address}\nt=0 0\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn padding_reaches_the_size_and_not_much_more() {
        let text = offer(Ipv4Addr::LOCALHOST.into(), 2000);
        assert!((2000..2060).contains(&crlf_bytes(&text)));
        assert!(text.starts_with("v=0\n") && text.ends_with('\n'));
    }
}
