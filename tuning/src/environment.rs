//! What a configuration is held against: the host it will run on.

use std::net::IpAddr;
use std::path::PathBuf;

/// The host, as far as checks ask. What is not known is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Cores that the process may run on, in order.
    pub cores: Option<Vec<u32>>,
    /// Bytes of memory that the process may still take.
    pub memory_bytes: Option<u64>,
    /// Most open files of the process.
    pub open_files: Option<u64>,
    /// Lowest port that the process may bind (`net.ipv4.ip_unprivileged_port_start`, or 0 with the capability).
    pub lowest_port: Option<u16>,
    /// Addresses of the host's interfaces, against gateways that are ourselves.
    pub addresses: Vec<IpAddr>,
    /// The host knows a name server.
    pub name_servers: Option<bool>,
    /// Where the control socket goes when the file does not say.
    pub runtime_dir: PathBuf,
    /// Where state goes when the file does not say.
    pub state_dir: PathBuf,
}

impl Environment {
    /// A host of which nothing is known: only what the file itself says is checked.
    pub fn unknown() -> Self {
        Environment {
            runtime_dir: PathBuf::from("/run/tandem"),
            state_dir: PathBuf::from("/var/lib/tandem"),
            ..Environment::default()
        }
    }

    /// This host, as this process sees it.
    pub fn of_this_host() -> Self {
        Environment::unknown()
    }
}
