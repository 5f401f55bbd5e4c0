"""What the host says: cores, CPU time of process trees and of cores, versions."""

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cores():
    """(core of the candidate, core of the generator). The same core if there is but one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def now_us():
    """The host's monotonic clock, as the generator's series has it."""
    return time.monotonic_ns() // 1000


def _stat(pid):
    """Fields of /proc/PID/stat after the command, or None if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rsplit(")", 1)[1].split()


def tree(pid):
    """A process and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(entry)):
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        found.append(one)
        ahead.extend(parents.get(one, []))
    return found


@dataclass
class Sample:
    """CPU seconds at a moment."""

    at_us: int
    user: float
    system: float
    core: list
    ksoftirqd: float
    resident: int


def sample(pids, core):
    """CPU time of the processes, and of the core they run on."""
    user = system = resident = 0
    for pid in pids:
        if fields := _stat(pid):
            user += int(fields[11])
            system += int(fields[12])
            resident += int(fields[21])
    # WHY two sources: ticks tell user from system but are coarse; the scheduler counts nanoseconds.
    whole = sum(_scheduled(pid) for pid in pids) or (user + system) / TICKS
    share = user / (user + system) if user + system else 0.0
    return Sample(now_us(), whole * share, whole * (1 - share), core_times(core), ksoftirqd(core),
                  resident * PAGE_BYTES)


def _scheduled(pid):
    """CPU seconds of all threads of a process by the scheduler; 0 where it does not say."""
    nanoseconds = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    except (OSError, IndexError, ValueError):
        pass
    return nanoseconds / 1e9


def shard_times(pid):
    """CPU seconds of each shard's thread of a Tandem, by name."""
    times = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, text = (task / "comm").read_text().strip(), (task / "stat").read_text()
        except OSError:
            continue
        if name.startswith("shard-"):
            fields = text.rsplit(")", 1)[1].split()
            times[name] = (int(fields[11]) + int(fields[12])) / TICKS
    return times


def core_times(core):
    """user nice system idle iowait irq softirq steal of one core, in seconds."""
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            return [int(field) / TICKS for field in line.split()[1:9]]
    return [0.0] * 8


def ksoftirqd(core):
    """CPU seconds of the core's softirq thread."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            name = Path(f"/proc/{entry}/comm").read_text().strip()
        except OSError:
            continue
        if name == f"ksoftirqd/{core}" and (fields := _stat(entry)):
            return (int(fields[11]) + int(fields[12])) / TICKS
    return 0.0


def _output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout or done.stderr).strip().splitlines()[0] if done.stdout or done.stderr else None


def machine():
    """What the results file says of the machine."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), None)
    mhz = next((float(line.split(":", 1)[1]) for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("cpu MHz")), None)
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    return {"cpu": model, "mhz": mhz, "cores": len(os.sched_getaffinity(0)), "memory_mebibytes": memory,
            "kernel": platform.release()}


def versions(root, kamailio):
    """Of everything that was measured."""
    return {
        "commit": _output("git", "-C", str(root), "rev-parse", "HEAD"),
        "changed": bool(_output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")),
        "rustc": _output("rustc", "--version"),
        "kamailio": (_output(kamailio, "-v") or "").removeprefix("version: ").split(" (")[0] if kamailio else None,
    }
