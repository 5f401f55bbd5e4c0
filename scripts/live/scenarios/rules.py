"""Rules of RFC 3261 §16 that one request shows: limits on forwarding, loops, extensions, redirects, repeated requests."""

import time

from harness import sip
from harness.call import Call
from harness.registry import expect, scenario


def stage(scene, **options):
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    proxy = scene.tandem(gateway.address, **options)
    return Call(caller, proxy.address), gateway, proxy


@scenario()
def max_forwards(scene):
    """Max-Forwards 0 is 483, 1 passes as 0, and a request without it gets 70 (§16.3, §16.6 step 3)."""
    call, gateway, proxy = stage(scene)
    call.invite(max_forwards=0)
    call.ack_failure(call.expect(483))
    second = Call(call.endpoint, proxy.address)
    second.invite(max_forwards=1)
    invite = gateway.expect("INVITE")
    expect(invite.message.get("max-forwards") == "0", f"Max-Forwards: {invite.message.get('max-forwards')}")
    gateway.reply(invite, 486)
    gateway.expect("ACK")
    second.ack_failure(second.expect(486))
    third = sip.request("INVITE", call.uri, call.endpoint.address)
    third.headers = [header for header in third.headers if header[0] != "Max-Forwards"]
    call.endpoint.send(third, proxy.address)
    invite = gateway.expect("INVITE")
    expect(invite.message.get("max-forwards") == "70", f"Max-Forwards: {invite.message.get('max-forwards')}")
    gateway.reply(invite, 486)


@scenario()
def proxy_require(scene):
    """Proxy-Require with an extension that we lack is 420 with Unsupported; Require is not ours to judge (§16.3)."""
    call, gateway, proxy = stage(scene)
    call.invite(headers=[["Proxy-Require", "x-nothing-like-it"]])
    failure = call.expect(420)
    expect("x-nothing-like-it" in (failure.message.get("unsupported") or ""), f"Unsupported: {failure.message.get('unsupported')}")
    call.ack_failure(failure)
    second = Call(call.endpoint, proxy.address)
    second.invite(headers=[["Require", "x-nothing-like-it"]])
    gateway.reply(gateway.expect("INVITE"), 486)


@scenario()
def loop_detected(scene):
    """A gateway that sends the INVITE back unchanged: it spirals once, then is 482 (RFC 5393), long before 483."""
    call, gateway, proxy = stage(scene)
    call.invite()
    turns = 0
    while turns < 5:
        packet = gateway.receive(1)
        expect(packet is not None, f"nothing came back after {turns} turns")
        if packet.message.is_request and packet.message.method == "INVITE":
            back = packet.message
            back.headers.insert(0, ["Via", f"SIP/2.0/UDP {sip.hostport(gateway.address)};branch=z9hG4bKturn{turns}"])
            gateway.send(back, proxy.address)
            turns += 1
        elif packet.message.status == 482:
            return
        else:
            expect(packet.message.status == 100, f"`{packet.message}` came back")
    expect(False, f"the loop went round {turns} times")


@scenario()
def redirect_passes(scene):
    """302 goes to the caller with its Contact: we do not recurse."""
    call, gateway, _ = stage(scene)
    call.invite()
    invite = gateway.expect("INVITE")
    gateway.reply(invite, 302, headers=[["Contact", "<sip:other@192.0.2.1>"]])
    gateway.expect("ACK")
    moved = call.expect(302)
    expect(moved.message.get("contact") == "<sip:other@192.0.2.1>", f"Contact: {moved.message.get('contact')}")
    call.ack_failure(moved)


@scenario(across=True)
def repeated_requests(scene):
    """A repeated BYE reaches the gateway once and draws the same answer again; a repeated 200 passes, and so does its ACK."""
    call, gateway, _ = stage(scene)
    call.invite()
    invite = gateway.expect("INVITE")
    answer = gateway.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    gateway.expect("ACK")
    gateway.send(answer, invite.peer)
    call.expect(200)
    call.ack()
    gateway.expect("ACK")
    bye = call.bye()
    seen = gateway.expect("BYE")
    call.endpoint.send(bye, call.proxy)
    gateway.expect_nothing(0.3, what="(the repeated BYE)")
    gateway.reply(seen, 200)
    call.expect(200, "BYE")
    call.endpoint.send(bye, call.proxy)
    call.expect(200, "BYE")
    gateway.expect_nothing(0.3, what="(the BYE repeated after its answer)")


@scenario()
def failure_repeated_until_acknowledged(scene):
    """A final failure is sent again until its ACK comes (Timer G), and then no more."""
    call, gateway, _ = stage(scene)
    call.invite()
    gateway.reply(gateway.expect("INVITE"), 486)
    gateway.expect("ACK")
    first, second, third = (call.expect(486) for _ in range(3))
    expect(0.4 < second.at - first.at < 0.6, f"first repetition after {second.at - first.at:.2f} s")
    expect(0.9 < third.at - second.at < 1.1, f"second repetition after {third.at - second.at:.2f} s")
    call.ack_failure(third)
    call.endpoint.expect_nothing(2.3, what="(the ACK had come)")


@scenario()
def silence_after_other_requests(scene):
    """A request other than INVITE that no gateway answers draws no 408 (RFC 4320), and is repeated by T1 and T2."""
    call, gateway, _ = stage(scene, no_response_timeout="off", tables={"timers": {"t1": "100ms", "t2": "400ms", "timer_f": "2s"}})
    call.request("MESSAGE")
    began = time.monotonic()
    copies = 0
    while time.monotonic() - began < 2.5:
        packet = gateway.receive(0.2)
        if packet is not None:
            expect(packet.message.method == "MESSAGE", f"`{packet.message}` came")
            copies += 1
    expect(5 <= copies <= 9, f"{copies} copies in 2 s")
    call.endpoint.expect_nothing(1, skip=(100,), what="(RFC 4320 §4.2: no 408 to a request other than INVITE)")


@scenario()
def timer_c_ends_endless_ringing(scene):
    """A call that rings without an end is cancelled by Timer C, and the caller gets a final response (§16.8)."""
    call, gateway, _ = stage(scene, tables={"timers": {"timer_b": "5s", "timer_c": "10s"}})
    call.invite()
    invite = gateway.expect("INVITE")
    gateway.reply(invite, 180)
    call.expect(180)
    cancel = gateway.expect("CANCEL", within=12)
    expect(9 < cancel.at - invite.at < 12, f"CANCEL after {cancel.at - invite.at:.1f} s")
    gateway.reply(cancel, 200)
    gateway.reply(invite, 487)
    gateway.expect("ACK")
    final = call.endpoint.receive(1)
    expect(final is not None and final.message.status in (408, 487), f"the caller saw {final and final.message}")
    call.ack_failure(final)


@scenario()
def own_route_removed(scene):
    """A preloaded Route that names us is removed (§16.4); an out-of-dialog request with one is routed as any other."""
    call, gateway, proxy = stage(scene)
    call.invite(route=[f"<sip:{sip.hostport(proxy.address)};lr>"])
    invite = gateway.expect("INVITE")
    expect(invite.message.get("route") is None, f"Route: {invite.message.all('route')}")
    gateway.reply(invite, 486)
    gateway.expect("ACK")
    call.ack_failure(call.expect(486))
