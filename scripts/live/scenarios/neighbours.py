"""Other people's programs around Tandem: Kamailio before and behind it, sipsak, two baresips in a call with sound."""

import time
import wave

from harness import baresip, sip
from harness.endpoint import rings_until_cancelled
from harness.kamailio import Kamailio
from harness.processes import run
from harness.registry import DRIVERS, expect, scenario


def kamailio(scene, name, address, next_hop):
    """A neighbour that relays all calls to `next_hop`, up and answering."""
    values = {"NEXT_HOP": f'"{sip.hostport(next_hop)}"'}
    neighbour = scene.keep(Kamailio(scene.folder, name, [address], "neighbour.cfg", values))
    return neighbour.wait_ready((scene.ip(240), 0))


@scenario(programs=("sipp", "kamailio"))
def kamailio_before(scene):
    """sipp → Kamailio → Tandem → sipp: two proxies' Record-Route values, followed by both sides."""
    gateway = scene.gateway(scenario="uas_route_set")
    proxy = scene.tandem(gateway.address)
    before = kamailio(scene, "before", (scene.ip(50), 5060), proxy.address)
    scene.caller(before.address, calls=200, rate=100, scenario="uac_route_set", words=("-d", "100")).finish(15)
    gateway.wait_calls(200)


@scenario(programs=("sipp", "kamailio"))
def kamailio_behind(scene):
    """sipp → Tandem → Kamailio → sipp, with Kamailio as the gateway."""
    gateway = scene.gateway(scenario="uas_route_set")
    behind = kamailio(scene, "behind", (scene.ip(50), 5060), gateway.address)
    proxy = scene.tandem(behind.address)
    scene.caller(proxy.address, calls=200, rate=100, scenario="uac_route_set", words=("-d", "100")).finish(15)
    gateway.wait_calls(200)


@scenario(programs=("sipp", "kamailio"))
def kamailio_on_both_sides(scene):
    """sipp → Kamailio → Tandem → Kamailio → sipp, where the gateway hangs up, and calls are cancelled."""
    hangs_up = scene.gateway(1, "uas_hangs_up")
    # WHY: after a CANCEL sipp has no Via of the INVITE left but the topmost, so that this gateway is ours.
    cancelled = scene.answering(scene.gateway_address(2), rings_until_cancelled())
    for number, (gateway, calls) in enumerate(((hangs_up, "uac_hung_up_on"), (cancelled, "uac_cancels"))):
        behind = kamailio(scene, f"behind-{number}", (scene.ip(50 + number), 5060), gateway.address)
        proxy = scene.tandem(behind.address, listen=[(scene.ip(1 + number), 5060)], name=f"tandem-{number}")
        before = kamailio(scene, f"before-{number}", (scene.ip(60 + number), 5060), proxy.address)
        scene.caller(before.address, calls=100, rate=50, number=1 + number, scenario=calls).finish(15)
        proxy.stop()
    expect(len(cancelled.requests("ACK")) >= 100, f"{len(cancelled.requests('ACK'))} ACKs of 100 calls that were cancelled")


@scenario(programs=("sipsak",), here="sipsak sends from 127.0.0.1")
def sipsak_ping(scene):
    """sipsak's OPTIONS: 200 for a known peer, silence for a stranger."""
    # sipsak sends from 127.0.0.1 or the host's own address, whichever reaches the target.
    proxy = scene.tandem(scene.gateway_address(), tables={"sources": ["127.0.0.1/32"]})
    # WHY -H: without it sipsak wants a host name that resolves, which a fresh host need not have.
    sipsak = ["sipsak", "-vv", "-H", "127.0.0.1", "-s"]
    code, out, err = run([*sipsak, f"sip:ping@{sip.hostport(proxy.address)}"], 8)
    expect(code == 0 and "200" in out, f"sipsak ended with {code}: {out}{err}")
    proxy.stop()
    deaf = scene.tandem(scene.gateway_address(), listen=[(scene.ip(2), 5060)], name="deaf", tables={"sources": ["203.0.113.0/24"]})
    code, out, err = run(["timeout", "3", *sipsak, f"sip:{sip.hostport(deaf.address)}"], 8)
    expect(code != 0 and "SIP/2.0 200" not in out, f"a stranger's OPTIONS was answered: {out}{err}")


def loudness(file):
    """Samples of a WAV file that are not silence."""
    with wave.open(str(file)) as sound:
        data = sound.readframes(sound.getnframes())
    return sum(abs(int.from_bytes(data[at : at + 2], "little", signed=True)) > 500 for at in range(0, len(data) - 1, 2))


@scenario(programs=("baresip",), seconds=40, drivers=DRIVERS)
def baresip_calls_baresip(scene):
    """baresip calls baresip through Tandem, both hear a tone, and the callee hangs up."""
    callee = scene.keep(baresip.Baresip(scene.folder, "callee", (scene.ip(11), 5060), tone=440))
    proxy = scene.tandem(callee.address)
    caller = scene.keep(baresip.Baresip(scene.folder, "caller", (scene.ip(101), 5060), tone=880, outbound=proxy.address))
    for one in (callee, caller):
        one.wait_ready()
    caller.order("dial", f"sip:callee@{sip.hostport(proxy.address)}")
    caller.wait_event("CALL_ESTABLISHED", 8)
    callee.wait_event("CALL_ESTABLISHED", 2)
    time.sleep(2)
    callee.order("hangup")
    caller.wait_event("CALL_CLOSED", 5)
    time.sleep(0.3)
    for one in (callee, caller):
        heard = loudness(one.recording())
        expect(heard > 4_000, f"{one.name} heard {heard} samples that are not silence")
