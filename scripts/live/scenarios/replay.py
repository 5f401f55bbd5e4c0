"""`tandem replay`: recorded and captured calls through another configuration, held against sums made by hand."""

import json
import signal

from harness import config
from harness.processes import Process, run, wait_until
from harness.registry import expect, scenario
from harness.tandem import binary
from scenarios.class4 import NUMBER, build
from scenarios.records import carrier, wait_calls


@scenario(programs=("sipp",))
def replay_of_recorded_calls(scene):
    """Recorded calls through dearer and cheaper decks: who would have had them, at which cost and margin, to the last digit."""
    build(scene, sell="0.06", cheap="0.012", dear="0.03")
    refusing, good = scene.gateway(1, "uas_503"), scene.gateway(2)
    sets = [config.gateway_set("cheap", [refusing.address]), config.gateway_set("dear", [good.address])]
    customers = [{"name": "acme", "sources": [scene.caller_address(1)[0]]}]
    proxy = carrier(scene, sets, customers)
    scene.caller(proxy.address, calls=20, rate=50, words=[*NUMBER, "-d", "200"]).finish(15)
    calls = wait_calls(proxy, 20)
    records = scene.folder / "day.json"
    code, out, err = run([binary(), "cdr", "--config", proxy.file, "--kind", "all", "--format", "json"])
    expect(code == 0, f"cdr ended with {code}: {err}")
    records.write_text(out)

    def replayed(source, *words):
        code, out, err = run([binary(), "replay", source, "--config", proxy.file, "--format", "json", *words])
        expect(code == 0, f"replay ended with {code}: {out}{err}")
        return json.loads(out)

    # The same configuration: nothing changes, though the cheaper vendor comes first and failed each call.
    folder = proxy.file.parent / "state" / "records"
    for source in (folder, records):
        same = replayed(source)
        expect(same["changes"] == [] and same["all"]["before"] == same["all"]["after"], str(same))
        expect(same["all"]["before"]["calls"] == 20 and same["odd"] == 0, str(same))
    # Other decks: a call of a second costs half as much, and the margin is that much higher.
    build(scene, sell="0.06", cheap="0.012", dear="0.015")
    other = replayed(records)
    (change,) = other["changes"]
    before, after = change["calls"]["before"], change["calls"]["after"]
    seconds = sum(call["buy_billed_seconds"] for call in calls)
    expect((change["from"], change["to"], change["destination"]) == ("dear", "dear", "Germany"), str(change))
    hundredths = lambda amount: round(float(amount) * 100_000)
    costs, margins = ([hundredths(side[name]) for side in (before, after)] for name in ("cost", "margin"))
    expect((costs, margins) == ([50 * seconds, 25 * seconds], [50 * seconds, 75 * seconds]), f"{seconds} seconds: {change}")
    # Nobody sells it any more.
    build(scene, sell="0.06", cheap="0.07", dear="0.08")
    nobody = replayed(records)
    expect(nobody["refused"] == {"no vendor leaves the least margin": 20} and nobody["all"]["after"]["answered"] == 0, str(nobody))
    expect(replayed(records, "--until", "2020-01-01")["all"]["before"]["calls"] == 0, "--until bounds calls")


@scenario(programs=("sipp", "tcpdump"), root=True)
def replay_of_a_capture(scene):
    """What tcpdump saw of calls, of which the cheaper vendor failed each: the same vendor has them again, at the price of its deck."""
    build(scene, sell="0.06", cheap="0.012", dear="0.03")
    refusing, good = scene.gateway(1, "uas_503"), scene.gateway(2)
    sets = [config.gateway_set("cheap", [refusing.address]), config.gateway_set("dear", [good.address])]
    proxy = carrier(scene, sets, [{"name": "acme", "sources": [scene.caller_address(1)[0]]}])
    file = scene.folder / "day.pcap"
    words = ["tcpdump", "-i", "any", "-Z", "root", "-U", "-w", file, f"udp and net {scene.network}.0/24"]
    capture = scene.keep(Process(scene.folder, "tcpdump", words))
    wait_until(lambda: "listening on" in capture.output(), 5, lambda: f"tcpdump listens: {capture.output()}")
    scene.caller(proxy.address, calls=20, rate=50, words=[*NUMBER, "-d", "200"]).finish(15)
    wait_calls(proxy, 20)

    def replayed(*words):
        code, out, err = run([binary(), "replay", file, "--config", proxy.file, *words])
        expect(code == 0, f"replay ended with {code}: {out}{err}")
        return out

    told = lambda *words: json.loads(replayed("--format", "json", *words))
    # WHY waited for: the kernel hands packets to tcpdump some time after they passed.
    wait_until(lambda: told()["all"]["before"]["answered"] == 20 and not told()["notes"], 8, lambda: f"20 calls captured: {told()}", 0.2)
    capture.signal(signal.SIGINT)
    capture.wait(5)
    outcome = told()
    expect(outcome["before_unpriced"] and outcome["all"]["after"]["answered"] == 20 and outcome["odd"] == 0, str(outcome))
    calls = {one["vendor"]: (one["calls"]["before"]["calls"], one["calls"]["after"]["calls"]) for one in outcome["vendors"]}
    expect(calls == {"dear": (20, 20)}, f"calls by vendor: {calls}")
    # Each call lasts less than a second: a minute for 0.03, sold for 0.06.
    sums = [float(outcome["all"]["after"][name]) for name in ("cost", "margin")]
    expect(sums == [0.01, 0.01], f"cost and margin {sums}")
    same = told("--before", proxy.file)
    expect(same["changes"] == [] and same["all"]["before"] == same["all"]["after"] and not same["before_unpriced"], str(same))
    expect("20 calls, amounts in USD" in replayed() and "dear" in replayed(), replayed())
