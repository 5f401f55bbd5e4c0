"""`tandem check` and the command line, as an operator meets them: every mistake is shown with its place and its remedy."""

import json
import os
import re

from harness import tandem
from harness.processes import run
from harness.registry import expect, scenario

HERE = "carries no calls"
MISTAKES = tandem.ROOT / "tuning" / "tests" / "mistakes"
# What these find depends on the host: they are made by hand below, for this one.
OF_THE_HOST = re.compile(
    r"not-enough|registrar-memory|no-such-core|privileged-port|no-name-server|gateway-is-us|too-many-shards|shards-and-cores|loopback-sender",
)
GOOD = """
[listen]
udp = ["127.0.0.1:5060"]

[[set]]
name = "carriers"
gateways = [
  { uri = "sip:127.0.0.1:5071", weight = 70 },
  { uri = "sip:127.0.0.1:5072", weight = 30 },
]
"""


def check(*words):
    return run([tandem.binary(), "check", *words])


def write(scene, text, name="tandem.toml"):
    file = scene.folder / name
    file.write_text(text)
    return file


@scenario()
def check_ten_lines(scene):
    """The ten lines of the quick start are good: exit 0; `--print` gives a file that is good again and means the same."""
    file = write(scene, GOOD)
    code, out, err = check(file)
    expect(code == 0 and "good" in out, f"exit {code}: {out}{err}")
    code, printed, err = check(file, "--print")
    expect(code == 0 and "no_response_timeout" in printed and "drain_seconds" in printed, f"--print, exit {code}: {printed}{err}")
    again = write(scene, printed, "printed.toml")
    code, reprinted, err = check(again, "--print")
    expect(code == 0, f"what --print wrote is refused: {err}")
    expect(reprinted == printed, "--print of what --print wrote is something else")
    code, out, _ = check("--schema")
    expect(code == 0 and "gateways" in json.dumps(json.loads(out)), "--schema is no JSON Schema of the file")


@scenario(seconds=30)
def check_each_mistake(scene):
    """Every mistake of tuning/tests/mistakes through the program: exit 78 for errors, rule, file, line, caret, remedy."""
    files = sorted(one for one in MISTAKES.glob("*.toml") if not OF_THE_HOST.search(one.name))
    expect(len(files) > 50, f"only {len(files)} mistakes in {MISTAKES}")
    wrong = []
    for file in files:
        rule = file.name.split(".")[0]
        lines = file.read_text().splitlines()
        marked = next((number for number, line in enumerate(lines, 1) if "# <-- here" in line), None)
        error = f"error[{rule}]" in file.with_suffix(".txt").read_text()
        code, out, err = check(file)
        said = out + err
        if code != (78 if error else 0):
            wrong.append(f"{file.name}: exit {code}")
        elif f"[{rule}]" not in said or "^" not in said and marked or "help" not in said:
            wrong.append(f"{file.name}: {said}")
        elif marked and f"{file.name}:{marked}:" not in said:
            wrong.append(f"{file.name}: line {marked} is not named: {said}")
        code, out, _ = check(file, "--format", "json")
        findings = json.loads(out)["findings"]
        if not any(one["rule"] == rule and one["remedy"] and one["line"] == (marked or one["line"]) for one in findings):
            wrong.append(f"{file.name}: as JSON {findings}")
    expect(not wrong, "\n".join(wrong))


@scenario()
def check_against_this_host(scene):
    """Cores that do not exist, memory that is not there, and a gateway that is ourselves, on this host."""
    last_core = os.cpu_count() + 60
    for name, rule, text in (
        ("cores.toml", "no-such-core", GOOD + f'\n[shards]\ncores = "0,{last_core}"\n'),
        ("memory.toml", "not-enough-memory", GOOD + "\n[limits]\nstore_mebibytes_per_shard = 65536\n[shards]\ncount = 60\npin = false\n"),
        ("ourselves.toml", "gateway-is-us", GOOD.replace("127.0.0.1:5072", "127.0.0.1:5060")),
    ):
        code, out, err = check(write(scene, text, name))
        expect(code == 78 and f"[{rule}]" in err and name in err and "help" in err, f"{name}: exit {code}: {out}{err}")
    domain = '\n[[domain]]\nname = "example.com"\n[registrar]\nstore_mebibytes_per_shard = 65536\n[shards]\ncount = 1\n'
    code, out, err = check(write(scene, GOOD + domain, "bindings.toml"))
    little = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 64 << 30
    expect(code == 0 and ("[registrar-memory]" in out + err) == little, f"bindings.toml: exit {code}: {out}{err}")


@scenario()
def check_several_at_once(scene):
    """Several mistakes are found in one go, each with its line; a misspelt key gets a suggestion."""
    text = GOOD.replace("weight = 70", "wieght = 70").replace('name = "carriers"', 'name = "carriers"\nalgoritm = "weighted"')
    code, _, err = check(write(scene, text))
    expect(code == 78, f"exit {code}")
    for word in ("wieght", "`weight`", "algoritm", "`algorithm`"):
        expect(word in err, f"{word} is missing: {err}")
    code, _, err = check(write(scene, GOOD + "\n[[set]\n"))
    expect(code == 78 and "tandem.toml:" in err, f"broken TOML, exit {code}: {err}")


@scenario()
def command_line(scene):
    """Wrong usage is exit 2 with a hint, a missing file 78 with its name, no running Tandem a clear word."""
    binary = tandem.binary()
    for words, wanted in (
        (["check"], 2), (["run"], 2), (["frobnicate"], 2), (["gateways", "--format", "xml"], 2), (["--help"], 0), (["--version"], 0),
    ):
        code, out, err = run([binary, *words])
        expect(code == wanted, f"`tandem {' '.join(words)}` ended with {code}: {out}{err}")
    for words in (["check"], ["run", "--config"]):
        code, out, err = run([binary, *words, scene.folder / "missing.toml"])
        expect(code == 78 and "missing.toml" in err, f"`{words[0]}` of a missing file: {code}: {out}{err}")
    code, _, err = run([binary, "stats", "--socket", scene.folder / "nobody.sock"])
    expect(code == 1 and "nobody.sock" in err and "tandem run" in err, f"no running Tandem: {code}: {err}")


@scenario()
def run_refuses_a_bad_file(scene):
    """`tandem run` with a bad file ends with 78 and the same findings as `check`; without sources, it names the remedy."""
    text = GOOD.replace("127.0.0.1:5060", "0.0.0.0:5060")
    file = write(scene, text)
    code, _, err = run([tandem.binary(), "run", "--config", file])
    expect(code == 78, f"exit {code}: {err}")
    expect('sources = ["any"]' in err, f"the remedy is missing: {err}")
