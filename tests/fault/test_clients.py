#!/usr/bin/python3
"""Clients vanish around the final dot, at any byte, in any way: each leaves one accepted message for all its recipients, or
none."""
import collections
import socket
import struct
import threading
import time

from rig import POSTERN, SECONDS, Rig, lab
from lab.client import stuff

BEHIND = b"QUIT\r\n"
AROUND = (-7, -6, -5, -4, -3, -2, -1, 0, 1, 3, 6)       # the cut, in bytes from behind the dot's line


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def leave(s):
    s.close()


def half(s):
    """It says no more, and listens for a moment."""
    s.shutdown(socket.SHUT_WR)
    s.settimeout(0.05)
    try:
        s.recv(100)
    except OSError:
        pass
    s.close()


class Vanishing(threading.Thread):
    def __init__(self, rig, seed, until):
        super().__init__(daemon=True)
        self.rig, self.rng, self.until = rig, type(rig.rng)(seed), until
        self.entries, self.wrong = [], ""

    def run(self):
        while time.monotonic() < self.until and not self.wrong:
            try:
                self.one()
            except (OSError, EOFError):
                pass
            except lab.Failed as e:
                self.wrong = str(e)

    def one(self):
        rng, ledger = self.rng, self.rig.ledger
        rcpts = ["alice@postern.test", "r@sink.test"]
        # Messages that fit one frame to the queue, and such as flow in pieces, or into a file of their own.
        entry, content = ledger.new(rcpts, size=rng.choice((300, 3000, 60_000, 150_000)))
        self.entries.append(entry)
        with lab.Client(POSTERN) as c:
            c.ehlo()
            c.raw(b"MAIL FROM:<alice@postern.test>\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % r.encode() for r in rcpts) + b"DATA\r\n")
            for code in ("250", "250", "250", "354"):
                c.expect(code)
            data = stuff(content)
            cut = len(data) + rng.choice(AROUND)
            pieces = sorted(rng.randrange(max(0, cut - 10), cut + 1) for _ in range(rng.randrange(3)))
            if cut >= len(data):
                ledger.dot(entry)
            for begin, end in zip([0] + pieces, pieces + [cut]):
                c.raw((data + BEHIND)[begin:end])
                time.sleep(rng.choice((0, 0, 0.001, 0.01)))
            rng.choice((reset, leave, half))(c.s)


def test_vanish_around_the_dot(folder):
    rig = Rig(folder).warm(1)
    before = rig.postern.log().count(" accepted client=")
    clients = [Vanishing(rig, rig.rng.random(), time.monotonic() + SECONDS) for _ in range(8)]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    lab.equal("".join(c.wrong for c in clients), "", "what went wrong before the dot")
    entries = [e for c in clients for e in c.entries]
    rig.settle()
    fates = collections.Counter()
    for e in entries:
        copies = sum(len(c) for c in e.copies.values())
        fates["whole" if e.dot else "cut", copies] += 1
    halves = {k: n for k, n in fates.items() if k[1] not in (0, 2) or k == ("cut", 2)}
    lab.equal(halves, {}, "messages that have half of their copies, or that were cut and have some")
    lab.check(all(fates[k] for k in (("whole", 2), ("cut", 0))), f"the test has seen too little: {dict(fates)}")
    accepted = rig.postern.log().count(" accepted client=") - before
    lab.check(accepted <= fates["whole", 2], f"the log says that {accepted} were accepted, and {fates['whole', 2]} arrived")
    rig.end(least=0)
    print("# " + ", ".join(f"{what} with {n} copies {count}" for (what, n), count in sorted(fates.items())))


lab.main(globals())
