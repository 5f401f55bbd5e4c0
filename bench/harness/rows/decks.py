"""Rate decks alone: rows C3 to C6, by modules/deck/examples/deck_rows.rs."""

import json
import subprocess

from ..bench import at_most

SECONDS_MAX = 280


def rows(bench):
    """Ten million rows in twenty decks over a million prefixes."""
    s = bench.settings
    command = ["taskset", "-c", str(s.target_core), str(s.release / "examples" / "deck_rows")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-300:])
    found = json.loads(done.stdout)
    shape = {"rows": found["rows"], "decks": found["decks"], "codes": found["codes"]}
    c3, c4, c5, c6 = (found[name] for name in ("C3", "C4", "C5", "C6"))
    bench.write("C3", c3["cold_median_ns"], "ns", "<= 1,500", at_most(value_max=1_500), **shape,
                image_alone_cold_ns=c3["cold_image_median_ns"], uncleared_ns=c3["uncleared_median_ns"],
                cold_p95_ns=c3["cold_p95_ns"])
    bench.write("C4", c4["batched_ns"], "ns", "<= 80", at_most(value_max=80), **shape)
    bench.write("C5", c5["octets_per_row"], "bytes per row", "<= 24", at_most(value_max=24), **shape)
    bench.write("C6", c6["seconds"], "s", "<= 60, <= 4 GB", lambda value, *_: value <= 60 and c6["peak_octets"] <= 4 << 30,
                **shape, peak_bytes=c6["peak_octets"], opening_seconds=c6["opening_seconds"])
