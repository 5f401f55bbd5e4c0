"""Phones that prove who they are, against real sources of accounts; sources that die and hang; who is shut out."""

import time

from harness import sip
from harness.databases import FreeRadius, MariaDb, Postgres
from harness.digest import Phone, digest
from harness.processes import Process, run, wait_until
from harness.registry import expect, scenario

USERS = {"alice": "wonderland", "bob": "builder", "carol": "singer"}


def answers_everything(peer, packet):
    """What is behind Tandem: 200 to whatever reaches it."""
    if packet.message.is_request and packet.message.method != "ACK":
        peer.endpoint.reply(packet, 200)


def proxy(scene, accounts, algorithms=None, **authentication):
    """Tandem for example.com with these accounts, before something that answers everything."""
    scene.behind = scene.answering(scene.gateway_address(), answers_everything)
    domain = {"name": "example.com", "aliases": [scene.ip(1)], "accounts": accounts, **({"algorithms": algorithms} if algorithms else {})}
    tables = {"domain": [domain], "authentication": {"source_deadline": "500ms", "nonce": "10s", **authentication}}
    return scene.tandem(scene.gateway_address(), tables=tables, shards=2)


def phone(scene, tandem, user, password=None, number=200):
    endpoint = scene.endpoint((scene.ip(number), 5060))
    return Phone(endpoint, tandem.address, user, password if password is not None else USERS.get(user, "guess"))


def accounts_file(scene, users=None):
    """A file of HA1s."""
    lines = []
    for user, password in (users or USERS).items():
        hashes = {name: digest(algorithm, user, "example.com", password)
                  for name, algorithm in (("md5", "MD5"), ("sha256", "SHA-256"))}
        lines += ["[[account]]", f'user = "{user}"', *(f'{name} = "{value}"' for name, value in hashes.items())]
    path = scene.folder / "accounts.toml"
    path.write_text("\n".join(lines) + "\n")
    return {"file": str(path)}


@scenario(across=True)
def digest_registers_and_calls(scene):
    """401, 407, nonce counts, stale, replays, a wrong password, a foreign To and From; SHA-256; no proof is passed on."""
    tandem = proxy(scene, accounts_file(scene), algorithms=["SHA-256", "MD5"])
    alice = phone(scene, tandem, "alice")
    challenged = alice.answer(alice.request())
    offered = challenged.all("www-authenticate")
    expect(challenged.status == 401 and len(offered) == 2 and "SHA-256" in offered[0], f"{challenged.status} {offered}")
    alice.must_register("with SHA-256")
    for _ in range(3):
        expect(alice.once() == 200, "the nonce with its next count is not taken")
    again = alice.request()
    expect(alice.answer(again).status == 200 and alice.answer(again).status == 200, "a retransmission is refused")
    alice.count -= 1
    expect(alice.once() == 401 and alice.challenge.get("stale") == "true", "a replayed count is not stale")
    expect(alice.once() == 200, "the answer to a stale challenge")
    expect(alice.once(to="sip:bob@example.com") == 403, "a binding of somebody else")
    mallory = phone(scene, tandem, "alice", "guess", 201)
    expect((mallory.once(), mallory.once()) == (401, 401), "a wrong password")
    expect("stale" not in mallory.challenge, "a failure is called stale")
    called = len(scene.behind.requests("MESSAGE"))
    bob = phone(scene, tandem, "bob", number=202)
    expect(bob.once("MESSAGE") == 407, "a phone's request without a proof")
    expect(len(scene.behind.requests("MESSAGE")) == called, "it was carried all the same")
    stale = bob.challenge
    made = bob.request("MESSAGE")
    for line in made.headers:
        if line[0] == "From":
            line[1] = line[1].replace("bob", "alice")
    expect(bob.answer(made).status == 403, "a foreign From")
    bob.challenge = stale
    # Who is called: known and away, or nobody at all. A proof for another request is none.
    expect(alice.register() == 200, "alice again")
    for callee, status in (("carol", 480), ("ghost", 404), ("carol", 480), ("ghost", 404)):
        expect((got := alice.once("MESSAGE", to=f"sip:{callee}@example.com")) == status, f"{callee}: {got} instead of {status}")
    made = alice.request("MESSAGE", to="sip:carol@example.com")
    made.headers = [[name, value.replace('uri="sip:carol', 'uri="sip:ghost')] for name, value in made.headers]
    expect(alice.answer(made).status == 400, "a proof for another Request-URI")
    figures = tandem.ask("stats")["figures"]
    reasons = {one["labels"].get("reason") for one in figures if one["name"] == "tandem_rejected_total"}
    wanted = {"register_unproven", "register_stale", "register_proof_failed", "register_of_another", "sender_unproven", "foreign_from",
              "user_away", "user_unknown", "proof_uri_foreign"}
    expect(wanted <= reasons, f"reasons: {reasons}")


@scenario()
def accounts_of_the_embedded_database(scene):
    """`tandem accounts`: added, imported from a Kamailio dump, changed, removed, all of it while Tandem runs."""
    database = scene.folder / "accounts.db"
    tandem = proxy(scene, {"sqlite": str(database)})
    config = ["--config", str(tandem.file), "--socket", str(tandem.socket)]
    alice = phone(scene, tandem, "alice")
    expect(alice.register() == 503, "without a database")
    ha1 = digest("MD5", "bob", "example.com", "builder")
    dump = scene.folder / "subscriber.sql"
    dump.write_text(f"INSERT INTO `subscriber` VALUES (1,'bob','example.com','','{ha1}',''),(2,'alice','example.com','wonderland','','');\n")
    code, out, err = run([tandem.program, "accounts", "import", dump, *config])
    expect(code == 0 and out.startswith("2 accounts"), f"{code} {out}{err}")
    time.sleep(1.1)
    alice.must_register("after the import")
    phone(scene, tandem, "bob", number=201).must_register("with an imported HA1")
    expect(b"wonderland" not in database.read_bytes(), "a password in clear")
    code, out, _ = run([tandem.program, "accounts", "list", *config, "--format", "json"])
    expect(code == 0 and '"alice"' in out and '"bob"' in out, out)
    code, out, err = run([tandem.program, "accounts", "remove", "bob", *config])
    expect(code == 0, err)
    bob = phone(scene, tandem, "bob", number=202)
    expect(bob.register() == 401, "a removed account still registers")
    changed = run(["sh", "-c", f"echo looking-glass | {tandem.program} accounts add alice {' '.join(config)}"])
    expect(changed[0] == 0 and "another password" in changed[1], changed)
    expect(phone(scene, tandem, "alice", "looking-glass", 203).register() == 200, "the new password")


def source_dies(scene, server, restart=True):
    """What holds for every source: known users go on, others get 503 alone and in time, and all is well afterwards."""
    tandem = proxy(scene, server.accounts())
    alice, bob = phone(scene, tandem, "alice"), phone(scene, tandem, "bob", number=201)
    alice.must_register()
    expect(phone(scene, tandem, "nobody", number=202).register() == 401, "an unknown user")
    expect(phone(scene, tandem, "alice", "guess", 203).register() == 401, "a wrong password")
    server.hang()
    began = time.monotonic()
    expect(bob.register() == 503, "a source that hangs")
    expect(time.monotonic() - began < 2, f"503 took {time.monotonic() - began:.1f} s")
    expect(alice.once() == 200, "a remembered user while the source hangs")
    began = time.monotonic()
    others = [phone(scene, tandem, "carol", number=number) for number in range(210, 212)]
    statuses = [one.register() for one in others]
    expect(statuses == [503] * 2, f"{statuses}")
    server.go_on()
    time.sleep(0.3)
    bob.must_register("after the source goes on")
    server.stop()
    expect(phone(scene, tandem, "carol", number=220).register() == 503, "a source that is gone")
    expect(alice.once() == 200, "a remembered user without a source")
    server.start()
    phone(scene, tandem, "carol", number=221).must_register("after the source is back")
    expect("accounts-down" in tandem.output() and "accounts-up" in tandem.output(), "nothing in the log")
    expect("wonderland" not in tandem.output() and "open" not in tandem.output().split("accounts-down")[1].split("\n")[0], "a password in the log")


@scenario(programs=("psql",), seconds=40, here="two Tandems at once, of which one alone can serve an interface")
def accounts_of_postgresql(scene):
    """A real PostgreSQL that takes TLS alone, with Kamailio's `subscriber`: works, hangs, dies, comes back."""
    server = scene.keep(Postgres(scene, USERS, tls=True))
    source_dies(scene, server)
    for number, (tls, status) in enumerate([({"tls": "require"}, 200), ({"tls": "verify"}, 503), ({"tls": "off"}, 503)], 2):
        domain = {"name": "example.com", "accounts": server.accounts(**tls)}
        tree = scene.tree([scene.gateway_address()], listen=[(scene.ip(number), 5060)], tables={"domain": [domain]})
        for section, key in (("control", "socket"), ("state", "dir")):
            tree[section][key] += f"-{number}"
        tandem = scene.tandem(tree=tree, listen=[(scene.ip(number), 5060)], name=f"tandem-{tls['tls']}")
        expect((got := phone(scene, tandem, "alice", number=230 + number).register()) == status, f"{tls}: {got}")
        code, out, err = run([tandem.program, "check", "--print", tandem.file])
        expect(code == 0 and "password=***" in out and "unused" not in out + err + tandem.output(), f"{code}: {out}{err}")
        tandem.stop()


@scenario(programs=("mariadbd",), seconds=40)
def accounts_of_mariadb(scene):
    """A real MariaDB that takes TLS alone, with Kamailio's `subscriber`: works, hangs, dies, comes back."""
    source_dies(scene, scene.keep(MariaDb(scene, USERS, tls=True)))


@scenario(programs=("freeradius",), seconds=40)
def accounts_of_freeradius(scene):
    """A real FreeRADIUS judges proofs; a second one stands in for one that hangs; without both it is 503."""
    first, second = (scene.keep(FreeRadius(scene, USERS, number)) for number in (92, 93))
    tandem = proxy(scene, first.accounts(second, radius_wait="100ms"))
    phone(scene, tandem, "alice").must_register("by the first server")
    expect(phone(scene, tandem, "nobody", number=201).register() == 401, "an unknown user")
    expect(phone(scene, tandem, "alice", "guess", 202).register() == 401, "a wrong password")
    first.hang()
    phone(scene, tandem, "bob", number=203).must_register("by the second server")
    first.go_on()
    for server in (first, second):
        server.stop()
    expect(phone(scene, tandem, "carol", number=204).register() == 503, "without a server")
    first.start()
    phone(scene, tandem, "carol", number=205).must_register("after a server is back")


@scenario(programs=("freeradius",), seconds=40)
def freeradius_judges_by_rfc_5090(scene):
    """A real FreeRADIUS is shown the attributes of RFC 5090 alone; whose HA1 it gives away (Digest-HA1) is remembered."""
    server = scene.keep(FreeRadius(scene, USERS, rfc5090=True, tells=["bob"]))
    tandem = proxy(scene, server.accounts(radius_dialect="rfc5090", radius_wait="200ms"))
    alice, bob = phone(scene, tandem, "alice"), phone(scene, tandem, "bob", number=201)
    for one in (alice, bob):
        one.must_register("by RFC 5090")
        expect(one.once() == 200, "the nonce again")
    expect(alice.once("MESSAGE", to="sip:carol@example.com") in (404, 407), "another method, proven or challenged")
    expect(phone(scene, tandem, "nobody", number=202).register() == 401, "an unknown user")
    expect(phone(scene, tandem, "alice", "guess", 203).register() == 401, "a wrong password")
    server.stop()
    expect(bob.once() == 200, "one whose HA1 is known, without a server")
    expect(alice.register() == 503, "one whom the server has to judge each time")


@scenario(programs=("svwar", "svcrack"), seconds=40)
def sipvicious_is_shut_out(scene):
    """svwar cannot tell users apart, svcrack is shut out before it finds a password; the user works on elsewhere."""
    tandem = proxy(scene, accounts_file(scene, {**USERS, "100": "1000"}), user_failures=5, address_failures=30)
    phone(scene, tandem, "100", "1000").must_register()
    attacker = scene.ip(150)
    target = tandem.address[0]
    code, out, err = run(["svwar", "-e", "90-110", "-m", "REGISTER", "-b", attacker, "-d", "example.com", "-t", "2", target], 30)
    told = {line.split("|")[2].strip() for line in out.splitlines() if line.count("|") >= 3 and "eqauth" in line or "noauth" in line}
    found = [line for line in (out + err).splitlines() if "100" in line and "|" in line]
    expect(len(found) in (0, 1) or len(told) == 1, f"svwar tells users apart: {out}{err}")
    crack = scene.keep(Process(scene.folder, "svcrack", ["svcrack", "-u", "100", "-r", "500-1200", "-b", attacker, "-t", "1", target]))
    wait_until(lambda: tandem.ask("bans")["bans"] or not crack.running(), 8, "a ban", every=0.2)
    time.sleep(1)
    expect("1000 " not in crack.output(), f"svcrack found the password: {crack.output()}")
    banned = tandem.ask("bans")["bans"]
    expect(any(ban["username"] in ("", "100") for ban in banned), f"not shut out: {banned} {crack.output()}")
    expect(phone(scene, tandem, "100", "1000", number=201).register() == 200, "the user elsewhere")
    crack.stop()
    code, out, _ = tandem.control("bans", "lift", banned[0]["address"])
    expect(code == 0 and "lifted" in out and not tandem.ask("bans")["bans"], out)
