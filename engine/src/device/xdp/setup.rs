//! Setting AF_XDP up: the best mode that each interface permits, its queues shared out among the
//! shards, memory and sockets. Done before any shard starts, so that a failure changes nothing.

use super::attachment::{Attachment, Hook};
use super::network::Network;
use super::{Parts, Port, netlink};
use crate::pools::Pools;
use engine_sys::errno;
use engine_sys::xdp::{Bind, Memory, Sizes, Umem, XdpSocket, capability};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XdpConfig {
    /// Names of the interfaces. None: AF_XDP is not used.
    pub interfaces: Vec<String>,
    /// Which modes may be used.
    pub mode: XdpMode,
    /// Spin in the driver instead of being interrupted (SO_PREFER_BUSY_POLL).
    pub busy_poll: bool,
}

/// How packets may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XdpMode {
    /// The best that there is.
    #[default]
    Best,
    /// The best that is worth it: zero-copy, or a copy in the driver, never the generic mode, which is
    /// slower than the kernel's sockets.
    Worthwhile,
    /// Copied in the driver, even where the card could do without.
    Copy,
    /// In the kernel's stack, even where the driver has XDP.
    Generic,
}

/// The mode that serves a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueMode {
    /// The card reads and writes our memory.
    ZeroCopy,
    /// The driver's XDP, with a copy.
    NativeCopy,
    /// The kernel's generic XDP, with a copy.
    Generic,
}

/// What serves a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpQueue {
    /// Name of the interface.
    pub interface: String,
    /// Its queue.
    pub queue: u32,
    /// The shard that owns it.
    pub shard: usize,
    /// How.
    pub mode: QueueMode,
    /// Why not a better mode.
    pub why: Option<String>,
}

/// An interface with its program.
pub(super) struct Served {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) attachment: Attachment,
    /// How many queues it had, as [`queue_count`] says.
    pub(super) queue_count: Option<u32>,
    pub(super) queues: Vec<XdpQueue>,
}

/// What one shard's sockets are opened with.
pub(super) struct ShardMemory {
    pub(super) memory: Arc<Memory>,
    pub(super) sizes: Sizes,
    /// Number of the next socket in the account.
    pub(super) next: u8,
}

/// Everything, ready.
pub struct Prepared {
    pub(super) config: XdpConfig,
    pub(super) network: Arc<Network>,
    pub(super) served: Vec<Served>,
    pub(super) memories: Vec<ShardMemory>,
    pub(super) umems: Vec<Umem>,
    /// By shard.
    pub(super) ports: Vec<Vec<Port>>,
}

impl Prepared {
    /// What serves each queue.
    pub fn queues(&self) -> Vec<XdpQueue> {
        self.served.iter().flat_map(|served| served.queues.iter().cloned()).collect()
    }
}

/// Sets everything up for so many shards.
///
/// # Errors
/// Why it cannot be, in words for an operator. Nothing stays attached.
pub fn prepare(config: &XdpConfig, shards: usize, pools: &Pools) -> Result<Prepared, String> {
    may_be_set_up()?;
    let network = netlink::read().map_err(|error| format!("the kernel's routes cannot be read: {error}"))?;
    let sizes = Sizes { receive: ring_size(pools.receive_buffers), transmit: ring_size(pools.send_slots) };
    let (mut umems, mut memories) = (Vec::new(), Vec::new());
    for _ in 0..shards {
        let umem = Umem::new(pools.receive_buffers * config.interfaces.len(), pools.send_slots)
            .map_err(|error| format!("no memory for frames: {error}"))?;
        memories.push(ShardMemory { memory: Arc::clone(umem.memory()), sizes, next: 0 });
        umems.push(umem);
    }
    let mut ports: Vec<Vec<Port>> = (0..shards).map(|_| Vec::new()).collect();
    let mut served = Vec::new();
    for name in &config.interfaces {
        let one = serve(config, name, &network, &mut memories, |shard, port| {
            if let Some(ports) = ports.get_mut(shard) {
                ports.push(port);
            }
        });
        served.push(one.map_err(|why| format!("{name}: {why}"))?);
    }
    Ok(Prepared { config: config.clone(), network: Arc::new(network), served, memories, umems, ports })
}

/// Whether this thread has the rights.
fn may_be_set_up() -> Result<(), String> {
    match capability::missing_for_xdp() {
        Ok(missing) if missing.is_empty() => Ok(()),
        Ok(missing) => Err(format!("AF_XDP needs {}", missing.join(", "))),
        Err(error) => Err(format!("capabilities cannot be read: {error}")),
    }
}

/// Attaches the program to an interface and opens a socket for each of its queues.
pub(super) fn serve(
    config: &XdpConfig,
    name: &str,
    network: &Network,
    memories: &mut [ShardMemory],
    mut give: impl FnMut(usize, Port),
) -> Result<Served, String> {
    let (index, link) = network.named(name).ok_or("there is no such interface")?;
    if link.vlan.is_some() {
        return Err("it is a VLAN; name the interface below it, which serves its VLANs too".to_owned());
    }
    let mut attachment = Attachment::load()?;
    let (hook, mut why) = attach(config.mode, &mut attachment, index)?;
    let (mut queues, queue_count) = (Vec::new(), queue_count(name));
    // INVARIANT: the limit is far below 2^32.
    for queue in 0..queue_count.unwrap_or(limits::XDP_QUEUES_MAX as u32) {
        let shard = queue as usize % memories.len().max(1);
        let Some(memory) = memories.get_mut(shard) else { break };
        let (socket, mode, no_zero_copy) = match open(config, memory, index, queue, hook) {
            Ok(opened) => opened,
            // There is no such queue.
            Err(error) if queue > 0 && error.raw_os_error() == Some(errno::EINVAL) => break,
            Err(error) => return Err(open_error(queue, &error)),
        };
        let descriptor = socket.fd().ok_or("the socket has no descriptor")?;
        attachment.set_socket(queue, descriptor)?;
        why = why.or(no_zero_copy);
        queues.push(XdpQueue { interface: name.to_owned(), queue, shard, mode, why: why.clone() });
        give(shard, Port::new(socket, index));
    }
    Ok(Served { name: name.to_owned(), index, attachment, queue_count, queues })
}

/// Attaches in the best way permitted; says why not a better one.
fn attach(mode: XdpMode, attachment: &mut Attachment, index: u32) -> Result<(Hook, Option<String>), String> {
    if mode == XdpMode::Generic {
        attachment.attach(index, Hook::Generic)?;
        return Ok((Hook::Generic, Some("the configuration asks for the generic mode".to_owned())));
    }
    match attachment.attach(index, Hook::Driver) {
        Ok(()) => Ok((Hook::Driver, None)),
        Err(why) if mode == XdpMode::Best => {
            // Another program in the driver would stand in the way of a generic one too.
            attachment.attach(index, Hook::Generic).map_err(|_| why.clone())?;
            Ok((Hook::Generic, Some(why)))
        }
        Err(why) => Err(why),
    }
}

fn open(
    config: &XdpConfig,
    shard: &mut ShardMemory,
    index: u32,
    queue: u32,
    hook: Hook,
) -> io::Result<(XdpSocket, QueueMode, Option<String>)> {
    let number = shard.next;
    shard.next = shard.next.wrapping_add(1);
    let open = |bind| XdpSocket::open(number, &shard.memory, index, queue, shard.sizes, bind);
    let (socket, mode, why) = match (hook, config.mode) {
        (Hook::Generic, _) => (open(Bind::Copy)?, QueueMode::Generic, None),
        (Hook::Driver, XdpMode::Copy) => {
            (open(Bind::Copy)?, QueueMode::NativeCopy, Some("the configuration asks for a copy".to_owned()))
        }
        (Hook::Driver, _) => match open(Bind::ZeroCopy) {
            Ok(socket) => (socket, QueueMode::ZeroCopy, None),
            Err(error) => {
                let why = match error.raw_os_error() {
                    Some(errno::EOPNOTSUPP | errno::EINVAL) => "its driver has no zero-copy".to_owned(),
                    _ => format!("no zero-copy: {error}"),
                };
                (open(Bind::Copy)?, QueueMode::NativeCopy, Some(why))
            }
        },
    };
    if config.busy_poll {
        socket.prefer_busy_poll()?;
    }
    Ok((socket, mode, why))
}

fn open_error(queue: u32, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno::EBUSY) => format!("queue {queue} is served by another AF_XDP socket (another Tandem?)"),
        Some(errno::ENOBUFS) => {
            format!(
                "no memory may be locked for queue {queue}: raise RLIMIT_MEMLOCK (LimitMEMLOCK=infinity in the unit)"
            )
        }
        Some(errno::ENETDOWN) => format!("queue {queue}: the interface is down"),
        _ => format!("queue {queue}: {error}"),
    }
}

/// Receive queues of an interface, at most `limits::XDP_QUEUES_MAX`. `None`: /sys does not show it, because it
/// was mounted in another network namespace.
pub(super) fn queue_count(name: &str) -> Option<u32> {
    let folder = format!("/sys/class/net/{name}/queues");
    let entries = std::fs::read_dir(folder).ok()?;
    let there = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("rx-")).count();
    // INVARIANT: bounded by the limit, far below 2^32.
    Some(there.clamp(1, limits::XDP_QUEUES_MAX) as u32)
}

fn queues_each(ports: usize, interfaces: usize) -> u32 {
    // INVARIANT: at most `limits::XDP_QUEUES_MAX`.
    ports.div_ceil(interfaces.max(1)).max(1) as u32
}

fn ring_size(slots: usize) -> u32 {
    u32::try_from(slots.next_power_of_two()).unwrap_or(RING_MAX).min(RING_MAX)
}

impl Prepared {
    /// What each shard is made with, and what the lane keeps.
    pub(super) fn into_parts(
        self,
        listeners: &[SocketAddr],
        pools: &Pools,
        mut rings: impl FnMut() -> super::lane::ShardRings,
    ) -> (Vec<Parts>, Kept) {
        let mut parts = Vec::new();
        for (umem, ports) in self.umems.into_iter().zip(self.ports) {
            let (orders, returns) = rings();
            parts.push(Parts {
                umem,
                // Shared out evenly among the queues of an interface.
                fill_level: ring_size(pools.receive_buffers) / queues_each(ports.len(), self.config.interfaces.len()),
                ports,
                network: Arc::clone(&self.network),
                orders,
                returns,
                listeners: listeners.to_vec(),
            });
        }
        let kept = Kept { config: self.config, served: self.served, memories: self.memories, network: self.network };
        (parts, kept)
    }
}

/// What the lane goes on with.
pub(super) struct Kept {
    pub(super) config: XdpConfig,
    pub(super) served: Vec<Served>,
    pub(super) memories: Vec<ShardMemory>,
    pub(super) network: Arc<Network>,
}

impl fmt::Display for QueueMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QueueMode::ZeroCopy => "zero-copy",
            QueueMode::NativeCopy => "native, copied",
            QueueMode::Generic => "generic, copied",
        })
    }
}

/// Entries of a ring.
const RING_MAX: u32 = 32_768;
