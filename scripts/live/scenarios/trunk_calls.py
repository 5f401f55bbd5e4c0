"""Customers' calls from INVITE to end: slow vendors are left, calls that outlive what keeps them alive are ended on both
sides, second answers too; operators see calls and end them."""

from harness import config, sip
from harness.call import Call
from harness.processes import wait_until
from harness.registry import expect, scenario
from scenarios.class4 import build, trunks

NUMBER = "4930123"

# Longer than any limit of these scenarios and than what a busy machine adds.
PATIENCE = 12


class Stage:
    """Tandem with a vendor for each gateway, the first one cheapest, and one customer."""

    def __init__(self, scene, gateways, **class4):
        self.scene, self.gateways = scene, gateways
        prices = {f"v{number}": f"0.00{number}" for number, _ in enumerate(gateways, 1)}
        build(scene, sell="0.02", **prices)
        self.sets = [config.gateway_set(name, [gateway.address]) for name, gateway in zip(prices, gateways)]
        customer = {"name": "acme", "sources": [scene.caller_address(1)[0]]}
        self.tables = trunks(scene, tuple(prices), [customer])
        self.proxy = scene.tandem(tree=self.tree(class4))
        self.caller = scene.endpoint(scene.caller_address(1))

    def tree(self, class4):
        return self.scene.tree(sets=self.sets, tables={**self.tables, "class4": class4})

    def limit(self, **class4):
        """Other limits, from now on."""
        code, out, err = self.proxy.reload(self.tree(class4))
        expect(code == 0, f"reload ended with {code}: {out}{err}")

    def invite(self):
        call = Call(self.caller, self.proxy.address, user=NUMBER)
        call.invite()
        return call

    def established(self, headers=(), ack=True):
        """A call that its gateway has answered, and the answer."""
        call, gateway = self.invite(), self.gateways[0]
        answer = gateway.reply(gateway.expect("INVITE", call_id=call.call_id), 200, body=sip.SDP, headers=headers)
        call.expect(200)
        if ack:
            call.ack()
            gateway.expect("ACK", call_id=call.call_id)
        return call, answer

    def byes(self, call, answer):
        """Both sides get a BYE, each in its own dialog, and answer it. Its Reason."""
        sides = ((self.gateways[0], answer.to_tag, call.from_tag), (self.caller, call.from_tag, answer.to_tag))
        for side, own, other in sides:
            bye = side.expect("BYE", call_id=call.call_id, within=PATIENCE, skip=(200,))
            tags = (bye.message.to_tag, bye.message.from_tag)
            expect(tags == (own, other), f"the BYE's tags are {tags}, not {(own, other)}")
            side.reply(bye, 200)
        return bye.message.get("reason")

    def ended(self, reason, count):
        wait_until(lambda: self.proxy.figure("tandem_calls_ended_total", reason=reason) == count, 5, f"{reason}: {count}")

    def ask(self, *words):
        return self.proxy.ask("calls", *words)


def refused(call, status):
    """The call is refused; the Reason header."""
    refusal = call.expect(status, within=PATIENCE)
    call.ack_failure(refusal)
    return refusal.message.get("reason")


@scenario()
def vendors_that_do_not_ring_are_left(scene):
    """Who says 100 alone is cancelled for the next vendor, and its late 200 ended; then nobody rings, or none answers."""
    slow, other = (scene.endpoint(scene.gateway_address(number)) for number in (1, 2))
    stage = Stage(scene, (slow, other), vendor_ring_seconds=1)
    call = stage.invite()
    first = slow.expect("INVITE", call_id=call.call_id)
    slow.reply(first, 100)
    cancel = slow.expect("CANCEL", within=PATIENCE, skip=("INVITE",))
    other.reply(other.expect("INVITE", call_id=call.call_id, within=PATIENCE), 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    other.expect("ACK", call_id=call.call_id)
    # The CANCEL crossed an answer: that is acknowledged and ended by Tandem.
    slow.reply(cancel, 200)
    late = slow.reply(first, 200, body=sip.SDP)
    slow.expect("ACK", skip=("INVITE", "CANCEL"))
    bye = slow.expect("BYE", skip=("CANCEL",))
    expect(bye.message.to_tag == late.to_tag, "the BYE is of another dialog")
    slow.reply(bye, 200)
    call.bye()
    other.reply(other.expect("BYE", call_id=call.call_id), 200)
    call.expect(200, "BYE")
    stage.ended("second_answer", 1)
    stage.ended("bye_from_caller", 1)

    stage.limit(post_dial_seconds=1)
    unheard = stage.invite()
    slow.reply(slow.expect("INVITE", call_id=unheard.call_id), 100)
    expect(refused(unheard, 408) == "Q.850;cause=102", "the Reason of too long a post-dial delay")
    slow.expect("CANCEL", call_id=unheard.call_id, skip=("INVITE",))

    stage.limit(ring_seconds=1)
    ringing = stage.invite()
    slow.reply(slow.expect("INVITE", call_id=ringing.call_id), 180)
    ringing.expect(180)
    expect(refused(ringing, 480) == "Q.850;cause=19", "the Reason of ringing too long")
    slow.expect("CANCEL", call_id=ringing.call_id, skip=("INVITE",))


@scenario()
def calls_are_ended_on_both_sides(scene):
    """By an operator, at their longest, without an ACK, without a refresh of their session: BYE to either side, counted."""
    stage = Stage(scene, (scene.endpoint(scene.gateway_address(1)),))
    call, answer = stage.established()
    shown = stage.ask("--number", "49")
    told = [(row["call_id"], row["called"], row["customer"], row["vendor"]) for row in shown]
    expect(told == [(call.call_id, NUMBER, "acme", "v1")], f"`tandem calls` tells {told}")
    expect(stage.ask("--customer", "other") == [], "another customer has no calls")
    for by, kind in (("customer", "acme"), ("vendor", "v1"), ("country", "+49")):
        counts = stage.ask("--count", by)
        expect(counts == [{"kind": kind, "count": 1}], f"counted by {by}: {counts}")
    expect(stage.ask("end", call.call_id)["ended"] == 1, "the operator ends it")
    reason = stage.byes(call, answer)
    expect(reason == "Q.850;cause=31", f"Reason: {reason}")
    stage.ended("operator", 1)
    expect(stage.ask("end", call.call_id)["ended"] == 0, "it is gone")

    stage.limit(call_seconds=4, ack_seconds=3)
    calls = {
        "no_ack": stage.established(ack=False),
        "session_expired": stage.established(headers=(("Session-Expires", "1;refresher=uac"),)),
        "too_long": stage.established(),
    }
    for why, (call, answer) in calls.items():
        reason = stage.byes(call, answer)
        expect(reason == "Q.850;cause=102", f"{why}: Reason: {reason}")
        stage.ended(why, 1)
    expect(stage.ask() == [], "no call is left")
