"""An unmodified Postfix as Debian ships it, with an instance of its own below the test's folder."""
import os
import shutil
import textwrap

from . import net
from .maildir import maildir
from .process import running, stopped, tool
from .tap import Failed


class Postfix:
    """mx.DOMAIN on the host with this address: takes mail for DOMAIN into one mailbox, and relays for 10.77.0.0/16."""

    def __init__(self, lab, address, domain="postfix.test", extra="", name="postfix"):
        self.host = net.host(address)
        self.base = lab.path(name)
        self.conf = os.path.join(self.base, "conf")
        for folder in ("conf", "spool", "data", "mail"):
            os.makedirs(os.path.join(self.base, folder), exist_ok=True)
        shutil.copy("/usr/share/postfix/master.cf.dist", os.path.join(self.conf, "master.cf"))
        self.edit_master_cf(os.path.join(self.conf, "master.cf"))
        shutil.chown(os.path.join(self.base, "data"), "postfix")
        for folder in (lab.folder, self.base, os.path.join(self.base, "mail")):
            os.chmod(folder, 0o755)
        os.chown(os.path.join(self.base, "mail"), 60999, 60999)
        with open(os.path.join(self.conf, "main.cf"), "w") as f:
            f.write(textwrap.dedent(f"""
                compatibility_level = 3.6
                queue_directory = {self.base}/spool
                data_directory = {self.base}/data
                myhostname = mx.{domain}
                mydestination =
                inet_interfaces = {address}
                inet_protocols = ipv4
                smtp_bind_address = {address}
                mynetworks = 10.77.0.0/16
                virtual_mailbox_domains = {domain}
                virtual_mailbox_base = {self.base}/mail
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
                maillog_file = {self.base}/log
                maillog_file_prefixes = {lab.folder}
                """) + textwrap.dedent(extra))
        self.postfix("set-permissions")
        self.start()

    def start(self):
        r = self.postfix("start")
        if r.returncode != 0:
            raise Failed("Postfix does not start: " + (r.stderr.strip() + " | " + self.log()[-600:]).replace("\n", " | "))
        running(self)

    def postfix(self, word):
        return self.host.run([tool("postfix"), "-c", self.conf, word], capture_output=True, text=True)

    @staticmethod
    def edit_master_cf(path):
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

    def mail(self):
        """The messages in its mailbox, as bytes."""
        return maildir(os.path.join(self.base, "mail", "inbox"))

    def log(self):
        try:
            with open(os.path.join(self.base, "log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        stopped(self)
        self.postfix("stop")
