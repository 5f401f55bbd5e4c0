//! Programs that choose the socket of a reuseport group for each datagram (SO_ATTACH_REUSEPORT_CBPF).
//!
//! WHY: without one, the kernel hashes both addresses, and all traffic of one carrier (one address,
//! one port) would land on one shard.
//!
//! The group holds one socket for each shard, bound in the order of the shards, and behind them, where
//! the driver wants it, a second set of the same size for datagrams that are larger than an ordinary
//! receive buffer.

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

/// Datagrams longer than `above` bytes go to the second set of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeSplit {
    /// Longest UDP payload for the first set.
    pub above: u32,
}

/// Attaches a program to the whole group that `socket` belongs to, which has `shards` sockets (twice
/// that with `split`).
///
/// # Errors
/// When the socket is in no group, or the kernel refuses the program.
pub fn attach(socket: &UdpSocket, shards: u32, choice: &Choice, split: Option<LargeSplit>) -> io::Result<()> {
    let mut code = program(shards, choice, split);
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

/// The program: choose a shard into A; if the datagram is large, add the number of shards.
fn program(shards: u32, choice: &Choice, split: Option<LargeSplit>) -> Vec<libc::sock_filter> {
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
    code.push(instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, 0, shards));
    if let Some(split) = split {
        code.push(instruction(libc::BPF_MISC | libc::BPF_TAX, 0, 0, 0));
        code.push(instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0, 0, 0));
        code.push(instruction(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 0, 3, split.above));
        code.push(instruction(libc::BPF_MISC | libc::BPF_TXA, 0, 0, 0));
        code.push(instruction(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K, 0, 0, shards));
        code.push(instruction(libc::BPF_RET | BPF_A, 0, 0, 0));
        code.push(instruction(libc::BPF_MISC | libc::BPF_TXA, 0, 0, 0));
    }
    code.push(instruction(libc::BPF_RET | BPF_A, 0, 0, 0));
    code
}

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
