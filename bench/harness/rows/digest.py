"""Proof of identity: what a challenge costs (row R4) and what the credentials of a REGISTER add to it (row R3).

A challenge is a REGISTER without credentials, answered by 401. A pair is a REGISTER, its 401, and the REGISTER with
credentials, answered by 200: without the challenge it costs what the second request does. Beside it stands the same
refresh for a domain without accounts, one for each OPTIONS: without the OPTIONS it costs what the refresh does.

WHY not refreshes alone: each message costs less the more there are, and each binding too, since the disk is asked so many
times a second whatever there is to write. So both sides have the same number of messages a second, and of bindings.
"""

import hashlib
import statistics
import tempfile
from pathlib import Path

from .. import measure
from ..bench import at_most
from .registrar import FROM, SECONDS

# Messages a second.
RATE = 40_000
ACCOUNTS, PASSWORD, FIRST = 8_000, "open-sesame", 3_000_000_000
REALM = "127.0.0.1"
# All accounts are asked for at the start, from one address.
GENEROUS = ("[authentication]\naddress_questions_burst = 1000000\naddress_questions = 100000\n"
            "address_failures = 100000\n")
NUMBERS = [*FROM, "--numbers", str(ACCOUNTS)]
# So many a second are made known, all of them in so long, as often as it takes.
WARM_RATE, WARM_SECONDS, WARM_TRIES = 6_000, 1.5, 6
CREDENTIALS_US_MAX, CHALLENGE_MAX = 2.0, 1.25


def rows(bench):
    """R3 and R4."""
    challenges = {"tandem": [], "floor": []}
    added, proven, plain = [], [], []
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        accounts = Path(folder) / "accounts.toml"
        accounts.write_text("".join(_account(FIRST + number) for number in range(ACCOUNTS)))
        for _ in range(bench.settings.rounds):
            challenge, pair, options, refresh = _round(bench, accounts)
            challenges["tandem"].append(challenge)
            challenges["floor"].append(bench.one("R4", "floor", "register", RATE, [], seconds=min(bench.settings.seconds, SECONDS)))
            proven.append(pair.per_unit_us - challenge.per_unit_us)
            plain.append(refresh.per_unit_us - options.per_unit_us)
            added.append(proven[-1] - plain[-1])
            challenge.void += [f"pair: {why}" for why in pair.void] + [f"refresh: {why}" for why in refresh.void]
    void = sorted({why for run in challenges["tandem"] for why in run.void}) if all(
        run.void for run in challenges["tandem"]) else None
    bench.row("R4", "us/challenge (401)", "<= 1.25 x floor of one datagram", challenges, lambda run: run.per_unit_us,
              at_most(floor_max=CHALLENGE_MAX), rate=RATE)
    bench.write("R3", statistics.median(added), "us more for a REGISTER with credentials", "<= 2.0 us more than without",
                at_most(value_max=CREDENTIALS_US_MAX), values=added, void=void, rate=RATE,
                with_credentials_us=statistics.median(proven), without_us=statistics.median(plain))


def _account(number):
    ha1 = hashlib.md5(f"{number}:{REALM}:{PASSWORD}".encode()).hexdigest()
    return f'[[account]]\nuser = "{number}"\nmd5 = "{ha1}"\n'


def _round(bench, accounts):
    """The runs of challenges, of pairs, of OPTIONS, and of these with a REGISTER each that nobody asks for a proof."""
    s = bench.settings
    seconds = min(bench.settings.seconds, SECONDS)
    digest = [*NUMBERS, "--password", PASSWORD]
    with bench.make("tandem", "register", extra=f'accounts = {{ file = "{accounts}" }}\n{GENEROUS}') as tandem:
        # WHY before: credentials are checked against what is remembered; asking for it is another row's subject.
        _warm(bench, tandem, "register-digest", digest)
        challenge = bench.on(tandem, "R4", "tandem", "register", RATE, [*NUMBERS, "--expect", "401"], seconds)
        pair = bench.on(tandem, "R3", "tandem", "register-digest", RATE / 2, digest, seconds)
    with bench.make("tandem", "register") as tandem:
        options = bench.on(tandem, "R3.options", "tandem", "options", RATE, [], seconds)
        beside = measure.load(s.generator, s.generator_core, tandem.address, "options", RATE / 2, seconds + 1.0, [])
        try:
            # All are registered before the part that counts begins.
            refresh = bench.on(tandem, "R3.plain", "tandem", "register", RATE / 2, NUMBERS, seconds)
            measure.report_of(beside)
        finally:
            if beside.poll() is None:
                beside.kill()
                beside.wait()
    return challenge, pair, options, refresh


def _warm(bench, tandem, workload, flags):
    """All accounts register, until none is refused: the bound on questions under way refuses some at first."""
    for _ in range(WARM_TRIES):
        run = bench.on(tandem, "R3.warm", "tandem", workload, WARM_RATE, flags, WARM_SECONDS)
        if run.report["calls"]["failed"] == 0 and run.report["calls"]["completed"] >= ACCOUNTS:
            return
    raise RuntimeError("accounts could not be made known")
