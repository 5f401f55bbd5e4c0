"""A SIP peer at one UDP address, driven step by step by a scenario: every message is seen, none is hidden."""

import collections
import dataclasses
import select
import socket
import threading
import time

from . import sip
from .registry import Failed, expect


@dataclasses.dataclass
class Packet:
    """One datagram as it came: its bytes, its meaning, the address it came from, and when (monotonic seconds)."""

    data: bytes
    message: sip.Message
    peer: tuple
    at: float


class Endpoint:
    """A socket of its own. OPTIONS probes are answered with 200 while the scenario waits, unless `probes` is False."""

    def __init__(self, address, probes=True):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(address)
        self.address = self.socket.getsockname()[:2]
        self.probes = probes
        self.probed = 0
        self.waiting = collections.deque()

    def send(self, message, to):
        """Sends a message, or bytes as they are."""
        data = message if isinstance(message, bytes) else message.encode()
        self.socket.sendto(data, tuple(to[:2]))
        return message

    def receive(self, within):
        """The next packet, or None after `within` seconds."""
        deadline = time.monotonic() + within
        while True:
            ready, _, _ = select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            data, peer = self.socket.recvfrom(65535)
            packet = Packet(data, sip.Message.parse(data), peer[:2], time.monotonic())
            if self.probes and packet.message.is_request and packet.message.method == "OPTIONS":
                self.probed += 1
                self.send(sip.response(packet.message, 200, to_tag="probe"), packet.peer)
                continue
            return packet

    def expect(self, method, status=None, within=3.0, call_id=None, skip=(), what=""):
        """The next packet must be this request (status None) or this response to `method`.

        Packets of other calls than `call_id` are kept for later; responses whose status is in `skip`
        are passed over, and so is the 100 that any proxy may send.
        """
        deadline = time.monotonic() + within
        held = [packet for packet in self.waiting if call_id in (None, packet.message.call_id)]
        wanted = f"{method}" if status is None else f"{status} to {method}"
        while True:
            if held:
                packet = held.pop(0)
                self.waiting.remove(packet)
            else:
                packet = self.receive(max(0.0, deadline - time.monotonic()))
                if packet is None:
                    raise Failed(f"{sip.hostport(self.address)} waited {within} s in vain for {wanted} {what}")
                if call_id not in (None, packet.message.call_id):
                    self.waiting.append(packet)
                    continue
            message = packet.message
            if message.status is not None and (message.status == 100 != status or message.status in skip):
                continue
            if status is None and message.is_request and message.method in skip:
                continue
            found = message.method == method and message.status == status
            expect(found, f"{sip.hostport(self.address)} got `{message}` ({message.get('cseq')}) instead of {wanted} {what}")
            return packet

    def expect_nothing(self, within, skip=(), what=""):
        """Nothing but probes (and what `skip` names) may come for `within` seconds."""
        deadline = time.monotonic() + within
        while (packet := self.receive(max(0.0, deadline - time.monotonic()))) is not None:
            message = packet.message
            if (message.method if message.is_request else message.status) in skip:
                continue
            raise Failed(f"{sip.hostport(self.address)} got `{message}` where nothing was to come {what}")

    def reply(self, packet, status, **more):
        """Answers a request as the UAS behind this address."""
        more.setdefault("to_tag", "t" + sip.hostport(self.address).replace(":", "").replace(".", "").strip("[]"))
        more.setdefault("contact", self.address if status < 300 and status > 100 else None)
        answer = sip.response(packet.message, status, **more)
        self.send(answer, packet.peer)
        return answer

    def close(self):
        self.socket.close()


class Answering(threading.Thread):
    """An endpoint that lives by itself in a thread: `behave(self, packet)` is called for each packet.

    Everything that came is kept in `packets`, so that a scenario can count afterwards.
    """

    def __init__(self, address, behave, probes=True):
        super().__init__(daemon=True)
        self.endpoint = Endpoint(address, probes)
        self.address = self.endpoint.address
        self.behave = behave
        self.packets = []
        self.trouble = None
        self.ending = False

    def run(self):
        try:
            while not self.ending:
                packet = self.endpoint.receive(0.1)
                if packet is not None:
                    self.packets.append(packet)
                    self.behave(self, packet)
        except Exception as trouble:  # noqa: BLE001 - handed to the scenario, which fails by it
            self.trouble = trouble

    def requests(self, method):
        return [packet for packet in self.packets if packet.message.is_request and packet.message.method == method]

    def calls(self):
        """Different INVITEs that came, retransmissions not counted."""
        return {packet.message.branch for packet in self.requests("INVITE")}

    def close(self):
        self.ending = True
        self.join(2)
        self.endpoint.close()
        if self.trouble is not None:
            raise Failed(f"the peer at {sip.hostport(self.address)} broke: {self.trouble!r}")


def answers_calls(status=200, delay=0.0):
    """A behaviour: INVITE gets 180 and `status` after `delay`, BYE and CANCEL get 200."""

    def behave(peer, packet):
        message = packet.message
        if not message.is_request or message.method == "ACK":
            return
        if message.method != "INVITE":
            peer.endpoint.reply(packet, 200)
            return
        if delay:
            time.sleep(delay)
        if status < 300:
            peer.endpoint.reply(packet, 180)
            peer.endpoint.reply(packet, status, body=sip.SDP)
        else:
            peer.endpoint.reply(packet, status)

    return behave


def rings_until_cancelled():
    """A behaviour: INVITE gets 180; CANCEL gets 200 and its INVITE 487."""
    ringing = {}

    def behave(peer, packet):
        message = packet.message
        if not message.is_request or message.method == "ACK":
            return
        if message.method == "INVITE":
            ringing[message.branch] = packet
            peer.endpoint.reply(packet, 180)
            return
        peer.endpoint.reply(packet, 200)
        if message.method == "CANCEL" and message.branch in ringing:
            peer.endpoint.reply(ringing.pop(message.branch), 487)

    return behave
