"""Tandem across a link: two network namespaces and a veth pair, for scenarios whose peers are elsewhere on loopback.

The scenario's process, and all peers that it starts, move into a namespace that has every address of the scenario
but Tandem's own. Tandem is started in the other one, on AF_XDP. Control sockets are files: they reach across.
"""

import contextlib
import ctypes
import os
import pathlib
import socket

from .namespace import CLONE_NEWNET
from .processes import LIBC, run, wait_until
from .registry import Skipped, expect

# Addresses of Tandem's side: a few, for scenarios with several listeners.
OURS = range(1, 4)
# All other addresses of the network, as prefixes.
THEIRS = ("4/30", "8/29", "16/28", "32/27", "64/26", "128/25")
INTERFACE = "sip0"
PEERS = "peers"
AF_XDP = 44


class Across:
    """Both namespaces, of which this process is now in the peers'."""

    network = "198.18.7"

    def __init__(self):
        self.name = f"tandem-live-{os.getpid()}-near"
        try:
            socket.socket(AF_XDP, socket.SOCK_RAW).close()
        except OSError as error:
            raise Skipped(f"no AF_XDP here: {error}") from None
        self.must("ip", "netns", "add", self.name)
        if LIBC.unshare(CLONE_NEWNET) != 0:
            raise Skipped(f"no network namespaces here: {os.strerror(ctypes.get_errno())}")
        self.must("ip", "link", "add", PEERS, "type", "veth", "peer", "name", INTERFACE, "netns", self.name)
        for words in (["-n", self.name, "link", "set", "lo", "up"], ["-n", self.name, "link", "set", INTERFACE, "up"],
                      ["link", "set", "lo", "up"], ["link", "set", PEERS, "up"],
                      ["addr", "add", f"{self.network}.254/24", "dev", PEERS],
                      # WHY local routes: a hundred addresses at once, for which the kernel answers ARP as well.
                      *(["route", "add", "local", f"{self.network}.{prefix}", "dev", "lo"] for prefix in THEIRS),
                      *(["-n", self.name, "addr", "add", f"{self.network}.{number}/24", "dev", INTERFACE] for number in OURS)):
            self.must("ip", *words)
        # WHY: until the kernel has noticed that the link is up, it drops what is sent.
        wait_until(lambda: self.is_up(PEERS) and self.is_up(INTERFACE, "-n", self.name), 5, "the link is up")

    def is_up(self, interface, *words):
        return " state UP " in run(["ip", *words, "link", "show", "dev", interface])[1]

    def must(self, *words):
        code, _, trouble = run(words)
        if code != 0:
            raise Skipped(f"no link between namespaces here: {trouble.strip()}")

    def tandem_prefix(self):
        """What starts a program on Tandem's side."""
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def check(self, tandem):
        """What came, came by AF_XDP: the kernel has the fragments alone."""
        if not tandem.running() or not pathlib.Path(tandem.socket).exists():
            return
        came, by_xdp = tandem.figure("tandem_datagrams_total", direction="in"), tandem.figure("tandem_events_total", event="xdp_frames_in")
        expect(by_xdp >= 0.3 * came, f"of {came} datagrams {by_xdp} came by AF_XDP")

    # What a `Namespace` offers to scenarios that have a host on the far side of a link: here that is all of us.

    def near(self):
        return f"{self.network}.{OURS[0]}"

    def far(self, number):
        return f"{self.network}.{10 + number}"

    def prefix(self):
        return []

    def entered(self):
        return contextlib.nullcontext()

    def tap(self):
        return PEERS

    def silence(self, address):
        run(["nft", "add table inet fault; add chain inet fault in { type filter hook input priority 0; policy accept; }"], check=True)
        run(["nft", "add", "rule", "inet", "fault", "in", "ip", "daddr", address, "drop"], check=True)

    def hear(self):
        run(["nft", "flush", "chain", "inet", "fault", "in"], check=True)

    def close(self):
        run(["ip", "netns", "del", self.name])
