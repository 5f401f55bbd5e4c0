"""Phones register and are reached: restarts, kills under load, a full disk, what operators see, real clients."""

import contextlib
import os
import signal
import subprocess

from harness import sip
from harness.call import Call
from harness.digest import Phone as DigestPhone
from harness.phone import Phone as HousePhone
from harness.processes import run, wait_until
from harness.registrant import DOMAIN, Crowd, Phone, all_are_there
from harness.registry import DRIVERS, expect, scenario


def domain(**more):
    """`[[domain]]` without accounts: whoever is on loopback registers whom he likes."""
    expires = {"default": "600s", "min": "2s", "max": "3600s", "jitter_percent": 0}
    return {"domain": [{"name": DOMAIN, "expires": expires, **more}]}


def registrar(scene, shards=2, tables=None, **more):
    """Tandem with the domain, and a set for what is not registered here."""
    tables = {**domain(**more), **(tables or {})}
    tree = scene.tree([scene.gateway_address()], shards=shards, tables=tables, request_uri="keep")
    return scene.tandem(tree=tree), tree


def again(scene, tandem, tree):
    """Killed, and started again on the same state."""
    tandem.signal(signal.SIGKILL)
    tandem.wait(5)
    return scene.tandem(tree=tree, name=f"tandem-{sip.token(4)}")


def call_to(caller, user, proxy):
    """A call of `caller` to a user of the domain, not begun yet."""
    dialog = Call(caller, proxy)
    dialog.uri = dialog.remote_target = f"sip:{user}@{DOMAIN}"
    return dialog


def call(caller, callee, user, proxy):
    """`caller` calls `user`, whose phone is `callee`; answered and ended."""
    dialog = call_to(caller, user, proxy)
    dialog.invite()
    invite = callee.expect("INVITE", call_id=dialog.call_id)
    callee.reply(invite, 200, body=sip.SDP)
    dialog.expect(200)
    dialog.ack()
    callee.expect("ACK", call_id=dialog.call_id)
    dialog.request("BYE")
    callee.reply(callee.expect("BYE", call_id=dialog.call_id), 200)
    dialog.expect(200, "BYE")


@scenario(drivers=DRIVERS)
def phones_call_each_other_over_a_kill(scene):
    """Twenty phones on two shards register, call each other, Tandem is killed, and the call after it works."""
    tandem, tree = registrar(scene)
    caller = scene.endpoint(scene.caller_address())
    phones = [Phone(scene.endpoint((scene.ip(20), 6000 + number)), f"p{number}", tandem.address) for number in range(20)]
    for phone in phones:
        answer = phone.register()
        expect("expires=600" in answer.get("contact"), answer.get("contact"))
    for phone in phones[:6]:
        call(caller, phone.endpoint, phone.user, tandem.address)
    tandem = again(scene, tandem, tree)
    expect(tandem.up_after < 1, f"up after {tandem.up_after:.2f} s")
    for phone in phones[:6]:
        call(caller, phone.endpoint, phone.user, tandem.address)
    rows = tandem.ask("registrations")
    expect(len(rows) == 20, f"{len(rows)} of 20 are listed")
    counts = tandem.ask("registrations", "--count", "domain")
    expect(counts == [{"kind": DOMAIN, "count": 20}], f"{counts}")
    code, out, _ = tandem.control("registrations", "p3")
    expect(code == 0 and phones[3].call_id in out, f"in detail: {out}")
    expect(len(tandem.ask("registrations", "--prefix", "p1")) == 11, "by prefix")
    removed = tandem.ask("registrations", "remove", f"p3@{DOMAIN}")
    expect(removed["removed"] == 1, f"{removed}")
    lost = call_to(caller, "p3", tandem.address)
    lost.invite()
    lost.ack_failure(lost.expect(404))


@scenario(across=True)
def contacts_fork_by_q_and_media_takes_the_rest(scene):
    """The contact of the highest q rings first, the next when it refuses; who is not registered is the media set's."""
    media = scene.endpoint(scene.gateway_address())
    tandem, _ = registrar(scene, media="carriers")
    caller = scene.endpoint(scene.caller_address())
    desk, mobile = scene.endpoint((scene.ip(20), 6000)), scene.endpoint((scene.ip(20), 6001))
    phone = Phone(desk, "alice", tandem.address)
    second = f"<sip:alice@{sip.hostport(mobile.address)}>;q=0.3"
    phone.register(contact=f"{phone.contact};q=0.9, {second}")
    dialog = call_to(caller, "alice", tandem.address)
    dialog.invite()
    desk.reply(desk.expect("INVITE"), 486)
    desk.expect("ACK")
    mobile.reply(mobile.expect("INVITE"), 200, body=sip.SDP)
    dialog.expect(200)
    dialog.ack()
    mobile.expect("ACK")
    number = call_to(caller, "+442079460000", tandem.address)
    number.invite()
    invite = media.expect("INVITE", call_id=number.call_id)
    expect(f"+442079460000@{DOMAIN}" in invite.message.request_uri, invite.message.request_uri)
    media.reply(invite, 404)
    number.ack_failure(number.expect(404))


@scenario(seconds=40)
def kills_under_register_load_lose_nothing(scene):
    """kill -9 again and again while hundreds of phones register: each that was answered is there afterwards."""
    tandem, tree = registrar(scene)
    for _ in range(int(os.environ.get("KILLS", "4"))):
        crowd = scene.keep(Crowd((scene.ip(30), 0), tandem.address, users=400).start())
        wait_until(lambda: len(crowd.acknowledged) >= 300, 5, lambda: f"300 phones registered: {crowd.statuses}")
        tandem.signal(signal.SIGKILL)
        tandem.wait(5)
        acknowledged = dict(crowd.acknowledged)
        crowd.stop()
        tandem = scene.tandem(tree=tree, name=f"tandem-{sip.token(4)}")
        all_are_there(tandem, acknowledged)


@scenario(root=True, programs=("mount",))
def a_full_disk_refuses_registers_and_carries_calls(scene):
    """The disk is full: REGISTER gets 503, calls go on, metrics say so; with room again phones register."""
    state = scene.folder / "small-disk"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", state], check=True)
    scene.ending.callback(lambda: subprocess.run(["umount", "-l", state], check=False))
    tree = scene.tree([scene.gateway_address()], tables={**domain(), "state": {"dir": str(state)}})
    gateway = scene.endpoint(scene.gateway_address())
    tandem = scene.tandem(tree=tree)
    caller = scene.endpoint(scene.caller_address())
    phone = Phone(scene.endpoint((scene.ip(20), 6000)), "alice", tandem.address)
    phone.register()
    ballast = state / "ballast"
    with ballast.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
    crowd = scene.keep(Crowd((scene.ip(30), 0), tandem.address, users=500).start())
    wait_until(lambda: crowd.statuses.get(503, 0) > 10, 8, lambda: f"503 to REGISTER: {crowd.statuses}")
    expect(tandem.figure("tandem_journal_broken") == 1, "the metric says that the journal is broken")
    call(caller, phone.endpoint, "alice", tandem.address)
    dialog = Call(caller, tandem.address)
    dialog.invite()
    gateway.reply(gateway.expect("INVITE"), 486)
    dialog.ack_failure(dialog.expect(486))
    crowd.stop()
    ballast.unlink()
    wait_until(lambda: tandem.figure("tandem_journal_broken") == 0, 5, "the journal works again")
    phone.register()
    tandem = again(scene, tandem, tree)
    all_are_there(tandem, {**crowd.acknowledged, "alice": phone.cseq})


@scenario(programs=("sipsak", "sipp"))
def real_clients_register(scene):
    """sipsak and sipp register as they do; bindings end when they said, and a torn journal is cut and said."""
    tandem, tree = registrar(scene, shards=1, aliases=[scene.ip(1)])
    code, out, err = run(["sipsak", "-U", "-C", f"sip:saky@{scene.ip(40)}:5080", "-x", "3", "-s", f"sip:saky@{sip.hostport(tandem.address)}",
                          "-i"], 5)
    expect(code == 0, f"sipsak ended with {code}: {out}{err}")
    expect([row["user"] for row in tandem.ask("registrations")] == ["saky"], "sipsak is registered")
    sipp = scene.caller(tandem.address, calls=50, rate=100, scenario="uac_registers")
    sipp.finish(10, successful=50)
    expect(tandem.figure("tandem_bindings") == 51, f"{tandem.figure('tandem_bindings')} bindings")
    tandem.signal(signal.SIGKILL)
    tandem.wait(5)
    newest = sorted((scene.folder / "state" / "registrations").iterdir())[-1]
    with newest.open("ab") as file:
        file.write(b"TDJF half a frame")
    tandem = scene.tandem(tree=tree, name="tandem-torn")
    wait_until(lambda: "unfinished write" in tandem.output(), 3, lambda: f"a word of the cut: {tandem.output()}")
    wait_until(lambda: tandem.figure("tandem_bindings") == 50, 20, "sipsak's binding ends 10 s after its 3 s")
    tandem.signal(signal.SIGKILL)
    tandem.wait(5)
    damaged = bytearray(newest.read_bytes())
    damaged[60] ^= 1
    newest.write_bytes(damaged)
    broken = scene.tandem(tree=tree, name="tandem-damaged", ready=False)
    code = broken.wait(5)
    expect(code != 0 and "move the folder away" in broken.output(), f"exit {code}: {broken.output()}")


@scenario()
def the_first_domain_comes_by_a_reload(scene):
    """A reload brings domain, accounts and passwords, another takes them away; kill -9 between: bindings hold, and so does
    the protection of the address behind which one is registered."""
    accounts = scene.folder / "accounts.toml"
    accounts.write_text('[[account]]\nuser = "alice"\npassword = "wonderland"\n')
    plain = scene.tree([scene.gateway_address()], shards=2, request_uri="keep")
    with_phones = {**plain, **domain(accounts={"file": str(accounts)}), "registrar": {"users_per_shard": 1000},
                   "authentication": {"address_failures": 3, "user_failures": 4}}
    tandem = scene.tandem(tree=plain)
    caller = scene.endpoint(scene.caller_address())
    alice = scene.keep(HousePhone((scene.ip(20), 6000), "alice", DOMAIN, tandem.address, "wonderland"))
    gateway = scene.endpoint(scene.gateway_address())
    before = call_to(caller, "alice", tandem.address)
    before.invite()
    gateway.reply(gateway.expect("INVITE"), 486)
    before.ack_failure(before.expect(486))

    code, out, err = tandem.reload(with_phones)
    expect(code == 0 and "restart" not in out + err, f"{code}: {out}{err}")
    alice.register()
    call(caller, alice, "alice", tandem.address)
    tandem = again(scene, tandem, with_phones)

    # Guesses from alice's address, before she is heard of again: the address is not shut out.
    thief = scene.endpoint((scene.ip(20), 6001))
    for number in range(12):
        guess = DigestPhone(thief, tandem.address, f"user{number}", "guess")
        expect((guess.once(), guess.once()) == (401, 401), f"guess {number}")
    # Nor is she herself, where she is registered, though somebody beside her is for guessing her password.
    guess = DigestPhone(thief, tandem.address, "alice", "guess")
    expect(None in [guess.once(within=0.5) for _ in range(8)], "who guesses is not shut out")
    elsewhere = scene.endpoint((scene.ip(21), 6001))
    guesses = (DigestPhone(elsewhere, tandem.address, f"user{number}", "guess") for number in range(20))
    # Each shard counts the failures of its users.
    expect(any((guess.once(within=0.5), guess.once(within=0.5))[1] is None for guess in guesses), "an address of nobody is not shut out")
    alice.register()
    call(caller, alice, "alice", tandem.address)

    expect(tandem.reload(plain)[0] == 0, "the last domain goes")
    expect(tandem.figure("tandem_bindings") == 1, "the binding ends by its time")
    expect(tandem.reload(with_phones)[0] == 0, "and comes back")
    call(caller, alice, "alice", tandem.address)
    tandem.must_live()
