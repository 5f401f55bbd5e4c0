//! Every figure that Tandem shows, once: its Prometheus name, kind, labels and help. `tandem stats`
//! and the metrics page are both made from this table, and shards fill it in.

/// How a figure behaves over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; summed over shards.
    Counter,
    /// Goes up and down; summed over shards.
    Gauge,
    /// Goes up and down; the largest of all shards.
    Peak,
}

/// In what the program counts, and what Prometheus is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// As counted.
    One,
    /// Counted in microseconds, shown in seconds.
    Micros,
}

/// What is known of one figure.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Prometheus name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its unit.
    pub unit: Unit,
    /// Names of its labels, at most [`LABELS_MAX`].
    pub labels: &'static [&'static str],
    /// Kept apart by shard, under a label `shard`.
    pub by_shard: bool,
    /// What it says.
    pub help: &'static str,
}

/// The `kind` of transactions without a final response: what the end of the process waits for.
pub const OPEN_TRANSACTIONS: &str = "open";

/// Most labels of one figure, the shard's not counted.
pub const LABELS_MAX: usize = 3;

macro_rules! metrics {
    ($( $(#[doc = $help:literal])* $metric:ident = $name:literal, $kind:ident, $unit:ident, [$($label:literal),*] $(, $by_shard:ident)?; )*) => {
        /// A figure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric { $( $(#[doc = $help])* $metric, )* }

        impl Metric {
            /// All figures in the order in which they are shown.
            pub const ALL: &'static [Metric] = &[ $(Metric::$metric),* ];

            /// What is known of it.
            pub const fn definition(self) -> Definition {
                match self {
                    $( Metric::$metric => Definition {
                        name: $name,
                        kind: Kind::$kind,
                        unit: Unit::$unit,
                        labels: &[$($label),*],
                        by_shard: metrics!(@by_shard $($by_shard)?),
                        help: concat!($($help),*),
                    }, )*
                }
            }
        }
    };
    (@by_shard) => { false };
    (@by_shard by_shard) => { true };
}

metrics! {
    /// SIP requests received or sent, retransmissions included.
    Requests = "tandem_requests_total", Counter, One, ["method", "direction"];
    /// SIP responses received or sent, by method of their CSeq and class.
    Responses = "tandem_responses_total", Counter, One, ["method", "class", "direction"];
    /// Retransmissions that were received and absorbed, or sent.
    Retransmissions = "tandem_retransmissions_total", Counter, One, ["direction"];
    /// Messages dropped without an answer, by reason.
    Dropped = "tandem_dropped_total", Counter, One, ["reason"];
    /// Requests that Tandem itself answered with a failure, by reason.
    Rejected = "tandem_rejected_total", Counter, One, ["reason"];
    /// Requests from addresses that are nobody's.
    UnknownSources = "tandem_unknown_source_requests_total", Counter, One, [];
    /// Transactions opened, by kind.
    TransactionsOpened = "tandem_transactions_opened_total", Counter, One, ["kind"];
    /// Transactions open now, by kind.
    Transactions = "tandem_transactions", Gauge, One, ["kind"];
    /// Established calls now.
    Calls = "tandem_calls", Gauge, One, [];
    /// Calls that were established.
    CallsEstablished = "tandem_calls_established_total", Counter, One, [];
    /// Calls that have ended, by how.
    CallsEnded = "tandem_calls_ended_total", Counter, One, ["reason"];
    /// Route advances: a further gateway was tried, by cause.
    Advances = "tandem_route_advances_total", Counter, One, ["cause"];
    /// REGISTERs that were carried out, by outcome.
    Registers = "tandem_registers_total", Counter, One, ["outcome"];
    /// Users that are registered now.
    RegisteredUsers = "tandem_registered_users", Gauge, One, [];
    /// Bindings of all users now, those that are over and stand a little longer included.
    Bindings = "tandem_bindings", Gauge, One, [];
    /// Bindings that ended without a refresh.
    BindingsExpired = "tandem_bindings_expired_total", Counter, One, [];
    /// Writes of the journal of registrations, by outcome.
    JournalWrites = "tandem_journal_writes_total", Counter, One, ["outcome"];
    /// Bytes of the journal's files.
    JournalBytes = "tandem_journal_bytes", Gauge, One, [];
    /// 1 while the journal cannot be written and REGISTERs get 503.
    JournalBroken = "tandem_journal_broken", Gauge, One, [];
    /// Longest write of the journal since start, until the disk had it.
    JournalLongest = "tandem_journal_longest_write_seconds", Peak, Micros, [];
    /// Records of calls, by what became of them.
    CallRecords = "tandem_call_records_total", Counter, One, ["outcome"];
    /// Records of calls that wait for a disk that does not work.
    CallRecordsWaiting = "tandem_call_records_waiting", Gauge, One, [];
    /// Writes and syncs of record files, by outcome.
    RecordWrites = "tandem_record_writes_total", Counter, One, ["outcome"];
    /// Bytes of record files.
    RecordBytes = "tandem_record_bytes", Gauge, One, [];
    /// Answered calls that have a record.
    RecordedCalls = "tandem_recorded_calls", Gauge, One, [];
    /// 1 while records cannot be written.
    RecordsBroken = "tandem_records_broken", Gauge, One, [];
    /// Longest write of records since start, until the kernel had them.
    RecordLongestWrite = "tandem_record_longest_write_seconds", Peak, Micros, [];
    /// Longest sync of records since start, until the disk had them.
    RecordLongestSync = "tandem_record_longest_sync_seconds", Peak, Micros, [];
    /// Records that a receiver has, by receiver.
    RecordsShipped = "tandem_records_shipped_total", Counter, One, ["receiver"];
    /// Deliveries of records that failed, by receiver.
    ShippingFailures = "tandem_shipping_failures_total", Counter, One, ["receiver"];
    /// 1 while a receiver takes records, by receiver.
    ReceiverUp = "tandem_record_receiver_up", Gauge, One, ["receiver"];
    /// Other events of the proxy core, by name.
    Events = "tandem_events_total", Counter, One, ["event"];
    /// Proofs of phones, by what came of them.
    Proofs = "tandem_proofs_total", Counter, One, ["outcome"];
    /// Sources of accounts that answer (or were never asked), by kind.
    AccountSourcesUp = "tandem_account_sources_up", Gauge, One, ["kind"];
    /// Sources of accounts, by kind.
    AccountSources = "tandem_account_sources", Gauge, One, ["kind"];
    /// Questions to sources of accounts, by kind and what came of them.
    AccountQuestions = "tandem_account_questions_total", Counter, One, ["kind", "outcome"];
    /// Entries in use in pools and tables.
    PoolUsed = "tandem_pool_used", Gauge, One, ["pool"];
    /// Entries that pools and tables have.
    PoolSize = "tandem_pool_size", Gauge, One, ["pool"];
    /// Datagrams received or sent.
    Datagrams = "tandem_datagrams_total", Counter, One, ["direction"];
    /// Bytes of datagrams received or sent.
    Bytes = "tandem_bytes_total", Counter, One, ["direction"];
    /// Datagrams lost before the SIP layer saw them or after it sent them, by place.
    DatagramsLost = "tandem_datagrams_lost_total", Counter, One, ["place"];
    /// Packets on interfaces that AF_XDP serves, by what its program made of them: `to_shard`, or why the kernel has them.
    XdpPackets = "tandem_xdp_packets_total", Counter, One, ["verdict"];
    /// Times that something had to be done again, by what.
    Repeats = "tandem_repeats_total", Counter, One, ["what"];
    /// Datagrams handed from the shard that received them to the shard that owns them.
    HandOvers = "tandem_hand_overs_total", Counter, One, ["direction"];
    /// Datagrams that could not be handed over, by class.
    HandOversShed = "tandem_hand_overs_shed_total", Counter, One, ["class"];
    /// Letters between shards and lanes.
    Letters = "tandem_letters_total", Counter, One, ["outcome"];
    /// Timers that fired or were refused.
    Timers = "tandem_timers_total", Counter, One, ["outcome"];
    /// Timers armed now.
    TimersArmed = "tandem_timers_armed", Gauge, One, [];
    /// Turns of the shard's loop.
    Turns = "tandem_shard_turns_total", Counter, One, [], by_shard;
    /// Time that the shard worked.
    Busy = "tandem_shard_busy_seconds_total", Counter, Micros, [], by_shard;
    /// Time that the shard spent in the driver: receiving, sending, waiting.
    Wait = "tandem_shard_wait_seconds_total", Counter, Micros, [], by_shard;
    /// Longest turn of the shard's loop since start.
    LongestTurn = "tandem_shard_longest_turn_seconds", Peak, Micros, [], by_shard;
    /// Longest time that a datagram waited for the shard since start.
    LongestQueue = "tandem_shard_longest_queue_seconds", Peak, Micros, [], by_shard;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_follow_prometheus_conventions() {
        let mut seen = BTreeSet::new();
        for metric in Metric::ALL {
            let Definition { name, kind, unit, labels, help, .. } = metric.definition();
            assert!(seen.insert(name), "{name} twice");
            assert!(name.starts_with("tandem_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
            assert_eq!(name.contains("_seconds"), unit == Unit::Micros, "{name}");
            assert!(labels.len() <= LABELS_MAX && !labels.contains(&"shard"), "{name}");
            assert!(help.trim().ends_with('.'), "{name}");
        }
    }
}
