"""Postern itself: the installed daemon, started for real, with all its sandboxes."""
import json
import os
import signal
import subprocess
import time

from . import net
from .hosts import POSTERN
from .process import Process
from .tap import Failed, wait_for

STAGE = os.environ.get("POSTERN_STAGE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/stage"))


def missing():
    """What to say when there is no Postern to test, or None."""
    program = os.path.realpath(os.path.join(STAGE, "sbin", "postern"))
    return None if os.access(program, os.X_OK) else f"no Postern at {program}: make install, or set POSTERN_STAGE"


class Postern:
    """One instance below lab.folder/name, on a host of its own. For several give each another name, host (an address),
    domain, and uid_base."""

    def __init__(self, lab, conf=None, name="postern", host=POSTERN, domain="postern.test", uid_base=64100, port=25, start=True):
        if missing():
            raise Failed(missing())
        self.lab = lab
        lab.posterns.append(self)
        self.domain = domain
        self.host = net.host(host)
        self.address = host
        self.base = lab.path(name)
        self.port = port
        os.makedirs(self.base, exist_ok=True)
        os.chmod(self.base, 0o755)
        lab.make_homes(domain)
        self.conf_file = os.path.join(self.base, "postern.conf")
        self.configure(lab.postern_conf("", domain, host, uid_base) if conf is None else conf)
        self.process = None
        if start:
            self.start()

    def configure(self, text):
        with open(self.conf_file, "w") as f:
            f.write(text)

    @property
    def program(self):
        return os.path.join(STAGE, "sbin", "postern")

    def start(self, wait=True):
        self.log_file = os.path.join(self.base, "log")
        self.process = Process([self.program, "--base", self.base, "-c", self.conf_file], self.log_file, host=self.host)
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=20):
        def ready():
            if self.process.child.poll() is not None:
                raise Failed("Postern ended at once: " + self.log()[-2000:])
            try:
                rows = self.ctl_rows("status", check=False)
            except Exception:
                return False
            rooms = [r for r in rows if "role" in r]
            return not any(r.get("loading") for r in rows) and rooms and all(r["state"] in ("ready", "running") for r in rooms)
        wait_for(ready, "Postern to be ready; its log ends: " + self.log()[-500:], seconds)

    def stop(self):
        self.process.stop(40)
        return self.process.child.returncode

    def kill(self):
        """The whole daemon, at once; as a power cut for the processes."""
        self.process.child.kill()
        self.process.child.wait()
        wait_for(lambda: not self.processes(), "the rooms to leave after their master died")

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        self.process.child.send_signal(signal.SIGHUP)

    def log(self):
        time.sleep(0.05)    # the log room gathers what comes in a few milliseconds
        try:
            with open(self.log_file, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, words, seconds=20):
        wait_for(lambda: words in self.log(), f"{words!r} in the log", seconds)

    # --- processes ---

    def processes(self):
        """{pid: room} of every process of this instance. One that is alone owns them all, whoever started it."""
        found = {}
        session = str(self.process.child.pid) if len(self.lab.posterns) > 1 else None
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    argv = f.read().split(b"\0")
                with open(f"/proc/{pid}/stat") as f:
                    state, _, _, its_session = f.read().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            program = os.path.basename(argv[0].decode(errors="replace"))
            if state != "Z" and session in (None, its_session) and program.startswith("postern-"):
                found[int(pid)] = program[len("postern-"):]
        return found

    def pids(self, room):
        return [pid for pid, name in self.processes().items() if name == room]

    # --- administration ---

    def ctl(self, *words, check=True):
        r = subprocess.run([os.path.join(STAGE, "sbin", "posternctl"), "--base", self.base, *words],
                           capture_output=True, text=True, timeout=120)
        if check and r.returncode != 0:
            raise Failed(f"posternctl {' '.join(words)} ended with {r.returncode}: {r.stderr.strip()}")
        return r

    def ctl_rows(self, *words, check=True):
        r = self.ctl("--json", *words, check=check)
        return [json.loads(line) for line in r.stdout.splitlines()]

    def queue(self):
        return self.ctl_rows("queue", "list")

    def mailbox(self, user):
        return self.lab.mailbox(user, self.domain)

    def wait_empty(self, seconds=30):
        wait_for(lambda: not self.queue(), "the queue to be empty", seconds)
