"""The wire's truth: every SIP datagram on an interface, with the kernel's time, seen by nobody's leave."""

import dataclasses
import socket
import struct
import threading
import time

from . import sip

ETH_P_ALL = 3
UDP = 17
SO_RCVBUFFORCE = 33


@dataclasses.dataclass
class Seen:
    """One datagram: when, from where, to where, what."""

    at: float
    source: tuple
    target: tuple
    data: bytes

    @property
    def message(self):
        return sip.Message.parse(self.data)


class Capture(threading.Thread):
    """Collects until it is closed. IPv4 without fragments is all that the scenarios need."""

    def __init__(self, interface):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.settimeout(0.1)
        self.packets = []
        self.ending = False
        self.start()

    def run(self):
        while not self.ending:
            try:
                data = self.socket.recv(65535)
            except TimeoutError:
                continue
            seen = parse_ipv4(data, time.monotonic())
            if seen is not None:
                self.packets.append(seen)

    def requests(self, method, target=None):
        """Requests of a method in order of time, to one address if given."""
        start = method.encode() + b" "
        return [one for one in self.packets if one.data.startswith(start) and target in (None, one.target)]

    def close(self):
        self.ending = True
        self.join(2)
        self.socket.close()


def parse_ipv4(data, at):
    """The datagram in an IPv4 packet, or None when it is something else."""
    if len(data) < 28 or data[0] >> 4 != 4 or data[9] != UDP:
        return None
    start = (data[0] & 15) * 4
    source_port, target_port, length, _ = struct.unpack_from("!4H", data, start)
    payload = data[start + 8 : start + length]
    if len(payload) < 16 or b"SIP/2.0" not in payload[:2048]:
        return None
    return Seen(at, (socket.inet_ntoa(data[12:16]), source_port), (socket.inet_ntoa(data[16:20]), target_port), payload)
