"""Tandem as its user starts it: a file, a command, a control socket."""

import json
import os
import pathlib
import signal
import socket
import time

from . import config
from .processes import Process, run, wait_until
from .registry import Failed, expect

ROOT = pathlib.Path(__file__).resolve().parents[3]


def binary():
    """The program under test: `TANDEM_BIN`, or the release build of this repository."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return pathlib.Path(os.environ.get("TANDEM_BIN", target / "release" / "tandem")).resolve()


class Tandem(Process):
    """A running `tandem run`. `address` is its first listener."""

    def __init__(self, folder, tree, listen, name="tandem", prefix=()):
        self.folder, self.tree, self.listen = folder, tree, listen
        self.address = listen[0]
        self.file = folder / f"{name}.toml"
        self.socket = pathlib.Path(tree.socket if isinstance(tree, config.Written) else tree["control"]["socket"])
        self.write(tree)
        self.program = binary()
        super().__init__(folder, name, [*prefix, self.program, "run", "--config", self.file])

    def write(self, tree):
        """Writes the file that a reload will read."""
        if isinstance(tree, config.Written):
            tree = tree.text
        self.file.write_text(tree if isinstance(tree, str) else config.text_of(tree))

    def wait_ready(self, seconds=5.0):
        """Waits until the control socket answers."""

        def answers():
            expect(self.running(), f"tandem ended with {self.child.poll()} at start: {self.output()[-2000:]}")
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(self.socket))
                except OSError:
                    return False
                return True

        wait_until(answers, seconds, lambda: f"tandem up; it says: {self.output()[-2000:]}")
        self.up_after = time.monotonic() - self.started

    def control(self, *words, seconds=5):
        """Runs a control command; returns (exit code, stdout, stderr)."""
        return run([self.program, *words, "--socket", self.socket], seconds)

    def ask(self, *words):
        """A control command's answer with `--format json`."""
        code, out, err = self.control(*words, "--format", "json")
        expect(code == 0, f"`tandem {' '.join(map(str, words))}` ended with {code}: {out}{err}")
        return json.loads(out)

    def shard_busy(self):
        """Seconds that each shard has worked, from `tandem stats`."""
        figures = self.ask("stats")["figures"]
        return [one["value"] for one in figures if one["name"] == "tandem_shard_busy_seconds_total"]

    def figure(self, name, **labels):
        """The sum of a metric of `tandem stats` over all that has these labels."""
        figures = self.ask("stats")["figures"]
        fits = lambda one: one["name"] == name and all(one["labels"].get(key) == value for key, value in labels.items())
        return sum(one["value"] for one in figures if fits(one))

    def connection(self):
        """The control socket without the commands in between."""
        return Connection(self.socket)

    def reload(self, tree=None, *words):
        """Writes the file, if one is given, and reloads; returns (exit code, stdout, stderr)."""
        if tree is not None:
            self.write(tree)
        return self.control("reload", *words)

    def terminate(self, seconds=35):
        """SIGTERM; returns (exit code, seconds it took)."""
        asked = time.monotonic()
        self.signal(signal.SIGTERM)
        return self.wait(seconds), time.monotonic() - asked

    def threads(self, prefix):
        """Thread ids whose name starts with `prefix`."""
        found = []
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                if (task / "comm").read_text().startswith(prefix):
                    found.append(int(task.name))
            # It has ended meanwhile: its folder is gone, or it has none of this any more (ESRCH).
            except (FileNotFoundError, ProcessLookupError):
                continue
        return sorted(found)

    def must_live(self):
        """Fails when the process is gone."""
        if not self.running():
            raise Failed(f"tandem ended with {self.child.poll()}: {self.output()[-2000:]}")


class Connection:
    """One connection to the control socket: JSON-RPC 2.0, a line each way."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.reader = self.socket.makefile("rb")

    def line(self, data):
        """Sends a line and returns the reply to it."""
        self.socket.sendall(data)
        return json.loads(self.reader.readline())

    def call(self, method, **parameters):
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        return self.line(json.dumps(asked).encode() + b"\n")
