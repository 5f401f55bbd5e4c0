"""Many calls over a network that loses, repeats and reorders: callers and gateways by RFC 3261, in one thread, by a seed."""

import collections
import heapq
import random
import select
import time

from . import sip
from .endpoint import Endpoint

T1, T2 = 0.5, 4.0
TRANSACTION_SECONDS = 64 * T1


class Network:
    """The event loop, its timers, and the faults that befall every datagram on its way out and in."""

    def __init__(self, seed, loss, duplicate=0.05, reorder=0.1):
        self.random = random.Random(seed)
        self.loss, self.duplicate, self.reorder = loss, duplicate, reorder
        self.timers, self.count = [], 0
        self.peers = {}

    def join(self, peer):
        self.peers[peer.endpoint.socket] = peer

    def after(self, seconds, action, *arguments):
        self.count += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.count, action, arguments))

    def fates(self):
        """Delays of the copies of one datagram that arrive: none when it is lost, two when it is repeated."""
        if self.random.random() < self.loss:
            return []
        copies = 2 if self.random.random() < self.duplicate else 1
        return [self.random.uniform(0.01, 0.2) if self.random.random() < self.reorder else 0 for _ in range(copies)]

    def send(self, peer, message, to):
        """Sends the copies that arrive, some of them later; returns how many."""
        data, fates = message.encode(), self.fates()
        for delay in fates:
            if delay:
                self.after(delay, self.deliver, peer, message, data, to)
            else:
                self.deliver(peer, message, data, to)
        return len(fates)

    def deliver(self, peer, message, data, to):
        peer.delivered(message)
        peer.endpoint.send(data, to)

    def run(self, seconds, finished):
        """Turns until `finished()` or the end of `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not finished():
            wait = min(0.1, max(0, self.timers[0][0] - time.monotonic())) if self.timers else 0.1
            for socket in select.select(list(self.peers), [], [], wait)[0]:
                data, source = socket.recvfrom(65535)
                message, peer = sip.Message.parse(data), self.peers[socket]
                peer.observe(message)
                for delay in self.fates():
                    self.after(delay, peer.on_message, message, source[:2])
            while self.timers and self.timers[0][0] <= time.monotonic():
                _, _, action, arguments = heapq.heappop(self.timers)
                action(*arguments)
        self.drain()

    def drain(self):
        """Sees what is still on its way; nobody answers it."""
        while ready := select.select(list(self.peers), [], [], 0.3)[0]:
            for socket in ready:
                self.peers[socket].observe(sip.Message.parse(socket.recv(65535)))


class Exchange:
    """A message that is repeated until `stop` (the A/E and G intervals of RFC 3261 §17): doubling from T1 to `most`."""

    def __init__(self, network, peer, message, to, most=T2, expired=None):
        self.network, self.peer, self.message, self.to = network, peer, message, to
        self.most, self.expired = most, expired
        self.stopped = self.acknowledged = False
        self.arrived = 0
        self.began = time.monotonic()
        self.fire(T1)

    def fire(self, interval):
        if self.stopped:
            return
        if time.monotonic() - self.began > TRANSACTION_SECONDS:
            self.stopped = True
            if self.expired:
                self.expired()
            return
        self.arrived += self.network.send(self.peer, self.message, self.to)
        self.network.after(interval, self.fire, min(interval * 2, self.most))

    def stop(self):
        self.stopped = True


class Caller:
    """One UAC core with many calls at one address."""

    def __init__(self, network, address, proxy):
        self.network, self.proxy = network, proxy
        self.endpoint = Endpoint(address, probes=False)
        self.calls, self.strange = {}, []
        # 200s to INVITE that the proxy sent here, ACKs of ours that reached it, and dialogs whose BYE it answered.
        self.answers_seen = self.acks_delivered = 0
        self.byes_seen = set()
        network.join(self)

    def call(self):
        made = sip.request("INVITE", f"sip:15550100@{sip.hostport(self.proxy)}", self.endpoint.address, body=sip.SDP)
        state = self.calls[made.call_id] = CallState(self, made)
        state.invite = Exchange(self.network, self, made, self.proxy, most=TRANSACTION_SECONDS, expired=state.expired)

    def observe(self, message):
        """What the proxy sent, before any fault befalls it: a final failure comes first or not at all (§16.7 step 5)."""
        state = self.calls.get(message.call_id)
        if not message.is_request and message.method == "BYE" and message.status >= 200:
            self.byes_seen.add((message.call_id, message.to_tag))
        if state is None or message.is_request or message.method != "INVITE":
            return
        state.spoken_to = True
        if message.status < 200:
            return
        self.answers_seen += message.status < 300
        if message.status >= 300 and message.status not in state.sent and state.sent:
            state.trouble.append(f"{message.status} after {sorted(state.sent)}")
        state.sent.add(message.status)

    def delivered(self, message):
        """What reaches the proxy. The ACK of a failure ends there and is not counted: its branch is the INVITE's."""
        state = self.calls[message.call_id]
        self.acks_delivered += message.method == "ACK" and message.branch != state.made.branch

    def on_message(self, message, source):
        state = self.calls.get(message.call_id)
        if state is None or source != self.proxy:
            self.strange.append((source, message.start))
        elif not message.is_request:
            state.on_response(message)


class CallState:
    """What one call has seen. `outcome` is "answered", a status, "no answer", or "never asked" when the network
    lost every INVITE; `trouble` breaks the RFC."""

    def __init__(self, caller, made):
        self.caller, self.made = caller, made
        self.invite, self.failure, self.trouble, self.sent = None, None, [], set()
        self.dialogs = {}
        self.byes = {}
        self.outcome = None
        # Tandem has sent it a response of any kind, whether or not it came.
        self.spoken_to = False

    def expired(self):
        self.outcome = self.outcome or ("no answer" if self.invite.arrived else "never asked")

    def on_response(self, message):
        if message.method == "BYE":
            bye = self.byes.get(message.branch)
            if bye and message.status >= 200:
                bye.stop()
                bye.status = bye.status or message.status
            return
        self.invite.stop()
        if message.status < 200:
            # A 1xx ends the repetitions but not the call: without a final response Timer C must bring one.
            return
        if message.status < 300:
            self.on_answer(message)
            return
        self.failure = message.status
        self.outcome = self.outcome or message.status
        ack = sip.request(
            "ACK", self.made.request_uri, self.caller.endpoint.address, call_id=self.made.call_id,
            from_tag=self.made.from_tag, to_tag=message.to_tag, branch=self.made.branch, contact=False,
        )
        self.caller.network.send(self.caller, ack, self.caller.proxy)

    def on_answer(self, message):
        self.outcome = "answered"
        ack = self.dialogs.get(message.to_tag)
        if ack is None:
            ack = self.dialogs[message.to_tag] = self.in_dialog("ACK", 1, message)
            self.caller.network.after(self.caller.network.random.uniform(0.2, 1.0), self.hang_up, message)
        self.caller.network.send(self.caller, ack, self.caller.proxy)

    def in_dialog(self, method, cseq, answer):
        return sip.request(
            method, sip.uri_of(answer.get("contact")), self.caller.endpoint.address, to=self.made.request_uri,
            call_id=self.made.call_id, from_tag=self.made.from_tag, to_tag=answer.to_tag, cseq=cseq,
            route=list(reversed(answer.all("record-route"))), contact=False,
        )

    def hang_up(self, answer):
        bye = self.in_dialog("BYE", 2, answer)
        exchange = Exchange(self.caller.network, self.caller, bye, self.caller.proxy)
        exchange.status = None
        self.byes[bye.branch] = exchange

    def ended(self):
        byes_ended = len(self.byes) == len(self.dialogs) and all(bye.stopped for bye in self.byes.values())
        return self.outcome is not None and byes_ended


class Gateway:
    """One UAS core: 180 and 200 to most calls, 486 to some; responses repeated as §13.3.1.4 and §17.2.1 say."""

    def __init__(self, network, address, busy=0.1):
        self.network, self.busy = network, busy
        self.endpoint = Endpoint(address, probes=False)
        self.finals, self.last, self.byed = {}, {}, set()
        self.answers = collections.Counter()
        # 200s to INVITE of ours that reached the proxy, ACKs of them that it sent here, and dialogs whose 200 to BYE
        # reached it.
        self.answers_delivered = self.acks_seen = 0
        self.byes_delivered = set()
        network.join(self)

    def observe(self, message):
        if message.is_request and message.method == "ACK":
            self.acks_seen += (message.call_id, message.to_tag) in self.answered_dialogs()

    def delivered(self, message):
        self.answers_delivered += message.status == 200 and message.method == "INVITE"
        if message.status == 200 and message.method == "BYE":
            self.byes_delivered.add((message.call_id, message.to_tag))

    def answered_dialogs(self):
        return {(one.message.call_id, one.message.to_tag) for one in self.finals.values() if one.message.status == 200}

    def on_message(self, message, source):
        key = message.branch
        if not message.is_request:
            return
        if message.method == "INVITE":
            if key in self.last:
                self.network.send(self, self.last[key], source)
            else:
                self.last[key] = self.answer(message, 180)
                self.network.send(self, self.last[key], source)
                self.network.after(self.network.random.uniform(0.05, 1.0), self.decide, message, source)
        elif message.method == "ACK":
            dialog = (message.call_id, message.to_tag)
            for final_key, exchange in self.finals.items():
                if (exchange.message.call_id, exchange.message.to_tag) == dialog or final_key == key:
                    exchange.acknowledged = True
                    exchange.stop()
        elif message.method == "CANCEL":
            self.network.send(self, self.answer(message, 200), source)
            if key in self.last and key not in self.finals:
                self.finish(key, sip.Message.parse(self.last[key].encode()), 487, source)
        else:
            if message.method == "BYE":
                self.byed.add((message.call_id, message.to_tag))
            self.network.send(self, self.answer(message, 200), source)

    def repeating(self):
        """Whether a 200 still waits for its ACK (§13.3.1.4: 64 T1 at most)."""
        return any(one.message.status == 200 and not one.stopped for one in self.finals.values())

    def answer(self, message, status):
        tag = message.to_tag or "g" + (message.branch or "none")[-12:].replace(".", "")
        return sip.response(message, status, to_tag=tag, contact=self.endpoint.address if status < 300 else None)

    def decide(self, message, source):
        if message.branch not in self.finals:
            self.finish(message.branch, message, 486 if self.network.random.random() < self.busy else 200, source)

    def finish(self, key, message, status, source):
        self.last[key] = self.answer(message, status) if message.is_request else failure_of(message, status)
        self.answers[status] += 1
        self.finals[key] = Exchange(self.network, self, self.last[key], source)


def failure_of(provisional, status):
    """The final response that follows a provisional one of the same transaction."""
    headers = [header for header in provisional.headers if header[0] != "Contact"]
    return sip.Message(f"SIP/2.0 {status} {sip.REASONS[status]}", headers)
