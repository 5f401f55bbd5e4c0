"""What bounds customers' calls beside price: calls that come back from another carrier, destinations, vendors that are full;
what records and explain tell of it."""

import json
import os
import signal

from harness import config, sip
from harness.call import Call
from harness.processes import run, wait_until
from harness.registry import expect, scenario
from harness.tandem import binary

from .class4 import build, trunks

NUMBER = "4930123"


def records(proxy, kind="calls"):
    code, out, err = run([binary(), "cdr", "--config", proxy.file, "--kind", kind, "--format", "json"])
    expect(code == 0, f"`tandem cdr` ended with {code}: {out}{err}")
    return [json.loads(line) for line in out.splitlines()]


def record_of(proxy, call_id):
    """The record of a call, as soon as it is written."""
    find = lambda: next((one for one in records(proxy) if one.get("call_id") == call_id), None)
    return wait_until(find, 5, f"the record of {call_id}")


def story(proxy, call_id):
    code, out, err = run([binary(), "explain", "--config", proxy.file, "--call-id", call_id])
    expect(code == 0, f"`tandem explain --call-id` ended with {code}: {out}{err}")
    return out


def refused(call, status):
    refusal = call.expect(status)
    call.ack_failure(refusal)
    return refusal.message.get("reason")


@scenario()
def loops_and_destinations(scene):
    """A call that comes back from another carrier is refused, both named in record, log and explain; a destination's
    bound holds over two shards beside the customer's own."""
    build(scene, sell="0.02", only="0.01")
    gateway = scene.endpoint(scene.gateway_address(1))
    first, back = (scene.endpoint(scene.caller_address(number)) for number in (1, 2))
    customers = [
        {
            "name": "acme", "carrier": "acme-group", "sources": [first.address[0]],
            "destination": [{"name": "munich", "prefixes": ["4989"], "concurrent": 1}],
        },
        {"name": "bolt", "sources": [back.address[0]]},
    ]
    tree = scene.tree(
        sets=[config.gateway_set("only", [gateway.address])], shards=2,
        tables={**trunks(scene, ("only",), customers), "records": {"dir": str(scene.folder / "records")}},
    )
    proxy = scene.tandem(tree=tree)

    def invite(caller, user, number="442070"):
        call = Call(caller, proxy.address, user=user, caller=number)
        call.invite()
        return call

    call = invite(first, NUMBER)
    there = gateway.expect("INVITE", call_id=call.call_id)
    # On the way back it is another call, which may be on another shard: each of these has its own Call-ID.
    for _ in range(4):
        looped = invite(back, NUMBER)
        expect(refused(looped, 482) == "Q.850;cause=25", "the Reason of a loop")
    expect(proxy.figure("tandem_rejected_total", reason="carrier_loop") == 4, "each loop is counted")
    told = proxy.ask("explain", "--source", back.address[0], "--from", "442070", "--to", NUMBER)
    names = (told["looped"]["customer"], told["looped"]["carrier"], told["refusal"]["status"])
    expect(names == ("acme", "acme-group", 482), f"explain tells {told}")
    gateway.reply(there, 486)
    call.ack_failure(call.expect(486))
    gateway.expect("ACK", call_id=call.call_id)
    record = record_of(proxy, looped.call_id)
    told = [record.get(name) for name in ("customer", "loop_customer", "cause", "status", "called", "caller")]
    expect(told == ["bolt", "acme", "carrier_loop", 482, NUMBER, "442070"], f"the record tells {told}")
    text = story(proxy, looped.call_id)
    expect("of bolt from 442070" in text and "a loop: acme had sent" in text, text)
    wait_until(lambda: "carrier-loop" in proxy.output(), 10, "a line in the log")
    line = next(line for line in proxy.output().splitlines() if "carrier-loop" in line)
    expect(all(word in line for word in ("bolt", "acme-group", NUMBER, "442070")), line)

    held = invite(first, "4989111")
    ringing = gateway.expect("INVITE", call_id=held.call_id)
    full = invite(first, "4989222")
    expect(refused(full, 503) == "Q.850;cause=34", "the Reason of a destination that is full")
    told = proxy.ask("explain", "--source", first.address[0], "--to", "4989333")
    expect(told["destination"] == {"name": "munich", "calls": 1, "concurrent": 1, "cps": None}, f"explain tells {told}")
    expect("this destination" in told["refusal"]["why"], f"explain tells {told['refusal']}")
    other = invite(first, "4930777")
    gateway.reply(gateway.expect("INVITE", call_id=other.call_id), 486)
    other.ack_failure(other.expect(486))
    gateway.reply(ringing, 486)
    held.ack_failure(held.expect(486))
    expect(record_of(proxy, full.call_id)["bound_destination"] == "munich", "the record names the destination")
    expect(proxy.figure("tandem_rejected_total", reason="destination_concurrent") == 1, "it is counted")


@scenario()
def vendors_that_are_passed_over(scene):
    """A vendor at its cap, one that answered 503 for the destination and one whose gateway is down stand so in the record."""
    build(scene, sell="0.02", full="0.001", held="0.002", down="0.003", good="0.004")
    names = ("full", "held", "good")
    gateways = {name: scene.endpoint(scene.gateway_address(number)) for number, name in enumerate(names, 1)}
    sets = [config.gateway_set(name, [gateway.address]) for name, gateway in gateways.items()]
    sets.append(config.gateway_set("down", [scene.gateway_address(9)]))
    caller = scene.endpoint(scene.caller_address(1))
    tables = trunks(scene, ("full", "held", "down", "good"), [{"name": "acme", "sources": [caller.address[0]]}])
    tables["vendor"][0]["concurrent"] = 1
    tables |= {"class4": {"hold_503": "5m"}, "records": {"dir": str(scene.folder / "records")}}
    proxy = scene.tandem(tree=scene.tree(sets=sets, tables=tables))
    proxy.ask("gateways", "disable", next(row["name"] for row in proxy.ask("gateways")["gateways"] if row["set"] == "down"))

    def invite():
        call = Call(caller, proxy.address, user=NUMBER)
        call.invite()
        return call

    holds = invite()
    ringing = gateways["full"].expect("INVITE", call_id=holds.call_id)
    for refuses in (True, False):
        call = invite()
        if refuses:
            gateways["held"].reply(gateways["held"].expect("INVITE", call_id=call.call_id), 503)
        gateways["good"].reply(gateways["good"].expect("INVITE", call_id=call.call_id), 486)
        call.ack_failure(call.expect(486))
    gateways["full"].reply(ringing, 486)
    holds.ack_failure(holds.expect(486))
    record = record_of(proxy, call.call_id)
    standings = [(one["vendor"], one["standing"]) for one in record["choice"]]
    wanted = [
        ("full", "at its cap of calls"), ("held", "answered 503 for this destination lately"),
        ("down", "no gateway that is up"), ("good", "routed"),
    ]
    expect((standings, record["attempts"]) == (wanted, 1), f"the record tells {record}")
    text = story(proxy, call.call_id)
    expect(all(standing in text for _, standing in wanted), text)


def balance(proxy, name):
    return next(one for one in proxy.ask("credit")["accounts"] if one["customer"] == name)


@scenario()
def balances_over_a_crash(scene):
    """A running call ends on both sides when its customer's balance is used up; what was spent up to a kill -9, and by the
    call that runs on, is counted, though the book of balances is older; attempts under way then have a record."""
    build(scene, sell="6", only="0.01")
    gateway = scene.endpoint(scene.gateway_address(1))
    caller = scene.endpoint(scene.caller_address(1))
    customer = {"name": "prepaid", "sources": [caller.address[0]], "credit": True, "end_calls": True}
    tables = {**trunks(scene, ("only",), [customer]), "records": {"dir": str(scene.folder / "records")}}
    tree = scene.tree(sets=[config.gateway_set("only", [gateway.address])], tables=tables)
    proxy = scene.tandem(tree=tree)
    proxy.ask("credit", "add", "prepaid", "0.9")

    def answered(proxy):
        call = Call(caller, proxy.address, user=NUMBER)
        call.invite()
        gateway.reply(gateway.expect("INVITE", call_id=call.call_id), 200, body=sip.SDP)
        call.expect(200)
        call.ack()
        gateway.expect("ACK", call_id=call.call_id)
        return call

    # A tenth a second: four calls cost 0.4 at least, and are over at once.
    for _ in range(4):
        call = answered(proxy)
        call.bye()
        gateway.reply(gateway.expect("BYE", call_id=call.call_id), 200)
        call.expect(200, "BYE")
    record_of(proxy, call.call_id)
    lasting = answered(proxy)
    rings = Call(caller, proxy.address, user=NUMBER)
    rings.invite()
    gateway.reply(gateway.expect("INVITE", call_id=rings.call_id), 180)
    rings.expect(180)
    # An attempt is written within a millisecond, but nothing waits for that.
    files = scene.folder / "records"
    is_written = lambda: any(rings.call_id.encode() in file.read_bytes() for file in files.iterdir() if file.is_file())
    wait_until(is_written, 3, "the attempt under way is written")
    os.kill(proxy.pid, signal.SIGKILL)
    proxy.wait(2)
    proxy = scene.tandem(tree=tree, name="again")
    stands = balance(proxy, "prepaid")
    expect(float(stands["spent"]) >= 0.4 and stands["a_minute"] == "6", f"the account stands at {stands}")

    def told_of_lost():
        lost = [[one for one in records(proxy, kind) if one["call_id"] == rings.call_id] for kind in ("calls", "attempts")]
        return [[(one["cause"], one["vendor"], one["attempt"]) for one in kind] for kind in lost]

    wait_until(lambda: told_of_lost() == [[("lost", "only", 1)]] * 2, 5, "the attempt under way has its records")

    for side in (gateway, caller):
        bye = side.expect("BYE", call_id=lasting.call_id, within=15, skip=(180, "INVITE"))
        expect(bye.message.get("reason") == "Q.850;cause=31", f"Reason: {bye.message.get('reason')}")
        side.reply(bye, 200)
    record = record_of(proxy, lasting.call_id)
    expect((record["closed_by"], record["hung_up"]) == ("no_credit", "us"), f"the record tells {record}")
    wait_until(lambda: balance(proxy, "prepaid")["a_minute"] == "0", 5, "nothing runs")
    stands = balance(proxy, "prepaid")
    sold = sum(float(one["sell_amount"]) for one in records(proxy) if one.get("sell_amount"))
    expect(abs(float(stands["spent"]) - sold) < 0.000001, f"the account stands at {stands}, the records at {sold}")
    refused_call = Call(caller, proxy.address, user=NUMBER)
    refused_call.invite()
    refused(refused_call, 402)


@scenario()
def forks_behind_a_vendor(scene):
    """A second 2xx with another tag is acknowledged and ended; its attempt stands as answered, with number, vendor and cost."""
    build(scene, sell="6", only="0.6")
    gateway = scene.endpoint(scene.gateway_address(1))
    caller = scene.endpoint(scene.caller_address(1))
    tables = trunks(scene, ("only",), [{"name": "acme", "sources": [caller.address[0]]}])
    tables["records"] = {"dir": str(scene.folder / "records")}
    proxy = scene.tandem(tree=scene.tree(sets=[config.gateway_set("only", [gateway.address])], tables=tables))
    call = Call(caller, proxy.address, user=NUMBER)
    call.invite()
    invite = gateway.expect("INVITE", call_id=call.call_id)
    gateway.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    gateway.expect("ACK", call_id=call.call_id)
    gateway.reply(invite, 200, body=sip.SDP, to_tag="other")
    gateway.expect("ACK", call_id=call.call_id)
    bye = gateway.expect("BYE", call_id=call.call_id)
    expect(bye.message.to_tag == "other", f"the BYE is of the dialog {bye.message.to_tag}")
    gateway.reply(bye, 200)
    call.bye()
    gateway.reply(gateway.expect("BYE", call_id=call.call_id), 200)
    call.expect(200, "BYE")
    attempts = wait_until(lambda: (lambda all: all if len(all) == 2 else None)(records(proxy, "attempts")), 5, "two attempts")
    fork = next(one for one in attempts if one.get("closed_by") == "second_answer")
    told = [fork[name] for name in ("attempt", "vendor", "status", "to_tag", "hung_up", "buy_amount", "sell_amount")]
    expect(told == [1, "only", 200, "other", "us", "0.010000", "0.000000"], f"the fork's record tells {fork}")
    expect(fork["duration_us"] > 0 and "parent_call" in fork, f"the fork's record tells {fork}")
