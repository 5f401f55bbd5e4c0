//! Listeners: binding an address for all shards, and refusing one that is already served.

use crate::steering::Steers;
use crate::time::Micros;
use engine_sys::errno;
use engine_sys::socket::UdpSocket;
use engine_sys::steer::Sets;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// An address to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where. A wildcard answers from the address that was asked. Port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Bind even if the host does not have the address yet (a floating address): IP_FREEBIND.
    pub freebind: bool,
    /// How long a datagram may wait in the socket's buffer when a shard is saturated.
    pub receive_wait: Micros,
}

impl Listener {
    /// A listener with default settings: no freebind, 100 ms.
    pub fn new(address: SocketAddr) -> Self {
        Listener { address, freebind: false, receive_wait: Micros::from_millis(100) }
    }
}

/// Datagrams that can wait: those that begin so get sockets of their own, on every listener, which a shard reads after
/// all others, so many in a turn at most. A crowd of them fills these sockets and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deferred {
    /// How they begin.
    pub begins: [u8; 8],
    /// How long one may wait in its socket's buffer when a shard is saturated. What finds no room is dropped by the
    /// kernel, which costs the shard nothing.
    pub receive_wait: Micros,
}

/// Why an address cannot be served.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

/// One listener's sockets: one for each shard, and where they are wanted, as many for large datagrams and for
/// those that can wait.
pub(crate) struct Group {
    pub(crate) address: SocketAddr,
    pub(crate) ordinary: Vec<UdpSocket>,
    pub(crate) large: Vec<UdpSocket>,
    pub(crate) deferred: Vec<UdpSocket>,
}

/// Binds `listener` for these sets of sockets; `deferred_wait`: how long what is deferred may wait.
pub(crate) fn bind(
    listener: &Listener,
    steers: &Steers,
    sets: &Sets,
    deferred_wait: Micros,
) -> Result<Group, BindError> {
    bind_group(listener, steers, sets, deferred_wait).map_err(|error| BindError { address: listener.address, error })
}

fn bind_group(listener: &Listener, steers: &Steers, sets: &Sets, deferred_wait: Micros) -> io::Result<Group> {
    let first = bind_alone(listener)?;
    let address = first.local_address()?;
    if sets.sockets() == 1 {
        return Ok(Group { address, ordinary: vec![first], large: Vec::new(), deferred: Vec::new() });
    }
    // INVARIANT: the program names sockets by the order in which they were bound.
    first.allow_sharing()?;
    let mut sockets = vec![first];
    let patient = Listener { receive_wait: deferred_wait, ..listener.clone() };
    for number in 1..sets.sockets() {
        let socket = open(if number < sets.first_deferred() { listener } else { &patient })?;
        socket.allow_sharing()?;
        socket.bind(address)?;
        sockets.push(socket);
    }
    if let Some(member) = sockets.last() {
        steers.attach(member, sets)?;
    }
    // INVARIANT: both numbers are at most that of the sockets.
    let deferred = sockets.split_off(sets.first_deferred() as usize);
    let large = sockets.split_off(sets.shards as usize);
    Ok(Group { address, ordinary: sockets, large, deferred })
}

/// Binds the first socket of a group without SO_REUSEPORT, which succeeds only if nobody else has the
/// address, and fails for everybody who comes later the same way.
///
/// WHY: with SO_REUSEPORT from the start, a second process of the same user would silently take half
/// of all datagrams. The option is set once the socket is bound: from then on our own can join. There
/// is no moment at which the address is free.
fn bind_alone(listener: &Listener) -> io::Result<UdpSocket> {
    let deadline = Instant::now() + Duration::from_millis(limits::BIND_RETRY_MS);
    loop {
        let socket = open(listener)?;
        match socket.bind(listener.address) {
            Ok(()) => return Ok(socket),
            Err(error) if error.raw_os_error() == Some(errno::EADDRINUSE) && Instant::now() < deadline => {
                std::thread::sleep(RETRY_EVERY);
            }
            Err(error) => return Err(error),
        }
    }
}

fn open(listener: &Listener) -> io::Result<UdpSocket> {
    let socket = UdpSocket::open(listener.address)?;
    socket.set_reports(listener.address)?;
    socket.set_receive_buffer(receive_buffer_bytes(listener.receive_wait))?;
    socket.set_send_buffer(SEND_BUFFER_BYTES)?;
    if listener.freebind {
        socket.allow_foreign_address(listener.address)?;
    }
    Ok(socket)
}

/// Bytes of a receive buffer that a saturated shard empties in `wait`, as the kernel counts them.
pub fn receive_buffer_bytes(wait: Micros) -> usize {
    let datagrams = wait.0.saturating_mul(DATAGRAMS_PER_SECOND) / 1_000_000;
    usize::try_from(datagrams.saturating_mul(DATAGRAM_BYTES)).unwrap_or(usize::MAX)
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.error.raw_os_error() {
            Some(errno::EADDRINUSE) => write!(
                f,
                "{address} is already served by another process (busy for {} ms); stop that one (`ss -ulpn` shows it) or listen elsewhere",
                limits::BIND_RETRY_MS
            ),
            Some(errno::EADDRNOTAVAIL) => {
                write!(f, "this host has no address {}; correct it, or set freebind if it comes later", address.ip())
            }
            Some(errno::EACCES) => {
                write!(f, "{address} needs the right to bind ports below 1024 (CAP_NET_BIND_SERVICE)")
            }
            _ => write!(f, "cannot serve {address}: {}", self.error),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

const RETRY_EVERY: Duration = Duration::from_millis(10);
/// What one saturated shard takes from its sockets in a second, about: bounds the wait in the buffer.
const DATAGRAMS_PER_SECOND: u64 = 50_000;
/// What the kernel charges for one datagram of about 800 bytes.
const DATAGRAM_BYTES: u64 = 2_304;
/// WHY: a turn sends up to a few hundred datagrams at once; they must not meet a full buffer.
const SEND_BUFFER_BYTES: usize = 4 * 1024 * 1024;
