"""Child processes that cannot outlive the harness, with their output kept for the report."""

import ctypes
import os
import signal
import subprocess
import time

from .registry import Failed

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """Runs in the child before exec: the kernel ends it when the harness ends, however that happens."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_parent():
    """The same, softly: a scenario's process that is told so ends what it started itself."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """One program, its output in `<name>.log` of the scenario's folder."""

    def __init__(self, folder, name, command, env=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.command = [str(part) for part in command]
        self.log = folder / f"{name}.log"
        self.started = time.monotonic()
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(
                self.command,
                cwd=folder,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def signal(self, number):
        if self.running():
            self.child.send_signal(number)

    def wait(self, seconds):
        """Its exit code; fails when it still runs after `seconds`."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} still runs after {seconds} s") from None

    def stop(self):
        """Ends the program and all that it started, at once."""
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()


def run(command, seconds=10, env=None, check=False):
    """Runs a command to its end and returns (exit code, stdout, stderr)."""
    command = [str(part) for part in command]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env={**os.environ, **(env or {})},
            preexec_fn=die_with_parent,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"`{' '.join(command)}` still ran after {seconds} s") from None
    result = (done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    if check and done.returncode != 0:
        raise Failed(f"`{' '.join(command)}` ended with {result[0]}: {result[1]}{result[2]}")
    return result


def wait_until(condition, seconds, what, every=0.02):
    """Polls until `condition()` is true; fails with `what` after `seconds`. Returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Failed(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(every)
