"""linphone without a screen or a sound card: its daemon, told what to do over a socket of its own."""

import os
import pathlib
import socket
import time

from . import sip
from .processes import Process, wait_until
from .registry import Failed

CONFIG = """
[sip]
sip_port=-1
sip_tcp_port=0
sip_tls_port=0
default_proxy=0
[net]
dns_srv_enabled=0
enable_ipv6=0
[sound]
echocancellation=0
[rtp]
audio_rtp_port=-1
[proxy_0]
reg_proxy=<sip:{proxy};transport=udp>
reg_route=<sip:{proxy};transport=udp;lr>
reg_identity=sip:{user}@{domain}
reg_expires=300
reg_sendregister=1
publish=0
[auth_info_0]
username={user}
passwd={password}
realm={domain}
domain={domain}
"""


class Linphone(Process):
    """One linphone that registers as `user` of `domain` by way of `proxy`, and takes calls by itself."""

    def __init__(self, folder, user, proxy, domain, password):
        self.home = folder / f"{user}-home"
        for part in (".config/linphone", ".local/share/linphone"):
            (self.home / part).mkdir(parents=True)
        config = self.home / "linphonerc"
        config.write_text(CONFIG.format(proxy=sip.hostport(proxy), user=user, domain=domain, password=password))
        # It makes its socket in /tmp, whatever name it is given.
        pipe = f"tandem-linphone-{os.getpid()}-{sip.token(6)}"
        self.pipe, self.link = pathlib.Path("/tmp") / pipe, None
        words = ["env", f"HOME={self.home}", "linphone-daemon", "--pipe", pipe, "--config", config, "--auto-answer", "--disable-stats-events"]
        super().__init__(folder, user, words)

    def wait_ready(self, seconds=8):
        """Waits until it takes commands."""

        def connects():
            if not self.running():
                raise Failed(f"linphone ended: {self.output()[-800:]}")
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(str(self.pipe))
            except OSError:
                link.close()
                return False
            self.link = link
            return True

        wait_until(connects, seconds, lambda: f"linphone takes commands: {self.output()[-800:]}", 0.1)

    def order(self, command):
        """Sends a command and returns what it says to it."""
        self.link.sendall(f"{command}\n".encode())
        said, end = b"", time.monotonic() + 3
        self.link.settimeout(0.1)
        while time.monotonic() < end and b"Status:" not in said:
            try:
                said += self.link.recv(65535)
            except TimeoutError:
                continue
        return said.decode(errors="replace")

    def wait_registered(self, seconds=8):
        """Waits until it says that it is registered."""
        wait_until(lambda: "RegistrationOk" in self.order("register-status ALL"), seconds, lambda: f"linphone: {self.output()[-800:]}", 0.1)

    def stop(self):
        if self.link:
            self.link.close()
        super().stop()
        self.pipe.unlink(missing_ok=True)
