"""More calls than can be carried: rows O (what turning a call away costs), O1.5, O2 and O3.

Capacity is made small by a CPU quota and found by search. The generator repeats what is not answered, as
callers do. With n times the capacity offered and r the cost of turning a call away over the cost of carrying
one, goodput is at most (1 - n r) / (1 - r) of the capacity; r is measured in row O, without a quota, on a
Tandem that drains and so turns every call away.
"""

import statistics
import subprocess

from .. import measure
from ..bench import GATEWAYS, at_most
from ..quota import PERIOD_US, Quota

MULTIPLES = (1.5, 2, 3)
QUOTA = 0.25
# A refused call as the echo sees it: INVITE and ACK in, 503 out.
REFUSED_RHYTHM = ["--bursts", "1,1", "--size", "900,400", "--last-absorbed"]
ABSORB_BELOW = 500
# Near saturation, as under overload: the cost at a low rate is that of waking up.
REFUSED_RATE = 30_000
TURNING_AWAY_MAX, FORMULA_MIN, ADMITTED_MIN = 1.25, 0.95, 0.999
FIRST_RESPONSE_MAX_US, RECOVERY_MAX = 200_000, 2.0
# Seconds of a step: three at the multiple, then one below the capacity.
STEP, AFTERWARDS = 3.0, 0.7


def rows(bench):
    """All of them."""
    cost = _turning_away(bench)
    with Quota(QUOTA):
        pass
    own, peer = {}, {}
    capacity = _capacity(bench, "tandem")
    carried = _carried_us(capacity)
    r = cost / carried if cost and carried else None
    for multiple in MULTIPLES:
        own[multiple] = _overload(bench, "tandem", capacity["rate"], multiple)
    if bench.settings.kamailio and not bench.settings.quick:
        peer_capacity = _capacity(bench, "kamailio")
        for multiple in MULTIPLES:
            peer[multiple] = _overload(bench, "kamailio", peer_capacity["rate"], multiple)
    for multiple in MULTIPLES:
        _write(bench, multiple, own[multiple], peer.get(multiple), capacity["rate"], r)
    bench.curves["overload"] = {"tandem": _curve(capacity, own), **({"kamailio": _curve(peer_capacity, peer)} if peer else {})}
    if r:
        bench.curves["overload"]["formula"] = [
            (multiple * capacity["rate"], capacity["rate"] * _bound(multiple, r)) for multiple in (1, *MULTIPLES)]


def _bound(multiple, r):
    """Goodput over capacity, at most."""
    return max(0.0, (1 - multiple * r) / (1 - r)) if r < 1 else 0.0


def _curve(capacity, runs):
    return [(capacity["rate"], capacity["goodput"])] + [(run["offered"], run["goodput"]) for run in runs.values()]


def _turning_away(bench):
    """Row O: CPU of a call that is turned away, against an echo with two in and one out. Gives the cost."""
    s = bench.settings
    runs = {"tandem": [], "floor": []}
    for _ in range(s.rounds):
        with bench.make("tandem", extra="drain_seconds = 3600\ndrain_new_calls_seconds = 0\n") as tandem:
            subprocess.run([str(tandem.binary), "drain", "--socket", str(tandem.folder / "tandem.sock")],
                           capture_output=True, check=True)
            runs["tandem"].append(measure.run(tandem, s.generator, s.generator_core, "overload", REFUSED_RATE, GATEWAYS,
                                              s.seconds))
        with bench.make("floor", absorb_below=ABSORB_BELOW) as floor:
            runs["floor"].append(measure.run(floor, s.generator, s.generator_core, "echo", REFUSED_RATE, REFUSED_RHYTHM,
                                             s.seconds))
        bench.say("O         " + ", ".join(f"{who} {list_[-1].per_unit_us or 0:.1f} us" for who, list_ in runs.items()))
    bench.runs += [{"row": "O", **run.summary()} for list_ in runs.values() for run in list_]
    refused = sum(run.report["calls"]["rejected"] for run in runs["tandem"])
    started = sum(run.report["calls"]["started"] for run in runs["tandem"])
    bench.row("O", "us/call turned away", "<= 1.25 x floor of two datagrams in and one out", runs,
              lambda run: run.per_unit_us, at_most(floor_max=TURNING_AWAY_MAX), rate=REFUSED_RATE,
              turned_away_share=refused / started if started else None)
    values = [run.per_unit_us for run in runs["tandem"] if run.per_unit_us]
    return statistics.median(values) if values else None


def _limited(bench, name, rate, seconds, workload="call"):
    """A run of a candidate under the quota: (report, candidate's CPU seconds)."""
    s = bench.settings
    with Quota(QUOTA) as quota, bench.make(name) as candidate:
        quota.take(candidate.pids())
        load = measure.load(s.generator, s.generator_core, candidate.address, workload, rate, seconds, GATEWAYS)
        try:
            return measure.report_of(load)
        finally:
            if load.poll() is None:
                load.kill()
                load.wait()


def _capacity(bench, name):
    """The highest rate under the quota at which every call completes and none is repeated to speak of."""
    guess = bench.highest.get(name, {"tandem": 12_000, "kamailio": 6_500}[name]) * QUOTA * 0.9
    best, ceiling, rate = None, None, guess
    for _ in range(4 if bench.settings.quick else 6):
        report = _limited(bench, name, rate, 2.5)
        calls = report["calls"]
        good = (calls["failed"] + calls["lost_after_answer"] + calls["rejected"] == 0
                and sum(report["repeated"].values()) <= calls["started"] / 1000)
        bench.say(f"O.find    {name:<17} {rate:>7.0f}/s  {'carried' if good else 'too much'}")
        if good:
            best = rate
            rate = (rate + ceiling) / 2 if ceiling else rate * 1.3
        else:
            ceiling = rate
            rate = (best + rate) / 2 if best else rate * 0.7
        if best and ceiling and (ceiling - best) / ceiling < 0.06:
            break
    if best is None:
        raise RuntimeError(f"{name}: no capacity found under a quota of {QUOTA} of a core")
    return {"rate": best, "goodput": best}


def _carried_us(capacity):
    """CPU of a carried call at the capacity: the quota, all of which is used there."""
    return 1e6 * QUOTA / capacity["rate"]


def _overload(bench, name, capacity, multiple):
    """Offers `multiple` times the capacity, then less than the capacity; what became of it."""
    offered = capacity * multiple
    steps = ",".join(f"{rate:.0f}" for rate in [offered] * 3 + [capacity * AFTERWARDS])
    report = _limited(bench, name, steps, 4 * STEP, "overload")
    series, begin = report["series"], report["begin_us"]
    done = lambda point: point["completed"]
    at = lambda seconds: begin + int(seconds * 1e6)
    fall = 3 * STEP
    goodput = measure.between(series, at(STEP / 2), at(fall), done) / (fall - STEP / 2)
    calls, failures = report["calls"], report["failures"]
    admitted = calls["answered"] + failures.get("no_final_response", 0)
    broken = failures.get("no_final_response", 0) + calls["lost_after_answer"]
    result = {
        "offered": offered, "goodput": goodput, "turned_away": calls["rejected"],
        "failed": calls["failed"], "admitted_completed": 1 - broken / admitted if admitted else None,
        "first_response_p99_us": report["latency_us"].get("first_response", {}).get("p99"),
        "recovery_seconds": _recovery(series, begin, fall, capacity * AFTERWARDS),
        "repeated": report["repeated"], "generator_limits": report["generator"]["limits"],
    }
    bench.say(f"O{multiple:<8g} {name:<17} {offered:>7.0f}/s  goodput {goodput:6.0f}/s of {capacity:.0f}, turned away "
              f"{calls['rejected']}, failed {calls['failed']}")
    bench.runs.append({"row": f"O{multiple:g}", "candidate": name, **result})
    return result


def _recovery(series, begin, fall, offered):
    """Seconds after the fall of the load until half a second passes with full goodput; None: never."""
    for tenth in range(0, int(10 * STEP) - 4):
        from_us = begin + int((fall + tenth / 10) * 1e6)
        if measure.between(series, from_us, from_us + 500_000, lambda point: point["completed"]) >= 0.95 * offered * 0.5:
            return tenth / 10
    return None


def _write(bench, multiple, run, peer, capacity, r):
    bound = capacity * _bound(multiple, r) if r is not None else None
    share = run["goodput"] / bound if bound else None
    checks = {
        "goodput": share is not None and share >= FORMULA_MIN,
        "admitted_completed": (run["admitted_completed"] or 0) >= ADMITTED_MIN,
        "first_response": (run["first_response_p99_us"] or 1 << 40) <= FIRST_RESPONSE_MAX_US,
        "recovery": run["recovery_seconds"] is not None and run["recovery_seconds"] <= RECOVERY_MAX,
    }
    bench.write(f"O{multiple:g}", run["goodput"], "calls/s goodput",
                ">= 95 % of the formula; admitted complete >= 99.9 %; first response p99 <= 200 ms; recovery <= 2 s",
                lambda *_: all(checks.values()), kamailio=peer["goodput"] if peer else None, capacity=capacity, r=r,
                formula=bound, share_of_formula=share, checks=checks, quota=QUOTA, quota_period_us=PERIOD_US,
                kamailio_run=peer, **{key: value for key, value in run.items() if key != "goodput"})
