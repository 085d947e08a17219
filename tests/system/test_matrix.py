#!/usr/bin/python3
"""Every step of a session times every way to misbehave there: as the server that Postern delivers to, as the client of smtpd.

The cases come from tables (lab/peer.py, lab/foe.py) and run at the same time against one Postern. POSTERN_CASES=MAIL/ runs
those whose name holds these letters."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from lab import foe, peer  # noqa: E402
from lab.client import body_of, message, number_of, send  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402

ONLY = os.environ.get("POSTERN_CASES", "")

# ---- the server misbehaves ----

# Ways that make sense at some steps only.
OWN = {"521": ("CONNECT", "EHLO"), "ahead": ("MAIL", "RCPT", "DATA")}
PLAIN = ("unasked", "ahead", "wrong", "half", "close", "421", "450", "550")
CONTENT = ("hang", "close", "reset", "unasked", "garbage", "421", "421-stays", "450", "550", "no-code")


def ought(step, way):
    """What becomes of a message whose first attempt meets this: "once", "bounce", or "again" (it may come twice)."""
    if way == "521" or way == "550" and step in ("MAIL", "RCPT", "DATA", "CONTENT", "DOT"):
        return "bounce"
    if step == "DOT" and peer.WAYS[way].means == "lost":
        return "again"
    return "once"


class Case:
    def __init__(self, number, step, way, plain):
        self.step, self.way, self.number, self.plain = step, way, number, plain
        self.name = f"{step}/{way}{'/plain' if plain else ''}"
        self.domain = f"{self.name.replace('/', '-')}.m.test".lower()
        self.address = f"10.77.{2 + number // 200}.{1 + number % 200}"
        self.ought = ought(step, way)
        self.played = False
        self.copies = []
        self.more = []              # what the client said after a reply that nobody had asked for

    def script(self):
        """It misbehaves once. RSET comes only after a transaction that was refused."""
        def misbehave(_, argument):
            if self.played:
                return None
            self.played = True
            return self.way
        script = {self.step: misbehave}
        if self.step == "RSET":
            script["RCPT"] = lambda _, argument: b"550 5.1.1 nobody\r\n" if "<no@" in argument else None
        return script


class Session(peer.Session):
    def __init__(self, many, s, case):
        self.case, self.surplus = case, False
        super().__init__(many, s, case.script())

    def keywords(self):
        return [k for k in self.peer.keywords if k != "PIPELINING"] if self.case.plain else self.peer.keywords

    def step(self, name, argument, usual):
        if self.surplus and name != "QUIT":
            self.case.more.append(name)
        played = self.case.played
        how = super().step(name, argument, usual)
        self.surplus = self.surplus or self.case.way == "unasked" and self.case.played and not played
        return how


class Many(peer.Peer):
    """One server at the addresses of all cases."""

    def __init__(self, host, cases):
        self.cases = {c.address: c for c in cases}
        super().__init__("0.0.0.0", host=host, quits=True)

    def session(self, s):
        return Session(self, s, self.cases[s.getsockname()[0]])

    def took(self, session, sender, rcpts, content):
        super().took(session, sender, rcpts, content)
        self.cases[session.s.getsockname()[0]].copies.append((rcpts, content))


def server_cases():
    found = []
    for step in peer.STEPS:
        for way in peer.WAYS:
            if (step != "CONTENT" or way in CONTENT) and step in OWN.get(way, peer.STEPS) and ONLY in f"{step}/{way}":
                found.append(Case(len(found), step, way, False))
    # Without PIPELINING each command waits for a reply, and a server that says more than that is out of step at once.
    for step in peer.STEPS:
        for way in PLAIN:
            if step != "CONTENT" and step in OWN.get(way, peer.STEPS) and ONLY in f"{step}/{way}/plain":
                found.append(Case(len(found), step, way, True))
    return found


QUICK = """
    queue { retry-first = "1s"
        retry-max = "2s"
        retry-jitter = "0s"
        concurrency-first = 1
        concurrency-max = 1
        concurrency-total = 1000 }
    deliver { timeout-connect = "3s"
        timeout-banner = "3s"
        timeout-helo = "3s"
        timeout-mail = "3s"
        timeout-rcpt = "3s"
        timeout-data = "3s"
        timeout-block = "3s"
        timeout-dot = "5s"
        timeout-quit = "2s" }
    """


def test_every_step_of_a_server(folder):
    cases = server_cases()
    net = lab.Lab(folder)
    net.standard_zones()
    net.zone("m.test", "".join(f"{c.domain}. MX 10 h{c.number}\nh{c.number} A {c.address}\n" for c in cases))
    net.start_dns()
    host = net.host(cases[0].address)
    host.more_addresses([c.address for c in cases[1:]])
    postern = lab.Postern(net, net.postern_conf(QUICK))
    # So that a megabyte is still under way when the server misbehaves in the middle of it.
    postern.host.sysctl("ipv4/tcp_wmem", "4096 16384 65536")
    host.sysctl("ipv4/tcp_rmem", "4096 16384 65536")
    server = Many(host, cases)      # noqa: F841 (held while the test runs)
    good = lab.Sink(SINK)

    sent = {}
    with lab.Client(POSTERN) as c:
        c.ehlo()
        for case in cases:
            if case.step == "RSET":
                c.mail("bob@postern.test", [f"no@{case.domain}"], message(10_000 + case.number, 100))
            sent[case.number] = message(case.number, 1_000_000 if case.step == "CONTENT" else 3000)
            code, lines = c.mail("alice@postern.test", [f"x@{case.domain}"], sent[case.number])
            lab.equal(code, "250", f"the answer to {case.name} ({lines[-1]})")
    # Meanwhile another destination is served.
    for n in range(5):
        send(POSTERN, "alice@postern.test", ["y@sink.test"], message(20_000 + n, 1000))
        lab.wait_for(lambda: len(good.messages) == n + 1, "mail to a healthy destination", 15)

    lab.wait_for(lambda: not postern.queue(), lambda: f"the queue to be empty; left: {str(postern.queue())[:500]}", 120, 0.5)
    bounced = b"".join(net.mailbox("alice"))
    wrong = []
    for case in cases:
        copies = len(case.copies)
        told = f"x@{case.domain}".encode() in bounced
        fits = {"once": copies == 1 and not told, "bounce": copies == 0 and told, "again": copies in (1, 2) and not told}
        if not fits[case.ought]:
            wrong.append(f"{case.name}: expected {case.ought}, got {copies} copies{' and a bounce' if told else ''}")
        elif any(body_of(content) != body_of(sent[case.number]) for _, content in case.copies):
            wrong.append(f"{case.name}: the content has changed")
        elif not case.played:
            wrong.append(f"{case.name}: the step was never reached")
        elif case.plain and case.more:
            wrong.append(f"{case.name}: the client went on with {' '.join(case.more)}")
    lab.check(not wrong, "; ".join(wrong))
    lab.equal(len(good.messages), 5, "messages at the healthy destination")


# ---- the client misbehaves ----

HASTY = """
    smtpd { timeout-command = "3s"
        timeout-data = "3s"
        timeout-message = "12s"
        max-sessions-per-client = 2000
        max-errors = 20 }
    limits { exempt = {"10.77.0.0/16"} }    # misbehaving is all that they do here
    """


def test_every_step_of_a_client(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    postern = lab.Postern(net, net.postern_conf(HASTY))
    cases = [c for c in foe.cases() if ONLY in "/".join(c)]
    foes = [foe.Foe(POSTERN, n, step, way, "alice@postern.test") for n, (step, way) in enumerate(cases)]
    wrong, verdicts = [], {}

    def play(one):
        try:
            verdicts[one.number] = one.run()
        except lab.Failed as e:
            wrong.append(str(e))
    threads = [threading.Thread(target=play, args=(one,)) for one in foes]
    for t in threads:
        t.start()
    slowest, n = 0, 0
    while any(t.is_alive() for t in threads) or n == 0:
        began = time.monotonic()
        code, _ = send(POSTERN, "a@b.test", ["bob@postern.test"], message(30_000 + n, 500), source="10.77.0.20")
        lab.equal(code, "250", "the answer to a good client")
        slowest, n = max(slowest, time.monotonic() - began), n + 1
    lab.check(not wrong, "; ".join(sorted(wrong)))
    lab.check(slowest < 5, f"a good client waited {slowest:.1f} s, expected less than 5")
    lab.wait_for(lambda: len(net.mailbox("bob")) == n, "all mail of the good client")
    postern.wait_empty()
    found = [number_of(m[m.find(b"From: sender@"):]) for m in net.mailbox("alice")]
    for one in foes:
        least, most = {"taken": (1, 1), "unknown": (0, 1), "not": (0, 0)}[verdicts[one.number]]
        if not least <= found.count(one.number) <= most:
            wrong.append(f"{one.step}/{one.way}: {verdicts[one.number]}, and {found.count(one.number)} copies")
    lab.check(not wrong, "; ".join(wrong))


lab.main(globals())
