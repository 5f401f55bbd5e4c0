"""Rows of tables whose subject has an instrument of its own.

Each row names a program of this repository that measures it and prints the row as one JSON object (any of the
keys of a row; `value` at least; `met` is taken as printed). A program that is not there yet, or that fails,
leaves the row without a figure and with the reason.
"""

import json
import os
import shlex
import subprocess

# Longest time of one program.
SECONDS_MAX = 60

# row: (unit, bar, command relative to the repository or None)
PROGRAMS = {
    **{f"X{n}": (None, None, ["scripts/bench-xdp", f"X{n}"]) for n in range(1, 5)},
}
SUBJECT = {"X": "the AF_XDP driver"}


def names():
    """All of them."""
    return list(PROGRAMS)


def rows(bench):
    """Asks each program for its row."""
    for name, (unit, bar, command) in PROGRAMS.items():
        subject = SUBJECT[name[0]]
        if command is None or not (bench.settings.root / command[0]).exists():
            bench.absent(name, unit, bar, f"not built yet: {subject}")
            continue
        bench.say(f"{name:<9} {shlex.join(command)}")
        try:
            row = _ask(bench, command)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            bench.absent(name, unit, bar, f"{shlex.join(command)}: {error}")
            continue
        bench.write(name, row.pop("value", None), row.pop("unit", unit) or "", row.pop("bar", bar), lambda *_: None)
        bench.rows[name].update(row)


def _ask(bench, command):
    """Runs it where the release programs can be found; the last line of its output is the row."""
    done = subprocess.run(command, cwd=bench.settings.root, capture_output=True, text=True, timeout=SECONDS_MAX,
                          env={**os.environ, "TANDEM_RELEASE": str(bench.settings.release)})
    if done.returncode != 0:
        raise ValueError(f"exit code {done.returncode}: {(done.stderr or done.stdout).strip()[-200:]}")
    row = json.loads(done.stdout.strip().splitlines()[-1])
    if not isinstance(row, dict):
        raise ValueError("its last line is no JSON object")
    return row
