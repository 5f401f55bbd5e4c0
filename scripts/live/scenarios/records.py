"""Call records: every attempt and call has its own, sums hold, crashes and full disks lose none, receivers get each once."""

import collections
import csv
import io
import json
import os
import re
import signal
import subprocess
import time
import urllib.request

from harness import config
from harness.call import Call
from harness.databases import Accounting, Nats, Postgres
from harness.endpoint import answers_calls
from harness.processes import run, wait_until
from harness.registry import expect, scenario
from harness.tandem import ROOT, binary
from scenarios.class4 import NUMBER, build, trunks


def cdr(proxy, *words, seconds=10):
    """The records that `tandem cdr` shows, as JSON."""
    code, out, err = run([binary(), "cdr", "--config", proxy.file, "--format", "json", *words], seconds)
    expect(code == 0, f"`tandem cdr {' '.join(words)}` ended with {code}: {out[-500:]}{err}")
    return [json.loads(line) for line in out.splitlines()]


def totals(proxy):
    code, out, err = run([binary(), "cdr", "--config", proxy.file, "--totals", "--format", "json"])
    expect(code == 0, f"`tandem cdr --totals` ended with {code}: {out}{err}")
    return json.loads(out)


def carrier(scene, sets, customers, vendors=("cheap", "dear"), records=None, **more):
    """Tandem with recorded customers."""
    tables = trunks(scene, vendors, customers, **more.pop("vendor", {}))
    tables["records"] = {"when_full": "refuse", **(records or {})}
    # WHY: every call is to have its attempt, and none is to be turned away while others measure.
    tables["class4"], tables["overload"] = {"hold_503": "off"}, "off"
    tables.update(more.pop("tables", {}))
    name = more.pop("name", "tandem")
    return scene.tandem(tree=scene.tree(sets=sets, tables=tables, **more), name=name)


def wait_calls(proxy, count, *words, seconds=6):
    """Waits until so many calls are recorded; returns their records."""
    wait_until(lambda: len(cdr(proxy, *words)) >= count, seconds, lambda: f"{count} calls recorded, there are {len(cdr(proxy, *words))}", 0.1)
    return cdr(proxy, *words)


def answered_call(endpoint, proxy, **more):
    call = Call(endpoint, proxy.address, user="4930123", **more)
    call.invite()
    call.expect(200, skip=(180,))
    call.ack()
    return call


@scenario(programs=("sipp",))
def records_of_every_attempt(scene):
    """A vendor refuses, the next answers: two attempts and one call each; sums equal sipp's; queries, CSV, the story of a call."""
    build(scene, sell="0.06", cheap="0.012", dear="0.03")
    cheap, dear = scene.gateway(1, "uas_503"), scene.gateway(2)
    sets = [config.gateway_set("cheap", [cheap.address]), config.gateway_set("dear", [dear.address])]
    source = scene.caller_address(1)[0]
    customers = [{"name": "acme", "trusted": True, "sources": [source, scene.caller_address(2)[0]]}]
    proxy = carrier(scene, sets, customers, shards=2, vendor={"caller_in": "p-asserted-identity", "caller_strip": 2, "caller_add": "0049", "caller_plus": False})
    numbers = scene.caller(proxy.address, calls=50, rate=100, words=[*NUMBER, "-d", "300"]).finish(15)
    endpoint = scene.endpoint(scene.caller_address(2))
    known = answered_call(endpoint, proxy, headers=[("P-Asserted-Identity", "<sip:+49401111@example.com>")])
    known.bye()
    known.expect(200, "BYE")
    unpriced = Call(endpoint, proxy.address, user="1212")
    unpriced.invite()
    unpriced.ack_failure(unpriced.expect(503))

    calls = wait_calls(proxy, 52)
    (told,) = [call for call in calls if call["call_id"] == known.call_id]
    expect((told["caller"], told["caller_sent"]) == ("49401111", "0049401111"), f"the caller is told as {told}")
    calls.remove(told)
    expect(len(calls) == 51, f"{len(calls)} call records of 51 calls")
    good = [call for call in calls if call.get("answer_time")]
    expect(len(good) == numbers["SuccessfulCall"] == 50, f"{len(good)} answered calls are recorded, sipp has {numbers['SuccessfulCall']}")
    for call in good:
        expect((call["customer"], call["vendor"], call["called"], call["attempts"]) == ("acme", "dear", "4930123", 2), str(call))
        expect(call["closed_by"] == "bye" and call["hung_up"] == "caller" and 300_000 <= call["duration_us"] < 5_000_000, str(call))
        expect(call["sell_prefix"] == call["buy_prefix"] == "49" and call["sell_destination"] == "Germany", str(call))
        seconds = -(-call["duration_us"] // 1_000_000)
        expect(call["buy_billed_seconds"] == seconds and call["sell_amount"] == f"{0.001 * seconds:.6f}", str(call))
        expect(call["buy_amount"] == f"{0.0005 * seconds:.6f}" and float(call["margin"]) == 0.0005 * seconds, str(call))
        order = [call[name] for name in ("setup_time", "sent_time", "answer_time", "end_time")]
        expect(order == sorted(order) and "ringing_time" in call and call["caller_codecs"] and call["callee_codecs"], str(call))
        expect([one["vendor"] for one in call["choice"]] == ["cheap", "dear"], str(call["choice"]))
    (refused,) = [call for call in calls if not call.get("answer_time")]
    expect((refused["cause"], refused["status"], refused["duration_us"]) == ("no_price", 503, 0), str(refused))

    attempts = [one for one in cdr(proxy, "--kind", "attempts") if one["call_id"] != known.call_id]
    kinds = collections.Counter((one["vendor"], one["status"], one["attempt"]) for one in attempts)
    expect(kinds == {("cheap", 503, 1): 50, ("dear", 200, 2): 50}, f"attempts {kinds}")
    for query, wanted in (
        (("--vendor", "dear"), 51), (("--customer", "nobody"), 0), (("--party", "+4930"), 51), (("--party", "4940"), 1), (("--cause", "no_price"), 1),
        (("--cause", "503", "--kind", "attempts"), 51), (("--until", "2020-01-01"), 0), (("--since", "2020-01-01"), 52),
    ):
        expect(len(cdr(proxy, *query)) == wanted, f"`cdr {query}` shows {len(cdr(proxy, *query))} of {wanted}")
    code, out, err = run([binary(), "cdr", "--config", proxy.file, "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(out)))
    expect(code == 0 and len(rows) == 52 and rows[0]["call_id"], f"CSV: {err}{out[:300]}")
    sums = totals(proxy)
    (row,) = [one for one in sums["totals"] if one["vendor"] == "dear"]
    expect(sums["gaps"] == [] and row["answered"] == 51 and row["buy_billed_seconds"] == sum(call["buy_billed_seconds"] for call in [*good, told]), str(sums))
    code, out, err = run([binary(), "explain", "--config", proxy.file, "--call-id", good[0]["call_id"]])
    expect(code == 0 and "attempt 1 to cheap" in out and "attempt 2 to dear" in out and "caller hung up" in out, f"explain: {out}{err}")


@scenario(programs=("sipp",))
def records_survive_a_kill_in_mid_call(scene):
    """kill -9 with calls established: they are known again at once, hold their places, and end with their whole duration, once."""
    build(scene, sell="0.02", only="0.01")
    gateway = scene.gateway(1)
    sources = [scene.caller_address(number)[0] for number in (1, 2, 3)]
    customers = [{"name": "acme", "sources": sources, "concurrent": 2}]
    proxy = carrier(scene, [config.gateway_set("only", [gateway.address])], customers, ("only",), shards=2)
    endpoints = [scene.endpoint(scene.caller_address(number)) for number in (1, 2, 3)]
    calls = [answered_call(endpoint, proxy) for endpoint in endpoints[:2]]
    began = time.monotonic()
    wait_until(lambda: len(cdr(proxy, "--kind", "all")) >= 3, 3, "a record of the start and two of open calls")
    proxy.signal(signal.SIGKILL)
    proxy.wait(5)
    again = scene.tandem(tree=proxy.tree, name="again")
    expect(again.figure("tandem_calls") == 2 and again.figure("tandem_recorded_calls") == 2, "both calls are known after the kill")
    late = Call(endpoints[2], again.address, user="4930123")
    late.invite()
    refusal = late.expect(503)
    late.ack_failure(refusal)
    expect(refusal.message.get("reason") == "Q.850;cause=34", f"the cap counts restored calls: {refusal.message.get('reason')}")
    for call in calls:
        call.bye()
        call.expect(200, "BYE")
    longest = time.monotonic() - began
    ended = [call for call in wait_calls(again, 3) if call.get("answer_time")]
    expect(len(ended) == 2, f"{len(ended)} records of two calls")
    for record in ended:
        expect(record["closed_by"] == "bye" and record["hung_up"] == "caller" and record["vendor"] == "only", str(record))
        expect(0 < record["duration_us"] / 1e6 <= longest + 1 and record["call_epoch"] < record["epoch"], str(record))
    expect(totals(again)["gaps"] == [], f"gaps: {totals(again)['gaps']}")
    expect(again.figure("tandem_calls") == 0, "no call is left")
    free = answered_call(endpoints[2], again)
    free.bye()
    free.expect(200, "BYE")
    unknown = Call(free.endpoint, again.address, user="4930123")
    unknown.call_id, unknown.from_tag, unknown.to_tag = free.call_id, free.from_tag, free.to_tag
    unknown.remote_target, unknown.route, unknown.cseq = free.remote_target, free.route, 50
    unknown.bye()
    unknown.expect(403, "BYE")
    wait_until(lambda: any(one["kind"] == "orphan" for one in cdr(again)), 3, "the BYE of an unknown call is an orphan")


def page_of(proxy, address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        return answer.read().decode()


@scenario(programs=("sipp", "promtool"), across=True)
def figures_of_customers_and_vendors(scene):
    """Figures by customer, vendor and destination are clean by promtool and equal what happened; every query of the dashboard names one that there is."""
    build(scene, sell="0.06", cheap="0.012", dear="0.03")
    cheap, dear = scene.gateway(1, "uas_503"), scene.gateway(2)
    sets = [config.gateway_set("cheap", [cheap.address]), config.gateway_set("dear", [dear.address])]
    address = f"{scene.ip(1)}:{scene.port(3)}"
    customers = [{"name": "acme", "sources": [scene.caller_address(1)[0]]}]
    proxy = carrier(scene, sets, customers, tables={"metrics": {"listen": address}})
    scene.caller(proxy.address, calls=20, rate=100, words=[*NUMBER, "-d", "200"]).finish(15)
    calls = wait_calls(proxy, 20)
    page = page_of(proxy, address)
    done = subprocess.run(["promtool", "check", "metrics"], input=page.encode(), capture_output=True, timeout=10, check=False)
    expect(done.returncode == 0 and not done.stderr, f"promtool: {done.returncode}: {done.stderr.decode()}{done.stdout.decode()}")
    value = lambda line: sum(float(one.split()[-1]) for one in page.splitlines() if one.startswith(line))
    for line, wanted in (
        ('tandem_customer_calls_total{customer="acme",outcome="answered"}', 20),
        ('tandem_vendor_attempts_total{outcome="network",vendor="cheap"}', 20),
        ('tandem_vendor_attempts_total{outcome="answered",vendor="dear"}', 20),
        ('tandem_vendor_causes_total{cause="503",vendor="cheap"}', 20),
        ('tandem_destination_pdd_seconds_count{destination="Germany"}', 20),
        ('tandem_customer_concurrent_calls{customer="acme"}', 0),
        ("tandem_records_broken", 0),
    ):
        expect(line in page and value(line) == wanted, f"{line} is {value(line)}, wanted {wanted}")
    spread = lambda name: sum(float(call[name]) for call in calls)
    margin = value('tandem_customer_income_total{customer="acme"}') - value('tandem_customer_cost_total{customer="acme"}')
    expect(abs(margin - spread("margin")) < 1e-6, f"margin {margin} on the page, {spread('margin')} in the records")
    talk = value('tandem_customer_talk_seconds_total{customer="acme"}')
    expect(abs(talk - spread("duration_us") / 1e6) < 1e-3, f"{talk} s on the page")
    board = json.loads((ROOT / "tuning" / "grafana" / "class4.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    names = {name for query in queries for name in re.findall(r"tandem_[a-z0-9_]+", query)}
    shown = {re.split(r"[{ ]", line)[0] for line in page.splitlines() if not line.startswith("#")}
    expect(len(names) > 20 and names <= shown, f"the dashboard asks for {sorted(names - shown)}, which the page has not")


@scenario(root=True, programs=("mount",))
def a_full_disk_refuses_calls_or_carries_them(scene):
    """The disk is full: new calls get 503, or go on and their records wait in memory, as the file says; never silently, and none is lost."""
    build(scene, sell="0.02", only="0.01")
    gateway = scene.gateway(1)
    endpoints = [scene.endpoint(scene.caller_address(number)) for number in (1, 2)]
    customers = [{"name": "acme", "sources": [scene.caller_address(number)[0] for number in (1, 2)]}]
    for number, when_full in enumerate(("refuse", "carry")):
        folder = scene.folder / when_full
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
        scene.ending.callback(lambda folder=folder: subprocess.run(["umount", "-l", folder], check=False))
        tables = {"records": {"dir": str(folder / "records"), "when_full": when_full}}
        proxy = carrier(scene, [config.gateway_set("only", [gateway.address])], customers, ("only",), tables=tables, name=when_full)
        live = answered_call(endpoints[0], proxy)
        with open(folder / "fill", "wb", buffering=0) as fill:
            try:
                while True:
                    fill.write(bytes(4096))
            except OSError:
                pass
        # What ends now finds no room for its record.
        live.bye()
        live.expect(200, "BYE")
        filler = []

        def closed():
            if proxy.figure("tandem_records_broken") == 1:
                return True
            call = answered_call(endpoints[0], proxy)
            call.bye()
            call.expect(200, "BYE")
            filler.append(call)
            return False

        wait_until(closed, 5, "the disk is said to be full")
        call = Call(endpoints[1], proxy.address, user="4930123")
        if when_full == "refuse":
            wait_until(lambda: "503" in proxy.output(), 3, "the log says what happens")
            call.invite()
            call.ack_failure(call.expect(503))
            expect(proxy.figure("tandem_rejected_total", reason="records_closed") == 1, "the refusal is counted")
        else:
            call = answered_call(endpoints[1], proxy)
            call.bye()
            call.expect(200, "BYE")
            wait_until(lambda: proxy.figure("tandem_call_records_waiting") > 0, 3, "records wait")
        (folder / "fill").unlink()
        wait_until(lambda: proxy.figure("tandem_records_broken") == 0, 5, "it heals by itself")
        again = answered_call(endpoints[1], proxy)
        again.bye()
        again.expect(200, "BYE")
        wanted = {live.call_id, again.call_id, *(one.call_id for one in filler)} | ({call.call_id} if when_full == "carry" else set())
        ended = lambda: collections.Counter(one["call_id"] for one in cdr(proxy) if one.get("answer_time"))
        wait_until(lambda: len(ended()) >= len(wanted), 5, lambda: f"{len(wanted)} calls recorded, there are {len(ended())}")
        expect(ended() == dict.fromkeys(wanted, 1), f"each call is recorded once: {ended()}")
        expect(totals(proxy)["gaps"] == [] and proxy.figure("tandem_call_records_total", outcome="lost") == 0, "none is lost")
        proxy.stop()


def shipped(postgres):
    """Keys and kinds that a table of PostgreSQL has."""
    sql = "SELECT node, epoch, sequence, kind, record->>'call_id' FROM tandem_records ORDER BY 1, 2, 3"
    code, out, err = run(["psql", "-h", postgres.host, "-U", "tandem", "-d", "postgres", "-qAtc", sql])
    expect(code == 0, f"psql: {err}")
    return [line.split("|") for line in out.splitlines()]


@scenario(programs=("sipp", "psql", "nats-server", "freeradius"), root=True, seconds=40)
def records_reach_receivers_once(scene):
    """PostgreSQL and NATS stop and start under load, and Tandem is killed: each record arrives once, and no sequence is missing. RADIUS hears of each call."""
    build(scene, sell="0.02", only="0.01")
    gateway = scene.gateway(1)
    postgres, nats, radius = Postgres(scene, {"nobody": "secret"}), Nats(scene), scene.keep(Accounting(scene))
    customers = [{"name": "acme", "sources": [scene.caller_address(1)[0]]}]
    records = {"postgres": f"host={postgres.host} user=tandem dbname=postgres", "nats": f"nats://{nats.host}:4222",
               "radius": [f"{radius.host}:1813"], "radius_secret": "testing123"}
    proxy = carrier(scene, [config.gateway_set("only", [gateway.address])], customers, ("only",), records)
    load = scene.caller(proxy.address, calls=300, rate=100, words=[*NUMBER, "-d", "100"])
    wait_until(lambda: len(cdr(proxy)) > 30, 5, "calls are recorded")
    postgres.stop()
    nats.stop()
    before = proxy.figure("tandem_records_shipped_total")
    load.finish(15)
    wait_until(lambda: proxy.figure("tandem_record_receiver_up") == 1, 8, "two receivers are away")
    proxy.signal(signal.SIGKILL)
    proxy.wait(5)
    again = scene.tandem(tree=proxy.tree, name="again")
    postgres.start()
    nats.start()
    expect(before > 0 and len(wait_calls(again, 300)) == 300, "300 calls are recorded")
    keys = lambda records: sorted((one["node"], one["epoch"], one["sequence"]) for one in records)
    wanted = keys(cdr(again, "--kind", "all"))
    wait_until(lambda: len(shipped(postgres)) >= len(wanted), 15, lambda: f"{len(wanted)} records in PostgreSQL, there are {len(shipped(postgres))}", 0.2)
    count = lambda: nats.ask(f"$JS.API.STREAM.INFO.{nats.stream}", {})["state"]["messages"]
    wait_until(lambda: count() >= len(wanted), 15, lambda: f"{len(wanted)} records in NATS, there are {count()}", 0.2)
    rows = shipped(postgres)
    expect([tuple(map(int, row[:3])) for row in rows] == wanted, "PostgreSQL has each record once")
    expect(keys(nats.messages()) == wanted, f"NATS has each record once: {count()} of {len(wanted)}")
    calls = collections.Counter(row[4] for row in rows if row[3] == "call")
    expect(len(calls) == 300 and set(calls.values()) == {1}, f"{len(calls)} calls in PostgreSQL")
    expect(totals(again)["gaps"] == [], "no gap")
    heard = lambda: collections.Counter((one["Acct-Status-Type"], one["Acct-Session-Id"]) for one in radius.requests())
    sessions = lambda status: {session for kind, session in heard() if kind == status}
    wait_until(lambda: len(sessions("Stop")) == 300, 10, lambda: f"300 calls stopped at RADIUS, there are {len(sessions('Stop'))}", 0.2)
    expect(sessions("Start") == sessions("Stop"), "each call that stopped has started")
    # WHY Error-Cause: that is the name of attribute 101 where nobody has read Kamailio's dictionary; 8 is a BYE.
    one = radius.requests()[-1]
    expect(one["User-Name"] == '"acme"' and one["Called-Station-Id"] == '"4930123"' and one["Error-Cause"] == "8", str(one))


class Phone:
    """One address that places calls, through kills of who carries them: nothing that comes is unexpected."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        # Call-IDs whose 200 has come.
        self.answered = set()

    def read(self, wanted, seconds=5):
        """The first message that is wanted; None after so many seconds."""
        deadline = time.monotonic() + seconds
        while (packet := self.endpoint.receive(max(0.0, deadline - time.monotonic()))) is not None:
            message = packet.message
            if not message.is_request and message.status == 200 and message.get("cseq").endswith("INVITE"):
                self.answered.add(message.call_id)
            if not message.is_request and wanted(message):
                return message
        return None

    def call(self, proxy):
        call = Call(self.endpoint, proxy.address, user="4930123")
        call.invite()
        answer = self.read(lambda message: message.call_id == call.call_id and message.status == 200)
        expect(answer, f"{call.call_id} is not answered")
        call.adopt(answer)
        call.ack()
        return call

    def hang_up(self, call):
        """BYE, whatever became of one before."""
        call.bye()
        final = lambda message: message.call_id == call.call_id and message.get("cseq") == f"{call.cseq} BYE" and message.status >= 200
        expect(self.read(final), f"the BYE of {call.call_id} is not answered")


def killed_under_load(scene, kills):
    """Kills Tandem with -9 again and again while calls come, stand and go."""
    build(scene, sell="0.02", only="0.01")
    gateway = scene.answering(scene.gateway_address(1), answers_calls())
    customers = [{"name": "acme", "sources": [scene.caller_address(1)[0]]}]
    proxy = carrier(scene, [config.gateway_set("only", [gateway.address], probe="off")], customers, ("only",))
    phone = Phone(scene.endpoint(scene.caller_address(1)))
    standing, ended = [], set()

    def hang_up(calls):
        for call in calls:
            phone.hang_up(call)
            ended.add(call.call_id)

    for kill in range(kills):
        # All but two of those that outlived the kill before end; five more are answered.
        hang_up(standing[:-2])
        standing = [*standing[-2:], *(phone.call(proxy) for _ in range(5))]
        # One rings and the BYE of another is under way when it comes.
        Call(phone.endpoint, proxy.address, user="4930123").invite()
        standing[kill % 2].bye()
        proxy.signal(signal.SIGKILL)
        proxy.wait(5)
        phone.read(lambda message: False, 0.05)
        proxy = scene.tandem(tree=proxy.tree, name=f"after-{kill}")
    hang_up(standing)
    records = cdr(proxy, "--kind", "all")
    calls = collections.Counter(one["call_id"] for one in records if one["kind"] == "call" and one.get("answer_time"))
    opened = collections.Counter(one["call_id"] for one in records if one["kind"] == "open")
    expect(set(calls.values()) == set(opened.values()) == {1}, f"each answered call has one record: {calls.most_common(3)}, {opened.most_common(3)}")
    expect(phone.answered <= set(opened), f"{len(phone.answered - set(opened))} calls whose 200 reached the caller have no record")
    expect(ended <= set(calls), f"{len(ended - set(calls))} calls that ended have no record")
    live = set(opened) - set(calls)
    expect(proxy.figure("tandem_recorded_calls") == len(live), f"{len(live)} calls are open by their records")
    expect(totals(proxy)["gaps"] == [], "no gap")
    return len(ended)


# `TANDEM_KILLS=100 scripts/live/run.py records-over-kills` is the long form.
KILLS = int(os.environ.get("TANDEM_KILLS", 6))


@scenario(seconds=30 + 3 * KILLS)
def records_over_kills(scene):
    """kill -9 again and again among calls that come, stand and go: each answered call has exactly one record."""
    expect(killed_under_load(scene, KILLS) > 4 * KILLS, "calls were carried")
