"""The rows of the results file: which runs each is made of, its bar, and whether it is met."""

import statistics
import sys
from dataclasses import dataclass

from . import candidates, measure

# The datagrams of a call in and out of a proxy, as bursts and sizes: INVITE; 100, 180 and 200; ACK and
# BYE; 200. What the echo floor sends once for each call.
CALL_RHYTHM = ["--bursts", "1,3,2,1", "--size", "900,400,550,800,450,450,400"]
# OPTIONS: one datagram.
OPTIONS_RHYTHM = ["--bursts", "1", "--size", "400"]
GATEWAYS = ["--gateways", ",".join(candidates.GATEWAYS)]
WHOLESALE_GATEWAYS = ["--gateways", ",".join([*candidates.GATEWAYS, "127.0.0.1:5973", "127.0.0.1:5974"])]

# Busy enough to call a shard loaded, and how far the search for the highest rate goes above it.
BUSY = 0.90


@dataclass
class Settings:
    """Of one invocation of scripts/bench."""

    target_core: int
    generator_core: int
    generator: object
    tandem: object
    echo: object
    kamailio: str
    kamailio_config: object
    rounds: int
    seconds: float
    search_steps: int
    default_column: bool


class Bench:
    """Runs rows and keeps every run that was made."""

    def __init__(self, settings):
        self.settings = settings
        self.runs = []
        self.rows = {}
        self.workers = 2
        self.highest = {}

    def make(self, name, mode="stateful"):
        s = self.settings
        if name == "tandem":
            return candidates.Tandem(s.target_core, s.tandem, mode)
        if name == "floor":
            return candidates.Echo(s.target_core, s.echo)
        memory = "tlsf" if name == "kamailio" else "default"
        return candidates.Kamailio(s.target_core, s.kamailio, s.kamailio_config, self.workers, mode, memory)

    def names(self, default=False):
        kamailio = ["kamailio"] if self.settings.kamailio else []
        if kamailio and default and self.settings.default_column:
            kamailio.append("kamailio_default")
        return ["tandem", "floor", *kamailio]

    def one(self, row, name, workload, rate, flags, mode="stateful", seconds=None):
        """One run, with a candidate that is started for it alone."""
        s = self.settings
        if name == "floor":
            workload, flags = "echo", OPTIONS_RHYTHM if workload == "options" else CALL_RHYTHM
        with self.make(name, mode) as candidate:
            result = measure.run(candidate, s.generator, s.generator_core, workload, rate, flags, seconds or s.seconds)
        self.runs.append({"row": row, **result.summary()})
        void = f"  VOID: {', '.join(result.void)}" if result.void else ""
        print(f"  {row:<9} {name:<17} {rate:>7.0f}/s  {result.per_unit_us or 0:7.1f} us  busy {100 * result.busy:3.0f} %"
              f"  failed {result.report['calls']['failed']}{void}", file=sys.stderr, flush=True)
        return result

    def rounds(self, row, names, workload, rate, flags, mode="stateful", rates=None):
        """Candidates alternate round by round. Gives the runs of each."""
        runs = {name: [] for name in names}
        for _ in range(self.settings.rounds):
            for name in names:
                at = (rates or {}).get(name, rate)
                runs[name].append(self.one(row, name, workload, at, flags, mode))
        return runs

    def search(self, row, name, workload, flags, start, mode="stateful"):
        """The highest rate at which everything still ends well, by a few short runs."""
        rate, best, ceiling = start, None, None
        for _ in range(self.settings.search_steps):
            run = self.one(f"{row}.find", name, workload, rate, flags, mode, seconds=min(5.0, self.settings.seconds))
            if run.good:
                best = run if best is None or run.rate > best.rate else best
                if run.busy >= BUSY + 0.04:
                    break
                step = min(2.0, 0.97 / max(run.busy, 0.1))
                rate = rate * step if ceiling is None else (rate + ceiling) / 2
            else:
                ceiling = rate
                rate = (best.rate + rate) / 2 if best else rate * 0.7
            if ceiling and best and (ceiling - best.rate) / ceiling < 0.04:
                break
        return best

    def choose_workers(self):
        """Kamailio runs with the number of workers that does best on one core."""
        if not self.settings.kamailio:
            return
        results = {}
        for workers in (1, 2):
            self.workers = workers
            run = self.one("workers", "kamailio", "call", 5_000, GATEWAYS, seconds=min(5.0, self.settings.seconds))
            results[workers] = run.per_unit_us or float("inf")
        self.workers = min(results, key=results.get)

    def row(self, name, unit, bar, runs, pick, verdict, **more):
        """Writes a row: medians of what `pick` takes from each run; `verdict` judges the ratios."""
        # A void run counts only where there is no sound one, and then nothing is met or missed by it.
        sound = {who: [run for run in list_ if not run.void] for who, list_ in runs.items()}
        values = {who: [value for run in sound[who] or list_ if (value := pick(run)) is not None]
                  for who, list_ in runs.items()}
        medians = {who: statistics.median(list_) if list_ else None for who, list_ in values.items()}
        own = medians.get("tandem")
        ratio = lambda who: own / medians[who] if own and medians.get(who) else None
        ratio_floor, ratio_kamailio = ratio("floor"), ratio("kamailio")
        own_values = values.get("tandem") or []
        void = sorted({reason for who, list_ in runs.items() if not sound[who] for run in list_ for reason in run.void})
        failed = sum(run.report["calls"]["failed"] for run in runs.get("tandem", []))
        met = verdict(own, ratio_floor, ratio_kamailio) if own is not None and not void else None
        self.rows[name] = {
            "value": own, "unit": unit, "bar": bar, "met": met,
            "ratio_floor": ratio_floor, "ratio_kamailio": ratio_kamailio,
            "spread": (max(own_values) - min(own_values)) / own if own and len(own_values) > 1 else None,
            "above_floor": own - medians["floor"] if own and medians.get("floor") else None,
            "floor": medians.get("floor"), "kamailio": medians.get("kamailio"),
            "kamailio_default": medians.get("kamailio_default"),
            "failed": failed, "void": void or None, **more,
        }


def _both(floor_max, kamailio_max):
    def verdict(_, floor, kamailio):
        known = [ratio <= most for ratio, most in ((floor, floor_max), (kamailio, kamailio_max))
                 if ratio is not None and most is not None]
        return all(known) if known else None
    return verdict


def w1_rates(bench, rates):
    """W1 at fixed rates."""
    for rate in rates:
        kamailio_can = rate <= bench.highest.get("kamailio", 7_000)
        names = [name for name in bench.names(default=rate <= 1_500)
                 if kamailio_can or not name.startswith("kamailio")]
        runs = bench.rounds(f"W1@{rate}", names, "call", rate, GATEWAYS)
        bench.row(f"W1@{rate}", "us/call", "<= 1.30 x floor, <= Kamailio", runs, lambda run: run.per_unit_us,
                  _both(1.30, 1.0), rate=rate, busy=runs["tandem"][-1].busy)


def w1(bench):
    """W1 near saturation, each at its own highest rate; the floor at Tandem's."""
    best = bench.search("W1", "tandem", "call", GATEWAYS, 8_000)
    if best is None:
        return
    rates = {"tandem": best.rate, "floor": best.rate}
    bench.highest["tandem"] = best.rate
    if bench.settings.kamailio:
        peer = bench.search("W1", "kamailio", "call", GATEWAYS, 5_000)
        if peer:
            rates["kamailio"] = bench.highest["kamailio"] = peer.rate
    names = [name for name in bench.names() if name in rates]
    runs = bench.rounds("W1", names, "call", best.rate, GATEWAYS, rates=rates)
    last = runs["tandem"][-1]
    limited = "shard" if last.busy >= BUSY else "generator"
    user = [run.user_us for run in runs["tandem"] if run.user_us]
    bench.row("W1", "us/call", "<= 1/3 x Kamailio at its best, <= 1.30 x floor", runs, lambda run: run.per_unit_us,
              _both(1.30, 1 / 3), rates=rates, busy=last.busy, limited_by=limited,
              user_us=statistics.median(user) if user else None,
              kamailio_user_us=statistics.median([run.user_us for run in runs["kamailio"]]) if "kamailio" in runs else None)


def w2(bench):
    """Stateless calls."""
    rate = min(bench.highest.get("tandem", 8_000), 8_000)
    kamailio = {"kamailio": min(rate, bench.highest.get("kamailio", 6_000))}
    runs = bench.rounds("W2", bench.names(), "call-stateless", rate, GATEWAYS, "stateless", rates=kamailio)
    bench.row("W2", "us/call", "<= 1.15 x floor", runs, lambda run: run.per_unit_us, _both(1.15, None), rate=rate)


def w3(bench):
    """OPTIONS that the proxy answers."""
    rate = 40_000
    runs = bench.rounds("W3", bench.names(), "options", rate, [])
    bench.row("W3", "us/request", "<= 1.20 x floor of one datagram", runs, lambda run: run.per_unit_us,
              _both(1.20, None), rate=rate, busy=runs["tandem"][-1].busy)


def w5(bench):
    """The first gateway answers 503 to everything."""
    rate = 3_000
    runs = bench.rounds("W5", ["tandem", *bench.names()[2:]], "failover", rate, GATEWAYS, "failover")
    plain = bench.rounds("W5.W1", ["tandem"], "call", rate, GATEWAYS)["tandem"]
    one = statistics.median(run.per_unit_us for run in plain if run.per_unit_us)
    bench.row("W5", "us/call", "<= 1.35 x W1 at the same rate", runs, lambda run: run.per_unit_us,
              lambda own, *_: own <= 1.35 * one, rate=rate, w1_at_this_rate=one,
              ratio_w1=statistics.median(run.per_unit_us for run in runs["tandem"]) / one)


def w10(bench):
    """Transit of the INVITE: both at half of Kamailio's highest rate, and each at half its own."""
    peer = bench.highest.get("kamailio")
    own = bench.highest.get("tandem")
    names = [name for name in bench.names() if name != "floor"]
    arrivals = ["--arrivals", "poisson", *GATEWAYS]
    if peer:
        runs = bench.rounds("W10", names, "call", peer / 2, arrivals)
        _latency_row(bench, "W10", runs, rate=peer / 2)
    if own:
        rates = {"tandem": own / 2, **({"kamailio": peer / 2} if peer else {})}
        runs = bench.rounds("W10.own", [name for name in names if name in rates], "call", own / 2, arrivals, rates=rates)
        _latency_row(bench, "W10.own", runs, rates=rates)


def _latency_row(bench, name, runs, **more):
    quantiles = {}
    for who, list_ in runs.items():
        for quantile in ("p50", "p99", "p999"):
            values = [value for run in list_ if (value := run.latency("transit", quantile)) is not None]
            quantiles.setdefault(who, {})[quantile] = statistics.median(values) if values else None
    bench.row(name, "us, transit p99", "<= 1/2 x Kamailio", runs, lambda run: run.latency("transit", "p99"),
              _both(None, 0.5), quantiles=quantiles, **more)


def w11(bench):
    """The wholesale mix, per attempt at a gateway."""
    rate = 1_000
    runs = bench.rounds("W11", [name for name in bench.names() if name != "floor"], "wholesale", rate,
                        WHOLESALE_GATEWAYS, "wholesale")
    bench.row("W11", "us/attempt", "<= 1/2.5 x Kamailio", runs, lambda run: run.per_attempt_us,
              _both(None, 1 / 2.5), rate=rate)


ELSEWHERE = {
    "W0": ("us/call", "<= 7 us at 2.4 GHz, <= 40,000 instructions", "in-memory driver: not part of this harness yet"),
    "W4": ("us/call", "<= 1.15 x no hand-over", "needs two shards and a generator core: three cores"),
    "W6": ("ns", "<= 400 ns at 2.4 GHz, <= 2,600 instructions", "micro-benchmark: not part of this harness yet"),
    "W7": ("ns", "<= 900 ns at 2.4 GHz, <= 5,500 instructions", "micro-benchmark: not part of this harness yet"),
    "W8": ("ns", "<= 60 ns", "micro-benchmark: not part of this harness yet"),
    "W9": ("bytes", "<= 2 KB per proceeding INVITE", "memory: not part of this harness yet"),
}


def not_measured(bench):
    """Rows of the table that this harness does not measure stand in the file all the same."""
    for name, (unit, bar, why) in ELSEWHERE.items():
        bench.rows.setdefault(name, {"value": None, "unit": unit, "bar": bar, "met": None, "ratio_floor": None,
                                     "ratio_kamailio": None, "spread": None, "why": why})
