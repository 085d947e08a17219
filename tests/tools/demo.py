#!/usr/bin/python3
"""demo.py BASE STAGE start|stop: what quickstart shows, once Postern is built and installed below STAGE.

Everything lives below BASE: Postern's own folder, a zone served by Knot on 127.0.0.1:5300, a mail exchanger that keeps
what it gets on 127.0.0.1:2526, and a local user's home. Nothing else of the machine is touched.
"""
import os
import signal
import smtplib
import socket
import struct
import subprocess
import sys
import time

SMTP, SINK, DNS = 2525, 2526, 5300
USER, UID = "demo", 61900
NAMES = ("postern", "sink", "knot")      # the processes, in the order in which they are stopped


def say(text=""):
    print(text, flush=True)


class Demo:
    def __init__(self, base, stage):
        self.base, self.stage = base, os.path.abspath(stage)
        self.home = os.path.join(base, "home", USER)

    def path(self, *parts):
        return os.path.join(self.base, *parts)

    # --- processes that outlive this script ---

    def pid_of(self, name):
        try:
            with open(self.path(name + ".pid")) as f:
                pid = int(f.read())
            with open(f"/proc/{pid}/cmdline") as f:
                return pid if self.base in f.read() else None
        except (OSError, ValueError):
            return None

    def start_process(self, name, argv):
        """Detached from this terminal; its output goes to BASE/name.log."""
        with open(self.path(name + ".log"), "ab") as log:
            child = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        with open(self.path(name + ".pid"), "w") as f:
            f.write(str(child.pid))
        return child

    def stop_process(self, name):
        pid = self.pid_of(name)
        if pid:
            os.kill(pid, signal.SIGTERM)
            for _ in range(400):
                if not self.pid_of(name):
                    break
                time.sleep(0.1)
            else:
                os.kill(pid, signal.SIGKILL)

    # --- the small world ---

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def set_up(self):
        for folder in ("", "dns", "sink", "home", f"home/{USER}", "postern"):
            os.makedirs(self.path(folder), exist_ok=True)
            os.chmod(self.path(folder), 0o755)
        os.chown(self.home, UID, UID)
        os.chmod(self.home, 0o700)
        self.write("dns/example.test.zone",
                   "$ORIGIN example.test.\n$TTL 60\n@ SOA ns admin 1 60 60 86400 60\n@ NS ns\nns A 127.0.0.1\n"
                   "@ MX 10 mx\nmx A 127.0.0.1\n")
        self.write("dns/knot.conf", f"""server:
    rundir: "{self.path('dns')}"
    listen: 127.0.0.1@{DNS}
    user: root:root
database:
    storage: "{self.path('dns')}"
log:
  - target: stderr
    any: warning
zone:
  - domain: example.test
    file: "{self.path('dns/example.test.zone')}"
""")
        self.write("postern.conf", f"""# Written by quickstart; everything that is not here is at its default.
hostname = "quickstart.test"
uid-base = 61800                        # no accounts needed
listener "smtp" {{ address = {{"127.0.0.1"}} port = {SMTP} }}
router {{ local-domains = {{"quickstart.test"}} local-users = {{"{USER}"}} }}
local {{ users = {{"{USER}:{UID}:{UID}:{self.home}"}} }}
resolver {{ mode = forward forwarders = {{"127.0.0.1@{DNS}"}} trust-anchor = none allow-private-servers = yes }}
deliver {{ port = {SINK} allow-private-hosts = yes }}
""")

    def start(self):
        self.set_up()
        say(f"\nStarting Postern on 127.0.0.1:{SMTP}, a name server for example.test, and a mail exchanger for it")
        self.stop_all()
        knotd = "/usr/sbin/knotd"
        self.start_process("knot", [knotd, "-c", self.path("dns/knot.conf")])
        here = os.path.dirname(os.path.abspath(__file__))
        self.start_process("sink", [sys.executable, os.path.join(here, "keep_mail.py"), "127.0.0.1",
                                    str(SINK), self.path("sink")])
        self.start_process("postern", [os.path.join(self.stage, "sbin/postern"), "--base", self.path("postern"), "-c",
                                       self.path("postern.conf")])
        # All three, before the first message: a delivery that finds no name server or no exchanger waits for minutes.
        self.wait(self.zone_answers, f"the name server on port {DNS} to answer for example.test")
        self.wait(lambda: self.answers(SINK), f"the mail exchanger on port {SINK} to answer")
        self.wait(lambda: self.answers(SMTP), f"Postern on port {SMTP} to answer")

    def answers(self, port):
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=2):
                return True
        except OSError:
            return False

    def zone_answers(self):
        """Knot listens before it has loaded its zones; so it is asked for the MX."""
        name = b"".join(bytes([len(label)]) + label for label in (b"example", b"test")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            try:
                s.connect(("127.0.0.1", DNS))
                s.send(struct.pack("!6H", 1, 0, 1, 0, 0, 0) + name + struct.pack("!2H", 15, 1))
                _, flags, _, answers = struct.unpack("!4H", s.recv(512)[:8])
            except (OSError, struct.error):
                return False
            return flags & 15 == 0 and answers > 0

    def wait(self, probe, what, seconds=30):
        end = time.monotonic() + seconds
        while True:
            found = probe()
            if found:
                return found
            if time.monotonic() > end:
                say(f"quickstart: waited {seconds} s for {what}")
                self.give_up()
            time.sleep(0.05)

    def give_up(self):
        """The logs' ends, and what is left running: it is left so that one can look at it."""
        for name in NAMES:
            try:
                with open(self.path(name + ".log"), errors="replace") as f:
                    lines = f.readlines()[-15:]
            except OSError:
                lines = []
            if lines:
                say(f"{self.path(name + '.log')} ends:\n" + "".join(lines).rstrip())
        alive = [f"{name} (process {self.pid_of(name)})" for name in NAMES if self.pid_of(name)]
        say(f"Left running, to be looked at: {', '.join(alive)}. Stop it with: ./quickstart stop" if alive
            else "Nothing is left running.")
        sys.exit(1)

    # --- two messages ---

    def send(self, to, subject):
        with smtplib.SMTP("127.0.0.1", SMTP, local_hostname="client.quickstart.test") as s:
            s.ehlo()
            for code, said in (s.mail(f"{USER}@quickstart.test"), s.rcpt(to)):
                if code != 250:
                    self.refused(code, said)
            code, said = s.data(f"From: {USER}@quickstart.test\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n"
                                "If you read this, Postern works.\r\n")
        if code != 250:
            self.refused(code, said)
        return said.decode().split()[-1]

    def refused(self, code, said):
        say(f"quickstart: the message was refused: {code} {said.decode()}")
        self.give_up()

    def log_of(self, qid):
        with open(self.path("postern.log"), errors="replace") as f:
            return [line.rstrip() for line in f if qid in line]

    def find(self, folder, subject):
        for root, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(root, name)
                with open(path, errors="replace") as f:
                    if f"Subject: {subject}\n" in f.read():
                        return path
        return None

    def show(self, to, subject, folder):
        began = time.monotonic()
        qid = self.send(to, subject)
        accepted = time.monotonic()
        path = self.wait(lambda: self.find(folder, subject), f"the message to {to} to arrive")
        arrived = time.monotonic()
        self.wait(lambda: any("removed" in line for line in self.log_of(qid)), "the log to tell of it")
        say(f"\nTo {to}: accepted as {qid} after {1000 * (accepted - began):.1f} ms, "
            f"arrived {1000 * (arrived - accepted):.1f} ms later")
        for line in self.log_of(qid):
            say("  " + line)
        say(f"  {path}:")
        with open(path, errors="replace") as f:
            for line in f.read().splitlines()[:12]:
                say("    | " + line)

    def run(self):
        self.start()
        stamp = str(time.time_ns())
        self.show(f"{USER}@quickstart.test", f"quickstart local {stamp}", os.path.join(self.home, "Maildir", "new"))
        self.show("someone@example.test", f"quickstart remote {stamp}", self.path("sink"))
        ctl = f"{self.stage}/sbin/posternctl --base {self.path('postern')}"
        say(f"""
Postern is running. Send more:
    swaks --server 127.0.0.1:{SMTP} --to {USER}@quickstart.test        (arrives in {self.home}/Maildir)
    swaks --server 127.0.0.1:{SMTP} --to someone@example.test           (arrives in {self.path('sink')})
Look at it:
    {ctl} status
    {ctl} queue list
    {self.stage}/bin/mailq --base {self.path('postern')}
    tail -f {self.path('postern.log')}
Stop it:
    ./quickstart stop""")

    def stop_all(self):
        for name in NAMES:
            self.stop_process(name)


def main():
    base, stage, what = sys.argv[1:4]
    demo = Demo(base, stage)
    if what == "stop":
        demo.stop_all()
        say("stopped")
    else:
        demo.run()


main()
