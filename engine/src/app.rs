//! The contract between the engine and what runs on it. The engine knows nothing of SIP; the
//! application knows nothing of sockets, threads or clocks.

use crate::frame::{Frame, NetworkError, ShardId};
use crate::outbox::Outbox;
use crate::time::{Mono, Now};

/// What runs on a shard. One value a shard; never called by two threads.
///
/// No method may block, take a lock, or (once warm) allocate. All that it wants done goes through
/// the [`Outbox`]; sends leave together at the end of the turn.
pub trait App {
    /// What shards and lanes post to one another. Letters are never shed.
    type Letter: Send + 'static;

    /// A frame from the network.
    fn on_frame(&mut self, now: Now, frame: &Frame<'_>, out: &mut Outbox<'_, Self::Letter>);

    /// A frame that another shard received and that this one owns.
    fn on_hand_over(&mut self, now: Now, frame: &Frame<'_>, from: ShardId, out: &mut Outbox<'_, Self::Letter>) {
        let _ = from;
        self.on_frame(now, frame, out);
    }

    /// The network reported a destination as unreachable. Every shard is told of every error, the
    /// one that saw it first: nothing needs to be passed on by letter.
    fn on_network_error(&mut self, now: Now, error: &NetworkError, out: &mut Outbox<'_, Self::Letter>);

    /// A timer expired. Its handle is stale from now on.
    fn on_timer(&mut self, now: Now, token: u64, out: &mut Outbox<'_, Self::Letter>);

    /// A letter arrived from another shard or a lane.
    fn on_letter(&mut self, now: Now, letter: Self::Letter, out: &mut Outbox<'_, Self::Letter>);

    /// A moment at which the shard must turn although no timer is due, for work that the wheel's tick
    /// of a millisecond is too coarse for. Asked before each wait; the work is done in
    /// [`App::on_turn_end`].
    fn wake_at(&self) -> Option<Mono> {
        None
    }

    /// Once per turn of the loop, after everything else.
    fn on_turn_end(&mut self, now: Now, out: &mut Outbox<'_, Self::Letter>) {
        let _ = (now, out);
    }
}
