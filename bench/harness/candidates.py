"""What is measured: Tandem, the echo floor, Kamailio. Each is started on one core and stopped again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import host

ADDRESS = "127.0.0.1:5960"
GATEWAYS = ["127.0.0.1:5971", "127.0.0.1:5972"]
WHOLESALE_GATEWAYS = [*GATEWAYS, "127.0.0.1:5973", "127.0.0.1:5974"]
WEIGHTS = [70, 30]
WHOLESALE_WEIGHTS = [40, 20, 20, 20]
# A shard takes and touches its memory before it serves.
START_SECONDS = 40

# Ended transactions are kept for 32 s: room for 20,000 calls a second during a short run, and for as long
# as one likes.
LIMITS = {"transactions_per_shard": 1 << 18, "calls_per_shard": 1 << 16, "store_mebibytes_per_shard": 192}
LIMITS_OF_LONG_RUNS = {"transactions_per_shard": 1 << 20 | 1 << 18, "calls_per_shard": 1 << 17, "store_mebibytes_per_shard": 640}
TANDEM = """
[listen]
udp = ["{address}"]

[shards]
cores = {cores}

[limits]
{limits}

[control]
socket = "{folder}/tandem.sock"

[state]
dir = "{folder}/state"

[[set]]
name = "carriers"
{set}
gateways = [
{gateways}
]
"""


class Candidate:
    """A program under test. `name` is its column in the results."""

    name = "?"

    def __init__(self, core, offset=0):
        self.core = core
        # Added to every port, so that two can run beside one another.
        self.offset = offset
        self.address = moved(ADDRESS, offset)
        # What it may run on.
        self.cores = [core]
        self.folder = Path(tempfile.mkdtemp(prefix="tandem-bench-"))
        self.process = None
        # Seconds from its start until it answered.
        self.serving_after = None

    def command(self):
        raise NotImplementedError

    def __enter__(self):
        log = open(self.folder / "log", "w")
        command = ["taskset", "-c", ",".join(map(str, self.cores)), *self.command()]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        begun = time.monotonic()
        until = begun + START_SECONDS
        while not answers(self.address):
            if self.process.poll() is not None or time.monotonic() > until:
                text = (self.folder / "log").read_text()[-2000:]
                self.__exit__()
                raise RuntimeError(f"{self.name} did not start: {' '.join(command)}\n{text}")
        self.serving_after = time.monotonic() - begun
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                for pid in reversed(host.tree(self.process.pid)):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                self.process.wait()
        self.process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        until = time.monotonic() + 3
        while taken(self.address) and time.monotonic() < until:
            time.sleep(0.05)

    def pids(self):
        return host.tree(self.process.pid)


def moved(address, offset):
    """The address with its port moved."""
    ip, port = _pair(address)
    return f"{ip}:{port + offset}"


def _pair(address):
    ip, port = address.rsplit(":", 1)
    return ip, int(port)


def taken(address):
    """Whether somebody has the UDP address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(_pair(address))
        except OSError:
            return True
    return False


def answers(address):
    """Whether OPTIONS to it comes back, as a response or (from an echo) as it was."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        probe.bind(("127.0.0.1", 0))
        local = f"127.0.0.1:{probe.getsockname()[1]}"
        options = (f"OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-ready-{time.monotonic_ns()};rport\r\n"
                   f"Max-Forwards: 70\r\nFrom: <sip:ready@{local}>;tag=ready\r\nTo: <sip:{address}>\r\n"
                   f"Call-ID: ready-{time.monotonic_ns()}\r\nCSeq: 1 OPTIONS\r\n"
                   # Long enough for an echo that absorbs what is short.
                   f"Subject: {'-' * 500}\r\nContent-Length: 0\r\n\r\n")
        try:
            # WHY connected: as long as nobody is there the kernel says so at once, and the time of a start is told to 50 ms.
            probe.connect(_pair(address))
            probe.send(options.encode())
            return bool(probe.recv(4096))
        except OSError:
            time.sleep(0.05)
            return False


class Tandem(Candidate):
    """The proxy of this repository. `limits` change pools, `shards` names the cores of several shards."""

    name = "tandem"

    def __init__(self, core, binary, mode="stateful", limits=None, shards=None, offset=0, extra=""):
        super().__init__(core, offset)
        self.binary, self.mode, self.extra = binary, mode, extra
        self.limits, self.shards = {**LIMITS, **(limits or {})}, shards or [core]
        self.cores = self.shards

    def command(self):
        kind = {
            "stateful": "",
            "register": "",
            "stateless": 'algorithm = "hash-call-id"\nstateless = true',
            "failover": 'algorithm = "priority"\nbreaker = "off"',
            "wholesale": 'algorithm = "weighted"\nbreaker = "off"\nattempts_max = 4\nfailover_codes = [503]',
        }[self.mode]
        addresses, weights = _gateways(self.mode)
        lines = []
        for place, (address, weight) in enumerate(zip(addresses, weights)):
            share = "" if self.mode == "stateless" else f", weight = {weight}"
            rank = f", priority = {place}" if self.mode == "failover" else ""
            lines.append(f'  {{ uri = "sip:{moved(address, self.offset)}"{share}{rank} }},')
        file = self.folder / "tandem.toml"
        (self.folder / "state").mkdir(exist_ok=True)
        domain = f'[[domain]]\nname = "{self.address.split(":")[0]}"\n' if self.mode == "register" else ""
        before, behind = ("", domain + self.extra) if domain else (self.extra, "")
        file.write_text(before + TANDEM.format(address=self.address, cores=self.shards, folder=self.folder, set=kind,
                                      limits="\n".join(f"{key} = {value}" for key, value in self.limits.items()),
                                      gateways="\n".join(lines)) + behind)
        return [str(self.binary), "run", "--config", str(file)]

    def stats(self):
        """`tandem stats`: {(name, labels as text): value}, labels in the order of their names."""
        done = subprocess.run([str(self.binary), "stats", "--socket", str(self.folder / "tandem.sock"), "--format", "json"],
                              capture_output=True, text=True, check=True)
        return {(figure["name"], ",".join(f"{key}={figure['labels'][key]}" for key in sorted(figure["labels"]))):
                figure["value"] for figure in json.loads(done.stdout)["figures"]}

    def reload(self):
        """`tandem reload`."""
        done = subprocess.run([str(self.binary), "reload", "--socket", str(self.folder / "tandem.sock")], capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise RuntimeError(f"reload: {(done.stderr or done.stdout).strip()[-500:]}")

    def records(self):
        """Records of all calls, by `tandem cdr`."""
        done = subprocess.run([str(self.binary), "cdr", "--config", str(self.folder / "tandem.toml"), "--format", "json"],
                              capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def pool(self, name):
        """How many places of a pool are taken, or bytes of the store."""
        return self.stats()["tandem_pool_used", f"pool={name}"]


def _gateways(mode):
    """Addresses and weights of the gateways."""
    return (WHOLESALE_GATEWAYS, WHOLESALE_WEIGHTS) if mode == "wholesale" else (GATEWAYS, WEIGHTS)


class Echo(Candidate):
    """The floor: every datagram back, on the same driver."""

    name = "floor"

    def __init__(self, core, binary, absorb_below=0):
        super().__init__(core)
        self.binary, self.absorb_below = binary, absorb_below

    def command(self):
        return [str(self.binary), "--listen", self.address, "--cores", str(self.core), "--absorb-below",
                str(self.absorb_below)]


class Kamailio(Candidate):
    """Kamailio by bench/kamailio/call.cfg or, as a registrar, register.cfg; `memory` is its memory manager."""

    def __init__(self, core, binary, config, workers, mode="stateful", memory="tlsf", database=None):
        super().__init__(core)
        self.binary, self.config, self.workers, self.mode, self.memory = binary, config, workers, mode, memory
        # A PostgreSQL that keeps its registrations; its CPU counts as Kamailio's.
        self.database = database
        self.name = "kamailio" if memory == "tlsf" else "kamailio_default"

    def command(self):
        dispatcher = self.folder / "dispatcher.list"
        addresses, weights = _gateways(self.mode)
        lines = []
        for place, (address, weight) in enumerate(zip(addresses, weights)):
            rank = len(addresses) - place if self.mode == "failover" else 0
            lines.append(f"1 sip:{address} 0 {rank} weight={weight}\n")
        dispatcher.write_text("".join(lines))
        file = self.folder / "call.cfg"
        url = self.database.url if self.database else ""
        file.write_text(self.config.read_text().replace("DISPATCHER_LIST", str(dispatcher)).replace("DATABASE_URL", url))
        switches = {"stateful": [], "register": [], "stateless": ["-A", "STATELESS"], "failover": ["-A", "FAILOVER", "-A", "PRIORITY"],
                    "wholesale": ["-A", "FAILOVER"]}[self.mode] + (["-A", "DURABLE"] if self.database else [])
        memory = ["-x", self.memory, "-X", self.memory] if self.memory != "default" else []
        return [self.binary, "-DD", "-E", "-f", str(file), "-l", f"udp:{self.address}", "-n", str(self.workers),
                "-m", "1024", "-M", "32", "-Y", str(self.folder), *memory, *switches]

    def pids(self):
        return super().pids() + (self.database.pids() if self.database else [])
