"""What the class 4 rows are measured with: one customer, twenty vendors, a million prefixes, half of them in each deck.

All prefixes begin numbers that the generator calls (+49 and ten digits of which the first is 0 to 4). The decks are drawn
from a seed: the same on every host.
"""

import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import candidates

PREFIXES, VENDORS = 1_000_000, 20
# Below this lie the ten digits that the generator calls: the most that it takes.
NUMBERS = (1 << 32) - 1
# So all prefixes are called, in mixed order.
CALLED = ["--first-number", "0", "--numbers", str(NUMBERS)]
# Prices, in millionths a minute.
PRICES = [f"0.{micros:06d}" for micros in range(1_000, 200_000, 7)]
SOURCE = "127.0.0.1/32"
# Never reached here: they are looked at for every call.
CPS, CONCURRENT = 90_000, 1_000_000
BUILD_SECONDS = 300


def prefixes(count=PREFIXES):
    """Codes of seven, eight and nine digits, in their order."""
    last = NUMBERS // 10**5
    codes = [f"49{code:05d}" for code in range(last)]
    codes += [f"49{code:06d}" for code in range(10 * last)]
    step = max(1, 100 * last // max(1, count - len(codes)))
    codes += [f"49{code:07d}" for code in range(0, 100 * last, step)]
    return sorted(codes[:count])


def vendor_rows(vendor, codes):
    """Prefix and price of each row of a vendor's deck: each prefix with a chance of one half."""
    draw = random.Random(vendor)
    taken = draw.getrandbits(len(codes))
    prices = draw.choices(PRICES, k=len(codes))
    bits = bin(taken)[2:].zfill(len(codes))
    return [(code, price) for code, price, bit in zip(codes, prices, bits) if bit == "1"]


class Decks:
    """Decks and their images in a folder of their own: made once, used by all rows of a run."""

    def __init__(self, binary, codes=PREFIXES, vendors=VENDORS):
        self.binary, self.vendors = binary, vendors
        self.folder = Path(tempfile.mkdtemp(prefix="tandem-bench-decks-"))
        self.codes = prefixes(codes)
        for vendor in range(vendors):
            rows = "".join(f"{code},{code[:4]},{price},1/1\n" for code, price in vendor_rows(vendor, self.codes))
            (self.folder / f"vendor{vendor}.csv").write_text("prefix,destination,price,increments\n" + rows)
        (self.folder / "sell.csv").write_text("prefix,destination,price,increments\n49,Germany,0.9,1/1\n")

    def images(self, count=1):
        """Paths of images: the second differs in what the customer pays."""
        paths = []
        for number in range(count):
            path = self.folder / f"decks{number}.image"
            if not path.exists():
                (self.folder / "sell.csv").write_text(f"prefix,destination,price,increments\n49,Germany,0.{9 - number},1/1\n")
                files = [self.folder / "sell.csv", *(self.folder / f"vendor{vendor}.csv" for vendor in range(self.vendors))]
                subprocess.run([self.binary, "deck", "build", "--force", "-o", path, *files], check=True,
                               capture_output=True, timeout=BUILD_SECONDS)
            paths.append(path)
        return paths

    def tables(self, image, offset=0, *, customer=f"cps = {CPS}\nconcurrent = {CONCURRENT}", records=True, vendors=None):
        """TOML of the customer, its vendors (a set of one gateway each) and all decks, to stand before the rest."""
        names = ["sell", *(f"vendor{vendor}" for vendor in range(self.vendors))]
        parts = ['[class4]\nhold_503 = "off"', f'[rating]\nimage = "{image}"']
        parts += [f'[[deck]]\nname = "{name}"\nfile = "{self.folder / name}.csv"\ncurrency = "USD"' for name in names]
        parts.append(f'[[customer]]\nname = "acme"\nsources = ["{SOURCE}"]\nplan = "p"\ndeck = "sell"\n{customer}')
        for vendor in range(vendors or self.vendors):
            gateway = candidates.moved(candidates.GATEWAYS[vendor % len(candidates.GATEWAYS)], offset)
            parts.append(f'[[set]]\nname = "vendor{vendor}"\ngateways = [{{ uri = "sip:{gateway}", name = "gateway{vendor}" }}]')
            parts.append(f'[[vendor]]\nname = "vendor{vendor}"\nset = "vendor{vendor}"\nplans = ["p"]\n'
                         f'deck = "vendor{vendor}"\ncps = {CPS}\nconcurrent = {CONCURRENT}')
        # WHY: the set that other rows use has to be reached by somebody.
        parts.append('[[route]]\nset = "carriers"')
        if records:
            parts.append('[records]\nwhen_full = "refuse"')
        return "\n".join(parts) + "\n"

    def kamailio(self, folder):
        """The same for Kamailio as a folder of dbtext: a rule for each prefix with its vendors in the order of price."""
        cheapest = {}
        for vendor in range(self.vendors):
            for code, price in vendor_rows(vendor, self.codes):
                cheapest.setdefault(code, []).append((price, vendor + 1))
        folder.mkdir(exist_ok=True)
        tables = {
            "version": ["table_name(string) table_version(int)", "address:6", "trusted:6", "dr_gateways:3", "dr_rules:3", "dr_gw_lists:1",
                        "pl_pipes:1", "dialog:7", "acc:5", "missed_calls:4"],
            "address": ["id(int) grp(int) ip_addr(string) mask(int) port(int) tag(string,null)", "1:1:127.0.0.1:32:0:acme"],
            "trusted": ["id(int) src_ip(string) proto(string) from_pattern(string,null) ruri_pattern(string,null) tag(string,null) "
                        "priority(int)"],
            "dr_gateways": ["gwid(int) type(int) address(string) strip(int) pri_prefix(string,null) attrs(string,null) "
                            "description(string)"],
            "dr_rules": ["ruleid(int) groupid(string) prefix(string) timerec(string) priority(int) routeid(string) "
                         "gwlist(string) description(string)"],
            "dr_gw_lists": ["id(int) gwlist(string) description(string)"],
            "pl_pipes": ["id(int) pipeid(string) algorithm(string) plimit(int)", f"1:acme:taildrop:{CPS}"],
        }
        for vendor in range(self.vendors):
            gateway = candidates.GATEWAYS[vendor % len(candidates.GATEWAYS)].replace(":", "\\:")
            tables["dr_gateways"].append(f"{vendor + 1}:0:{gateway}:0::vendor{vendor}:vendor{vendor}")
        for number, (code, offers) in enumerate(sorted(cheapest.items()), 1):
            gateways = ",".join(str(vendor) for _, vendor in sorted(offers))
            tables["dr_rules"].append(f"{number}:1:{code}:|:0:0:{gateways}:r")
        for name, lines in tables.items():
            (folder / name).write_text("\n".join(lines) + "\n")

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def decks_of(bench):
    """The decks of this run of the harness, made when they are first needed."""
    if not hasattr(bench, "decks"):
        import atexit
        bench.say("decks of 20 vendors over 1,000,000 prefixes")
        os.sched_setaffinity(0, {bench.settings.target_core, bench.settings.generator_core})
        bench.decks = Decks(bench.settings.release / "tandem")
        atexit.register(bench.decks.remove)
    return bench.decks
