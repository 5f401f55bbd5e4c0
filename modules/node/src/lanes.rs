//! Where the threads beside the shards run: off the shards' cores, or behind them.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Nice value of lanes that share cores with shards.
///
/// WHY 5: about a third of a shard's weight. A busy shard goes first, and a reload still ends.
const NICE: i32 = 5;

/// Keeps this thread, and all that it starts, off the cores `shards`. Where there are no other cores, they
/// run at lower priority. Neither can fail in a way that matters: then lanes run as they are.
pub(crate) fn keep_off(shards: &[usize]) {
    let this = Pid::from_raw(0);
    let Ok(mask) = sched_getaffinity(this) else { return };
    match others(&mask, shards) {
        Some(others) => drop(sched_setaffinity(this, &others)),
        None => drop(rustix::process::nice(NICE)),
    }
}

/// The cores of `mask` without `shards`; `None` if there is none.
fn others(mask: &CpuSet, shards: &[usize]) -> Option<CpuSet> {
    let mut others = CpuSet::new();
    let free = (0..CpuSet::count()).filter(|core| mask.is_set(*core) == Ok(true) && !shards.contains(core));
    let found = free.map(|core| others.set(core)).filter(Result::is_ok).count();
    (found > 0).then_some(others)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn lanes_take_the_cores_that_shards_leave() {
        let mut mask = CpuSet::new();
        [0, 1, 5].iter().for_each(|core| mask.set(*core).unwrap());
        let left = others(&mask, &[0, 1]).unwrap();
        let cores: Vec<_> = (0..CpuSet::count()).filter(|core| left.is_set(*core).unwrap()).collect();
        assert_eq!(cores, [5]);
        assert!(others(&mask, &[0, 1, 5]).is_none());
    }
}
