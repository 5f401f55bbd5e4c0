//! How much of everything a shard reserves at its start.

/// Sizes, for each shard. All of it is taken and touched at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pools {
    /// Timers.
    pub timers: usize,
    /// Send slots of `limits::SEND_SLOT_BYTES`.
    pub send_slots: usize,
    /// Send slots of `limits::LARGE_SLOT_BYTES`.
    pub large_send_slots: usize,
    /// Receive buffers of `limits::SEND_SLOT_BYTES` (io_uring), a power of two.
    pub receive_buffers: usize,
    /// Receive buffers for the largest messages (io_uring), a power of two.
    pub large_receive_buffers: usize,
    /// Letters in one mailbox; there is one for each ordered pair of shards and lanes.
    pub letters: usize,
    /// Bytes of all hand-over rings into one shard together.
    pub hand_over_bytes: usize,
}

impl Default for Pools {
    fn default() -> Self {
        Pools {
            timers: 262_144,
            send_slots: 1_024,
            large_send_slots: 32,
            receive_buffers: 1_024,
            large_receive_buffers: 32,
            letters: 1_024,
            hand_over_bytes: 4 * 1024 * 1024,
        }
    }
}
