"""From Kamailio: what `tandem import kamailio` writes is good, and chooses as Kamailio itself does, call by call."""

import random
import signal

from harness import config, sip
from harness.across import INTERFACE
from harness.call import Call
from harness.databases import MariaDb, Postgres
from harness.kamailio import Kamailio
from harness.oracle import Asking, Refusing, choices_of_kamailio, kamailio, write_tables
from harness.processes import run
from harness.registrant import DOMAIN, Phone
from harness.registry import expect, scenario
from harness.tandem import binary

# Nothing that happens to one call may change where the next one goes.
STEADY = 'probe = "off"\n'
SMALL = "[limits]\ntransactions_per_shard = 32768\nbranches_per_shard = 32768\ncalls_per_shard = 16384\nstore_mebibytes_per_shard = 32\ntimers_per_shard = 98304\n"


def imported(scene, name, *words, status=0):
    """Runs the import into a folder of the scene; returns the folder and the report."""
    folder = scene.folder / name
    code, out, err = run([binary(), "import", "kamailio", "--output", folder, *words], 20)
    expect(code == status, f"import ended with {code}: {out}{err}")
    code, checked, err = run([binary(), "check", folder / "tandem.toml"])
    expect(code == 0, f"check of what was imported ended with {code}: {checked}{err}")
    return folder, out


def started(scene, folder):
    """Tandem with an imported file, made steady and small."""
    text = (folder / "tandem.toml").read_text()
    served = f'interfaces = ["{INTERFACE}"]\n' if scene.link else ""
    own = f'[control]\nsocket = "{scene.folder / "tandem.sock"}"\n[driver]\nkind = "{scene.scenario.driver}"\n{served}[shards]\ncount = 1\n'
    if "[state]" not in text:
        own += f'[state]\ndir = "{scene.folder / "state"}"\n'
    # As on loopback, where everybody may send who can.
    open_to_all = 'sources = ["any"]\n' if scene.link and "\nsources" not in f"\n{text}" else ""
    return scene.tandem(tree=config.Written(STEADY + open_to_all + text + "\n" + own + SMALL, scene.folder / "tandem.sock"))


def questions(scene, proxy, users, count, ask, seed):
    """Calls with Call-IDs, callers and callees of every length, each asked for by `ask`."""
    draw = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~"
    # WHY: hosts that begin with a hyphen are none to Kamailio.
    word = lambda most: "x" + "".join(draw.choice(letters[:38]) for _ in range(draw.randrange(most))) + "x"
    made = {}
    for number in range(count):
        user = draw.choice(users)
        port = draw.choice(["", ":5060", ":5061", ":12345"])
        caller = draw.choice([f"sip:{word(20)}@{word(12)}.example.com{port}", f"sip:+49{draw.randrange(10**9)}@192.0.2.{draw.randrange(255)}"])
        callee = f"sip:{user}@{word(9)}.example.org{draw.choice(['', ':5080'])}"
        uri = f"sip:{user}@{sip.hostport(proxy)}"
        call_id = f"{ask}-{number}-{''.join(draw.choice(letters) for _ in range(draw.randrange(1, 40)))}@{word(10)}"
        made[call_id] = (uri, caller, callee, [f"X-Ask: {ask}"])
    return made


@scenario(programs=("kamailio",), seconds=60)
def kamailio_hashes(scene):
    """Algorithms 0, 1, 2, 3 and 7 with `--compat`: 400 calls go to the same gateways as Kamailio's, the failover's order too."""
    sets = {1: 0, 2: 1, 3: 2, 4: 3, 7: 7}
    gateways = [sip.hostport(scene.gateway_address(number)) for number in range(1, 6)]
    lines = [f"{one} sip:{gateway} 0 {order % 2}" for one in sets for order, gateway in enumerate(gateways)]
    dispatcher_list = scene.folder / "dispatcher.list"
    dispatcher_list.write_text("\n".join(lines) + "\n")
    script = scene.folder / "kamailio.cfg"
    script.write_text('modparam("dispatcher", "flags", 2)\nmodparam("dispatcher", "hash_pvar", "$fU-$rU")\n'
                      + "".join(f'ds_select_dst("{one}", "{algorithm}");\n' for one, algorithm in sets.items()))
    tables = write_tables(scene.folder / "tables")
    oracle = kamailio(scene, tables, dispatcher_list)

    address = (scene.ip(1), 5060)
    folder, report = imported(scene, "imported", dispatcher_list, "--script", script, "--compat", "--listen", sip.hostport(address), "--source", "any")
    expect("5 gateways, algorithm 7 as `hash-variables`" in report, report)
    # The script's part: the first digit of the number says which set.
    for one in sets:
        text = (folder / "tandem.toml").read_text()
        (folder / "tandem.toml").write_text(text.replace(f'domain = "set-{one}.invalid"', f'prefix = "{one}"'))
    refusing = Refusing(scene, range(1, 6))
    proxy = started(scene, folder)
    # Where both are asked the same URI, its host is neither's.
    asked = {}
    for one, algorithm in sets.items():
        asked.update(questions(scene, address, [f"{one}{tail}" for tail in ("", "2", "12345", "30123456")], 80, f"ds-{algorithm}", one))
    by_kamailio = choices_of_kamailio(Asking(scene.endpoint(scene.caller_address(1)), oracle.address).ask(asked))
    Asking(scene.endpoint(scene.caller_address(2)), proxy.address).ask(asked)
    wrong = []
    for call_id, chosen in by_kamailio.items():
        wanted = [uri.removeprefix("sip:") for uri in chosen]
        expect(len(wanted) == 5, f"Kamailio has {chosen} for {call_id}")
        if refusing.addresses(call_id) != wanted:
            wrong.append(f"{call_id}: Kamailio {wanted}, Tandem {refusing.addresses(call_id)}")
    expect(not wrong, f"{len(wrong)} of {len(asked)} calls go elsewhere, such as " + "\n".join(wrong[:3]))
    firsts = {chosen[0] for chosen in by_kamailio.values()}
    expect(len(firsts) == 5, f"only {firsts} were ever first")


@scenario(programs=("kamailio",), seconds=60)
def kamailio_prefixes(scene):
    """lcr and drouting imported from dbtext: 200 numbers reach the same gateways, in the same order, written the same."""
    at = [scene.gateway_address(number) for number in range(1, 6)]
    draw = random.Random(6)
    lcr_gw = [(n, 1, f"gw{n}", at[n - 1][0], None, 5060, None, None, 1, strip, prefix, None, 0, 0)
              for n, (strip, prefix) in enumerate([(None, None), (2, "00"), (0, "9"), (1, None), (None, "+")], 1)]
    prefixes = [None, "4", "49", "4930", "49301", "44", "442", "1", "1212", "33"]
    lcr_rule = [(n, 1, prefix, None, None, None, int(prefix in ("442", "1212")), 1) for n, prefix in enumerate(prefixes, 1)]
    targets, number = [], 0
    for rule in range(1, len(prefixes) + 1):
        # Different priorities: the order of equals is chance.
        for priority, gateway in enumerate(draw.sample(range(1, 6), draw.randrange(1, 4))):
            number += 1
            targets.append((number, 1, rule, gateway, priority * 3, 1))
    dr_gateways = [(n, 0, sip.hostport(at[n - 1]), strip, prefix, None, f"dr{n}") for n, (strip, prefix) in enumerate([(0, None), (1, None), (2, "00"), (0, "77"), (0, None)], 1)]
    lists = ["1,2,3", "5|4;1", "#1", "2"]
    dr_rules = [(n, "8" if n % 3 else "8,9", prefix, "|", n % 2, "0", draw.choice(lists), None) for n, prefix in enumerate(["49", "4930", "44", "49", "1", None, "4420"], 1)]
    address_rows = [(1, 1, scene.caller_address(2)[0], 32, 0, None), (2, 8, scene.caller_address(3)[0], 32, 0, None)]
    tables = write_tables(
        scene.folder / "tables", lcr_gw=lcr_gw, lcr_rule=lcr_rule, lcr_rule_target=targets, dr_gateways=dr_gateways, dr_rules=dr_rules,
        dr_gw_lists=[(1, "3,1,4", None)], address=address_rows,
    )
    dispatcher_list = scene.folder / "dispatcher.list"
    dispatcher_list.write_text(f"1 sip:{sip.hostport(at[0])}\n")
    oracle = kamailio(scene, tables, dispatcher_list)

    address = (scene.ip(1), 5060)
    folder, report = imported(scene, "imported", tables, "--listen", sip.hostport(address))
    for part in ("10 prefixes with", "prices of the currency XXX", "address-8: a customer with 1 sources"):
        expect(part in report, f"{part} is missing: {report}")
    refusing = Refusing(scene, range(1, 6))
    proxy = started(scene, folder)
    numbers = ["4930123456", "493", "49", "4950", "442071", "4420", "448", "12125551212", "1313", "33123", "7095", "49301"]
    wrong = []
    for caller, ask in ((2, "lcr"), (3, "dr")):
        asked = questions(scene, address, numbers, 100, ask, caller)
        by_kamailio = choices_of_kamailio(Asking(scene.endpoint(scene.caller_address(100 + caller)), oracle.address).ask(asked))
        Asking(scene.endpoint(scene.caller_address(caller)), proxy.address).ask(asked)
        for call_id, chosen in by_kamailio.items():
            # An address without a port and with 5060 are one; what is asked is who gets which number.
            plain = lambda uri: uri.removeprefix("sip:").split(";")[0].removesuffix(":5060")
            wanted, got = [plain(uri) for uri in chosen], [plain(uri) for uri in refusing.uris(call_id)]
            if got != wanted:
                wrong.append(f"{ask} {asked[call_id][0]}: Kamailio {wanted}, Tandem {got}")
    expect(not wrong, f"{len(wrong)} of 200 calls go elsewhere, such as\n" + "\n".join(sorted(set(wrong))[:6]))


@scenario(programs=("kamailio",), seconds=40, here="Kamailio stands at Tandem's own address first")
def kamailio_bindings(scene):
    """Phones that registered with Kamailio, one of them from behind NAT, are called through Tandem after the import."""
    tables = write_tables(scene.folder / "tables")
    address = (scene.ip(1), 5060)
    values = {"DOMAIN": DOMAIN, "LOCATION_TABLES": f'"text://{tables}"'}
    registrar = scene.keep(Kamailio(scene.folder, "registrar", [address], "registrar.cfg", values)).wait_ready((scene.ip(240), 0))
    phone, hidden, gone = (scene.endpoint((scene.ip(number), 5062)) for number in (20, 21, 22))
    Phone(phone, "alice", address).register(more=("User-Agent: Phone 1",))
    Phone(hidden, "bob", address).register(contact="<sip:bob@10.0.0.9:5088>;q=0.5")
    Phone(gone, "carol", address).register(expires=1)
    registrar.signal(signal.SIGTERM)
    registrar.wait(10)
    # WHY: whether carol's row is still there is Kamailio's timer's business; ended it is either way.
    rows = (tables / "location").read_text().splitlines()[1:]
    expect(sum(user in row for row in rows for user in (":alice:", ":bob:")) == 2, f"Kamailio wrote {rows}")
    folder, report = imported(
        scene, "imported", tables, "--domain", DOMAIN, "--listen", sip.hostport(address), "--source", "any", "--timezone", "UTC")
    expect("bindings" in report and "GRUUs" in report, report)
    proxy = started(scene, folder)
    there = {row["user"]: row for row in proxy.ask("registrations")}
    expect({"alice", "bob"} <= set(there), f"registered are {there}")
    expect(there["alice"]["agent"] == "Phone 1" and there["alice"]["cseq"] == 1, f"alice is {there['alice']}")
    caller = scene.endpoint(scene.caller_address(1))
    for user, called, uri in (("alice", phone, f"sip:alice@{sip.hostport(phone.address)}"), ("bob", hidden, "sip:bob@10.0.0.9:5088")):
        call = Call(caller, proxy.address)
        call.uri = call.remote_target = f"sip:{user}@{DOMAIN}"
        call.invite()
        invite = called.expect("INVITE")
        expect(invite.message.request_uri == uri, f"{user} is called as {invite.message.request_uri}")
        called.reply(invite, 200, body=sip.SDP)
        call.expect(200)
        call.ack()
        called.expect("ACK")
    # A later REGISTER of the same call goes on where Kamailio was.
    again = Phone(phone, "alice", proxy.address)
    again.cseq = 1
    again.register()
    expect(len([row for row in proxy.ask("registrations") if row["user"] == "alice"]) == 1, "one contact, one binding")
    code, out, err = run([binary(), "import", "kamailio", "--output", folder, tables, "--domain", DOMAIN, "--source", "any", "--force"], 10)
    expect(code == 1 and "another tandem uses this folder" in err, f"import into a running state: {code} {out}{err}")


SCHEMA = """
CREATE TABLE dispatcher (id int PRIMARY KEY, setid int NOT NULL, destination varchar(192) NOT NULL, flags int, priority int, attrs varchar(128), description varchar(64));
INSERT INTO dispatcher VALUES (1, 1, 'sip:100.64.7.1:5060', 0, 5, 'weight=70;duid=it''s', 'a; b, c'), (2, 1, 'sip:100.64.7.2', 8, 5, 'weight=30', '');
CREATE TABLE address (id int PRIMARY KEY, grp int NOT NULL, ip_addr varchar(50), mask int, port int, tag varchar(64));
INSERT INTO address VALUES (1, 1, '198.51.100.0', 24, 0, 'acme'), (2, 2, '203.0.113.7', 32, 5080, NULL);
CREATE TABLE dr_gateways (gwid int PRIMARY KEY, type int, address varchar(128), strip int, pri_prefix varchar(64), attrs varchar(255), description varchar(128));
INSERT INTO dr_gateways VALUES (1, 0, '100.64.7.9', 0, NULL, '', 'back: slash');
CREATE TABLE dr_rules (ruleid int PRIMARY KEY, groupid varchar(255), prefix varchar(64), timerec varchar(255), priority int, routeid varchar(64), gwlist varchar(255), description varchar(128));
INSERT INTO dr_rules VALUES (1, '2', '49', '', 0, '0', '1', '');
"""


@scenario(programs=("psql", "mariadbd"), seconds=60)
def kamailio_databases(scene):
    """PostgreSQL and MariaDB with Kamailio's tables, live and as dumps of both: all six imports write the same."""
    users = {"alice": "secret", "bob": "hidden"}
    postgres, mariadb = scene.keep(Postgres(scene, users)), scene.keep(MariaDb(scene, users))
    psql = ["-h", postgres.host, "-U", "tandem"]
    run(["psql", *psql, "-d", "postgres", "-qc", SCHEMA], check=True)
    mysql = ["--no-defaults", "-u", "root", "-S", mariadb.data / "socket"]
    run(["mariadb", *mysql, "kamailio", "-e", SCHEMA], check=True)
    sources = {
        "postgres": f"postgres://tandem@{postgres.host}/postgres",
        "mariadb": f"mysql://tandem:open%20sesame@{mariadb.host}/kamailio",
    }
    dumps = {
        "copy": ["pg_dump", *psql, "postgres"],
        "inserts": ["pg_dump", *psql, "--inserts", "postgres"],
        "columns": ["pg_dump", *psql, "--column-inserts", "postgres"],
        "mysqldump": ["mariadb-dump", *mysql, "--skip-lock-tables", "kamailio"],
    }
    for name, command in dumps.items():
        code, out, err = run(command, 10)
        expect(code == 0, f"{command[0]} ended with {code}: {err}")
        sources[name] = scene.folder / f"{name}.sql"
        sources[name].write_text(out)
    written = {}
    for name, source in sources.items():
        folder, report = imported(scene, name, source, "--algorithm", "9", "--listen", "0.0.0.0:5060")
        code, out, err = run([binary(), "accounts", "list", "--database", folder / "accounts.db", "--domain", "example.com"])
        expect(code == 0 and "alice" in out and "bob" in out, f"accounts of {name}: {code} {out}{err}")
        files = [folder / "tandem.toml", *sorted((folder / "decks").iterdir())]
        texts = [file.read_text() for file in files]
        written[name] = [text.replace(str(folder), "FOLDER") for text in [report, *texts]]
    first = written["postgres"]
    for name, texts in written.items():
        expect(texts == first, f"{name} and postgres differ: {texts} and {first}")
    expect("back--slash" in first[1] and 'name = "it-s"' in first[1] and "weight = 70" in first[1], first[1])
