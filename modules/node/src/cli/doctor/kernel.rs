//! The kernel: which driver will be used, and whether the clock is right and cheap to read.

use super::demand::Demand;
use super::finding::Finding;
use super::host::Host;
use tuning::DriverKind;

pub(super) fn check(host: &Host, demand: &Demand) -> Vec<Finding> {
    let mut found = vec![driver(host, demand)];
    found.extend(clock(host));
    found.extend(clock_source(host));
    found
}

fn driver(host: &Host, demand: &Demand) -> Finding {
    let release = host.files.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = format!("kernel {}", release.trim());
    let why_not = match (&host.asked.io_uring, demand.driver) {
        (_, DriverKind::Mmsg) => {
            let figure = format!("{kernel}; the configuration asks for the driver mmsg");
            return Finding::note("driver", figure).remedy("`kind = \"auto\"` in [driver] takes the best that works");
        }
        (Ok(()), DriverKind::Xdp) => {
            let figure =
                format!("{kernel}; AF_XDP on {}, the driver io_uring for the rest", demand.interfaces.join(", "));
            return Finding::fine("driver", figure);
        }
        (Ok(()), _) => return Finding::fine("driver", format!("{kernel}; the driver io_uring will be used")),
        (Err(why), _) => why,
    };
    let figure = format!("{kernel}; the driver mmsg will be used: {why_not}");
    let why = "recvmmsg and sendmmsg need several system calls for each batch where io_uring needs one";
    let finding = if demand.driver == DriverKind::IoUring {
        Finding::loss("driver", figure).why("the configuration asks for io_uring alone: Tandem will not start")
    } else {
        Finding::slow("driver", figure).why(why)
    };
    if host.files.number::<u32>("/proc/sys/kernel/io_uring_disabled").is_some_and(|word| word > 0) {
        return finding.remedy("allow it").sysctl("kernel.io_uring_disabled", 0);
    }
    if host.files.field("/proc/self/status", "Seccomp").as_deref() == Some("2") {
        return finding.remedy(
            "a seccomp filter is in force: allow io_uring_setup, io_uring_enter and io_uring_register in the \
             container's profile (docker: `--security-opt seccomp=FILE`)",
        );
    }
    finding.remedy("run a kernel of 6.1 or newer")
}

fn clock(host: &Host) -> Option<Finding> {
    let state = host.asked.clock?;
    if state.synchronised {
        return Some(Finding::fine("clock", format!("the clock is kept, within {} us", state.error_micros)));
    }
    let finding = Finding::slow("clock", "nothing keeps the clock right")
        .why("times in logs do not match those of your carriers, and what is signed with a time is refused elsewhere")
        .remedy("run chrony or systemd-timesyncd; in a container the host's clock counts, and this is for its keeper")
        .command("systemctl enable --now chrony || systemctl enable --now chronyd || systemctl enable --now systemd-timesyncd");
    Some(finding)
}

/// Clocks that are read without entering the kernel.
const CHEAP_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

fn clock_source(host: &Host) -> Option<Finding> {
    let folder = "/sys/devices/system/clocksource/clocksource0";
    let now = host.files.text(&format!("{folder}/current_clocksource"))?;
    let now = now.trim();
    if CHEAP_CLOCKS.contains(&now) {
        return Some(Finding::fine("clock-source", format!("the time is read from `{now}`, without a system call")));
    }
    let there = host.files.text(&format!("{folder}/available_clocksource")).unwrap_or_default();
    let better = there.split_whitespace().find(|name| CHEAP_CLOCKS.contains(name));
    let finding = Finding::slow("clock-source", format!("the time is read from `{now}`"))
        .why("each look at the clock is a system call, and a slow device's register; every turn of a shard has one");
    Some(match better {
        Some(better) => finding
            .remedy(format!("take `{better}`; for good: `clocksource={better}` on the kernel's command line"))
            .command(format!("echo {better} > {folder}/current_clocksource")),
        None => finding.remedy("the kernel found its better clocks unstable: `dmesg` says why"),
    })
}
