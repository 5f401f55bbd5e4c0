"""Plain calls: sipp's own scenarios, Record-Route followed by both sides, and the bytes of one call."""

from harness import sip
from harness.call import Call
from harness.registry import DRIVERS, expect, scenario


@scenario(programs=("sipp",), drivers=DRIVERS, across=True)
def plain_calls(scene):
    """`sipp -sn uac` through Tandem to `sipp -sn uas`: in-dialog requests without Route simply work."""
    gateway = scene.gateway()
    proxy = scene.tandem(gateway.address)
    scene.caller(proxy.address, calls=500, rate=150).finish(15)
    gateway.wait_calls(500)


@scenario(programs=("sipp",), drivers=DRIVERS, across=True)
def record_routed_calls(scene):
    """Both sides follow Record-Route: the caller's ACK and BYE pass along our Route."""
    gateway = scene.gateway(scenario="uas_route_set")
    proxy = scene.tandem(gateway.address)
    scene.caller(proxy.address, calls=300, rate=150, scenario="uac_route_set", words=("-d", "100")).finish(15)
    gateway.wait_calls(300)


@scenario(programs=("sipp",))
def gateway_hangs_up(scene):
    """The gateway's BYE comes back along Record-Route, from the far side of the dialog."""
    gateway = scene.gateway(scenario="uas_hangs_up")
    proxy = scene.tandem(gateway.address)
    scene.caller(proxy.address, calls=200, rate=100, scenario="uac_hung_up_on").finish(15)


@scenario(programs=("sipp",))
def busy_calls(scene):
    """486 goes to the caller unchanged, and its ACK ends at Tandem, whose own ACK ends it at the gateway."""
    gateway = scene.gateway(scenario="uas_486")
    proxy = scene.tandem(gateway.address)
    scene.caller(proxy.address, calls=200, rate=100, scenario="uac_refused").finish(15)
    gateway.wait_calls(200)


@scenario(drivers=DRIVERS, across=True)
def one_call_byte_exact(scene):
    """What no rule touches passes byte for byte; Via, Max-Forwards, Record-Route and Request-URI are as §16.6 says."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    proxy = scene.tandem(gateway.address)
    call = Call(caller, proxy.address, headers=[["X-Odd", 'a  b;;,"c"\t<d>'], ["s", "compact subject"]])
    invite, bye = call.complete(gateway)
    seen = invite.message
    expect(seen.get("max-forwards") == "69", f"Max-Forwards: {seen.get('max-forwards')}")
    vias = seen.all("via")
    expect(len(vias) == 2, f"{len(vias)} Vias")
    expect("rport" in vias[0] and sip.parameter(vias[0], "branch").startswith("z9hG4bK"), f"our Via: {vias[0]}")
    expect(f"rport={caller.address[1]}" in vias[1], f"the caller's Via has no filled rport: {vias[1]}")
    expect(seen.request_uri == f"sip:15551234@{sip.hostport(gateway.address)}", f"Request-URI {seen.request_uri}")
    expect(b'X-Odd: a  b;;,"c"\t<d>\r\n' in invite.data and b"s: compact subject\r\n" in invite.data, "a header changed")
    expect(seen.body == sip.SDP, "the body changed")
    record_route = seen.all("record-route")
    expect(len(record_route) == 1 and ";lr" in record_route[0], f"Record-Route: {record_route}")
    expect(bye.message.get("route") is None, f"our own Route was left in: {bye.message.get('route')}")
    expect(bye.message.request_uri == f"sip:{sip.hostport(gateway.address)}", f"BYE to {bye.message.request_uri}")


@scenario()
def hundred_comes_at_once(scene):
    """Our own 100 answers an INVITE before any gateway does, without a To tag, and not to a retransmission's gateway."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    proxy = scene.tandem(gateway.address)
    call = Call(caller, proxy.address)
    call.invite()
    trying = caller.expect("INVITE", 100, within=0.2)
    expect(trying.message.to_tag is None, f"100 with a To tag: {trying.message.get('to')}")
    invite = gateway.expect("INVITE")
    call.again()
    caller.expect("INVITE", 100, within=0.2)
    gateway.expect_nothing(0.3, what="(the retransmission ends at Tandem)")
    gateway.reply(invite, 486)
    failure = call.expect(486)
    call.ack_failure(failure)
    gateway.expect("ACK")


@scenario()
def unknown_method_passes(scene):
    """A method that nobody knows is forwarded like any other request (§16.2)."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    proxy = scene.tandem(gateway.address)
    call = Call(caller, proxy.address)
    call.request("FROBNICATE")
    seen = gateway.expect("FROBNICATE")
    gateway.reply(seen, 200)
    call.expect(200, "FROBNICATE")
