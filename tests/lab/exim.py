"""An unmodified Exim as Debian ships it, in a root of its own."""
import os
import textwrap

from . import net
from .client import Client
from .maildir import maildir
from .roots import Root
from .tap import Failed, wait_for

USER, UID = "Debian-exim", 61101
EXIM = "10.77.0.28"


class Exim:
    """mx.DOMAIN on the host with this address: takes mail for DOMAIN into one Maildir, and relays for 10.77.0.0/16."""

    def __init__(self, lab, address=EXIM, domain="exim.test"):
        self.host = net.host(address)
        self.base = lab.path("exim")
        self.root = Root(lab, "exim4-daemon-light", {USER: UID})
        os.makedirs(os.path.join(self.base, "mail"))
        for folder in (self.base, os.path.join(self.base, "mail")):
            os.chown(folder, UID, UID)
        for folder in ("var/spool/exim4", "var/log/exim4"):
            os.makedirs(self.root.inside(folder), exist_ok=True)
            os.chown(self.root.inside(folder), UID, UID)
        self.root.write("etc/exim4/exim4.conf", textwrap.dedent(f"""
            primary_hostname = mx.{domain}
            domainlist local_domains = {domain}
            hostlist relay_hosts = 10.77.0.0/16
            local_interfaces = {address}
            daemon_smtp_ports = 25
            tls_advertise_hosts =
            host_lookup =
            rfc1413_query_timeout = 0s
            acl_smtp_rcpt = accept_ours
            log_file_path = {self.base}/%slog
            keep_environment =
            message_size_limit = 100M
            smtp_accept_max = 200
            qualify_domain = {domain}
            begin acl
            accept_ours:
              accept hosts = +relay_hosts
              accept domains = +local_domains
              deny message = relay not permitted
            begin routers
            here:
              driver = accept
              domains = +local_domains
              transport = maildir
            away:
              driver = dnslookup
              domains = ! +local_domains
              transport = smtp
              no_more
            begin transports
            smtp:
              driver = smtp
              interface = {address}
            maildir:
              driver = appendfile
              directory = {self.base}/mail
              maildir_format
              user = {USER}
              group = {USER}
            begin retry
            * * F,1d,1s
            """), mode=0o640)
        os.chown(self.root.inside("etc/exim4/exim4.conf"), 0, UID)
        self.log_file = os.path.join(self.base, "output")
        self.process = self.root.start(["/usr/sbin/exim4", "-bdf", "-q1s"], self.log_file, self.host)
        wait_for(lambda: answers(address, self.process), lambda: f"Exim to answer; it said: {self.log()[-500:]}", 30)

    def mail(self):
        """The messages in its mailbox, as bytes."""
        return maildir(os.path.join(self.base, "mail"))

    def log(self):
        text = ""
        for path in (self.log_file, os.path.join(self.base, "mainlog"), os.path.join(self.base, "paniclog")):
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()
        return text.replace("\n", " | ")


def answers(address, process):
    """Does a server greet there? It fails at once when its process has ended."""
    if process.child.poll() is not None:
        raise Failed(f"expected {process.argv[2]} to run, and it ended with {process.child.returncode}: "
                     + process.output().strip().replace("\n", " | ")[-400:])
    try:
        with Client(address, timeout=10):
            return True
    except (OSError, EOFError):
        return False
