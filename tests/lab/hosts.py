"""The laboratory's usual world: who has which address, which zones there are, and what stands on which host."""
import os
import textwrap

from . import net
from .dns import DNS, Names                              # noqa: F401 (DNS is for scenarios)
from .maildir import maildir
from .postfix import Postfix
from .process import Process, stop_all, tool             # noqa: F401 (for scenarios)

POSTERN = "10.77.0.10"
SECOND = "10.77.0.11"
POSTFIX = "10.77.0.25"
SINK = "10.77.0.26"


class Lab:
    """A small internet below one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.names = Names(self.path("dns"))
        self.postfix = None
        self.posterns = []

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def host(self, address):
        return net.host(address)

    def zone(self, name, text, signed=True, bogus=False):
        self.names.zone(name, text, signed, bogus)

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

    def start_dns(self):
        self.names.start()

    def start_knot(self):
        self.names.start_knot()

    @property
    def knot(self):
        return self.names.knot

    # --- Postfix ---

    def start_postfix(self, extra=""):
        self.postfix = Postfix(self, POSTFIX, extra=extra)

    def postfix_mail(self):
        """The messages in Postfix's mailbox, as bytes."""
        return self.postfix.mail()

    # --- Postern ---

    def postern_conf(self, extra="", domain="postern.test", address=POSTERN, uid_base=64100):
        """Postern as mx.DOMAIN, validating against this lab's own root, with two local users."""
        return textwrap.dedent(f"""
            hostname = "mx.{domain}"
            uid-base = {uid_base}
            listener "smtp" {{ address = {{"{address}"}}
                port = 25 }}
            resolver {{ mode = recursive
                root-hints = "{self.path('dns', 'hints')}"
                trust-anchor = "{self.path('dns', 'anchor')}"
                allow-private-servers = yes
                timeout = "5s" }}
            router {{ local-domains = {{"{domain}"}}
                local-users = {{"alice", "bob"}}
                relay-clients = {{"10.77.0.1/32"}} }}
            local {{ users = {{"alice:60001:60001:{self.home(domain, 'alice')}", "bob:60002:60002:{self.home(domain, 'bob')}"}} }}
            deliver {{ allow-private-hosts = yes
                source = {{"{address}"}} }}
            """) + textwrap.dedent(extra)

    def home(self, domain, user):
        return self.path("home", user) if domain == "postern.test" else self.path("home", domain, user)

    def make_homes(self, domain="postern.test"):
        for name, uid in (("alice", 60001), ("bob", 60002)):
            home = self.home(domain, name)
            os.makedirs(home, exist_ok=True)
            os.chown(home, uid, uid)
            os.chmod(home, 0o700)
            os.chmod(os.path.dirname(home), 0o755)
        os.chmod(self.path("home"), 0o755)

    def mailbox(self, user, domain="postern.test"):
        return maildir(os.path.join(self.home(domain, user), "Maildir"))
