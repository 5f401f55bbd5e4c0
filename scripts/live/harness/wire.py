"""Frames as they are on the wire, from the Ethernet header on, with their sums checked octet by octet."""

import dataclasses
import socket
import struct
import threading

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
IPV4, IPV6, VLAN, QINQ, UDP = 0x0800, 0x86DD, 0x8100, 0x88A8, 17


@dataclasses.dataclass(frozen=True)
class OnTheWire:
    """A UDP datagram that was seen whole. `udp` is "good", "left" (to the card, which is virtual) or "wrong"."""

    to: str
    sender: str
    tags: tuple
    source: tuple
    target: tuple
    hops: int
    header_good: bool
    udp: str
    payload: bytes


class Wire(threading.Thread):
    """Collects what leaves or reaches an interface until it is closed."""

    def __init__(self, interface):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.settimeout(0.1)
        self.frames = []
        self.ending = False
        self.start()

    def run(self):
        while not self.ending:
            try:
                self.frames.append(self.socket.recv(65535))
            except (TimeoutError, OSError):
                continue

    def sent_from(self, address):
        """Datagrams from this address and port, in order."""
        read = (parse(frame) for frame in list(self.frames))
        return [one for one in read if one is not None and one.source == address]

    def close(self):
        self.ending = True
        self.join(2)
        self.socket.close()


def parse(frame):
    """The datagram in an Ethernet frame, or None when it is something else or a fragment."""
    at, tags = 14, []
    (protocol,) = struct.unpack_from("!H", frame, 12)
    while protocol in (VLAN, QINQ) and len(frame) >= at + 4:
        control, inner = struct.unpack_from("!HH", frame, at)
        tags.append((protocol, control & 0xFFF))
        protocol, at = inner, at + 4
    ip = frame[at:]
    if protocol == IPV4 and len(ip) >= 28 and ip[9] == UDP and struct.unpack_from("!H", ip, 6)[0] & 0x3FFF == 0:
        start, total = (ip[0] & 15) * 4, struct.unpack_from("!H", ip, 2)[0]
        addresses, family, hops, header_good = ip[12:20], socket.AF_INET, ip[8], ones_sum(ip[:start]) == 0xFFFF
    elif protocol == IPV6 and len(ip) >= 48 and ip[6] == UDP:
        start, total = 40, 40 + struct.unpack_from("!H", ip, 4)[0]
        addresses, family, hops, header_good = ip[8:40], socket.AF_INET6, ip[7], True
    else:
        return None
    datagram = ip[start:total]
    pseudo = addresses + struct.pack("!HH", UDP, len(datagram))
    given = struct.unpack_from("!H", datagram, 6)[0]
    half = len(addresses) // 2
    names = [socket.inet_ntop(family, addresses[:half]), socket.inet_ntop(family, addresses[half:])]
    ports = struct.unpack_from("!HH", datagram)
    if ones_sum(pseudo + datagram) == 0xFFFF:
        udp = "good"
    else:
        udp = "left" if given == ones_sum(pseudo) else "wrong"
    return OnTheWire(
        frame[0:6].hex(":"), frame[6:12].hex(":"), tuple(tags), (names[0], ports[0]), (names[1], ports[1]),
        hops, header_good, udp, datagram[8:],
    )


def ones_sum(data):
    """RFC 1071: the ones' complement sum of 16-bit words."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
