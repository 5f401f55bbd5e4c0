"""Transit of the INVITE from its intended start to the gateway: row W10.

Beside it stands what the echo's datagrams take at the same rate from the generator and back, which is as many
wake-ups as a transit has: what is left of it when nothing is done between.
"""

import statistics

from ..bench import GATEWAYS, at_most

SHARES = (0.25, 0.5, 0.8)


def w10(bench):
    """Both at half of Kamailio's highest rate, each at half its own, and Tandem at 25, 50 and 80 % of its own."""
    peer, own = bench.highest.get("kamailio"), bench.highest.get("tandem")
    if not own:
        raise RuntimeError("needs the highest rates, which W1 finds: --rows W1,W10")
    names = bench.names()
    arrivals = ["--arrivals", "poisson", *GATEWAYS]
    if peer:
        runs = bench.rounds("W10", names, "call", peer / 2, arrivals)
        _write(bench, "W10", runs, rate=peer / 2)
    rates = {"tandem": own / 2, **({"kamailio": peer / 2} if peer else {})}
    runs = bench.rounds("W10.own", [name for name in names if name in (*rates, "floor")], "call", own / 2, arrivals, rates=rates)
    at_shares = {"50": _quantiles(runs["tandem"])}
    if not bench.settings.quick:
        for share in SHARES:
            if share != 0.5:
                run = bench.one("W10.own", "tandem", "call", own * share, arrivals)
                at_shares[f"{100 * share:.0f}"] = _quantiles([run])
    _write(bench, "W10.own", runs, rates=rates, tandem_at_percent_of_its_highest=at_shares)


def _quantiles(runs, what="transit"):
    """Medians over the runs."""
    found = {}
    for quantile in ("p50", "p99", "p999"):
        values = [value for run in runs if (value := run.latency(what, quantile)) is not None]
        found[quantile] = statistics.median(values) if values else None
    return found


def _write(bench, name, runs, **more):
    echo = _quantiles(runs.pop("floor", []), "round_trip")
    bench.row(name, "us, transit p99", "<= 1/2 of Kamailio", runs, lambda run: run.latency("transit", "p99"),
              at_most(kamailio_max=0.5), quantiles={who: _quantiles(list_) for who, list_ in runs.items()},
              echo_round_trip=echo, **more)
