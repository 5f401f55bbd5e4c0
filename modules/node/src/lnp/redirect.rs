//! A dip by SIP: INVITE to a redirect server, whose 3xx has the routing number in its Contact (RFC 3261 §8.3,
//! RFC 4694). A socket of its own for each question: what comes back can be nobody else's.

use super::{Outcome, routing_number};
use proto::message::{Arena, HeaderName, Message, Uri};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

/// Longest response that is read.
const RESPONSE_BYTES_MAX: usize = 4_096;

/// Asks one server after the other; each has its share of the time.
pub(super) async fn ask(servers: &[SocketAddr], timeout: Duration, number: &str) -> Outcome {
    let share = timeout / u32::try_from(servers.len().max(1)).unwrap_or(u32::MAX);
    for server in servers {
        let asked = tokio::time::timeout(share, ask_one(*server, number, Instant::now() + share)).await;
        if let Ok(Ok(outcome)) = asked {
            return outcome;
        }
    }
    Err(())
}

/// `Err`: nobody is there. What a server answers otherwise than by a redirection says nothing, and is final.
async fn ask_one(server: SocketAddr, number: &str, until: Instant) -> std::io::Result<Outcome> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let local = socket.local_addr()?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let token: String = random.iter().map(|octet| format!("{octet:02x}")).collect();
    socket
        .send(request("INVITE", number, server, local, &token, &format!("<sip:+{number}@{server}>")).as_bytes())
        .await?;
    let mut buffer = [0; RESPONSE_BYTES_MAX];
    while Instant::now() < until {
        let length = socket.recv(&mut buffer).await?;
        let Some((outcome, to)) = final_response(buffer.get(..length).unwrap_or_default(), &token) else { continue };
        let ack = request("ACK", number, server, local, &token, &to);
        // Its loss costs the server a repetition or two.
        let _ = socket.send(ack.as_bytes()).await;
        return Ok(outcome);
    }
    Err(std::io::ErrorKind::TimedOut.into())
}

/// What the final response to our INVITE says, and its To; `None`: these octets are none.
fn final_response(bytes: &[u8], call_id: &str) -> Option<(Outcome, String)> {
    let mut arena = Arena::new();
    let response = Message::parse(bytes, &mut arena).ok()?;
    let ours = !response.is_request() && response.call_id() == call_id.as_bytes();
    let to = response.value(HeaderName::To).unwrap_or_default();
    (ours && response.status() >= 200).then(|| (read(&response), String::from_utf8_lossy(to).into_owned()))
}

fn request(method: &str, number: &str, server: SocketAddr, local: SocketAddr, token: &str, to: &str) -> String {
    let contact = if method == "INVITE" { format!("Contact: <sip:{local}>\r\n") } else { String::new() };
    format!(
        "{method} sip:+{number}@{server};user=phone SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{token};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:tandem@{local}>;tag={}\r\nTo: {to}\r\nCall-ID: {token}\r\nCSeq: 1 {method}\r\n\
         {contact}Content-Length: 0\r\n\r\n",
        token.get(..8).unwrap_or(token)
    )
}

/// What a final response says.
fn read(response: &Message<'_>) -> Outcome {
    if !(300..400).contains(&response.status()) {
        return Err(());
    }
    let contacts = response.name_addrs(HeaderName::Contact).filter_map(Result::ok);
    let found = contacts.filter_map(|contact| {
        let uri = Uri::parse(contact.uri).ok()?;
        let user = uri.user.unwrap_or_default();
        let parameters = user.iter().position(|octet| *octet == b';').and_then(|at| user.get(at..));
        routing_number(parameters.unwrap_or_default()).or_else(|| routing_number(uri.params))
    });
    Ok(found.into_iter().next())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn told(status: u16, contact: &str) -> Outcome {
        let text = format!("SIP/2.0 {status} X\r\n{contact}Content-Length: 0\r\n\r\n");
        let mut arena = Arena::new();
        read(&Message::parse(text.as_bytes(), &mut arena).unwrap())
    }

    #[test]
    fn the_contact_of_a_redirection_has_the_number() {
        let rn = Some("12015550000".to_owned());
        assert_eq!(
            told(302, "Contact: <sip:+12125551234;rn=+12015550000;npdi@192.0.2.1;user=phone>\r\n"),
            Ok(rn.clone())
        );
        assert_eq!(told(302, "Contact: <sip:+12125551234@192.0.2.1;rn=+1-201-555-0000>\r\n"), Ok(rn));
        assert_eq!(told(302, "Contact: <sip:+12125551234;npdi@192.0.2.1>\r\n"), Ok(None));
        assert_eq!([told(404, ""), told(503, ""), told(200, "")], [Err(()), Err(()), Err(())]);
    }

    #[test]
    fn a_server_is_asked_acknowledged_and_replaced_by_the_next() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
        runtime.block_on(async {
            let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let servers = [silent.local_addr().unwrap(), server.local_addr().unwrap()];
            let asked = tokio::spawn(async move { ask(&servers, Duration::from_secs(4), "12125551234").await });
            let mut buffer = [0; 2_048];
            let (length, peer) = server.recv_from(&mut buffer).await.unwrap();
            let invite = String::from_utf8(buffer[..length].to_vec()).unwrap();
            assert!(invite.starts_with("INVITE sip:+12125551234@127.0.0.1:"), "{invite}");
            let lines =
                invite.lines().filter(|line| ["Via", "Fro", "To:", "Cal", "CSe"].contains(&&line[..3.min(line.len())]));
            let copied: String = lines.map(|line| format!("{line}\r\n")).collect();
            let answer =
                format!("SIP/2.0 302 Moved\r\n{copied}Contact: <sip:1;rn=+1201@h>\r\nContent-Length: 0\r\n\r\n");
            server.send_to(answer.as_bytes(), peer).await.unwrap();
            let (length, _) = server.recv_from(&mut buffer).await.unwrap();
            assert!(buffer[..length].starts_with(b"ACK sip:+12125551234@"));
            assert_eq!(asked.await.unwrap(), Ok(Some("1201".to_owned())));
        });
    }
}
