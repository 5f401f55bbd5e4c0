//! What the host itself says of a run: datagrams that a full socket lost, and stolen CPU time.

use std::{collections::BTreeSet, fs, net::SocketAddr};

/// Datagrams that the kernel dropped at local UDP sockets, by port, since they were opened.
#[derive(Clone, Debug, Default)]
pub struct UdpDrops(Vec<(u16, u64)>);

impl UdpDrops {
    /// Reads `/proc/net/udp` and `/proc/net/udp6`; empty where there are none.
    pub fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let mut drops = parse(&text("/proc/net/udp"));
        drops.extend(parse(&text("/proc/net/udp6")));
        UdpDrops(drops)
    }

    /// Of all sockets with that port.
    pub fn at(&self, address: SocketAddr) -> u64 {
        self.0.iter().filter(|(port, _)| *port == address.port()).map(|(_, drops)| drops).sum()
    }
}

/// Columns of `/proc/net/udp`: the local address is the second, the drops the last.
fn parse(text: &str) -> Vec<(u16, u64)> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let (_, port) = columns.nth(1)?.rsplit_once(':')?;
            let port = u16::from_str_radix(port, 16).ok()?;
            Some((port, columns.next_back()?.parse().ok()?))
        })
        .collect()
}

/// CPU time of the whole host, in clock ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostTime {
    stolen: u64,
    total: u64,
}

impl HostTime {
    /// Reads `/proc/stat`.
    pub fn read() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        HostTime::parse(text.lines().next().unwrap_or_default())
    }

    /// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guest is in user.
    fn parse(line: &str) -> Self {
        let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|tick| tick.parse().ok()).collect();
        HostTime { stolen: ticks.get(7).copied().unwrap_or(0), total: ticks.iter().sum() }
    }

    /// Share of the time since `before` that the hypervisor took, 0 to 1.
    pub fn stolen_since(&self, before: &HostTime) -> f64 {
        let total = self.total.saturating_sub(before.total);
        if total == 0 {
            return 0.0;
        }
        self.stolen.saturating_sub(before.stolen) as f64 / total as f64
    }
}

/// Nanoseconds that the shards of this process were ready to run while others had their core.
pub fn waited_for_core() -> u64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    let delay = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        name.starts_with("shard-").then(|| run_delay(&text))?
    };
    tasks.filter_map(Result::ok).filter_map(delay).sum()
}

/// `/proc/…/schedstat`: time on the processor, time waiting for it, turns.
fn run_delay(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

/// The cores that this process may run on.
pub fn allowed_cores() -> Vec<usize> {
    let set = rustix::thread::sched_getaffinity(None);
    let cores: BTreeSet<usize> = set.map_or_else(
        |_| BTreeSet::from([0]),
        |set| (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
    );
    cores.into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn drops_are_found_by_port() {
        let text = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1234: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2 0 17\n\
            1235: 0100007F:13C5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2 0 0\n\
            1236: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9 2 0 3\n";
        let drops = UdpDrops(parse(text));
        assert_eq!(drops.at("127.0.0.1:5060".parse().unwrap()), 20);
        assert_eq!(drops.at("127.0.0.1:5061".parse().unwrap()), 0);
    }

    #[test]
    fn the_wait_for_the_core_is_the_second_figure() {
        assert_eq!(run_delay("1165580 44311 2\n"), Some(44_311));
        assert_eq!(run_delay(""), None);
    }

    #[test]
    fn stolen_time_is_a_share_of_all_time() {
        let before = HostTime::parse("cpu  100 0 100 800 0 0 0 0 0 0");
        let after = HostTime::parse("cpu  150 0 120 920 0 0 0 10 7 0");
        assert!((after.stolen_since(&before) - 0.05).abs() < 1e-9);
        assert!(after.stolen_since(&after).abs() < 1e-9);
    }
}
