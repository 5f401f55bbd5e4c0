"""A second host on this one: a network namespace behind a veth pair of MTU 1,500, whose firewall can lose packets."""

import contextlib
import ctypes
import os
import pathlib
import random

from .processes import LIBC, run
from .registry import Skipped

CLONE_NEWNET = 0x40000000


class Namespace:
    """Far end of a veth pair. Ours is `near`, the gateways' addresses are `far(1)`, `far(2)`, ..."""

    def __init__(self, far_addresses=8):
        mark = f"{os.getpid()}-{random.randint(0, 999)}"
        self.name = f"tandem-live-{mark}"
        # Two hex digits of the addresses differ from run to run, so that several may live at once.
        self.net = (random.randint(0, 255), random.randint(0, 255))
        self.veth = f"tl{mark.replace('-', '')}"[:13]
        code, _, trouble = run(["ip", "netns", "add", self.name])
        if code != 0:
            raise Skipped(f"no network namespaces here: {trouble.strip()}")
        self.ip("link", "add", self.veth + "n", "mtu", "1500", "type", "veth", "peer", "name", "far", "mtu", "1500", "netns", self.name)
        self.ip("addr", "add", f"{self.near()}/24", "dev", self.veth + "n")
        self.ip("addr", "add", f"{self.near6()}/64", "dev", self.veth + "n", "nodad")
        self.ip("link", "set", self.veth + "n", "up")
        self.inside("ip", "link", "set", "lo", "up")
        for number in range(1, far_addresses + 1):
            self.inside("ip", "addr", "add", f"{self.far(number)}/24", "dev", "far")
            self.inside("ip", "addr", "add", f"{self.far6(number)}/64", "dev", "far", "nodad")
        self.inside("ip", "link", "set", "far", "up")
        self.inside("nft", "add table inet fault; add chain inet fault in { type filter hook input priority 0; policy accept; }")

    def ip(self, *words):
        run(["ip", *words], check=True)

    def inside(self, *words):
        """Runs a command in the namespace."""
        return run([*self.prefix(), *words], check=True)

    def prefix(self):
        # WHY not `ip netns exec`: it mounts /sys anew, which many containers forbid.
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def near(self):
        return f"198.18.{self.net[0]}.254" if self.net[1] < 128 else f"198.19.{self.net[0]}.254"

    def far(self, number):
        return self.near().rsplit(".", 1)[0] + f".{number}"

    def near6(self):
        return f"fd7a:{self.net[0]:x}:{self.net[1]:x}::fe"

    def far6(self, number):
        return f"fd7a:{self.net[0]:x}:{self.net[1]:x}::{number:x}"

    def tap(self):
        """The interface on which all that passes can be seen."""
        return self.veth + "n"

    def silence(self, address):
        """From now on nothing that is sent to `address` arrives, and nobody is told."""
        family = "ip6" if ":" in address else "ip"
        self.inside("nft", "add", "rule", "inet", "fault", "in", family, "daddr", address, "drop")

    def hear(self):
        """All arrives again."""
        self.inside("nft", "flush", "chain", "inet", "fault", "in")

    def entered(self):
        """Sockets that this thread makes inside belong to the namespace."""
        return entered(self.name)

    def close(self):
        run(["ip", "netns", "del", self.name])
        run(["ip", "link", "del", self.veth + "n"])


@contextlib.contextmanager
def entered(name):
    """Sockets that this thread makes inside belong to the namespace of this name."""
    with open("/proc/thread-self/ns/net", encoding="ascii") as home, open(f"/run/netns/{name}", encoding="ascii") as there:
        enter(there.fileno())
        try:
            yield
        finally:
            enter(home.fileno())


def enter(descriptor):
    if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def sweep(pid):
    """Deletes the namespaces that a scenario of this process id left behind; a veth pair goes with them."""
    folder = pathlib.Path("/run/netns")
    for left in folder.glob(f"tandem-live-{pid}-*") if folder.is_dir() else ():
        run(["ip", "netns", "del", left.name])
