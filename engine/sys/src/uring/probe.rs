//! Whether this kernel, and whoever confines this process, allow io_uring as the engine uses it.

use super::buffers::BufferRing;
use io_uring::{IoUring, Probe, opcode};
use std::io;

/// Tries it.
///
/// # Errors
/// The reason why not, in words for an operator.
pub fn probe() -> Result<(), String> {
    // WHY: on a thread of its own: closing a ring later interrupts the thread that had made it, and
    // the caller may wait in a call that does not take that well (EINTR).
    match std::thread::spawn(probe_here).join() {
        Ok(outcome) => outcome,
        Err(_) => Err("the io_uring probe failed".to_owned()),
    }
}

fn probe_here() -> Result<(), String> {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
    let ring = builder.build(8).map_err(|error| why(&error))?;
    let features = ring.params();
    if !features.is_feature_ext_arg() || !features.is_feature_nodrop() || !features.is_feature_skip_cqe_on_success() {
        return Err("this kernel's io_uring lacks EXT_ARG, NODROP or CQE_SKIP".to_owned());
    }
    let mut known = Probe::new();
    ring.submitter().register_probe(&mut known).map_err(|error| why(&error))?;
    let needed = [opcode::RecvMsg::CODE, opcode::SendMsg::CODE, opcode::Send::CODE, opcode::PollAdd::CODE];
    if let Some(code) = needed.into_iter().find(|code| !known.is_supported(*code)) {
        return Err(format!("this kernel's io_uring lacks operation {code}"));
    }
    BufferRing::register(&ring, 0, 1, 64).map_err(|error| why(&error))?;
    Ok(())
}

fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no io_uring".to_owned(),
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is forbidden here (kernel.io_uring_disabled or a seccomp filter)".to_owned()
        }
        Some(libc::EINVAL) => "this kernel's io_uring is older than 6.1 (no DEFER_TASKRUN)".to_owned(),
        Some(libc::ENOMEM) => "io_uring may not lock enough memory (RLIMIT_MEMLOCK)".to_owned(),
        _ => format!("io_uring does not work here: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_words() {
        for code in [libc::ENOSYS, libc::EPERM, libc::EINVAL, libc::ENOMEM, libc::EIO] {
            assert!(why(&io::Error::from_raw_os_error(code)).contains("io_uring"));
        }
    }
}
