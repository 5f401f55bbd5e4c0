"""Kamailio asked which gateways it would take, and Tandem asked by calls that all gateways refuse: the same questions."""

import re
import time

from . import sip
from .kamailio import Kamailio
from .registry import Failed, expect

DB_TEXT = {
    "version": "table_name(string) table_version(int)",
    "lcr_gw": "id(int) lcr_id(int) gw_name(string,null) ip_addr(string,null) hostname(string,null) port(int,null) params(string,null) "
              "uri_scheme(int,null) transport(int,null) strip(int,null) prefix(string,null) tag(string,null) flags(int) defunct(int,null)",
    "lcr_rule": "id(int) lcr_id(int) prefix(string,null) from_uri(string,null) request_uri(string,null) mt_tvalue(string,null) stopper(int) enabled(int)",
    "lcr_rule_target": "id(int) lcr_id(int) rule_id(int) gw_id(int) priority(int) weight(int)",
    "dr_gateways": "gwid(int) type(int) address(string) strip(int) pri_prefix(string,null) attrs(string,null) description(string,null)",
    "dr_rules": "ruleid(int) groupid(string) prefix(string,null) timerec(string,null) priority(int) routeid(string,null) gwlist(string) description(string,null)",
    "dr_gw_lists": "id(int) gwlist(string) description(string,null)",
    "dr_groups": "id(int) username(string) domain(string,null) groupid(int) description(string,null)",
    "location": "id(int,auto) ruid(string) username(string) domain(string,null) contact(string) received(string,null) path(string,null) expires(int) "
                "q(double) callid(string) cseq(int) last_modified(int) flags(int) cflags(int) user_agent(string) socket(string,null) methods(int,null) "
                "instance(string,null) reg_id(int) server_id(int) connection_id(int) keepalive(int) partition(int)",
    "location_attrs": "id(int,auto) ruid(string) username(string) domain(string,null) aname(string) atype(int) avalue(string) last_modified(int)",
    "address": "id(int) grp(int) ip_addr(string) mask(int) port(int) tag(string,null)",
}
VERSIONS = {"lcr_gw": 3, "lcr_rule": 3, "lcr_rule_target": 1, "dr_gateways": 3, "dr_rules": 3, "dr_gw_lists": 1, "dr_groups": 2, "address": 6,
            "location": 9, "location_attrs": 1}


def write_tables(folder, **tables):
    """A folder of dbtext; a row is a tuple, None is NULL."""
    folder.mkdir()
    escaped = lambda value: "" if value is None else str(value).replace("\\", "\\\\").replace(":", "\\:")
    tables = {**{name: [] for name in VERSIONS}, "version": list(VERSIONS.items()), **tables}
    for name, rows in tables.items():
        (folder / name).write_text("".join(f"{line}\n" for line in [DB_TEXT[name], *(":".join(map(escaped, row)) for row in rows)]))
    return folder


def kamailio(scene, tables, dispatcher_list):
    """Kamailio with `oracle.cfg`, up."""
    values = {"DISPATCHER_LIST": f'"{dispatcher_list}"', "TABLES": f'"text://{tables}"'}
    started = scene.keep(Kamailio(scene.folder, "oracle", [(scene.ip(50), 5060)], "oracle.cfg", values))
    return started.wait_ready((scene.ip(240), 0))


class Asking:
    """A caller that sends many INVITEs and keeps what is answered, a few open at once."""

    def __init__(self, endpoint, to, at_once=20):
        self.endpoint, self.to, self.at_once = endpoint, to, at_once

    def ask(self, questions, within=30):
        """`questions`: Call-ID to (Request-URI, From, To, more lines). Returns the final response of each."""
        waiting, open_ones, answers = list(questions.items()), {}, {}
        deadline = time.monotonic() + within
        while len(answers) < len(questions):
            while waiting and len(open_ones) < self.at_once:
                call_id, question = waiting.pop(0)
                open_ones[call_id] = question
                self.endpoint.send(self.invite(call_id, *question), self.to)
            packet = self.endpoint.receive(1.0)
            expect(time.monotonic() < deadline, f"{len(answers)} of {len(questions)} questions answered in {within} s")
            if packet is None:
                # What was lost is asked again, as a transaction repeats it.
                for call_id, question in open_ones.items():
                    self.endpoint.send(self.invite(call_id, *question), self.to)
                continue
            message = packet.message
            if message.is_request or message.status < 200 or message.call_id not in questions:
                continue
            self.endpoint.send(self.ack(message.call_id, message, *questions[message.call_id]), self.to)
            if open_ones.pop(message.call_id, None):
                answers[message.call_id] = message
        return answers

    def lines(self, method, call_id, uri, caller, callee, more, tag=""):
        branch = "z9hG4bK" + re.sub(r"[^A-Za-z0-9]", "", call_id)
        head = [
            f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {sip.hostport(self.endpoint.address)};branch={branch};rport",
            f"From: <{caller}>;tag=f", f"To: <{callee}>{tag}", f"Call-ID: {call_id}", f"CSeq: 1 {method}", "Max-Forwards: 70",
        ]
        if method == "INVITE":
            head += [f"Contact: <sip:{sip.hostport(self.endpoint.address)}>", *more]
        return "\r\n".join([*head, "Content-Length: 0", "", ""]).encode()

    def invite(self, call_id, *question):
        return self.lines("INVITE", call_id, *question)

    def ack(self, call_id, answer, *question):
        tag = f";tag={answer.to_tag}" if answer.to_tag else ""
        return self.lines("ACK", call_id, *question, tag=tag)


def choices_of_kamailio(answers):
    """Call-ID to the list of URIs that Kamailio would try."""
    chosen = {}
    for call_id, answer in answers.items():
        chosen[call_id] = (answer.get("x-choice") or "").split()
    if not any(chosen.values()):
        raise Failed("Kamailio chose nothing for any question")
    return chosen


class Refusing:
    """Gateways that refuse every INVITE, and remember which came in which order."""

    def __init__(self, scene, numbers):
        self.tried = {}
        for number in numbers:
            scene.answering(scene.gateway_address(number), self.behave)

    def behave(self, peer, packet):
        message = packet.message
        if message.is_request and message.method == "INVITE":
            seen = self.tried.setdefault(message.call_id, [])
            if message.branch not in [branch for branch, *_ in seen]:
                seen.append((message.branch, peer.address, message.request_uri))
            # WHY 500: it moves a call on, and is held against nobody.
            peer.endpoint.reply(packet, 500)

    def addresses(self, call_id):
        """Where its INVITEs came, in their order."""
        return [sip.hostport(address) for _, address, _ in self.tried.get(call_id, ())]

    def uris(self, call_id):
        """Their Request-URIs, in their order."""
        return [uri for _, _, uri in self.tried.get(call_id, ())]
