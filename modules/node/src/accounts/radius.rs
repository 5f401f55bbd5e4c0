//! RADIUS servers that judge proofs themselves: RFC 5090, or draft-sterman-aaa-sip as Kamailio's `auth_radius` speaks it.
//!
//! Packets after RFC 2865 with a Message-Authenticator (RFC 3579 §3.2), which an answer must have too unless told
//! otherwise: without it a reply can be forged by who sits between (CVE-2024-3596). A question is repeated to a
//! server with the same identifier, then put to the next one. A server that did not answer is asked last for a while.

mod packet;

use super::source::Failure;
use modules::authentication::Said;
use modules::authentication::algorithm::{Algorithm, Hash};
use modules::authentication::credentials::Ha1s;
use modules::authentication::question::Query;
use packet::{Answer, Request};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

/// Which attributes carry the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 5090: attributes 103 to 122.
    Rfc5090,
    /// draft-sterman-aaa-sip: Digest-Response (206) and Digest-Attributes (207).
    Sterman,
}

/// Servers and how they are spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct Servers {
    /// `host:port`, in the order in which they are asked.
    pub names: Vec<String>,
    /// The secret shared with them.
    pub secret: Vec<u8>,
    /// Attributes.
    pub dialect: Dialect,
    /// How long a server has to answer.
    pub wait: Duration,
    /// How often a server is asked before the next one is.
    pub tries: u32,
    /// Answers without a Message-Authenticator are not believed.
    pub authenticator_required: bool,
    /// The user name is sent as `user@realm`.
    pub append_realm: bool,
}

// WHY not derived: the secret must not get into a log.
impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Servers({})", self.names.join(" "))
    }
}

/// A server that did not answer is asked last for so long.
const AVOIDED: Duration = Duration::from_secs(30);

/// Longest packet (RFC 2865 §3).
const PACKET_BYTES_MAX: usize = 4_096;

/// See the module.
pub(super) struct Radius {
    servers: Servers,
    /// By server: until when it is asked last.
    avoided: Mutex<Vec<Option<Instant>>>,
}

impl Radius {
    /// # Errors
    /// The deadline is too short to ask every server.
    pub(super) fn new(servers: &Servers, deadline: Duration) -> Result<Self, String> {
        let count = u32::try_from(servers.names.len()).unwrap_or(u32::MAX);
        let longest = servers.wait.saturating_mul(servers.tries).saturating_mul(count);
        if longest > deadline {
            return Err(format!(
                "{count} servers asked {} times for {longest:?} in all do not fit into the deadline of {deadline:?}",
                servers.tries
            ));
        }
        Ok(Radius { avoided: Mutex::new(vec![None; servers.names.len()]), servers: servers.clone() })
    }

    /// Whether the proof holds, or the account's HA1 (RFC 5090 §2.1.4 Digest-HA1) where a server gives it away.
    pub(super) async fn judge(&self, query: &Query<'_>) -> Result<Said, Failure> {
        let mut why = Failure("no server".into());
        for place in self.order() {
            let Some(name) = self.servers.names.get(place) else { continue };
            match self.ask(name, query).await {
                Ok(answer) => {
                    self.note(place, None);
                    return Ok(said(&answer, query));
                }
                Err(failure) => {
                    self.note(place, Some(Instant::now() + AVOIDED));
                    why = Failure(format!("{name}: {}", failure.0));
                }
            }
        }
        Err(why)
    }

    /// Servers that answer, then those that lately did not.
    fn order(&self) -> Vec<usize> {
        let (now, avoided) = (Instant::now(), self.avoided.lock().unwrap_or_else(PoisonError::into_inner));
        let mut order: Vec<usize> = (0..avoided.len()).collect();
        order.sort_by_key(|place| avoided.get(*place).copied().flatten().is_some_and(|until| until > now));
        order
    }

    fn note(&self, place: usize, until: Option<Instant>) {
        let mut avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        avoided.get_mut(place).into_iter().for_each(|known| *known = until);
    }

    async fn ask(&self, name: &str, query: &Query<'_>) -> Result<Answer, Failure> {
        let server = timeout(self.servers.wait, lookup_host(name))
            .await
            .map_err(|_| Failure("its name is not found in time".into()))?;
        let server = server?.next().ok_or_else(|| Failure("its name has no address".into()))?;
        let mut random = [0; 17];
        getrandom::fill(&mut random).map_err(|error| Failure(error.to_string()))?;
        let [identifier, authenticator @ ..] = random;
        let request = Request { identifier, authenticator, secret: &self.servers.secret };
        let bytes = packet::write(&request, query, self.servers.dialect, self.servers.append_realm)
            .ok_or_else(|| Failure("the proof does not fit into a packet".into()))?;
        let unspecified = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(unspecified).await?;
        // A connected socket takes packets from this server alone, and hears of its ICMP errors.
        socket.connect(server).await?;
        for _ in 0..self.servers.tries.max(1) {
            socket.send(&bytes).await?;
            if let Ok(answer) = timeout(self.servers.wait, self.answer(&socket, &request, server)).await {
                return answer;
            }
        }
        Err(Failure("does not answer".into()))
    }

    async fn answer(&self, socket: &UdpSocket, request: &Request<'_>, server: SocketAddr) -> Result<Answer, Failure> {
        let mut room = vec![0; PACKET_BYTES_MAX];
        loop {
            let length = socket.recv(&mut room).await?;
            let bytes = room.get(..length).unwrap_or_default();
            match packet::read(bytes, request, self.servers.authenticator_required) {
                Ok(answer) => return Ok(answer),
                // WHY it goes on: whoever can send from that address could else end our wait.
                Err(why) if why.is_forged() => {}
                Err(why) => return Err(Failure(format!("{server} {why}"))),
            }
        }
    }
}

fn said(answer: &Answer, query: &Query<'_>) -> Said {
    let algorithm = Algorithm::named(query.credentials.algorithm);
    let ha1 = answer.ha1.as_deref().zip(algorithm).and_then(|(digits, algorithm)| Hash::from_hex(algorithm, digits));
    match ha1.filter(|_| answer.accepted) {
        Some(ha1) => {
            let mut ha1s = Ha1s::default();
            ha1s.set(ha1);
            Said::Known(ha1s)
        }
        None => Said::Judged(answer.accepted),
    }
}
