"""The list of scenarios. Each is a function of one `Scene`; its first docstring line says what it proves."""

import dataclasses
from typing import Callable

DRIVERS = ("io_uring", "mmsg")


class Failed(AssertionError):
    """What a scenario expected did not happen; the text says what did."""


class Skipped(Exception):
    """This machine cannot run the scenario; the text says what is missing."""


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One entry of the list."""

    name: str
    run: Callable
    says: str
    driver: str
    alone: bool
    root: bool
    programs: tuple
    seconds: float
    # Why it has its place on loopback alone; None: it runs across a link as well (`run.py --driver xdp`).
    here: str | None = None
    # Tandem is across a link, on AF_XDP.
    across: bool = False

    def over_xdp(self):
        """The same across a link."""
        return dataclasses.replace(self, name=f"{self.base()}/xdp", driver="xdp", across=True, root=True)

    def base(self):
        return self.name.partition("/")[0]


SCENARIOS: dict[str, Scenario] = {}


def scenario(alone=False, root=False, programs=(), seconds=20, drivers=DRIVERS[:1], here=None, across=False):
    """Registers a function as scenario `some-name`, and as `some-name/driver` for each further driver.

    `alone`: measures shares or times, so nothing else runs beside it. `root`: needs network
    namespaces or tracing. `programs`: executables that it starts. `seconds`: when it is given up. `here`: why it
    cannot run across a link; a file's `HERE` says so for all of its scenarios. `across`: it always runs there too,
    as `some-name/xdp`.
    """

    def register(run):
        base = run.__name__.replace("_", "-")
        says = (run.__doc__ or "").strip().splitlines()[0]
        for number, driver in enumerate(drivers):
            name = base if number == 0 else f"{base}/{driver}"
            if name in SCENARIOS:
                raise ValueError(f"two scenarios are called {name}")
            SCENARIOS[name] = Scenario(name, run, says, driver, alone, root, tuple(programs), seconds,
                                       here or run.__globals__.get("HERE"))
        if across:
            over_xdp = SCENARIOS[base].over_xdp()
            SCENARIOS[over_xdp.name] = over_xdp
        return run

    return register


def expect(holds, what):
    """Fails the scenario with `what` unless `holds`."""
    if not holds:
        raise Failed(what)
