//! The life of a shard's thread: pinned, its driver and application made on it, ready, let go.

use super::choose::Kind;
use crate::app::App;
use crate::device::mmsg::MmsgDevice;
use crate::device::uring::UringDevice;
use crate::device::xdp::{Parts, XdpDevice};
use crate::device::{Beside, Device};
use crate::frame::ShardId;
use crate::links::Links;
use crate::listener::Group;
use crate::pools::Pools;
use crate::shard::Shard;
use crate::stats::ShardStats;
use crate::time::Mono;
use engine_sys::socket::UdpSocket;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender};

/// Everything that a shard's thread needs to begin.
pub(super) struct Seat {
    pub(super) shard: ShardId,
    pub(super) core: usize,
    pub(super) driver: Kind,
    pub(super) pools: Pools,
    pub(super) sockets: Sockets,
    /// What AF_XDP serves with, beside the driver.
    pub(super) xdp: Option<Parts>,
    pub(super) stats: Arc<ShardStats>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) ready: Sender<Readiness>,
    pub(super) gate: Receiver<()>,
}

pub(super) type Readiness = (ShardId, io::Result<()>);

/// One shard's sockets, by listener.
#[derive(Default)]
pub(super) struct Sockets {
    ordinary: Vec<UdpSocket>,
    large: Vec<UdpSocket>,
    deferred: Vec<UdpSocket>,
}

impl Seat {
    /// The life of a shard's thread.
    pub(super) fn serve<A: App>(mut self, links: Links<A::Letter>, make: &impl Fn(ShardId) -> A) -> io::Result<()> {
        // WHY: a core that vanished between the check and now costs speed, not service.
        core_affinity::set_for_current(core_affinity::CoreId { id: self.core });
        let waker = Arc::clone(&links.inward.waker);
        let stats = Arc::clone(&self.stats);
        let sockets = std::mem::take(&mut self.sockets);
        match self.driver {
            Kind::Uring => {
                let Sockets { ordinary, large, deferred } = sockets;
                let device = UringDevice::new(ordinary, large, deferred, &self.pools, &waker, stats);
                self.beside(device, links, make)
            }
            Kind::Mmsg => {
                let device = MmsgDevice::new(sockets.ordinary, sockets.deferred, &self.pools, waker, stats);
                self.beside(device, links, make)
            }
        }
    }

    /// With AF_XDP, if it serves this shard.
    fn beside<A: App, D: Beside>(
        mut self,
        device: io::Result<D>,
        links: Links<A::Letter>,
        make: &impl Fn(ShardId) -> A,
    ) -> io::Result<()> {
        let Some(parts) = self.xdp.take() else {
            return self.run(device, links, make);
        };
        let stats = Arc::clone(&self.stats);
        let device = device.map(|device| XdpDevice::new(device, parts, stats));
        // WHY: a shard reads what strangers send, and needs none of these rights any more.
        let _ = engine_sys::xdp::capability::give_up_for_xdp();
        self.run(device, links, make)
    }

    /// Says whether it is ready, waits for the others, and turns until it is stopped.
    fn run<A: App, D: Device>(
        self,
        device: io::Result<D>,
        links: Links<A::Letter>,
        make: &impl Fn(ShardId) -> A,
    ) -> io::Result<()> {
        let device = match device {
            Ok(device) => device,
            Err(error) => {
                // WHY: nobody listens any more only if another shard failed first.
                let _ = self.ready.send((self.shard, Err(error)));
                return Ok(());
            }
        };
        let app = make(self.shard);
        let mut shard = Shard::new(app, device, links, self.pools.timers, Mono::read(), self.stats);
        let _ = self.ready.send((self.shard, Ok(())));
        // INVARIANT: dropped before waiting, so that the launcher sees a shard that panicked.
        drop(self.ready);
        if self.gate.recv().is_err() {
            return Ok(());
        }
        shard.run(&self.stop)
    }
}

/// Gives each shard its socket of every listener.
pub(super) fn share_out(groups: Vec<Group>, shards: usize) -> Vec<Sockets> {
    let mut shares: Vec<Sockets> = (0..shards).map(|_| Sockets::default()).collect();
    for group in groups {
        for (share, socket) in shares.iter_mut().zip(group.ordinary) {
            share.ordinary.push(socket);
        }
        for (share, socket) in shares.iter_mut().zip(group.large) {
            share.large.push(socket);
        }
        for (share, socket) in shares.iter_mut().zip(group.deferred) {
            share.deferred.push(socket);
        }
    }
    shares
}
