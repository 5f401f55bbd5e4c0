"""Phones and media servers that are not ours: sipp at both ends with digest, baresip behind a router's NAT, Kamailio as registrar."""

import itertools
import signal

from harness import sip
from harness.baresip import Baresip
from harness.capture import Capture
from harness.kamailio import Kamailio
from harness.nat import Home
from harness.phone import Phone
from harness.processes import wait_until
from harness.registry import expect, scenario

DOMAIN = "example.com"


@scenario(programs=("baresip", "sipp"), seconds=40)
def phones_and_media_servers_of_others(scene):
    """sipp and baresip with passwords subscribe; sipp publishes, writes and calls: the media server, a sipp too, sees the account
    and no proof, whatever the phone says of itself; and by their location it tells, asks, writes to and calls them."""
    media = scene.gateway_address()
    listen = (scene.ip(1), 5060)
    accounts = scene.folder / "accounts.toml"
    accounts.write_text("".join(f'[[account]]\nuser = "{user}"\npassword = "{user}-secret"\n' for user in ("alice", "bob")))
    tandem = scene.tandem(listen=[listen], tables={
        "domain": [{"name": DOMAIN, "media": "media", "accounts": {"file": str(accounts)}}],
        "set": [{"name": "media", "request_uri": "keep", "probe": "off", "gateways": [{"uri": f"sip:{sip.hostport(media)}"}]}],
        "registrar": {"users_per_shard": 1000},
    })
    server = scene.gateway(1, "uas_media_server", ["-m", 1], address=media)
    phone = scene.caller(listen, calls=1, rate=1, scenario="uac_phone", words=["-s", "alice", "-au", "alice", "-ap", "alice-secret"])
    end_well(phone, server)
    box = scene.gateway(2, "uas_mailbox", ["-m", 1], address=media)
    bob = scene.keep(Baresip(scene.folder, "bob", (scene.ip(101), 5060), 440, listen, DOMAIN, "bob-secret", mailbox=True))
    end_well(box)
    expect("Messages-Waiting: yes" in bob.output(), f"bob heard of no message: {bob.output()[-600:]}")
    expect(sorted(row["user"] for row in tandem.ask("registrations")) == ["alice", "bob"], "both are registered")
    tandem.must_live()


def end_well(*peers):
    """These sipps end with 0, as they do only if every message that came was as their files say."""
    said = lambda: "".join(f"{peer.name}: {peer.trouble()}" for peer in peers)
    wait_until(lambda: not any(peer.running() for peer in peers), 12, lambda: f"not all have ended: {said()}")
    expect(all(peer.child.returncode == 0 for peer in peers), said())


@scenario(programs=("kamailio",))
def kamailio_writes_contacts_anew(scene):
    """Kamailio as registrar lists contacts under names of its own: both phones of a user stay here as long as it lists two,
    and when it lists no more than the one that asks, the other is gone."""
    listen = (scene.ip(1), 5060)
    values = {"DOMAIN": f'"{DOMAIN}"', "CONTACTS_ANEW": "1"}
    behind = scene.keep(Kamailio(scene.folder, "behind", [(scene.ip(50), 5060)], "registrar.cfg", values))
    behind.wait_ready((scene.ip(240), 0))
    tandem = scene.tandem(listen=[listen], tables={
        "sources": ["any"], "domain": [{"name": DOMAIN, "media": "media", "registrar": "media"}],
        "set": [{"name": "media", "request_uri": "keep", "probe": "off", "gateways": [{"uri": f"sip:{sip.hostport(behind.address)}"}]}],
        "registrar": {"users_per_shard": 1000},
    })
    desk, mobile = (scene.keep(Phone(scene.caller_address(number), "alice", DOMAIN, listen)) for number in (1, 2))
    cseq = itertools.count(1)

    def register(phone, expires=300):
        answer = phone.ask("REGISTER", f"sip:{DOMAIN}", 200, to=phone.identity(), call_id=phone.register_id, cseq=next(cseq),
                           headers=[["Expires", str(expires)]])
        listed = ",".join(answer.all("contact"))
        expect("@127." not in listed, f"not anew: {listed}")
        return listed.count("sip:")

    bound = lambda: {row["contact"] for row in tandem.ask("registrations", "alice")}
    both = {desk.contact(), mobile.contact()}
    expect((register(desk), register(mobile)) == (1, 2), "Kamailio lists both")
    wait_until(lambda: bound() == both, 5, lambda: f"bound are {bound()}")
    register(desk)
    expect(bound() == both, f"bound are {bound()}")
    # Kamailio hears from the desk past us.
    desk.proxy = behind.address
    expect(register(desk, expires=0) == 1, "Kamailio has let the desk go")
    expect(bound() == both, f"bound are {bound()}")
    expect(register(mobile) == 1, "Kamailio lists the mobile alone")
    wait_until(lambda: bound() == {mobile.contact()}, 5, lambda: f"bound are {bound()}")
    tandem.must_live()


@scenario(root=True, programs=("ip", "nft", "baresip", "sipp"), seconds=45, here="has a router and a link of its own")
def keep_alives_of_real_phones(scene):
    """Behind a router's NAT: a baresip that answered and then stands still is forgotten after its misses; one that goes on
    answering, and a sipp that never did, are kept."""
    home = scene.keep(Home())
    listen = (home.near(), 5060)
    desk_at, hall_at, mute_at = (home.address(), 5060), home.another(3), home.another(4)
    # WHY so slow: a new interval begins with a turn of the first account, so that a reload brings a round, and nothing else does.
    rounds = itertools.count(500)

    def tree():
        tables = {
            "sources": ["any"], "domain": [{"name": DOMAIN}],
            "registrar": {"users_per_shard": 1000, "keep_alive": {"interval": f"{next(rounds)}s", "misses_max": 1}},
        }
        return scene.tree([(home.near(), 5070)], listen=[listen], tables=tables, request_uri="keep", probe="off")

    tandem = scene.tandem(listen=[listen], tree=tree())
    with home.entered():
        desk = scene.keep(Baresip(scene.folder, "desk", desk_at, 440, listen, DOMAIN, user="alice"))
        scene.keep(Baresip(scene.folder, "hall", hall_at, 880, listen, DOMAIN, user="alice"))
        scene.caller(listen, calls=1, rate=1, scenario="uac_registers_and_is_silent", words=["-s", "alice"], address=mute_at)
    bound = lambda: {sip.address_of(row["contact"])[0]: row["source"] for row in tandem.ask("registrations", "alice")}
    everybody = {at[0] for at in (desk_at, hall_at, mute_at)}
    wait_until(lambda: set(bound()) == everybody, 15, lambda: f"all are registered: {bound()}")
    split = lambda source: (source.rsplit(":", 1)[0], int(source.rsplit(":", 1)[1]))
    ways = {host: split(source) for host, source in bound().items()}
    expect({host for host, _ in ways.values()} == {home.outside()}, f"no NAT: {ways}")
    wire = scene.keep(Capture(home.router.tap()))

    def a_round(asked, answering):
        """All of `asked` get an OPTIONS for their Contact at the router's port, and those of `answering` answer it."""
        wire.packets.clear()
        code, out, trouble = tandem.reload(tree())
        expect(code == 0, f"reload: {out}{trouble}")

        def seen():
            packets = list(wire.packets)
            options = {sip.address_of(one.message.request_uri)[0]: one.target for one in packets if one.data.startswith(b"OPTIONS ")}
            answers = {one.source for one in packets if one.source[0] == home.outside() and one.message.status == 200}
            return options, {host for host, at in options.items() if at in answers}

        wanted = ({host: at for host, at in ways.items() if host in asked}, answering)
        wait_until(lambda: seen() == wanted, 10, lambda: f"asked and answering are {seen()} instead of {wanted}")
        expect(set(bound()) == asked, f"bound are {bound()} instead of {asked}")

    desk_host, hall_host, mute_host = desk_at[0], hall_at[0], mute_at[0]
    a_round(everybody, {desk_host, hall_host})
    desk.signal(signal.SIGSTOP)
    a_round(everybody, {hall_host})
    a_round({hall_host, mute_host}, {hall_host})
    a_round({hall_host, mute_host}, {hall_host})
    tandem.must_live()
