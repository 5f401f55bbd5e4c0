"""Tandem on its host: what `tandem doctor` finds and mends, the log under logrotate, the service manager."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

from harness import sip, tandem as program
from harness.call import Call
from harness.namespace import Namespace
from harness.processes import run, wait_until
from harness.registry import Skipped, expect, scenario

READS_THE_HOST = "reads the host and carries no calls"
UNIT = program.ROOT / "tuning" / "systemd" / "tandem.service"
LOGROTATE = program.ROOT / "tuning" / "systemd" / "tandem.logrotate"
# A firewall as one finds it: everything closed but what is known, our port forgotten, and a rule of somebody who left.
FIREWALL = """
table inet filter {
  chain in {
    type filter hook input priority 0; policy drop;
    iif "lo" accept
    ct state established accept
    udp dport { 5060, 5062 } counter drop comment "SIP scanners"
  }
}
"""


class Doctor:
    """`tandem doctor` in a network namespace."""

    def __init__(self, scene):
        self.scene = scene
        self.space = scene.keep(Namespace(far_addresses=1))

    def run(self, *words):
        return run([*self.space.prefix(), program.binary(), "doctor", *words])

    def findings(self):
        """Those of the firewall that cost something, by rule, and whether the exit code told of any."""
        code, out, err = self.run("--format", "json")
        expect(code in (0, 1), f"exit {code}: {out}{err}")
        document = json.loads(out)
        told = [one for one in document["findings"] if one["severity"] in ("slow", "loss")]
        expect(document["count"] == len(told) and (code == 1) == bool(told), f"exit {code}, {document['count']} counted, {len(told)} found")
        return {one["rule"]: one for one in told if one["group"] == "firewall"}

    def firewall(self, text):
        subprocess.run([*self.space.prefix(), "nft", "-f", "-"], input=text.encode(), check=True)

    def rules(self):
        return self.space.inside("nft", "list", "ruleset")[1]


@scenario(root=True, programs=("nft", "nsenter"), seconds=40, here=READS_THE_HOST)
def doctor_finds_and_its_remedies_mend(scene):
    """A namespace whose firewall drops SIP and tracks connections: doctor says so, changes nothing, and its commands mend it."""
    doctor = Doctor(scene)
    expect(not doctor.findings(), f"findings before anything is wrong: {doctor.findings()}")
    doctor.firewall(FIREWALL)
    before = doctor.rules()
    found = doctor.findings()
    expect(set(found) == {"firewall", "conntrack"}, f"found {found}")
    code, text, _ = doctor.run()
    expect(code == 1 and "LOSS" in text and "5060" in text and "remedy" in text, f"exit {code}: {text}")
    code, script, _ = doctor.run("--print-script")
    expect(code == 0, f"--print-script ended with {code}")
    expect(doctor.rules() == before, "doctor has changed the firewall")
    # WHY two rounds: with the port untracked, what `ct state established` let in has to be accepted by itself.
    for _ in range(2):
        commands = [line for line in script.splitlines() if line.startswith("nft ")]
        for command in commands:
            done = run([*doctor.space.prefix(), "sh", "-c", command])
            expect(done[0] == 0, f"`{command}`: {done}")
        _, script, _ = doctor.run("--print-script")
    expect(not doctor.findings(), f"after its remedies: {doctor.findings()}\n{doctor.rules()}")
    expect("notrack" in doctor.rules() and "5060" in doctor.rules(), doctor.rules())


@scenario(root=True, programs=("nft", "nsenter"), here=READS_THE_HOST)
def doctor_script_is_one_that_a_shell_reads(scene):
    """`doctor --print-script` is good for `sh -n` (and shellcheck where it is installed), and says why before each command."""
    doctor = Doctor(scene)
    doctor.firewall(FIREWALL)
    _, script, _ = doctor.run("--print-script")
    file = scene.folder / "mend.sh"
    file.write_text(script)
    checks = [["sh", "-n", file]] + ([["shellcheck", file]] if shutil.which("shellcheck") else [])
    for command in checks:
        code, out, err = run(command)
        expect(code == 0, f"{command[0]}: {out}{err}\n{script}")
    expect(script.startswith("#!/bin/sh\n") and "# Why: " in script, script)


@scenario(here=READS_THE_HOST)
def doctor_against_a_configuration(scene):
    """With `--config` it is the file's ports and shards that count; a bad file is 78, wrong usage 2."""
    file = scene.folder / "tandem.toml"
    file.write_text('[listen]\nudp = ["127.0.0.1:5999"]\n[shards]\ncores = "0"\n[[set]]\nname = "a"\ngateways = ["sip:127.0.0.1:5071"]\n')
    code, out, err = run([program.binary(), "doctor", "--config", file])
    expect(code in (0, 1) and "1 shard on core 0, UDP port 5999" in out, f"exit {code}: {out}{err}")
    file.write_text("[listen]\nudp = 5\n")
    code, _, err = run([program.binary(), "doctor", "--config", file])
    expect(code == 78 and "tandem.toml:2:" in err, f"a bad file: exit {code}: {err}")
    code, _, _ = run([program.binary(), "doctor", "--format", "json", "--print-script"])
    expect(code == 2, f"a script as JSON: exit {code}")


@scenario()
def log_is_opened_anew(scene):
    """A log file that was renamed is written to until SIGUSR1; then a new one is there, and no line is lost between."""
    log, renamed = scene.folder / "tandem.txt", scene.folder / "tandem.txt.1"
    tandem = scene.tandem(scene.gateway_address(), tables={"log": {"destination": str(log)}})
    tandem.control("gateways", "disable", "--why", "first", sip.hostport(scene.gateway_address()))
    wait_until(lambda: "first" in log.read_text(), 3, "the first line")
    log.rename(renamed)
    tandem.control("gateways", "enable", "--why", "second", sip.hostport(scene.gateway_address()))
    wait_until(lambda: "second" in renamed.read_text(), 3, "the line between, in the renamed file")
    expect(not log.exists(), "a new file before anybody asked for one")
    tandem.signal(signal.SIGUSR1)
    wait_until(lambda: log.exists() and "log-reopened" in log.read_text(), 3, "the new file")
    tandem.control("gateways", "disable", "--why", "third", sip.hostport(scene.gateway_address()))
    wait_until(lambda: "third" in log.read_text(), 3, "the line after, in the new file")
    expect("third" not in renamed.read_text(), "the renamed file still grows")
    tandem.must_live()


@scenario()
def service_manager_is_told(scene):
    """Type=notify: READY once it carries calls, RELOADING and READY around a reload, STOPPING at the end."""
    path = scene.folder / "notify.sock"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    manager.settimeout(5)

    def told(word):
        seen = []
        while not any(word in line.splitlines() for line in seen):
            try:
                seen.append(manager.recv(4096).decode())
            except TimeoutError:
                expect(False, f"{word} was not told, but {seen}")
        return seen[-1]

    tandem = scene.tandem(scene.gateway_address(), prefix=("env", f"NOTIFY_SOCKET={path}"))
    expect("STATUS=" in told("READY=1"), "READY without a status")
    code, out, err = tandem.reload()
    expect(code == 0, f"reload: {out}{err}")
    expect(re.search(r"^MONOTONIC_USEC=\d+$", told("RELOADING=1"), re.M), "RELOADING without its time")
    told("READY=1")
    tandem.signal(signal.SIGTERM)
    told("STOPPING=1")
    expect(tandem.wait(10) == 0, "exit code")
    manager.close()


@scenario(here="carries no calls")
def unit_file_and_logrotate_are_good(scene):
    """The shipped unit is good for `systemd-analyze verify`, names commands that exist, and logrotate reads its file."""
    text = UNIT.read_text()
    commands = re.findall(r"^Exec\w+=/usr/local/bin/tandem (\w+)", text, re.M)
    _, usage, _ = run([program.binary(), "--help"])
    expect(set(commands) == {"check", "run", "reload"}, f"commands {commands}")
    expect(all(re.search(rf"^  {command} ", usage, re.M) for command in commands), usage)
    tools = [tool for tool in ("systemd-analyze", "logrotate") if shutil.which(tool)]
    if not tools:
        raise Skipped("needs systemd-analyze or logrotate")
    if "systemd-analyze" in tools:
        unit = scene.folder / "tandem.service"
        unit.write_text(text.replace("/usr/local/bin/tandem", str(program.binary())))
        code, out, err = run(["systemd-analyze", "verify", unit], 20)
        expect(code == 0 and "tandem.service" not in out + err, f"exit {code}: {out}{err}")
    if "logrotate" in tools:
        rotate = scene.folder / "tandem.logrotate"
        owner = f"su {pathlib.Path(scene.folder).owner()} {pathlib.Path(scene.folder).group()}"
        rotate.write_text(LOGROTATE.read_text().replace("su tandem tandem", owner))
        os.chmod(rotate, 0o644)
        code, out, err = run(["logrotate", "-d", rotate])
        expect(code == 0 and "error" not in err.lower(), f"exit {code}: {out}{err}")


@scenario()
def refused_response_names_its_address(scene):
    """A response from another address than was asked is refused, and `tandem gateways` says from where it came."""
    gateway, elsewhere = scene.endpoint(scene.gateway_address()), scene.endpoint((scene.ip(77), 5060))
    tandem = scene.tandem(gateway.address)
    call = Call(scene.endpoint(scene.caller_address()), tandem.address)
    call.invite()
    invite = gateway.expect("INVITE")
    elsewhere.send(sip.response(invite.message, 200, to_tag="forged"), tandem.address)
    row = wait_until(
        lambda: next((one for one in tandem.ask("gateways")["gateways"] if one["refused_responses"]), None), 3, "the refusal is counted",
    )
    expect(row["refused_from"] == sip.hostport(elsewhere.address), f"{row}")
    _, text, _ = tandem.control("gateways")
    expect(f"1 responses refused, the last from {sip.hostport(elsewhere.address)}" in text and "reply_from" in text, text)
