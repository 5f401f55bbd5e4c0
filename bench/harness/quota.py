"""A CPU quota for a candidate: makes its capacity small, so that one generator can overload it.

The period is 10 ms: with the usual 100 ms a shard stands still for so long that callers repeat.
"""

import os
from pathlib import Path

PERIOD_US = 10_000
# Version 1 mounts the controller alone, version 2 everything in one tree.
V1, V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


class Quota:
    """A control group with a share of one core; put processes in with `take`."""

    def __init__(self, share):
        self.share = share
        version_1 = (V1 / "cpu.cfs_quota_us").exists() or (V1 / "tasks").exists()
        self.folder = (V1 if version_1 else V2) / f"tandem-bench-{os.getpid()}"
        self.version_1 = version_1

    def __enter__(self):
        quota = int(PERIOD_US * self.share)
        try:
            if not self.version_1 and "cpu" not in (V2 / "cgroup.subtree_control").read_text().split():
                (V2 / "cgroup.subtree_control").write_text("+cpu")
            self.folder.mkdir(exist_ok=True)
            if self.version_1:
                (self.folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (self.folder / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (self.folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        except OSError as error:
            raise RuntimeError(f"no CPU quota can be set here: {error}") from error
        return self

    def take(self, pids):
        """Moves processes, with all their threads, under the quota."""
        for pid in pids:
            (self.folder / "cgroup.procs").write_text(str(pid))

    def __exit__(self, *_):
        # Whoever is still inside goes back to the root.
        try:
            for pid in (self.folder / "cgroup.procs").read_text().split():
                (self.folder.parent / "cgroup.procs").write_text(pid)
            self.folder.rmdir()
        except OSError:
            pass
