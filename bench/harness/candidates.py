"""What is measured: Tandem, the echo floor, Kamailio. Each is started on one core and stopped again."""

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
WEIGHTS = [70, 30]
# A shard takes and touches its memory before it serves.
START_SECONDS = 40

# Room for 20,000 calls a second on one shard: ended transactions are kept for 32 s.
TANDEM = """
[listen]
udp = ["{address}"]

[shards]
cores = [{core}]

[limits]
transactions_per_shard = {transactions}
calls_per_shard = 131072
store_mebibytes_per_shard = 512

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

    def __init__(self, core):
        self.core = core
        self.folder = Path(tempfile.mkdtemp(prefix="tandem-bench-"))
        self.process = None

    def command(self):
        raise NotImplementedError

    def __enter__(self):
        log = open(self.folder / "log", "w")
        command = ["taskset", "-c", str(self.core), *self.command()]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while not answers(ADDRESS):
            if self.process.poll() is not None or time.monotonic() > until:
                text = (self.folder / "log").read_text()[-2000:]
                self.__exit__()
                raise RuntimeError(f"{self.name} did not start: {' '.join(command)}\n{text}")
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
        while taken(ADDRESS) and time.monotonic() < until:
            time.sleep(0.05)

    def pids(self):
        return host.tree(self.process.pid)


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
                   f"Call-ID: ready-{time.monotonic_ns()}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
        try:
            probe.sendto(options.encode(), _pair(address))
            return bool(probe.recv(4096))
        except OSError:
            time.sleep(0.05)
            return False


class Tandem(Candidate):
    """The proxy of this repository."""

    name = "tandem"

    def __init__(self, core, binary, mode="stateful"):
        super().__init__(core)
        self.binary, self.mode = binary, mode

    def command(self):
        kind = {
            "stateful": "",
            "stateless": 'algorithm = "hash-call-id"\nstateless = true',
            "failover": 'algorithm = "priority"\nbreaker = "off"',
            "wholesale": 'algorithm = "weighted"\nbreaker = "off"\nattempts_max = 4\nfailover_codes = [503]',
        }[self.mode]
        failover = self.mode == "failover"
        gateways = GATEWAYS + [f"127.0.0.1:{5973 + n}" for n in range(2)] if self.mode == "wholesale" else GATEWAYS
        lines = []
        for place, address in enumerate(gateways):
            weight = "" if self.mode == "stateless" else f", weight = {WEIGHTS[place] if place < 2 else 50}"
            rank = f", priority = {place}" if failover else ""
            lines.append(f'  {{ uri = "sip:{address}"{weight}{rank} }},')
        file = self.folder / "tandem.toml"
        (self.folder / "state").mkdir()
        file.write_text(TANDEM.format(address=ADDRESS, core=self.core, folder=self.folder, set=kind,
                                      transactions=1 << 20, gateways="\n".join(lines)))
        return [str(self.binary), "run", "--config", str(file)]


class Echo(Candidate):
    """The floor: every datagram back, on the same driver."""

    name = "floor"

    def __init__(self, core, binary):
        super().__init__(core)
        self.binary = binary

    def command(self):
        return [str(self.binary), "--listen", ADDRESS, "--cores", str(self.core)]


class Kamailio(Candidate):
    """Kamailio by bench/kamailio/call.cfg; `memory` is its memory manager."""

    def __init__(self, core, binary, config, workers, mode="stateful", memory="tlsf"):
        super().__init__(core)
        self.binary, self.config, self.workers, self.mode, self.memory = binary, config, workers, mode, memory
        self.name = "kamailio" if memory == "tlsf" else "kamailio_default"

    def command(self):
        dispatcher = self.folder / "dispatcher.list"
        lines = []
        gateways = GATEWAYS + [f"127.0.0.1:{5973 + n}" for n in range(2)] if self.mode == "wholesale" else GATEWAYS
        weights = [40, 20, 20, 20] if self.mode == "wholesale" else WEIGHTS
        for place, address in enumerate(gateways):
            rank = len(gateways) - place if self.mode == "failover" else 0
            lines.append(f"1 sip:{address} 0 {rank} weight={weights[place]}\n")
        dispatcher.write_text("".join(lines))
        file = self.folder / "call.cfg"
        file.write_text(self.config.read_text().replace("DISPATCHER_LIST", str(dispatcher)))
        switches = {"stateful": [], "stateless": ["-A", "STATELESS"], "failover": ["-A", "FAILOVER", "-A", "PRIORITY"],
                    "wholesale": ["-A", "FAILOVER"]}[self.mode]
        memory = ["-x", self.memory, "-X", self.memory] if self.memory != "default" else []
        return [self.binary, "-DD", "-E", "-f", str(file), "-l", f"udp:{ADDRESS}", "-n", str(self.workers),
                "-m", "1024", "-M", "32", "-Y", str(self.folder), *memory, *switches]
