"""Phones that register: behind NAT, with lamps and messages, with a registrar behind us, and baresip as it is."""

import os
import signal
import threading
import time

from harness import sip
from harness.baresip import Baresip
from harness.call import Call
from harness.kamailio import Kamailio
from harness.linphone import Linphone
from harness.nat import Home
from harness.phone import Phone
from harness.registry import DRIVERS, expect, scenario

DOMAIN = "example.com"


def tables(media, **domain):
    """A domain whose media set is at `media`; anybody may register, so that what is proven is where things go."""
    return {
        "sources": ["any"],
        "domain": [{"name": DOMAIN, "media": "media", **domain}],
        "set": [{"name": "media", "request_uri": "keep", "probe": "off",
                 "gateways": [{"uri": f"sip:{sip.hostport(media)}"}]}],
        "registrar": {"users_per_shard": 1000, "keep_alive": {"interval": "5s"}},
    }


def server_call(server, proxy, user):
    """A media server's call to a user of the domain."""
    call = Call(server, proxy)
    call.uri = call.remote_target = f"sip:{user}@{DOMAIN}"
    return call


def answered(call, phone, **more):
    """The call is put up; the INVITE as the callee saw it."""
    call.invite()
    invite = phone.expect("INVITE")
    phone.reply(invite, 180, **more)
    call.expect(180)
    phone.reply(invite, 200, body=sip.SDP, **more)
    call.expect(200)
    call.ack()
    phone.expect("ACK")
    return invite


def from_callee(method, call, callee, route, cseq=1):
    """A request of the called side, along the Record-Route of its INVITE."""
    return sip.request(
        method, f"sip:caller@{sip.hostport(call.endpoint.address)}", callee.address, to=call.uri, call_id=call.call_id,
        from_tag=call.to_tag, to_tag=call.from_tag, route=route, cseq=cseq, contact=method != "BYE",
    )


@scenario(root=True, programs=("ip", "nft"), seconds=30, here="has a router and a link of its own")
def phone_behind_nat(scene):
    """A phone behind a masquerading router: called and hung up, by both sides, over kill -9 and restart; kept alive.

    Its Contact stays as it wrote it, an address that nobody outside can reach.
    """
    home = scene.keep(Home())
    listen = (home.near(), 5060)
    server = scene.endpoint((home.near(), 5070))
    tandem = scene.tandem(listen=[listen], tables=tables(server.address))
    with home.entered():
        phone = scene.keep(Phone((home.address(), 5060), "alice", DOMAIN, listen))
    phone.register()

    inbound = server_call(server, listen, "alice")
    invite = answered(inbound, phone, contact=phone.address)
    expect(invite.message.request_uri == phone.contact(), f"the INVITE was for {invite.message.request_uri}")
    expect(sip.address_of(inbound.remote_target) == phone.address, f"its Contact became {inbound.remote_target}")
    outbound = phone.call("4930123")
    asked = answered(outbound, server).message
    expect(sip.address_of(asked.get("contact")) == phone.address, f"its Contact became {asked.get('contact')}")

    os.kill(tandem.pid, signal.SIGKILL)
    tandem.wait(2)
    again = scene.tandem(tree=tandem.tree, name="again")

    # The server hangs up on the call that it made, and asks the phone again on the one that the phone made.
    inbound.bye()
    phone.reply(phone.expect("BYE"), 200)
    inbound.expect(200, "BYE")
    route = asked.all("record-route")
    again_invite = from_callee("INVITE", outbound, server, route)
    server.send(again_invite, listen)
    phone.reply(phone.expect("INVITE"), 200, body=sip.SDP, contact=phone.address)
    server.expect("INVITE", 200)
    server.send(from_callee("ACK", outbound, server, route), listen)
    phone.expect("ACK")
    outbound.bye()
    server.reply(server.expect("BYE"), 200)
    outbound.expect(200, "BYE")
    # The binding is still there, and the router's hole is kept open.
    third = server_call(server, listen, "alice")
    answered(third, phone, contact=phone.address)
    phone.expect_nothing(6)
    expect(phone.probed > 0, "no keep-alive came in 6 s, at one every 5")
    third.bye()
    phone.reply(phone.expect("BYE"), 200)
    third.expect(200, "BYE")
    again.must_live()


@scenario(drivers=DRIVERS)
def lamps_and_messages(scene):
    """SUBSCRIBE, PUBLISH and MESSAGE of phones reach the media server; NOTIFY, MESSAGE and OPTIONS come back; pings."""
    server = scene.endpoint(scene.gateway_address(), probes=False)
    listen = (scene.ip(1), 5060)
    scene.tandem(listen=[listen], tables=tables(server.address))
    phone = scene.keep(Phone(scene.caller_address(), "alice", DOMAIN, listen))
    phone.register()

    subscribe = phone.call("alice")
    subscribe.request("SUBSCRIBE", headers=[["Event", "message-summary"], ["Expires", "300"]])
    at_server = server.expect("SUBSCRIBE")
    server.reply(at_server, 200, contact=server.address, headers=[["Expires", "300"]])
    answer = subscribe.expect(200, "SUBSCRIBE").message
    subscribe.to_tag = answer.to_tag
    notify = from_callee("NOTIFY", subscribe, server, at_server.message.all("record-route"))
    notify.headers += [["Event", "message-summary"], ["Subscription-State", "active"]]
    notify.body = b"Messages-Waiting: yes\r\n"
    server.send(notify, listen)
    told = phone.expect("NOTIFY")
    expect(told.message.body == notify.body, f"the NOTIFY says {told.message.body}")
    phone.reply(told, 200)
    server.expect("NOTIFY", 200)

    for method in ("PUBLISH", "MESSAGE"):
        phone.send(sip.request(method, f"sip:bob@{DOMAIN}", phone.address, call_id=method), listen)
        server.reply(server.expect(method), 200)
        phone.expect(method, 200)
    for method in ("NOTIFY", "MESSAGE", "OPTIONS"):
        server.send(sip.request(method, f"sip:alice@{DOMAIN}", server.address, call_id=method), listen)
        if method != "OPTIONS":
            phone.reply(phone.expect(method), 200)
        # The phone answers OPTIONS by itself.
        else:
            phone.expect_nothing(0.3)
        server.expect(method, 200)
    expect(phone.probed == 1, f"{phone.probed} OPTIONS came")

    phone.send(b"\r\n\r\n", listen)
    pong = phone.socket.recv(100)
    expect(pong == b"\r\n", f"a ping drew {pong}")


@scenario(programs=("kamailio",), seconds=30)
def kamailio_as_registrar(scene):
    """REGISTERs pass to Kamailio with our Path; what it grants is kept here too, over kill -9; its calls come along the Path."""
    listen = (scene.ip(1), 5060)
    behind = scene.keep(Kamailio(scene.folder, "behind", [(scene.ip(50), 5060)], "registrar.cfg", {"DOMAIN": f'"{DOMAIN}"'}))
    behind.wait_ready((scene.ip(240), 0))
    peer = scene.endpoint((scene.ip(60), 5060))
    tandem = scene.tandem(listen=[listen], tables={**tables(behind.address, registrar="media"), "sources": [f"{scene.ip(60)}/32"]})
    phone = scene.keep(Phone(scene.caller_address(), "alice", DOMAIN, listen))
    bob = scene.keep(Phone(scene.caller_address(2), "bob", DOMAIN, listen))
    stranger = scene.keep(Phone(scene.caller_address(3), "alice", DOMAIN, listen))
    phone.register()
    bob.register()
    expect(sorted(row["user"] for row in tandem.ask("registrations")) == ["alice", "bob"], "both are known here")
    # They are recognised by their bindings, without a listed source or a proof; nobody else is.
    phone.call("bob").complete(bob)
    stranger.call("bob").invite()
    bob.expect_nothing(0.3)
    # By Kamailio's location, along our Path.
    by_path = Call(peer, behind.address)
    by_path.uri = by_path.remote_target = f"sip:alice@{DOMAIN}"
    by_path.complete(phone)
    # By way of us, who pass the call to it.
    server_call(peer, listen, "alice").complete(phone)
    os.kill(tandem.pid, signal.SIGKILL)
    tandem.wait(2)
    tandem = scene.tandem(tree=tandem.tree, name="again")
    by_path = Call(peer, behind.address)
    by_path.uri = by_path.remote_target = f"sip:alice@{DOMAIN}"
    by_path.complete(phone)
    # Kamailio falls silent: who is known here is still reached.
    behind.stop()
    bob.call("alice").complete(phone)
    server_call(peer, listen, "bob").complete(bob)


@scenario(programs=("baresip",), seconds=40)
def baresip_registers_and_calls(scene):
    """Two baresips register, one calls the other by name, and who is called hangs up."""
    listen = (scene.ip(1), 5060)
    server = scene.endpoint(scene.gateway_address())
    scene.tandem(listen=[listen], tables=tables(server.address))
    alice, bob = (
        scene.keep(Baresip(scene.folder, name, (scene.ip(number), 5060), tone=tone, outbound=listen, domain=DOMAIN))
        for name, number, tone in (("alice", 101, 440), ("bob", 102, 880))
    )
    for one in (alice, bob):
        one.wait_ready()
        one.wait_registered()
    alice.order("dial", f"sip:bob@{DOMAIN}")
    alice.wait_event("CALL_ESTABLISHED", 8)
    bob.wait_event("CALL_ESTABLISHED", 2)
    time.sleep(0.5)
    bob.order("hangup")
    alice.wait_event("CALL_CLOSED", 5)


@scenario(programs=("baresip",))
def phones_with_passwords_call(scene):
    """Phones with passwords call: the media server is told by us who they are, and gets no proof, in no request."""
    server = scene.endpoint(scene.gateway_address())
    passwords = {"alice": "wonderland", "bob": "builder"}
    accounts = scene.folder / "accounts.toml"
    accounts.write_text("".join(f'[[account]]\nuser = "{user}"\npassword = "{password}"\n' for user, password in passwords.items()))
    made = tables(server.address, accounts={"file": str(accounts)})
    del made["sources"]
    listen = (scene.ip(1), 5060)
    tandem = scene.tandem(listen=[listen], tables=made, shards=2)
    alice = scene.keep(Baresip(scene.folder, "alice", (scene.ip(101), 5060), 440, listen, DOMAIN, passwords["alice"]))
    bob = scene.keep(Phone(scene.caller_address(2), "bob", DOMAIN, listen, passwords["bob"]))
    alice.wait_ready()
    alice.wait_registered()
    bob.register()

    # baresip shows its proof in the ACK and in the BYE as well.
    alice.order("dial", f"sip:4930123@{DOMAIN}")
    invite = server.expect("INVITE")
    server.reply(invite, 200, body=sip.SDP)
    seen = [invite, server.expect("ACK")]
    alice.wait_event("CALL_ESTABLISHED", 3)
    alice.order("hangup")
    seen.append(server.expect("BYE"))
    server.reply(seen[-1], 200)
    told_by_us(seen, "alice")

    # Somebody who says to be another.
    call = bob.call("4930124")
    forged = [["P-Asserted-Identity", f"<sip:ceo@{DOMAIN}>"], ["Authorization", 'Digest username="ceo", realm="elsewhere"']]
    call.invite(headers=forged)
    refused = call.expect(407)
    call.ack_failure(refused)
    proof = bob.proof(refused.message, "INVITE", call.uri)
    call.invite(headers=[*forged, proof])
    invite = server.expect("INVITE")
    server.reply(invite, 200, body=sip.SDP)
    call.expect(200)
    call.ack(headers=[*forged, proof])
    seen = [invite, server.expect("ACK")]
    call.bye(headers=forged)
    seen.append(server.expect("BYE"))
    server.reply(seen[-1], 200)
    call.expect(200, "BYE")
    told_by_us(seen, "bob")

    # To another phone, whose user another shard may have; and from the media server, whose word is believed.
    alice.forget_events()
    call = bob.call("alice")
    call.invite()
    refused = call.expect(407)
    call.ack_failure(refused)
    call.invite(headers=[bob.proof(refused.message, "INVITE", call.uri)])
    call.expect(200, skip=(180, 183))
    call.ack()
    call.bye()
    call.expect(200, "BYE")
    said = f"<sip:reception@{DOMAIN}>"
    call = server_call(server, listen, "bob")
    call.invite(headers=[["P-Asserted-Identity", said]])
    invite = bob.expect("INVITE")
    expect(invite.message.all("p-asserted-identity") == [said], f"bob was told {invite.message.all('p-asserted-identity')}")
    bob.reply(invite, 486)
    call.ack_failure(call.expect(486))
    tandem.must_live()


def within(method, server, seen, cseq=1, **more):
    """A request of the side that was called, by the INVITE or SUBSCRIBE that it has `seen`."""
    target = sip.uri_of(seen.get("contact"))
    made = sip.request(method, target, server.address, call_id=seen.call_id, cseq=cseq, route=seen.all("record-route"), **more)
    tag = sip.response(seen, 200, to_tag=TAG).get("to")
    made.headers = [[name, {"From": tag, "To": seen.get("from")}.get(name, value)] for name, value in made.headers]
    return made


TAG = "far"


@scenario(programs=("baresip",))
def a_foreign_from_is_overwritten(scene):
    """The account stands in From for all behind us, the whole dialog long and over kill -9; each side sees its own.

    baresip, whose From names another user than its password, and a scripted phone that looks at every octet.
    """
    server = scene.endpoint(scene.gateway_address())
    accounts = scene.folder / "accounts.toml"
    accounts.write_text("".join(f'[[account]]\nuser = "{user}"\npassword = "{user}-secret"\n' for user in ("alice", "bob")))
    made = tables(server.address, accounts={"file": str(accounts)}, foreign_from="overwrite")
    del made["sources"]
    listen = (scene.ip(1), 5060)
    tandem = scene.tandem(listen=[listen], tables=made, shards=2)
    desk = scene.keep(Baresip(scene.folder, "desk", (scene.ip(101), 5060), 440, listen, DOMAIN, "alice-secret", account="alice"))
    other = scene.keep(Phone(scene.caller_address(2), "ceo", DOMAIN, listen, "bob-secret", account="bob"))
    desk.wait_ready()

    desk.order("dial", f"sip:4930123@{DOMAIN}")
    asked = server.expect("INVITE", within=8)
    server.reply(asked, 180, to_tag=TAG)
    server.reply(asked, 200, to_tag=TAG, body=sip.SDP)
    shown = [asked, server.expect("ACK")]
    desk.wait_event("CALL_ESTABLISHED", 5)

    call = other.call("4930124")
    call.invite()
    refused = call.expect(407)
    call.ack_failure(refused)
    call.invite(headers=[other.proof(refused.message, "INVITE", call.uri)])
    invite = server.expect("INVITE")
    server.reply(invite, 183, to_tag=TAG)
    own = call.sent.get("from")
    expect(call.expect(183).message.get("from") == own, "the caller's own From in a 183")
    server.reply(invite, 200, to_tag=TAG, body=sip.SDP)
    expect(call.expect(200).message.get("from") == own, "the caller's own From in the 200")
    call.ack()
    told = [invite, server.expect("ACK")]

    os.kill(tandem.pid, signal.SIGKILL)
    tandem.wait(2)
    tandem = scene.tandem(tree=tandem.tree, name="again")

    # baresip answers what it takes for its own dialog, and hangs up.
    again = within("INVITE", server, asked.message, body=sip.SDP)
    server.send(again, listen)
    expect(server.expect("INVITE", 200, within=8).message.get("to") == again.get("to"), "the 200 of baresip names another")
    server.send(within("ACK", server, asked.message, contact=False), listen)
    desk.order("hangup")
    shown.append(server.expect("BYE", within=8))
    server.reply(shown[-1], 200)
    desk.wait_event("CALL_CLOSED", 5)

    bye = within("BYE", server, invite.message, contact=False)
    server.send(bye, listen)
    came = other.expect("BYE")
    expect(sip.uri_of(came.message.get("to")) == f"sip:ceo@{DOMAIN}", f"the phone is called {came.message.get('to')}")
    other.reply(came, 200)
    expect(server.expect("BYE", 200).message.get("to") == bye.get("to"), "the 200 of the phone names another")

    # A message is carried so too.
    reply_soon(server, "MESSAGE", told)
    answer = other.ask("MESSAGE", f"sip:4930124@{DOMAIN}", 200)
    expect(sip.uri_of(answer.get("from")) == f"sip:ceo@{DOMAIN}", f"From is {answer.get('from')}")
    for seen, user in ((shown, "alice"), (told, "bob")):
        for packet in seen:
            found = packet.message.get("from")
            expect(sip.uri_of(found) == f"sip:{user}@{DOMAIN}" and found.startswith("<"), f"{packet.message.method}: From is {found}")
    tandem.must_live()


def reply_soon(server, method, seen):
    """Answers the next request of that method in the background, and notes it."""

    def answer():
        seen.append(server.expect(method, within=8))
        server.reply(seen[-1], 200)

    threading.Thread(target=answer, daemon=True).start()


@scenario(programs=("linphone-daemon",), seconds=40, here="linphone chooses its own address")
def linphone_registers_and_calls(scene):
    """linphone proves its password, calls and is called, hangs up and is hung up on."""
    passwords = {"carol": "singer", "dave": "drummer"}
    accounts = scene.folder / "accounts.toml"
    accounts.write_text("".join(f'[[account]]\nuser = "{user}"\npassword = "{password}"\n' for user, password in passwords.items()))
    server = scene.endpoint(scene.gateway_address())
    made = tables(server.address, accounts={"file": str(accounts)})
    del made["sources"]
    listen = (scene.ip(1), 5060)
    tandem = scene.tandem(listen=[listen], tables=made, shards=2)
    carol = scene.keep(Linphone(scene.folder, "carol", listen, DOMAIN, passwords["carol"]))
    dave = scene.keep(Phone(scene.caller_address(), "dave", DOMAIN, listen, passwords["dave"]))
    dave.register()
    carol.wait_ready()
    carol.wait_registered()
    rows = {row["user"]: row for row in tandem.ask("registrations")}
    expect(set(rows) == {"carol", "dave"}, f"registered: {set(rows)}")

    carol.order(f"call sip:dave@{DOMAIN}")
    invite = dave.expect("INVITE", within=8)
    told_by_us([invite], "carol")
    dave.reply(invite, 200, body=sip.SDP)
    dave.expect("ACK", within=8)
    carol.order("terminate")
    dave.reply(dave.expect("BYE", within=8), 200)

    call = dave.call("carol")
    call.invite()
    refused = call.expect(407)
    call.ack_failure(refused)
    call.invite(headers=[dave.proof(refused.message, "INVITE", call.uri)])
    call.expect(200, within=8, skip=(180, 183))
    call.ack()
    call.bye()
    call.expect(200, "BYE", within=8)
    tandem.must_live()


def told_by_us(seen, user):
    """These requests name the account in the INVITE, and carry neither a proof nor another identity."""
    for packet in seen:
        message = packet.message
        told = message.all("p-asserted-identity")
        wanted = [f"<sip:{user}@{DOMAIN}>"] if message.method == "INVITE" else []
        expect(told == wanted, f"{message.method}: the identity is {told} instead of {wanted}")
        proofs = message.all("authorization") + message.all("proxy-authorization")
        expect(not proofs, f"{message.method}: a proof was passed on: {proofs}")
