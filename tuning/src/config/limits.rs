//! `[limits]`: sizes of pools and tables. All are reserved at start; none grows.

section! {
    /// Sizes of pools and tables, each for one shard. When one is full, new calls get 503 and what is
    /// in progress goes on.
    Limits {
        /// Requests in progress, answered ones within their absorbing time (32 s) included: about 64 for each
        /// call a second, INVITE and BYE together.
        restart transactions_per_shard: u32 = 131_072, within 64 => 16_777_216;
        /// Of these, requests that have no final response yet: calls a second times the seconds they ring.
        restart open_requests_per_shard: u32 = 32_768, within 64 => 16_777_216;
        /// Attempts at gateways in progress, those given up that may still answer included.
        restart branches_per_shard: u32 = 131_072, within 64 => 16_777_216;
        /// Established calls.
        restart calls_per_shard: u32 = 65_536, within 64 => 16_777_216;
        /// Mebibytes of messages kept for retransmission.
        restart store_mebibytes_per_shard: u32 = 128, within 1 => 65_536;
        /// Running timers.
        restart timers_per_shard: u32 = 393_216, within 256 => 67_108_864;
        /// Requests that wait for an answer from elsewhere (DNS).
        restart parked_per_shard: u32 = 4_096, within 16 => 1_048_576;
        /// Buffers of 64 KiB for messages that exceed a driver's slot.
        restart large_messages_per_shard: u32 = 64, within 4 => 65_536;
        /// Refused addresses that are remembered, for `tandem sources --unknown`.
        restart unknown_sources_per_shard: u32 = 1_024, within 16 => 1_048_576;
    }
}

impl Limits {
    /// Memory of one shard's pools in bytes, by the sizes in `limits::pool`.
    pub fn bytes_per_shard(&self) -> u64 {
        let part = |count: u32, bytes: u64| u64::from(count).saturating_mul(bytes);
        [
            part(
                self.transactions_per_shard,
                ::limits::pool::TRANSACTION_BYTES,
            ),
            part(
                self.open_requests_per_shard,
                ::limits::pool::OPEN_REQUEST_BYTES,
            ),
            part(self.branches_per_shard, ::limits::pool::BRANCH_BYTES),
            part(self.calls_per_shard, ::limits::pool::CALL_BYTES),
            part(self.store_mebibytes_per_shard, 1 << 20),
            part(self.timers_per_shard, ::limits::pool::TIMER_BYTES),
            part(self.parked_per_shard, ::limits::pool::PARKED_BYTES),
            part(self.large_messages_per_shard, 1 << 16),
            part(
                self.unknown_sources_per_shard,
                ::limits::pool::UNKNOWN_SOURCE_BYTES,
            ),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}
