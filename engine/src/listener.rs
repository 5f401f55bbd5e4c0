//! Listeners: binding an address for all shards, and refusing one that is already served.

use crate::steering::Steers;
use crate::time::Micros;
use engine_sys::errno;
use engine_sys::socket::UdpSocket;
use engine_sys::steer::LargeSplit;
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

/// Why an address cannot be served.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

/// One listener's sockets: one for each shard, and where the driver wants them, as many for large
/// datagrams.
pub(crate) struct Group {
    pub(crate) address: SocketAddr,
    pub(crate) ordinary: Vec<UdpSocket>,
    pub(crate) large: Vec<UdpSocket>,
}

/// Binds `listener` for so many shards. With `split`, datagrams larger than it says get sockets of
/// their own.
pub(crate) fn bind(
    listener: &Listener,
    shards: usize,
    steers: &Steers,
    split: Option<LargeSplit>,
) -> Result<Group, BindError> {
    bind_group(listener, shards, steers, split).map_err(|error| BindError { address: listener.address, error })
}

fn bind_group(listener: &Listener, shards: usize, steers: &Steers, split: Option<LargeSplit>) -> io::Result<Group> {
    let total = if split.is_some() { 2 * shards } else { shards };
    let first = bind_alone(listener)?;
    let address = first.local_address()?;
    if total == 1 {
        return Ok(Group { address, ordinary: vec![first], large: Vec::new() });
    }
    // INVARIANT: the program names sockets by the order in which they were bound.
    first.allow_sharing()?;
    let mut sockets = vec![first];
    for _ in 1..total {
        let socket = open(listener)?;
        socket.allow_sharing()?;
        socket.bind(address)?;
        sockets.push(socket);
    }
    if let (Some(member), Ok(shards)) = (sockets.last(), u32::try_from(shards)) {
        steers.attach(member, shards, split)?;
    }
    let large = sockets.split_off(shards);
    Ok(Group { address, ordinary: sockets, large })
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
