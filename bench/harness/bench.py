"""Runs candidates in rounds, keeps every run that was made, and writes rows."""

import statistics
import sys
import time
from dataclasses import dataclass

from . import candidates, measure

# The datagrams of a call in and out of a proxy, as bursts and sizes: INVITE; 100, 180 and 200; ACK and
# BYE; 200. What the echo floor sends once for each call.
CALL_RHYTHM = ["--bursts", "1,3,2,1", "--size", "900,400,550,800,450,450,400"]
# OPTIONS or REGISTER: one datagram.
OPTIONS_RHYTHM = ["--bursts", "1", "--size", "400"]
GATEWAYS = ["--gateways", ",".join(candidates.GATEWAYS)]
WHOLESALE_GATEWAYS = ["--gateways", ",".join(candidates.WHOLESALE_GATEWAYS)]

# Workloads of which the floor sends one datagram each.
ONE_DATAGRAM = ("options", "register")

# Busy enough to call a shard loaded.
BUSY = 0.90
# A candidate that fails while it is less busy is tried once more.
SURPRISING = 0.80
# A search ends when the bounds of the highest rate are this close.
SEARCH_CLOSE = 0.04
REPETITIONS_MAX = 10
# A run that is longer needs room for all transactions that 32 s may keep.
LONG_SECONDS = 8.0
# Longest run of a search.
SEARCH_SECONDS = 3.0


@dataclass
class Settings:
    """Of one invocation of scripts/bench."""

    root: object
    release: object
    target_core: int
    generator_core: int
    kamailio: str
    rounds: int
    seconds: float
    search_steps: int
    saturation_seconds: float
    quick: bool

    @property
    def generator(self):
        return self.release / "tandem-bench"


class Bench:
    """What the rows work with: candidates, rounds, the search for the highest rate, the rows so far."""

    def __init__(self, settings):
        self.settings = settings
        self.runs = []
        self.rows = {}
        self.workers, self.registrar_workers = 2, 1
        # Highest rates by candidate, found by W1; CPU microseconds of a call near it.
        self.highest = {}
        # How many void runs may be made again: a disturbed machine must not cost the hour.
        self.repetitions = 0 if settings.quick else REPETITIONS_MAX
        self.begun = time.monotonic()
        self.curves = {}
        # Rate and runs of R1, for R9.
        self.registers = None

    def say(self, text):
        """Progress, with the minute it is."""
        print(f"{(time.monotonic() - self.begun) / 60:5.1f} min  {text}", file=sys.stderr, flush=True)

    def make(self, name, mode="stateful", **more):
        """A candidate by its column in the results."""
        s = self.settings
        core = more.pop("core", s.target_core)
        if name == "tandem":
            return candidates.Tandem(core, s.release / "tandem", mode, **more)
        if name == "floor":
            return candidates.Echo(core, s.release / "examples" / "echo", **more)
        memory = "tlsf" if name == "kamailio" else "default"
        registers = mode == "register"
        config = s.root / "bench" / "kamailio" / ("register.cfg" if registers else "call.cfg")
        workers = more.pop("workers", self.registrar_workers if registers else self.workers)
        return candidates.Kamailio(core, s.kamailio, config, workers, mode, memory, **more)

    def names(self, *, floor=True, default=False):
        """The columns that can be measured here."""
        kamailio = ["kamailio"] if self.settings.kamailio else []
        if kamailio and default:
            kamailio.append("kamailio_default")
        return ["tandem", *(["floor"] if floor else []), *kamailio]

    def one(self, row, name, workload, rate, flags, mode="stateful", seconds=None):
        """One run, with a candidate that is started for it alone."""
        long = {"limits": candidates.LIMITS_OF_LONG_RUNS} if name == "tandem" and (seconds or 0) > LONG_SECONDS else {}
        with self.make(name, mode, **long) as candidate:
            return self.on(candidate, row, name, workload, rate, flags, seconds)

    def on(self, candidate, row, name, workload, rate, flags, seconds=None):
        """One run with a candidate that serves."""
        s = self.settings
        if name == "floor":
            arrivals = flags[:2] if flags[:1] == ["--arrivals"] else []
            workload, flags = "echo", [*arrivals, *(OPTIONS_RHYTHM if workload in ONE_DATAGRAM else CALL_RHYTHM)]
        result = measure.run(candidate, s.generator, s.generator_core, workload, rate, flags, seconds or s.seconds)
        self.runs.append({"row": row, **result.summary()})
        void = f"  VOID: {', '.join(result.void)}" if result.void else ""
        calls = result.report["calls"]
        self.say(f"{row:<9} {name:<17} {rate:>7.0f}/s  {result.per_unit_us or 0:7.1f} us  busy {100 * result.busy:3.0f} %"
                 f"  failed {calls['failed'] + calls['lost_after_answer']}{void}")
        return result

    def rounds(self, row, names, workload, rate, flags, mode="stateful", rates=None, once=()):
        """Candidates alternate round by round. Gives the runs of each; those in `once` run in the first round alone."""
        runs = {name: [] for name in [*names, *once]}
        for turn in range(self.settings.rounds):
            for name in [*names, *(once if turn == 0 else [])]:
                at = (rates or {}).get(name, rate)
                run = self.one(row, name, workload, at, flags, mode)
                if run.void and self.repetitions > 0:
                    # Somebody disturbed it: once more, and that one counts unless it is void, too.
                    self.repetitions -= 1
                    run = self.one(row, name, workload, at, flags, mode)
                runs[name].append(run)
        return runs

    def search(self, row, name, workload, flags, start, mode="stateful", steps=None, seconds=SEARCH_SECONDS):
        """The highest rate at which everything still ends well, by short runs; proved by a long one."""
        rate, best, ceiling = start, None, None
        for _ in range(steps or self.settings.search_steps):
            run = self.one(f"{row}.find", name, workload, rate, flags, mode, seconds=seconds)
            if not run.good and (run.void or run.busy < SURPRISING):
                # It had time left: a pause of the machine, more likely than its limit.
                run = self.one(f"{row}.find", name, workload, rate, flags, mode, seconds=seconds)
            if run.good:
                best = run if best is None or run.rate > best.rate else best
                if run.busy >= BUSY + SEARCH_CLOSE:
                    break
                # WHY the generator, too: a rate that it cannot offer says nothing of the candidate.
                busiest = max(run.busy, run.report["generator"]["busy"], 0.1)
                step = min(1.6, 0.97 / busiest)
                if step < 1 + SEARCH_CLOSE:
                    break
                rate = rate * step if ceiling is None else (rate + ceiling) / 2
            else:
                ceiling = rate
                rate = (best.rate + rate) / 2 if best else rate * 0.7
            if ceiling and best and (ceiling - best.rate) / ceiling < SEARCH_CLOSE:
                break
        return best

    def saturation(self, row, name, workload, flags, found):
        """The highest rate without a lost call for the whole of `saturation_seconds`, at or a little below `found`."""
        for share in (1.0, 0.93, 0.85, 0.75):
            run = self.one(f"{row}.hold", name, workload, found * share, flags, seconds=self.settings.saturation_seconds)
            calls = run.report["calls"]
            if calls["failed"] + calls["lost_after_answer"] == 0:
                return run
        return None

    def choose_workers(self):
        """Kamailio runs with the number of workers that does best on one core."""
        if not self.settings.kamailio:
            return
        results = {}
        for workers in (1, 2, 4):
            self.workers = workers
            run = self.one(f"workers {workers}", "kamailio", "call", 5_000, GATEWAYS, seconds=SEARCH_SECONDS)
            results[workers] = (not run.good, run.per_unit_us or float("inf"))
        self.workers = min(results, key=results.get)

    def row(self, name, unit, bar, runs, pick, verdict, **more):
        """Writes a row: medians of what `pick` takes from each run; `verdict` judges value and ratios."""
        # A void run counts only where there is no sound one, and then nothing is met or missed by it.
        sound = {who: [run for run in list_ if not run.void] for who, list_ in runs.items()}
        values = {who: [value for run in sound[who] or list_ if (value := pick(run)) is not None]
                  for who, list_ in runs.items()}
        medians = {who: statistics.median(list_) if list_ else None for who, list_ in values.items()}
        void = sorted({reason for who, list_ in runs.items() if not sound[who] for run in list_ for reason in run.void})
        failed = sum(run.report["calls"]["failed"] for run in runs.get("tandem", []))
        self.write(name, medians.get("tandem"), unit, bar, verdict, floor=medians.get("floor"),
                   kamailio=medians.get("kamailio"), kamailio_default=medians.get("kamailio_default"),
                   values=values.get("tandem"), void=void or None, failed=failed, **more)

    def write(self, name, value, unit, bar, verdict, *, floor=None, kamailio=None, kamailio_default=None, values=None,
              void=None, **more):
        """Writes a row from its figures. `verdict(value, ratio_floor, ratio_kamailio)` gives met, missed or None."""
        ratio = lambda other: value / other if value is not None and other else None
        met = verdict(value, ratio(floor), ratio(kamailio)) if value is not None and not void else None
        self.rows[name] = {
            "value": value, "unit": unit, "bar": bar, "met": met,
            "ratio_floor": ratio(floor), "ratio_kamailio": ratio(kamailio),
            "spread": (max(values) - min(values)) / value if value and values and len(values) > 1 else None,
            "us_above_floor": value - floor if value is not None and floor and unit.startswith("us") else None,
            "floor": floor, "kamailio": kamailio, "kamailio_default": kamailio_default, "void": void, **more,
        }

    def absent(self, name, unit, bar, why):
        """A row that has no figure, and why."""
        self.write(name, None, unit, bar, lambda *_: None, why=why)


def at_most(floor_max=None, kamailio_max=None, value_max=None):
    """A verdict: every ratio that is known keeps its bound; nothing known, nothing judged."""
    def verdict(value, floor, kamailio):
        known = [figure <= most for figure, most in ((floor, floor_max), (kamailio, kamailio_max), (value, value_max))
                 if figure is not None and most is not None]
        return all(known) if known else None
    return verdict
