"""An unmodified Dovecot as Debian ships it, for its auth service: who users are."""
import base64
import hashlib
import hmac
import json
import os
import signal
import textwrap
import time

from .process import Process, tool
from .tap import Failed, wait_for

KEY = b"a secret that the laboratory's authorization server shares with Dovecot"


class Dovecot:
    """users: {name: password}, kept as {PLAIN} so that every mechanism works. socket is what Postern is told. more goes into
    dovecot.conf."""

    def __init__(self, lab, users, mechanisms="plain login scram-sha-256 oauthbearer xoauth2", more="", name="dovecot"):
        self.base = lab.path(name)
        os.makedirs(os.path.join(self.base, "keys/default/HS256"), exist_ok=True)
        for folder in (lab.folder, self.base):
            os.chmod(folder, 0o755)
        self.write("users", "".join(f"{user}:{{PLAIN}}{password}::::::\n" for user, password in users.items()))
        self.write("keys/default/HS256/default", base64.b64encode(KEY).decode())
        self.write("oauth2.conf.ext", f"""
            introspection_mode = local
            local_validation_key_dict = fs:posix:prefix={self.base}/keys/
            username_attribute = sub
            """)
        self.run = os.path.join(self.base, "run")
        self.socket = os.path.join(self.run, "auth-client")
        self.conf = self.write("dovecot.conf", f"""
            base_dir = {self.run}
            state_dir = {self.base}/state
            protocols =
            ssl = no
            log_path = {self.base}/log
            auth_verbose = yes
            auth_failure_delay = 0
            auth_mechanisms = {mechanisms}
            service anvil {{
              unix_listener anvil-auth-penalty {{
                mode = 0
              }}
            }}
            passdb {{
              driver = passwd-file
              mechanisms = plain login scram-sha-256
              args = username_format=%u {self.base}/users
            }}
            passdb {{
              driver = oauth2
              mechanisms = oauthbearer xoauth2
              args = {self.base}/oauth2.conf.ext
            }}
            userdb {{
              driver = static
              args = uid=60999 gid=60999 home=/nonexistent
            }}
            service auth {{
              unix_listener auth-client {{
                mode = 0600
                user = root
              }}
            }}
            """ + textwrap.dedent(more))
        self.start()

    def write(self, name, text):
        path = os.path.join(self.base, name)
        with open(path, "w") as f:
            f.write(textwrap.dedent(text).lstrip("\n"))
        os.chmod(path, 0o644)
        return path

    def start(self):
        self.process = Process([tool("dovecot"), "-F", "-c", self.conf], os.path.join(self.base, "output"))

        def up():
            if self.process.child.poll() is not None:
                raise Failed("Dovecot ended at once: " + self.process.output()[-1000:] + self.log()[-1000:])
            return os.path.exists(self.socket)
        wait_for(up, "Dovecot's socket")

    def log(self):
        try:
            with open(os.path.join(self.base, "log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stop(self):
        self.process.stop()

    def processes(self):
        """The pids of all: the master and its children."""
        def children(pid):
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as f:
                    return [int(n) for n in f.read().split()]
            except FileNotFoundError:
                return []
        top = self.process.child.pid
        return [top] + children(top)

    def signal(self, number):
        for pid in self.processes():
            os.kill(pid, number)

    def kill(self):
        """All of it, at once."""
        self.signal(signal.SIGKILL)
        self.process.child.wait()

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)


def token(user, key=KEY, seconds=3600):
    """A JSON web token (RFC 7519) that says that its bearer is this user."""
    now = int(time.time())

    def part(data):
        return base64.urlsafe_b64encode(json.dumps(data).encode() if isinstance(data, dict) else data).rstrip(b"=")
    claims = {"sub": user, "iat": now - 10, "nbf": now - 10, "exp": now + seconds}
    text = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    return (text + b"." + part(hmac.digest(key, text, hashlib.sha256))).decode()
