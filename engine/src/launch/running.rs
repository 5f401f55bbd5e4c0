//! Shards that run: starting them together, their lanes and counters, stopping them.

use super::choose::Kind;
use super::seat::{Seat, share_out};
use super::{Config, LaunchError, Serving};
use crate::app::App;
use crate::device::xdp::Parts;
use crate::device::xdp::lane::{self, Unstarted, XdpCounters, XdpEvent, XdpLane};
use crate::device::xdp::setup::Prepared;
use crate::frame::{LaneId, ShardId};
use crate::links::Links;
use crate::listener::Group;
use crate::mailbox::LaneEnd;
use crate::stats::ShardStats;
use crate::wake::Waker;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

/// Shards that run. Dropping it stops them.
pub struct Running<L> {
    serving: Serving,
    locked: bool,
    lanes: Vec<Option<LaneEnd<L>>>,
    stats: Vec<Arc<ShardStats>>,
    wakers: Vec<Arc<Waker>>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    stop: Arc<AtomicBool>,
    xdp: Option<XdpLane>,
}

impl<L: Send + 'static> Running<L> {
    pub(super) fn new(serving: Serving, links: &[Links<L>], lanes: Vec<LaneEnd<L>>) -> Self {
        Running {
            serving,
            locked: false,
            lanes: lanes.into_iter().map(Some).collect(),
            stats: links.iter().map(|_| Arc::default()).collect(),
            wakers: links.iter().map(|links| Arc::clone(&links.inward.waker)).collect(),
            threads: Vec::new(),
            stop: Arc::default(),
            xdp: None,
        }
    }

    /// Starts the threads, waits until each is ready or one failed, and lets them go.
    pub(super) fn start<A, F>(
        &mut self,
        config: &Config,
        driver: Kind,
        xdp: Option<Prepared>,
        groups: Vec<Group>,
        links: Vec<Links<L>>,
        make: Arc<F>,
    ) -> Result<(), LaunchError>
    where
        A: App<Letter = L>,
        F: Fn(ShardId) -> A + Send + Sync + 'static,
    {
        let (mut parts, lane) = self.split(config, xdp)?;
        let mut parts = parts.drain(..);
        let (ready, readiness) = channel();
        let mut gates = Vec::new();
        let shares = share_out(groups, links.len());
        for (index, (links, sockets)) in links.into_iter().zip(shares).enumerate() {
            let shard = ShardId(u8::try_from(index).unwrap_or(u8::MAX));
            let (go, gate) = channel();
            let seat = Seat {
                shard,
                core: self.serving.cores.get(index).copied().unwrap_or(0),
                driver,
                pools: config.pools,
                sockets,
                xdp: parts.next(),
                stats: self.stats.get(index).map(Arc::clone).unwrap_or_default(),
                stop: Arc::clone(&self.stop),
                ready: ready.clone(),
                gate,
            };
            let make = Arc::clone(&make);
            let thread = std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || seat.serve(links, &*make))
                .map_err(|error| LaunchError::Shard { shard, error })?;
            self.threads.push(thread);
            gates.push(go);
        }
        drop(ready);
        for _ in 0..self.threads.len() {
            match readiness.recv() {
                Ok((_, Ok(()))) => {}
                Ok((shard, Err(error))) => return Err(LaunchError::Shard { shard, error }),
                Err(_) => return Err(LaunchError::Panic),
            }
        }
        if let Some(lane) = lane {
            let started = lane.start().map_err(|error| LaunchError::Shard { shard: ShardId(0), error })?;
            self.xdp = Some(started);
            // WHY: all that is left to do with these rights is the lane's. Threads started from here on
            // begin without them.
            let _ = engine_sys::xdp::capability::give_up_for_xdp();
        }
        // INVARIANT: every shard is ready; a gate that is dropped without this ends its shard.
        for go in gates {
            let _ = go.send(());
        }
        self.locked = engine_sys::memory::lock_all().is_ok();
        Ok(())
    }

    /// What AF_XDP's programs counted; `None` where it does not serve.
    pub fn xdp_counters(&self) -> Option<&Arc<XdpCounters>> {
        self.xdp.as_ref().map(XdpLane::counters)
    }

    /// What happens to AF_XDP's interfaces, as it happens; `None` where it does not serve, and the second
    /// time.
    pub fn take_xdp_events(&mut self) -> Option<Receiver<XdpEvent>> {
        self.xdp.as_mut()?.take_events()
    }

    /// What serves.
    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    /// Whether the process could be locked into memory (CAP_IPC_LOCK or a large RLIMIT_MEMLOCK); if
    /// not, a host short of memory may swap parts of it out.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.stats.len()
    }

    /// The counters of a shard.
    pub fn stats(&self, shard: ShardId) -> Option<&Arc<ShardStats>> {
        self.stats.get(shard.index())
    }

    /// Takes a lane's end, to be moved to its thread; `None` the second time.
    pub fn take_lane(&mut self, lane: LaneId) -> Option<LaneEnd<L>> {
        self.lanes.get_mut(lane.index())?.take()
    }

    /// Tells all shards to stop after their current turn.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        for waker in &self.wakers {
            waker.wake();
        }
    }

    /// True as soon as one shard has ended: asked to, by failure or by panic.
    pub fn any_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Gives each shard its part of AF_XDP.
    fn split(&self, config: &Config, xdp: Option<Prepared>) -> Result<(Vec<Parts>, Option<Unstarted>), LaunchError> {
        let Some(prepared) = xdp else {
            return Ok((Vec::new(), None));
        };
        let (parts, lane) = lane::split(prepared, &self.serving.addresses, &config.pools, &self.wakers)
            .map_err(|error| LaunchError::Shard { shard: ShardId(0), error })?;
        Ok((parts, Some(lane)))
    }

    /// Waits until all shards have ended and their sockets are closed. Call [`Running::stop`] first,
    /// unless they are to be waited for as long as they run.
    ///
    /// # Errors
    /// The first failure of a driver, or the panic of a shard as `ErrorKind::Other`.
    pub fn join(mut self) -> io::Result<()> {
        let mut result = Ok(());
        for (index, thread) in self.threads.drain(..).enumerate() {
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other(format!("shard {index} panicked"))));
            result = result.and(ended);
        }
        result
    }
}

impl<L> Drop for Running<L> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for waker in &self.wakers {
            waker.wake();
        }
        for thread in self.threads.drain(..) {
            // WHY: who wants to know how a shard ended calls `join`.
            let _ = thread.join();
        }
    }
}
