"""Customers' calls over priced vendors: rows C1, C2, C7 and C8 (`harness/carrier.py` has the decks)."""

import bisect
import json
import statistics
import subprocess
import time
from pathlib import Path

from .. import candidates, carrier, host, measure
from ..bench import GATEWAYS, at_most

# C1 beside W1, and C2: offered to both.
RATE, RATE_C2 = 8_000, 2_000
# Kamailio's memory for a million rules and its calls, in MiB: shared, and of each process.
KAMAILIO_MEMORY = ["-m", "4096", "-M", "3072"]
# It answers before its rules are there: they are when its processes have had nothing to do for a second.
RULES_SECONDS, RULES_IDLE = 90, 0.2
# C7: calls a second, length of a run, and a reload that often.
RELOAD_RATE, RELOAD_SECONDS, RELOAD_EVERY = 2_000, 12.0, 2.0
# C8: calls a second that the customer may make, its burst, calls at the same time; the load is three times that.
CPS, BURST, CONCURRENT, HOLD = 500, 50, 400, "1s"
CAP_SECONDS = 12.0
# A BYE is recorded when it comes, and its place given back with its answer.
BYE_SECONDS = 0.05


class Class4Kamailio(candidates.Kamailio):
    """Kamailio by bench/kamailio/class4.cfg."""

    def __init__(self, core, binary, config, workers, decks):
        super().__init__(core, binary, config, workers)
        self.decks = decks

    def command(self):
        tables, records = self.folder / "tables", self.folder / "records"
        records.mkdir()
        self.decks.kamailio(tables)
        file = self.folder / "class4.cfg"
        file.write_text(self.config.read_text().replace("TABLES", str(tables)).replace("RECORDS", str(records)))
        return [self.binary, "-DD", "-E", "-f", str(file), "-l", f"udp:{self.address}", "-n", str(self.workers),
                *KAMAILIO_MEMORY, "-Y", str(self.folder), "-x", "tlsf", "-X", "tlsf"]

    def __enter__(self):
        super().__enter__()
        until, before = time.monotonic() + RULES_SECONDS, None
        while time.monotonic() < until and self.process.poll() is None:
            sample = host.sample(self.pids(), self.core)
            used = sample.user + sample.system
            if before is not None and used - before < RULES_IDLE:
                return self
            before = used
            time.sleep(1)
        text = (self.folder / "log").read_text()[-1000:]
        self.__exit__()
        raise RuntimeError(f"kamailio did not load its rules: {text}")

    def recorded(self):
        """Bytes that acc has written."""
        return sum(file.stat().st_size for file in (self.folder / "records").iterdir())


def _tandem(bench, image, **more):
    decks = carrier.decks_of(bench)
    tables = {name: more.pop(name) for name in ("customer", "records", "vendors") if name in more}
    return bench.make("tandem", extra=decks.tables(image, **tables), **more)


def _load(bench):
    return [*GATEWAYS, *carrier.CALLED]


def c1(bench):
    """A customer's call with caps, twenty vendors over a million prefixes and records, beside W1 at the same rate."""
    (image,) = carrier.decks_of(bench).images()
    runs = {"tandem": [], "plain": []}
    records = []
    for _ in range(bench.settings.rounds):
        runs["plain"].append(bench.one("C1.W1", "tandem", "call", RATE, _load(bench)))
        with _tandem(bench, image) as candidate:
            run = bench.on(candidate, "C1", "tandem", "call", RATE, _load(bench))
            time.sleep(1)
            stats = candidate.stats()
        runs["tandem"].append(run)
        records.append(stats["tandem_call_records_total", "outcome=written"] / run.report["calls"]["started"])
    plain = statistics.median(run.per_unit_us for run in runs.pop("plain"))
    own = statistics.median(run.per_unit_us for run in runs["tandem"])
    bench.row("C1", "us/call of a customer", "<= 1.20 x W1 at the same rate", runs, lambda run: run.per_unit_us,
              lambda value, *_: value <= 1.20 * plain, rate=RATE, w1_at_this_rate=plain, ratio_w1=own / plain,
              records_a_call=statistics.median(records), user_us=statistics.median(run.user_us or 0 for run in runs["tandem"]))


def c2(bench):
    """The same beside Kamailio with permissions, pipelimit, drouting, dialog and acc."""
    s = bench.settings
    if not s.kamailio:
        raise RuntimeError("needs Kamailio")
    decks = carrier.decks_of(bench)
    (image,) = decks.images()
    config = s.root / "bench" / "kamailio" / "class4.cfg"
    runs, bytes_a_call = {"tandem": [], "kamailio": []}, 0
    with Class4Kamailio(s.target_core, s.kamailio, config, bench.workers, decks) as peer:
        for _ in range(s.rounds):
            run = bench.on(peer, "C2", "kamailio", "call", RATE_C2, _load(bench))
            runs["kamailio"].append(run)
        bytes_a_call = peer.recorded() / sum(run.report["calls"]["started"] for run in runs["kamailio"])
    for _ in range(s.rounds):
        with _tandem(bench, image) as candidate:
            runs["tandem"].append(bench.on(candidate, "C2", "tandem", "call", RATE_C2, _load(bench)))
    bench.row("C2", "us/call of a customer", "<= 1/4 of Kamailio", runs, lambda run: run.per_unit_us,
              at_most(kamailio_max=0.25), rate=RATE_C2, kamailio_bytes_recorded_a_call=bytes_a_call,
              kamailio_failed=sum(run.report["calls"]["failed"] for run in runs["kamailio"]),
              user_us=statistics.median(run.user_us or 0 for run in runs["tandem"]),
              kamailio_user_us=statistics.median(run.user_us or 0 for run in runs["kamailio"]))


def c7(bench):
    """Images of ten million rows taken into service one after the other under load, and the same load without."""
    s = bench.settings
    images = carrier.decks_of(bench).images(2)
    quiet, loud, faults, failed, reloads, took = [], [], 0, 0, 0, []
    live = Path(images[0]).with_name("live.image")
    for _ in range(s.rounds):
        for reloading in (False, True):
            _point(live, images[0])
            with _tandem(bench, live) as candidate:
                # Lanes may go where the shard is not. WHY both cores: whoever reads the file again must see that of the shard.
                both = f"{s.target_core},{s.generator_core}"
                for task in Path(f"/proc/{candidate.process.pid}/task").iterdir():
                    if not (task / "comm").read_text().startswith("shard-"):
                        subprocess.run(["taskset", "-p", "-c", both, task.name], capture_output=True)
                before = _major_faults(candidate.process.pid)
                load = measure.load(s.generator, s.generator_core, candidate.address, "call", RELOAD_RATE, RELOAD_SECONDS, _load(bench))
                until, number = time.monotonic() + RELOAD_SECONDS - 1, 0
                while time.monotonic() < until:
                    time.sleep(RELOAD_EVERY)
                    if reloading and time.monotonic() < until:
                        number += 1
                        _point(live, images[number % 2])
                        begun = time.monotonic()
                        candidate.reload()
                        took.append(time.monotonic() - begun)
                report = measure.report_of(load)
                faults += _major_faults(candidate.process.pid) - before
            calls = report["calls"]
            failed += calls["failed"] + calls["lost_after_answer"]
            reloads += number
            p99 = report["latency_us"]["transit"]["p99"]
            (loud if reloading else quiet).append(p99)
            bench.say(f"C7        {number} reloads  transit p99 {p99} us  failed {calls['failed']}")
    with_, without = statistics.median(loud), statistics.median(quiet)
    moved = with_ / without - 1
    bench.write("C7", 100 * moved, "% that transit p99 moves by", "< 10; no failed call, no major fault on a shard",
                lambda value, *_: value < 10 and failed == 0 and faults == 0, p99_us=with_, p99_without_us=without,
                values=[100 * (a / b - 1) for a, b in zip(loud, quiet)], reloads=reloads, failed=failed, major_faults=faults,
                reload_seconds=statistics.median(took) if took else None, rate=RELOAD_RATE)


def _point(live, image):
    """Makes `live` another name of an image, at once."""
    new = live.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.hardlink_to(image)
    new.replace(live)


def _major_faults(pid):
    """Of the shards' threads."""
    count = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith("shard-"):
            count += int((task / "stat").read_text().rsplit(")", 1)[1].split()[9])
    return count


def c8(bench):
    """Two shards, three times as much offered as a cap lets pass: each call looked at by its record."""
    decks = carrier.decks_of(bench)
    (image,) = decks.images()
    s = bench.settings
    cores = [s.target_core, s.generator_core]
    seen = {}
    for name, customer, rate, hold in (("cps", f"cps = {CPS}\nburst = {BURST}", 3 * CPS, []),
                                       ("concurrent", f"concurrent = {CONCURRENT}", 3 * CONCURRENT, ["--hold", HOLD])):
        with _tandem(bench, image, customer=customer, shards=cores) as candidate:
            load = measure.load(s.generator, s.generator_core, candidate.address, "call", rate, CAP_SECONDS,
                                [*_load(bench), "--expect", "503", *hold])
            report = measure.report_of(load)
            time.sleep(1)
            records = candidate.records()
        seen[name] = (records, report)
        passed = sum(1 for record in records if record.get("answer_time"))
        bench.say(f"C8        {name}: {report['calls']['started']} offered, {passed} passed, {len(records)} recorded")
    paced = pace(*seen["cps"])
    bounded = bounds(*seen["concurrent"])
    held = paced["held"] and bounded["held"]
    bench.write("C8", paced["passed_a_second"], f"calls/s passed of {CPS} allowed", "the bounds held over every second; concurrent never above",
                lambda *_: held, cps=paced, concurrent=bounded, shards=2)


def _seconds(text):
    """A time of a record in seconds since 1970, to the microsecond."""
    from datetime import datetime
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def pace(records, report):
    """Over any second no more than limit and burst pass; under excess no less than the limit less the larger of a call and 0.1 %."""
    passed = sorted(_seconds(record["setup_time"]) for record in records if record.get("cause") != "customer_cps")
    offered = sorted(_seconds(record["setup_time"]) for record in records)
    most = max(bisect.bisect_right(passed, at + 1 - 1e-6) - place for place, at in enumerate(passed))
    # From the third second on the burst is used up. A window begins right behind a call that passed and ends with the
    # last call offered within a second: where nothing is offered, nothing can pass.
    begin, end = offered[0] + 2, offered[-1] - 1
    counts, least = [], 0.0
    for at in passed:
        if begin <= at <= end:
            last = offered[bisect.bisect_right(offered, at + 1) - 1]
            counts.append(bisect.bisect_right(passed, last) - bisect.bisect_right(passed, at))
            least = min(least, counts[-1] - CPS * (last - at))
    complete = len(records) == report["calls"]["started"]
    return {"limit": CPS, "burst": BURST, "most_in_a_second": most, "least_against_the_limit": least, "least_in_a_second": min(counts), "recorded_all": complete,
            "passed_a_second": statistics.mean(counts),
            "held": most <= CPS + BURST and least >= -max(1, CPS / 1000) and complete}


def bounds(records, report):
    """Never more at once than the limit; none refused while fewer were live."""
    moments, refused = [], []
    for record in records:
        setup = _seconds(record["setup_time"])
        if record.get("answer_time"):
            moments += [(setup, 1), (_seconds(record["end_time"]), -1)]
        else:
            refused.append(setup)
    moments.sort()
    times, live, counts = [], 0, []
    for at, change in moments:
        live += change
        times.append(at)
        counts.append(live)
    at_time = lambda at: counts[bisect.bisect_right(times, at) - 1] if times and at >= times[0] else 0
    ending = [at for at, change in moments if change < 0]
    # Places that BYEs on their way still held.
    held_by_byes = lambda at: bisect.bisect_right(ending, at) - bisect.bisect_left(ending, at - BYE_SECONDS)
    early = sum(1 for at in refused if at_time(at) + held_by_byes(at) < CONCURRENT)
    most = max(counts, default=0)
    complete = len(records) == report["calls"]["started"]
    return {"limit": CONCURRENT, "most_at_once": most, "refused": len(refused), "refused_too_early": early, "recorded_all": complete,
            "held": most <= CONCURRENT and early == 0 and bool(refused) and complete}
