"""The name service: a root, test. and signed zones below it, by Knot."""
import os
import subprocess
import textwrap

from . import net
from .process import Process, tool
from .tap import wait_for

DNS = "10.77.0.53"


class Names:
    """Zones are given one by one; all but those marked so are signed, and each has its DS in its parent."""

    def __init__(self, folder):
        self.folder = folder
        self.zones = {}             # name: text
        self.unsigned = set()
        self.bogus = set()
        self.delegated = {}         # name: [(name server below it, its address)] of zones that somebody else serves
        self.knot = None

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def zone(self, name, text, signed=True, bogus=False):
        self.zones[name] = textwrap.dedent(text)
        if not signed:
            self.unsigned.add(name)
        if bogus:
            self.bogus.add(name)

    def write_zone(self, name, extra=""):
        origin = name if name.endswith(".") else name + "."
        with open(self.zone_file(name), "w") as f:
            f.write(f"$ORIGIN {origin}\n$TTL 60\n@ SOA ns.test. admin.test. 1 60 60 86400 60\n@ NS ns.test.\n")
            f.write(self.zones.get(name, "") + extra)

    def zone_file(self, name):
        return self.path((name.strip(".") or "root") + ".zone")

    def conf(self):
        text = textwrap.dedent(f"""
            server:
                rundir: "{self.folder}"
                listen: [ {DNS}@53 ]
                user: root:root
                tcp-workers: 1
                udp-workers: 1
                background-workers: 1
            log:
              - target: stderr
                any: warning
            database:
                storage: "{self.folder}"
            policy:
              - id: lab
                algorithm: ecdsap256sha256
                single-type-signing: on
            template:
              - id: default
                storage: "{self.folder}"
            zone:
            """)
        for name in self.zones:
            text += f"  - domain: \"{name}\"\n    file: \"{self.zone_file(name)}\"\n"
            if name not in self.unsigned:
                text += "    dnssec-signing: on\n    dnssec-policy: lab\n    zonefile-load: difference\n"
        return text

    def start_knot(self):
        with open(self.path("knot.conf"), "w") as f:
            f.write(self.conf())
        self.knot = Process([tool("knotd"), "-c", self.path("knot.conf")], self.path("knot.log"), host=net.host(DNS))

    def keymgr(self, *words):
        return subprocess.run([tool("keymgr"), "-c", self.path("knot.conf"), *words], check=True,
                              capture_output=True, text=True).stdout

    def start(self):
        """Root, test. and the zones; delegations and DS records in place; returns when they answer."""
        os.makedirs(self.folder, exist_ok=True)
        leaves = [z for z in self.zones]
        self.zones.setdefault("test", "")
        self.zones.setdefault(".", "")
        with open(self.path("knot.conf"), "w") as f:
            f.write(self.conf())
        ds = {}
        for name in self.zones:
            if name not in self.unsigned:
                self.keymgr(name, "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes")
                ds[name] = self.keymgr(name, "ds")
        for name in self.bogus:        # a DS for a key that nobody has
            ds[name] = "\n".join(line[:-8] + "00000000" for line in ds[name].splitlines())
        for name in leaves:
            self.write_zone(name)
        text = f"ns A {DNS}\n" + "".join(f"{z}. NS ns.test.\n" + ds.get(z, "") + "\n" for z in leaves)
        root = f"test. NS ns.test.\nns.test. A {DNS}\n" + ds["test"] + "\n"
        for name, servers in self.delegated.items():
            there = "".join(f"{name}. NS {server}.\n{server}. A {address}\n" for server, address in servers)
            if name.endswith(".test"):
                text += there
            else:
                root += there
        self.write_zone("test", text)
        self.write_zone(".", root)
        self.write("anchor", ds["."])
        self.write("hints", f". 3600 NS ns.test.\nns.test. 3600 A {DNS}\n")
        self.write("resolv.conf", f"nameserver {DNS}\n")
        subprocess.run(["mount", "--bind", self.path("resolv.conf"), os.path.realpath("/etc/resolv.conf")], check=True)
        self.start_knot()
        wait_for(lambda: all(self.answers(z) for z in self.zones), "the zones to be signed and served")

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def answers(self, zone):
        """Is the zone served, and signed if it should be?"""
        out = subprocess.run([tool("kdig"), f"@{DNS}", "+dnssec", "+timeout=1", "+retry=0", zone, "SOA"],
                             capture_output=True, text=True).stdout
        return "SOA" in out and (zone in self.unsigned or "RRSIG" in out)
