"""Memory of what a shard keeps: row W9.

A place in a pool costs what a larger pool adds to the resident memory of a Tandem that has just started:
pools are taken and touched at the start. Kept messages are counted by Tandem itself, by the bytes that their
blocks take in the store. Under load nothing may grow.
"""

import subprocess
import time
from pathlib import Path

from .. import host
from ..bench import GATEWAYS, at_most

PROCEEDING_MAX, ACCEPTED_MAX, NON_INVITE_MAX = 2_048, 128, 128
# How many places two sizes of a pool differ by.
MORE = 1 << 18
POOLS = {"transaction": "transactions_per_shard", "open_request": "open_requests_per_shard",
         "branch": "branches_per_shard", "call": "calls_per_shard", "timer": "timers_per_shard"}
SMALL = {"transactions_per_shard": MORE * 3, "open_requests_per_shard": 1 << 15, "branches_per_shard": MORE * 2,
         "calls_per_shard": 1 << 15, "store_mebibytes_per_shard": 128, "timers_per_shard": MORE * 6}
RATE = 1_000


def w9(bench):
    """Bytes for each proceeding INVITE, accepted INVITE, completed non-INVITE and held call; growth under load."""
    place = _places(bench)
    load = _under_load(bench)
    proceeding = (place["transaction"] + place["open_request"] + place["branch"] + load["timers_each"] * place["timer"]
                  + load["store_bytes_each"])
    accepted = place["transaction"] + place["timer"]
    more = {"bytes_of_a_place": place}
    bench.write("W9", proceeding, "bytes per proceeding INVITE", f"<= {PROCEEDING_MAX}", at_most(value_max=PROCEEDING_MAX),
                kept_message_bytes=load["store_bytes_each"], timers=load["timers_each"], **more)
    bench.write("W9.accepted", accepted, "bytes per accepted INVITE", f"<= {ACCEPTED_MAX}",
                at_most(value_max=ACCEPTED_MAX), kept_message_bytes=load["store_bytes_accepted"], **more)
    bench.write("W9.non_invite", accepted, "bytes per completed non-INVITE, without its response", f"<= {NON_INVITE_MAX}",
                at_most(value_max=NON_INVITE_MAX), response_bytes=load["store_bytes_absorbing"], call_held_bytes=place["call"], **more)
    bench.write("W9.flat", load["growth"], "bytes of growth under load", "<= 1 MiB", at_most(value_max=1 << 20),
                resident_bytes=load["resident"], seconds=load["seconds"])


def _resident(tandem):
    """Resident bytes of the process: private ones, not those of files."""
    pages = 0
    for pid in tandem.pids():
        comm = Path(f"/proc/{pid}/comm").read_text().strip()
        if comm == "tandem":
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * host.PAGE_BYTES


def _places(bench):
    """Bytes of a place in each pool."""
    def started(changes):
        with bench.make("tandem", limits={**SMALL, **changes}) as tandem:
            return _resident(tandem)
    base = started({})
    return {name: round((started({key: SMALL[key] + MORE}) - base) / MORE, 1) for name, key in POOLS.items()}


def _under_load(bench):
    """What is kept for calls that ring, and whether memory grows while they do."""
    s = bench.settings
    seconds = 8.0 if s.quick else 20.0
    with bench.make("tandem") as tandem:
        command = [str(s.generator), "call", "--target", tandem.address, "--rate", str(RATE), "--duration", f"{seconds}s",
                   "--ring", "3s", "--cores", str(s.generator_core), "--quiet", "--grace", "5s", *GATEWAYS]
        idle = tandem.stats()
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # Ringing alone: no call has been answered yet.
            time.sleep(2.2)
            ringing, early = tandem.stats(), _resident(tandem)
            time.sleep(max(0.0, seconds - 3))
            late = _resident(tandem)
        finally:
            load.wait()
        time.sleep(0.5)
        ended = tandem.stats()
    used = lambda stats, pool: stats["tandem_pool_used", f"pool={pool}"]
    open_ = used(ringing, "open_requests") - used(idle, "open_requests")
    store = used(ringing, "message_bytes") - used(idle, "message_bytes")
    absorbing = used(ended, "transactions") - used(idle, "transactions")
    kept = used(ended, "message_bytes") - used(idle, "message_bytes")
    return {
        "store_bytes_each": round(store / open_, 1) if open_ > 0 else None,
        # Timer C, and Timer B until it is disarmed by the first response.
        "timers_each": 1,
        # Of the transactions that only absorb, half are accepted INVITEs, which keep nothing, half BYEs.
        "store_bytes_accepted": 0, "store_bytes_absorbing": round(2 * kept / absorbing, 1) if absorbing > 0 else None,
        "growth": late - early, "resident": late, "seconds": seconds,
    }
