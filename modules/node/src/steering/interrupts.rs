//! Whether the network card's queues interrupt one core each, so that the core which received a datagram
//! may also carry it (`steering = "auto"`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// True if every network card that is up has its queues' interrupts on single cores, and together they
/// reach exactly `shards`. Otherwise some shards would get nothing, or traffic would go to cores without one.
pub(super) fn are_one_a_core(shards: &[usize]) -> bool {
    reach(Path::new("/sys/class/net"), Path::new("/proc/irq")).is_some_and(|reached| {
        let shards: BTreeSet<usize> = shards.iter().copied().collect();
        reached == shards
    })
}

/// The cores that queues interrupt; `None`: there is no card with queues, or one interrupt may go to several cores.
fn reach(cards: &Path, interrupts: &Path) -> Option<BTreeSet<usize>> {
    let mut reached = BTreeSet::new();
    for card in fs::read_dir(cards).ok()?.flatten() {
        let is_up = fs::read_to_string(card.path().join("operstate")).is_ok_and(|state| state.trim() == "up");
        // A virtio card keeps its interrupts one device further up.
        let folders = ["device/msi_irqs", "device/../msi_irqs"].map(|folder| card.path().join(folder));
        let Some(queues) = folders.iter().find_map(|folder| fs::read_dir(folder).ok()) else { continue };
        if !is_up {
            continue;
        }
        for queue in queues.flatten() {
            let folder = interrupts.join(queue.file_name());
            // WHY skipped: an interrupt that nobody has asked for (a card's spare) has no such folder.
            let Ok(list) = fs::read_to_string(folder.join("effective_affinity_list")) else { continue };
            reached.insert(list.trim().parse().ok()?);
        }
    }
    (!reached.is_empty()).then_some(reached)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    /// A host with one card whose interrupts, from 40 on, go to these cores.
    fn host(state: &str, affinities: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let card = folder.path().join("net/eth0");
        fs::create_dir_all(card.join("device/msi_irqs")).unwrap();
        fs::create_dir_all(folder.path().join("net/lo")).unwrap();
        fs::write(card.join("operstate"), state).unwrap();
        for (number, affinity) in (40..).zip(affinities) {
            fs::write(card.join(format!("device/msi_irqs/{number}")), "msix\n").unwrap();
            let interrupt = folder.path().join(format!("irq/{number}"));
            fs::create_dir_all(&interrupt).unwrap();
            fs::write(interrupt.join("effective_affinity_list"), format!("{affinity}\n")).unwrap();
        }
        folder
    }

    #[test]
    fn a_virtio_card_is_found() {
        let host = host("up", &["2", "3"]);
        let card = host.path().join("net/eth0");
        let bus = host.path().join("bus");
        fs::create_dir_all(bus.join("virtio0")).unwrap();
        fs::rename(card.join("device/msi_irqs"), bus.join("msi_irqs")).unwrap();
        fs::remove_dir(card.join("device")).unwrap();
        std::os::unix::fs::symlink(bus.join("virtio0"), card.join("device")).unwrap();
        assert_eq!(cores(&host), Some(vec![2, 3]));
    }

    fn cores(host: &tempfile::TempDir) -> Option<Vec<usize>> {
        let reached = reach(&host.path().join("net"), &host.path().join("irq"));
        reached.map(|cores| cores.into_iter().collect())
    }

    #[test]
    fn single_cores_count_and_spread_ones_do_not() {
        assert_eq!(cores(&host("up", &["0", "1", "1"])), Some(vec![0, 1]));
        assert_eq!(cores(&host("up", &["0", "1-3"])), None);
        assert_eq!(cores(&host("down", &["0", "1"])), None);
        assert_eq!(cores(&host("up", &[])), None);
    }
}
