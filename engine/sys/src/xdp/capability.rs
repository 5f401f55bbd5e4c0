//! Linux capabilities of a thread: which it has, and giving them up.
//!
//! WHY threads: only the lane that follows the network needs the rights to attach programs and open
//! AF_XDP sockets again; the shards, which read what strangers send, do not.

use std::io;

/// CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF: what AF_XDP is set up with (capabilities(7)).
pub const FOR_XDP: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (39, "CAP_BPF")];

const CAP_SYS_ADMIN: u32 = 21;

/// Which of [`FOR_XDP`] this thread lacks. CAP_SYS_ADMIN stands in for CAP_BPF, as for the kernel.
///
/// # Errors
/// None in practice.
pub fn missing_for_xdp() -> io::Result<Vec<&'static str>> {
    let (_, sets) = read()?;
    let has = |number: u32| sets[number as usize / 32].effective & (1 << (number % 32)) != 0;
    let lacking = FOR_XDP.iter().filter(|(number, name)| !(has(*number) || *name == "CAP_BPF" && has(CAP_SYS_ADMIN)));
    Ok(lacking.map(|(_, name)| *name).collect())
}

/// Gives up [`FOR_XDP`] for the calling thread, for good.
///
/// # Errors
/// None in practice: giving up needs no right.
pub fn give_up_for_xdp() -> io::Result<()> {
    let (header, mut sets) = read()?;
    for (number, _) in FOR_XDP {
        let set = &mut sets[number as usize / 32];
        let rest = !(1u32 << (number % 32));
        set.effective &= rest;
        set.permitted &= rest;
        set.inheritable &= rest;
    }
    // SAFETY: header and sets have the layout of version 3 and live across the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn read() -> io::Result<(Header, [Set; 2])> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Set::default(); 2];
    // SAFETY: header and sets have the layout of version 3; the kernel writes both sets.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    if result == 0 { Ok((header, sets)) } else { Err(io::Error::last_os_error()) }
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Set {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn what_a_thread_gives_up_is_gone_for_it_alone() {
        let before = missing_for_xdp().unwrap();
        let inside = std::thread::spawn(|| {
            give_up_for_xdp().unwrap();
            missing_for_xdp().unwrap()
        });
        let inside = inside.join().unwrap();
        assert!(inside.contains(&"CAP_NET_ADMIN") && inside.contains(&"CAP_NET_RAW"));
        assert_eq!(missing_for_xdp().unwrap(), before);
    }
}
