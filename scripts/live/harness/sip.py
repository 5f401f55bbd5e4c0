"""Just enough SIP to speak for a peer: messages as lines, kept in their order, and what RFC 3261 builds from them."""

import random
import re

REASONS = {
    100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily",
    401: "Unauthorized", 404: "Not Found", 408: "Request Timeout", 486: "Busy Here",
    487: "Request Terminated", 488: "Not Acceptable Here", 500: "Server Internal Error",
    503: "Service Unavailable", 600: "Busy Everywhere", 603: "Decline",
}
COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"


def token(length=10):
    return "".join(random.choices("abcdefghijkmnpqrstuvwxyz23456789", k=length))


def hostport(address):
    """`host:port` as a URI writes it, IPv6 in brackets."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def address_of(uri):
    """The (host, port) that a SIP URI or name-addr names."""
    found = re.search(r"sips?:(?:[^@>;]*@)?(\[[^\]]+\]|[^:;>?\s]+)(?::(\d+))?", uri)
    if not found:
        raise ValueError(f"no SIP URI in {uri!r}")
    return found[1].strip("[]"), int(found[2] or 5060)


def uri_of(value):
    """The URI of a name-addr or addr-spec, without header parameters."""
    found = re.search(r"<([^>]*)>", value)
    return found[1] if found else value.split(";")[0].strip()


def parameter(value, name):
    """A header parameter's value, or None."""
    found = re.search(rf";\s*{name}\s*=\s*([^;,\s>]+)", value, re.IGNORECASE)
    return found[1] if found else None


def split_values(value):
    """Several values of one header line, split at commas outside quotes and angle brackets."""
    return [part.strip() for part in re.findall(r'(?:"(?:\\.|[^"\\])*"|<[^>]*>|[^,"<])+', value) if part.strip()]


class Message:
    """A request or a response. `headers` is a list of [name, value] that may be edited in place."""

    def __init__(self, start, headers, body=b""):
        self.start, self.headers, self.body = start, headers, body

    @classmethod
    def parse(cls, data):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape")).split("\r\n")
        headers = [[name.strip(), value.strip()] for name, _, value in (line.partition(":") for line in lines[1:])]
        return cls(lines[0], headers, body)

    def encode(self):
        lines = [self.start] + [f"{name}: {value}" for name, value in self.headers if name.lower() != "content-length"]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + self.body

    def all(self, name):
        """Every value of a header, several on one line split."""
        wanted = name.lower()
        values = [value for key, value in self.headers if COMPACT.get(key.lower(), key.lower()) == wanted]
        if wanted in ("via", "route", "record-route", "contact"):
            return [one for value in values for one in split_values(value)]
        return values

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None

    @property
    def is_request(self):
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self):
        """The method: of the start line, or of CSeq in a response."""
        return self.start.split(" ")[0] if self.is_request else self.get("cseq").split()[1]

    @property
    def request_uri(self):
        return self.start.split(" ")[1]

    @property
    def status(self):
        return None if self.is_request else int(self.start.split(" ")[1])

    @property
    def call_id(self):
        return self.get("call-id")

    @property
    def branch(self):
        return parameter(self.get("via") or "", "branch")

    @property
    def to_tag(self):
        return parameter(self.get("to") or "", "tag")

    @property
    def from_tag(self):
        return parameter(self.get("from") or "", "tag")

    def __str__(self):
        return self.start


def response(request, status, to_tag=None, contact=None, body=b"", headers=()):
    """The answer of a UAS to `request` (RFC 3261 §8.2.6): Via, From, To, Call-ID, CSeq and Record-Route copied."""
    lines = []
    for name, value in request.headers:
        full = COMPACT.get(name.lower(), name.lower())
        if full == "to" and to_tag and not parameter(value, "tag"):
            value = f"{value};tag={to_tag}"
        if full in ("via", "from", "to", "call-id", "cseq", "record-route"):
            lines.append([name, value])
    if contact:
        lines.append(["Contact", f"<sip:{hostport(contact)}>"])
    lines.extend([name, value] for name, value in headers)
    if body:
        lines.append(["Content-Type", "application/sdp"])
    return Message(f"SIP/2.0 {status} {REASONS.get(status, 'Whatever')}", lines, body)


def request(method, uri, local, *, call_id=None, cseq=1, from_tag=None, to=None, to_tag=None, branch=None,
            route=(), contact=True, headers=(), body=b"", max_forwards=70, caller="caller"):
    """A request as a UA at address `local` writes it."""
    to = to or uri
    lines = [
        ["Via", f"SIP/2.0/UDP {hostport(local)};rport;branch={branch or 'z9hG4bK' + token()}"],
        ["Max-Forwards", str(max_forwards)],
        *(["Route", value] for value in route),
        ["From", f"<sip:{caller}@{hostport(local)}>;tag={from_tag or token()}"],
        ["To", f"<{to}>" + (f";tag={to_tag}" if to_tag else "")],
        ["Call-ID", call_id or token(16)],
        ["CSeq", f"{cseq} {method}"],
    ]
    if contact:
        lines.append(["Contact", f"<sip:caller@{hostport(local)}>"])
    lines.extend([name, value] for name, value in headers)
    if body:
        lines.append(["Content-Type", "application/sdp"])
    return Message(f"{method} {uri} SIP/2.0", lines, body)
