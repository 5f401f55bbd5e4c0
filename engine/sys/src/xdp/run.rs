//! Runs a loaded XDP program on a made-up packet in the kernel (BPF_PROG_TEST_RUN): what it decides, and
//! how long it takes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a run told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// What the program returned: XDP_PASS is 2, XDP_REDIRECT 4.
    pub action: u32,
    /// Nanoseconds of one run, on the average of all.
    pub nanoseconds: u32,
}

/// Runs `program` `times` on `packet`.
///
/// # Errors
/// EPERM without CAP_BPF; EINVAL for packets shorter than an Ethernet header.
pub fn run(program: BorrowedFd<'_>, packet: &[u8], times: u32) -> io::Result<Run> {
    let mut out = vec![0u8; packet.len() + 512];
    let mut attributes = TestRun {
        program: u32::try_from(program.as_raw_fd()).map_err(|_| io::ErrorKind::InvalidInput)?,
        packet_length: u32::try_from(packet.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        out_length: u32::try_from(out.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        packet: packet.as_ptr() as u64,
        out: out.as_mut_ptr() as u64,
        times,
        ..TestRun::default()
    };
    // SAFETY: the attributes have the layout of the kernel's union for this command, and point to
    // buffers with their lengths that live across the call.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_TEST_RUN, (&raw mut attributes).cast::<u8>(), size_of::<TestRun>())
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Run { action: attributes.action, nanoseconds: attributes.nanoseconds })
}

/// The part of `union bpf_attr` that BPF_PROG_TEST_RUN reads and writes.
#[derive(Default)]
#[repr(C)]
struct TestRun {
    program: u32,
    action: u32,
    packet_length: u32,
    out_length: u32,
    packet: u64,
    out: u64,
    times: u32,
    nanoseconds: u32,
    context_in_length: u32,
    context_out_length: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    padding: u32,
}

const BPF_PROG_TEST_RUN: libc::c_long = 10;
