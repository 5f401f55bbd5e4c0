"""Many who are registered: five million bindings (row R6), all phones at once after a power cut (R8)."""

import json
import statistics
import subprocess
import time

from .. import candidates, measure
from ..bench import GATEWAYS
from ..quota import Quota
from .registrar import SECONDS

DOMAIN = candidates.ADDRESS.split(":")[0]
# The users of the journal, called and registered with the same names. WHY from where they are called: a phone whose
# Contact is elsewhere is behind NAT, and gets keep-alives.
NAMES = ["--prefix", "+49"]
USERS = [*NAMES, "--from", candidates.GATEWAYS[0]]
FEW, MANY = 10_000, 5_000_000
RATE, CALL_RATE = 50_000, 2_000
COST_MAX = 1.2
# Bindings of the journal end so many seconds after it was written, and ten later they are gone. What comes before
# must be over by then.
ENDING, GRACE, TO_END_MAX = 18, 10, 30
# While they end others register.
BESIDE_RATE, BESIDE_FIRST = 5_000, 4_000_000_000
LIMITS = {MANY: "[registrar]\nusers_per_shard = 5500000\nstore_mebibytes_per_shard = 1536\n", FEW: ""}


def fill(bench, candidate, bindings, expires=3_600, contact=candidates.GATEWAYS[0]):
    """A journal in the state directory of a Tandem that has not started yet."""
    command = [bench.settings.release / "examples" / "fill_journal", "--state", candidate.folder / "state", "--domain", DOMAIN,
               "--bindings", str(bindings), "--expires", str(expires), "--contact", contact, *NAMES]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def r6(bench):
    """Loads, looks up, ends five million; a REGISTER and a call among them against the same among ten thousand."""
    few, many = _among(bench, FEW), _among(bench, MANY)
    ratio = many["register"].per_unit_us / few["register"].per_unit_us
    calls = many["call"].report["calls"]
    checks = {
        "loaded": many["bindings"] >= MANY, "looked_up": calls["completed"] == calls["started"],
        "expired": many["expired"], "others_meanwhile": many["beside"]["calls"]["failed"] == 0,
        "cost": ratio <= COST_MAX,
    }
    void = many["register"].void or few["register"].void or None
    bench.write("R6", ratio, "x the cost of a REGISTER among 10,000", f"<= {COST_MAX}; loads, looks up, expires 5 M",
                lambda *_: all(checks.values()), void=void, checks=checks, bindings=many["bindings"],
                us=many["register"].per_unit_us, us_among_few=few["register"].per_unit_us,
                us_of_a_call=many["call"].per_unit_us, us_of_a_call_among_few=few["call"].per_unit_us,
                serving_after_seconds=many["serving_after"], resident_bytes=many["register"].resident,
                seconds_to_end_all=many["seconds_to_end"],
                answer_p99_us_meanwhile=many["beside"]["latency_us"].get("answer", {}).get("p99"), rate=RATE)


def _among(bench, bindings):
    """Costs of REGISTERs (refreshes) and calls among so many bindings; for many, their end, too."""
    ends = bindings == MANY
    candidate = bench.make("tandem", "register", extra=LIMITS[bindings])
    written = time.monotonic()
    fill(bench, candidate, bindings, ENDING if ends else 3_600)
    numbers, seconds = ["--numbers", str(bindings)], min(bench.settings.seconds, SECONDS)
    with candidate:
        found = {"bindings": candidate.stats()["tandem_bindings", ""], "serving_after": candidate.serving_after}
        bench.say(f"R6        {found['bindings']:,.0f} bindings, serving after {candidate.serving_after:.1f} s")
        found["register"] = bench.on(candidate, "R6", "tandem", "register", RATE, [*USERS, *numbers], seconds)
        found["call"] = bench.on(candidate, "R6", "tandem", "call", CALL_RATE, [*GATEWAYS, *numbers], seconds)
        if ends:
            found |= _end(bench, candidate, written, found["register"].report["calls"]["completed"])
    return found


def _end(bench, candidate, written, refreshed):
    """Waits until all are gone but those that came again, while others register."""
    s = bench.settings
    last = time.monotonic() - written
    if last > ENDING + GRACE:
        raise RuntimeError(f"bindings ended while they were measured: {last:.0f} s after they were written")
    seconds = ENDING + GRACE - last + 5.0
    load = measure.load(s.generator, s.generator_core, candidate.address, "register", BESIDE_RATE, seconds,
                        ["--first-number", str(BESIDE_FIRST), "--from", "127.0.0.1:5981"])
    try:
        begun = None
        until = time.monotonic() + ENDING + TO_END_MAX
        while time.monotonic() < until:
            stats = candidate.stats()
            expired = stats["tandem_bindings_expired_total", ""]
            if begun is None and expired > 0:
                begun = time.monotonic()
            if expired >= MANY - refreshed:
                break
            time.sleep(0.05)
        took = time.monotonic() - begun if begun else None
        report = measure.report_of(load)
    finally:
        if load.poll() is None:
            load.kill()
            load.wait()
    bench.say(f"R6        {expired:,.0f} ended within {took or 0:.1f} s")
    return {"expired": expired >= MANY - refreshed, "seconds_to_end": took, "beside": report}


# R8: half a core, so that the generator can offer twice of what is carried. WHY not less: what arrives has to be taken
# from the socket, whatever becomes of it, and that alone is a third of the work.
QUOTA = 0.5
# So many phones, all within half a second, calls beside them.
PHONES, CALLS_RATE = 100_000, 200
PHONES_AT = "127.0.0.1:5980"
# Those who are called are others, which do not register meanwhile: a generator of REGISTERs answers no INVITE. They are
# where the generator of calls answers.
CALLED, CALLED_FIRST = 1_000, 5_000_000_000
CALLED_NUMBERS = ["--first-number", str(CALLED_FIRST), "--numbers", str(CALLED)]
BURST_RATE, BURST_SECONDS = 200_000, 10.0
CALLS_MIN, FULL_RATE_MIN = 0.999, 0.9
FULL_RATE_STEPS = 5


def r8(bench):
    """All phones register at once, and repeat what is not answered; calls go on beside them.

    The capacity is made small by a CPU quota, so that the generator can exceed it many times over; the full rate is
    what the same Tandem does when REGISTERs come at just that rate.
    """
    s = bench.settings
    with Quota(QUOTA):
        pass
    full = _full_rate(bench)
    candidate = bench.make("tandem", "register")
    fill(bench, candidate, PHONES, contact=PHONES_AT)
    with Quota(QUOTA) as quota, candidate:
        quota.take(candidate.pids())
        called = measure.report_of(measure.load(
            s.generator, s.generator_core, candidate.address, "register", CALLED, 1.0,
            [*USERS, *CALLED_NUMBERS, "--calls", str(CALLED)]))
        if called["calls"]["completed"] < CALLED:
            raise RuntimeError("those who are to be called could not register")
        calls = measure.load(s.generator, s.generator_core, candidate.address, "call", CALLS_RATE, BURST_SECONDS,
                             [*GATEWAYS, *CALLED_NUMBERS])
        time.sleep(2.0)
        phones = measure.load(s.generator, s.generator_core, candidate.address, "register", BURST_RATE, BURST_SECONDS - 3.0,
                              [*NAMES, "--from", PHONES_AT, "--calls", str(PHONES), "--numbers", str(PHONES), "--max-active", str(PHONES + 1000)])
        try:
            registered, called = measure.report_of(phones), measure.report_of(calls)
        finally:
            for load in (phones, calls):
                if load.poll() is None:
                    load.kill()
                    load.wait()
    rate, seconds = _served(registered)
    share = called["calls"]["completed"] / max(1, called["calls"]["started"])
    checks = {"all_registered": registered["calls"]["completed"] >= PHONES, "full_rate": rate >= FULL_RATE_MIN * full,
              "calls": share >= CALLS_MIN}
    bench.say(f"R8        {registered['calls']['completed']:,} of {PHONES:,} within {seconds:.1f} s, {rate:,.0f}/s of {full:,.0f}; "
              f"calls {100 * share:.2f} %")
    bench.write("R8", 100 * share, "% of calls completed while all phones register at once",
                ">= 99.9; the backlog at full rate, nobody starves", lambda *_: all(checks.values()), checks=checks,
                phones=PHONES, registered=registered["calls"]["completed"], seconds_until_all=seconds, per_second=rate,
                full_rate=full, repeated=registered["repeated"], datagrams=registered["datagrams"], answer_us=registered["latency_us"].get("answer"),
                calls=called["calls"], call_first_response_us=called["latency_us"].get("first_response"), quota=QUOTA)


def _full_rate(bench):
    """REGISTERs a second under the quota at which hardly any is repeated."""
    s = bench.settings
    best, ceiling, rate = None, None, 45_000
    for _ in range(FULL_RATE_STEPS):
        candidate = bench.make("tandem", "register")
        fill(bench, candidate, PHONES, contact=PHONES_AT)
        with Quota(QUOTA) as quota, candidate:
            quota.take(candidate.pids())
            report = measure.report_of(measure.load(s.generator, s.generator_core, candidate.address, "register", rate, 2.0,
                                                    [*NAMES, "--from", PHONES_AT, "--numbers", str(PHONES)]))
        calls = report["calls"]
        good = calls["failed"] == 0 and sum(report["repeated"].values()) <= calls["started"] / 1000
        bench.say(f"R8.find   tandem            {rate:>7.0f}/s  {'carried' if good else 'too much'}")
        if good:
            best, rate = rate, (rate + ceiling) / 2 if ceiling else rate * 1.4
        else:
            ceiling, rate = rate, (rate + best) / 2 if best else rate * 0.7
    if best is None:
        raise RuntimeError("no rate of REGISTERs was carried under the quota")
    return best


def _served(report):
    """200s a second while there is a backlog, and the seconds from the first REGISTER until all had one. The backlog: from the
    first tenth of them to the last that found room in the socket. WHY not all: what found none is silent until it repeats,
    and nobody can serve it meanwhile."""
    series, done = report["series"], report["calls"]["completed"]
    at_once = done - min(report["datagrams"]["lost_at_target"], done // 2)
    reached = lambda count: next((point for point in series if point["completed"] >= count), series[-1])
    first, last, all_of_them = reached(0.1 * done), reached(0.99 * at_once), reached(done)
    seconds = max((last["at_us"] - first["at_us"]) / 1e6, 1e-3)
    return (last["completed"] - first["completed"]) / seconds, (all_of_them["at_us"] - report["begin_us"]) / 1e6
