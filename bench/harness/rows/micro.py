"""Our own work without a kernel: rows W0, W6, W7 and W8, in instructions and in nanoseconds."""

import json
import re
import statistics
import subprocess

from .. import instructions
from ..bench import at_most

# Kamailio's user time a call near its saturation, measured with its best settings where W1 gives none.
W0_INSTRUCTIONS_MAX, W0_US_MAX = 40_000, 7.0
W6_INSTRUCTIONS_MAX, W6_NS_MAX = 2_600, 400
W7_INSTRUCTIONS_MAX, W7_NS_MAX = 5_500, 900
W8_NS_MAX = 60


def counts(bench):
    """Instruction counts by name; empty where there is no valgrind. Counted once."""
    if not hasattr(bench, "instruction_counts"):
        known = instructions.read(bench.settings.root)["count"]
        wanted = [count for count in known if count["name"] in ("parse", "rewrite", "call", "hand-over")]
        bench.say("counting instructions")
        bench.instruction_counts = instructions.count_all(bench.settings.release, wanted) if instructions.available() else {}
    return bench.instruction_counts


def _example(bench, name, *arguments, cores=None):
    """Output of one of the release examples."""
    pinned = ["taskset", "-c", cores or str(bench.settings.target_core)]
    command = [*pinned, str(bench.settings.release / "examples" / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-500:]}")
    return done.stdout


def shard_alone(bench):
    """What one_shard prints of calls, of the run with the median time. Run once."""
    if not hasattr(bench, "shard_alone"):
        runs = [json.loads(_example(bench, "one_shard", "calls")) for _ in range(bench.settings.rounds)]
        runs.sort(key=lambda run: run["microseconds_at_2_4_ghz"])
        bench.shard_alone = runs[len(runs) // 2], [run["microseconds_at_2_4_ghz"] for run in runs]
    return bench.shard_alone


def w0(bench):
    """A stateful call through the whole shard on the in-memory driver."""
    run, values = shard_alone(bench)
    us, counted = run["microseconds_at_2_4_ghz"], counts(bench).get("call")
    here = run["nanoseconds"] / 1_000
    kamailio_user = bench.rows.get("W1", {}).get("kamailio_user_us")
    share = here / kamailio_user if kamailio_user else None

    def verdict(value, *_):
        return (value <= W0_US_MAX and (counted is None or counted <= W0_INSTRUCTIONS_MAX)
                and (share is None or share <= 1 / 6))
    bench.write("W0", us, "us/call at 2.4 GHz", "<= 7 us at 2.4 GHz, <= 40,000 instructions, <= 1/6 of Kamailio's user time",
                verdict, values=values, instructions=counted, us_on_this_machine=here, kamailio_user_us=kamailio_user,
                ratio_kamailio_user=share, steps=run.get("steps"))


def w6_w7(bench):
    """Parse; parse, rewrite and serialise: of the INVITE of about 800 bytes."""
    scale = _scale(bench)
    for row, what, name, most, most_ns in (("W6", "parse", "parse", W6_INSTRUCTIONS_MAX, W6_NS_MAX),
                                           ("W7", "rewrite", "rewrite", W7_INSTRUCTIONS_MAX, W7_NS_MAX)):
        values = [float(re.search(r"(\d+) ns each", _example(bench, "parse_invite", what, "1000000"))[1])
                  for _ in range(bench.settings.rounds)]
        counted = counts(bench).get(name)
        scaled = [value * scale for value in values]
        bench.write(row, statistics.median(scaled), "ns at 2.4 GHz", f"<= {most_ns} ns at 2.4 GHz, <= {most:,} instructions",
                    lambda value, *_: value <= most_ns and (counted is None or counted <= most), values=scaled,
                    instructions=counted, ns_on_this_machine=statistics.median(values))


def _scale(bench):
    """Nanoseconds here to nanoseconds of a core at 2.4 GHz."""
    run, _ = shard_alone(bench)
    return 1_000 * run["microseconds_at_2_4_ghz"] / run["nanoseconds"]


def w8(bench):
    """A frame handed from shard to shard, both awake on cores of their own."""
    both = f"{bench.settings.target_core},{bench.settings.generator_core}"
    values = [float(re.search(r"([\d.]+) ns each", _example(bench, "hand_over", "5000000", cores=both))[1])
              for _ in range(bench.settings.rounds)]
    bench.write("W8", statistics.median(values), "ns", f"<= {W8_NS_MAX}", at_most(value_max=W8_NS_MAX), values=values,
                instructions=counts(bench).get("hand-over"), batch=16, frame_bytes=800)
