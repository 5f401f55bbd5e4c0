//! What a shard counts. Written by its shard alone, read by anyone: relaxed atomics without locked
//! instructions, so that counting costs a plain add.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning shard may call this.
    pub fn add(&self, n: u64) {
        // WHY: one writer, so a load and a store do what `fetch_add` would, without its lock prefix.
        let value = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(value, Ordering::Relaxed);
    }

    /// Raises the value to `n` if it is lower.
    pub fn raise(&self, n: u64) {
        if n > self.0.load(Ordering::Relaxed) {
            self.0.store(n, Ordering::Relaxed);
        }
    }

    /// Sets the value.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Reads the value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one shard.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct ShardStats { $($(#[$doc])* pub $name: Counter,)* }

        impl ShardStats {
            /// Every counter with its name, in the order of declaration.
            pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.get()),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Frames received from the network.
    frames_in,
    /// Payload bytes received from the network.
    bytes_in,
    /// Frames queued for sending; `send_failed` of these did not leave.
    frames_out,
    /// Payload bytes queued for sending.
    bytes_out,
    /// Turns in which at least one frame was received.
    batches_in,
    /// Frames dropped because the payload did not fit the buffer it was received into.
    frames_truncated,
    /// Frames dropped because their source address could not be read.
    frames_unreadable,
    /// Sends refused because no slot was free.
    send_no_slot,
    /// Sends that were repeated after a pending error of another peer or a full socket buffer.
    send_repeated,
    /// Sends given up after they were queued.
    send_failed,
    /// Errors that the network reported, as seen by this shard first.
    network_errors,
    /// Network errors that found no room on their way to some shard.
    network_errors_untold,
    /// Datagrams that the kernel dropped because a socket's receive buffer was full (SO_RXQ_OVFL).
    kernel_drops,
    /// The same in a socket for what can wait: more of it came than the shard serves.
    deferred_drops,
    /// Times that reception ended for want of buffers (ENOBUFS) and was armed again.
    receive_out_of_buffers,
    /// Times that reception ended for another reason and was armed again.
    receive_rearmed,
    /// Frames handed to other shards.
    hand_over_out,
    /// Frames taken from other shards.
    hand_over_in,
    /// New calls shed because the other shard's ring was more than half full.
    hand_over_shed_new_call,
    /// Other datagrams shed because the other shard's ring was nearly full.
    hand_over_shed_other,
    /// Stream messages held back because the other shard's ring was full; their connection waits.
    hand_over_held_stream,
    /// Of the frames received, those that came by AF_XDP.
    xdp_frames_in,
    /// Of the frames sent, those that left by AF_XDP.
    xdp_frames_out,
    /// Times that the kernel was called to send what was queued on AF_XDP sockets.
    xdp_kicks,
    /// Packets that came by AF_XDP and were dropped: their headers contradict each other.
    xdp_malformed,
    /// The same: the sum of the IP or UDP header is wrong.
    xdp_wrong_checksum,
    /// The same: the source is no address of a single host.
    xdp_martian,
    /// The same: no listener has that address and port (any more).
    xdp_not_served,
    /// Frames sent by the kernel's socket: it alone can follow the route.
    xdp_by_kernel_route,
    /// The same: to this host, to many, or out of an interface that AF_XDP does not serve.
    xdp_by_kernel_elsewhere,
    /// The same: the Ethernet address of the next hop is unknown or has to be confirmed.
    xdp_by_kernel_neighbour,
    /// The same: larger than the MTU.
    xdp_by_kernel_too_long,
    /// The same: the transmit ring was full.
    xdp_ring_full,
    /// Letters received.
    letters_in,
    /// Letters posted.
    letters_out,
    /// Letters given back to the poster because the mailbox was full.
    letters_refused,
    /// Other shards and lanes woken from sleep.
    wakes,
    /// Timers fired.
    timers_fired,
    /// Timers refused because all were in use.
    timers_refused,
    /// Timers armed now.
    timers_armed,
    /// Turns of the loop.
    turns,
    /// Time spent working, in microseconds.
    busy_micros,
    /// Time spent in the driver, sending, receiving and waiting, in microseconds.
    wait_micros,
    /// Longest turn, in microseconds.
    longest_turn_micros,
    /// Longest time that a frame had waited for its shard, in microseconds, by the kernel's stamp.
    longest_queue_micros,
}
