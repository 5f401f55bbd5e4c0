"""REGISTER beside Kamailio without any database (rows R1, R2), beside Kamailio with one (R9), and memory (R5).

Tandem answers when the disk has the binding. The state directory lies where the system keeps temporary files, which is
a disk.
"""

import statistics

from .. import database, measure
from ..bench import BUSY, at_most

# One address for all phones: a refresh must come with the Contact that is there.
FROM = ["--from", "127.0.0.1:5980"]
# Where searches begin.
START = {"tandem": 90_000, "kamailio": 50_000}
# Length of a run, at most, and of one of a search; so many runs of a search.
SECONDS, SEARCH_SECONDS, SEARCH_STEPS = 3.0, 2.0, 4
# Rates at which Kamailio's workers are counted, without and with a database.
WORKERS_RATE, DURABLE_RATE = 40_000, 3_000
# The rate of the figures that are known of Kamailio: at its own highest one each REGISTER is cheaper.
SAME_RATE = 40_000
# Of what was registered before, so much is refreshed: all of it is there.
REFRESHED = 0.9
# Memory is told by so many bindings, registered at this rate.
BINDINGS, LOADING_RATE = 1_000_000, 70_000
USERS_PER_SHARD = 1_200_000


def r1_r2(bench):
    """Near saturation, each at its own highest rate; the floor at Tandem's. A round registers, then refreshes the same."""
    s = bench.settings
    if s.kamailio:
        choose_workers(bench)
    rates = {}
    for name in bench.names(floor=False):
        found = bench.search("R1", name, "register", FROM, START[name], "register", SEARCH_STEPS, SEARCH_SECONDS)
        if found is None:
            raise RuntimeError(f"{name}: no rate at which every REGISTER was answered")
        rates[name] = found.rate
    rates["floor"] = rates["tandem"]
    new, again = ({name: [] for name in bench.names()} for _ in range(2))
    for _ in range(s.rounds):
        for name in new:
            first, second = _pair(bench, name, rates[name])
            if (first.void or second.void) and bench.repetitions > 0:
                bench.repetitions -= 1
                first, second = _pair(bench, name, rates[name])
            new[name].append(first)
            again[name].append(second)
    bench.registers = (rates["tandem"], new["tandem"])
    alike = {name: _pair(bench, name, SAME_RATE) for name in new}
    for place, (row, runs, unit, floor_max) in enumerate((("R1", new, "us/REGISTER, new binding, durable", None),
                                                          ("R2", again, "us/REGISTER, refresh, durable", 1.8))):
        busy = statistics.median(run.busy for run in runs["tandem"])
        user = lambda who: statistics.median([run.user_us or 0 for run in runs[who]]) if who in runs else None
        bar = "<= 1/2 of Kamailio without a database" + (f", <= {floor_max} x floor" if floor_max else "")
        bench.row(row, unit, bar, runs, lambda run: run.per_unit_us, at_most(floor_max=floor_max, kamailio_max=0.5),
                  rates=rates, busy=busy, limited_by="the shard" if busy >= BUSY else "the generator's core",
                  user_us=user("tandem"), floor_user_us=user("floor"), kamailio_user_us=user("kamailio"),
                  kamailio_workers=bench.registrar_workers,
                  us_at_the_same_rate={"rate": SAME_RATE, **{name: pair[place].per_unit_us for name, pair in alike.items()}},
                  answer_p99_us=statistics.median(run.latency("answer", "p99") or 0 for run in runs["tandem"]))


def _seconds(bench):
    return min(bench.settings.seconds, SECONDS)


def _pair(bench, name, rate):
    """New bindings, then the same ones again, of one process."""
    seconds = _seconds(bench)
    with bench.make(name, "register") as candidate:
        first = bench.on(candidate, "R1", name, "register", rate, FROM, seconds)
        known = max(1, int(rate * seconds * REFRESHED))
        if name == "floor":
            return first, first
        return first, bench.on(candidate, "R2", name, "register", rate, [*FROM, "--numbers", str(known)], seconds)


def choose_workers(bench):
    """Kamailio registers with the number of workers that does best on one core."""
    results = {}
    for workers in (1, 2, 4):
        bench.registrar_workers = workers
        run = bench.one(f"workers {workers}", "kamailio", "register", WORKERS_RATE, FROM, "register", SEARCH_SECONDS)
        results[workers] = (not run.good, run.per_unit_us or float("inf"))
    bench.registrar_workers = min(results, key=results.get)


def r5(bench):
    """What a million bindings add to the resident memory of one shard's process, all included."""
    extra = f"[registrar]\nusers_per_shard = {USERS_PER_SHARD}\n"
    with bench.make("tandem", "register", extra=extra) as candidate:
        before = _resident(bench, candidate)
        run = bench.on(candidate, "R5", "tandem", "register", LOADING_RATE, FROM, BINDINGS / LOADING_RATE)
        stats = candidate.stats()
        bindings = stats["tandem_bindings", ""]
        after = _resident(bench, candidate)
    each = (after - before) / bindings
    bench.write("R5", each, "bytes per binding", "<= 384 at a million", at_most(value_max=384), bindings=bindings,
                us_while_loading=run.per_unit_us, record_bytes=stats["tandem_pool_used", "pool=binding_bytes"] / bindings)


def _resident(bench, candidate):
    """Resident bytes, seen over a short run of OPTIONS."""
    s = bench.settings
    return measure.run(candidate, s.generator, s.generator_core, "options", 1_000, [], 1.5).resident


def r9(bench):
    """Durable against durable: Kamailio writes each binding to PostgreSQL before it answers, the database's CPU included.

    Both on one core and each at its own highest rate; beside it Tandem at Kamailio's.
    """
    s = bench.settings
    if not s.kamailio:
        raise RuntimeError("needs Kamailio")
    seconds = _seconds(bench)
    # What R1 measured, where it was measured.
    known, own = bench.registers or (START["tandem"], [
        bench.one("R9", "tandem", "register", START["tandem"], FROM, "register", seconds) for _ in range(s.rounds)])
    runs = {"tandem": own, "kamailio": []}
    with database.Postgres(s.target_core) as postgres:
        make = lambda: bench.make("kamailio", "register", workers=8, database=postgres)
        with make() as candidate:
            found, rate = None, DURABLE_RATE
            for _ in range(SEARCH_STEPS):
                run = bench.on(candidate, "R9.find", "kamailio", "register", rate, FROM, SEARCH_SECONDS)
                if not run.good:
                    break
                found, rate = run, rate * min(1.6, 0.97 / max(run.busy, 0.1))
                if run.busy >= BUSY:
                    break
            if found is None:
                raise RuntimeError("Kamailio with PostgreSQL carried no rate that was tried")
            for _ in range(s.rounds):
                runs["kamailio"].append(bench.on(candidate, "R9", "kamailio", "register", found.rate, FROM, seconds))
    beside = bench.one("R9", "tandem", "register", found.rate, FROM, "register", seconds)
    peer = statistics.median(run.per_unit_us for run in runs["kamailio"])
    bench.row("R9", "us/REGISTER, durable", "<= 1/15 of Kamailio with db_mode 1, PostgreSQL included", runs,
              lambda run: run.per_unit_us, at_most(kamailio_max=1 / 15), rates={"tandem": known, "kamailio": found.rate},
              kamailio_busy=statistics.median(run.busy for run in runs["kamailio"]),
              tandem_at_kamailios_rate=beside.per_unit_us,
              ratio_at_kamailios_rate=beside.per_unit_us / peer if peer else None)
