"""`tandem shadow`: a candidate beside live traffic, held against sums made by hand, through a reload and a kill, into service."""

import signal

from harness import config
from harness.processes import wait_until
from harness.registry import expect, scenario
from scenarios.class4 import NUMBER, build
from scenarios.records import carrier, wait_calls

HUNDRED_THOUSANDTHS = 100_000


def deck(scene, name, price):
    """A deck file as a vendor would send it anew."""
    file = scene.folder / f"{name}-new.csv"
    file.write_text(f"prefix,destination,price\n49,Germany,{price}\n")
    return file


class Stage:
    """Tandem with two vendors that answer, the first one cheaper, and their records."""

    def __init__(self, scene):
        self.scene = scene
        build(scene, sell="0.06", cheap="0.012", dear="0.03")
        self.gateways = {"cheap": scene.gateway(1), "dear": scene.gateway(2)}
        sets = [config.gateway_set(name, [gateway.address]) for name, gateway in self.gateways.items()]
        customers = [{"name": "acme", "sources": [scene.caller_address(number)[0] for number in (1, 2, 3)]}]
        self.proxy = carrier(scene, sets, customers)
        self.placed = 0

    def calls(self, count, number):
        """So many calls, recorded."""
        self.scene.caller(self.proxy.address, calls=count, rate=100, number=number, words=[*NUMBER, "-d", "100"]).finish(15)
        self.placed += count
        return wait_calls(self.proxy, self.placed)

    def refused(self, text, *words):
        """A command that is refused, and says so."""
        code, out, err = self.proxy.control("shadow", *words)
        expect(code != 0 and text in out + err, f"`shadow {words}` ended with {code}: {out}{err}")

    def judged(self, calls, proxy=None):
        """The shadow, once it has judged so many calls."""
        told = lambda: (proxy or self.proxy).ask("shadow", "status")
        wait_until(lambda: told()["outcome"]["all"]["before"]["calls"] == calls, 5, lambda: f"{calls} calls judged: {told()}")
        return told()


@scenario(programs=("sipp",), seconds=40)
def shadow_beside_live_calls(scene):
    """A cheaper deck in the shadow: who would have had the calls, at which margin, over a reload and kill -9; then it is promoted."""
    stage = Stage(scene)
    proxy = stage.proxy
    stage.calls(5, 1)
    expect(proxy.ask("shadow")["state"] == "empty", "nothing is in the shadow")
    stage.refused("nothing is in the shadow", "promote")
    stage.refused("nothing is in the shadow", "drop")
    stage.refused("No such file", scene.folder / "none.csv")
    new = deck(scene, "dear", "0.0075")
    stage.refused("Give --deck, one of sell, cheap, dear", new)
    stage.refused("refused unless forced", new, "--deck", "dear")
    empty = scene.folder / "image.toml"
    empty.write_text(config.text_of({**proxy.tree, "rating": {"image": str(scene.folder / "none.image")}}))
    stage.refused("none.image", empty)

    expect(proxy.ask("shadow", new, "--deck", "dear", "--force")["state"] == "evaluating", "the deck is in the shadow")
    recorded = stage.calls(20, 2)[-20:]
    told = stage.judged(20)
    (change,) = told["outcome"]["changes"]
    before, after = change["calls"]["before"], change["calls"]["after"]
    seconds = sum(call["buy_billed_seconds"] for call in recorded)
    expect((change["from"], change["to"], before["calls"], after["answered"]) == ("cheap", "dear", 20, 20), str(change))
    sums = [[round(float(side[name]) * HUNDRED_THOUSANDTHS) for side in (before, after)] for name in ("cost", "margin")]
    # A call of a second: 0.0002 or 0.000125 of 0.001.
    expect(sums == [[round(20 * seconds), round(12.5 * seconds)], [round(80 * seconds), round(87.5 * seconds)]], f"{seconds} s: {change}")
    rates = [float(told[f"margin_an_hour_{side}"]) for side in ("before", "after")]
    expect(0 < rates[0] < rates[1], f"margins an hour {rates}")
    code, out, err = proxy.control("shadow", "status")
    expect(code == 0 and "margin an hour" in out and "Germany" in out, f"{out}{err}")

    # A reload and a kill leave it there; what was judged is judged again.
    code, out, err = proxy.reload()
    expect(code == 0 and stage.judged(20)["state"] == "evaluating", f"reload: {out}{err}")
    proxy.signal(signal.SIGKILL)
    proxy.wait(5)
    proxy = stage.proxy = scene.tandem(tree=proxy.tree, name="again")
    again = stage.judged(20)
    expect(again["outcome"]["changes"] == told["outcome"]["changes"] and again["since"] == told["since"], str(again))

    promoted = proxy.ask("shadow", "promote")
    expect(promoted["reload"]["changed"] and proxy.ask("shadow")["state"] == "empty", str(promoted))
    had = stage.gateways["cheap"].wait_calls(25)
    stage.calls(10, 3)
    expect(stage.gateways["dear"].wait_calls(10) == 10 and stage.gateways["cheap"].calls() == had, "calls go to the deck that was promoted")
    image = scene.folder / "decks.image"
    expect(image.with_name("decks.image.before").exists() and not image.with_name("decks.image.shadow").exists(), "files are in place")
    code, out, err = proxy.reload()
    expect(code == 0 and "nothing changed" in out, f"a reload finds what is in service: {out}{err}")

    # The image before is a candidate like any other; a whole configuration too.
    expect(proxy.ask("shadow", image.with_name("decks.image.before"))["kind"] == "image", "an image goes there")
    tree = {**proxy.tree, "customer": [{**proxy.tree["customer"][0], "margin_percent": 90}]}
    other = scene.folder / "other.toml"
    other.write_text(config.text_of(tree))
    expect(proxy.ask("shadow", other)["kind"] == "configuration", "the later one takes its place")
    other.write_text(config.text_of({**tree, "log": {"level": "debug"}}))
    stage.refused("not what was evaluated any more", "promote")
    other.write_text(config.text_of(tree))
    expect(proxy.ask("shadow", "promote")["in_place"] is not None, "the configuration is promoted")
    expect(proxy.file.read_text() == other.read_text() and proxy.running(), "the file in service is the promoted one")
    proxy.ask("shadow", other)
    expect(proxy.ask("shadow", "drop")["path"] == str(other) and proxy.ask("shadow")["state"] == "empty", "it is dropped")
