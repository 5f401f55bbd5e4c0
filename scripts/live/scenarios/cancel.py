"""CANCEL in every race (RFC 3261 §9, §16.10): before a 1xx, while it rings, crossing a 200, alone, forged, repeated."""

from harness import sip
from harness.call import Call
from harness.registry import DRIVERS, expect, scenario


def stage(scene):
    """A caller, a gateway and what stands between them, with an INVITE at the gateway."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    proxy = scene.tandem(gateway.address)
    call = Call(caller, proxy.address)
    call.invite()
    return call, gateway, gateway.expect("INVITE"), proxy


def end_cancelled(call, gateway, invite):
    """The gateway has been cancelled: 200 to CANCEL and 487 from it, 487 to the caller, both ACKs."""
    cancel = gateway.expect("CANCEL")
    expect(cancel.message.branch == invite.message.branch, "CANCEL has another branch than the INVITE it ends (§9.1)")
    expect(cancel.message.request_uri == invite.message.request_uri, "CANCEL has another Request-URI than its INVITE")
    expect(len(cancel.message.all("via")) == 1, f"CANCEL is hop by hop, but has {len(cancel.message.all('via'))} Vias")
    gateway.reply(cancel, 200)
    gateway.reply(invite, 487)
    ack = gateway.expect("ACK")
    expect(ack.message.branch == invite.message.branch, "the ACK of a failure has the INVITE's branch (§17.1.1.3)")
    failure = call.expect(487)
    call.ack_failure(failure)


@scenario(drivers=DRIVERS, across=True)
def cancel_while_ringing(scene):
    """CANCEL after 180: 200 to it at once, CANCEL to the gateway, 487 to the caller, ACKs hop by hop."""
    call, gateway, invite, _ = stage(scene)
    gateway.reply(invite, 180)
    call.expect(180)
    call.cancel()
    call.expect(200, "CANCEL", within=0.5)
    end_cancelled(call, gateway, invite)
    gateway.expect_nothing(0.6, what="(the call is over)")
    call.endpoint.expect_nothing(0.6, what="(the ACK ended the 487)")


@scenario()
def cancel_before_ringing(scene):
    """CANCEL before any 1xx of the gateway waits for one (§9.1), and goes out as soon as it comes."""
    call, gateway, invite, _ = stage(scene)
    call.cancel()
    call.expect(200, "CANCEL", within=0.5)
    # Retransmissions of the INVITE may come meanwhile, but no CANCEL.
    gateway.expect_nothing(0.7, skip=("INVITE",), what="(no CANCEL before a 1xx)")
    gateway.reply(invite, 180)
    cancel = gateway.expect("CANCEL", within=0.5, skip=("INVITE",))
    expect(cancel.message.branch == invite.message.branch, "CANCEL has another branch")
    gateway.reply(cancel, 200)
    gateway.reply(invite, 487)
    gateway.expect("ACK")
    call.ack_failure(call.expect(487, skip=(180,)))


@scenario()
def cancel_crosses_answer(scene):
    """CANCEL and 200 cross on the wire: the 200 goes to the caller, who ends the call with ACK and BYE."""
    call, gateway, invite, _ = stage(scene)
    gateway.reply(invite, 180)
    call.expect(180)
    call.cancel()
    gateway.reply(invite, 200, body=sip.SDP)
    answered = set()
    while answered != {"CANCEL", "INVITE"}:
        packet = call.endpoint.receive(2)
        expect(packet is not None, f"answers came only to {answered}")
        if packet.message.status == 200:
            answered.add(packet.message.method)
            if packet.message.method == "INVITE":
                call.adopt(packet.message)
    cancel = gateway.expect("CANCEL")
    gateway.reply(cancel, 200)
    call.ack()
    gateway.expect("ACK")
    call.bye()
    bye = gateway.expect("BYE")
    gateway.reply(bye, 200)
    call.expect(200, "BYE")


@scenario()
def cancel_of_nothing(scene):
    """CANCEL that matches no transaction is answered 481, or passed on statelessly with a Via of ours (§16.10)."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    proxy = scene.tandem(gateway.address)
    call = Call(caller, proxy.address)
    call.sent = sip.request("INVITE", call.uri, caller.address, call_id=call.call_id, from_tag=call.from_tag)
    call.cancel()
    passed_on = gateway.receive(0.5)
    if passed_on is None:
        call.expect(481, "CANCEL", within=0.5)
    else:
        expect(passed_on.message.method == "CANCEL", f"`{passed_on.message}` came of a CANCEL")
        expect(len(passed_on.message.all("via")) == 2, "passed on without a Via of ours")


@scenario()
def cancel_repeated(scene):
    """A retransmitted CANCEL gets its 200 again and reaches the gateway once."""
    call, gateway, invite, _ = stage(scene)
    gateway.reply(invite, 180)
    call.expect(180)
    first = call.cancel()
    call.expect(200, "CANCEL")
    cancel = gateway.expect("CANCEL")
    call.endpoint.send(first, call.proxy)
    call.expect(200, "CANCEL", within=0.5)
    gateway.reply(cancel, 200)
    gateway.reply(invite, 487)
    gateway.expect("ACK")
    call.ack_failure(call.expect(487))


@scenario()
def cancel_forged(scene):
    """A CANCEL that copies everything but comes from another address does nothing; the call goes on."""
    call, gateway, invite, proxy = stage(scene)
    gateway.reply(invite, 180)
    call.expect(180)
    forger = scene.endpoint((scene.ip(200), 5060))
    forged = sip.request(
        "CANCEL", call.sent.request_uri, call.endpoint.address, to=call.uri, call_id=call.call_id,
        from_tag=call.from_tag, contact=False, branch=call.sent.branch,
    )
    forger.send(forged, proxy.address)
    gateway.expect_nothing(0.7, what="(a forged CANCEL passed)")
    gateway.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    gateway.expect("ACK")


@scenario()
def cancel_from_another_port(scene):
    """A CANCEL from the caller's address but another port counts: only the address must match."""
    call, gateway, invite, proxy = stage(scene)
    gateway.reply(invite, 180)
    call.expect(180)
    second = scene.endpoint((call.endpoint.address[0], 5080))
    second.send(sip.request(
        "CANCEL", call.sent.request_uri, call.endpoint.address, to=call.uri, call_id=call.call_id,
        from_tag=call.from_tag, contact=False, branch=call.sent.branch,
    ), proxy.address)
    second.expect("CANCEL", 200, within=0.5)
    end_cancelled(call, gateway, invite)


@scenario(programs=("sipp",), drivers=DRIVERS)
def cancelled_calls(scene):
    """300 calls that sipp gives up while they ring, one after another and many at once."""
    gateway = scene.gateway(scenario="uas_cancelled")
    proxy = scene.tandem(gateway.address)
    scene.caller(proxy.address, calls=300, rate=100, scenario="uac_cancels").finish(15)
    gateway.wait_calls(300)
