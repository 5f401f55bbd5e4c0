"""One run: a candidate under load, its CPU time over a settled window, the generator's own report."""

import json
import subprocess
import time
from dataclasses import dataclass, field

from . import host

# A window is void if more than this share of the core's time was stolen, went to ksoftirqd, or was
# used by programs that are not the candidate.
VOID_SHARE = 0.02
# A result made cheap by waiting is void (transit p50).
TRANSIT_P50_MAX_US = 300
# A generator that is busier has no reserve: a higher rate would measure it.
GENERATOR_BUSY_MAX = 0.95
# More repeated requests than this share of the calls: the queue grows, and a longer run would lose calls. WHY not
# none: a single pause of a worker repeats some dozens, and the candidate has paid for them.
REPEATED_MAX = 0.02


@dataclass
class Run:
    """What one run gave."""

    candidate: str
    workload: str
    rate: float
    seconds: float
    done: float
    attempts: float
    user: float
    system: float
    busy: float
    resident: int
    void: list = field(default_factory=list)
    report: dict = field(default_factory=dict)

    @property
    def per_unit_us(self):
        """CPU microseconds of the candidate per completed call (or request, or sequence)."""
        return 1e6 * (self.user + self.system) / self.done if self.done else None

    @property
    def user_us(self):
        return 1e6 * self.user / self.done if self.done else None

    @property
    def per_attempt_us(self):
        return 1e6 * (self.user + self.system) / self.attempts if self.attempts else None

    @property
    def good(self):
        """Whether everything that was started came to its end, and the generator was not the limit."""
        calls = self.report["calls"]
        repeated = sum(self.report["repeated"].values())
        generator = self.report["generator"]
        lost = sum(generator["engine"][what] for what in ("kernel_drops", "send_no_slot", "send_failed", "timers_refused"))
        return (calls["failed"] + calls["lost_after_answer"] + lost == 0 and repeated <= calls["started"] * REPEATED_MAX
                and generator["busy"] <= GENERATOR_BUSY_MAX)

    def latency(self, what, quantile):
        return self.report["latency_us"].get(what, {}).get(quantile)

    def summary(self):
        """For the results file."""
        calls = self.report["calls"]
        return {
            "candidate": self.candidate, "workload": self.workload, "rate": self.rate, "seconds": self.seconds,
            "per_second": self.done / self.seconds if self.seconds else None, "us": self.per_unit_us,
            "user_us": self.user_us, "busy": self.busy, "resident_bytes": self.resident, "void": self.void,
            "failed": calls["failed"], "lost_after_answer": calls["lost_after_answer"],
            "repeated": self.report["repeated"], "latency_us": self.report["latency_us"],
            "datagrams": self.report["datagrams"], "generator": self.report["generator"],
        }


def load(generator, core, target, workload, rate, seconds, flags):
    """Starts the generator on `core`. `rate` is a number or, as steps, text."""
    rate = rate if isinstance(rate, str) else f"{rate:.1f}"
    command = [str(generator), workload, "--target", target, "--rate", rate, "--duration", f"{seconds}s",
               "--cores", str(core), "--quiet", "--format", "json", "--grace", "3s",
               "--max-failed", str(10**9), "--max-lost", str(10**9), *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def report_of(process):
    """What a generator printed at its end."""
    output, errors = process.communicate(timeout=60)
    if not output:
        raise RuntimeError(f"{' '.join(process.args)}\n{errors}")
    return json.loads(output)


def run(candidate, generator, core, workload, rate, flags, seconds):
    """Runs `workload` at `rate` against a candidate that serves. `core` is the generator's."""
    settle = min(2.0, seconds / 4)
    process = load(generator, core, candidate.address, workload, rate, seconds, flags)
    try:
        time.sleep(settle + 0.3)
        pids = candidate.pids()
        first = host.sample(pids, candidate.core)
        time.sleep(seconds - settle - 0.5)
        last = host.sample(pids, candidate.core)
        report = report_of(process)
    except BaseException:
        process.kill()
        process.wait()
        raise
    span = (last.at_us - first.at_us) / 1e6
    user, system = last.user - first.user, last.system - first.system
    series = report["series"]
    done = between(series, first.at_us, last.at_us, lambda point: point["completed"] + point["rejected"])
    attempts = between(series, first.at_us, last.at_us, lambda point: point["attempts"])
    result = Run(candidate.name, workload, rate, span, done, attempts, user, system, (user + system) / span,
                 last.resident, _void(candidate, first, last, span, user + system), report)
    transit = result.latency("transit", "p50")
    if transit and transit > TRANSIT_P50_MAX_US:
        result.void.append(f"transit p50 {transit} us")
    return result


def between(series, begin_us, end_us, count):
    """A count over a window, interpolated between the points of the generator's series."""
    def at(moment):
        before = {"at_us": series[0]["at_us"], "value": 0} if series else None
        for point in series:
            here = {"at_us": point["at_us"], "value": count(point)}
            if here["at_us"] >= moment:
                width = here["at_us"] - before["at_us"]
                share = (moment - before["at_us"]) / width if width > 0 else 1.0
                return before["value"] + share * (here["value"] - before["value"])
            before = here
        return before["value"] if before else 0
    return at(end_us) - at(begin_us)


def _void(candidate, first, last, span, own):
    """Why the window is worth nothing; empty: it is sound."""
    reasons = []
    times = [b - a for a, b in zip(first.core, last.core)]
    idle = times[3] + times[4]
    for share, what in [
        (times[7] / span, "stolen"),
        ((last.ksoftirqd - first.ksoftirqd) / span, "ksoftirqd"),
        ((sum(times) - idle - times[7] - own) / span - 0.01, "other programs on the core"),
    ]:
        if share > VOID_SHARE:
            reasons.append(f"{what} {100 * share:.1f} %")
    return reasons
