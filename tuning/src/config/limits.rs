//! `[limits]`: sizes of pools and tables. All are reserved at start; none grows.

section! {
    /// Sizes of pools and tables, each for one shard. When one is full, new calls get 503 and what is
    /// in progress goes on.
    Limits {
        /// Requests in progress, answered ones within their absorbing time (32 s) included: about 64 for each
        /// call a second, INVITE and BYE together.
        restart transactions_per_shard: u32 = 131_072, within 64 => 16_777_216;
        /// Of these, requests that have no final response yet: calls a second times the seconds they ring.
        restart open_requests_per_shard: u32 = 32_768, derived "a quarter of transactions_per_shard", within 64 => 16_777_216;
        /// Attempts at gateways in progress, those given up that may still answer included.
        restart branches_per_shard: u32 = 131_072, derived "as many as transactions_per_shard", within 64 => 16_777_216;
        /// Established calls.
        restart calls_per_shard: u32 = 65_536, within 64 => 16_777_216;
        /// Mebibytes of messages kept for retransmission.
        restart store_mebibytes_per_shard: u32 = 128, within 1 => 65_536;
        /// Running timers.
        restart timers_per_shard: u32 = 393_216, derived "three for each of transactions_per_shard", within 256 => 67_108_864;
        /// Buffers of 64 KiB for messages that exceed a driver's slot, so many to receive and so many to send.
        restart large_messages_per_shard: u32 = 64, within 4 => 65_536;
        /// Refused addresses that are remembered, for `tandem sources --unknown`.
        restart unknown_sources_per_shard: u32 = 1_024, within 16 => 1_048_576;
    }
}

impl Limits {
    /// Memory of one shard's pools in bytes, by the sizes in `limits::pool`.
    pub fn bytes_per_shard(&self) -> u64 {
        self.pools().into_iter().map(|(_, bytes)| bytes).fold(0, u64::saturating_add)
    }

    /// Each pool's key with its bytes.
    pub(crate) fn pools(&self) -> [(&'static str, u64); 8] {
        use ::limits::pool::*;
        let part = |count: u32, bytes: u64| u64::from(count).saturating_mul(bytes);
        [
            ("transactions_per_shard", part(self.transactions_per_shard, TRANSACTION_BYTES)),
            ("open_requests_per_shard", part(self.open_requests_per_shard, OPEN_REQUEST_BYTES)),
            ("branches_per_shard", part(self.branches_per_shard, BRANCH_BYTES)),
            ("calls_per_shard", part(self.calls_per_shard, CALL_BYTES)),
            ("store_mebibytes_per_shard", part(self.store_mebibytes_per_shard, 1 << 20)),
            ("timers_per_shard", part(self.timers_per_shard, TIMER_BYTES)),
            ("large_messages_per_shard", part(self.large_messages_per_shard, 2 << 16)),
            ("unknown_sources_per_shard", part(self.unknown_sources_per_shard, UNKNOWN_SOURCE_BYTES)),
        ]
    }
}
