"""Changes under load: reload and SIGHUP, broken files, a thousand reloads, gateways taken out by name, drain."""

import copy
import re
import signal
import time

from harness import config, sip
from harness.call import Call
from harness.endpoint import answers_calls
from harness.processes import wait_until
from harness.registry import expect, scenario


def weighted(scene, *weights):
    """A configuration of one set whose gateways have these weights, in order."""
    entries = [config.gateway(scene.gateway_address(number), weight=weight) for number, weight in enumerate(weights, 1)]
    return scene.tree(entries)


def share(gateway, before):
    return gateway.calls() - before


@scenario(programs=("sipp",), seconds=40)
def reload_weights_under_load(scene):
    """New weights hold at once, by command and by SIGHUP, the difference is shown, and no call fails."""
    gateways = [scene.gateway(number) for number in (1, 2)]
    tandem = scene.tandem(tree=weighted(scene, 50, 50))
    caller = scene.caller(tandem.address, calls=2_400, rate=200)
    caller.wait_created(600, 10)
    code, out, err = tandem.reload(weighted(scene, 90, 10))
    expect(code == 0, f"reload ended with {code}: {err}")
    expect("90" in out and "weight" in out, f"the difference is not shown: {out}")
    time.sleep(1.2)
    before = [gateway.calls() for gateway in gateways]
    time.sleep(3)
    heavy, light = (share(gateway, count) for gateway, count in zip(gateways, before))
    expect(heavy > 6 * light > 0, f"after 90/10 the shares are {heavy} and {light}")
    tandem.write(weighted(scene, 10, 90))
    tandem.signal(signal.SIGHUP)
    time.sleep(1.5)
    before = [gateway.calls() for gateway in gateways]
    time.sleep(2.2)
    heavy, light = (share(gateway, count) for gateway, count in zip(gateways, before))
    expect(light > 6 * heavy, f"after SIGHUP with 10/90 the shares are {heavy} and {light}")
    caller.finish(20)


@scenario(programs=("sipp",), seconds=30)
def reload_of_broken_files_under_load(scene):
    """A broken file changes nothing, is refused with its place, by SIGHUP logged; calls go on."""
    gateways = [scene.gateway(number) for number in (1, 2)]
    good = weighted(scene, 50, 50)
    tandem = scene.tandem(tree=good)
    caller = scene.caller(tandem.address, calls=1_000, rate=200)
    caller.wait_created(200, 10)
    for text, said in (
        ("[listen\n", "tandem.toml:1"),
        (config.text_of(good).replace("weight = 50", "wieght = 50"), "wieght"),
        (config.text_of(good).replace('name = "carriers"', 'name = "carriers"\noverflow = "nowhere"'), "nowhere"),
        ("", ""),
    ):
        code, out, err = tandem.reload(text)
        expect(code != 0 and said in out + err, f"a broken file was taken, or not named: exit {code}: {out}{err}")
    before = len(tandem.output())
    tandem.write("nonsense = ")
    tandem.signal(signal.SIGHUP)
    wait_until(lambda: re.search(r"(?i)error|refused|invalid|bad", tandem.output()[before:]), 3, "a word in the log about the broken file")
    caller.finish(15)
    wait_until(lambda: sum(gateway.calls() for gateway in gateways) >= 1_000, 4, "1,000 calls at the gateways", 0.1)
    counts = [gateway.calls() for gateway in gateways]
    expect(min(counts) > 480, f"shares of 50/50: {counts}")
    rows = tandem.ask("gateways")["gateways"]
    expect([row["weight"] for row in rows] == [50, 50], f"something changed: {rows}")


@scenario()
def reload_that_takes_too_much(scene):
    """A file that empties a set or takes more than half of all gateways is refused unless forced; --previous goes back."""
    tandem = scene.tandem(tree=weighted(scene, 1, 1, 1, 1, 1))
    code, out, err = tandem.reload(weighted(scene, 1, 1))
    expect(code != 0 and "force" in out + err, f"three of five gateways went: exit {code}: {out}{err}")
    expect(len(tandem.ask("gateways")["gateways"]) == 5, "something changed")
    code, out, err = tandem.reload(weighted(scene, 1, 1), "--force")
    expect(code == 0, f"--force: exit {code}: {out}{err}")
    expect(len(tandem.ask("gateways")["gateways"]) == 2, "the forced reload changed nothing")
    code, out, err = tandem.control("reload", "--previous")
    expect(code == 0, f"--previous: exit {code}: {out}{err}")
    expect(len(tandem.ask("gateways")["gateways"]) == 5, "--previous did not go back")


@scenario()
def reload_says_what_needs_a_restart(scene):
    """Pool sizes and listeners do not change under load; the reload says so, and everything else holds."""
    tree = weighted(scene, 1, 1)
    tandem = scene.tandem(tree=tree)
    changed = copy.deepcopy(tree)
    changed["limits"]["calls_per_shard"] = 20_000
    changed["set"][0]["gateways"][0]["weight"] = 3
    code, out, err = tandem.reload(changed)
    expect(code == 0 and "calls_per_shard" in out and "restart" in out, f"exit {code}: {out}{err}")
    expect(tandem.ask("gateways")["gateways"][0]["weight"] == 3, "the weight did not change")


@scenario(programs=("sipp",), seconds=60, here="measures what reloads leave behind, which is the same on every driver")
def thousand_reloads_under_load(scene):
    """1,000 reloads, weights changing each time, while calls run: none fails, and the memory stays."""
    gateways = [scene.gateway(number) for number in (1, 2)]
    tandem = scene.tandem(tree=weighted(scene, 50, 50), small=True)
    caller = scene.caller(tandem.address, calls=4_000, rate=150)
    caller.wait_created(150, 10)
    memory = resident_kibibytes(tandem)
    done = 0
    with_socket = tandem.connection()
    while done < 1_000:
        tandem.write(weighted(scene, 10 + done % 80, 90 - done % 80))
        reply = with_socket.call("reload", force=False, previous=False)
        expect("error" not in reply, f"reload {done}: {reply}")
        done += 1
    expect(caller.running(), "the load ended before the reloads")
    caller.finish(40)
    grown = resident_kibibytes(tandem) - memory
    expect(grown < 64 * 1024, f"1,000 reloads grew the process by {grown} KiB")
    expect(sum(gateway.wait_calls(1) for gateway in gateways) > 0, "no calls")


def resident_kibibytes(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


@scenario()
def gateways_by_name(scene):
    """disable, drain and enable of a gateway by name: kept over reload and restart, with who and why."""
    peers = [scene.answering(scene.gateway_address(number), answers_calls()) for number in (1, 2)]
    caller = scene.endpoint(scene.caller_address())
    tree = weighted(scene, 1, 1)
    tree["set"][0]["gateways"][0]["name"] = "one"
    tandem = scene.tandem(tree=tree)
    for action, state in (("disable", "disabled"), ("drain", "draining")):
        code, out, err = tandem.control("gateways", action, "one", "--why", "ticket 7")
        expect(code == 0 and "one" in out, f"{action}: exit {code}: {out}{err}")
        row = tandem.ask("gateways")["gateways"][0]
        expect(row["state"] == state and row["admin"]["why"] == "ticket 7" and row["admin"]["who"], f"after {action}: {row}")
        before = len(peers[0].calls())
        for _ in range(6):
            call = Call(caller, tandem.address)
            call.invite()
            call.expect(200, skip=(180,))
            call.ack()
        expect(len(peers[0].calls()) == before, f"a gateway after {action} got calls")
    code, _, err = tandem.reload(tree)
    expect(code == 0 and tandem.ask("gateways")["gateways"][0]["state"] == "draining", f"a reload forgot the decision: {err}")
    code, took = tandem.terminate()
    expect(code == 0, f"exit {code} after {took:.1f} s")
    again = scene.tandem(tree=tree, name="again")
    row = again.ask("gateways")["gateways"][0]
    expect(row["state"] == "draining" and row["admin"]["why"] == "ticket 7", f"a restart forgot the decision: {row}")
    code, _, err = again.control("gateways", "enable", "one")
    expect(code == 0 and again.ask("gateways")["gateways"][0]["state"] in ("up", "trying"), f"enable: {err}")
    code, out, err = again.control("gateways", "disable", "nobody")
    expect(code == 1 and "nobody" in out + err, f"an unknown gateway: exit {code}: {out}{err}")


@scenario()
def drain_and_undrain(scene):
    """`tandem drain`: OPTIONS get 503 at once, new calls are carried for a while and then get 503; `undrain` ends it."""
    gateway = scene.endpoint(scene.gateway_address())
    caller = scene.endpoint(scene.caller_address())
    tandem = scene.tandem(gateway.address, tables={"drain_new_calls_seconds": 2})

    def options():
        caller.send(sip.request("OPTIONS", f"sip:{sip.hostport(tandem.address)}", caller.address), tandem.address)
        return caller.receive(1).message.status

    established = Call(caller, tandem.address)
    established.invite()
    invite = gateway.expect("INVITE")
    gateway.reply(invite, 200, body=sip.SDP)
    established.expect(200)
    established.ack()
    gateway.expect("ACK")
    expect(options() == 200, "OPTIONS before the drain")
    code, out, err = tandem.control("drain")
    expect(code == 0, f"drain: exit {code}: {out}{err}")
    expect(options() == 503, "OPTIONS during the drain")
    Call(caller, tandem.address).complete(gateway)
    time.sleep(2.3)
    late = Call(caller, tandem.address)
    late.invite()
    failure = late.expect(503)
    expect(failure.message.get("retry-after") is None, "503 with Retry-After")
    late.ack_failure(failure)
    established.bye()
    gateway.reply(gateway.expect("BYE"), 200)
    established.expect(200, "BYE")
    code, out, err = tandem.control("undrain")
    expect(code == 0 and options() == 200, f"undrain: exit {code}: {out}{err}")
    Call(caller, tandem.address).complete(gateway)
