"""baresip without a screen or a sound card: a tone from a file as microphone, a recording of what it hears, commands over TCP."""

import json
import math
import socket
import struct
import time
import wave

from . import sip
from .processes import Process, wait_until
from .registry import Failed

MODULES = "/usr/lib/baresip/modules"


class Baresip(Process):
    """One baresip with one account that answers by itself.

    With a `domain` it registers there as `user` (its name, if none is given) with `password`, by way of `outbound`. With an
    `account` it does not register, and its password is that of this other user. With a `mailbox` it subscribes to message-summary.
    """

    def __init__(self, folder, name, address, tone, outbound=None, domain=None, password=None, account=None, user=None,
                 mailbox=False):
        self.address = address
        self.home = folder / f"{name}-home"
        self.home.mkdir()
        self.control = (address[0], 4444)
        modules = ["g711.so", "aufile.so", "aubridge.so", "sndfile.so", "account.so", "contact.so", "menu.so", "ctrl_tcp.so", *(["mwi.so"] if mailbox else [])]
        (self.home / "config").write_text("\n".join([
            f"sip_listen {sip.hostport(address)}",
            f"module_path {MODULES}",
            *(f"module{'_app' if module in ('account.so', 'contact.so', 'menu.so', 'ctrl_tcp.so', 'mwi.so') else ''} {module}" for module in modules),
            f"audio_source aufile,{self.home}/tone.wav",
            f"audio_player aubridge,{name}",
            f"audio_alert aubridge,{name}",
            # What it decodes is kept as dump-….wav.
            f"snd_path {self.home}",
            "ausrc_srate 8000", "auplay_srate 8000", "ausrc_channels 1", "auplay_channels 1",
            f"ctrl_tcp_listen {sip.hostport(self.control)}",
            f"net_interface {address[0]}",
            "rtp_ports 20000-20100",
            "",
        ]))
        proxy = f';outbound="sip:{sip.hostport(outbound)}"' if outbound else ""
        secret = f";auth_user={account or user or name};auth_pass={password}" if password else ""
        lamp = ";mwi=yes" if mailbox else ""
        (self.home / "accounts").write_text(
            f"<sip:{user or name}@{domain or sip.hostport(address)}>;regint={60 if domain and not account else 0};answermode=auto;audio_codecs=PCMU{secret}{proxy}{lamp}\n",
        )
        # WHY: ausine makes 48 kHz only, and the call is G.711.
        write_tone(self.home / "tone.wav", tone)
        (self.home / "contacts").write_text("")
        super().__init__(folder, name, ["baresip", "-f", self.home])
        self.events, self.pending, self.link = [], b"", None

    def wait_ready(self, seconds=5):
        """Waits until its command socket takes a connection."""

        def connects():
            if not self.running():
                raise Failed(f"baresip ended: {self.output()[-800:]}")
            try:
                self.link = socket.create_connection(self.control, 1)
            except OSError:
                return False
            self.link.settimeout(0.1)
            return True

        wait_until(connects, seconds, lambda: f"{self.name} takes commands: {self.output()[-800:]}", 0.1)

    def order(self, name, parameters=""):
        """Sends a command as a netstring of JSON."""
        text = json.dumps({"command": name, "params": parameters, "token": "1"})
        self.link.sendall(f"{len(text)}:{text},".encode())

    def read(self):
        """Takes what has come from the socket into `events`."""
        try:
            self.pending += self.link.recv(65535)
        except TimeoutError:
            pass
        while b":" in self.pending:
            length, _, rest = self.pending.partition(b":")
            if len(rest) < int(length) + 1:
                return
            self.events.append(json.loads(rest[: int(length)]))
            self.pending = rest[int(length) + 1 :]

    def wait_event(self, kind, seconds):
        """Waits for an event of this type."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read()
            if any(event.get("type") == kind for event in self.events):
                return
        raise Failed(f"{self.name} has no {kind} within {seconds} s, but {self.events[-6:]}; {self.output()[-600:]}")

    def wait_registered(self, seconds=5):
        """Waits until it says that it is registered; that may be before its command socket takes a connection."""
        wait_until(lambda: "200 OK () [1 binding]" in self.output(), seconds, lambda: f"{self.name} is registered: {self.output()[-600:]}", 0.05)

    def forget_events(self):
        """What has come until now is not waited for again."""
        self.read()
        self.events.clear()

    def recording(self):
        """What its loudspeaker played."""
        files = list(self.home.glob("dump-*-dec.wav"))
        if len(files) != 1:
            raise Failed(f"{self.name} recorded {[file.name for file in self.home.glob('*')]}; {self.output()[-600:]}")
        return files[0]

    def stop(self):
        if self.link:
            self.link.close()
        super().stop()


def write_tone(file, hertz, seconds=10, rate=8_000):
    """A sine as WAV, mono, 16 bits."""
    samples = [round(12_000 * math.sin(2 * math.pi * hertz * at / rate)) for at in range(seconds * rate)]
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))
