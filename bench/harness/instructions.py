"""Instruction counts by callgrind: bench/instructions.toml says what is counted and what it was last time."""

import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Growth beyond this fails; a fall beyond it asks for a new count.
TOLERANCE = 0.05


def read(root):
    """The file, as a dictionary."""
    return tomllib.loads(_path(root).read_text())


def _path(root):
    return root / "bench" / "instructions.toml"


def toolchain():
    """What the counts depend on: the compiler and valgrind."""
    def first_line(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()[0]
    return {"toolchain": first_line("rustc", "--version"), "valgrind": first_line("valgrind", "--version")}


def build(root, counts):
    """Builds the examples, whose names are the workspace's own; gives the folder of the release programs.

    WHY the programs beside them, as in scripts/test: the same selection has the same features, and nothing is
    compiled twice.
    """
    examples = [word for name in dict.fromkeys(count["example"] for count in counts) for word in ("--example", name)]
    programs = ["--bin", "tandem", "--bin", "tandem-bench"]
    subprocess.run(["cargo", "build", "--release", "--quiet", *programs, *examples], cwd=root, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")).resolve() / "release"


def available():
    """Whether counting is possible here."""
    return shutil.which("valgrind") is not None


def count_all(release, counts):
    """{name: instructions for one}, several at a time."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return dict(zip((count["name"] for count in counts), pool.map(lambda one: count_one(release, one), counts)))


def count_one(release, count):
    """Instructions for one of what `count` describes."""
    short, long = count["lengths"]
    return round((_run(release, count, long) - _run(release, count, short)) / (long - short))


def _run(release, count, length):
    """Instructions of the whole run of this length."""
    with tempfile.TemporaryDirectory(prefix="tandem-count-") as folder:
        out = Path(folder) / "callgrind.out"
        only = [f"--toggle-collect={count['only']}"] if "only" in count else []
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *only,
                   str(release / "examples" / count["example"]),
                   *(argument.replace("{n}", str(length)) for argument in count["arguments"])]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0 or not out.exists():
            raise RuntimeError(f"{' '.join(command)}\n{(done.stderr or done.stdout)[-1500:]}")
        return int(re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE).group(1))


def write(root, counted, because):
    """Puts counts and the toolchain into the file; `because` stands at each that changed."""
    text = _path(root).read_text()
    for key, value in toolchain().items():
        text = re.sub(rf'^{key} = ".*"$', f'{key} = "{value}"', text, count=1, flags=re.MULTILINE)
    for name, instructions in counted.items():
        section = re.compile(rf'(^name = "{re.escape(name)}"$.*?^instructions = )(\d+)(\nbecause = )"[^"\n]*"',
                             re.MULTILINE | re.DOTALL)
        text = section.sub(lambda found: f'{found[1]}{instructions}{found[3]}"{because}"', text, count=1)
    _path(root).write_text(text)
