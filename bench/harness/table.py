"""The results as a table in Markdown, and README's part that is made of it."""

import re

BEGIN, END = "<!-- figures: begin (scripts/bench --readme) -->", "<!-- figures: end -->"
# What README shows, and what it is called there.
SHOWN = {
    "W0": "The whole shard without a kernel, a stateful call",
    "W1": "Stateful call, each at its own highest rate",
    "W1@1000": "... at 1,000 calls/s", "W1@2000": "... at 2,000", "W1@5000": "... at 5,000", "W1@10000": "... at 10,000",
    "W2": "Stateless call", "W3": "OPTIONS answered", "W4": "Two shards, half handed over",
    "W5": "Failover: the first gateway answers 503", "W6": "Parse of an 800-byte INVITE",
    "W7": "Parse, proxy rewrite, serialise", "W8": "Frame from shard to shard",
    "W9": "Memory of a ringing call", "W10": "Transit, both at half of Kamailio's highest rate",
    "W10.own": "Transit, each at half its own", "W11": "Wholesale mix, per attempt",
    "O": "A call turned away", "O1.5": "Goodput at 1.5 times the capacity", "O2": "... at 2 times", "O3": "... at 3 times",
    "IDLE": "An idle Tandem",
    "R1": "REGISTER, new binding, durable, each at its own highest rate", "R2": "... refresh",
    "R3": "Credentials of a REGISTER", "R4": "A challenge (401)", "R5": "Memory of a binding, of a million",
    "R6": "REGISTER among five million bindings", "R7": "Call to a phone whose location another shard has",
    "R8": "Calls while all phones register at once", "R9": "REGISTER, durable against durable (PostgreSQL)",
    "C1": "Call of a customer, 20 vendors over a million prefixes, recorded", "C2": "... beside Kamailio's class 4 modules",
    "C3": "Decision alone, 20 vendors, cold caches", "C4": "Prefix looked up, batched", "C5": "Image of ten million rows",
    "C6": "Image of ten million rows built from CSV", "C7": "Reload of ten million rows under load",
    "C8": "Caps over two shards, three times as much offered",
    "X1": "AF_XDP: the driver's own work for a datagram in and one out", "X2": "AF_XDP: a call over a veth pair",
    "X3": "AF_XDP: the program in the kernel, a frame", "X4": "AF_XDP: every frame accounted for",
}


def markdown(results, names=None):
    """Rows as Markdown: all, or those that `names` names."""
    lines = ["| Row | Tandem | Floor | Kamailio | × floor | × Kamailio | Bar | Met |", "|---|---|---|---|---|---|---|---|"]
    for name in names or sorted(results["rows"], key=_order):
        if row := results["rows"].get(name):
            title = f"{name}: {names[name]}" if names else name
            lines.append(f"| {title} | {_own(row)} | {_figure(row.get('floor'))} | {_peer(row)} | "
                         f"{_figure(row['ratio_floor'], 2)} | {_figure(row['ratio_kamailio'], 2)} | "
                         f"{row['bar'] or ''} | {_met(row)} |")
    return "\n".join(lines)


def _order(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _figure(value, digits=None):
    if value is None:
        return ""
    if digits is None:
        digits = 0 if abs(value) >= 100 else 1
    return f"{value:,.{digits}f}"


def _own(row):
    if row["value"] is None:
        return row.get("why") or "not measured"
    instructions = f", {row['instructions']:,} instructions" if row.get("instructions") else ""
    return f"{_figure(row['value'])} {row['unit']}{instructions}"


def _peer(row):
    default = f" (Debian's default {_figure(row['kamailio_default'])})" if row.get("kamailio_default") else ""
    return _figure(row.get("kamailio")) + default


def _met(row):
    return "void" if row.get("void") else {True: "yes", False: "**no**", None: "–"}[row["met"]]


def readme_part(results):
    """What stands between the markers of README."""
    machine, versions, w1 = results["machine"], results["versions"], results["rows"].get("W1", {})
    highest = w1.get("highest_rate") or {}
    rates = ", ".join(f"{who.capitalize()} {rate:,.0f}" for who, rate in highest.items())
    held = w1.get("highest_rate_held_seconds")
    lines = [
        f"Measured {results['begun'][:10]} by `scripts/bench{' --quick' if results['quick'] else ''}` on {machine['cpu']}, "
        f"{machine['cores']} cores, kernel {machine['kernel']}; {versions['kamailio'] or 'no Kamailio'}, set to win, "
        f"{results['settings']['kamailio_workers']} worker(s); commit {versions['commit'][:9]}. "
        "The floor is a bare echo of the same datagrams on the same driver at the same rate.",
        "",
    ]
    if rates:
        lines += [f"Highest rate on one core{f' without a lost call for {held:.0f} s' if held else ''}, calls/s: {rates}. "
                  f"W1's limit was {w1.get('limited_by')}.", ""]
    lines += [markdown(results, SHOWN), "", "![CPU of a call and goodput under overload](bench/results/chart.svg)"]
    return "\n".join(lines)


def into_readme(path, results):
    """Puts the part into the file. False: it has no markers."""
    text = path.read_text()
    if BEGIN not in text or END not in text:
        return False
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    path.write_text(f"{before}{BEGIN}\n\n{readme_part(results)}\n\n{END}{after}")
    return True
