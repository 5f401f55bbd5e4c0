"""What a set does with many calls: shares, a gateway that dies silently and comes back, one address over two shards."""

import re
import time

from harness import config, sipp
from harness.capture import Capture
from harness.registry import DRIVERS, expect, scenario

CALL_ID = re.compile(rb"\r\n(?:Call-ID|i)\s*:\s*([^\r\n]+)", re.IGNORECASE)
BRANCH = re.compile(rb"\r\n(?:Via|v)\s*:[^\r\n]*?branch=([^;,\s\r\n]+)", re.IGNORECASE)


@scenario(alone=True, programs=("sipp",), seconds=60)
def shares_70_30(scene):
    """10,000 calls at 70/30, with every default: each share within 1 % of the calls."""
    heavy, light = (scene.gateway(number, "uas_route_set") for number in (1, 2))
    proxy = scene.tandem(
        config.gateway(heavy.address, weight=70), config.gateway(light.address, weight=30), small=False,
    )
    scene.caller(proxy.address, calls=10_000, rate=700, scenario="uac_route_set").finish(40)
    light.wait_calls(2_900)
    counts = (heavy.wait_calls(6_900), light.wait_calls(2_900))
    time.sleep(1.1)
    counts = (heavy.calls(), light.calls())
    expect(sum(counts) == 10_000, f"{sum(counts)} calls arrived of 10,000")
    expect(abs(counts[0] - 7_000) <= 100, f"shares are {counts[0]} and {counts[1]}")


@scenario(programs=("sipp",))
def shares_exact_over_hundred(scene):
    """The smooth weighted algorithm is exact over any 100 calls of a shard."""
    gateways = [scene.gateway(number, "uas_route_set") for number in (1, 2, 3)]
    weights = (50, 30, 20)
    proxy = scene.tandem(*[config.gateway(one.address, weight=weight) for one, weight in zip(gateways, weights)])
    scene.caller(proxy.address, calls=100, rate=100, scenario="uac_route_set").finish(10)
    counts = tuple(one.wait_calls(weight) for one, weight in zip(gateways, weights))
    expect(counts == weights, f"100 calls went {counts} by weights {weights}")


class Outage:
    """What the wire showed of one gateway's death: first transmissions of INVITEs, by gateway and time."""

    def __init__(self, packets, gateways):
        self.first = {}
        self.answered = set()
        self.asked = set()
        for seen in packets:
            call_id = CALL_ID.search(seen.data)
            if seen.data.startswith(b"INVITE "):
                branch = BRANCH.search(seen.data)[1]
                if seen.target in gateways:
                    self.first.setdefault(branch, (seen.at, seen.target, call_id[1]))
                else:
                    self.asked.add(call_id[1])
            elif seen.data.startswith(b"SIP/2.0 200") and b" INVITE\r\n" in seen.data and seen.source not in gateways:
                self.answered.add(call_id[1])

    def attempts(self, gateway, after=0.0, before=float("inf")):
        return sorted((at, call) for at, target, call in self.first.values() if target == gateway and after <= at < before)

    def next_attempt(self, call, after, gateway):
        """When this call was sent to another gateway, or None."""
        times = [at for at, target, other in self.first.values() if other == call and target != gateway and at >= after]
        return min(times, default=None)


@scenario(alone=True, root=True, programs=("sipp", "ip", "nft"), seconds=60, drivers=DRIVERS)
def silent_death(scene):
    """One of five gateways dies without a word under load, its calls move within 2 s, and traffic comes back by itself."""
    there = scene.far_host()
    local = (there.near(), 5060)
    gateways = [
        scene.keep(sipp.Gateway(scene.folder, f"gateway-{number}", (there.far(number), 5060), "uas_route_set", prefix=there.prefix()))
        for number in range(1, 6)
    ]
    addresses = [gateway.address for gateway in gateways]
    dead = addresses[2]
    wire = scene.keep(Capture(there.tap()))
    tandem = scene.tandem(*addresses, listen=[local], small=False, tables={"sources": ["any"]})
    caller = scene.keep(sipp.Caller(
        scene.folder, "caller-1", (there.far(8), 5060), tandem.address, 4_400, 200, "uac_route_set",
        ["-default_behaviors", "all,-bye"], there.prefix(),
    ))
    time.sleep(4)
    there.silence(dead[0])
    died = time.monotonic()
    time.sleep(8)
    there.hear()
    returned = time.monotonic()
    caller.wait(30)
    time.sleep(0.3)
    outage = Outage(list(wire.packets), set(addresses))

    # What is sent there shortly before its return is answered by itself after all.
    lost = outage.attempts(dead, died + 0.01, returned - 2.1)
    for at, call in lost:
        moved = outage.next_attempt(call, at, dead)
        expect(moved is not None and moved - at <= 2.1, f"call {call} moved after {moved and moved - at} s")
    early = [at for at, _ in lost if at <= died + 2.1]
    late = [at for at, _ in lost if at > died + 2.1]
    # 3 timeouts or 2 s, then no call but the few of the half-open breaker.
    expect(len(late) <= 6, f"{len(late)} new calls went to the dead gateway later than 2.1 s after its death ({len(early)} before)")

    others = [address for address in addresses if address != dead]
    counts = [len(outage.attempts(address, died + 2.5, returned)) for address in others]
    mean = sum(counts) / len(counts)
    expect(mean > 100, f"too few calls to judge: {counts}")
    expect(all(abs(count - mean) <= mean * 0.05 for count in counts), f"the others' shares are uneven: {counts}")

    asked, answered = len(outage.asked), len(outage.asked & outage.answered)
    expect(answered >= asked * 0.999, f"{answered} of {asked} call attempts were answered")
    end = max(at for at, _, _ in outage.first.values())
    share = len(outage.attempts(dead, end - 3)) / sum(len(outage.attempts(address, end - 3)) for address in addresses)
    expect(share > 0.15, f"{returned - died:.0f} s of silence; at the end the gateway has {share:.0%} of the calls again, not 20 %")


def one_address(scene, steering):
    """Calls from one address and port over two shards, which must be busy alike; the share that was handed over."""
    gateway = scene.gateway()
    tandem = scene.tandem(gateway.address, shards=2, tables={"shards": {"steering": steering}})
    scene.caller(tandem.address, calls=2_000, rate=400).finish(20)
    busy = tandem.shard_busy()
    expect(len(busy) == 2, f"`tandem stats` shows {len(busy)} shards")
    # One of them may receive everything from this address and hand half of it over: alike, not equal.
    expect(min(busy) > 0.3 * sum(busy), f"seconds that the shards worked: {busy}")
    received = tandem.figure("tandem_datagrams_total", direction="in")
    return tandem.figure("tandem_hand_overs_total", direction="out") / received


@scenario(programs=("sipp",), seconds=30, drivers=DRIVERS)
def one_address_two_shards(scene):
    """All calls come from one address and port, and two shards are busy alike."""
    share = one_address(scene, "hash")
    expect(0.3 < share < 0.7, f"{share:.0%} of the datagrams were handed over, not half")


@scenario(root=True, programs=("sipp",), seconds=30, drivers=DRIVERS, here="it is the kernel's sockets that are steered")
def one_address_two_shards_steered(scene):
    """The kernel finds each message's owner: two shards are busy alike, and hand over next to nothing."""
    share = one_address(scene, "owner")
    expect(share < 0.01, f"{share:.0%} of the datagrams were handed over")


@scenario(programs=("sipp",))
def overflow_set(scene):
    """A set whose gateways are all down or refuse passes its calls to the set that `overflow` names."""
    second = scene.gateway(2)
    sets = [
        config.gateway_set("first", [scene.gateway_address(1)], overflow="second"),
        config.gateway_set("second", [second.address]),
    ]
    tandem = scene.tandem(sets=sets, tables={"route": [{"set": "first"}]})
    scene.caller(tandem.address, calls=100, rate=50).finish(10)
    second.wait_calls(100)


@scenario(programs=("sipp",))
def routes_by_prefix_and_source(scene):
    """Number prefix and source group pick the set, first match; no match is 404."""
    german, rest = scene.gateway(1), scene.gateway(2)
    sets = [config.gateway_set("german", [german.address]), config.gateway_set("rest", [rest.address])]
    tandem = scene.tandem(sets=sets, tables={
        "source": [
            {"name": "known", "prefixes": [f"{scene.ip(101)}/32", f"{scene.ip(102)}/32"]},
            {"name": "other", "prefixes": [f"{scene.ip(103)}/32"]},
        ],
        "route": [{"prefix": "49", "set": "german"}, {"source": "known", "set": "rest"}],
    })
    scene.caller(tandem.address, calls=30, rate=30, number=1, words=("-s", "+4930123")).finish(10)
    scene.caller(tandem.address, calls=20, rate=30, number=2, words=("-s", "33123")).finish(10)
    scene.caller(tandem.address, calls=10, rate=30, number=3, scenario="uac_not_found", words=("-s", "33123")).finish(10)
    expect(german.wait_calls(30) == 30 and rest.wait_calls(20) == 20, f"{german.calls()} and {rest.calls()} calls")
