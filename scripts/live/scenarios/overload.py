"""A shard that is behind: it turns new calls away at once and carries to its end what was begun."""

import signal
import time

from harness.registry import DRIVERS, expect, scenario

CALLS, RATE = 600, 200
# Longer than `wait_max`, shorter than the 500 ms after which a caller sends its INVITE again.
STANDS_STILL = 0.3


@scenario(programs=("sipp",), seconds=30, drivers=DRIVERS, across=True)
def behind_turns_new_calls_away(scene):
    """Tandem stands still for 0.3 s at 200 calls/s: what came meanwhile gets 503, every call that was begun completes."""
    gateway = scene.gateway(scenario="uas_route_set")
    proxy = scene.tandem(gateway.address)
    caller = scene.caller(proxy.address, calls=CALLS, rate=RATE, scenario="uac_route_set", words=("-d", "1000"))
    caller.wait_created(RATE, 10)
    proxy.signal(signal.SIGSTOP)
    time.sleep(STANDS_STILL)
    proxy.signal(signal.SIGCONT)
    caller.wait(25)
    numbers = caller.numbers()
    turned_away = numbers.get("FailedUnexpectedMessage", 0)
    counted = proxy.figure("tandem_rejected_total", reason="overload")
    expect(0 < turned_away <= counted, f"{turned_away} calls were turned away, {counted} counted; {numbers}\n{caller.trouble()}")
    expect(turned_away < CALLS / 2, f"{turned_away} of {CALLS} turned away for 0.3 s; {numbers}")
    expect("received 'SIP/2.0 503" in caller.trouble(), f"turned away otherwise: {caller.trouble()}")
    expect(numbers.get("SuccessfulCall", 0) == CALLS - turned_away, f"calls that were begun failed: {numbers}\n{caller.trouble()}")
