"""Writes Tandem's TOML for a scenario: the one place of the harness that knows the schema's key names."""

import dataclasses
import json
import pathlib

from . import sip


def value_text(value):
    """A TOML value: inline tables for dicts, JSON's notation for the rest (a subset of TOML's)."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {value_text(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(value_text(item) for item in value) + "]"
    return json.dumps(value)


def text_of(tree):
    """TOML text of nested dicts: tables for dicts, arrays of tables for lists of dicts, one level of each."""
    plain, tables = [], []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines = [f"{name} = {value_text(item)}" for name, item in value.items()]
            tables.append("\n".join([f"[{key}]", *lines]))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for table in value:
                lines = [f"{name} = {value_text(item)}" for name, item in table.items()]
                tables.append("\n".join([f"[[{key}]]", *lines]))
        else:
            plain.append(f"{key} = {value_text(value)}")
    return "\n".join(plain) + "\n\n" + "\n\n".join(tables) + "\n"


def gateway(address, **more):
    """One entry of a set's `gateways`."""
    return {"uri": f"sip:{sip.hostport(address)}", **more}


def gateway_set(name, gateways, **more):
    """One `[[set]]`; a gateway may be an address or an entry made by `gateway`."""
    entries = [one if isinstance(one, dict) else gateway(one) for one in gateways]
    return {"name": name, "gateways": entries, **more}


@dataclasses.dataclass
class Written:
    """A configuration that is text already, and the control socket that it names."""

    text: str
    socket: pathlib.Path


# Small pools, so that several scenarios may run at once; those that measure take the defaults.
SMALL_POOLS = {
    "transactions_per_shard": 32_768, "branches_per_shard": 32_768, "calls_per_shard": 16_384,
    "store_mebibytes_per_shard": 32, "timers_per_shard": 98_304,
}


def tree(listen, sets, *, socket, state, driver, shards, tables=None, small=True, interfaces=None):
    """The configuration of one scenario as nested dicts, which it may still change. `tables` go on top."""
    made = {
        "listen": {"udp": [sip.hostport(address) for address in listen]},
        "control": {"socket": str(socket)},
        "state": {"dir": str(state)},
        "driver": {"kind": driver, **({"interfaces": interfaces} if interfaces else {})},
        "shards": {"count": shards},
        "set": sets,
    }
    if small:
        made["limits"] = dict(SMALL_POOLS)
    for name, table in (tables or {}).items():
        if isinstance(table, dict) and name in made:
            made[name].update(table)
        else:
            made[name] = table
    return made
