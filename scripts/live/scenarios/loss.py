"""Networks that lose, repeat and reorder: every call completes or fails by the RFC."""

import collections
import zlib

from harness import lossy
from harness.registry import DRIVERS, expect, scenario

CALLS, RATE = 150, 50


def lossy_calls(scene, percent):
    """The calls of one network; judges what callers and gateways saw."""
    seed = zlib.crc32(scene.scenario.name.encode())
    network = lossy.Network(seed, percent / 100)
    gateways = [lossy.Gateway(network, scene.gateway_address(number)) for number in (1, 2, 3)]
    proxy = scene.tandem(*[gateway.endpoint.address for gateway in gateways])
    caller = lossy.Caller(network, scene.caller_address(), proxy.address)
    for number in range(CALLS):
        network.after(number / RATE, caller.call)
    calls = caller.calls

    def finished():
        all_ended = len(calls) >= CALLS and all(call.ended() for call in calls.values())
        return all_ended and not any(gateway.repeating() for gateway in gateways)

    network.run(70, finished)
    expect(not caller.strange, f"messages of no call: {caller.strange[:3]}")
    calls = list(calls.values())
    outcomes = collections.Counter(call.outcome for call in calls)
    about = f"seed {seed}, outcomes {dict(outcomes)}, finals sent by gateways {[dict(one.answers) for one in gateways]}"
    # The network may lose every copy of a final response; that none was sent would be Tandem's fault.
    unended = [call for call in calls if not call.ended() and not call.sent]
    expect(not unended, f"{len(unended)} calls never ended; {about}")
    trouble = [text for call in calls for text in call.trouble]
    expect(not trouble, f"{trouble[:5]}; {about}")
    # So may a caller hear nothing at all before its Timer B; that Tandem said nothing would be Tandem's fault.
    unheard = [call for call in calls if call.outcome == "no answer" and not call.spoken_to]
    expect(not unheard, f"{len(unheard)} INVITEs came to Tandem and drew nothing; {about}")
    expect(set(outcomes) <= {"answered", 486, 408, 503, "no answer", "never asked", None}, about)
    expect(outcomes["answered"] + outcomes[486] >= CALLS * 0.95, f"too few calls were answered; {about}")
    # Every 2xx that reached Tandem left it for the caller, and every ACK for its gateway (§16.7 step 5, §16.11).
    answers = sum(gateway.answers_delivered for gateway in gateways)
    expect(answers == caller.answers_seen, f"{answers} 200s came to Tandem, {caller.answers_seen} left it; {about}")
    acks = sum(gateway.acks_seen for gateway in gateways)
    expect(acks == caller.acks_delivered, f"{caller.acks_delivered} ACKs came to Tandem, {acks} left it; {about}")
    byes = [bye.status for call in calls for bye in call.byes.values()]
    expect(set(byes) <= {200, None}, f"BYEs ended with {collections.Counter(byes)}; {about}")
    unsaid = set().union(*(gateway.byes_delivered for gateway in gateways)) - caller.byes_seen
    expect(not unsaid, f"200s to BYE that stayed in Tandem: {unsaid}; {about}")
    expect(byes.count(200) >= len(byes) * 0.95, f"too few BYEs were answered: {collections.Counter(byes)}; {about}")


@scenario(seconds=80, drivers=DRIVERS)
def loss_10_percent(scene):
    """150 calls, 10 % of datagrams lost on each way, 5 % repeated, 10 % out of order."""
    lossy_calls(scene, 10)


@scenario(seconds=80)
def loss_20_percent(scene):
    """150 calls, 20 % of datagrams lost on each way, 5 % repeated, 10 % out of order."""
    lossy_calls(scene, 20)


@scenario(seconds=80, drivers=DRIVERS)
def loss_30_percent(scene):
    """150 calls, 30 % of datagrams lost on each way, 5 % repeated, 10 % out of order."""
    lossy_calls(scene, 30)


@scenario(programs=("sipp",), seconds=40)
def lost_acks(scene):
    """The gateway loses three of ten ACKs and sends its 200 again: the caller hears it again and acknowledges again."""
    gateway = scene.gateway(scenario="uas_ignores_acks")
    proxy = scene.tandem(gateway.address)
    scene.caller(proxy.address, calls=100, rate=50, scenario="uac_route_set", words=("-d", "6000")).finish(25)
    gateway.wait_calls(100)
    expect(gateway.count("Retransmissions") > 10, f"only {gateway.count('Retransmissions')} retransmissions: nothing was lost")


@scenario(programs=("sipp",), seconds=60)
def sipp_with_loss(scene):
    """sipp losing 10 % of what it sends and gets, at both ends: its own retransmissions carry every call through."""
    gateway = scene.gateway(scenario="uas_route_set", words=("-lost", "10"))
    proxy = scene.tandem(gateway.address)
    # WHY calls of 4 s: a gateway that misses the ACK takes no BYE; it hears the ACK anew after each of its 200s (T1, 2 T1, ...).
    words = ("-lost", "10", "-d", "4000", "-max_invite_retrans", "7", "-max_non_invite_retrans", "10")
    scene.caller(proxy.address, calls=100, rate=50, scenario="uac_route_set", words=words).finish(50, successful=95)
