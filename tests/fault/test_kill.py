#!/usr/bin/python3
"""kill -9 under load: any room, at any time, at any call, at any stage of a session; and of the whole house."""
import collections
import signal
import socket
import time

from rig import POSTERN, ROOMS, SECONDS, Rig, lab, rcpts, until
from lab.client import stuff
from lab.inject import Inject


def group(rig, kills=4, seconds=3.0, rooms=ROOMS, rate=150):
    """One group of rounds: every room is killed up to `kills` times within some seconds of load. More would only wait for the
    master, who makes rooms that die often wait longer; so each group has a house that was just started."""
    load = rig.load(rate=rate)
    plan = sorted((rig.rng.uniform(0.1, seconds), room) for room in rooms for _ in range(rig.rng.randint(1, kills)))
    began = time.monotonic()
    for when, room in plan:
        time.sleep(max(0.0, began + when - time.monotonic()))
        rig.kill(room)
    return load


def test_any_room_at_any_time(folder):
    """Groups of rounds until the time is over; between them the house is ended, in turns gently and with kill -9."""
    rig = Rig(folder).warm()
    for n in until(SECONDS):
        load = group(rig)
        if n % 2:
            rig.ledger.crashed("master")
            rig.postern.kill()
            load.stop()
            rig.postern.start()
            rig.settle()
        else:
            load.stop()
            rig.postern.wait_ready(70)
            rig.calm()
            lab.equal(rig.postern.stop(), 0, "the exit status after SIGTERM")
            rig.postern.start()
    rig.some(1)
    rig.end()


# Where each room can be caught: every call with which it changes something that others see.
CALLS = {
    "queue": ("pwritev", "fdatasync", "fsync", "write", "openat", "unlinkat", "renameat2", "sync_file_range", "pread64", "read"),
    "smtpd": ("sendto", "write", "read", "recvfrom", "accept4", "shutdown", "close"),
    "deliver": ("sendto", "write", "read", "recvfrom", "socket", "connect", "close"),
    "local": ("write", "read", "recvmsg", "epoll_ctl"),
    "router": ("write", "read"),
    "resolver": ("sendto", "recvfrom", "write", "read", "socket"),
}
REACH = {"write": 60, "read": 60, "pwritev": 25, "fdatasync": 25, "sendto": 40, "recvfrom": 40, "epoll_ctl": 20}


def one_call(rig, room, call, nth):
    """Under load, a process of the room dies as it enters its nth such call. Was there one?"""
    pids = rig.postern.pids(room)
    with Inject(pids[:1], f"{call}:signal=SIGKILL:when={nth}", log=rig.net.path("strace")) as trace:
        died = trace.wait_death(2.5)
    for when in trace.deaths():
        rig.ledger.crashed(room, when)
    return died


def test_any_call(folder):
    """A room dies at its n-th write, sync, send, rename...: before, between and behind all that a promise is made of."""
    rig = Rig(folder).warm(1)
    died, tried = collections.Counter(), 0
    for _ in until(SECONDS):
        load = rig.load(rate=120)
        for room in rig.rng.sample(sorted(CALLS), 3):
            for _ in range(3):
                call = rig.rng.choice(CALLS[room])
                lab.wait_for(lambda: rig.postern.pids(room), f"{room} to be there", 15)
                tried += 1
                if one_call(rig, room, call, rig.rng.randint(1, REACH.get(call, 6))):
                    died[f"{room}.{call}"] += 1
        load.stop()
        rig.postern.wait_ready(70)
        rig.calm()
        rig.postern.restart()
    lab.check(died, f"nobody died in {tried} tries")
    rig.some(1)
    rig.end()
    print("# died at " + ", ".join(f"{what} {n}" for what, n in sorted(died.items())))


def test_recovery(folder):
    """The queue dies; the one that recovers dies at its n-th call, again and again; then one may finish."""
    rig = Rig(folder).warm(1)
    calls = ("pread64", "pwritev", "fdatasync", "fsync", "openat", "renameat2", "unlinkat", "write", "fallocate", "flock")
    died = 0
    for _ in until(SECONDS):
        load = rig.load(rate=120)
        time.sleep(0.5)
        call = rig.rng.choice(calls)
        nth = rig.rng.randint(1, 12 if call in ("pread64", "pwritev", "write", "openat") else 4)
        master = rig.postern.process.child.pid
        with Inject([master], f"{call}:signal=SIGKILL:when={nth}", log=rig.net.path("strace")) as trace:
            rig.kill("queue")
            time.sleep(1.2)         # three or four starts of it
        deaths = trace.deaths()
        died += len(deaths)
        for when in deaths:
            rig.ledger.crashed("recovery", when)
        load.stop()
        if rig.postern.process.child.poll() is not None:        # the call was one that the master makes too
            rig.ledger.crashed("master")
            rig.postern.kill()
            rig.postern.start()
        rig.postern.wait_ready(70)
        rig.calm()
        rig.postern.restart()
    lab.check(died, "no queue died while it recovered")
    rig.some(1)
    rig.end()


class Inbound:
    """A client that stands at a stage of a transaction until it is told to go on."""
    STAGES = ("banner", "ehlo", "mail", "rcpt", "rcpt pending", "data", "body", "dot", "answered")

    def __init__(self, rig, stage):
        self.rig, self.stage = rig, stage
        self.entry, content = rig.ledger.new(rcpts(rig.rng.randrange(100)), size=rig.rng.choice((500, 3000, 200_000)))
        self.data = stuff(content)
        self.steps = self.walk()
        self.go(until=stage)

    def walk(self):
        """Yields the name of each stage when it is reached."""
        with lab.Client(POSTERN, greet=False, timeout=20) as c:
            yield "banner"
            c.expect("220")
            c.ehlo()
            yield "ehlo"
            c.cmd("MAIL FROM:<alice@postern.test>", "250")
            yield "mail"
            self.entry.taken = []
            for rcpt in self.entry.rcpts[:1]:
                if c.cmd(f"RCPT TO:<{rcpt}>")[0] == "250":
                    self.entry.taken.append(rcpt)
            yield "rcpt"
            for rcpt in self.entry.rcpts[1:]:
                c.raw(f"RCPT TO:<{rcpt}>\r\n".encode())
            yield "rcpt pending"
            for rcpt in self.entry.rcpts[1:]:
                if c.reply()[0] == "250":
                    self.entry.taken.append(rcpt)
            c.cmd("DATA", "354")
            yield "data"
            c.raw(self.data[:len(self.data) // 2])
            yield "body"
            c.raw(self.data[len(self.data) // 2:-3])
            self.rig.ledger.dot(self.entry)
            c.raw(self.data[-3:])
            yield "dot"
            self.rig.ledger.answer(self.entry, c.reply()[1][-1])
            yield "answered"

    def go(self, until=None):
        """On to a stage, or to the end; whatever the server does is an outcome."""
        try:
            for stage in self.steps:
                if stage == until:
                    return
        except (OSError, EOFError, lab.Failed):
            pass


class Outbound:
    """The recorder's at(): the n-th visitor is held at the n-th stage, until let_go()."""
    STAGES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "DOT", "forget", "QUIT")

    def __init__(self):
        self.n, self.held, self.on = 0, [], False

    def __call__(self, stage, visit):
        if not self.on:
            return None
        if not hasattr(visit, "stage"):
            visit.stage = self.STAGES[self.n % len(self.STAGES)]
            self.n += 1
        if visit.stage == "forget" and stage == "DOT":
            return "forget"
        if stage != visit.stage:
            return None
        self.held.append(visit)
        return "hang"

    def let_go(self):
        self.on = False
        for visit in self.held:
            try:
                visit.s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.held = []


def test_every_stage(folder):
    """Clients stand at every stage of a transaction, and peers hold deliveries at every stage of theirs, when a room dies."""
    at = Outbound()
    rig = Rig(folder, at=at).warm(1)
    rounds = 0
    for n in until(SECONDS):
        for room in rig.rng.sample(ROOMS, len(ROOMS)):
            at.on = True
            for _ in range(4):          # work for the deliveries that will be held
                rig.ledger.send(POSTERN, [f"h{rounds}@sink.test"], size=rig.rng.choice((500, 100_000)))
            clients = [Inbound(rig, stage) for stage in Inbound.STAGES]
            rig.kill(room, signal.SIGKILL)
            if rig.rng.random() < 0.5:
                time.sleep(rig.rng.uniform(0, 0.2))
            for c in clients:
                c.go()
            at.let_go()
            rounds += 1
        rig.postern.wait_ready(70)
        rig.calm()
        rig.postern.restart()
    rig.some(1)
    rig.end()
    print(f"# {rounds} rounds of {len(Inbound.STAGES)} clients and as many deliveries; {at.n} deliveries were held")


lab.main(globals())
