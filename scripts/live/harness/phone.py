"""A phone, driven step by step: a user of a domain who registers and calls from one UDP address."""

import hashlib
import re

from . import sip
from .call import Call
from .endpoint import Endpoint
from .registry import expect


class Phone(Endpoint):
    """An endpoint that is `user` of `domain` and sends everything to `proxy`; its password may be of another `account`."""

    def __init__(self, address, user, domain, proxy, password=None, account=None):
        super().__init__(address)
        self.user, self.domain, self.proxy, self.password = user, domain, proxy, password
        self.account = account or user
        self.register_id, self.cseq = sip.token(16), 0

    def identity(self, user=None):
        return f"sip:{user or self.user}@{self.domain}"

    def contact(self):
        return f"sip:{self.user}@{sip.hostport(self.address)}"

    def send(self, message, to):
        """Its requests are its user's."""
        if isinstance(message, sip.Message) and message.is_request:
            for line in message.headers:
                if line[0] in ("From", "Contact"):
                    line[1] = line[1].replace(f"sip:caller@{sip.hostport(self.address)}",
                                              self.identity() if line[0] == "From" else self.contact())
        return super().send(message, to)

    def ask(self, method, uri, status, **more):
        """Sends a request outside any dialog and takes its answer; with a password after a challenge."""
        more = {"call_id": sip.token(16), "from_tag": sip.token(), "cseq": 1, "headers": (), **more}
        self.send(sip.request(method, uri, self.address, **more), self.proxy)
        if self.password:
            challenge = self.expect(method, 401 if method == "REGISTER" else 407, call_id=more["call_id"]).message
            more.update(headers=[*more["headers"], self.proof(challenge, method, uri)], cseq=more["cseq"] + 1)
            self.send(sip.request(method, uri, self.address, **more), self.proxy)
        return self.expect(method, status, call_id=more["call_id"]).message

    def proof(self, challenge, method, uri):
        """The header line that answers a challenge (RFC 3261 §22.4: MD5, qop auth)."""
        asked = challenge.get("proxy-authenticate") or challenge.get("www-authenticate")
        realm, nonce = (re.search(rf'{name}="([^"]*)"', asked)[1] for name in ("realm", "nonce"))
        digest = lambda text: hashlib.md5(text.encode()).hexdigest()
        secret, what = digest(f"{self.account}:{realm}:{self.password}"), digest(f"{method}:{uri}")
        response = digest(f"{secret}:{nonce}:00000001:abc:auth:{what}")
        return [
            "Proxy-Authorization" if challenge.status == 407 else "Authorization",
            f'Digest username="{self.account}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", '
            'algorithm=MD5, qop=auth, nc=00000001, cnonce="abc"',
        ]

    def register(self, expires=300):
        """Registers; the 200 lists this very contact."""
        self.cseq += 2
        answer = self.ask(
            "REGISTER", f"sip:{self.domain}", 200, to=self.identity(), call_id=self.register_id, cseq=self.cseq,
            headers=[["Expires", str(expires)]],
        )
        found = [sip.uri_of(one) for one in answer.all("contact")]
        expect((self.contact() in found) == (expires > 0), f"{self.contact()} registered, and the 200 lists {found}")
        return answer

    def call(self, user):
        """A call to a user or number of the domain, not begun yet."""
        call = Call(self, self.proxy)
        call.uri = call.remote_target = self.identity(user)
        return call
