"""The release programs that are measured, and the peers that are installed for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = [("proto", ["parse_invite"]), ("deck", ["deck_rows"]), ("engine", ["echo", "hand_over", "xdp"]), ("tandem", ["one_shard", "fill_journal"])]
# A program that is looked for, or a path; its package.
PEERS = {"kamailio": "kamailio", "valgrind": "valgrind", "taskset": "util-linux", "psql": "postgresql",
         "/usr/share/kamailio/postgres": "kamailio-postgres-modules"}


def build(root, wanted):
    """Builds the release programs; gives their folder."""
    if wanted:
        print("building", file=sys.stderr)
        steps = [["-p", "tandem", "--bin", "tandem", "-p", "tandem-bench", "--bin", "tandem-bench"]]
        # WHY each package alone: examples of different packages may share a name.
        steps += [["-p", package, *(word for name in names for word in ("--example", name))] for package, names in EXAMPLES]
        for step in steps:
            subprocess.run(["cargo", "build", "--release", "--quiet", *step], cwd=root, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")).resolve() / "release"


def install(wanted):
    """Peers that are missing, by apt where that is possible."""
    is_there = lambda peer: Path(peer).exists() if peer.startswith("/") else shutil.which(peer)
    missing = [package for peer, package in PEERS.items() if not is_there(peer)]
    if missing and wanted and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {', '.join(missing)}", file=sys.stderr)
        quiet = {"stdout": subprocess.DEVNULL, "check": False, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], **quiet)
    for peer in PEERS:
        if not is_there(peer):
            print(f"no {peer}: its columns stay empty", file=sys.stderr)
