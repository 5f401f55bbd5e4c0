"""What can be seen of a running Tandem from outside: metrics, figures against calls, and system calls of its shards."""

import re
import subprocess
import time
import urllib.request

from harness import sip
from harness.call import Call
from harness.endpoint import answers_calls
from harness.processes import Process, run
from harness.registry import DRIVERS, expect, scenario


def figure(stats, name, **labels):
    """Sum of the figures of this name with these labels."""
    wanted = labels.items()
    return sum(one["value"] for one in stats["figures"] if one["name"] == name and wanted <= one["labels"].items())


@scenario(programs=("promtool",))
def metrics_page(scene):
    """The metrics page is clean by `promtool check metrics`, and its counters equal what happened."""
    gateway = scene.answering(scene.gateway_address(), answers_calls())
    page = f"http://{scene.ip(1)}:9100/metrics"
    tandem = scene.tandem(gateway.address, tables={"metrics": {"listen": f"{scene.ip(1)}:9100"}})
    caller = scene.endpoint(scene.caller_address())
    for _ in range(10):
        call = Call(caller, tandem.address)
        call.invite()
        call.expect(200, skip=(180,))
        call.ack()
        call.bye()
        call.expect(200, "BYE")
    text = urllib.request.urlopen(page, timeout=3).read().decode()
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, timeout=10, check=False)
    expect(done.returncode == 0 and not done.stderr, f"promtool: {done.returncode}: {done.stderr.decode()}{done.stdout.decode()}")
    stats = tandem.ask("stats")
    received = figure(stats, "tandem_requests_total", method="INVITE", direction="in")
    expect(received == 10, f"{received} INVITEs of 10 in `tandem stats`")
    found = re.search(r'tandem_requests_total\{(?=[^}]*method="INVITE")(?=[^}]*direction="in")[^}]*\} (\d+)', text)
    expect(found and found[1] == "10", f"not 10 INVITEs on the page: {found and found[0]}; {text[:500]}")
    expect(figure(stats, "tandem_calls_established_total") == 10, "established calls")
    expect(figure(stats, "tandem_calls") == 0, "calls that stand after every BYE")
    row = tandem.ask("gateways")["gateways"][0]
    expect(row["carried"] == 10 and row["active"] == 0, f"gateway: {row}")


@scenario()
def refusals_are_counted(scene):
    """Each refusal has a reason of its own in `tandem stats`, and forged responses stand under their gateway."""
    gateway, caller = scene.endpoint(scene.gateway_address()), scene.endpoint(scene.caller_address())
    tandem = scene.tandem(gateway.address, tables={"sources": [f"{scene.ip(101)}/32"]})
    caller.send(sip.request("INVITE", f"sip:1@{sip.hostport(tandem.address)}", caller.address, max_forwards=0), tandem.address)
    caller.expect("INVITE", 483)
    caller.send(b"INVITE sip:x SIP/2.0\r\nVia: broken\r\n\r\n", tandem.address)
    stranger = scene.endpoint((scene.ip(150), 5060))
    Call(stranger, tandem.address).invite()
    call = Call(caller, tandem.address)
    call.invite()
    invite = gateway.expect("INVITE")
    stranger.send(sip.response(invite.message, 200, to_tag="x"), tandem.address)
    gateway.reply(invite, 486)
    call.ack_failure(call.expect(486))
    stats = tandem.ask("stats")
    rejected = {one["labels"]["reason"]: one["value"] for one in stats["figures"] if one["name"] == "tandem_rejected_total" and one["value"]}
    dropped = {one["labels"]["reason"]: one["value"] for one in stats["figures"] if one["name"] == "tandem_dropped_total" and one["value"]}
    expect(rejected and dropped, f"rejected {rejected}, dropped {dropped}")
    expect(figure(stats, "tandem_unknown_source_requests_total") == 1, "the stranger's INVITE is not counted")
    row = tandem.ask("gateways")["gateways"][0]
    expect(row["refused_responses"] == 1, f"the forged response is not counted: {row}")


# What a shard may call once it is warm: its driver's one call a turn, and calls on descriptors that never wait.
ALLOWED = {
    "io_uring": {"io_uring_enter"},
    "mmsg": {"recvmmsg", "sendmmsg", "ppoll"},
}
NEVER_WAITS = {"recvmsg", "sendmsg"}


@scenario(root=True, programs=("strace", "sipp"), seconds=40, drivers=DRIVERS,
          here="bypass-no-blocking-system-calls does it across a link")
def no_blocking_system_calls(scene):
    """Under load the shards call nothing but their driver's system calls: nothing that waits, allocates or touches a file."""
    scene.gateway(1)
    tandem = scene.tandem(scene.gateway_address(1), shards=2)
    caller = scene.caller(tandem.address, calls=1_500, rate=150)
    caller.wait_created(450, 10)
    shards = tandem.threads("shard-")
    expect(len(shards) == 2, f"{len(shards)} threads are called shard-…")
    trace = scene.folder / "strace.txt"
    words = [word for thread in shards for word in ("-p", str(thread))]
    tracer = scene.keep(Process(scene.folder, "strace", ["timeout", "-s", "INT", "4", "strace", "-y", "-o", trace, *words]))
    tracer.wait(10)
    calls = re.findall(r"^(?:\d+\s+)?(\w+)\((.*)$", trace.read_text(errors="replace"), re.MULTILINE)
    expect(len(calls) > 200, f"only {len(calls)} system calls were seen: {tracer.output()}")
    allowed = ALLOWED[scene.scenario.driver]
    wrong = {}
    for name, rest in calls:
        quiet = name in NEVER_WAITS and "MSG_DONTWAIT" in rest or name in ("read", "write") and "eventfd" in rest.split(",")[0]
        if name not in allowed and not quiet:
            wrong.setdefault(name, rest[:100])
    expect(not wrong, f"system calls of the shards beside {sorted(allowed)}: {wrong}")
    caller.finish(20)


@scenario()
def no_descriptor_is_left(scene):
    """A hundred control calls and metrics requests leave no descriptor and no thread behind."""
    tandem = scene.tandem(scene.gateway_address(), tables={"metrics": {"listen": f"{scene.ip(1)}:9100"}})

    def counts():
        task = run(["ls", f"/proc/{tandem.pid}/task"])[1].split()
        descriptors = run(["ls", f"/proc/{tandem.pid}/fd"])[1].split()
        return len(task), len(descriptors)

    tandem.ask("stats")
    before = counts()
    for _ in range(50):
        tandem.connection().call("stats")
        urllib.request.urlopen(f"http://{scene.ip(1)}:9100/metrics", timeout=3).read()
    time.sleep(0.5)
    after = counts()
    expect(after[0] <= before[0] + 2 and after[1] <= before[1] + 2, f"threads and descriptors: {before}, then {after}")
