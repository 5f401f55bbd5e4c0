"""Kamailio as a neighbour before or behind Tandem, and as a stand-in for it that proves the scenarios themselves."""

import pathlib
import subprocess

from . import sip
from .endpoint import Endpoint
from .processes import Process, wait_until
from .registry import Failed, Skipped

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "kamailio"


class Kamailio(Process):
    """One Kamailio with a file of `scripts/live/kamailio`; `values` become its `#!define`s."""

    def __init__(self, folder, name, listen, file, values, prefix=()):
        self.address = listen[0]
        words = []
        for key, value in values.items():
            words += ["-A", f"{key}={value}"]
        for address in listen:
            words += ["-l", f"udp:{sip.hostport(address)}"]
        run_folder = folder / f"{name}-run"
        run_folder.mkdir(exist_ok=True)
        # WHY: one child keeps messages in order, and -x tlsf keeps the shared memory of several instances small and apart.
        super().__init__(folder, name, [
            *prefix, "kamailio", "-DD", "-E", "-m", "256", "-M", "8", "-n", "1", "-x", "tlsf", "-f", FOLDER / file,
            "-Y", run_folder, "-P", run_folder / "pid", *words,
        ])

    def wait_ready(self, from_address, seconds=10):
        """Waits until it answers an OPTIONS of a peer at `from_address`."""
        peer = Endpoint(from_address, probes=False)

        def answers():
            if not self.running():
                raise Failed(f"kamailio ended: {self.output()[-1500:]}")
            made = sip.request("OPTIONS", f"sip:{sip.hostport(self.address)}", peer.address)
            peer.send(made, self.address)
            return peer.receive(0.2) is not None

        try:
            wait_until(answers, seconds, f"{self.name} answers OPTIONS")
        finally:
            peer.close()
        return self


class StandIn(Kamailio):
    """Kamailio in Tandem's place, for `run --proxy kamailio`: a scenario that fails here is wrong itself."""

    def __init__(self, folder, listen, gateways, options):
        unknown = set(options) - {"algorithm", "shards", "small", "tables"}
        if unknown or set(options.get("tables") or {}) - {"sources", "probe"}:
            raise Skipped(f"the stand-in has no {', '.join(sorted(unknown))}")
        if options.get("algorithm") == "parallel":
            file = "stand-in-fork.cfg"
        else:
            file = "stand-in.cfg"
        entries = []
        for one in gateways:
            entry = one if isinstance(one, dict) else {"uri": f"sip:{sip.hostport(one)}"}
            # WHY: of Kamailio's priorities the highest goes first, of ours the lowest.
            entries.append(f"1 {entry['uri']} 0 {99 - entry.get('priority', 0)} weight={entry.get('weight', 100 // len(gateways))}")
        dispatcher_list = folder / "dispatcher.list"
        dispatcher_list.write_text("\n".join(entries) + "\n")
        number = {"priority": 8, "round-robin": 4, "parallel": 12}.get(options.get("algorithm"), 9)
        values = {"DISPATCHER_LIST": f'"{dispatcher_list}"', "ALGORITHM": f'"{number}"'}
        super().__init__(folder, "stand-in", listen, file, values)
        self.folder, self.listen = folder, listen

    def must_live(self):
        if not self.running():
            raise Failed(f"kamailio ended: {self.output()[-1500:]}")


def version():
    """`kamailio -v`, first line."""
    return subprocess.run(["kamailio", "-v"], capture_output=True, text=True, check=False).stdout.splitlines()[0]
