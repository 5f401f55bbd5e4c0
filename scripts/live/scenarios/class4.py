"""Customers' calls over priced vendors: who gets them, who is next, what is refused, and caps over two shards."""

import json
import time

from harness import config
from harness.call import Call
from harness.processes import run
from harness.registry import expect, scenario
from harness.tandem import binary

NUMBER = ["-s", "4930123"]


def build(scene, **decks):
    """Writes decks (a name and its price for a minute to 49) and compiles them into the scenario's image."""
    files = []
    for name, price in decks.items():
        file = scene.folder / f"{name}.csv"
        file.write_text(f"prefix,destination,price\n49,Germany,{price}\n")
        files.append(file)
    code, out, err = run([binary(), "deck", "build", "--force", "-o", scene.folder / "decks.image", *files])
    expect(code == 0, f"`tandem deck build` ended with {code}: {out}{err}")


def trunks(scene, vendors, customers, **more):
    """The tables of a configuration with these customers (options) and vendors (name to gateways)."""
    deck = lambda name: {"name": name, "file": str(scene.folder / f"{name}.csv"), "currency": "USD"}
    return {
        "rating": {"image": str(scene.folder / "decks.image")},
        "deck": [deck(name) for name in ("sell", *vendors)],
        "customer": [{"plan": "p", "deck": "sell", **customer} for customer in customers],
        "vendor": [{"name": name, "set": name, "plans": ["p"], "deck": name, **more} for name in vendors],
    }


@scenario(programs=("sipp",))
def vendors_in_order_of_price(scene):
    """The cheapest vendor refuses and the next answers; a new image turns the order; what we refuse has its cause."""
    build(scene, sell="0.02", cheap="0.01", dear="0.015")
    cheap, dear = scene.gateway(1, "uas_503"), scene.gateway(2)
    sets = [config.gateway_set("cheap", [cheap.address]), config.gateway_set("dear", [dear.address])]
    customer = {"name": "acme", "sources": [scene.caller_address(1)[0], scene.caller_address(2)[0]]}
    tables = {**trunks(scene, ("cheap", "dear"), [customer]), "sources": ["192.0.2.1"]}
    tables["class4"] = {"hold_503": "off"}
    proxy = scene.tandem(tree=scene.tree(sets=sets, tables=tables))
    scene.caller(proxy.address, calls=20, rate=40, words=NUMBER).finish(10)
    expect((cheap.wait_calls(20), dear.wait_calls(20)) == (20, 20), f"{cheap.calls()} and {dear.calls()} attempts of 20 calls")

    build(scene, sell="0.02", cheap="0.01", dear="0.005")
    code, out, err = proxy.reload()
    expect(code == 0 and "image of decks" in out, f"reload ended with {code}: {out}{err}")
    endpoint = scene.endpoint(scene.caller_address(2))
    call = Call(endpoint, proxy.address, user="4930123")
    call.invite()
    call.expect(200, skip=(180,))
    call.ack()
    expect(dear.wait_calls(21) == 21 and cheap.calls() == 20, f"{cheap.calls()} and {dear.calls()} attempts after the reload")

    code, out, err = run([
        binary(), "explain", "--config", proxy.file, "--source", customer["sources"][0], "--to", "4930123", "--format", "json",
    ])
    expect(code == 0, f"explain ended with {code}: {out}{err}")
    told = json.loads(out)
    turns = [(one["turn"], one["vendor"], one["margin"]) for one in told["vendors"]]
    expect(turns == [(1, "dear", "75.00 %"), (2, "cheap", "50.00 %")], f"explain tells {turns}")

    code, out, err = run([binary(), "deck", "rollback", "--config", proxy.file, "--socket", proxy.socket])
    expect(code == 0 and "image of decks" in out, f"`tandem deck rollback` ended with {code}: {out}{err}")
    told = proxy.ask("explain", "--source", customer["sources"][0], "--to", "4930123")
    turns = [(one["turn"], one["vendor"]) for one in told["vendors"]]
    expect(turns == [(1, "cheap"), (2, "dear")], f"after the roll-back explain tells {turns}")

    unpriced = Call(endpoint, proxy.address, user="1212")
    unpriced.invite()
    refusal = unpriced.expect(503)
    unpriced.ack_failure(refusal)
    expect(refusal.message.get("reason") == "Q.850;cause=3", f"Reason: {refusal.message.get('reason')}")
    stranger = scene.endpoint(scene.caller_address(3))
    unknown = Call(stranger, proxy.address, user="4930123")
    unknown.invite()
    unknown.ack_failure(unknown.expect(403))


@scenario(programs=("sipp",))
def caps_over_two_shards(scene):
    """Three times the allowed calls a second over two shards: so many pass as may; never more at once than may."""
    build(scene, sell="0.02", only="0.01")
    gateway = scene.gateway(1)
    customers = [
        {"name": "paced", "sources": [scene.caller_address(1)[0]], "cps": 50, "burst": 5},
        {"name": "bounded", "sources": [scene.caller_address(2)[0]], "concurrent": 3},
    ]
    tables = trunks(scene, ("only",), customers)
    proxy = scene.tandem(tree=scene.tree(sets=[config.gateway_set("only", [gateway.address])], tables=tables, shards=2))
    began = time.monotonic()
    paced = scene.caller(proxy.address, calls=300, rate=150, words=NUMBER)
    paced.wait(10)
    took = time.monotonic() - began
    passed = paced.count("SuccessfulCall")
    expect(90 <= passed <= 50 * took + 5, f"{passed} of 300 calls in {took:.1f} s passed at 50 a second")
    expect(proxy.figure("tandem_rejected_total", reason="customer_cps") == 300 - passed, "each of the others is counted")

    endpoint = scene.endpoint(scene.caller_address(2))
    calls = []
    for _ in range(3):
        call = Call(endpoint, proxy.address, user="4930123")
        call.invite()
        call.expect(200, skip=(180,))
        call.ack()
        calls.append(call)
    one_more = Call(endpoint, proxy.address, user="4930123")
    one_more.invite()
    refusal = one_more.expect(503)
    one_more.ack_failure(refusal)
    expect(refusal.message.get("reason") == "Q.850;cause=34", f"Reason: {refusal.message.get('reason')}")
    calls[0].request("BYE")
    calls[0].expect(200, "BYE")
    again = Call(endpoint, proxy.address, user="4930123")
    again.invite()
    again.expect(200, skip=(180,))
    again.ack()
