"""REGISTER beside Kamailio without any database, and memory of a binding: rows R1, R2 and R5.

Tandem answers when the disk has the binding; Kamailio keeps it in memory alone. The state directory lies where the
system keeps temporary files, which is a disk.
"""

import statistics

from .. import measure
from ..bench import at_most

RATE = 20_000
# Memory is told by so many bindings, registered at this rate.
BINDINGS, LOADING_RATE = 1_000_000, 30_000
USERS_PER_SHARD = 1_200_000


def r1(bench):
    """A new binding with every REGISTER."""
    runs = bench.rounds("R1", bench.names(), "register", RATE, [], "register")
    bench.row("R1", "us/REGISTER, new binding, durable", "<= 1/2 of Kamailio without a database", runs,
              lambda run: run.per_unit_us, at_most(kamailio_max=0.5), rate=RATE)


def r2(bench):
    """The same numbers again: every binding is there already."""
    runs = {name: [] for name in bench.names()}
    for _ in range(bench.settings.rounds):
        for name in runs:
            if name == "floor":
                runs[name].append(bench.one("R2", name, "register", RATE, []))
                continue
            with bench.make(name, "register") as candidate:
                for _ in range(2):
                    run = measure.run(candidate, bench.settings.generator, bench.settings.generator_core, "register",
                                      RATE, [], bench.settings.seconds)
            bench.runs.append({"row": "R2", **run.summary()})
            bench.say(f"R2        {name:<17} {RATE}/s  {run.per_unit_us or 0:7.1f} us")
            runs[name].append(run)
    bench.row("R2", "us/REGISTER, refresh, durable", "<= 1/2 of Kamailio without a database, <= 1.8 x floor", runs,
              lambda run: run.per_unit_us, at_most(floor_max=1.8, kamailio_max=0.5), rate=RATE)


def r5(bench):
    """What a million bindings add to the resident memory of one shard's process, all included."""
    extra = f"[registrar]\nusers_per_shard = {USERS_PER_SHARD}\n"
    with bench.make("tandem", "register", extra=extra) as candidate:
        before = _resident(bench, candidate, 1.0)
        run = measure.run(candidate, bench.settings.generator, bench.settings.generator_core, "register", LOADING_RATE,
                          [], BINDINGS / LOADING_RATE)
        stats = candidate.stats()
        bindings = stats["tandem_bindings", ""]
        after = _resident(bench, candidate, 0.5)
    each = (after - before) / bindings
    bench.write("R5", each, "bytes per binding", "<= 384 at a million", at_most(value_max=384), bindings=bindings,
                us_while_loading=run.per_unit_us, record_bytes=stats["tandem_pool_used", "pool=binding_bytes"] / bindings)


def _resident(bench, candidate, seconds):
    """Resident bytes, seen over a short run of OPTIONS."""
    runs = [measure.run(candidate, bench.settings.generator, bench.settings.generator_core, "options", 1_000, [], 1 + seconds)]
    return statistics.median(run.resident for run in runs)
