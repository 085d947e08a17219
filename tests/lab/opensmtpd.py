"""An unmodified OpenSMTPD as Debian ships it, in a root of its own."""
import os
import textwrap

from . import net
from .exim import answers
from .maildir import maildir
from .roots import Root
from .tap import wait_for

OPENSMTPD = "10.77.0.29"
BOX, BOX_UID = "inbox", 61104


class OpenSMTPD:
    """mx.DOMAIN on the host with this address: takes mail for inbox@DOMAIN into one Maildir, and relays for 10.77.0.0/16."""

    def __init__(self, lab, address=OPENSMTPD, domain="opensmtpd.test"):
        self.host = net.host(address)
        self.base = lab.path("opensmtpd")
        self.root = Root(lab, "opensmtpd", {"opensmtpd": 61102, "opensmtpq": 61103}, extra_programs=["/usr/bin/mkdir"])
        self.root.add("etc/passwd", f"{BOX}:x:{BOX_UID}:{BOX_UID}::{self.base}:/bin/sh\n")
        self.root.add("etc/group", f"{BOX}:x:{BOX_UID}:\n")
        os.makedirs(self.base)
        os.chown(self.base, BOX_UID, BOX_UID)
        for folder in ("run/opensmtpd", "run/opensmtpd/empty", "var/lib/opensmtpd/empty", "var/empty"):
            os.makedirs(self.root.inside(folder), exist_ok=True)
        os.makedirs(self.root.inside("var/spool/smtpd"), exist_ok=True)
        os.chmod(self.root.inside("var/spool/smtpd"), 0o711)
        self.root.write("etc/smtpd.conf", textwrap.dedent(f"""
            smtp max-message-size 100M
            queue ttl 1d
            listen on {address} hostname mx.{domain}
            table sources {{ {address} }}
            action "box" maildir "{self.base}/Maildir"
            action "away" relay src <sources> helo mx.{domain}
            match from any for domain "{domain}" action "box"
            match from src 10.77.0.0/16 for any action "away"
            match for any action "away"
            """))
        self.root.write("etc/mailname", f"mx.{domain}\n")
        self.log_file = lab.path("opensmtpd.log")
        self.process = self.root.start(["/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf"], self.log_file, self.host)
        wait_for(lambda: answers(address, self.process), lambda: f"OpenSMTPD to answer; it said: {self.log()[-500:]}", 30)

    def mail(self):
        """The messages in its mailbox, as bytes."""
        return maildir(os.path.join(self.base, "Maildir"))

    def log(self):
        return self.process.output().replace("\n", " | ")
