//! Which shard's socket receives a datagram, where a listener's group has several.
//!
//! The application may bring a program that runs in the kernel on each datagram and says which shard owns it
//! ([`OwnerProgram`]); what cannot be told that way, or where no such program may be loaded, is spread.

use crate::device::xdp::attachment::chain;
use aya::programs::ReusePortSocketFilter;
use aya::{Ebpf, EbpfLoader};
use engine_sys::socket::UdpSocket;
use engine_sys::steer::{self, Choice, Sets};
use std::fmt;
use std::io;
use std::os::fd::AsFd;

/// Which shard of a group receives a datagram.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Steering {
    /// Any, evenly, whoever sent it.
    #[default]
    Random,
    /// The shard whose core received it: for hosts whose queue interrupts are pinned one a core.
    ReceivingCpu,
    /// The one that this program names.
    Owner {
        /// The program.
        program: OwnerProgram,
        /// What holds if the kernel does not take it; `None`: no start.
        otherwise: Option<Box<Steering>>,
    },
}

/// A program for the kernel (`SO_ATTACH_REUSEPORT_EBPF`): given a datagram's payload, it returns the number of the
/// shard that owns it, plus the number of shards for a payload longer than the first set of sockets takes, or the first
/// number of the deferred set for one that begins as those do.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerProgram {
    /// The object, as the compiler made it.
    pub object: &'static [u8],
    /// Name of the socket filter in it.
    pub name: &'static str,
    /// The first two words of its constant `CONFIG`. The engine adds the number of shards, the longest payload of the
    /// first set of sockets, how deferred payloads begin (0: none do) and the number of the first socket for them.
    pub config: [u64; 2],
}

// WHY by hand: the words may be a secret.
impl fmt::Debug for OwnerProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnerProgram({})", self.name)
    }
}

/// What steers a listener's group, ready to be attached.
pub(crate) enum Steers {
    Choice(Choice),
    Program(Loaded),
}

/// A program in the kernel's hands.
pub struct Loaded {
    ebpf: Ebpf,
    name: &'static str,
}

impl Steering {
    /// Loads what has to be loaded, for shards on `cores`; with it, why not what was wished for.
    ///
    /// # Errors
    /// The kernel does not take the program and nothing stands in for it, in words for an operator.
    pub(crate) fn prepare(&self, cores: &[usize], sets: &Sets) -> Result<(Steers, Option<String>), String> {
        match self {
            Steering::Random => Ok((Steers::Choice(Choice::Random), None)),
            Steering::ReceivingCpu => {
                let cpus = cores.iter().filter_map(|core| u32::try_from(*core).ok()).collect();
                Ok((Steers::Choice(Choice::ReceivingCpu(cpus)), None))
            }
            // Nothing to choose.
            Steering::Owner { .. } if sets.shards == 1 => Ok((Steers::Choice(Choice::Random), None)),
            Steering::Owner { program, otherwise } => match (program.load(sets), otherwise) {
                (Ok(loaded), _) => Ok((Steers::Program(loaded), None)),
                (Err(why), None) => Err(why),
                (Err(why), Some(other)) => Ok((other.prepare(cores, sets)?.0, Some(why))),
            },
        }
    }
}

impl Steers {
    /// Attaches it to the whole group of these sets that `socket` belongs to.
    pub(crate) fn attach(&self, socket: &UdpSocket, sets: &Sets) -> io::Result<()> {
        match self {
            Steers::Choice(choice) => steer::attach(socket, choice, sets),
            Steers::Program(loaded) => loaded.attach(socket).map_err(io::Error::other),
        }
    }

    /// In a word, for whoever starts it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Steers::Choice(Choice::Random) => "any shard",
            Steers::Choice(Choice::ReceivingCpu(_)) => "the receiving core's shard",
            Steers::Program(_) => "the owner's shard",
        }
    }
}

impl OwnerProgram {
    /// Loads it for these sets of sockets.
    ///
    /// # Errors
    /// In words for an operator: the kernel refuses it, or this process lacks CAP_BPF.
    pub fn load(&self, sets: &Sets) -> Result<Loaded, String> {
        let longest = sets.large.map_or(u32::MAX, |split| split.above);
        let begins = sets.deferred.map_or(0, u64::from_ne_bytes);
        let [shards, longest, first] = [sets.shards, longest, sets.first_deferred()].map(u64::from);
        let config = [self.config[0], self.config[1], shards, longest, begins, first];
        // WHY copied: the reader of the object wants it aligned as allocated memory is.
        let object = self.object.to_vec();
        let mut loader = EbpfLoader::new();
        // WHY without the kernel's own types: the program reads none of its structures, and they take 0.1 s to read.
        let loader = loader.btf(None).override_global("CONFIG", &config, true);
        let mut ebpf = loader.load(&object).map_err(|error| chain(&error))?;
        let program = ebpf.program_mut(self.name).ok_or("the object has no such program")?;
        let program: &mut ReusePortSocketFilter = program.try_into().map_err(|error| chain(&error))?;
        program.load().map_err(|error| chain(&error))?;
        Ok(Loaded { ebpf, name: self.name })
    }
}

impl Loaded {
    fn program(&self) -> Result<&ReusePortSocketFilter, String> {
        let program = self.ebpf.program(self.name).ok_or("the object has no such program")?;
        program.try_into().map_err(|error| chain(&error))
    }

    fn attach(&self, socket: &UdpSocket) -> Result<(), String> {
        self.program()?.attach(socket).map_err(|error| chain(&error))
    }

    /// Runs it on a payload in the kernel, `times` times: its answer, and the nanoseconds of one run.
    ///
    /// # Errors
    /// Without CAP_BPF.
    pub fn try_on(&self, payload: &[u8], times: u32) -> Result<(u32, u32), String> {
        let program = self.program()?.fd().map_err(|error| chain(&error))?;
        // The kernel takes an Ethernet header off before the program sees the packet.
        let packet = [&[0; ETHERNET_HEADER_BYTES][..], payload].concat();
        let run = engine_sys::xdp::run::run(program.as_fd(), &packet, times).map_err(|error| error.to_string())?;
        Ok((run.action, run.nanoseconds))
    }
}

const ETHERNET_HEADER_BYTES: usize = 14;
