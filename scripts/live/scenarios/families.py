"""IPv6, both families at once, several listeners, wildcard listeners, and messages larger than the link."""

from harness import config, sip, sipp
from harness.call import Call
from harness.registry import DRIVERS, expect, scenario


@scenario(programs=("sipp",), drivers=DRIVERS, here="bypass-calls-ipv6 does it across a link")
def ipv6_calls(scene):
    """sipp to sipp over IPv6, along the route set."""
    gateway = scene.gateway(scenario="uas_route_set", address=("::1", scene.port(2)))
    proxy = scene.tandem(gateway.address, listen=[("::1", scene.port(1))])
    scene.caller(
        proxy.address, calls=200, rate=100, scenario="uac_route_set", address=("::1", scene.port(3)),
    ).finish(15)
    gateway.wait_calls(200)


@scenario(drivers=DRIVERS, here="::1 is here alone")
def families_bridged(scene):
    """IPv6 caller, IPv4 gateway: two Record-Route values, each for its side, and both sides follow them."""
    caller = scene.endpoint(("::1", scene.port(3)))
    gateway = scene.endpoint(scene.gateway_address())
    listen = [("::1", scene.port(1)), (scene.ip(1), 5060)]
    proxy = scene.tandem(gateway.address, listen=listen, tables={"sources": ["any"]})
    call = Call(caller, listen[0])
    call.invite()
    invite = gateway.expect("INVITE")
    values = invite.message.all("record-route")
    expect(len(values) == 2, f"Record-Route: {values}")
    expect(sip.address_of(values[0]) == listen[1], f"the gateway's side is not on top: {values}")
    expect(sip.address_of(values[1]) == listen[0], f"the caller's side is not below: {values}")
    gateway.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    ack = gateway.expect("ACK")
    expect(ack.message.get("route") is None, f"a Route of ours was left in: {ack.message.all('route')}")
    # The gateway's own request goes the other way round.
    back = sip.request(
        "INFO", f"sip:caller@{sip.hostport(caller.address)}", gateway.address, to=f"sip:caller@{sip.hostport(caller.address)}",
        call_id=call.call_id, from_tag=call.to_tag, to_tag=call.from_tag, route=values, contact=False,
    )
    gateway.send(back, proxy.listen[1])
    info = caller.expect("INFO")
    expect(info.message.get("route") is None, f"a Route of ours was left in: {info.message.all('route')}")
    expect(info.peer == listen[0], f"INFO came from {info.peer}")
    caller.reply(info, 200)
    gateway.expect("INFO", 200)
    call.bye()
    gateway.reply(gateway.expect("BYE"), 200)
    call.expect(200, "BYE")


@scenario(drivers=DRIVERS, across=True)
def wildcard_listener(scene):
    """A listener on 0.0.0.0 answers from the very address that was asked, and says that one in Via."""
    port = scene.port(1)
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    scene.tandem(gateway.address, listen=[("0.0.0.0", port)], tables={"sources": [f"{scene.network}.0/24"]})
    for number in (2, 3):
        asked = (scene.ip(number), port)
        caller.send(sip.request("OPTIONS", f"sip:{sip.hostport(asked)}", caller.address), asked)
        answer = caller.expect("OPTIONS", 200)
        expect(answer.peer == asked, f"asked {asked}, answered by {answer.peer}")


@scenario(across=True)
def two_listeners(scene):
    """With two listeners a set may name the one it sends from; the answer goes back the way the call came."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    outside, inside = (scene.ip(1), 5060), (scene.ip(2), 5060)
    sets = [config.gateway_set("carriers", [gateway.address], listener="inside")]
    tables = {"listen": {"udp": [sip.hostport(outside), {"address": sip.hostport(inside), "name": "inside"}]}}
    scene.tandem(sets=sets, listen=[outside, inside], tables=tables)
    call = Call(caller, outside)
    invite, bye = call.complete(gateway)
    expect(invite.peer == inside, f"the gateway was asked from {invite.peer}")
    expect(bye.peer == inside, f"BYE came from {bye.peer}")


@scenario()
def advertised_address(scene):
    """Behind NAT: `advertise` stands in Via and Record-Route instead of the listener's address."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    listen = (scene.ip(1), 5060)
    tables = {"listen": {"udp": [{"address": sip.hostport(listen), "advertise": "sip.example.net:5060"}]}}
    proxy = scene.tandem(gateway.address, listen=[listen], tables=tables)
    call = Call(caller, proxy.address)
    call.invite()
    invite = gateway.expect("INVITE")
    expect("sip.example.net" in invite.message.get("via"), f"Via: {invite.message.get('via')}")
    expect("sip.example.net" in invite.message.get("record-route"), f"Record-Route: {invite.message.get('record-route')}")
    gateway.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    gateway.expect("ACK")


@scenario(root=True, programs=("ip", "nft"), drivers=DRIVERS, across=True)
def large_messages(scene):
    """Messages up to 60 KB over a link of 1,500 bytes arrive whole, both ways: UDP fragments, without DF."""
    there = scene.far_host()
    with there.entered():
        gateway = scene.endpoint((there.far(1), 5060))
        caller = scene.endpoint((there.far(2), 5060))
    proxy = scene.tandem(gateway.address, listen=[(there.near(), 5060)], tables={"sources": ["any"]})
    for size in (1_200, 1_400, 1_500, 3_000, 9_000, 30_000, 60_000):
        body = (b"a=x-long:" + b"0123456789" * 7 + b"\r\n") * (size // 81 + 1)
        call = Call(caller, proxy.address)
        call.sent = call.request("INVITE", body=body[:size])
        invite = gateway.expect("INVITE", what=f"with a body of {size} bytes")
        expect(invite.message.body == body[:size], f"the body of {size} bytes changed")
        gateway.reply(invite, 200, body=body[:size])
        answer = call.expect(200, what=f"with a body of {size} bytes")
        expect(answer.message.body == body[:size], f"the answer's body of {size} bytes changed")
        call.ack()
        gateway.expect("ACK")


@scenario(root=True, programs=("sipp", "ip", "nft"))
def large_calls(scene):
    """sipp's calls with SDP of 4 KB over the same link: many fragmented datagrams in a row."""
    there = scene.far_host()
    gateway = scene.keep(sipp.Gateway(
        scene.folder, "gateway-1", (there.far(1), 5060), "uas_route_set", prefix=there.prefix(),
    ))
    proxy = scene.tandem(gateway.address, listen=[(there.near(), 5060)], tables={"sources": ["any"]})
    caller = scene.keep(sipp.Caller(
        scene.folder, "caller-1", (there.far(2), 5060), proxy.address, 300, 100, "uac_large_route_set", (), there.prefix(),
    ))
    caller.finish(15)
    gateway.wait_calls(300)
