"""The rows of the results file, each a function of a `Bench`; `ROWS` is their order and how they are chosen."""

from . import calls, class4, decks, digest, elsewhere, latency, location, memory, micro, overload, registered, registrar, shards

# Name on the command line: (function, names of the rows it writes). W1 comes first: it finds the rates that
# others need.
ROWS = {
    "W1": (calls.w1, ["W1"]),
    "W1@rates": (calls.w1_rates, [f"W1@{rate}" for rate in calls.RATES]),
    "W0": (micro.w0, ["W0"]),
    "W2": (calls.w2, ["W2"]),
    "W3": (calls.w3, ["W3"]),
    "W4": (shards.w4, ["W4"]),
    "W5": (calls.w5, ["W5"]),
    "W6": (micro.w6_w7, ["W6", "W7"]),
    "W8": (micro.w8, ["W8"]),
    "W9": (memory.w9, ["W9", "W9.accepted", "W9.non_invite", "W9.flat"]),
    "W10": (latency.w10, ["W10", "W10.own"]),
    "W11": (calls.w11, ["W11"]),
    "O": (overload.rows, ["O", "O1.5", "O2", "O3"]),
    "R1": (registrar.r1_r2, ["R1", "R2"]),
    "R3": (digest.rows, ["R3", "R4"]),
    "R5": (registrar.r5, ["R5"]),
    "R6": (registered.r6, ["R6"]),
    "R7": (location.r7, ["R7"]),
    "R8": (registered.r8, ["R8"]),
    "R9": (registrar.r9, ["R9"]),
    "IDLE": (calls.idle, ["IDLE"]),
    "C1": (class4.c1, ["C1"]),
    "C2": (class4.c2, ["C2"]),
    "C3": (decks.rows, ["C3", "C4", "C5", "C6"]),
    "C7": (class4.c7, ["C7"]),
    "C8": (class4.c8, ["C8"]),
    "ELSEWHERE": (elsewhere.rows, elsewhere.names()),
}
# What an impression of three minutes has.
QUICK = ["W1", "W1@rates", "W0", "W3", "W6", "W8", "O", "ELSEWHERE"]


def chosen(text):
    """Names on the command line for `--rows`; a row's own name chooses the function that writes it."""
    names = []
    for wanted in text.split(","):
        found = [name for name, (_, rows) in ROWS.items() if wanted == name or wanted in rows]
        if not found:
            raise ValueError(f"no such row: {wanted}; there are {', '.join(ROWS)}")
        names += found
    return [name for name in ROWS if name in names]
