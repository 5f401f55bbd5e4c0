"""What makes us no open relay: who may send, what proves a dialog, and what a refused peer leaves behind."""

import json

from harness import sip
from harness.call import Call
from harness.registry import DRIVERS, expect, scenario


def established(scene, **more):
    """A call set up through Tandem, with both ends driven by the scenario."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    proxy = scene.tandem(gateway.address, **more)
    call = Call(caller, proxy.address)
    call.invite()
    invite = gateway.expect("INVITE")
    gateway.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    gateway.expect("ACK")
    return call, gateway, proxy


@scenario(drivers=DRIVERS, across=True)
def forged_in_dialog_request(scene):
    """A To tag proves nothing: an in-dialog request without our Route and without a live call is 403."""
    call, gateway, proxy = established(scene)
    forger = scene.endpoint((scene.ip(150), 5060))
    made = sip.request("BYE", f"sip:x@{sip.hostport(gateway.address)}", forger.address, to_tag="guess", contact=False)
    forger.send(made, proxy.address)
    forger.expect("BYE", 403)
    gateway.expect_nothing(0.5)


@scenario()
def in_dialog_request_of_a_call_from_elsewhere(scene):
    """A BYE with all that a live call has but from another address, without Route, is refused."""
    call, gateway, proxy = established(scene)
    forger = scene.endpoint((scene.ip(150), 5060))
    made = sip.request(
        "BYE", call.remote_target, call.endpoint.address, to=call.uri, call_id=call.call_id,
        from_tag=call.from_tag, to_tag=call.to_tag, cseq=7, contact=False,
    )
    forger.send(made, proxy.address)
    gateway.expect_nothing(0.7, what="(a forged BYE passed)")
    call.bye()
    gateway.reply(gateway.expect("BYE"), 200)
    call.expect(200, "BYE")


@scenario(drivers=DRIVERS)
def replayed_route_with_another_target(scene):
    """A Route that we signed, replayed with a Request-URI of somebody else, is 403; its ACK is dropped."""
    call, gateway, proxy = established(scene)
    victim = scene.endpoint((scene.ip(180), 5060))
    call.remote_target = f"sip:premium@{sip.hostport(victim.address)}"
    call.request("INFO")
    call.expect(403, "INFO")
    call.ack()
    victim.expect_nothing(0.5, what="(we are an open relay)")
    call.endpoint.expect_nothing(0.2)
    gateway.expect_nothing(0.1)


@scenario()
def replayed_route_in_another_call(scene):
    """A Route that we signed for one call does not open another: the MAC covers Call-ID and the initiator's tag."""
    call, gateway, _ = established(scene)
    other = Call(call.endpoint, call.proxy)
    other.to_tag, other.route, other.remote_target = call.to_tag, call.route, call.remote_target
    other.request("INFO")
    other.expect(403, "INFO")
    gateway.expect_nothing(0.3)


@scenario()
def forged_token(scene):
    """A Route with one character of our token changed is 403."""
    call, gateway, _ = established(scene)
    genuine = call.route[0]
    where = genuine.rindex(";lr") if genuine.rindex(";lr") > genuine.index("sip:") + 40 else len(genuine) - 2
    changed = genuine[: where - 1] + ("A" if genuine[where - 1] != "A" else "B") + genuine[where:]
    call.route = [changed]
    # WHY: another address than the call's own, for which the call itself would vouch.
    call.endpoint = scene.endpoint((scene.ip(150), 5060))
    call.request("INFO")
    call.expect(403, "INFO")
    gateway.expect_nothing(0.3)


@scenario()
def stranger_is_dropped(scene):
    """A request from an address of no source group is dropped, an OPTIONS too, and `sources --unknown` tells of it."""
    gateway = scene.endpoint(scene.gateway_address())
    stranger, known = scene.endpoint((scene.ip(150), 5060)), scene.endpoint(scene.caller_address())
    tandem = scene.tandem(gateway.address, tables={"sources": [f"{scene.ip(101)}/32"]})
    stranger.send(sip.request("OPTIONS", f"sip:{sip.hostport(tandem.address)}", stranger.address), tandem.address)
    for _ in range(3):
        Call(stranger, tandem.address, user="4930999").invite()
    stranger.expect_nothing(0.6)
    gateway.expect_nothing(0.1, what="(a stranger's call passed)")
    code, out, err = tandem.control("sources", "--unknown")
    expect(code == 0 and scene.ip(150) in out, f"`tandem sources --unknown` ({code}): {out}{err}")
    expect("4930999" in out and "caller" in out, f"the last From and To are missing: {out}")
    text = json.dumps(tandem.ask("sources", "--unknown"))
    expect(scene.ip(150) in text, f"as JSON: {text}")
    call = Call(known, tandem.address)
    call.complete(gateway)


@scenario()
def stranger_is_forbidden(scene):
    """With `strangers = "403"` a stranger is told, but his OPTIONS is still dropped."""
    gateway = scene.endpoint(scene.gateway_address())
    stranger = scene.endpoint((scene.ip(150), 5060))
    tandem = scene.tandem(gateway.address, tables={"sources": [f"{scene.ip(101)}/32"], "policy": {"strangers": "403"}})
    call = Call(stranger, tandem.address)
    call.invite()
    call.expect(403, within=0.5)
    stranger.send(sip.request("OPTIONS", f"sip:{sip.hostport(tandem.address)}", stranger.address), tandem.address)
    stranger.expect_nothing(0.6, skip=(403,))
    gateway.expect_nothing(0.1)


@scenario()
def options_from_known_peers(scene):
    """OPTIONS to us, with a user part or without, is answered 200."""
    peer = scene.endpoint(scene.caller_address())
    proxy = scene.tandem(scene.gateway_address())
    for uri in (f"sip:{sip.hostport(proxy.address)}", f"sip:ping@{sip.hostport(proxy.address)}"):
        peer.send(sip.request("OPTIONS", uri, peer.address), proxy.address)
        peer.expect("OPTIONS", 200, within=0.5)


@scenario()
def gateway_speaks_in_the_dialog(scene):
    """A gateway that is no source may still send re-INVITE and BYE within its dialog, along the Record-Route."""
    call, gateway, proxy = established(scene, tables={"sources": [f"{scene.ip(101)}/32"]})
    back = sip.request(
        "BYE", f"sip:caller@{sip.hostport(call.endpoint.address)}", gateway.address, to=f"sip:caller@{scene.ip(101)}",
        call_id=call.call_id, from_tag=call.to_tag, to_tag=call.from_tag, route=list(reversed(call.route)), contact=False,
    )
    gateway.send(back, proxy.address)
    bye = call.endpoint.expect("BYE")
    call.endpoint.reply(bye, 200)
    gateway.expect("BYE", 200)
