//! What a configuration is held against: the host it will run on.

use crate::config::CoreList;
use nix::ifaddrs::getifaddrs;
use std::fs::read_to_string;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The host, as far as checks ask. What is not known is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Cores that the process may run on, in order.
    pub cores: Option<Vec<u32>>,
    /// Bytes of memory that the pools are held against.
    pub memory_bytes: Option<u64>,
    /// Most open files that the process may have.
    pub open_files: Option<u64>,
    /// Lowest port that the process may bind.
    pub lowest_port: Option<u16>,
    /// Addresses of the host's interfaces, against gateways that are ourselves.
    pub addresses: Vec<IpAddr>,
    /// Names of the host's network interfaces.
    pub interfaces: Option<Vec<String>>,
    /// The host knows a name server.
    pub name_servers: Option<bool>,
    /// Files that the configuration names are looked for.
    pub looks_for_files: bool,
    /// The time, in seconds since 1970.
    pub now: Option<i64>,
    /// Where the control socket goes when the file does not say.
    pub runtime_dir: PathBuf,
    /// Where state goes when the file does not say.
    pub state_dir: PathBuf,
}

/// Bit of CAP_NET_BIND_SERVICE in the kernel's capability masks (capabilities(7)).
const CAP_NET_BIND_SERVICE: u32 = 10;

impl Environment {
    /// A host of which nothing is known: only what the file itself says is checked.
    pub fn unknown() -> Self {
        Environment {
            runtime_dir: PathBuf::from("/run/tandem"),
            state_dir: PathBuf::from("/var/lib/tandem"),
            ..Environment::default()
        }
    }

    /// Whether it is known that the host has no such file.
    pub(crate) fn lacks_file(&self, path: &Path) -> bool {
        self.looks_for_files && !path.is_file()
    }

    /// This host just before the pools are reserved: as [`Environment::of_this_host`], but with the
    /// memory that is free now.
    pub fn before_start() -> Self {
        Environment { memory_bytes: memory_bytes(Memory::Free), ..Environment::of_this_host() }
    }

    /// This host, as this process sees it. Reads /proc and /sys; asks no network. Memory is all that the
    /// process could have if it were alone: a Tandem that runs already does not count against its own file.
    pub fn of_this_host() -> Self {
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let resolver = read_to_string("/etc/resolv.conf").unwrap_or_default();
        Environment {
            cores: field(&status, "Cpus_allowed_list:").and_then(CoreList::parse).map(|list| list.cores().to_vec()),
            memory_bytes: memory_bytes(Memory::All),
            open_files: open_files(&read_to_string("/proc/self/limits").unwrap_or_default()),
            lowest_port: lowest_port(&status),
            addresses: addresses(),
            interfaces: interfaces(),
            name_servers: Some(resolver.lines().any(|line| line.trim_start().starts_with("nameserver"))),
            looks_for_files: true,
            now: Some(jiff::Timestamp::now().as_second()),
            runtime_dir: directory("RUNTIME_DIRECTORY", "/run/tandem", "XDG_RUNTIME_DIR", ".cache"),
            state_dir: directory("STATE_DIRECTORY", "/var/lib/tandem", "XDG_STATE_HOME", ".local/state"),
        }
    }
}

/// The value of a line `name value` of a /proc file.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Which memory counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Memory {
    All,
    Free,
}

/// Memory of the host, or of the control group when that is less.
fn memory_bytes(which: Memory) -> Option<u64> {
    let host = read_to_string("/proc/meminfo").ok();
    let line = if which == Memory::All { "MemTotal:" } else { "MemAvailable:" };
    let host = host.as_deref().and_then(|text| field(text, line)).and_then(kibibytes);
    host.into_iter().chain(control_group_bytes(which)).min()
}

fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What the tightest control group around this process allows or leaves (cgroup v2).
fn control_group_bytes(which: Memory) -> Option<u64> {
    let membership = read_to_string("/proc/self/cgroup").ok()?;
    let own = membership.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mount = Path::new("/sys/fs/cgroup");
    let number = |path: PathBuf| read_to_string(path).ok()?.trim().parse::<u64>().ok();
    Path::new(own)
        .ancestors()
        .filter_map(|group| {
            let most = number(mount.join(group).join("memory.max"))?;
            let used = if which == Memory::All { 0 } else { number(mount.join(group).join("memory.current"))? };
            Some(most.saturating_sub(used))
        })
        .min()
}

/// The hard limit: the process raises its soft one at start.
fn open_files(limits: &str) -> Option<u64> {
    let hard = field(limits, "Max open files")?.split_whitespace().nth(1)?;
    if hard == "unlimited" { Some(u64::MAX) } else { hard.parse().ok() }
}

fn lowest_port(status: &str) -> Option<u16> {
    let capabilities = u64::from_str_radix(field(status, "CapEff:")?, 16).ok()?;
    if capabilities & (1 << CAP_NET_BIND_SERVICE) != 0 {
        return Some(0);
    }
    read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok()?.trim().parse().ok()
}

fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else {
        return Vec::new();
    };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .collect()
}

/// In order, each once.
fn interfaces() -> Option<Vec<String>> {
    let mut names: Vec<String> = getifaddrs().ok()?.map(|interface| interface.interface_name).collect();
    names.sort();
    names.dedup();
    Some(names)
}

/// A directory of the service: systemd's, the system's for root, the user's else.
fn directory(systemd: &str, for_root: &str, for_user: &str, below_home: &str) -> PathBuf {
    // WHY: systemd separates several directories by colons; the first is ours.
    let first = |value: std::ffi::OsString| value.to_string_lossy().split(':').next().map(PathBuf::from);
    if let Some(directory) = std::env::var_os(systemd).and_then(first) {
        return directory;
    }
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from(for_root);
    }
    let base = std::env::var_os(for_user).map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(below_home)));
    base.unwrap_or_else(std::env::temp_dir).join("tandem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_proc_are_understood() {
        assert_eq!(field("Name:\tx\nCpus_allowed_list:\t0-1,4\n", "Cpus_allowed_list:"), Some("0-1,4"));
        assert_eq!(kibibytes("2048 kB"), Some(2 << 20));
        assert_eq!(
            open_files("Max open files            1024                 524288               files\n"),
            Some(524_288)
        );
        assert_eq!(
            open_files("Max open files            1024                 unlimited            files\n"),
            Some(u64::MAX)
        );
        assert_eq!(lowest_port("CapEff:\t0000000000000400\n"), Some(0));
    }

    #[test]
    fn this_host_is_known() {
        let host = Environment::of_this_host();
        assert!(host.cores.is_some_and(|cores| !cores.is_empty()));
        let free = Environment::before_start().memory_bytes;
        assert!(free.is_some_and(|free| free > 0 && Some(free) <= host.memory_bytes));
        assert!(host.open_files.is_some());
        assert!(host.addresses.iter().any(IpAddr::is_loopback));
    }
}
