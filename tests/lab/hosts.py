"""The other hosts: Knot with a root and signed zones, an unmodified Postfix, and what starts and stops them."""
import os
import shutil
import signal
import subprocess
import textwrap
import time

from .tap import Failed, wait_for

DNS = "10.77.0.53"
POSTERN = "10.77.0.10"
POSTFIX = "10.77.0.25"
SINK = "10.77.0.26"

_running = []


def stop_all():
    """Whatever a test left running, last started first."""
    while _running:
        _running.pop().stop()


class Process:
    """A child in the foreground whose output goes to a file."""

    def __init__(self, argv, log, env=None):
        self.log = log
        self.argv = argv
        self.child = subprocess.Popen(argv, stdout=open(log, "ab"), stderr=subprocess.STDOUT, env=env,
                                      stdin=subprocess.DEVNULL)
        _running.append(self)

    def stop(self, seconds=10):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self in _running:
            _running.remove(self)

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()


def tool(name):
    for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    raise Failed(f"{name} is not installed")


class Lab:
    """A small internet below one folder. Zones are given as {name: text}; all but those in `unsigned` are signed, and
    each has its DS in its parent."""

    def __init__(self, folder):
        self.folder = folder
        self.zones = {}
        self.unsigned = set()
        self.bogus = set()
        self.knot = None

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def zone(self, name, text, signed=True, bogus=False):
        self.zones[name] = textwrap.dedent(text)
        if not signed:
            self.unsigned.add(name)
        if bogus:
            self.bogus.add(name)

    def standard_zones(self):
        """postern.test and postfix.test, with MX, A and AAAA; and the odd ones."""
        self.zone("postern.test", f"""
            @ MX 10 mx
            mx A {POSTERN}
            """)
        self.zone("postfix.test", f"""
            @ MX 10 mx
            mx A {POSTFIX}
            """)
        self.zone("sink.test", f"""
            @ MX 10 mx
            mx A {SINK}
            two MX 10 dead.sink.test.
            two MX 20 mx
            dead A 10.77.0.99
            implicit A {SINK}
            null MX 0 .
            alias CNAME sink.test.
            empty TXT "neither MX nor address"
            loop MX 10 localhost.sink.test.
            localhost A 127.0.0.1
            """)
        self.zone("plain.test", """
            @ MX 10 mx.sink.test.
            """, signed=False)
        self.zone("bogus.test", """
            @ MX 10 mx.sink.test.
            """, bogus=True)

    # --- DNS ---

    def write_zone(self, name, extra=""):
        origin = name if name.endswith(".") else name + "."
        file = self.path("dns", (name.strip(".") or "root") + ".zone")
        with open(file, "w") as f:
            f.write(f"$ORIGIN {origin}\n$TTL 60\n@ SOA ns.test. admin.test. 1 60 60 86400 60\n@ NS ns.test.\n")
            f.write(self.zones.get(name, "") + extra)
        return file

    def knot_conf(self):
        text = textwrap.dedent(f"""
            server:
                rundir: "{self.path('dns')}"
                listen: [ {DNS}@53, 127.0.0.53@53 ]
                user: root:root
            log:
              - target: stderr
                any: warning
            database:
                storage: "{self.path('dns')}"
            policy:
              - id: lab
                algorithm: ecdsap256sha256
                single-type-signing: on
            template:
              - id: default
                storage: "{self.path('dns')}"
            zone:
            """)
        for name in self.zones:
            file = os.path.join(self.path("dns"), (name.strip(".") or "root") + ".zone")
            text += f"  - domain: \"{name}\"\n    file: \"{file}\"\n"
            if name not in self.unsigned:
                text += "    dnssec-signing: on\n    dnssec-policy: lab\n    zonefile-load: difference\n"
        return text

    def start_knot(self):
        with open(self.path("dns", "knot.conf"), "w") as f:
            f.write(self.knot_conf())
        self.knot = Process([tool("knotd"), "-c", self.path("dns", "knot.conf")], self.path("dns", "knot.log"))

    def keymgr(self, *words):
        return subprocess.run([tool("keymgr"), "-c", self.path("dns", "knot.conf"), *words], check=True,
                              capture_output=True, text=True).stdout

    def start_dns(self):
        """Root, test. and the zones of this lab; delegations and DS records in place; returns when they answer."""
        os.makedirs(self.path("dns"), exist_ok=True)
        leaves = [z for z in self.zones]
        self.zones.setdefault("test", "")
        self.zones.setdefault(".", "")
        with open(self.path("dns", "knot.conf"), "w") as f:
            f.write(self.knot_conf())
        ds = {}
        for name in self.zones:
            if name not in self.unsigned:
                self.keymgr(name, "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes")
                ds[name] = self.keymgr(name, "ds")
        for name in self.bogus:        # a DS for a key that nobody has
            ds[name] = "\n".join(line[:-8] + "00000000" for line in ds[name].splitlines())
        for name in leaves:
            self.write_zone(name)
        self.write_zone("test", f"ns A {DNS}\n" + "".join(
            f"{z}. NS ns.test.\n" + ds.get(z, "") + "\n" for z in leaves))
        self.write_zone(".", f"test. NS ns.test.\nns.test. A {DNS}\n" + ds["test"] + "\n")
        with open(self.path("dns", "anchor"), "w") as f:
            f.write(ds["."])
        with open(self.path("dns", "hints"), "w") as f:
            f.write(f". 3600 NS ns.test.\nns.test. 3600 A {DNS}\n")
        with open(self.path("dns", "resolv.conf"), "w") as f:
            f.write(f"nameserver {DNS}\n")
        subprocess.run(["mount", "--bind", self.path("dns", "resolv.conf"), os.path.realpath("/etc/resolv.conf")], check=True)
        self.start_knot()
        wait_for(lambda: all(self.answers(z) for z in self.zones), "the zones to be signed and served")

    def answers(self, zone):
        """Is the zone served, and signed if it should be?"""
        out = subprocess.run([tool("kdig"), f"@{DNS}", "+dnssec", "+timeout=1", "+retry=0", zone, "SOA"],
                             capture_output=True, text=True).stdout
        return "SOA" in out and (zone in self.unsigned or "RRSIG" in out)

    # --- Postfix as Debian ships it, with an instance of its own ---

    def start_postfix(self, extra=""):
        conf, spool = self.path("postfix", "conf"), self.path("postfix", "spool")
        for folder in ("conf", "spool", "data", "mail"):
            os.makedirs(self.path("postfix", folder), exist_ok=True)
        shutil.copy("/usr/share/postfix/master.cf.dist", os.path.join(conf, "master.cf"))
        self.edit_master_cf(os.path.join(conf, "master.cf"))
        shutil.chown(self.path("postfix", "data"), "postfix")
        for folder in ("", "postfix", "postfix/mail"):
            os.chmod(self.path(folder), 0o755)
        os.chown(self.path("postfix", "mail"), 60999, 60999)
        with open(os.path.join(conf, "main.cf"), "w") as f:
            f.write(textwrap.dedent(f"""
                compatibility_level = 3.6
                queue_directory = {spool}
                data_directory = {self.path("postfix", "data")}
                myhostname = mx.postfix.test
                mydestination =
                inet_interfaces = {POSTFIX}
                inet_protocols = ipv4
                smtp_bind_address = {POSTFIX}
                mynetworks = 10.77.0.0/16
                virtual_mailbox_domains = postfix.test
                virtual_mailbox_base = {self.path("postfix", "mail")}
                virtual_mailbox_maps = static:inbox/
                virtual_uid_maps = static:60999
                virtual_gid_maps = static:60999
                virtual_minimum_uid = 100
                virtual_mailbox_limit = 0
                message_size_limit = 104857600
                alias_maps =
                alias_database =
                local_recipient_maps =
                smtpd_tls_security_level = none
                smtp_tls_security_level = none
                maillog_file = {self.path("postfix", "log")}
                maillog_file_prefixes = {self.folder}
                """) + textwrap.dedent(extra))
        subprocess.run([tool("postfix"), "-c", conf, "set-permissions"], capture_output=True)
        self.postfix = PostfixInstance(conf)

    def edit_master_cf(self, path):
        """Nothing chrooted, and the log service that maillog_file needs."""
        with open(path) as f:
            lines = f.read().splitlines()
        out = []
        for line in lines:
            words = line.split()
            if len(words) >= 8 and not line.startswith(("#", " ")) and words[4] == "y":
                line = " ".join(words[:4] + ["n"] + words[5:])
            out.append(line)
        if not any(line.startswith("postlog") for line in out):
            out.append("postlog unix-dgram n - n - 1 postlogd")
        with open(path, "w") as f:
            f.write("\n".join(out) + "\n")

    def postfix_mail(self):
        """The messages in Postfix's mailbox, as bytes."""
        return maildir(self.path("postfix", "mail", "inbox"))

    # --- Postern ---

    def postern_conf(self, extra=""):
        """Postern as mx.postern.test, validating against this lab's own root, with two local users."""
        return textwrap.dedent(f"""
            hostname = "mx.postern.test"
            uid-base = 64100
            listener "smtp" {{ address = {{"{POSTERN}"}}
                port = 25 }}
            resolver {{ mode = recursive
                root-hints = "{self.path('dns', 'hints')}"
                trust-anchor = "{self.path('dns', 'anchor')}"
                allow-private-servers = yes
                timeout = "5s" }}
            router {{ local-domains = {{"postern.test"}}
                local-users = {{"alice", "bob"}}
                relay-clients = {{"10.77.0.1/32"}} }}
            local {{ users = {{"alice:60001:60001:{self.path('home', 'alice')}", "bob:60002:60002:{self.path('home', 'bob')}"}} }}
            deliver {{ allow-private-hosts = yes
                source = {{"{POSTERN}"}} }}
            """) + textwrap.dedent(extra)

    def make_homes(self):
        os.makedirs(self.path("home"), exist_ok=True)
        for name, uid in (("alice", 60001), ("bob", 60002)):
            os.makedirs(self.path("home", name), exist_ok=True)
            os.chown(self.path("home", name), uid, uid)
            os.chmod(self.path("home", name), 0o700)
        os.chmod(self.path("home"), 0o755)

    def mailbox(self, user):
        return maildir(self.path("home", user, "Maildir"))


class PostfixInstance:
    def __init__(self, conf):
        self.conf = conf
        r = subprocess.run([tool("postfix"), "-c", conf, "start"], capture_output=True, text=True)
        if r.returncode != 0:
            raise Failed("Postfix does not start: " + r.stderr.strip() + log_of(conf))
        _running.append(self)

    def stop(self):
        subprocess.run([tool("postfix"), "-c", self.conf, "stop"], capture_output=True)
        if self in _running:
            _running.remove(self)


def maildir(path):
    """Every message that has arrived in a Maildir, as bytes, oldest first."""
    found = []
    for folder in ("new", "cur"):
        try:
            names = os.listdir(os.path.join(path, folder))
        except FileNotFoundError:
            continue
        for name in names:
            try:
                with open(os.path.join(path, folder, name), "rb") as f:
                    found.append((os.fstat(f.fileno()).st_mtime_ns, f.read()))
            except FileNotFoundError:
                pass
    return [data for _, data in sorted(found)]


def settle(seconds):
    time.sleep(seconds)


def log_of(conf):
    """The end of a Postfix instance's log, for messages about it."""
    try:
        with open(os.path.join(os.path.dirname(conf), "log"), errors="replace") as f:
            return " | " + f.read()[-600:]
    except FileNotFoundError:
        return ""
