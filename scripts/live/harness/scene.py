"""What a scenario gets: a folder, addresses of its own, ways to start peers, and the certainty that all of it goes."""

import contextlib
import pathlib
import random

from . import config, kamailio, sipp
from .across import INTERFACE, Across
from .endpoint import Answering, Endpoint
from .namespace import Namespace, entered
from .tandem import Tandem

PORT = 5060


class Scene:
    """The stage of one scenario. Everything started through it ends with it, in reverse order."""

    def __init__(self, scenario, folder, proxy="tandem"):
        self.scenario, self.proxy = scenario, proxy
        self.folder = pathlib.Path(folder)
        # WHY: all of 127.0.0.0/8 is this host, so that each scenario has a network of its own and
        # several may run at once with the same ports.
        self.network = f"127.{random.randint(64, 254)}.{random.randint(1, 254)}"
        self.link = None
        self.ports = random.randrange(10_000, 30_000, 20)
        self.ending = contextlib.ExitStack()
        self.started = []
        if scenario.across:
            self.link = Across()
            self.ending.callback(self.link.close)
            self.network = self.link.network

    def ip(self, number):
        return f"{self.network}.{number}"

    def port(self, number):
        """A port of this scenario alone, for addresses that others share (::1, wildcards)."""
        return self.ports + number

    def gateway_address(self, number=1):
        return (self.ip(10 + number), PORT)

    def caller_address(self, number=1):
        return (self.ip(100 + number), PORT)

    def keep(self, thing):
        """Registers something with `stop` or `close` to be ended with the scene."""
        self.ending.callback(getattr(thing, "stop", None) or thing.close)
        self.started.append(thing)
        return thing

    def endpoint(self, address, **more):
        return self.keep(Endpoint(address, **more))

    def answering(self, address, behave, **more):
        """An endpoint that lives in its own thread, already running."""
        peer = self.keep(Answering(address, behave, **more))
        peer.start()
        return peer

    def gateway(self, number=1, scenario="uas", words=(), prefix=(), address=None):
        """sipp answering calls at the address of gateway `number`."""
        local = address or self.gateway_address(number)
        return self.keep(sipp.Gateway(self.folder, f"gateway-{number}", local, scenario, words, prefix))

    def caller(self, to, calls, rate, number=1, scenario="uac", words=(), prefix=(), address=None):
        """sipp placing calls from the address of caller `number`."""
        local = address or self.caller_address(number)
        return self.keep(sipp.Caller(self.folder, f"caller-{number}", local, to, calls, rate, scenario, words, prefix))

    def tree(self, gateways=(), sets=None, listen=None, shards=1, tables=None, small=True, **set_options):
        """A configuration: one set of `gateways` with `set_options`, or the `sets` given."""
        listen = listen or [(self.ip(1), PORT)]
        if self.link:
            # As on loopback, where everybody may send who can.
            tables = {"sources": ["any"], **(tables or {})}
        sets = sets or [config.gateway_set("carriers", gateways, **set_options)]
        return config.tree(
            listen, sets, socket=self.folder / "tandem.sock", state=self.folder / "state",
            driver=self.scenario.driver, interfaces=[INTERFACE] if self.link else None, shards=shards, tables=tables, small=small,
        )

    def tandem(self, *gateways, tree=None, listen=None, name="tandem", ready=True, prefix=(), **more):
        """Tandem before these gateways, up and listening."""
        listen = listen or [(self.ip(1), PORT)]
        if self.proxy == "kamailio":
            stand_in = self.keep(kamailio.StandIn(self.folder, listen, gateways, more))
            return stand_in.wait_ready((listen[0][0], 0))
        tree = tree or self.tree(gateways, listen=listen, **more)
        if self.link:
            prefix = [*self.link.tandem_prefix(), *prefix]
        started = self.keep(Tandem(self.folder, tree, listen, name, prefix))
        if ready:
            started.wait_ready()
        return started

    def beside_tandem(self):
        """Sockets that are made inside are on Tandem's host."""
        return entered(self.link.name) if self.link else contextlib.nullcontext()

    def far_host(self):
        """A host for peers on the far side of a link."""
        return self.link or self.keep(Namespace())

    def logs(self, lines=25):
        """The last lines of every log, for the report of a failure."""
        parts = []
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(errors="replace").strip()
            # WHY: sipp paints its screen into its output; its errors file says more.
            if text and not log.name.startswith(("caller-", "gateway-")):
                parts.append(f"--- {log.name}\n" + "\n".join(text.splitlines()[-lines:]))
        return "\n".join(parts)

    def end(self, passed=False):
        with self.ending:
            for tandem in self.started if self.link and passed else ():
                if isinstance(tandem, Tandem):
                    self.link.check(tandem)
