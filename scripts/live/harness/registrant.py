"""Phones that register: one message at a time, or many under load, remembering what was acknowledged."""

import select
import socket
import threading
import time

from . import sip
from .registry import expect

DOMAIN = "example.com"


def register_text(user, address, call_id, cseq, contact=None, expires=600, more=()):
    """A REGISTER of `user` from `address`; `contact`: the value of Contact, None: none."""
    lines = [
        f"REGISTER sip:{DOMAIN} SIP/2.0",
        f"Via: SIP/2.0/UDP {sip.hostport(address)};branch=z9hG4bK{sip.token()};rport",
        f"From: <sip:{user}@{DOMAIN}>;tag={sip.token()}", f"To: <sip:{user}@{DOMAIN}>",
        f"Call-ID: {call_id}", f"CSeq: {cseq} REGISTER", "Max-Forwards: 70",
        *([f"Contact: {contact}"] if contact else []), f"Expires: {expires}", *more, "Content-Length: 0", "", "",
    ]
    return "\r\n".join(lines).encode()


class Phone:
    """One account's phone at an endpoint of the scene."""

    def __init__(self, endpoint, user, registrar):
        self.endpoint, self.user, self.registrar = endpoint, user, registrar
        self.call_id, self.cseq = sip.token(), 0
        self.contact = f"<sip:{user}@{sip.hostport(endpoint.address)}>"

    def register(self, status=200, contact=True, expires=600, more=(), within=3.0):
        """Registers and returns the response, which must have `status`."""
        self.cseq += 1
        value = self.contact if contact is True else contact
        text = register_text(self.user, self.endpoint.address, self.call_id, self.cseq, value, expires, more)
        self.endpoint.send(text, self.registrar)
        return self.endpoint.expect("REGISTER", status, within=within, call_id=self.call_id).message


class Crowd:
    """Many phones at one socket that register again and again until they are stopped. `acknowledged`: by user, the
    highest CSeq that a 200 came for."""

    def __init__(self, address, registrar, users, at_once=64):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.address, self.registrar, self.users, self.at_once = self.socket.getsockname(), registrar, users, at_once
        self.acknowledged, self.statuses = {}, {}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.ending.set()
        if self.thread.is_alive():
            self.thread.join(5)
        self.socket.close()

    def _send(self, turn):
        user, cseq = f"u{turn % self.users}", turn // self.users + 1
        contact = f"<sip:{user}@{sip.hostport(self.address)}>"
        text = register_text(user, self.address, f"crowd-{user}", cseq, contact)
        self.socket.sendto(text, self.registrar)

    def _run(self):
        turn, open_requests, last = 0, 0, time.monotonic()
        while not self.ending.is_set():
            while open_requests < self.at_once:
                self._send(turn)
                turn, open_requests = turn + 1, open_requests + 1
            if not select.select([self.socket], [], [], 0.05)[0]:
                # What is lost, to a kill above all, comes again by its next turn.
                if time.monotonic() - last > 0.3:
                    open_requests = 0
                continue
            try:
                data = self.socket.recv(65535)
            except ConnectionError:
                continue
            last, open_requests = time.monotonic(), max(0, open_requests - 1)
            message = sip.Message.parse(data)
            self.statuses[message.status] = self.statuses.get(message.status, 0) + 1
            if message.status == 200:
                user = sip.uri_of(message.get("to")).split(":")[1].split("@")[0]
                cseq = int(message.get("cseq").split()[0])
                self.acknowledged[user] = max(cseq, self.acknowledged.get(user, 0))


def all_are_there(tandem, acknowledged):
    """Every acknowledged binding stands, with its CSeq or a later one."""
    rows = {row["user"]: row for row in tandem.ask("registrations")}
    lost = [user for user, cseq in acknowledged.items() if user not in rows or rows[user]["cseq"] < cseq]
    expect(not lost, f"{len(lost)} of {len(acknowledged)} acknowledged bindings are gone, such as {lost[:3]}")
    return rows
