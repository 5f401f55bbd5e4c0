"""CPU per call, request and attempt: rows W1, W1@rate, W2, W3, W5, W11, and what idling costs."""

import statistics
import time

from .. import host
from ..bench import BUSY, GATEWAYS, WHOLESALE_GATEWAYS, at_most

RATES = [1_000, 2_000, 5_000, 10_000]
# Kamailio with Debian's memory manager carries about 1,600 calls a second here.
DEFAULT_COLUMN_RATE_MAX = 1_000
IDLE_SECONDS = 5.0


def w1(bench):
    """Near saturation, each at its own highest rate; the floor at Tandem's."""
    found = bench.search("W1", "tandem", "call", GATEWAYS, 9_000)
    if found is None:
        raise RuntimeError("no rate at which every call completed")
    held = {}
    rates = {"tandem": found.rate, "floor": found.rate}
    if not bench.settings.quick:
        held["tandem"] = bench.saturation("W1", "tandem", "call", GATEWAYS, found.rate)
    if bench.settings.kamailio:
        peer = bench.search("W1", "kamailio", "call", GATEWAYS, 6_000)
        if peer:
            rates["kamailio"] = peer.rate
            if not bench.settings.quick:
                held["kamailio"] = bench.saturation("W1", "kamailio", "call", GATEWAYS, peer.rate)
    for who, run in held.items():
        if run:
            rates[who] = run.rate
    rates["floor"] = rates["tandem"]
    bench.highest = {who: rate for who, rate in rates.items() if who != "floor"}
    names = [name for name in bench.names() if name in rates]
    runs = bench.rounds("W1", names, "call", rates["tandem"], GATEWAYS, rates=rates)
    busy = statistics.median(run.busy for run in runs["tandem"])
    limits = sorted({limit for run in runs["tandem"] for limit in run.report["generator"]["limits"]})
    median_user = lambda who: statistics.median([run.user_us or 0 for run in runs[who]]) if who in runs else None
    bench.row("W1", "us/call", "<= 1/3 of Kamailio at its own best, <= 1.30 x floor", runs, lambda run: run.per_unit_us,
              at_most(floor_max=1.30, kamailio_max=1 / 3), rates=rates, busy=busy,
              limited_by="the shard" if busy >= BUSY else "the generator's core", generator_limits=limits or None,
              user_us=median_user("tandem"), floor_user_us=median_user("floor"), kamailio_user_us=median_user("kamailio"),
              highest_rate=bench.highest, highest_rate_held_seconds=bench.settings.saturation_seconds if held else None,
              kamailio_workers=bench.workers)


def w1_rates(bench):
    """At fixed rates."""
    for rate in ([1_000, 5_000] if bench.settings.quick else RATES):
        kamailio_can = rate <= bench.highest.get("kamailio", 7_000)
        names = [name for name in bench.names() if kamailio_can or name != "kamailio"]
        once = ["kamailio_default"] if bench.settings.kamailio and rate <= DEFAULT_COLUMN_RATE_MAX else []
        runs = bench.rounds(f"W1@{rate}", names, "call", rate, GATEWAYS, once=once)
        bench.row(f"W1@{rate}", "us/call", "<= 1.30 x floor, <= Kamailio", runs, lambda run: run.per_unit_us,
                  at_most(floor_max=1.30, kamailio_max=1.0), rate=rate,
                  busy=statistics.median(run.busy for run in runs["tandem"]))


def w2(bench):
    """Stateless calls."""
    rate = min(bench.highest.get("tandem", 8_000), 8_000)
    kamailio = {"kamailio": min(rate, bench.highest.get("kamailio", 6_000))}
    runs = bench.rounds("W2", bench.names(), "call-stateless", rate, GATEWAYS, "stateless", rates=kamailio)
    bench.row("W2", "us/call", "<= 1.15 x floor", runs, lambda run: run.per_unit_us, at_most(floor_max=1.15), rate=rate,
              kamailio_rate=kamailio["kamailio"])


def w3(bench):
    """OPTIONS that the proxy answers."""
    rate = 40_000
    runs = bench.rounds("W3", bench.names(), "options", rate, [])
    bench.row("W3", "us/request", "<= 1.20 x floor of one datagram", runs, lambda run: run.per_unit_us,
              at_most(floor_max=1.20), rate=rate, busy=statistics.median(run.busy for run in runs["tandem"]))


def w5(bench):
    """The first gateway answers 503 to everything."""
    rate = 4_000
    runs = bench.rounds("W5", bench.names(floor=False), "failover", rate, GATEWAYS, "failover")
    plain = bench.rounds("W5.W1", ["tandem"], "call", rate, GATEWAYS)["tandem"]
    one = statistics.median(run.per_unit_us for run in plain if run.per_unit_us)
    own = statistics.median(run.per_unit_us for run in runs["tandem"])
    bench.row("W5", "us/call", "<= 1.35 x W1 at the same rate", runs, lambda run: run.per_unit_us,
              lambda value, *_: value <= 1.35 * one, rate=rate, w1_at_this_rate=one, ratio_w1=own / one)


def w11(bench):
    """The wholesale mix, per attempt at a gateway."""
    rate = 1_500
    runs = bench.rounds("W11", bench.names(floor=False), "wholesale", rate, WHOLESALE_GATEWAYS, "wholesale")
    bench.row("W11", "us/attempt", "<= 1/2.5 of Kamailio", runs, lambda run: run.per_attempt_us,
              at_most(kamailio_max=1 / 2.5), rate=rate)


def idle(bench):
    """What a Tandem without calls costs: probes and timers alone."""
    shares = []
    with bench.make("tandem") as tandem:
        for _ in range(bench.settings.rounds):
            first = host.sample(tandem.pids(), tandem.core)
            time.sleep(IDLE_SECONDS)
            last = host.sample(tandem.pids(), tandem.core)
            used = last.user + last.system - first.user - first.system
            shares.append(100 * used / ((last.at_us - first.at_us) / 1e6))
    bench.write("IDLE", statistics.median(shares), "% of a core", "<= 0.5", at_most(value_max=0.5), values=shares)
