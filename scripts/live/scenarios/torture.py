"""RFC 4475 (49 messages) and RFC 5118 (12) over a live socket: the expected outcome, and the next OPTIONS is answered."""

import re

from harness import sip
from harness.endpoint import Endpoint
from harness.registry import DRIVERS, expect, scenario
from harness.tandem import ROOT

TORTURE = ROOT / "proto" / "tests" / "torture"
PASSED_ON, NOTHING = "passed on", "nothing"

# A request whose To has a tag claims a dialog that does not exist here: 403, however well it is formed.
RFC4475 = {
    PASSED_ON: "intmeth esc01 escnull esc02 lwsdisp longreq dblreq semiuri transports baddate unksm2 invut regaut01 "
               "cparam01 cparam02 regescrt sdp01 inv2543",
    NOTHING: "unreason noreason scalarlg bigcode bcast",
    400: "badinv01 clerr ncl scalar02 quotbal ltgtruri lwsruri lwsstart trws escruri regbadct badaspec baddn mismatch01 "
         "mismatch02 badbranch insuf multi01 mcl01",
    403: "wsinv",
    416: "unkscm novelsc",
    420: "bext01",
    483: "zeromf",
    505: "badvers",
    # Its Route names a third party: passed on by our own route, or refused, but never sent there.
    (PASSED_ON, 403, 404): "mpart01",
}
RFC5118 = {
    PASSED_ON: "ipv6-good port-ambiguous port-unambiguous via-received-param-no-delim ipv6-in-sdp mult-ip-in-sdp "
               "ipv4-mapped-ipv6 ipv6-bug-abnf-3-colons ipv6-correct-abnf-2-colons",
    400: "ipv6-bad",
    403: "via-received-param-with-delim mult-ip-in-header",
}


def via_port(data):
    """The port of the topmost Via's sent-by, to which the answer goes (RFC 3261 §18.2.2); its default is the transport's."""
    via = re.search(rb"(?:^|\r\n)(?:Via|v)\s*:\s*(?:\r\n[ \t]+)?[^\r\n]*?/\s*(\w+)\s+((?:\[[^\]]*\])|[^\s;:,]+)(?:\s*:\s*(\d+))?", data, re.IGNORECASE)
    default = 5061 if via and via[1].upper() == b"TLS" else 5060
    return int(via[3]) if via and via[3] else default


def outcome_of(data, senders, scene, gateway, proxy):
    """Sends one message from the port that its Via names; says what came of it."""
    port = via_port(data)
    if port not in senders:
        senders[port] = scene.keep(Endpoint((scene.ip(101), port)))
    sender = senders[port]
    sender.send(data, proxy.address)
    # A good OPTIONS behind it: its answer says that Tandem has dealt with what came before.
    probe = sip.request("OPTIONS", f"sip:{sip.hostport(proxy.address)}", sender.address)
    sender.send(probe, proxy.address)
    answers = []
    alive = False
    while not alive:
        packet = sender.receive(2)
        expect(packet is not None, "the next good OPTIONS was not answered")
        if packet.message.call_id == probe.call_id:
            alive = packet.message.status == 200
            expect(alive, f"the next good OPTIONS got {packet.message.start}")
        elif packet.message.status not in (100, 486):
            answers.append(packet.message.status)
    forwarded = gateway.receive(0.05 if answers else 0.2)
    while forwarded is not None and not forwarded.message.is_request:
        forwarded = gateway.receive(0.05)
    if forwarded is not None:
        # Ended at once, by a status that is expected of no message, so that its repetitions are told apart.
        gateway.reply(forwarded, 486)
        settle(sender, gateway)
        return PASSED_ON, forwarded
    late = sender.receive(0.05)
    if not answers and late is not None and late.message.status not in (100, 486):
        answers.append(late.message.status)
    return (answers[0], None) if answers else (NOTHING, None)


def with_own_branch(data, name):
    """The message with the end of its branch changed: several files share one, and would be retransmissions of the first."""
    branch = re.search(rb"branch=(z9hG4bK[\w.\-]{5,})", data)
    if branch is None:
        return data
    mark = f"{sum(name.encode()) % 100:02}{len(name) % 10}".encode()
    return data[: branch.end(1) - 3] + mark + data[branch.end(1) :]


def settle(sender, gateway):
    """Drains what a refused call still says on both sides, acknowledging nothing: Tandem's own ACK ends it."""
    while gateway.receive(0.1) is not None:
        pass
    while sender.receive(0.02) is not None:
        pass


def check(scene, folder, expected):
    gateway = scene.endpoint(scene.gateway_address(), probes=False)
    proxy = scene.tandem(gateway.address, tables={"probe": "off"})
    senders, wrong = {}, []
    for wanted, names in expected.items():
        allowed = wanted if isinstance(wanted, tuple) else (wanted,)
        for name in names.split():
            data = with_own_branch((TORTURE / folder / f"{name}.dat").read_bytes(), name)
            got, forwarded = outcome_of(data, senders, scene, gateway, proxy)
            if got not in allowed:
                wrong.append(f"{name}: {got} instead of {wanted}")
            elif forwarded is not None and name in CHECKS:
                trouble = CHECKS[name](data, forwarded.data)
                if trouble:
                    wrong.append(f"{name}: {trouble}")
    proxy.must_live()
    expect(not wrong, "; ".join(wrong))


def header_lines(*starts):
    """A check that these header lines pass byte for byte."""

    def compare(sent, got):
        lines = [line for line in sent.split(b"\r\n") if line.startswith(starts)]
        lost = [line for line in lines if line not in got]
        return f"changed: {lost}" if lost or not lines else None

    return compare


CHECKS = {
    "baddate": header_lines(b"Date"),
    "escnull": header_lines(b"Contact", b"L:", b"To", b"From"),
    "intmeth": header_lines(b"extensionHeader", b"To", b"From"),
    "regaut01": header_lines(b"Authorization"),
    "regescrt": header_lines(b"M:"),
    "cparam01": header_lines(b"Contact"),
    "mpart01": lambda sent, got: None if got.endswith(sent[-553:]) else "the body changed",
    "dblreq": lambda sent, got: "the INVITE behind the message was passed on" if b"INVITE" in got else None,
}


@scenario(drivers=DRIVERS, seconds=40, across=True)
def torture_rfc4475(scene):
    """The 49 torture messages of RFC 4475."""
    check(scene, "rfc4475", RFC4475)


@scenario(seconds=30)
def torture_rfc5118(scene):
    """The 12 IPv6 torture messages of RFC 5118."""
    check(scene, "rfc5118", RFC5118)


@scenario()
def keep_alives_and_noise(scene):
    """Empty datagrams, CRLF keep-alives, noise and huge garbage draw no answer and do no harm."""
    gateway, peer = scene.endpoint(scene.gateway_address()), scene.endpoint(scene.caller_address())
    proxy = scene.tandem(gateway.address)
    for noise in (b"", b"\r\n\r\n", b"\0" * 40, b"jaK", bytes(range(256)) * 200, b"INVITE", b"SIP/2.0", b"\r\n" * 30_000):
        peer.send(noise, proxy.address)
    peer.expect_nothing(0.3)
    peer.send(sip.request("OPTIONS", f"sip:{sip.hostport(proxy.address)}", peer.address), proxy.address)
    peer.expect("OPTIONS", 200)
    gateway.expect_nothing(0.1)
