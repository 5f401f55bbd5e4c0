//! The XDP program on one interface: loaded, attached by a link that ends with this process whatever
//! ends it, and its maps.

use aya::maps::{Array, HashMap, MapData, PerCpuArray, XskMap};
use aya::programs::xdp::XdpMode;
use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfLoader};
use engine_sys::errno;
use engine_sys::xdp::umem::RECEIVE_BYTES_MAX;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The program's object. Its source lies beside it; `scripts/bpf-object` builds it.
static OBJECT: &[u8] = aya::include_bytes_aligned!("program/tandem.bpf.o");

/// What the program counts, by the number of its verdict.
pub const VERDICTS: [&str; 11] = [
    "to_shard",
    "not_for_this_mac",
    "not_ip",
    "unknown_vlan",
    "not_udp",
    "ip_options",
    "fragment",
    "not_served",
    "too_long",
    "no_socket",
    "cut_short",
];

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// In the driver, before the kernel makes anything of a packet.
    Driver,
    /// In the kernel's stack: every driver, but slower than its sockets.
    Generic,
}

/// A program that was loaded, and attached unless it is only to be tried.
pub struct Attachment {
    ebpf: Ebpf,
    program: &'static str,
    served: HashSet<[u8; SERVED_BYTES]>,
    vlans: HashSet<[u8; 4]>,
    interface: Option<[u8; INTERFACE_BYTES]>,
}

impl Attachment {
    /// Loads the program into the kernel.
    ///
    /// # Errors
    /// In words for an operator.
    pub fn load() -> Result<Self, String> {
        Self::load_program("tandem")
    }

    /// Loads a program that does nothing, as the floor under measurements.
    ///
    /// # Errors
    /// As above.
    pub fn load_floor() -> Result<Self, String> {
        Self::load_program("nothing")
    }

    fn load_program(name: &'static str) -> Result<Self, String> {
        let mut ebpf = EbpfLoader::new()
            // WHY without the kernel's own types: the program reads none of its structures, and they take 0.1 s to read.
            .btf(None)
            .load(OBJECT)
            .map_err(|error| format!("the XDP program cannot be loaded: {}", chain(&error)))?;
        let program = program(&mut ebpf, name)?;
        program.load().map_err(|error| format!("the kernel refuses the XDP program: {}", chain(&error)))?;
        Ok(Attachment { ebpf, program: name, served: HashSet::new(), vlans: HashSet::new(), interface: None })
    }

    /// Attaches it to an interface, for as long as this value lives.
    ///
    /// # Errors
    /// In words for an operator.
    pub fn attach(&mut self, index: u32, hook: Hook) -> Result<(), String> {
        let mode = match hook {
            Hook::Driver => XdpMode::Driver,
            Hook::Generic => XdpMode::Skb,
        };
        match program(&mut self.ebpf, self.program)?.attach_to_if_index(index, mode) {
            Ok(_) => Ok(()),
            Err(ProgramError::SyscallError(error)) => Err(match error.io_error.raw_os_error() {
                Some(errno::EBUSY | errno::EEXIST) => {
                    "another XDP program is attached to it (another Tandem?); `bpftool net` shows it".to_owned()
                }
                Some(errno::EOPNOTSUPP) => "its driver has no XDP".to_owned(),
                Some(errno::EINVAL | errno::ERANGE) => {
                    format!("its driver refuses XDP as it is set up (MTU, or LRO on?): {}", error.io_error)
                }
                _ => error.io_error.to_string(),
            }),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends what arrives on `queue` to a socket.
    ///
    /// # Errors
    /// When there are more queues than the map has room for.
    pub fn set_socket(&mut self, queue: u32, socket: BorrowedFd<'_>) -> Result<(), String> {
        let mut map: XskMap<_> = self.map("sockets")?;
        map.set(queue, socket.as_raw_fd(), 0).map_err(|error| error.to_string())
    }

    /// Says which packets are ours: sent to this Ethernet address, on these VLANs, to these addresses.
    ///
    /// # Errors
    /// When there are more than the maps have room for. What is left out goes to the kernel's sockets.
    pub fn serve(
        &mut self,
        mac: [u8; 6],
        vlans: HashSet<u32>,
        served: impl Iterator<Item = SocketAddr>,
    ) -> Result<(), String> {
        let interface = interface_value(mac);
        if self.interface != Some(interface) {
            let mut map: Array<_, [u8; INTERFACE_BYTES]> = self.map("interface")?;
            map.set(0, interface, 0).map_err(|error| error.to_string())?;
            self.interface = Some(interface);
        }
        let Some(map) = self.ebpf.map_mut("vlans") else { return Err("the program has no map vlans".to_owned()) };
        let map = HashMap::try_from(map).map_err(|error| error.to_string())?;
        let vlans: HashSet<_> = vlans.into_iter().map(u32::to_ne_bytes).collect();
        replace(map, &mut self.vlans, vlans)?;
        let Some(map) = self.ebpf.map_mut("served") else { return Err("the program has no map served".to_owned()) };
        let map = HashMap::try_from(map).map_err(|error| error.to_string())?;
        replace(map, &mut self.served, served.map(served_key).collect())
    }

    /// What it counted, by verdict, over all cores.
    pub fn counters(&mut self) -> [u64; VERDICTS.len()] {
        let Ok(map) = self.map::<PerCpuArray<_, u64>>("counters") else {
            return [0; VERDICTS.len()];
        };
        std::array::from_fn(|verdict| {
            // INVARIANT: there are eleven.
            map.get(&(verdict as u32), 0).map_or(0, |cores| cores.iter().sum())
        })
    }

    /// The program, to be run on packets that a measurement makes up.
    ///
    /// # Errors
    /// None once it is loaded.
    pub fn descriptor(&self) -> Result<BorrowedFd<'_>, String> {
        let program = self.ebpf.program(self.program).ok_or("the object has no program")?;
        program.fd().map(AsFd::as_fd).map_err(|error| error.to_string())
    }

    fn map<'m, M: TryFrom<&'m mut aya::maps::Map>>(&'m mut self, name: &str) -> Result<M, String>
    where
        M::Error: std::fmt::Display,
    {
        let map = self.ebpf.map_mut(name).ok_or_else(|| format!("the program has no map {name}"))?;
        M::try_from(map).map_err(|error| format!("{name}: {error}"))
    }
}

/// An error with its causes; of the verifier's log the last lines.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(CAUSE_LINES)..).unwrap_or_default().join("; ")
}

fn program<'e>(ebpf: &'e mut Ebpf, name: &str) -> Result<&'e mut Xdp, String> {
    let program = ebpf.program_mut(name).ok_or("the object has no program")?;
    program.try_into().map_err(|error: ProgramError| error.to_string())
}

/// Makes `map` hold exactly `wanted`, of which it holds `there`.
fn replace<const N: usize>(
    mut map: HashMap<&mut MapData, [u8; N], u32>,
    there: &mut HashSet<[u8; N]>,
    wanted: HashSet<[u8; N]>,
) -> Result<(), String> {
    for gone in there.difference(&wanted) {
        // WHY the result does not matter: it fails when the entry is not there.
        let _ = map.remove(gone);
    }
    let mut result = Ok(());
    for new in wanted.difference(there) {
        result = result.and(map.insert(new, 1, 0));
    }
    *there = wanted;
    result.map_err(|error| error.to_string())
}

/// `struct served`.
fn served_key(address: SocketAddr) -> [u8; SERVED_BYTES] {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut key = [0; SERVED_BYTES];
    let (address_part, rest) = key.split_at_mut(16);
    address_part.copy_from_slice(&ip.octets());
    if let [high, low, ..] = rest {
        [*high, *low] = address.port().to_be_bytes();
    }
    key
}

/// `struct interface`.
fn interface_value(mac: [u8; 6]) -> [u8; INTERFACE_BYTES] {
    let [a, b, c, d, e, f] = mac;
    let [p, q, r, s] = (RECEIVE_BYTES_MAX as u32).to_ne_bytes();
    [a, b, c, d, e, f, 0, 0, p, q, r, s]
}

const CAUSE_LINES: usize = 6;
const SERVED_BYTES: usize = 20;
const INTERFACE_BYTES: usize = 12;
