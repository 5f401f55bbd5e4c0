"""A call to a phone whose location another shard has: row R7.

Two shards on two cores, phones registered with both. The generator has Tandem's key and calls either phones whose
location the shard of the call has itself, or only such as the other shard must be asked for; all else is the same.
With two cores the generator shares them, and the row says how busy the shards could be made.
"""

import os
import statistics
import time

from .. import host, measure
from ..bench import GATEWAYS
from .registered import fill
from .shards import BUSY_MIN

PHONES, RATE = 50_000, 10_000
COST_MAX = 1.10
KEY = "5a" * 32


def r7(bench):
    """CPU of a call that asks another shard, against one that asks nobody."""
    runs = {"same": [], "other": []}
    for _ in range(bench.settings.rounds):
        for side in runs:
            runs[side].append(_run(bench, side))
    median = lambda side, key: statistics.median(run[key] for run in runs[side])
    own, alone, busy = median("other", "us"), median("same", "us"), median("other", "busy")
    why = None if busy >= BUSY_MIN else (
        f"judged at {100 * busy:.0f} % busy shards: the generator shares the {os.cpu_count()} cores with them")
    bench.write("R7", own, "us/call to a phone of another shard", f"<= {COST_MAX:.2f} x a call that asks nobody",
                lambda value, *_: value <= COST_MAX * alone and median("other", "asked") > 0.9 and median("same", "asked") < 0.1,
                values=[run["us"] for run in runs["other"]], asks_nobody_us=alone, ratio_asks_nobody=own / alone,
                busy_each=busy, rate=RATE, asked_share=median("other", "asked"), asked_share_same=median("same", "asked"),
                failed=sum(run["failed"] for list_ in runs.values() for run in list_), why=why)


def _run(bench, side):
    s = bench.settings
    cores = sorted(os.sched_getaffinity(0) | {s.target_core, s.generator_core})
    tandem = bench.make("tandem", "register", shards=cores[:2])
    key = tandem.folder / "bench.key"
    key.write_text(KEY + "\n")
    key.chmod(0o600)
    tandem.extra = f'[keys]\nfiles = ["{key}"]\n'
    fill(bench, tandem, PHONES)
    flags = [*GATEWAYS, "--numbers", str(PHONES), "--location", side, "--tandem-key", str(key), "--tandem-shards", "2"]
    with tandem:
        load = measure.load(s.generator, cores[-1], tandem.address, "call", RATE, s.seconds, flags)
        time.sleep(1.5)
        pids = host.tree(tandem.process.pid)
        look = lambda: (host.sample(pids, tandem.core), [seconds for pid in pids for seconds in host.shard_times(pid).values()])
        first, first_shards = look()
        time.sleep(s.seconds - 2.0)
        last, last_shards = look()
        report = measure.report_of(load)
        stats = tandem.stats()
    span = (last.at_us - first.at_us) / 1e6
    done = measure.between(report["series"], first.at_us, last.at_us, lambda point: point["completed"])
    asked = sum(value for (name, labels), value in stats.items() if name == "tandem_events_total" and labels == "event=module_question")
    calls = report["calls"]
    result = {"us": 1e6 * (last.user + last.system - first.user - first.system) / done if done else None,
              "busy": (sum(last_shards) - sum(first_shards)) / len(last_shards) / span,
              "asked": asked / max(1, calls["started"]), "failed": calls["failed"] + calls["lost_after_answer"]}
    bench.say(f"R7        {side + ' shard':<17} {RATE:>7.0f}/s  {result['us'] or 0:7.1f} us  busy {100 * result['busy']:3.0f} % each"
              f"  asked {100 * result['asked']:3.0f} %  failed {result['failed']}")
    bench.runs.append({"row": "R7", "candidate": side, "rate": RATE, **result})
    return result
