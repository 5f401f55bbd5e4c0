//! Programs that choose the socket of a reuseport group for each datagram (SO_ATTACH_REUSEPORT_CBPF).
//!
//! WHY: without one, the kernel hashes both addresses, and all traffic of one carrier (one address,
//! one port) would land on one shard.
//!
//! A group holds sets of sockets ([`Sets`]), each with one for every shard, bound in the order of the shards:
//! the ordinary ones, behind them those for datagrams that are larger than an ordinary receive buffer, where the
//! driver wants that, and those for what is read after all others, where the application wants that.

use crate::socket::UdpSocket;
use std::io;
use std::os::fd::AsRawFd;

/// How a shard is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Any, evenly.
    Random,
    /// The shard of the CPU that received the datagram: `cpus[shard]` is its CPU. Datagrams received
    /// elsewhere go to any.
    ReceivingCpu(Vec<u32>),
}

/// Datagrams longer than `above` bytes go to a set of sockets of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeSplit {
    /// Longest UDP payload for the first set.
    pub above: u32,
}

/// The sets of sockets of a group, in their order: ordinary, large, deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sets {
    /// Sockets of each set.
    pub shards: u32,
    /// Which datagrams go to the set for large ones, if there is one.
    pub large: Option<LargeSplit>,
    /// How those begin that go to the set of what is read last, if there is one. Large ones do not.
    pub deferred: Option<[u8; 8]>,
}

impl Sets {
    /// Sockets of all sets.
    pub fn sockets(&self) -> u32 {
        self.first_deferred() + if self.deferred.is_some() { self.shards } else { 0 }
    }

    /// The number of the first socket of the last set.
    pub fn first_deferred(&self) -> u32 {
        if self.large.is_some() { 2 * self.shards } else { self.shards }
    }
}

/// Attaches a program to the whole group of these sets that `socket` belongs to.
///
/// # Errors
/// When the socket is in no group, or the kernel refuses the program.
pub fn attach(socket: &UdpSocket, choice: &Choice, sets: &Sets) -> io::Result<()> {
    let mut code = program(choice, sets);
    let program = libc::sock_fprog {
        len: u16::try_from(code.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: code.as_mut_ptr(),
    };
    // SAFETY: `program` points to `len` instructions that live across the call; the kernel checks and
    // copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The program: choose a shard into A; if the datagram is large, or one that is read last, add what stands before
/// that set.
fn program(choice: &Choice, sets: &Sets) -> Vec<libc::sock_filter> {
    let mut code = Vec::new();
    if let Choice::ReceivingCpu(cpus) = choice {
        code.push(load(SKF_AD_CPU));
        // Each pair: if A is this CPU, go on to load the shard and jump to the end of the choice.
        let pairs = u32::try_from(cpus.len()).unwrap_or(0);
        for (shard, cpu) in (0..).zip(cpus) {
            code.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 2, *cpu));
            code.push(instruction(libc::BPF_LD | libc::BPF_IMM, 0, 0, shard));
            // Over the rest of the pairs (three instructions each) and the random choice (two).
            let over = (pairs - 1 - shard) * 3 + 2;
            code.push(instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, over));
        }
    }
    code.push(load(SKF_AD_RANDOM));
    code.push(instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, 0, sets.shards));
    code.push(instruction(libc::BPF_MISC | libc::BPF_TAX, 0, 0, 0));
    if let Some(split) = sets.large {
        code.push(instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0, 0, 0));
        code.push(instruction(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 0, ANSWER, split.above));
        code.extend(answer(sets.shards));
    }
    if let Some(begins) = sets.deferred {
        // INVARIANT: a program that reads behind the end of a datagram answers 0, so its length is asked first.
        code.push(instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0, 0, 0));
        code.push(instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 4 + ANSWER, 8));
        let (words, _) = begins.as_chunks::<4>();
        for (at, skip) in [(0, 2 + ANSWER), (1, ANSWER)] {
            let word = words.get(at).copied().map_or(0, u32::from_be_bytes);
            // INVARIANT: there are two words.
            code.push(instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 4 * at as u32));
            code.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, word));
        }
        code.extend(answer(sets.first_deferred()));
    }
    code.extend(answer(0));
    code
}

/// Answers the shard in X plus `add`: [`ANSWER`] instructions.
fn answer(add: u32) -> [libc::sock_filter; ANSWER as usize] {
    [
        instruction(libc::BPF_MISC | libc::BPF_TXA, 0, 0, 0),
        instruction(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K, 0, 0, add),
        instruction(libc::BPF_RET | BPF_A, 0, 0, 0),
    ]
}

const ANSWER: u8 = 3;

fn load(ancillary: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, SKF_AD_OFF.wrapping_add(ancillary))
}

fn instruction(code: u32, jump_true: u8, jump_false: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        // INVARIANT: every opcode of classic BPF fits 16 bits.
        code: code as u16,
        jt: jump_true,
        jf: jump_false,
        k,
    }
}

// linux/filter.h
const SKF_AD_OFF: u32 = 0xffff_f000;
const SKF_AD_CPU: u32 = 36;
const SKF_AD_RANDOM: u32 = 56;
const BPF_A: u32 = 0x10;
