"""Start and end: SIGTERM under load, a second one, kill -9 with calls established, a second Tandem, a control client that hangs."""

import os
import signal
import socket
import time

from harness import sip
from harness.call import Call
from harness.endpoint import answers_calls
from harness.processes import wait_until
from harness.registry import DRIVERS, expect, scenario


@scenario(drivers=DRIVERS)
def start_says_what_it_does(scene):
    """Up in well under a second; a few lines say listener, shards, driver and gateways."""
    tandem = scene.tandem(scene.gateway_address(1), scene.gateway_address(2), shards=1)
    expect(tandem.up_after < 1, f"up after {tandem.up_after:.2f} s")
    text = wait_until(lambda: tandem.output() if tandem.output().count("\n") >= 2 else None, 2, "a few lines")
    expect(len(text.splitlines()) < 15, f"{len(text.splitlines())} lines:\n{text}")
    driver = scene.scenario.driver
    for word in (sip.hostport(tandem.address), driver, "shard", sip.hostport(scene.gateway_address(1))):
        expect(word in text, f"{word} is missing:\n{text}")


@scenario(programs=("sipp",), seconds=60, drivers=DRIVERS)
def sigterm_under_load(scene):
    """SIGTERM under load: open transactions finish, new calls get 503, exit 0 within drain_seconds."""
    scene.gateway()
    tandem = scene.tandem(scene.gateway_address(), tables={"drain_seconds": 8})
    caller = scene.caller(tandem.address, calls=3_000, rate=150)
    caller.wait_created(450, 10)
    code, took = tandem.terminate()
    expect(code == 0, f"exit {code}: {tandem.output()[-1500:]}")
    expect(took <= 9, f"it took {took:.1f} s of 8 s")
    before = caller.numbers()
    good = before.get("SuccessfulCall", 0)
    expect(good >= 440, f"{good} calls had gone well before SIGTERM")
    caller.stop()
    numbers = caller.numbers()
    expect(numbers.get("FailedCallRejected", 0) + numbers.get("FailedUnexpectedMessage", 0) > 0, f"no call was refused: {numbers}")


@scenario()
def sigterm_waits_for_a_ringing_call(scene):
    """After SIGTERM a call that rings may still be answered, and its transaction ends well; then exit 0."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    tandem = scene.tandem(gateway.address, tables={"drain_seconds": 6, "timers": {"t1": "50ms", "t4": "200ms"}})
    call = Call(caller, tandem.address)
    call.invite()
    invite = gateway.expect("INVITE")
    gateway.reply(invite, 180)
    call.expect(180)
    tandem.signal(signal.SIGTERM)
    time.sleep(0.5)
    late = Call(caller, tandem.address)
    late.invite()
    late.ack_failure(late.expect(503))
    gateway.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack()
    gateway.expect("ACK")
    expect(tandem.wait(8) == 0, f"exit {tandem.child.returncode}: {tandem.output()[-800:]}")


@scenario()
def second_sigterm(scene):
    """A second SIGTERM ends at once, whatever is open."""
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    tandem = scene.tandem(gateway.address)
    call = Call(caller, tandem.address)
    call.invite()
    gateway.reply(gateway.expect("INVITE"), 180)
    call.expect(180)
    tandem.signal(signal.SIGTERM)
    time.sleep(1)
    expect(tandem.running(), "SIGTERM did not wait for the call that rings")
    asked = time.monotonic()
    tandem.signal(signal.SIGTERM)
    tandem.wait(3)
    expect(time.monotonic() - asked < 1, f"the second SIGTERM took {time.monotonic() - asked:.1f} s")


@scenario(drivers=DRIVERS)
def idle_end_is_quick(scene):
    """SIGTERM without anything open ends within a second, and the listener's port is free at once."""
    tandem = scene.tandem(scene.gateway_address(), tables={"probe": "off"})
    code, took = tandem.terminate()
    expect(code == 0 and took < 1, f"exit {code} after {took:.1f} s")
    expect(not tandem.socket.exists(), "the control socket was left behind")
    with scene.beside_tandem(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(tandem.address)


@scenario(drivers=DRIVERS, across=True)
def kill_and_restart(scene):
    """kill -9 with calls established, restart: their in-dialog requests pass, from both sides, by Record-Route alone.

    Half of the calls were answered with the Contact of a host that no table names: it is reached too, by requests of
    its own call alone.
    """
    caller, gateway = scene.endpoint(scene.caller_address()), scene.endpoint(scene.gateway_address())
    behind = scene.endpoint((scene.ip(77), 5066))
    tandem = scene.tandem(gateway.address)
    calls = []
    for number in range(20):
        call = Call(caller, tandem.address)
        call.invite()
        invite = gateway.expect("INVITE")
        call.answered_by = behind if number % 4 > 1 else gateway
        call.asked_route = invite.message.all("record-route")
        gateway.reply(invite, 200, body=sip.SDP, contact=call.answered_by.address)
        call.expect(200)
        call.ack()
        call.answered_by.expect("ACK")
        calls.append(call)
    os.kill(tandem.pid, signal.SIGKILL)
    tandem.wait(2)
    again = scene.tandem(tree=tandem.tree, name="again")
    for number, call in enumerate(calls):
        if number % 2:
            honest, call.remote_target = call.remote_target, f"sip:somewhere@{scene.ip(78)}:5066"
            call.bye()
            call.expect(403, "BYE")
            call.remote_target = honest
            call.bye()
            call.answered_by.reply(call.answered_by.expect("BYE"), 200)
            call.expect(200, "BYE")
        else:
            back = sip.request(
                "BYE", f"sip:caller@{sip.hostport(caller.address)}", gateway.address, to=f"sip:caller@{scene.ip(101)}",
                call_id=call.call_id, from_tag=call.to_tag, to_tag=call.from_tag, route=call.asked_route, contact=False,
            )
            gateway.send(back, again.address)
            caller.reply(caller.expect("BYE"), 200)
            gateway.expect("BYE", 200)


@scenario(here="bypass-killed does it across a link")
def second_tandem_refused(scene):
    """A second Tandem on an address already served ends with a clear message; the first keeps every packet."""
    gateway = scene.answering(scene.gateway_address(), answers_calls())
    tandem = scene.tandem(gateway.address)
    second_tree = scene.tree([gateway.address])
    second_tree["control"]["socket"] = str(scene.folder / "second.sock")
    second_tree["state"]["dir"] = str(scene.folder / "second-state")
    second = scene.tandem(tree=second_tree, name="second", ready=False)
    began = time.monotonic()
    code = second.wait(5)
    expect(code not in (0, None) and code > 0, f"the second ended with {code}")
    expect(time.monotonic() - began < 3, "it took longer than the retries of 500 ms explain")
    expect(sip.hostport(tandem.address) in second.output(), f"the address is not named: {second.output()}")
    expect("panicked" not in second.output(), second.output())
    caller = scene.endpoint(scene.caller_address())
    for _ in range(20):
        call = Call(caller, tandem.address)
        call.invite()
        call.expect(200, skip=(180,), within=0.5)
        call.ack()


@scenario()
def busy_port_is_retried(scene):
    """A port that is busy for a moment (a predecessor on its way out) is tried again for 500 ms."""
    with scene.beside_tandem():
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        holder.bind((scene.ip(1), 5060))
    tandem = scene.tandem(scene.gateway_address(), ready=False)
    time.sleep(0.25)
    holder.close()
    tandem.wait_ready(2)


@scenario()
def control_clients_that_hang(scene):
    """Control clients that connect and say nothing, half a line, or never read do no harm to calls or other clients."""
    gateway = scene.answering(scene.gateway_address(), answers_calls())
    tandem = scene.tandem(gateway.address)
    hanging = []
    for said in (b"", b'{"jsonrpc":"2.0","method":"st', b'{"jsonrpc":"2.0","id":1,"method":"stats","params":{}}\n' * 500):
        for _ in range(3):
            client = scene.keep(socket.socket(socket.AF_UNIX))
            client.connect(str(tandem.socket))
            client.setblocking(False)
            try:
                client.send(said)
            except BlockingIOError:
                pass
            hanging.append(client)
    caller = scene.endpoint(scene.caller_address())
    for _ in range(20):
        call = Call(caller, tandem.address)
        call.invite()
        call.expect(200, skip=(180,), within=0.5)
        call.ack()
    expect(tandem.ask("stats")["shards"] == 1, "`tandem stats` beside clients that hang")
    tandem.must_live()


@scenario()
def control_socket_is_the_owners(scene):
    """The control socket is for its owner alone, and garbage on it draws a JSON-RPC error."""
    tandem = scene.tandem(scene.gateway_address())
    mode = tandem.socket.stat().st_mode & 0o777
    expect(mode == 0o600, f"mode {mode:o}")
    reply = tandem.connection().line(b"not json\n")
    expect(reply["error"]["code"] == -32700, f"{reply}")
    reply = tandem.connection().call("no.such.method")
    expect(reply["error"]["code"] == -32601, f"{reply}")
