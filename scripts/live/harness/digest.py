"""A phone that proves who it is by digest (RFC 7616), step by step or at once."""

import hashlib
import re
import time

from . import sip
from .registry import Failed

HASHES = {
    "MD5": hashlib.md5,
    "SHA-256": hashlib.sha256,
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data),
}


def digest(algorithm, *parts):
    return HASHES[algorithm](":".join(parts).encode()).hexdigest()


def challenge_of(message):
    """The parameters of the first challenge of a 401 or 407."""
    value = message.get("www-authenticate") or message.get("proxy-authenticate")
    return {name.lower(): quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', value)}


class Phone:
    """One user at one address. Keeps its challenge and counts how often the nonce was used, as phones do."""

    def __init__(self, endpoint, proxy, user, password, domain="example.com"):
        self.endpoint, self.proxy, self.user, self.password, self.domain = endpoint, proxy, user, password, domain
        self.challenge, self.count, self.cseq, self.call_id = None, 0, 0, sip.token()

    def request(self, method="REGISTER", to=None, credentials=True, headers=()):
        """A request of this user; with credentials once it was challenged."""
        self.cseq += 1
        uri = f"sip:{self.domain}" if method == "REGISTER" else (to or f"sip:echo@{self.domain}")
        made = sip.request(method, uri, self.endpoint.address, to=to or f"sip:{self.user}@{self.domain}",
                           call_id=self.call_id, cseq=self.cseq, headers=headers)
        for line in made.headers:
            if line[0] == "From":
                line[1] = f"<sip:{self.user}@{self.domain}>;tag={sip.parameter(line[1], 'tag') or 'f'}"
        if credentials and self.challenge:
            name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
            made.headers.append([name, self.credentials(method, uri)])
        return made

    def credentials(self, method, uri):
        self.count += 1
        given, nc, cnonce = self.challenge, f"{self.count:08x}", "0a4f113b"
        algorithm = given.get("algorithm", "MD5")
        ha1 = digest(algorithm, self.user, given["realm"], self.password)
        response = digest(algorithm, ha1, given["nonce"], nc, cnonce, "auth", digest(algorithm, method, uri))
        return (
            f'Digest username="{self.user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{uri}", '
            f'response="{response}", algorithm={algorithm}, cnonce="{cnonce}", qop=auth, nc={nc}'
        )

    def answer(self, made, within=4.0):
        """Sends a request and returns the final response to it; None if there is none."""
        self.endpoint.send(made, self.proxy)
        deadline = time.monotonic() + within
        while (packet := self.endpoint.receive(max(0.0, deadline - time.monotonic()))) is not None:
            message = packet.message
            if message.status and message.status >= 200 and message.call_id == self.call_id:
                if int(message.get("cseq").split()[0]) == self.cseq:
                    return message
        return None

    def once(self, method="REGISTER", within=4.0, **more):
        """One request and its status (None: no answer); a challenge is kept."""
        message = self.answer(self.request(method, **more), within)
        if message is not None and message.status in (401, 407):
            self.challenge, self.count = challenge_of(message), 0
        return message.status if message is not None else None

    def register(self, within=4.0):
        """As a phone does it: a second time when it is challenged. The last status."""
        status = self.once(within=within)
        return self.once(within=within) if status in (401, 407) else status

    def must_register(self, what=""):
        status = self.register()
        if status != 200:
            raise Failed(f"{self.user} got {status} instead of 200 {what}")
