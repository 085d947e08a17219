"""What the fault tests share: a house under load with its books, and ways to hurt it.

FAULT_SEED chooses what happens, FAULT_SECONDS about how long a test that goes by time may take.
"""
import datetime
import os
import random
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.certificate import Certificate  # noqa: E402
from lab.gauge import Gauge  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402
from lab.odd import Odd  # noqa: E402

SEED = int(os.environ.get("FAULT_SEED", "1"))
SECONDS = float(os.environ.get("FAULT_SECONDS", "20"))
ROOMS = ("smtpd", "queue", "router", "resolver", "deliver", "local", "mailbox", "control", "log", "vault", "auth")
FAST = """queue {{ retry-first = "1s"
 retry-max = "2s"
 retry-jitter = "0s"
 min-free = "0"
 segment-size = "{segment}"
 big-message = "{big}" }}
smtpd {{ max-sessions-per-client = 1000 }}
"""


def rcpts(n):
    """A third local, the rest to seven hosts' worth of recipients; some to both at once."""
    if n % 10 == 0:
        return ["alice@postern.test", f"r{n % 7}@sink.test", "bob@postern.test"]
    return [("alice", "bob")[n % 2] + "@postern.test"] if n % 3 == 0 else [f"r{n % 7}@sink.test"]


def size(n):
    return 400_000 if n % 40 == 0 else 40_000 if n % 9 == 0 else 2000
DIED = re.compile(r'^(\S+) \S+ postern/master\[\d+\]: room-died room=(\S+) .*?cause="([^"]*)"', re.M)


class Rig:
    """One house: DNS, Postern, a recorder as the other side, and the ledger."""

    def __init__(self, folder, extra="", segment="1M", big="64K", start=True, at=None, odd=()):
        self.rng = random.Random(SEED)
        self.net = lab.Lab(folder)
        self.net.standard_zones()
        self.odd = Odd(self.net.names, SINK, odd) if odd else None
        self.net.start_dns()
        self.ledger = lab.Ledger()
        self.recorder = lab.Recorder(self.ledger, SINK, at=at)
        self.conf = self.net.postern_conf(FAST.format(segment=segment, big=big) + self.secrets() + extra)
        self.postern = lab.Postern(self.net, self.conf, start=False)
        self.gauge = None
        self.read_to = 0
        if start:
            self.postern.start()

    def secrets(self):
        """A certificate and a file of users, so that the rooms that keep them are there to be hurt."""
        users = self.net.path("users")
        with open(users, "w") as f:
            os.fchmod(f.fileno(), 0o600)
        return Certificate(self.net.folder, "mx", ["mx.postern.test"]).section("mx") + f'auth {{ users-file = "{users}" }}\n'

    def load(self, **how):
        return lab.Load(self.ledger, POSTERN, **{"rcpts": rcpts, "size": size, "rate": 150, "sessions": 8, **how}).start()

    def some(self, seconds):
        """A little of everything."""
        load = self.load()
        time.sleep(seconds)
        load.stop()
        self.settle()

    def warm(self, seconds=2):
        """A little of everything, then the figures to come back to: once, before anything is hurt. They hold for every later life
        of the house too."""
        self.some(seconds)
        self.gauge = Gauge(self.postern).begin()
        return self

    def kill(self, room, sig=signal.SIGKILL):
        """One process of the room, if it has any now."""
        pids = sorted(self.postern.pids(room))
        if not pids:
            return False
        try:
            os.kill(self.rng.choice(pids), sig)
        except ProcessLookupError:
            return False
        if sig == signal.SIGKILL:
            self.ledger.crashed(room)
        return True

    def note_deaths(self):
        """Deaths that the master has logged, whoever caused them. [(room, cause)] of those that are new."""
        found, self.read_to = DIED.findall(self.postern.log()[self.read_to:]), len(self.postern.log())
        for when, room, cause in found:
            if "SIGKILL" not in cause:          # those are ours, and entered already
                when = datetime.datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()
                self.ledger.crashed(f"{room} ({cause})", when)
        return [(room, cause) for _, room, cause in found]

    def settle(self, seconds=120):
        self.note_deaths()
        return self.ledger.settle(self.postern, self.net, seconds=seconds)

    def calm(self, seconds=120):
        """Between rounds, before the house is ended: all is delivered, and each room has what it had when it was warm."""
        self.settle(seconds)
        if self.gauge is not None:
            self.gauge.back()

    def end(self, load=None, seconds=120, least=20):
        """The end of every test: the load ends, the house is whole, the backlog drains, the books balance, and memory and
        descriptors are back."""
        if load is not None:
            load.stop()
        self.postern.wait_ready(70)
        self.calm(seconds)
        sums = self.ledger.totals
        lab.check(sums["acknowledged"] >= least, f"only {sums['acknowledged']} messages were acknowledged at all")
        self.say()

    def say(self, more=""):
        s = self.ledger.totals
        kills = ", ".join(f"{n} {room}" for room, n in sorted(self.ledger.rooms.items()))
        print(f"# seed {SEED}: {s['acknowledged']} acknowledged, {s['refused']} refused, {s['unknown']} unknown, {s['unsent']} "
              f"unsent, {s['copies']} copies, {s['repeated']} repeated; killed: {kills or 'nobody'}{more}", flush=True)


class Stopped:
    """with Stopped(pids): they do not run."""

    def __init__(self, pids):
        self.pids = list(pids)

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass


def until(seconds):
    """A loop's clock: for _ in until(20): ..."""
    end = time.monotonic() + seconds
    n = 0
    while time.monotonic() < end:
        yield n
        n += 1
