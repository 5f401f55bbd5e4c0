"""A phone's home: a network of its own behind a router that masquerades, as nftables does it in most of them."""

from .namespace import Namespace, entered
from .processes import run

LAN = "192.168.77"


class Home:
    """Two namespaces: the router, whose far side is on the wire to us, and the home behind it."""

    def __init__(self):
        self.router = Namespace(far_addresses=1)
        self.inside = f"{self.router.name}-in"
        try:
            self.build()
        except Exception:
            self.close()
            raise

    def build(self):
        run(["ip", "netns", "add", self.inside], check=True)
        router, home = self.router.inside, self.home
        router("ip", "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", self.inside)
        router("ip", "addr", "add", f"{LAN}.1/24", "dev", "lan")
        router("ip", "link", "set", "lan", "up")
        home("ip", "link", "set", "lo", "up")
        home("ip", "addr", "add", f"{self.address()}/24", "dev", "eth0")
        home("ip", "link", "set", "eth0", "up")
        home("ip", "route", "add", "default", "via", f"{LAN}.1")
        router("ip", "route", "add", "default", "via", self.router.near())
        router("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        # WHY random: the port outside is another one than inside, as behind most routers with more than one phone.
        router("nft", "add table ip home; add chain ip home out { type nat hook postrouting priority srcnat; }; "
               "add rule ip home out oifname far masquerade random")

    def home(self, *words):
        """Runs a command at home."""
        return run(["nsenter", f"--net=/run/netns/{self.inside}", *words], check=True)

    def near(self):
        """Our address on the wire."""
        return self.router.near()

    def address(self):
        """The phone's address at home."""
        return f"{LAN}.2"

    def another(self, number, port=5060):
        """One more address at home: (host, port)."""
        host = f"{LAN}.{number}"
        self.home("ip", "addr", "add", f"{host}/24", "dev", "eth0")
        return host, port

    def outside(self):
        """The router's address on the wire."""
        return self.router.far(1)

    def entered(self):
        """Sockets that this thread makes inside are at home."""
        return entered(self.inside)

    def forget(self):
        """The router forgets all bindings, as after a restart of its own."""
        self.router.inside("conntrack", "-F")

    def close(self):
        run(["ip", "netns", "del", self.inside])
        self.router.close()
