//! Linux capabilities of a thread: which it has, and giving them up.
//!
//! WHY threads: only the lane that follows the network needs the rights to attach programs and open
//! AF_XDP sockets again; the shards, which read what strangers send, do not.

use std::io;

/// What AF_XDP is set up with (capabilities(7)).
///
/// WHY CAP_PERFMON: without it the kernel's verifier refuses a program that follows a packet's headers by offsets
/// that vary.
pub const FOR_XDP: [(u32, &str); 4] =
    [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (CAP_PERFMON, "CAP_PERFMON"), (CAP_BPF, "CAP_BPF")];

const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Locks the memory of a socket that is opened again where RLIMIT_MEMLOCK is too low.
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_ADMIN: u32 = 21;

/// Which of [`FOR_XDP`] this thread lacks. CAP_SYS_ADMIN stands in for CAP_BPF and
/// CAP_PERFMON, as for the kernel.
///
/// # Errors
/// None in practice.
pub fn missing_for_xdp() -> io::Result<Vec<&'static str>> {
    let (_, sets) = read()?;
    let has = |number: u32| sets[number as usize / 32].effective & (1 << (number % 32)) != 0;
    let stands_in = |number: u32| matches!(number, CAP_BPF | CAP_PERFMON) && has(CAP_SYS_ADMIN);
    let lacking = FOR_XDP.iter().filter(|(number, _)| !(has(*number) || stands_in(*number)));
    Ok(lacking.map(|(_, name)| *name).collect())
}

/// Gives up [`FOR_XDP`] for the calling thread, for good.
///
/// # Errors
/// None in practice: giving up needs no right.
pub fn give_up_for_xdp() -> io::Result<()> {
    let (header, mut sets) = read()?;
    for (number, _) in FOR_XDP {
        sets[number as usize / 32].keep(!(1u32 << (number % 32)));
    }
    write(&header, &sets)
}

/// Gives up all but [`FOR_XDP`] and what goes with it for the calling thread, for good, and lays those down: they
/// are in force only within [`raised`].
///
/// # Errors
/// None in practice.
pub fn keep_for_xdp_alone() -> io::Result<()> {
    let (header, mut sets) = read()?;
    let permitted = |number: u32| sets[number as usize / 32].permitted & (1 << (number % 32)) != 0;
    let in_place_of_bpf = (!permitted(CAP_BPF) || !permitted(CAP_PERFMON)).then_some(CAP_SYS_ADMIN);
    let wanted = FOR_XDP.iter().map(|(number, _)| *number).chain([CAP_IPC_LOCK]).chain(in_place_of_bpf);
    let mut kept = [0u32; 2];
    for number in wanted {
        kept[number as usize / 32] |= 1 << (number % 32);
    }
    for (set, kept) in sets.iter_mut().zip(kept) {
        set.keep(kept);
        set.effective = 0;
        set.inheritable = 0;
    }
    write(&header, &sets)
}

/// Runs `action` with all that this thread may, and lays it down again.
pub fn raised<R>(action: impl FnOnce() -> R) -> R {
    // WHY failures do not matter: what lacks the rights says so itself.
    let _ = set_effective(|set| set.permitted);
    let result = action();
    let _ = set_effective(|_| 0);
    result
}

fn set_effective(effective: impl Fn(&Set) -> u32) -> io::Result<()> {
    let (header, mut sets) = read()?;
    for set in &mut sets {
        set.effective = effective(set);
    }
    write(&header, &sets)
}

fn write(header: &Header, sets: &[Set; 2]) -> io::Result<()> {
    // SAFETY: header and sets have the layout of version 3 and live across the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, std::ptr::from_ref(header), sets.as_ptr()) };
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

impl Set {
    fn keep(&mut self, kept: u32) {
        self.effective &= kept;
        self.permitted &= kept;
        self.inheritable &= kept;
    }
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

    #[test]
    fn what_is_laid_down_can_be_raised_and_the_rest_is_gone() {
        let before = missing_for_xdp().unwrap();
        let (inside, raised, left) = std::thread::spawn(|| {
            keep_for_xdp_alone().unwrap();
            let (inside, raised) = (missing_for_xdp().unwrap(), raised(|| missing_for_xdp().unwrap()));
            assert_eq!(missing_for_xdp().unwrap(), inside, "laid down again");
            (inside, raised, read().unwrap().1)
        })
        .join()
        .unwrap();
        assert_eq!(inside.len(), FOR_XDP.len());
        assert_eq!(raised, before, "as much as there was");
        let others = [
            left[0].permitted & !(1 << 12 | 1 << 13 | 1 << 14 | 1 << 21),
            left[1].permitted & !(1 << (38 - 32) | 1 << (39 - 32)),
        ];
        assert_eq!(others, [0, 0], "nothing else is left");
    }
}
