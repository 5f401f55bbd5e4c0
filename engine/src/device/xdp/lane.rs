//! The lane that follows the network: a thread that may block. It reads the kernel's tables when they
//! change, hands every shard a snapshot, keeps the XDP programs' maps true, and attaches again what was
//! gone. It alone keeps the rights that this needs, and no others; they are in force only while it works on
//! programs, their maps and sockets.

use super::attachment::VERDICTS;
use super::network::Network;
use super::setup::{self, Kept, Prepared, XdpQueue};
use super::{Order, Parts, netlink};
use crate::pools::Pools;
use crate::stats::Counter;
use crate::wake::Waker;
use engine_sys::socket::PollSet;
use engine_sys::xdp::capability;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A shard's ends of the rings between it and the lane.
pub(super) type ShardRings = (rtrb::Consumer<Order>, rtrb::Producer<Arc<Network>>);

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpEvent {
    /// What happened.
    pub text: String,
    /// It is not as it should be.
    pub warning: bool,
}

/// What the XDP programs counted on all interfaces together, by verdict; written by the lane once a
/// second.
#[derive(Debug, Default)]
pub struct XdpCounters([Counter; VERDICTS.len()]);

impl XdpCounters {
    /// Each verdict's name and count.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        VERDICTS.iter().zip(&self.0).map(|(name, counter)| (*name, counter.get()))
    }
}

/// The lane, running. Dropping it ends it and detaches everything.
pub struct XdpLane {
    stop: Arc<AtomicBool>,
    bell: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<XdpCounters>,
    events: Option<Receiver<XdpEvent>>,
}

/// The lane's end of a shard's rings.
struct ShardEnd {
    orders: rtrb::Producer<Order>,
    returns: rtrb::Consumer<Arc<Network>>,
    waker: Arc<Waker>,
    /// The newest snapshot has not been handed over.
    behind: bool,
}

struct Lane {
    kept: Kept,
    shards: Vec<ShardEnd>,
    listeners: Vec<SocketAddr>,
    changes: netlink::Changes,
    counters: Arc<XdpCounters>,
    /// What programs that are gone had counted.
    before: [u64; VERDICTS.len()],
    events: Sender<XdpEvent>,
    /// Why each interface could not be attached when it was tried last: said once.
    refused: Vec<(String, String)>,
    retry_at: Instant,
}

/// Makes each shard's parts, and a lane that starts with [`Unstarted::start`] once they serve.
///
/// # Errors
/// When the process is out of descriptors.
pub fn split(
    prepared: Prepared,
    listeners: &[SocketAddr],
    pools: &Pools,
    wakers: &[Arc<Waker>],
) -> io::Result<(Vec<Parts>, Unstarted)> {
    // WHY before the tables are read again: what changes from here on is seen.
    let changes = netlink::Changes::subscribe()?;
    let mut shards = Vec::new();
    let mut wakers = wakers.iter();
    let (parts, kept) = prepared.into_parts(listeners, pools, || {
        let (orders, shard_orders) = rtrb::RingBuffer::new(ORDERS);
        let (shard_returns, returns) = rtrb::RingBuffer::new(ORDERS);
        if let Some(waker) = wakers.next() {
            shards.push(ShardEnd { orders, returns, waker: Arc::clone(waker), behind: false });
        }
        (shard_orders, shard_returns)
    });
    let (events, receiver) = channel();
    let counters = Arc::<XdpCounters>::default();
    let lane = Lane {
        kept,
        shards,
        listeners: listeners.to_vec(),
        changes,
        counters: Arc::clone(&counters),
        before: [0; VERDICTS.len()],
        events,
        refused: Vec::new(),
        retry_at: Instant::now(),
    };
    Ok((parts, Unstarted { lane, counters, events: receiver }))
}

/// A lane that does not run yet. Dropping it detaches everything.
pub struct Unstarted {
    lane: Lane,
    counters: Arc<XdpCounters>,
    events: Receiver<XdpEvent>,
}

impl Unstarted {
    /// Tells the programs what is ours, and starts to follow the network.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(self) -> io::Result<XdpLane> {
        let (stop, bell) = (Arc::new(AtomicBool::new(false)), Waker::new()?);
        let mut lane = self.lane;
        let (stopped, rung) = (Arc::clone(&stop), Arc::clone(&bell));
        let (ready, readiness) = channel();
        let thread = std::thread::Builder::new().name("network".to_owned()).spawn(move || {
            // WHY a failure does not matter: it keeps more than it needs.
            let _ = capability::keep_for_xdp_alone();
            capability::raised(|| lane.tell_programs());
            let _ = ready.send(());
            lane.run(&stopped, &rung);
        })?;
        // WHY: who starts us says that all serves once this returns.
        let _ = readiness.recv();
        Ok(XdpLane { stop, bell, thread: Some(thread), counters: self.counters, events: Some(self.events) })
    }
}

impl XdpLane {
    /// What the programs counted.
    pub fn counters(&self) -> &Arc<XdpCounters> {
        &self.counters
    }

    /// What happens, as it happens; `None` the second time.
    pub fn take_events(&mut self) -> Option<Receiver<XdpEvent>> {
        self.events.take()
    }
}

impl Drop for XdpLane {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(event) = self.bell.event() {
            event.signal();
        }
        if let Some(thread) = self.thread.take() {
            // WHY: there is nobody to tell.
            let _ = thread.join();
        }
    }
}

impl Lane {
    fn run(&mut self, stop: &AtomicBool, bell: &Waker) {
        let bell = bell.event().map(AsFd::as_fd);
        let mut poll = PollSet::new(std::iter::once(self.changes.as_fd()).chain(bell));
        let mut changed = true;
        while !stop.load(Ordering::SeqCst) {
            let wait = if changed || self.anyone_behind() { SETTLE } else { EVERY };
            // WHY: an interrupted wait is a short wait.
            let _ = poll.wait(Some(wait));
            if self.changes.any() {
                if !changed {
                    changed = true;
                    continue;
                }
            } else if !changed && !self.anyone_behind() {
                self.look_after();
                continue;
            }
            if changed {
                changed = !capability::raised(|| self.follow());
            }
            self.hand_out();
            self.look_after();
        }
    }

    /// Reads the network and does what follows from it. False: a dump was disturbed, and is to be tried again.
    fn follow(&mut self) -> bool {
        let Ok(network) = netlink::read() else { return false };
        self.kept.network = Arc::new(network);
        self.leave_what_is_gone();
        self.attach_what_is_missing();
        self.tell_programs();
        for shard in &mut self.shards {
            shard.behind = true;
        }
        true
    }

    fn anyone_behind(&self) -> bool {
        self.shards.iter().any(|shard| shard.behind)
    }

    /// Gives every shard the newest snapshot, those that have no room for it later.
    fn hand_out(&mut self) {
        for shard in &mut self.shards {
            while shard.returns.pop().is_ok() {}
            if shard.behind && shard.orders.push(Order::Network(Arc::clone(&self.kept.network))).is_ok() {
                shard.behind = false;
            }
        }
    }

    /// An interface that is gone, or another one by the same name.
    fn leave_what_is_gone(&mut self) {
        let network = Arc::clone(&self.kept.network);
        let mut at = 0;
        while let Some(served) = self.kept.served.get(at) {
            if network.named(&served.name).is_some_and(|(index, _)| index == served.index) {
                at += 1;
                continue;
            }
            let name = self.leave(at);
            self.say(true, format!("{name} is gone; its traffic goes over the kernel's sockets"));
        }
    }

    /// Interfaces that have other queues than when they were attached are left, and attached anew a moment later, when
    /// the shards have closed their sockets.
    fn leave_what_has_other_queues(&mut self) {
        let mut at = 0;
        while let Some(served) = self.kept.served.get(at) {
            let count = setup::queue_count(&served.name);
            if count == served.queue_count {
                at += 1;
                continue;
            }
            let name = self.leave(at);
            self.say(
                true,
                format!("{name} has other queues now; its traffic goes over the kernel's sockets meanwhile"),
            );
        }
    }

    /// Detaches one of the interfaces served; returns its name.
    fn leave(&mut self, at: usize) -> String {
        let mut left = self.kept.served.swap_remove(at);
        for (sum, count) in self.before.iter_mut().zip(left.attachment.counters()) {
            *sum += count;
        }
        self.order_all(|| Order::Detach(left.index));
        left.name
    }

    fn attach_what_is_missing(&mut self) {
        let network = Arc::clone(&self.kept.network);
        let missing: Vec<String> = self
            .kept
            .config
            .interfaces
            .iter()
            .filter(|name| self.kept.served.iter().all(|served| served.name != **name))
            .filter(|name| network.named(name).is_some_and(|(_, link)| link.up))
            .cloned()
            .collect();
        for name in missing {
            let mut ports = Vec::new();
            let give = |shard, port| ports.push((shard, port));
            match setup::serve(&self.kept.config, &name, &network, &mut self.kept.memories, give) {
                Ok(served) => {
                    let modes: Vec<String> = served.queues.iter().map(XdpQueue::to_string).collect();
                    self.refused.retain(|(refused, _)| *refused != name);
                    self.kept.served.push(served);
                    for (shard, port) in ports {
                        if let Some(end) = self.shards.get_mut(shard) {
                            // A ring that is full for so long belongs to a shard that hangs; its socket closes.
                            let _ = end.orders.push(Order::Attach(Box::new(port)));
                            end.waker.wake();
                        }
                    }
                    self.say(false, format!("served by AF_XDP again: {}", modes.join(", ")));
                }
                Err(why) => {
                    let refusal = (name, why);
                    if !self.refused.contains(&refusal) {
                        self.say(true, format!("{} stays with the kernel's sockets: {}", refusal.0, refusal.1));
                        self.refused.retain(|(name, _)| *name != refusal.0);
                        self.refused.push(refusal);
                    }
                }
            }
        }
    }

    /// Which addresses, VLANs and Ethernet addresses are ours now.
    fn tell_programs(&mut self) {
        let network = Arc::clone(&self.kept.network);
        let mut failures = Vec::new();
        for served in &mut self.kept.served {
            let Some(link) = network.links.get(&served.index) else { continue };
            let vlans = network.vlans_on(served.index);
            let addresses = served_addresses(&self.listeners, &network);
            if let Err(why) = served.attachment.serve(link.mac, vlans, addresses) {
                failures.push(format!("{}: not all addresses are served by AF_XDP: {why}", served.name));
            }
        }
        for failure in failures {
            self.say(true, failure);
        }
    }

    /// Once a second: counters, and another try for what could not be attached.
    fn look_after(&mut self) {
        let now = Instant::now();
        if now < self.retry_at {
            return;
        }
        self.retry_at = now + EVERY;
        // WHY raised: kernels before 5.19 read no map for those who may not load programs.
        let sums = capability::raised(|| self.count());
        for (counter, sum) in self.counters.0.iter().zip(sums) {
            counter.set(sum);
        }
        if self.kept.served.len() < self.kept.config.interfaces.len() {
            capability::raised(|| self.follow());
            self.hand_out();
        } else {
            capability::raised(|| self.leave_what_has_other_queues());
        }
    }

    /// What all programs counted, those that are gone included.
    fn count(&mut self) -> [u64; VERDICTS.len()] {
        let mut sums = self.before;
        for served in &mut self.kept.served {
            for (sum, count) in sums.iter_mut().zip(served.attachment.counters()) {
                *sum += count;
            }
        }
        sums
    }

    fn order_all(&mut self, order: impl Fn() -> Order) {
        for shard in &mut self.shards {
            // WHY waiting is right: the shard takes orders at each turn, and must not miss this one.
            for _ in 0..ORDER_TRIES {
                if shard.orders.push(order()).is_ok() {
                    break;
                }
                shard.waker.wake();
                std::thread::sleep(Duration::from_millis(1));
            }
            shard.waker.wake();
        }
    }

    fn say(&self, warning: bool, text: String) {
        // WHY: nobody listens any more only at the end.
        let _ = self.events.send(XdpEvent { text, warning });
    }
}

/// Addresses of this host with a listener's port: a listener of one address if the host has it, one of
/// all addresses by each of them.
fn served_addresses(listeners: &[SocketAddr], network: &Network) -> impl Iterator<Item = SocketAddr> {
    listeners.iter().flat_map(|listener| {
        let port = listener.port();
        let of_family = |ip: &&IpAddr| ip.is_ipv4() == listener.is_ipv4();
        let matches = move |ip: &&IpAddr| listener.ip().is_unspecified() || **ip == listener.ip();
        let addresses = network.addresses.iter().filter(of_family).filter(matches);
        addresses.filter(|ip| !ip.is_loopback()).map(move |ip| SocketAddr::new(*ip, port))
    })
}

impl std::fmt::Display for XdpQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} queue {}: shard {}, {}", self.interface, self.queue, self.shard, self.mode)?;
        match &self.why {
            Some(why) => write!(f, " ({why})"),
            None => Ok(()),
        }
    }
}

/// Orders that wait for a shard.
const ORDERS: usize = 64;
const ORDER_TRIES: usize = 1_000;
/// How long changes are gathered before they are read: they come in bursts.
const SETTLE: Duration = Duration::from_millis(10);
const EVERY: Duration = Duration::from_millis(1_000);
