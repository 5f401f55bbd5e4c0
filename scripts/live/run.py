#!/usr/bin/env python3
"""Runs the live scenarios: real peers, real sockets, Tandem as its user starts it.

    run.py [--proxy kamailio] [--driver xdp] [--list] [--keep] [--jobs N] [name…]

A name selects the scenarios whose name starts with it. Ends with 'N passed, N failed, N skipped'. With `--driver xdp`
Tandem stands in a network namespace of its own, on AF_XDP, and all peers are across a link: every scenario runs so
that has no reason to be here alone.

Scenarios run side by side, so that one may fail because others had the machine. What failed is run twice more, by itself:
if it passes both times it counts as passed, and a line UNSTEADY says so beneath what it printed first; else it failed.
"""

import argparse
import concurrent.futures
import importlib
import itertools
import os
import pathlib
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from harness import namespace, registry, tandem  # noqa: E402
from harness.processes import end_with_parent  # noqa: E402
from harness.scene import Scene  # noqa: E402

PASSED, FAILED, SKIPPED = 0, 1, 75
# How often a scenario that failed has to pass by itself to count as passed.
ALONE_RUNS = 2
# Scenarios that run now, for the end by a signal.
RUNNING = set()


def load():
    """Imports every file of `scenarios/`, which fills the list."""
    for module in pkgutil.iter_modules([str(HERE / "scenarios")]):
        importlib.import_module(f"scenarios.{module.name}")
    return registry.SCENARIOS


def missing(scenario, proxy):
    """Why this machine cannot run it, or None."""
    if scenario.root and os.geteuid() != 0:
        return "needs root (network namespaces or tracing)"
    lacking = [program for program in scenario.programs if not shutil.which(program)]
    if lacking:
        return f"needs {', '.join(lacking)}"
    return None


def run_one(name, folder, proxy):
    """Runs one scenario in this process; returns its exit code."""
    base, _, driver = name.partition("/")
    scenario = load()[base].over_xdp() if driver == "xdp" else load()[name]
    why = missing(scenario, proxy)
    if why:
        print(why)
        return SKIPPED
    try:
        scene = Scene(scenario, folder, proxy)
    except registry.Skipped as reason:
        print(reason)
        return SKIPPED
    signal.signal(signal.SIGTERM, lambda *_: give_up(f"given up after {scenario.seconds + 10} s"))
    code = PASSED
    try:
        scenario.run(scene)
    except registry.Skipped as reason:
        print(reason)
        code = SKIPPED
    except registry.Failed as reason:
        where = traceback.extract_tb(reason.__traceback__)
        line = next((frame for frame in reversed(where) if "scenarios" in frame.filename), where[-1])
        print(f"{pathlib.Path(line.filename).name}:{line.lineno}: {reason}")
        code = FAILED
    except Exception:  # noqa: BLE001 - whatever broke is this scenario's failure
        traceback.print_exc(file=sys.stdout)
        code = FAILED
    if code == FAILED:
        print(scene.logs())
    try:
        scene.end(code == PASSED)
    except registry.Failed as reason:
        print(reason)
        code = FAILED
    return code


def give_up(why):
    """Ends the scenario where it stands, so that it still cleans up and tells."""
    raise registry.Failed(why)


def run_child(scenario, arguments, base):
    """Runs one scenario in a process of its own and reports it; returns its exit code."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=scenario.name.replace("/", "-") + "-", dir=base))
    command = [sys.executable, str(HERE / "run.py"), "--one", scenario.name, "--folder", str(folder), "--proxy", arguments.proxy]
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             preexec_fn=end_with_parent)
    RUNNING.add(child)
    try:
        output, _ = child.communicate(timeout=scenario.seconds + 10)
        code = child.returncode
    except subprocess.TimeoutExpired:
        output, code = end(child), FAILED
    RUNNING.discard(child)
    namespace.sweep(child.pid)
    took = time.monotonic() - began
    if code == PASSED and took > scenario.seconds:
        output, code = f"right, but it took {took:.1f} s of {scenario.seconds} s".encode(), FAILED
    text = output.decode(errors="replace").strip()
    if code == PASSED:
        print(f"PASS {scenario.name} ({took:.1f} s)", flush=True)
    elif code == SKIPPED:
        print(f"SKIP {scenario.name}: {text}", flush=True)
    else:
        indented = "\n".join("     " + line for line in text.splitlines())
        print(f"FAIL {scenario.name} ({took:.1f} s): {scenario.says}\n{indented}", flush=True)
        if arguments.keep:
            print(f"     files: {folder}", flush=True)
    return code


def passes_alone(scenario, arguments, base):
    """Whether a scenario that failed passes twice when it has the machine to itself."""
    passes = all(run_child(scenario, arguments, base) == PASSED for _ in range(ALONE_RUNS))
    if passes:
        print(f"UNSTEADY {scenario.name}: failed once, as shown above; passed {ALONE_RUNS} times by itself", flush=True)
    return passes


def end(child):
    """Ends a scenario's process, softly first; returns what it printed."""
    child.terminate()
    try:
        return child.communicate(timeout=8)[0]
    except subprocess.TimeoutExpired:
        child.kill()
        return child.communicate()[0] + b"\nstill running: killed"


def end_by_signal(base):
    """Leaves nothing behind: what the scenarios started ends with them."""
    for child in list(RUNNING):
        child.terminate()
    for child in list(RUNNING):
        try:
            child.wait(8)
        except subprocess.TimeoutExpired:
            child.kill()
        namespace.sweep(child.pid)
    shutil.rmtree(base, ignore_errors=True)
    os._exit(1)


def selected(names, driver=None):
    """The scenarios whose names start with one of `names`, all without any; with a driver those that can run on it."""
    scenarios = load().values()
    if driver:
        scenarios = [one.over_xdp() for one in scenarios if "/" not in one.name and one.here is None]
    chosen = [one for one in scenarios if not names or any(one.name.startswith(name) for name in names)]
    for name in names:
        if not any(one.name.startswith(name) for one in chosen):
            sys.exit(f"no scenario is called {name}; --list shows them")
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--proxy", choices=("tandem", "kamailio"), default="tandem", help="what stands in the middle")
    parser.add_argument("--driver", choices=("xdp",), help="all of them across a link on this driver")
    parser.add_argument("--list", action="store_true", help="show the scenarios and what each proves")
    parser.add_argument("--keep", action="store_true", help="keep the files of failed scenarios")
    parser.add_argument("--jobs", type=int, default=5, help="how many run at once, where they allow it")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return run_one(arguments.one, arguments.folder, arguments.proxy)
    chosen = selected(arguments.names, arguments.driver)
    if arguments.proxy == "tandem" and not arguments.list and not tandem.binary().exists():
        sys.exit(f"there is no {tandem.binary()}: cargo build --release")
    if arguments.proxy == "kamailio":
        chosen = [one for one in chosen if one.driver == registry.DRIVERS[0]]
    if arguments.list:
        for one in chosen:
            print(f"{one.name:32} {one.says}")
        return 0
    base = tempfile.mkdtemp(prefix="tandem-live-")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end_by_signal(base))
    try:
        # WHY: the long ones first, so that none of them is waited for at the end.
        side_by_side = sorted((one for one in chosen if not one.alone), key=lambda one: -one.seconds)
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as together:
            codes = list(together.map(lambda one: run_child(one, arguments, base), side_by_side))
        alone = [one for one in chosen if one.alone]
        # WHY those of one name together: they differ by their driver, and wait more than they work.
        for _, same in itertools.groupby(alone, key=lambda one: one.name.partition("/")[0]):
            with concurrent.futures.ThreadPoolExecutor() as together:
                codes += together.map(lambda one: run_child(one, arguments, base), list(same))
        for place, one in enumerate(side_by_side + alone):
            if codes[place] == FAILED and passes_alone(one, arguments, base):
                codes[place] = PASSED
    finally:
        if not arguments.keep:
            shutil.rmtree(base, ignore_errors=True)
    print(f"{codes.count(PASSED)} passed, {len(codes) - codes.count(PASSED) - codes.count(SKIPPED)} failed, {codes.count(SKIPPED)} skipped")
    return 0 if all(code in (PASSED, SKIPPED) for code in codes) else 1


if __name__ == "__main__":
    sys.exit(main())
