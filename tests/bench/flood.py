"""Slow and hostile connections from many networks, for the figure `flood`."""
import errno
import multiprocessing
import os
import random
import select
import socket
import subprocess
import time

NETWORK = "10.66"       # whose 65536 addresses are all this machine's
STEP = 3.0              # seconds between two bytes of one that dribbles
COMES_AGAIN = 50        # connections that a process of them makes in a turn of 50 ms at least: 1000 a second
TURN = 0.05


class Foe:
    """One hostile connection; kind: dribble, data, guess or flood."""
    GREETED = b"EHLO foe.test\r\n"

    def __init__(self, kind, target, rng):
        self.kind = kind
        self.rng = rng
        self.target = target
        self.s = None
        self.due = 0

    def connect(self, now):
        self.s = socket.socket()
        self.s.setblocking(False)
        self.s.setsockopt(socket.SOL_IP, 24, 1)     # IP_BIND_ADDRESS_NO_PORT
        self.s.bind((f"{NETWORK}.{self.rng.randrange(256)}.{self.rng.randrange(1, 255)}", 0))
        self.s.connect_ex(self.target)
        self.stage = 0
        self.due = now + self.rng.uniform(0.2, STEP)

    def close(self):
        if self.s is not None:
            self.s.close()
            self.s = None

    def act(self):
        """Its next move. False: the connection is over."""
        stage, self.stage = self.stage, self.stage + 1
        if self.kind == "dribble":
            return self.s.send(b"E" if stage % 200 else b"E") > 0
        if self.kind == "data":
            steps = (self.GREETED, b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<alice@postern.test>\r\n", b"DATA\r\n")
            return self.s.send(steps[stage] if stage < len(steps) else b"x") > 0
        if self.kind == "guess":
            return self.s.send(b"AUTH PLAIN AGEAYg==\r\n" if stage else self.GREETED) > 0
        return False        # flood: comes, and goes

    def heard(self):
        try:
            while True:
                data = self.s.recv(4096)
                if not data:
                    return False
                if len(data) < 4096:
                    return True
        except BlockingIOError:
            return True


def _attack(kinds, target, seconds, ready):
    os.nice(19)         # they are on the same processors, and should be elsewhere
    rng = random.Random(os.getpid())
    poll = select.epoll()
    foes = {}
    waiting = []
    for kind, n in kinds.items():
        waiting += [Foe(kind, target, rng) for _ in range(n)]
    end = time.monotonic() + seconds
    round_of = 0
    turn_ends = 0
    while time.monotonic() < end:
        now = time.monotonic()
        for foe in waiting[:COMES_AGAIN]:
            try:
                foe.connect(now)
                foes[foe.s.fileno()] = foe
                poll.register(foe.s, select.EPOLLIN)
            except OSError as e:
                foe.close()
                if e.errno not in (errno.EMFILE, errno.EADDRNOTAVAIL):
                    raise
        waiting = waiting[COMES_AGAIN:]
        if not waiting:
            ready.set()
        over = []
        time.sleep(max(0, turn_ends - time.monotonic()))
        turn_ends = time.monotonic() + TURN
        for fd, _ in poll.poll(0):
            foe = foes[fd]
            try:
                if not foe.heard():
                    over.append(fd)
            except OSError:
                over.append(fd)
        round_of += 1
        if round_of % 4 == 0:
            for fd, foe in list(foes.items()):
                if foe.due > now:
                    continue
                foe.due = now + STEP
                try:
                    if not foe.act():
                        over.append(fd)
                except BlockingIOError:
                    pass
                except OSError:
                    over.append(fd)
        for fd in set(over):
            foe = foes.pop(fd)
            poll.unregister(fd)
            foe.close()
            waiting.append(foe)                     # and comes again


class Flood:
    """n connections, until stop(). They come again when they are thrown out."""

    def __init__(self, address, n, port=25):
        subprocess.run(["ip", "address", "replace", f"{NETWORK}.0.1/16", "dev", "lo"], check=True)
        share = {"dribble": 0.35, "data": 0.25, "guess": 0.2, "flood": 0.2}
        parts = max(2, -(-n // 5000))
        self.children, self.ready = [], []
        for _ in range(parts):
            ready = multiprocessing.Event()
            kinds = {k: max(1, int(n * v / parts)) for k, v in share.items()}
            child = multiprocessing.Process(target=_attack, args=(kinds, (address, port), 3600, ready), daemon=True)
            child.start()
            self.children.append(child)
            self.ready.append(ready)

    def wait(self, seconds=120):
        end = time.monotonic() + seconds
        return all(e.wait(max(0, end - time.monotonic())) for e in self.ready)

    def stop(self):
        for child in self.children:
            child.kill()
            child.join()
