"""Gateways that misbehave one call at a time: refusing, unavailable, slow, late, answering from elsewhere."""

import time

from harness import config, sip
from harness.call import Call
from harness.endpoint import answers_calls
from harness.registry import DRIVERS, expect, scenario


def stage(scene, number=2, **options):
    """A caller and gateways in order of priority, all driven by the scenario."""
    caller = scene.endpoint(scene.caller_address())
    peers = [scene.endpoint(scene.gateway_address(one)) for one in range(1, number + 1)]
    entries = [config.gateway(peer.address, priority=one) for one, peer in enumerate(peers)]
    proxy = scene.tandem(*entries, algorithm="priority", **options)
    return Call(caller, proxy.address), peers, proxy


def answer(call, peer, invite):
    """The call ends well at this gateway."""
    peer.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    peer.expect("ACK")
    call.bye()
    peer.reply(peer.expect("BYE"), 200)
    call.expect(200, "BYE")


@scenario(drivers=DRIVERS, across=True)
def gateway_refuses(scene):
    """A closed port (ICMP) moves the call to the next gateway within 50 ms of the INVITE."""
    caller, second = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address(2))
    closed = config.gateway(scene.gateway_address(1), priority=0)
    proxy = scene.tandem(closed, config.gateway(second.address, priority=1), algorithm="priority")
    for number in range(3):
        call = Call(caller, proxy.address)
        began = time.monotonic()
        call.invite()
        invite = second.expect("INVITE", within=1)
        expect(invite.at - began < 0.05, f"call {number} moved after {(invite.at - began) * 1000:.0f} ms")
        answer(call, second, invite)


@scenario()
def refusal_hurts_nobody_else(scene):
    """The error of a dead gateway surfaces on a send to a healthy one: the healthy one keeps all its calls."""
    healthy = scene.answering(scene.gateway_address(2), answers_calls())
    proxy = scene.tandem(scene.gateway_address(1), healthy.address, algorithm="round-robin")
    caller = scene.endpoint(scene.caller_address())
    for _ in range(40):
        call = Call(caller, proxy.address)
        call.invite()
        call.expect(200, skip=(180,), within=0.5)
        call.ack()
        call.bye()
        call.expect(200, "BYE", within=0.5)
    expect(len(healthy.calls()) == 40, f"the healthy gateway got {len(healthy.calls())} of 40 calls")


@scenario()
def gateway_unavailable(scene):
    """503 moves its call at once, the caller never sees it, and the gateway stays in use."""
    call, (first, second), proxy = stage(scene)
    for _ in range(3):
        call.invite()
        invite = first.expect("INVITE")
        first.reply(invite, 503, headers=[["Retry-After", "60"]])
        first.expect("ACK")
        moved = second.expect("INVITE", within=0.3)
        answer(call, second, moved)
        call = Call(call.endpoint, proxy.address)


@scenario()
def last_503_stays(scene):
    """When every gateway says 503 the caller gets 503 without Retry-After."""
    call, peers, _ = stage(scene)
    call.invite()
    for peer in peers:
        invite = peer.expect("INVITE")
        peer.reply(invite, 503, headers=[["Retry-After", "60"]])
        peer.expect("ACK")
    failure = call.expect(503)
    expect(failure.message.get("retry-after") is None, "Retry-After would send the caller away from us altogether")
    call.ack_failure(failure)


@scenario()
def last_503_as_500(scene):
    """`last_503 = "500"` restores RFC 3261 §16.7 step 6."""
    call, peers, _ = stage(scene, last_503="500")
    call.invite()
    for peer in peers:
        invite = peer.expect("INVITE")
        peer.reply(invite, 503)
        peer.expect("ACK")
    call.ack_failure(call.expect(500))


@scenario()
def gateway_slow_but_alive(scene):
    """A gateway whose first answer takes 1.5 s keeps its call, then may ring for as long as it likes."""
    call, (first, second), _ = stage(scene)
    call.invite()
    invite = first.expect("INVITE")
    time.sleep(1.5)
    first.reply(invite, 183)
    call.expect(183)
    second.expect_nothing(2.5, what="(the call had been answered with 183)")
    answer_after_retransmissions(call, first, invite)


def answer_after_retransmissions(call, peer, invite):
    """As `answer`, for a gateway that let the INVITE be sent several times."""
    peer.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    peer.expect("ACK", skip=("INVITE",))


@scenario(across=True)
def gateway_silent(scene):
    """No response within 2 s, three INVITEs, moves the call; a late 180 draws its CANCEL at once."""
    call, (first, second), _ = stage(scene)
    call.invite()
    invite = first.expect("INVITE")
    moved = second.expect("INVITE", within=2.5)
    waited = moved.at - invite.at
    expect(1.9 < waited < 2.1, f"moved after {waited:.2f} s")
    repeats = 0
    while (packet := first.receive(0.05)) is not None:
        expect(packet.message.branch == invite.message.branch, f"{packet.message} after the INVITE")
        repeats += 1
    expect(repeats == 2, f"{repeats + 1} INVITEs were sent in 2 s instead of three")
    second.reply(moved, 180)
    call.expect(180)
    first.reply(invite, 180)
    cancel = first.expect("CANCEL", within=0.3)
    first.reply(cancel, 200)
    first.reply(invite, 487)
    first.expect("ACK")
    answer(call, second, moved)


@scenario()
def gateway_answers_too_late(scene):
    """A 200 of a branch that was given up goes upstream all the same (§16.7 step 5), beside the other's."""
    call, (first, second), _ = stage(scene)
    call.invite()
    invite = first.expect("INVITE")
    moved = second.expect("INVITE", within=2.5)
    first.reply(invite, 200, body=sip.SDP)
    late = call.expect(200)
    expect(sip.address_of(late.message.get("contact")) == first.address, "the late 200 is not the first gateway's")
    second.reply(moved, 200, body=sip.SDP)
    other = call.expect(200, within=1)
    expect(other.message.to_tag != late.message.to_tag, "the same answer twice")


@scenario()
def late_answer_hung_up(scene):
    """Both answers of a call that moved are dialogs of their own: the ACK and the BYE of each reach their gateway."""
    call, (first, second), _ = stage(scene)
    call.invite()
    invite = first.expect("INVITE")
    moved = second.expect("INVITE", within=2.5)
    answers = []
    for peer, got in ((second, moved), (first, invite)):
        peer.reply(got, 200, body=sip.SDP)
        answers.append((peer, call.expect(200).message))
        call.adopt(answers[-1][1])
        call.ack()
        peer.expect("ACK", skip=("INVITE", "CANCEL"))
    for peer, answered in answers:
        call.adopt(answered)
        call.bye()
        peer.reply(peer.expect("BYE", skip=("CANCEL",)), 200)
        call.expect(200, "BYE")


@scenario()
def given_up_for_good(scene):
    """Nobody answers at all: every gateway is tried once, then the caller gets 408 or 503."""
    call, peers, _ = stage(scene)
    call.invite()
    final = None
    began = time.monotonic()
    while final is None and time.monotonic() - began < 8:
        packet = call.endpoint.receive(1)
        final = packet if packet is not None and packet.message.status >= 200 else None
    expect(final is not None and final.message.status in (408, 503), f"the caller saw {final and final.message}")
    expect(3.5 < time.monotonic() - began < 5, f"after {time.monotonic() - began:.1f} s")
    call.ack_failure(final)


@scenario()
def answer_from_another_port(scene):
    """A response from the gateway's address but another port counts: only its address must be the one asked."""
    call, (first, _), _ = stage(scene)
    other_port = scene.endpoint((first.address[0], 5088))
    call.invite()
    invite = first.expect("INVITE")
    for status in (180, 200):
        other_port.reply(invite, status, body=sip.SDP)
        call.expect(status)
    call.ack()
    other_port.expect("ACK")


@scenario()
def answer_from_a_stranger(scene):
    """A response from an address that was not asked is refused, even with the right branch; `reply_from` allows it."""
    caller, first = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address(1))
    stranger, media_side = scene.endpoint((scene.ip(66), 5060)), scene.endpoint((scene.ip(77), 5060))
    proxy = scene.tandem(config.gateway(first.address, reply_from=[f"{scene.ip(77)}/32"]))
    call = Call(caller, proxy.address)
    call.invite()
    invite = first.expect("INVITE")
    stranger.socket.sendto(sip.response(invite.message, 200, to_tag="forged", contact=stranger.address).encode(), proxy.address)
    caller.expect_nothing(0.5, skip=(100,), what="(a forged answer passed)")
    media_side.socket.sendto(sip.response(invite.message, 200, to_tag="real", contact=first.address).encode(), proxy.address)
    answered = call.expect(200)
    expect(answered.message.to_tag == "real", "the forged answer won")


@scenario()
def answer_with_forged_branch(scene):
    """A response from the gateway's own address with a branch that we never wrote reaches nobody."""
    call, (first, _), proxy = stage(scene)
    call.invite()
    invite = first.expect("INVITE")
    forged = sip.response(invite.message, 200, to_tag="x", contact=first.address)
    top = next(header for header in forged.headers if header[0].lower() in ("via", "v"))
    branch = invite.message.branch
    flipped = branch[:-1] + ("a" if branch[-1] != "a" else "b")
    top[1] = top[1].replace(branch, flipped)
    first.send(forged, proxy.address)
    call.endpoint.expect_nothing(0.5, skip=(100,))
    answer_after_retransmissions(call, first, invite)
