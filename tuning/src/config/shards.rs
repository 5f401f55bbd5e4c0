//! `[shards]` and `[driver]`: threads, and how they receive and send.

use crate::read::{Node, Reader, Value, milliseconds, seconds};
use crate::schema::Kind;
use std::time::Duration;
use toml::de::DeValue;

choice! {
    /// How datagrams find a shard in the kernel.
    Steering {
        /// `"owner"` where the kernel takes the program, else `"core"` where queue interrupts are pinned one a core,
        /// else `"hash"`.
        Auto = "auto",
        /// A program in the kernel finds the shard that owns the message. Needs CAP_BPF at start.
        Owner = "owner",
        /// By the core that received them.
        Core = "core",
        /// By the kernel's hash of addresses and ports.
        Hash = "hash",
    }
}

choice! {
    /// The interface to the kernel.
    DriverKind {
        /// AF_XDP on the `interfaces` where it is worth it; beside it, or alone, the best that the host permits.
        Auto = "auto",
        /// AF_XDP on the `interfaces` in whatever mode, or no start; sockets beside it as with `auto`.
        Xdp = "xdp",
        /// io_uring with multishot receive.
        IoUring = "io_uring",
        /// recvmmsg and sendmmsg.
        Mmsg = "mmsg",
    }
}

choice! {
    /// How AF_XDP may receive.
    XdpMode {
        /// The best that the interface permits: zero-copy, copied by the driver, with kind = "xdp" also generic.
        Best = "best",
        /// Copied by the driver, even where the card could do without.
        Copy = "copy",
        /// In the kernel's stack, which every driver can and which is slower than sockets.
        Generic = "generic",
    }
}

section! {
    /// Threads that carry the traffic, one a core.
    Shards {
        /// Cores to run on: `"0-3,8"` or a list of numbers.
        restart cores: Option<CoreList> = None, derived "the cores that the process may use";
        /// How many; more than there are cores share them in turn, which is good for tests only.
        restart count: Option<u32> = None, derived "one a core", within 1 => 64;
        /// How datagrams find a shard.
        restart steering: Steering = Steering::Auto;
    }
}

section! {
    /// How datagrams are received and sent.
    Driver {
        /// The interface to the kernel.
        restart kind: DriverKind = DriverKind::Auto;
        /// Network interfaces whose queues AF_XDP serves, past the kernel; VLANs on them too. All other
        /// traffic, and whatever AF_XDP cannot do, goes on through sockets.
        restart interfaces: Vec<String> = Vec::new();
        /// How AF_XDP may receive.
        restart xdp_mode: XdpMode = XdpMode::Best;
        /// AF_XDP spins in the driver instead of waiting for interrupts: shorter delays for a busy core.
        restart busy_poll: bool = false;
        /// Receive buffers of each shard, 2 KiB each; a power of two.
        restart receive_slots_per_shard: u32 = 1_024, within 64 => 32_768;
        /// Send buffers of each shard, 2 KiB each; a power of two.
        restart send_slots_per_shard: u32 = 1_024, within 64 => 32_768;
        /// Longest time that a datagram should wait in a socket's receive buffer, from which the buffer's
        /// size follows: what would wait longer is better lost, since its sender repeats it.
        restart receive_wait: Duration = milliseconds(200), within milliseconds(5) => seconds(5);
    }
}

impl Shards {
    /// How many there will be when the process may use so many cores.
    pub fn count_on(&self, available: usize) -> usize {
        let cores = self.cores.as_ref().map_or(available, |list| list.cores().len());
        self.count.map_or(cores, |count| count as usize).clamp(1, limits::SHARDS_MAX)
    }
}

/// Numbers of cores, in order, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreList(Vec<u32>);

/// Highest core number that a list may name.
const CORE_MAX: u32 = 4_095;

impl CoreList {
    /// The cores.
    pub fn cores(&self) -> &[u32] {
        &self.0
    }

    /// The kernel's notation: `0-3,8`.
    pub fn parse(text: &str) -> Option<CoreList> {
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            if first > last || last > CORE_MAX {
                return None;
            }
            cores.extend(first..=last);
        }
        CoreList::of(cores)
    }

    /// The list of these; `None` when empty or one stands twice.
    pub fn of(mut cores: Vec<u32>) -> Option<CoreList> {
        cores.sort_unstable();
        let distinct = cores.windows(2).all(|pair| pair.first() != pair.last());
        (distinct && !cores.is_empty()).then_some(CoreList(cores))
    }
}

impl std::fmt::Display for CoreList {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut first = true;
        for run in self.0.chunk_by(|left, right| left + 1 == *right) {
            let separator = if std::mem::take(&mut first) { "" } else { "," };
            match run {
                [only] => write!(formatter, "{separator}{only}")?,
                [start, .., end] => write!(formatter, "{separator}{start}-{end}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

impl Value for CoreList {
    fn kind() -> Kind {
        let number = Kind::Integer { low: 0, high: i128::from(CORE_MAX) };
        Kind::Either(vec![Kind::Text("cores such as \"0-3,8\""), Kind::List(Box::new(number))])
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let list = match node.get_ref() {
            DeValue::String(text) => CoreList::parse(text),
            _ => CoreList::of(Vec::<u32>::read(node, reader, None)?),
        };
        if list.is_none() {
            reader.malformed(node, "not a list of different cores", "write \"0-3\", \"0-3,8\" or [0, 1]");
        }
        list
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_shard_a_core_unless_said_otherwise() {
        let mut shards: Shards = crate::schema::defaults();
        assert_eq!((shards.count_on(2), shards.count_on(0), shards.count_on(128)), (2, 1, limits::SHARDS_MAX));
        shards.cores = CoreList::parse("5");
        assert_eq!(shards.count_on(2), 1);
        shards.count = Some(3);
        assert_eq!(shards.count_on(2), 3);
    }

    #[test]
    fn core_lists() {
        assert_eq!(CoreList::parse("0-3, 8,10-11").unwrap().to_string(), "0-3,8,10-11");
        for bad in ["", "3-1", "0,0", "a", "0-4096", "1-"] {
            assert_eq!(CoreList::parse(bad), None, "{bad}");
        }
    }
}
