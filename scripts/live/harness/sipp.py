"""sipp as caller and as gateway, with its statistics read back as numbers."""

import csv
import pathlib

from . import sip
from .processes import Process, wait_until
from .registry import expect

SCENARIOS = pathlib.Path(__file__).resolve().parents[1] / "sipp"


class Sipp(Process):
    """One sipp. `scenario` is a built-in name (`uac`, `uas`) or a file of `scripts/live/sipp`."""

    def __init__(self, folder, name, scenario, local, words, prefix=()):
        self.address = local
        self.statistics = folder / f"{name}.csv"
        self.errors = folder / f"{name}.errors"
        file = SCENARIOS / f"{scenario}.xml"
        what = ["-sf", file] if file.exists() else ["-sn", scenario]
        # WHY: sipp brackets [local_ip] of IPv6 itself but wants -i bare, and -mi as well.
        super().__init__(folder, name, [
            *prefix, "sipp", *what, "-i", local[0], "-mi", local[0], "-ci", local[0], "-p", local[1], "-bind_local",
            "-nostdin", "-trace_stat", "-stf", self.statistics, "-fd", "1", "-trace_err", "-error_file", self.errors,
            *words,
        ])

    def numbers(self):
        """The last line of the statistics, cumulative counts by name; empty before the first."""
        try:
            with open(self.statistics, newline="") as file:
                rows = list(csv.DictReader(file, delimiter=";"))
        except FileNotFoundError:
            return {}
        whole = [row for row in rows if row.get("CallLength(C)")]
        if not whole:
            return {}
        return {
            name.removesuffix("(C)"): int(text)
            for name, text in whole[-1].items()
            if name and (name.endswith("(C)") or name in ("CurrentCall", "TotalCallCreated")) and (text or "").isdigit()
        }

    def count(self, name):
        return self.numbers().get(name, 0)

    def trouble(self):
        """The first lines of its error file."""
        return self.errors.read_text(errors="replace")[:1500] if self.errors.exists() else ""


class Gateway(Sipp):
    """sipp as UAS: answers until it is stopped, probes included."""

    def __init__(self, folder, name, local, scenario="uas", words=(), prefix=()):
        super().__init__(folder, name, scenario, local, ["-aa", *words], prefix)

    def calls(self):
        """Calls it got: what it created, without the OPTIONS that it answered by itself."""
        numbers = self.numbers()
        return numbers.get("IncomingCall", 0) - numbers.get("AutoAnswered", 0)

    def wait_calls(self, least, seconds=4):
        """Waits until its statistics, written once a second, show at least so many calls; returns the count."""
        wait_until(lambda: self.calls() >= least, seconds, lambda: f"{self.name} got {least} calls, it has {self.calls()}", 0.1)
        return self.calls()


class Caller(Sipp):
    """sipp as UAC: places `calls` calls at `rate` a second and ends."""

    def __init__(self, folder, name, local, to, calls, rate, scenario="uac", words=(), prefix=()):
        self.wanted = calls
        super().__init__(folder, name, scenario, local, [
            sip.hostport(to), "-m", calls, "-r", rate, "-l", 50_000, "-skip_rlimit", *words,
        ], prefix)

    def finish(self, seconds, successful=None):
        """Waits for its end; `successful` calls (default: all) must have gone well. Returns the numbers."""
        self.wait(seconds)
        numbers = self.numbers()
        good = numbers.get("SuccessfulCall", 0)
        wanted = self.wanted if successful is None else successful
        failures = {name: count for name, count in numbers.items() if name.startswith("Failed") and count}
        expect(good >= wanted, f"{self.name}: {good} of {self.wanted} calls went well, wanted {wanted}; {failures}\n{self.trouble()}")
        return numbers

    def created(self):
        return self.count("TotalCallCreated")

    def wait_created(self, calls, seconds):
        """Waits until it has placed so many calls (read from statistics written once a second)."""
        wait_until(lambda: self.created() >= calls, seconds, lambda: f"{self.name} placed {calls} calls, it has {self.created()}", 0.1)
