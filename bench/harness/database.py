"""PostgreSQL for Kamailio's registrations: a server of its own, in a folder that goes away with it.

It is durable as Debian ships it (fsync, synchronous_commit); its memory is set by somebody who wants it to win.
"""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import host

PORT = 5961
TABLES = Path("/usr/share/kamailio/postgres")
START_SECONDS = 20
# No checkpoint within a run; room for all of the table.
OPTIONS = ["-clisten_addresses=127.0.0.1", f"-cport={PORT}", "-cshared_buffers=256MB", "-cmax_wal_size=4GB",
           "-ccheckpoint_timeout=30min", "-cautovacuum=off", "-ccommit_delay=0", "-cjit=off"]


class Postgres:
    """Runs on one core, with Kamailio's table `location`. Raises if it is not installed."""

    def __init__(self, core):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found or not TABLES.exists():
            raise RuntimeError("needs PostgreSQL and kamailio-postgres-modules")
        self.programs, self.core = Path(found[-1]), core
        self.url = f"postgres://kamailio@127.0.0.1:{PORT}/kamailio"
        self.folder = Path(tempfile.mkdtemp(prefix="tandem-bench-"))
        self.process = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        # PostgreSQL refuses to be root.
        wrap = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            wrap = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
        subprocess.run([*wrap, self.programs / "initdb", "-D", self.folder / "db", "-A", "trust", "-U", "kamailio",
                        "--no-sync"], **quiet)
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.core), *wrap, self.programs / "postgres", "-D", self.folder / "db",
             f"-cunix_socket_directories={self.folder}", *OPTIONS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while subprocess.run([self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(PORT)]).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.1)
        client = ["psql", "-h", "127.0.0.1", "-p", str(PORT), "-U", "kamailio", "-q", "-v", "ON_ERROR_STOP=1"]
        subprocess.run([*client, "-d", "postgres", "-c", "CREATE DATABASE kamailio"], **quiet)
        subprocess.run([*client, "-d", "kamailio", "-f", TABLES / "standard-create.sql", "-f", TABLES / "usrloc-create.sql"],
                       **quiet)

    def __exit__(self, *_):
        if self.process:
            # At once; its folder goes away.
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self):
        """All its processes."""
        return host.tree(self.process.pid)
