"""What trunks may and want: identities and headers across their boundary, route lists, hours, 503s, emergencies."""

import json

from harness import config, sip
from harness.call import Call
from harness.endpoint import answers_calls
from harness.processes import run, wait_until
from harness.registry import expect, scenario
from harness.tandem import binary

from .class4 import build, trunks

NUMBER = "4930123"


def table_of(tables, kind, name):
    return next(one for one in tables[kind] if one["name"] == name)


@scenario()
def headers_between_trunks(scene):
    """What a customer says of itself passes as trust allows, and header rules hold with each vendor and both ways."""
    build(scene, sell="0.02", cheap="0.01", dear="0.015")
    cheap, dear = scene.endpoint(scene.gateway_address(1)), scene.endpoint(scene.gateway_address(2))
    sets = [config.gateway_set("cheap", [cheap.address]), config.gateway_set("dear", [dear.address])]
    caller = scene.endpoint(scene.caller_address(1))
    customer = {
        "name": "acme", "sources": [caller.address[0]], "trusted": True, "country": "49",
        "received_headers": [{"remove": "X-Internal"}, {"copy": "X-Ticket", "to": "X-Reference"}],
        "sent_headers": [{"set": "X-Via-Vendor", "value": "{vendor}"}],
    }
    tables = trunks(scene, ("cheap", "dear"), [customer])
    table_of(tables, "vendor", "cheap").update(
        caller_in="p-asserted-identity", sent_headers=[{"set": "X-Trunk", "value": "{customer}>{vendor} {called} {call_id}"}],
    )
    tables["class4"] = {"hold_503": "5m"}
    table_of(tables, "vendor", "dear").update(received_headers=[{"remove": "X-Secret"}])
    proxy = scene.tandem(tree=scene.tree(sets=sets, tables=tables))

    asserted = [["P-Asserted-Identity", "<sip:030777@acme.example>"]]
    more = [["X-Internal", "a"], ["X-Ticket", "b"]]
    call = Call(caller, proxy.address, user=NUMBER)
    call.invite(headers=[*asserted, *more])
    first = cheap.expect("INVITE")
    told = [first.message.get(name) for name in ("p-asserted-identity", "x-internal", "x-reference", "x-trunk")]
    wanted = ["<sip:+4930777@acme.example;user=phone>", None, "b", f"acme>cheap {NUMBER} {call.call_id}"]
    expect(told == wanted, f"the cheap vendor was told {told}")
    cheap.reply(first, 503)
    cheap.expect("ACK")
    second = dear.expect("INVITE")
    told = [second.message.get(name) for name in ("p-asserted-identity", "x-internal", "x-reference", "x-trunk")]
    expect(told == ["<sip:030777@acme.example>", None, "b", None], f"the dear vendor was told {told}")
    dear.reply(second, 200)
    call.expect(200)
    call.ack(headers=more)
    expect(dear.expect("ACK").message.get("x-internal") is None, "X-Internal passed within the dialog")
    back = second.message
    bye = [["X-Secret", "z"]]
    dear.send(hang_up(back, dear.address, bye), proxy.address)
    gone = caller.expect("BYE")
    told = [gone.message.get(name) for name in ("x-secret", "x-via-vendor")]
    expect(told == [None, "dear"], f"the customer was told {told}")
    caller.reply(gone, 200)
    dear.expect("BYE", 200)

    # Held against cheap and Germany: the next call goes to dear at once, and what is withheld is not told.
    call = Call(caller, proxy.address, user=NUMBER)
    call.invite(headers=[*asserted, ["Privacy", "id"]])
    withheld = dear.expect("INVITE")
    expect(withheld.message.get("p-asserted-identity") is None, "a withheld identity was told")
    dear.reply(withheld, 486)
    dear.expect("ACK")
    call.ack_failure(call.expect(486))
    noted = proxy.figure("tandem_events_total", event="vendor_passed_over_for_503")
    expect(noted == 1, f"vendors were passed over {noted} times for a 503")
    states = {row["name"]: row["state"] for row in proxy.ask("gateways")["gateways"]}
    expect(set(states.values()) == {"up"}, f"gateways are {states}")


def hang_up(invite, address, headers):
    """The BYE of who answered: along the Record-Routes of the INVITE as it came."""
    own_tag = "t" + sip.hostport(address).replace(":", "").replace(".", "").strip("[]")
    return sip.request(
        "BYE", sip.uri_of(invite.get("contact")), address, to=sip.uri_of(invite.get("from")), call_id=invite.call_id,
        from_tag=own_tag, to_tag=invite.from_tag, route=invite.all("record-route"), contact=False, headers=headers,
    )


@scenario(across=True)
def emergencies_and_route_lists(scene):
    """An emergency passes whatever the customer may; a route list comes before the price; explain says both."""
    build(scene, sell="0.02", cheap="0.01", dear="0.015")
    cheap, dear = scene.endpoint(scene.gateway_address(1)), scene.endpoint(scene.gateway_address(2))
    sets = [config.gateway_set("cheap", [cheap.address]), config.gateway_set("dear", [dear.address])]
    caller = scene.endpoint(scene.caller_address(1))
    customer = {
        "name": "acme", "sources": [caller.address[0]], "allowed": ["4930"], "cps": 1, "burst": 1,
        "pin": [{"prefixes": ["49301"], "vendors": ["dear"]}],
    }
    tables = trunks(scene, ("cheap", "dear"), [customer])
    tables["class4"] = {"emergency": {"numbers": ["112"], "vendors": ["cheap"]}}
    proxy = scene.tandem(tree=scene.tree(sets=sets, tables=tables))
    for user, vendor in ((NUMBER, dear), ("112", cheap), ("112", cheap)):
        call = Call(caller, proxy.address, user=user)
        call.invite()
        came = vendor.expect("INVITE", what=f"for {user}")
        expect(f"sip:{user}@" in came.message.request_uri, f"the vendor was asked for {came.message.request_uri}")
        vendor.reply(came, 486)
        vendor.expect("ACK")
        call.ack_failure(call.expect(486))
    barred = Call(caller, proxy.address, user="4989123")
    barred.invite()
    barred.ack_failure(barred.expect(403))
    expect(proxy.figure("tandem_events_total", event="emergency_call") == 2, "emergencies are counted")

    def explain(number):
        words = ["--config", proxy.file, "--source", caller.address[0], "--to", number, "--format", "json"]
        code, out, err = run([binary(), "explain", *words])
        expect(code == 0, f"explain ended with {code}: {out}{err}")
        return json.loads(out)

    turns = [(one["turn"], one["vendor"], one["pinned"]) for one in explain(NUMBER)["vendors"]]
    expect(turns == [(1, "dear", True), (2, "cheap", False)], f"explain tells {turns}")
    urgent = explain("112")
    expect((urgent["emergency"], urgent["refusal"]) == (["cheap"], None), f"explain tells {urgent}")


@scenario()
def balances_of_customers(scene):
    """A prepaid customer pays in, calls until nothing is left, and finds its balance again after a restart; numbers
    dialled through shut it out until it is let in again."""
    build(scene, sell="6", only="0.01")
    gateway = scene.answering(scene.gateway_address(1), answers_calls())
    customers = [
        {"name": "prepaid", "sources": [scene.caller_address(1)[0]], "credit": True},
        {"name": "scanner", "sources": [scene.caller_address(2)[0]], "alarms": {"sequential": 4, "action": "block"}},
    ]
    tables = trunks(scene, ("only",), customers)
    tree = scene.tree(sets=[config.gateway_set("only", [gateway.address])], tables=tables)
    proxy = scene.tandem(tree=tree)
    prepaid, scanner = (scene.endpoint(scene.caller_address(number)) for number in (1, 2))

    def call(caller, status, user=NUMBER):
        made = Call(caller, proxy.address, user=user)
        made.invite()
        answer = made.expect(status, skip=(180,))
        if status < 300:
            made.ack()
        else:
            made.ack_failure(answer)
        return made

    def balance(name):
        return next(one for one in proxy.ask("credit")["accounts"] if one["customer"] == name)

    call(prepaid, 402)
    expect(proxy.ask("credit", "add", "prepaid", "0.15")["accounts"][0]["balance"] == "0.15", "0.15 were paid in")
    lasting = call(prepaid, 200)
    # A tenth a second: used up while it runs, whoever ends it.
    wait_until(lambda: balance("prepaid")["balance"].startswith("-"), 5, "the balance is used up")
    call(prepaid, 402)
    lasting.bye()
    lasting.expect(200, "BYE")
    spent = balance("prepaid")
    expect(spent["a_minute"] == "0" and float(spent["spent"]) >= 0.2, f"the account stands at {spent}")
    proxy.ask("credit", "set", "prepaid", "7.5")

    for number in range(3):
        call(scanner, 200, user=f"493012{number}").bye()
    call(scanner, 403, user="4930123")
    call(scanner, 403, user="4989555")
    expect(balance("scanner")["alarms"] == 1, "an alarm is counted")
    proxy.ask("credit", "unblock", "scanner")
    call(scanner, 200, user="4989555").bye()

    proxy.terminate()
    proxy = scene.tandem(tree=tree, name="again")
    again = balance("prepaid")
    expect((again["balance"], again["spent"]) == ("7.5", spent["spent"]), f"after the restart it stands at {again}")
    call(prepaid, 200).bye()


@scenario()
def ported_numbers(scene):
    """The routing number is asked of a redirect server, once; when it is silent the call goes by the dialled number."""
    build(scene, sell="0.02", only="0.01")
    gateway = scene.endpoint(scene.gateway_address(1))
    asked = []

    def redirects(peer, packet):
        if not packet.message.is_request or packet.message.method != "INVITE":
            return
        number = packet.message.request_uri.split("@")[0]
        asked.append(number)
        if not number.endswith("9"):
            contact = [["Contact", f"<{number};rn=+4989000;npdi@192.0.2.1>"]]
            peer.endpoint.reply(packet, 302, headers=contact)

    redirect = scene.answering(scene.gateway_address(2), redirects)
    caller = scene.endpoint(scene.caller_address(1))
    tables = trunks(scene, ("only",), [{"name": "acme", "sources": [caller.address[0]]}])
    tables["class4"] = {"lnp": {"servers": [sip.hostport(redirect.address)], "timeout": "2s"}}
    proxy = scene.tandem(tree=scene.tree(sets=[config.gateway_set("only", [gateway.address])], tables=tables))
    for number, wanted in (("4930120", ";rn=+4989000;npdi"), ("4930120", ";rn=+4989000;npdi"), ("4930129", "")):
        call = Call(caller, proxy.address, user=number)
        call.invite()
        came = gateway.expect("INVITE", within=5.0)
        expect(f"sip:{number}{wanted}@" in came.message.request_uri, f"the vendor was asked for {came.message.request_uri}")
        gateway.reply(came, 486)
        gateway.expect("ACK")
        call.ack_failure(call.expect(486))
    expect(asked == ["sip:+4930120", "sip:+4930129"], f"the redirect server was asked for {asked}")
    counts = [proxy.figure("tandem_events_total", event=event) for event in ("number_ported", "number_dip_failed")]
    expect(counts == [2, 1], f"{counts} ported numbers and failed dips")

    told = proxy.ask("explain", "--source", caller.address[0], "--to", "4930123")
    row = told["vendors"][0]
    expect((told["routing_asked"], row["turn"], row["live"]["gateways"]) == (True, 1, [1, 1]), f"explain tells {told}")
