"""Two shards, all traffic from one address and port: row W4.

Datagrams reach either shard; calls live where their Call-ID says, so half of them are handed over. Beside
it, the same two shards with nothing to hand over: two Tandems of one shard, each with its own half of the
traffic. Where there are three cores the generator has one of its own; with two it shares them, and the row
says how busy the shards could be made. CPU is that of Tandem's processes.
"""

import os
import statistics
import time

from .. import candidates, host, measure
from ..bench import GATEWAYS

RATE = 12_000
BUSY_MIN = 0.70
# The second Tandem's ports.
OFFSET = 20


def w4(bench):
    """CPU of a call with half of the traffic handed over, against the same shards with nothing to hand over."""
    s = bench.settings
    cores = sorted(os.sched_getaffinity(0) | {s.target_core, s.generator_core})
    shards, generator = cores[:2], cores[-1]
    joined, apart = [], []
    for _ in range(s.rounds):
        with bench.make("tandem", shards=shards) as one:
            joined.append(_run(bench, [one], generator))
        with bench.make("tandem", core=shards[0]) as one, bench.make("tandem", core=shards[1], offset=OFFSET) as other:
            apart.append(_run(bench, [one, other], generator))
    median = lambda runs, key: statistics.median(run[key] for run in runs)
    own, alone, busy, uneven = (median(joined, "us"), median(apart, "us"), median(joined, "busy"),
                                median(joined, "uneven"))
    why = None if busy >= BUSY_MIN else (
        f"judged at {100 * busy:.0f} % busy shards: the generator shares the {len(cores)} cores with them")
    bench.write("W4", own, "us/call", "<= 1.15 x without hand-over; even within 10 %",
                lambda value, *_: value <= 1.15 * alone and uneven <= 0.10, values=[run["us"] for run in joined],
                without_hand_over=alone, ratio_without=own / alone, busy_each=busy, uneven=uneven, rate=RATE,
                handed_over_share=median(joined, "handed_over"), failed=sum(run["failed"] for run in joined), why=why)


def _run(bench, tandems, core):
    """Both halves of the load, or all of it from one address and port."""
    s = bench.settings
    loads = []
    for tandem in tandems:
        gateways = ",".join(candidates.moved(address, tandem.offset) for address in candidates.GATEWAYS)
        loads.append(measure.load(s.generator, core, tandem.address, "call", RATE / len(tandems), s.seconds,
                                  ["--gateways", gateways]))
    time.sleep(1.5)
    pids = [host.tree(tandem.process.pid) for tandem in tandems]
    look = lambda: ([host.sample(tree, tandem.core) for tree, tandem in zip(pids, tandems)],
                    [time_ for tree in pids for pid in tree for time_ in host.shard_times(pid).values()])
    first, first_shards = look()
    time.sleep(s.seconds - 2.0)
    last, last_shards = look()
    reports = [measure.report_of(load) for load in loads]
    span = (last[0].at_us - first[0].at_us) / 1e6
    cpu = sum(b.user + b.system - a.user - a.system for a, b in zip(first, last))
    done = sum(measure.between(report["series"], a.at_us, b.at_us, lambda point: point["completed"])
               for report, a, b in zip(reports, first, last))
    shards = [b - a for a, b in zip(first_shards, last_shards)]
    stats = tandems[0].stats()
    moved = stats["tandem_hand_overs_total", "direction=out"] / max(1, stats["tandem_datagrams_total", "direction=in"])
    result = {"us": 1e6 * cpu / done if done else None, "busy": sum(shards) / len(shards) / span,
              "uneven": (max(shards) - min(shards)) / max(sum(shards) / len(shards), 1e-9), "handed_over": moved,
              "failed": sum(report["calls"]["failed"] + report["calls"]["lost_after_answer"] for report in reports)}
    name = "two shards" if len(tandems) == 1 else "one shard twice"
    bench.say(f"W4        {name:<17} {RATE:>7.0f}/s  {result['us'] or 0:7.1f} us  busy {100 * result['busy']:3.0f} % each"
              f"  failed {result['failed']}")
    bench.runs.append({"row": "W4", "candidate": name, "rate": RATE, **result})
    return result
