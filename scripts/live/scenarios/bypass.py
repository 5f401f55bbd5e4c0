"""AF_XDP over a veth pair, in the driver's mode and in the generic one: the same calls, the far side's view of
them, and everything that goes past it to the kernel or changes under load."""

import collections
import json
import os
import pathlib
import re
import signal
import socket
import threading
import time

from harness import sipp
from harness.call import Call
from harness.kamailio import Kamailio
from harness import sip
from harness.namespace import Namespace
from harness.processes import Process, run, wait_until
from harness.registry import Skipped, expect, scenario
from harness.wire import Wire

MODES = ("xdp", "xdp-generic")
NEEDS = ("sipp", "ip", "nft")
HERE = "has a link of its own"


def pair(scene):
    """The far host. Skipped where the kernel has no AF_XDP, or we lack the rights."""
    try:
        socket.socket(44, socket.SOCK_RAW).close()
    except OSError as error:
        raise Skipped(f"no AF_XDP here: {error}") from None
    return scene.keep(Namespace())


def tables(scene, there, **driver):
    """What turns AF_XDP on for the near end of the pair."""
    mode = "generic" if scene.scenario.driver == "xdp-generic" else "best"
    return {
        "sources": ["any"],
        "driver": {"kind": "xdp", "interfaces": [near(there)], "xdp_mode": mode, **driver},
    }


def near(there):
    return there.veth + "n"


def start(scene, there, *gateways, listen=None, **more):
    """Tandem on AF_XDP, which says so."""
    listen = listen or [(there.near(), 5060)]
    tandem = scene.tandem(*gateways, listen=listen, tables=tables(scene, there), **more)
    wanted = "generic" if scene.scenario.driver == "xdp-generic" else "native"
    wait_until(lambda: "up in" in tandem.output(), 5, "the banner")
    line = next((line for line in tandem.output().splitlines() if near(there) in line), "")
    expect(wanted in line, f"{near(there)} is not served in {wanted} mode: {tandem.output()}")
    return tandem


def counters(tandem):
    """Numbers of the shards' counters, summed."""
    sums = {}
    for figure in tandem.ask("stats")["figures"]:
        name = figure["labels"].get("event")
        sums[name] = sums.get(name, 0) + int(figure["value"])
    return collections.defaultdict(int, sums)


def until_by_xdp(tandem, call, within=5):
    """Calls until one has left by AF_XDP: until the kernel has confirmed the neighbours and the shards know of it."""
    deadline = time.monotonic() + within
    while counters(tandem)["xdp_frames_out"] == 0:
        expect(time.monotonic() < deadline, "nothing left by AF_XDP")
        call()
        time.sleep(0.05)


def uas(scene, there, number=1, address=None):
    local = (address or there.far(number), 5060)
    return scene.keep(sipp.Gateway(scene.folder, f"gateway-{number}", local, "uas_route_set", prefix=there.prefix()))


def uac(scene, there, to, calls, rate, address=None, name="caller-1", **more):
    local = (address or there.far(8), 5060)
    return scene.keep(sipp.Caller(scene.folder, name, local, to, calls, rate, "uac_route_set", prefix=there.prefix(), **more))


@scenario(root=True, programs=NEEDS, drivers=MODES, seconds=30)
def bypass_calls(scene):
    """Calls over AF_XDP; the far side sees right Ethernet addresses, sums, hop limits, on every frame."""
    there = pair(scene)
    gateway = uas(scene, there)
    tandem = start(scene, there, gateway.address)
    with there.entered():
        wire = scene.keep(Wire("far"))
    uac(scene, there, tandem.address, 200, 100).finish(20)
    check_frames(there, wire, tandem, 200)


@scenario(root=True, programs=NEEDS, drivers=MODES, seconds=30)
def bypass_calls_ipv6(scene):
    """The same over IPv6."""
    there = pair(scene)
    gateway = uas(scene, there, address=there.far6(1))
    tandem = start(scene, there, gateway.address, listen=[(there.near6(), 5060)])
    with there.entered():
        wire = scene.keep(Wire("far"))
    uac(scene, there, tandem.address, 200, 100, address=there.far6(8)).finish(20)
    check_frames(there, wire, tandem, 200)


def check_frames(there, wire, tandem, calls, tags=()):
    """Six or more frames a call, nearly all by AF_XDP; each of ours right to the last octet."""
    sums = counters(tandem)
    expect(sums["xdp_frames_in"] >= 5 * calls, f"{sums['xdp_frames_in']} frames came by AF_XDP")
    expect(sums["xdp_frames_out"] >= 6 * calls - 20, f"{sums['xdp_frames_out']} frames left by AF_XDP")
    # The lane reads the program's counters once a second.
    to_shard = lambda: tandem.figure("tandem_xdp_packets_total", verdict="to_shard")
    wait_until(lambda: to_shard() >= sums["xdp_frames_in"], 3, lambda: f"the program counted {to_shard()} packets", 0.1)
    # ARP, or ICMPv6.
    expect(tandem.figure("tandem_xdp_packets_total") > to_shard(), "neighbours were asked for by nothing that was counted")
    sent = wire.sent_from(tandem.address)
    good = [one for one in sent if one.udp == "good"]
    wrong = [one for one in sent if one.udp == "wrong" or not one.header_good or one.hops != 64]
    expect(not wrong, f"{len(wrong)} frames are wrong, the first: {wrong[:1]}")
    expect(len(good) >= 6 * calls - 20, f"{len(good)} of {len(sent)} frames with a whole sum")
    far_mac = json.loads(there.inside("ip", "-j", "link", "show", "far")[1])[0]["address"]
    near_mac = json.loads(run(["ip", "-j", "link", "show", near(there)])[1])[0]["address"]
    strays = [one for one in good if (one.to, one.sender) != (far_mac, near_mac)]
    expect(not strays, f"frames with other Ethernet addresses: {strays[:1]}")


@scenario(root=True, programs=(*NEEDS, "ethtool"), drivers=MODES[:1], seconds=40)
def bypass_vlans(scene):
    """Calls on a VLAN and on a VLAN within a VLAN of the interface, tagged in the frames themselves."""
    there = pair(scene)
    ours = near(there)
    if run(["ip", "link", "add", "link", ours, "name", f"v{ours}"[:15], "type", "vlan", "id", "9"])[0] != 0:
        raise Skipped("this kernel has no VLAN interfaces")
    # WHY off: a tag that travels beside the frame (in the descriptor) is not what is to be seen here.
    offloads = ("txvlan", "off", "rxvlan", "off")
    run(["ethtool", "-K", ours, *offloads])
    there.inside("ethtool", "-K", "far", *offloads)
    number = random_octet(there)
    plans = (("v100", [100], f"198.18.{number}.10"), ("v200", [200, 7], f"198.18.{number}.20"))
    listen = []
    for name, ids, net in plans:
        for side, add in (("near", there.ip), ("far", lambda *words: there.inside("ip", *words))):
            base = ours if side == "near" else "far"
            for depth, vlan in enumerate(ids):
                made = f"{'n' if side == 'near' else 'f'}{name}{depth}{number}"
                protocol = "802.1ad" if depth == 0 and len(ids) == 2 else "802.1Q"
                add("link", "add", "link", base, "name", made, "type", "vlan", "proto", protocol, "id", str(vlan))
                add("link", "set", made, "up")
                base = made
            last = 1 if side == "near" else 2
            add("addr", "add", f"{net}{last}/30", "dev", base)
        listen.append((f"{net}1", 5060))
    for (name, _, net), local in zip(plans, listen):
        gateway = uas(scene, there, number=2 if name == "v100" else 3, address=f"{net}2")
        tandem = scene.tandem(
            gateway.address, listen=[local], name=f"tandem-{name}",
            tables={**tables(scene, there), "control": {"socket": str(scene.folder / f"{name}.sock")}},
        )
        caller = scene.keep(sipp.Caller(
            scene.folder, f"caller-{name}", (f"{net}2", 5070), local, 50, 50, "uac_route_set", prefix=there.prefix(),
        ))
        caller.finish(15)
        sums = counters(tandem)
        expect(sums["xdp_frames_out"] >= 280, f"{name}: {sums['xdp_frames_out']} frames left by AF_XDP")
        expect(sums["xdp_frames_in"] >= 240, f"{name}: {sums['xdp_frames_in']} frames came by AF_XDP")
        tandem.stop()


def random_octet(there):
    """An octet that differs from run to run."""
    return there.net[0] ^ 0x55


@scenario(root=True, programs=("ip", "nft"), drivers=MODES)
def bypass_fragments(scene):
    """Messages of up to 60 KB both ways, fragmented on the link: received and sent by the kernel beside AF_XDP."""
    there = pair(scene)
    with there.entered():
        gateway, caller = scene.endpoint((there.far(1), 5060)), scene.endpoint((there.far(2), 5060))
    proxy = start(scene, there, gateway.address)

    def small_call():
        call = Call(caller, proxy.address)
        call.invite()
        gateway.reply(gateway.expect("INVITE"), 486)
        call.ack_failure(call.expect(486))
        gateway.expect("ACK")

    until_by_xdp(proxy, small_call)
    for size in (1_000, 1_300, 1_500, 3_000, 30_000, 60_000):
        body = ((b"a=x-long:" + b"0123456789" * 7 + b"\r\n") * (size // 81 + 1))[:size]
        call = Call(caller, proxy.address)
        call.sent = call.request("INVITE", body=body)
        invite = gateway.expect("INVITE", what=f"with a body of {size} bytes")
        expect(invite.message.body == body, f"the body of {size} bytes changed")
        gateway.reply(invite, 200, body=body)
        expect(call.expect(200, what=f"with a body of {size} bytes").message.body == body, "the answer's body changed")
        call.ack()
        gateway.expect("ACK")
    sums = counters(proxy)
    expect(sums["xdp_frames_in"] > 0 and sums["xdp_frames_out"] > 0, f"the small ones did not go by AF_XDP: {sums}")
    expect(sums["xdp_by_kernel_too_long"] >= 1, f"none was too long for it: {sums}")


@scenario(root=True, programs=NEEDS, drivers=MODES[:1])
def bypass_unknown_neighbour(scene):
    """Neighbours forgotten under load: the kernel asks for them again, no call is lost."""
    there = pair(scene)
    gateway = uas(scene, there)
    tandem = start(scene, there, gateway.address)
    caller = uac(scene, there, tandem.address, 300, 100)
    for _ in range(5):
        time.sleep(0.4)
        there.ip("neigh", "flush", "dev", near(there))
    caller.finish(15)
    sums = counters(tandem)
    expect(sums["xdp_by_kernel_neighbour"] >= 2, f"nothing went through the kernel: {sums}")
    expect(sums["xdp_frames_out"] > 1_500, f"AF_XDP was not gone back to: {sums}")


@scenario(root=True, programs=("ip", "nft"), drivers=MODES)
def bypass_dead_gateway(scene):
    """A gateway whose port is closed: its ICMP error, for a frame that left by AF_XDP, moves the call on within 50 ms."""
    there = pair(scene)
    with there.entered():
        caller, good = scene.endpoint((there.far(2), 5060)), scene.endpoint((there.far(4), 5060))
    dead = (there.far(3), 5060)
    proxy = start(scene, there, dead, good.address, algorithm="priority", probe="off")
    took = []

    def moved_call():
        call = Call(caller, proxy.address)
        began = time.monotonic()
        call.invite()
        invite = good.expect("INVITE", within=2)
        took.append(time.monotonic() - began)
        good.reply(invite, 486)
        call.ack_failure(call.expect(486))
        good.expect("ACK")

    for _ in range(3):
        moved_call()
    expect(min(took) < 0.05, f"moved on after {took} s")
    until_by_xdp(proxy, moved_call)


@scenario(root=True, programs=NEEDS, drivers=MODES[:1], seconds=30)
def bypass_link_flap(scene):
    """The link goes down for a second under load and comes back: calls are carried again, none is given up."""
    there = pair(scene)
    gateway = uas(scene, there)
    # WHY: the kernel notices up to a second late that the link is back, and then asks for its neighbours. Of the three
    # INVITEs of the usual two seconds all may be lost.
    tandem = start(scene, there, gateway.address, no_response_timeout="8s")
    caller = uac(scene, there, tandem.address, 400, 100)
    time.sleep(1)
    there.ip("link", "set", near(there), "down")
    time.sleep(1)
    there.ip("link", "set", near(there), "up")
    caller.finish(25)
    tandem.must_live()
    before = counters(tandem)["xdp_frames_out"]
    uac(scene, there, tandem.address, 50, 100, name="caller-2").finish(15)
    expect(counters(tandem)["xdp_frames_out"] - before >= 290, "AF_XDP was not gone back to")


@scenario(root=True, programs=NEEDS, drivers=MODES[:1], seconds=30)
def bypass_interface_gone_and_back(scene):
    """The interface is deleted and made anew by the same name: sockets meanwhile, AF_XDP again, no restart."""
    there = pair(scene)
    gateway = uas(scene, there)
    # WHY this port: a wildcard takes it from every address of the host, and other scenarios run beside.
    tandem = start(scene, there, gateway.address, listen=[("0.0.0.0", 6977)])
    to = (there.near(), tandem.address[1])
    uac(scene, there, to, 50, 50).finish(15)
    there.ip("link", "del", near(there))
    wait_until(lambda: "is gone" in tandem.output(), 3, "the log to say that the interface is gone")
    there.ip("link", "add", near(there), "type", "veth", "peer", "name", "far", "netns", there.name)
    there.ip("addr", "add", f"{there.near()}/24", "dev", near(there))
    there.ip("link", "set", near(there), "up")
    for number in (1, 8):
        there.inside("ip", "addr", "add", f"{there.far(number)}/24", "dev", "far")
    there.inside("ip", "link", "set", "far", "up")
    wait_until(lambda: "again" in tandem.output(), 5, lambda: f"the interface to be served again: {tandem.output()}")
    time.sleep(0.2)
    before = counters(tandem)["xdp_frames_out"]
    uac(scene, there, to, 50, 50, name="caller-2").finish(15)
    after = counters(tandem)["xdp_frames_out"]
    expect(after - before >= 280, f"{after - before} frames left by AF_XDP afterwards")


@scenario(root=True, programs=(*NEEDS, "ethtool"), drivers=MODES[:1], seconds=40)
def bypass_queues_and_mtu_changed(scene):
    """The interface gets a second queue, then a smaller MTU, under load: sockets for a moment, AF_XDP again; no call is lost."""
    there = pair(scene)
    if run(["ethtool", "-l", near(there)])[1].count("RX:\t\t1") == 2:
        raise Skipped("one core, so that the link can have one queue alone")
    gateway = uas(scene, there)
    tandem = start(scene, there, gateway.address)
    caller = uac(scene, there, tandem.address, 500, 100)
    caller.wait_created(50, 10)
    run(["ethtool", "-L", near(there), "rx", "2", "tx", "2"], check=True)
    wait_until(lambda: "has other queues" in tandem.output(), 5, lambda: f"the queues to be noticed: {tandem.output()}")
    again = f"{near(there)} queue 1: shard 0"
    wait_until(lambda: again in tandem.output(), 5, lambda: f"both queues to be served: {tandem.output()}")
    caller.finish(25)
    before = counters(tandem)
    uac(scene, there, tandem.address, 20, 50, name="caller-2").finish(10)
    expect(counters(tandem)["xdp_frames_out"] - before["xdp_frames_out"] >= 110, "AF_XDP was not gone back to")
    # Smaller than most messages: those are the kernel's now, which sends and receives them in fragments.
    there.inside("ip", "link", "set", "far", "mtu", "400")
    there.ip("link", "set", near(there), "mtu", "400")
    before = counters(tandem)
    uac(scene, there, tandem.address, 20, 50, name="caller-3").finish(10)
    too_long = counters(tandem)["xdp_by_kernel_too_long"] - before["xdp_by_kernel_too_long"]
    expect(too_long >= 20, f"{too_long} messages were too long for an MTU of 400")


@scenario(root=True, programs=NEEDS, drivers=MODES[:1], seconds=30)
def bypass_flooded(scene):
    """Ten thousand foreign packets beside the calls: counted, left to the kernel, and no call is lost."""
    there = pair(scene)
    gateway = uas(scene, there)
    tandem = start(scene, there, gateway.address)
    caller = uac(scene, there, tandem.address, 300, 100)
    caller.wait_created(20, 10)
    with there.entered():
        flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with flood:
        for number in range(10_000):
            flood.sendto(b"x" * 100, (there.near(), 9_000 + number % 100))
            if number % 50 == 0:
                time.sleep(0.005)
    caller.finish(20)
    passed = lambda: tandem.figure("tandem_xdp_packets_total", verdict="not_served")
    wait_until(lambda: passed() >= 9_000, 5, lambda: f"{passed()} foreign packets were seen")


@scenario(root=True, programs=NEEDS, drivers=MODES[:1], seconds=30)
def bypass_route_change(scene):
    """The gateway's route moves to another neighbour, then to an interface without AF_XDP, and back, under load."""
    there, other = pair(scene), scene.keep(Namespace())
    beyond = f"198.18.{random_octet(there)}.130"
    for far in (there, other):
        far.inside("ip", "addr", "add", f"{beyond}/32", "dev", "lo")
        far.inside("ip", "link", "set", "lo", "up")
        far.inside("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0")
    other.inside("ip", "route", "add", "default", "via", other.near())
    there.ip("route", "add", f"{beyond}/32", "via", there.far(1))
    scene.ending.callback(lambda: run(["ip", "route", "del", f"{beyond}/32"]))
    gateways = [
        scene.keep(sipp.Gateway(scene.folder, f"gateway-{name}", (beyond, 5060), "uas_route_set", prefix=far.prefix()))
        for name, far in (("1", there), ("2", other))
    ]
    tandem = start(scene, there, gateways[0].address)
    caller = uac(scene, there, tandem.address, 400, 100)
    time.sleep(1)
    there.ip("route", "replace", f"{beyond}/32", "via", there.far(2))
    time.sleep(1)
    before = counters(tandem)
    there.ip("route", "replace", f"{beyond}/32", "via", other.far(1))
    time.sleep(1)
    middle = counters(tandem)
    there.ip("route", "replace", f"{beyond}/32", "via", there.far(1))
    # Calls that were open when their gateway became another one are its loss, not ours.
    caller.finish(25, successful=380)
    expect(middle["xdp_by_kernel_elsewhere"] - before["xdp_by_kernel_elsewhere"] > 50, f"nothing by the other interface: {middle}")
    gateways[1].wait_calls(50)


@scenario(root=True, programs=NEEDS, drivers=MODES[:1], seconds=30)
def bypass_address_moved(scene):
    """A floating address leaves and comes back under load: it is Tandem's only while the host has it."""
    there = pair(scene)
    floating = there.near().rsplit(".", 1)[0] + ".250"
    gateway = uas(scene, there)
    tandem = start(scene, there, gateway.address, listen=[(floating, 5060)])
    there.ip("addr", "add", f"{floating}/24", "dev", near(there))
    time.sleep(0.2)
    caller = uac(scene, there, tandem.address, 300, 100)
    time.sleep(1)
    there.ip("addr", "del", f"{floating}/24", "dev", near(there))
    time.sleep(0.1)
    gone = counters(tandem)["xdp_frames_in"]
    time.sleep(0.3)
    still = counters(tandem)["xdp_frames_in"] - gone
    there.ip("addr", "add", f"{floating}/24", "dev", near(there))
    caller.finish(20)
    expect(still <= 2, f"{still} frames were taken for an address that the host did not have")
    expect(counters(tandem)["xdp_frames_in"] > 1_000, "AF_XDP was not gone back to")


@scenario(root=True, programs=(*NEEDS, "ping"), drivers=MODES[:1], alone=True, seconds=30)
def bypass_others_untouched(scene):
    """Ping and a TCP connection beside full load: neither loses anything."""
    there = pair(scene)
    gateway = uas(scene, there)
    tandem = start(scene, there, gateway.address)
    caller = uac(scene, there, tandem.address, 1_500, 500)
    server = socket.create_server((there.near(), 0))
    sent = os.urandom(4 << 20)
    received = bytearray()

    def serve():
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(65536):
                received.extend(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    ping = scene.keep(Process(scene.folder, "ping", [*there.prefix(), "ping", "-c", "40", "-i", "0.05", "-W", "1", there.near()]))
    with there.entered():
        client = socket.create_connection(server.getsockname())
    client.sendall(sent)
    client.close()
    thread.join(10)
    ping.wait(10)
    expect(bytes(received) == sent, f"TCP brought {len(received)} of {len(sent)} bytes")
    expect(" 0% packet loss" in ping.output(), ping.output()[-300:])
    caller.finish(20)


@scenario(root=True, programs=NEEDS, drivers=MODES)
def bypass_killed(scene):
    """kill -9 under load leaves no program attached and the host reachable; a second Tandem is refused while one serves."""
    there = pair(scene)
    gateway = uas(scene, there)
    tandem = start(scene, there, gateway.address)

    def attached():
        return "xdp" in json.loads(run(["ip", "-j", "link", "show", near(there)])[1])[0]

    expect(attached(), "no program is attached while it serves")
    tree = scene.tree([gateway.address], listen=[(there.near(), 5070)], tables={
        **tables(scene, there), "control": {"socket": str(scene.folder / "second.sock")},
        "state": {"dir": str(scene.folder / "second")},
    })
    second = scene.tandem(tree=tree, listen=[(there.near(), 5070)], name="second", ready=False)
    expect(second.wait(5) != 0 and "another XDP program" in second.output(), f"the second one: {second.output()}")
    caller = uac(scene, there, tandem.address, 1_000, 100)
    caller.wait_created(50, 10)
    tandem.signal(signal.SIGKILL)
    tandem.wait(5)
    wait_until(lambda: not attached(), 2, "the program to be gone")
    expect(there.inside("ping", "-c", "2", "-W", "1", there.near())[0] == 0, "the host does not answer")
    caller.stop()
    again = scene.tandem(gateway.address, listen=[(there.near(), 5060)], name="again", tables=tables(scene, there))
    uac(scene, there, again.address, 20, 50, name="caller-2").finish(10)


@scenario(root=True, programs=NEEDS, drivers=MODES[:1])
def bypass_falls_back(scene):
    """kind = "auto": AF_XDP where it is worth it, and sockets with a reason where it is not."""
    there = pair(scene)
    gateway = uas(scene, there)
    for interfaces, words in (([near(there)], "native"), (["nosuch0"], "there is no such interface")):
        choice = {"kind": "auto", "interfaces": interfaces}
        tandem = scene.tandem(
            gateway.address, listen=[(there.near(), 5060)], name=f"tandem-{words[:5]}",
            tables={"sources": ["any"], "driver": choice},
        )
        wait_until(lambda: "up in" in tandem.output(), 5, "the banner")  # noqa: B023
        expect(words in tandem.output(), f"no word of {words}: {tandem.output()}")
        uac(scene, there, tandem.address, 20, 50, name=f"caller-{words[:5]}").finish(10)
        tandem.stop()


@scenario(root=True, programs=NEEDS, drivers=MODES[:1])
def bypass_rights_given_up(scene):
    """Four capabilities are enough; once all is set up no shard has one of them, and the lane has no other."""
    there = pair(scene)
    # No more than the documentation asks for; CAP_IPC_LOCK in the place of LimitMEMLOCK=infinity. WHY: what other
    # scenarios lock, or have locked a moment ago, counts for the same user.
    alone = ["setpriv", "--bounding-set", "-all,+net_admin,+net_raw,+bpf,+perfmon,+ipc_lock"]
    tandem = start(scene, there, (there.far(1), 5060), shards=2, prefix=alone)
    forbidden = 1 << 12 | 1 << 13 | 1 << 38 | 1 << 39
    for thread in tandem.threads("shard-"):
        status = pathlib.Path(f"/proc/{tandem.pid}/task/{thread}/status").read_text()
        rights = int(re.search(r"^CapPrm:\s+(\w+)", status, re.MULTILINE).group(1), 16)
        expect(rights & forbidden == 0, f"thread {thread} still has {rights:#x}")
    keeps = tandem.threads("network")
    expect(len(keeps) == 1, "the lane that follows the network")
    def rights(name):
        status = pathlib.Path(f"/proc/{tandem.pid}/task/{keeps[0]}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\w+)", status, re.MULTILINE).group(1), 16)

    # CAP_IPC_LOCK beside them, and CAP_SYS_ADMIN where the kernel has no CAP_BPF.
    expect(rights("CapPrm") & ~(forbidden | 1 << 14 | 1 << 21) == 0, f"the lane has {rights('CapPrm'):#x}")
    # It takes them up for moments: while it attaches, and whenever the network has changed.
    wait_until(lambda: rights("CapEff") == 0, 3, lambda: f"rights to be put down: {rights('CapEff'):#x}")


@scenario(root=True, programs=(*NEEDS, "strace"), seconds=40, drivers=MODES[:1])
def bypass_no_blocking_system_calls(scene):
    """Under load a shard on AF_XDP calls nothing but io_uring_enter and calls that never wait."""
    there = pair(scene)
    gateway = uas(scene, there)
    tandem = start(scene, there, gateway.address, shards=2)
    caller = uac(scene, there, tandem.address, 900, 150)
    caller.wait_created(150, 10)
    trace = scene.folder / "strace.txt"
    words = [word for thread in tandem.threads("shard-") for word in ("-p", str(thread))]
    scene.keep(Process(scene.folder, "strace", ["timeout", "-s", "INT", "3", "strace", "-o", trace, *words])).wait(10)
    calls = re.findall(r"^(?:\d+\s+)?(\w+)\((.*)$", trace.read_text(errors="replace"), re.MULTILINE)
    expect(len(calls) > 200, f"only {len(calls)} system calls were seen")
    wrong = {}
    for name, rest in calls:
        quiet = "MSG_DONTWAIT" in rest or name in ("io_uring_enter", "getsockopt") or name in ("read", "write") and '"\\' in rest
        if not quiet:
            wrong.setdefault(name, rest[:100])
    expect(not wrong, f"system calls that may wait: {wrong}")
    caller.finish(20)


@scenario(root=True, programs=(*NEEDS, "kamailio"), drivers=MODES[:1], seconds=30)
def bypass_kamailio(scene):
    """sipp → Kamailio → Tandem → Kamailio → sipp, all of it across the pair."""
    there = pair(scene)
    gateway = uas(scene, there)
    behind = neighbour(scene, there, "behind", there.far(3), gateway.address)
    tandem = start(scene, there, behind.address)
    before = neighbour(scene, there, "before", there.far(4), tandem.address)
    uac(scene, there, before.address, 100, 50, words=("-d", "100")).finish(20)
    gateway.wait_calls(100)
    expect(counters(tandem)["xdp_frames_in"] >= 500, "the calls did not come by AF_XDP")


def neighbour(scene, there, name, ip, next_hop):
    values = {"NEXT_HOP": f'"{sip.hostport(next_hop)}"'}
    made = scene.keep(Kamailio(scene.folder, name, [(ip, 5060)], "neighbour.cfg", values, prefix=there.prefix()))
    with there.entered():
        return made.wait_ready((there.far(7), 0))
