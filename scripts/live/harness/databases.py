"""Real servers, each with a data folder and a loopback address of its own: PostgreSQL and MariaDB, which may take TLS
alone, FreeRADIUS, NATS."""

import base64
import glob
import json
import os
import pathlib
import shutil
import signal
import socket
import tempfile

from .digest import digest
from .processes import Process, run, wait_until
from .registry import Skipped, expect

COLUMNS = "username varchar(64), domain varchar(64), password varchar(64), ha1 varchar(128), ha1b varchar(128)"


def rows(users, domain="example.com"):
    """SQL values of Kamailio's `subscriber` for users and their passwords."""
    made = []
    for user, password in users.items():
        ha1, ha1b = digest("MD5", user, domain, password), digest("MD5", f"{user}@{domain}", domain, password)
        made.append(f"('{user}', '{domain}', '', '{ha1}', '{ha1b}')")
    return ", ".join(made)


def accepts(address):
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(address) == 0


def certificate(folder, host):
    """An authority `ca.pem`, and a certificate of it for an address: `server.pem`, `server.key`."""
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run([*new, "-x509", "-days", "7", "-subj", "/CN=authority", "-keyout", folder / "ca.key", "-out", folder / "ca.pem"], check=True)
    run([*new, "-subj", "/CN=database", "-keyout", folder / "server.key", "-out", folder / "server.csr"], check=True)
    (folder / "names").write_text(f"subjectAltName=IP:{host}\n")
    run(["openssl", "x509", "-req", "-days", "7", "-in", folder / "server.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
         "-CAcreateserial", "-extfile", folder / "names", "-out", folder / "server.pem"], check=True)


class Server(Process):
    """A server that can be stopped and made to hang."""

    def hang(self):
        self.to_all(signal.SIGSTOP)

    def go_on(self):
        self.to_all(signal.SIGCONT)

    def to_all(self, number):
        """To the server and its children, which PostgreSQL puts into sessions of their own."""
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for process in [self.pid, *map(int, children)]:
            os.kill(process, number)


class Postgres(Server):
    """PostgreSQL with a table `subscriber`, perhaps by TLS alone. Runs as `postgres` where we are root, which it refuses to be."""

    def __init__(self, scene, users, tls=False):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found:
            raise Skipped("PostgreSQL is not installed")
        self.bin, self.host, self.scene = pathlib.Path(found[-1]), scene.ip(90), scene
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="tandem-postgres-"))
        scene.ending.callback(shutil.rmtree, self.data, True)
        certificate(self.data, self.host)
        (self.data / "server.key").chmod(0o600)
        self.wrap = []
        if os.geteuid() == 0:
            for path in (self.data, self.data / "server.key"):
                shutil.chown(path, "postgres", "postgres")
            self.wrap = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        run([*self.wrap, self.bin / "initdb", "-D", self.data / "db", "-A", "trust", "-U", "tandem", "--no-sync"], 20, check=True)
        rules = self.data / "db" / "pg_hba.conf"
        if scene.link:
            rules.write_text(rules.read_text() + f"host all all {scene.network}.0/24 trust\n")
        if tls:
            rules.write_text(rules.read_text().replace("\nhost ", "\nhostssl "))
        self.start()
        sql = f"CREATE TABLE subscriber ({COLUMNS}); INSERT INTO subscriber VALUES {rows(users)};"
        run(["psql", "-h", self.host, "-U", "tandem", "-d", "postgres", "-qc", sql], check=True)

    def start(self):
        options = [f"-clisten_addresses={self.host}", "-cfsync=off", f"-cunix_socket_directories={self.data}",
                   "-cssl=on", f"-cssl_cert_file={self.data / 'server.pem'}", f"-cssl_key_file={self.data / 'server.key'}"]
        super().__init__(self.scene.folder, "postgres", [*self.wrap, self.bin / "postgres", "-D", self.data / "db", *options])
        ready = lambda: run([self.bin / "pg_isready", "-q", "-h", self.host, "-U", "tandem"])[0] == 0
        wait_until(ready, 10, lambda: self.output()[-1000:], every=0.1)

    def accounts(self, **tls):
        tls = tls or {"tls": "verify", "tls_authorities": str(self.data / "ca.pem")}
        return {"postgres": f"host={self.host} user=tandem dbname=postgres password=unused", **tls}


class MariaDb(Server):
    """MariaDB with a table `subscriber`, perhaps by TLS alone."""

    def __init__(self, scene, users, tls=False):
        self.host, self.scene = scene.ip(91), scene
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="tandem-mariadb-"))
        scene.ending.callback(shutil.rmtree, self.data, True)
        self.tls = tls
        certificate(self.data, self.host)
        self.user = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
        run(["mariadb-install-db", "--no-defaults", f"--datadir={self.data / 'db'}", f"--user={self.user}", "--skip-test-db",
             "--auth-root-authentication-method=normal"], 30, check=True)
        self.start()
        sql = (f"CREATE DATABASE kamailio; USE kamailio; CREATE TABLE subscriber ({COLUMNS}); INSERT INTO subscriber VALUES "
               f"{rows(users)}; CREATE USER tandem@'%' IDENTIFIED BY 'open sesame'; GRANT SELECT ON kamailio.* TO tandem@'%';")
        run(["mariadb", "--no-defaults", "-u", "root", "-S", self.data / "socket", "-e", sql], check=True)

    def start(self):
        options = [f"--datadir={self.data / 'db'}", f"--socket={self.data / 'socket'}", f"--bind-address={self.host}",
                   f"--user={self.user}", "--innodb-flush-method=nosync", "--skip-name-resolve",
                   f"--require-secure-transport={'ON' if self.tls else 'OFF'}", f"--ssl-cert={self.data / 'server.pem'}", f"--ssl-key={self.data / 'server.key'}"]
        super().__init__(self.scene.folder, "mariadb", ["mariadbd", "--no-defaults", *options])
        wait_until(lambda: accepts((self.host, 3306)), 15, lambda: self.output()[-1000:], every=0.1)

    def accounts(self):
        tls = {"tls": "verify", "tls_authorities": str(self.data / "ca.pem")}
        return {"mysql": f"mysql://tandem:open%20sesame@{self.host}:3306/kamailio", **tls}


RADIUSD = """
prefix = /usr
libdir = /usr/lib/freeradius
name = tandem
logdir = {folder}
raddbdir = {folder}
run_dir = {folder}
pidfile = {folder}/radiusd.pid
log {{ destination = stdout }}
security {{
  reject_delay = 0
  status_server = no
}}
client tandem {{
  ipaddr = 127.0.0.0/8
  secret = testing123
  require_message_authenticator = yes
}}
client across {{
  ipaddr = 198.18.0.0/15
  secret = testing123
  require_message_authenticator = yes
}}
modules {{
  digest {{ }}
  files {{
    filename = {folder}/users
  }}
}}
server default {{
  listen {{
    type = auth
    ipaddr = {host}
    port = 1812
  }}
  authorize {{
{policy}
    digest
    files
  }}
  authenticate {{
    digest
  }}
  # Without this FreeRADIUS answers without Message-Authenticator.
  post-auth {{
{after}
    update reply {{
      Message-Authenticator := 0x00
    }}
    Post-Auth-Type REJECT {{
      update reply {{
        Message-Authenticator := 0x00
      }}
    }}
  }}
}}
"""


# RFC 5090, by numbers. WHY other names: FreeRADIUS calls attributes of its own Digest-..., by which its module judges.
RFC_5090 = {"Response": 103, "Realm": 104, "Nonce": 105, "Method": 108, "URI": 109, "QOP": 110, "Algorithm": 111, "CNonce": 113,
            "Nonce-Count": 114, "User-Name": 115, "HA1": 121}


# WHY a Digest-Attributes with a body digest alone, which qop "auth" leaves out,: the module looks at no proof without one.
POLICY = """
    update request {{
      Digest-Response !* ANY
      Digest-Attributes !* ANY
    }}
    update request {{
      Digest-Attributes := 0x070361
{taken}
    }}
"""


class FreeRadius(Server):
    """FreeRADIUS with its `digest` module, which reads the draft's attributes; `rfc5090`: a policy gives it those of the
    RFC alone, whatever else there is. To `tells` it gives the account's HA1 with its answer."""

    def __init__(self, scene, users, number=92, rfc5090=False, tells=()):
        self.host, self.scene, self.number = scene.ip(number), scene, number
        self.config = scene.folder / f"radius-{number}"
        self.config.mkdir(mode=0o755)
        taken = "\n".join(f"      Digest-{name} := &RFC5090-{name}" for name in RFC_5090 if name != "HA1")
        ha1s = {user: digest("MD5", user, "example.com", users[user]) for user in tells}
        after = "\n".join(
            f'    if (&User-Name == "{user}") {{\n      update reply {{\n        RFC5090-HA1 := "{ha1}"\n      }}\n    }}'
            for user, ha1 in ha1s.items())
        radiusd = RADIUSD.format(folder=self.config, host=self.host, policy=POLICY.format(taken=taken) if rfc5090 else "", after=after)
        (self.config / "radiusd.conf").write_text(radiusd)
        names = "".join(f"ATTRIBUTE RFC5090-{name} {number} string\n" for name, number in RFC_5090.items())
        (self.config / "dictionary").write_text(f"$INCLUDE /usr/share/freeradius/dictionary\n{names}")
        (self.config / "users").write_text("".join(f'{user} Cleartext-Password := "{password}"\n' for user, password in users.items()))
        self.start()

    def start(self):
        ready = "Ready to process requests"
        log = self.scene.folder / f"radius-{self.number}.log"
        before = log.read_text().count(ready) if log.exists() else 0
        super().__init__(self.scene.folder, f"radius-{self.number}", ["freeradius", "-f", "-l", "stdout", "-d", self.config, "-n", "radiusd"])
        wait_until(lambda: self.output().count(ready) > before or not self.running(), 10, lambda: self.output()[-1500:])
        expect(self.running(), f"freeradius ended: {self.output()[-1500:]}")

    def accounts(self, *others, **more):
        servers = [f"{server.host}:1812" for server in (self, *others)]
        return {"radius": servers, "radius_secret": "testing123", **more}


ACCOUNTING = """
prefix = /usr
libdir = /usr/lib/freeradius
name = tandem
logdir = {folder}
raddbdir = {folder}
run_dir = {folder}
pidfile = {folder}/radiusd.pid
log {{ destination = stdout }}
client tandem {{
  ipaddr = 127.0.0.0/8
  secret = testing123
}}
client across {{
  ipaddr = 198.18.0.0/15
  secret = testing123
}}
modules {{
  detail {{
    filename = {folder}/detail
  }}
}}
server default {{
  listen {{
    type = acct
    ipaddr = {host}
    port = 1813
  }}
  accounting {{
    detail
  }}
}}
"""


class Accounting(Server):
    """FreeRADIUS that takes accounting."""

    def __init__(self, scene):
        self.host, self.scene, self.folder = scene.ip(94), scene, scene.folder / "accounting"
        self.folder.mkdir(mode=0o755)
        (self.folder / "radiusd.conf").write_text(ACCOUNTING.format(folder=self.folder, host=self.host))
        (self.folder / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
        self.start()

    def start(self):
        super().__init__(self.scene.folder, "accounting", ["freeradius", "-f", "-l", "stdout", "-d", self.folder, "-n", "radiusd"])
        wait_until(lambda: "Ready to process requests" in self.output() or not self.running(), 10, lambda: self.output()[-1500:])
        expect(self.running(), f"freeradius ended: {self.output()[-1500:]}")

    def requests(self):
        """What came: a dict of attributes each."""
        detail = self.folder / "detail"
        text = detail.read_text(errors="replace") if detail.exists() else ""
        pairs = lambda part: dict(line.strip().split(" = ", 1) for line in part.splitlines() if " = " in line)
        return [pairs(part) for part in text.split("\n\n") if " = " in part]


class Nats(Server):
    """A NATS server with JetStream and a stream for records."""

    def __init__(self, scene, stream="RECORDS", subjects="tandem.records.*", duplicate_window=0.1):
        self.host, self.scene = scene.ip(93), scene
        self.store = pathlib.Path(tempfile.mkdtemp(prefix="tandem-nats-"))
        scene.ending.callback(shutil.rmtree, self.store, True)
        self.start()
        made = {"name": stream, "subjects": [subjects], "storage": "file", "duplicate_window": int(duplicate_window * 1e9)}
        answer = self.ask(f"$JS.API.STREAM.CREATE.{stream}", made)
        expect("error" not in answer, f"no stream was made: {answer}")
        self.stream = stream

    def start(self):
        super().__init__(self.scene.folder, "nats", ["nats-server", "-a", self.host, "-p", 4222, "-js", "-sd", self.store])
        wait_until(lambda: accepts((self.host, 4222)), 10, lambda: self.output()[-1000:], every=0.1)

    def ask(self, subject, question):
        """A question over the client protocol, and its answer."""
        with socket.create_connection((self.host, 4222), 5) as connection:
            reader = connection.makefile("rb")
            reader.readline()
            asked = json.dumps(question).encode()
            connection.sendall(b'CONNECT {"verbose":false}\r\nSUB answers 1\r\n' + f"PUB {subject} answers {len(asked)}\r\n".encode() + asked + b"\r\n")
            while True:
                words = reader.readline().split()
                expect(words, "NATS closed the connection")
                if words[0] == b"MSG":
                    return json.loads(reader.read(int(words[-1]) + 2))

    def messages(self):
        """Every message of the stream, as JSON."""
        state = self.ask(f"$JS.API.STREAM.INFO.{self.stream}", {})["state"]
        get = lambda number: self.ask(f"$JS.API.STREAM.MSG.GET.{self.stream}", {"seq": number})["message"]["data"]
        return [json.loads(base64.b64decode(get(number))) for number in range(state["first_seq"], state["last_seq"] + 1) if state["messages"]]
