"""The calling side of one call, step by step: what a UAC keeps of a dialog (RFC 3261 §12.1.2) and how it goes on."""

from . import sip


class Call:
    """One call from `endpoint` to `proxy`; each step sends one message or waits for one."""

    def __init__(self, endpoint, proxy, user="15551234", **more):
        self.endpoint, self.proxy = endpoint, proxy
        self.call_id, self.from_tag = sip.token(16), sip.token()
        self.uri = f"sip:{user}@{sip.hostport(proxy)}"
        self.more = more
        self.cseq = 0
        self.to_tag = None
        self.remote_target = self.uri
        self.route = []
        self.sent = None

    def request(self, method, cseq=None, **more):
        """Sends a request of this call; in a dialog, along its route set."""
        if cseq is None:
            self.cseq += 1
        made = sip.request(
            method, self.remote_target if self.to_tag else self.uri, self.endpoint.address, to=self.uri,
            call_id=self.call_id, from_tag=self.from_tag, to_tag=self.to_tag, cseq=cseq or self.cseq,
            **{"route": self.route, **self.more, **more},
        )
        self.endpoint.send(made, self.proxy)
        return made

    def invite(self, **more):
        self.sent = self.request("INVITE", body=sip.SDP, **more)
        return self.sent

    def again(self):
        """The INVITE retransmitted, byte for byte."""
        self.endpoint.send(self.sent, self.proxy)

    def expect(self, status, method="INVITE", within=3.0, **more):
        """The next response of this call, 100 passed over unless wanted; a 2xx to INVITE sets up the dialog."""
        packet = self.endpoint.expect(method, status, within, call_id=self.call_id, **more)
        if method == "INVITE" and 101 <= status < 300 and packet.message.to_tag:
            self.adopt(packet.message)
        return packet

    def adopt(self, answer):
        """Takes route set, remote target and tag from a response (RFC 3261 §12.1.2)."""
        self.to_tag = answer.to_tag
        self.route = list(reversed(answer.all("record-route")))
        if answer.get("contact"):
            self.remote_target = sip.uri_of(answer.get("contact"))

    def ack(self, **more):
        """The ACK of a 2xx: a new branch, along the route set."""
        return self.request("ACK", cseq=self.sent_cseq(), contact=False, **more)

    def ack_failure(self, packet):
        """The ACK of a final response above 299: same branch, Request-URI and Route as the INVITE (§17.1.1.3)."""
        made = sip.request(
            "ACK", self.sent.request_uri, self.endpoint.address, to=self.uri, call_id=self.call_id,
            from_tag=self.from_tag, to_tag=packet.message.to_tag, cseq=self.sent_cseq(), contact=False,
            branch=self.sent.branch, route=self.sent.all("route"),
        )
        self.endpoint.send(made, self.proxy)

    def cancel(self, **more):
        """CANCEL of the INVITE (§9.1): its branch, its Request-URI, its To without tag."""
        made = sip.request(
            "CANCEL", self.sent.request_uri, self.endpoint.address, to=self.uri, call_id=self.call_id,
            from_tag=self.from_tag, cseq=self.sent_cseq(), contact=False,
            **{"branch": self.sent.branch, "route": self.sent.all("route"), **more},
        )
        self.endpoint.send(made, self.proxy)
        return made

    def bye(self, **more):
        return self.request("BYE", contact=False, **more)

    def sent_cseq(self):
        return int(self.sent.get("cseq").split()[0])

    def complete(self, gateway, within=3.0):
        """The whole of a plain call with a scenario-driven gateway; returns its INVITE and its BYE as they arrived."""
        self.invite()
        invite = gateway.expect("INVITE", within=within)
        gateway.reply(invite, 180)
        self.expect(180)
        gateway.reply(invite, 200, body=sip.SDP)
        self.expect(200)
        self.ack()
        gateway.expect("ACK")
        self.bye()
        bye = gateway.expect("BYE")
        gateway.reply(bye, 200)
        self.expect(200, "BYE")
        return invite, bye
