"""Parallel forking (RFC 3261 §16.6, §16.7): first answer wins, all 2xx pass, 6xx ends it, the best failure is chosen."""

from harness import sip
from harness.call import Call
from harness.registry import expect, scenario


def stage(scene, gateways=3, **options):
    """An INVITE that has reached all gateways of a set that forks."""
    caller = scene.endpoint(scene.caller_address())
    peers = [scene.endpoint(scene.gateway_address(number)) for number in range(1, gateways + 1)]
    proxy = scene.tandem(*[peer.address for peer in peers], algorithm="parallel", **options)
    call = Call(caller, proxy.address)
    call.invite()
    invites = [peer.expect("INVITE", what="(all branches at once)") for peer in peers]
    branches = {invite.message.branch for invite in invites}
    expect(len(branches) == gateways, "branches of one fork share a branch parameter")
    return call, peers, invites


def cancelled(peer, invite):
    """A branch that lost: CANCEL, its 200, 487, ACK."""
    cancel = peer.expect("CANCEL", within=1)
    expect(cancel.message.branch == invite.message.branch, "CANCEL has another branch")
    peer.reply(cancel, 200)
    peer.reply(invite, 487)
    peer.expect("ACK")


def refuse(peer, invite, status, **more):
    """A branch that fails; its ACK comes from Tandem itself."""
    peer.reply(invite, status, **more)
    peer.expect("ACK")


@scenario()
def fork_first_answer_wins(scene):
    """The first 200 reaches the caller at once; the branches that still ring are CANCELled; their 487s stay here."""
    call, (first, second, third), invites = stage(scene)
    for peer, invite in zip((first, second, third), invites):
        peer.reply(invite, 180)
        call.expect(180)
    second.reply(invites[1], 200, body=sip.SDP)
    call.expect(200, within=0.5)
    cancelled(first, invites[0])
    cancelled(third, invites[2])
    call.ack()
    second.expect("ACK")
    call.endpoint.expect_nothing(0.7, what="(487s of lost branches must not reach the caller)")
    call.bye()
    second.reply(second.expect("BYE"), 200)
    call.expect(200, "BYE")


@scenario(across=True)
def fork_two_answers(scene):
    """Two branches answer before either is cancelled: both 200s reach the caller (§16.7 step 5), and both ACKs pass."""
    call, (first, second), invites = stage(scene, gateways=2)
    for peer, invite in zip((first, second), invites):
        peer.reply(invite, 180)
        call.expect(180)
    first.reply(invites[0], 200, body=sip.SDP)
    second.reply(invites[1], 200, body=sip.SDP)
    for peer in (first, second):
        call.expect(200)
        call.ack()
    # Each ACK goes to the Contact of the 200 that it answers; the CANCEL of the second may cross.
    first.expect("ACK", skip=("CANCEL",))
    second.expect("ACK", skip=("CANCEL",))


@scenario()
def fork_global_failure(scene):
    """6xx cancels what is pending and wins over everything but 2xx; it goes out when the others have ended."""
    call, (first, second), invites = stage(scene, gateways=2)
    first.reply(invites[0], 180)
    call.expect(180)
    refuse(second, invites[1], 603)
    cancelled(first, invites[0])
    call.ack_failure(call.expect(603))


@scenario()
def fork_best_failure(scene):
    """Of 404, 486 and 503 the caller sees a 4xx, never the 503 and no response twice."""
    call, peers, invites = stage(scene)
    for peer, invite, status in zip(peers, invites, (503, 486, 404)):
        refuse(peer, invite, status)
    final = call.endpoint.receive(2)
    while final is not None and final.message.status < 200:
        final = call.endpoint.receive(2)
    expect(final is not None and final.message.status in (404, 486), f"the caller saw {final and final.message}")
    call.ack_failure(final)
    call.endpoint.expect_nothing(0.6)


@scenario()
def fork_challenges_together(scene):
    """401 and 407 of different branches reach the caller as one response with both challenges (§16.7 step 7)."""
    call, (first, second), invites = stage(scene, gateways=2)
    refuse(first, invites[0], 401, headers=[["WWW-Authenticate", 'Digest realm="one", nonce="1"']])
    refuse(second, invites[1], 407, headers=[["Proxy-Authenticate", 'Digest realm="two", nonce="2"']])
    final = call.endpoint.receive(2)
    while final is not None and final.message.status < 200:
        final = call.endpoint.receive(2)
    expect(final is not None and final.message.status in (401, 407), f"the caller saw {final and final.message}")
    realms = "".join(final.message.all("www-authenticate") + final.message.all("proxy-authenticate"))
    expect('"one"' in realms and '"two"' in realms, f"challenges that reached the caller: {realms}")
    call.ack_failure(final)


@scenario()
def fork_cancelled_by_caller(scene):
    """CANCEL of the caller reaches every branch that rings; one 487 comes back."""
    call, peers, invites = stage(scene)
    for peer, invite in zip(peers, invites):
        peer.reply(invite, 180)
        call.expect(180)
    call.cancel()
    call.expect(200, "CANCEL")
    for peer, invite in zip(peers, invites):
        cancelled(peer, invite)
    call.ack_failure(call.expect(487))
    call.endpoint.expect_nothing(0.6)
