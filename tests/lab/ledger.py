"""The ledger: every message is numbered and hashed by whoever sends it, and accounted for at the end.

    ledger = lab.Ledger()
    recorder = lab.Recorder(ledger, SINK)                   # a server that takes mail and writes it into the ledger
    load = lab.Load(ledger, POSTERN, rcpts=lambda n: ["x@sink.test"]).start()
    ... faults; ledger.crashed("queue") after each one that may repeat a delivery ...
    load.stop()
    ledger.settle(postern, net)                             # waits for the queue to drain, then balances

What is held true (balance() fails with the first few numbers that break it):
  I1  acknowledged: delivered at least once, or still queued, or a bounce came; for each recipient
      refused, or the dot was never sent: not delivered
  I2  what arrives has the bytes that were sent, whatever trace fields stand above them
  I3  copies for one recipient <= 1 + crashes between the dot and the last copy (+ replies that the recorder kept back)
      and nothing arrives that nobody sent, or that was settled before
  I5  settle(): the queue drains by itself
A 4xx that came while something had crashed proves nothing (RFC 5321 6.1: the client tries again and risks a copy): such
a message, like one whose answer never came, may have been delivered or not.

One process sends and records thousands of messages a second of its own time: Load and Recorder are one loop each.
"""
import bisect
import collections
import hashlib
import os
import random
import selectors
import socket
import threading
import time

from .client import Client, number_of, stuff
from .tap import Failed, check, wait_for

SLACK = 0.1             # seconds by which a file's time and ours may differ
TROUBLE = 12.0          # seconds after a crash in which a 4xx may follow a commit: smtpd waits so long for the queue
OWN = b"From: sender@client.test"


def _make_pool(size=1 << 20):
    """Lines of random text, with dots where stuffing matters. Made once: drawing bytes singly costs more than mail does."""
    rng = random.Random(5321)
    letters = b"abcdefghijklmnopqrstuvwxyz .0123456789"
    table = bytes(letters[i % len(letters)] for i in range(256))
    pool, starts = bytearray(), []
    while len(pool) < size:
        starts.append(len(pool))
        pool += rng.choice((b"", b"", b"", b".", b"..")) + rng.randbytes(rng.randrange(0, 74)).translate(table) + b"\r\n"
    return bytes(pool), starts


_pool = None


def letter(number, size=1000, seed=7):
    """A message that names itself, about size bytes long; reproducible. Much cheaper than lab.message."""
    global _pool
    if _pool is None:
        _pool = _make_pool()
    pool, starts = _pool
    head = (f"From: sender@client.test\r\nTo: rcpt@postern.test\r\nSubject: number {number}\r\n"
            f"Message-ID: <{number}.{seed}@client.test>\r\nX-Number: {number}\r\n\r\n").encode()
    at = starts[(number * 7919 + seed) % (len(starts) // 2)]
    body = bytearray()
    while len(body) < size:
        end = min(len(pool), at + size - len(body))
        end = pool.find(b"\r\n", end - 2 if end >= at + 2 else at) + 2
        body += pool[at:end]
        at = 0
    return head + bytes(body)


def seal(content):
    """The hash of what the sender wrote: from its own first header field on, CRLF and LF alike."""
    content = content.replace(b"\r\n", b"\n")
    at = content.find(OWN)
    return hashlib.blake2b(content[at:] if at > 0 else content, digest_size=16).digest()


def is_report(content):
    """A delivery status report, by its own header fields and not by what it quotes."""
    head = content.replace(b"\r\n", b"\n").split(b"\n\n", 1)[0].lower()
    return b"multipart/report" in head


class Entry:
    """One message: what was sent, when the dot went, what was answered, and what became of it."""
    __slots__ = ("number", "seal", "sender", "rcpts", "taken", "dot", "reply", "answered", "id", "copies", "reports", "kept_back")

    def __init__(self, number, content, sender, rcpts):
        self.number, self.seal, self.sender, self.rcpts = number, seal(content), sender, list(rcpts)
        self.taken = None           # recipients that were accepted; None: all
        self.dot = None             # when the final dot went out
        self.reply = None           # the answer to it, or None when none came
        self.answered = None
        self.id = None              # the queue's name for it, from the answer
        self.copies = {}            # recipient: [(time, seal)]
        self.reports = set()        # recipients that a bounce names
        self.kept_back = 0          # deliveries whose reply the recorder kept back: each may be repeated


class Ledger:
    def __init__(self, seed=7):
        self.seed = seed
        self.lock = threading.Lock()
        self.entries = {}
        self.next = 0
        self.floor = 0              # numbers up to here are settled
        self.crashes = []           # times, rising
        self.rooms = collections.Counter()
        self.doubts = []            # (from, to): what was acknowledged then proves nothing
        self.strangers = []
        self.totals = collections.Counter()

    # --- what the sender writes ---

    def new(self, rcpts, sender="alice@postern.test", size=1000):
        """(entry, content) of a message that is about to be sent."""
        with self.lock:
            self.next += 1
            number = self.next
        content = letter(number, size, self.seed)
        entry = Entry(number, content, sender, rcpts)
        with self.lock:
            self.entries[number] = entry
        return entry, content

    def dot(self, entry):
        """Just before the final dot leaves."""
        entry.dot = time.time()

    def answer(self, entry, line):
        """line: the (last) line of the reply to the dot, as text."""
        entry.reply, entry.answered = line, time.time()
        if line.startswith("250") and "queued as " in line:
            entry.id = line.rpartition("queued as ")[2].split()[0]

    def send(self, address, rcpts, sender="alice@postern.test", size=1000, timeout=20, **how):
        """One message over a connection of its own; returns its entry. Never raises for what the server or network do."""
        entry, content = self.new(rcpts, sender, size)
        try:
            with Client(address, timeout=timeout, **how) as c:
                c.ehlo()
                c.cmd(f"MAIL FROM:<{sender}>", "250")
                entry.taken = [r for r in rcpts if c.cmd(f"RCPT TO:<{r}>")[0] == "250"]
                if not entry.taken:
                    return entry
                c.cmd("DATA", "354")
                data = stuff(content)
                c.raw(data[:-3])
                self.dot(entry)
                c.raw(data[-3:])
                self.answer(entry, c.reply()[1][-1])
        except (OSError, EOFError, Failed):
            pass
        return entry

    # --- what may excuse a second copy ---

    def crashed(self, room="", when=None):
        """A process died, or was stopped for so long that others gave it up."""
        with self.lock:
            bisect.insort(self.crashes, time.time() if when is None else when)
            self.rooms[room] += 1

    def doubt(self, since):
        """Acknowledgements that came between `since` and now prove nothing. For power cuts that leave the machine running: in
        the instant in which ext4 is shut down a sync may return as if it were done."""
        self.doubts.append((since, time.time()))

    def _crashes_between(self, begin, end):
        return bisect.bisect_right(self.crashes, end) - bisect.bisect_left(self.crashes, begin)

    # --- what arrived ---

    def arrived(self, content, rcpt, when=None):
        """A copy of a message, or a report about one, has come for rcpt."""
        content = bytes(content).replace(b"\r\n", b"\n")
        when = time.time() if when is None else when
        if is_report(content):
            return self.reported(content)
        at = content.find(OWN)
        number = number_of(content[at:]) if at >= 0 else None
        with self.lock:
            entry = self.entries.get(number)
            if entry is None:
                self.strangers.append((number, rcpt))
            else:
                entry.copies.setdefault(rcpt.lower(), []).append((when, seal(content)))
        return entry

    def reported(self, content):
        """A bounce: the recipients that it fails, and the number of the message that it quotes."""
        at = content.find(b"\nX-Number: ")
        number = int(content[at + 11:content.find(b"\n", at + 1)]) if at >= 0 else None
        with self.lock:
            entry = self.entries.get(number)
            if entry is None:
                self.strangers.append((number, "report"))
                return None
            failed = False
            for line in content.split(b"\n"):
                if line.lower().startswith(b"final-recipient:"):
                    rcpt = line.rpartition(b";")[2].strip().decode("latin-1").lower()
                elif line.lower().startswith(b"action:"):
                    failed = line.rpartition(b":")[2].strip().lower() == b"failed"
                    if failed:
                        entry.reports.add(rcpt)
        return entry

    def read_maildir(self, path, rcpt):
        """Enters every message of a Maildir and removes it."""
        for folder in ("new", "cur"):
            try:
                names = os.listdir(os.path.join(path, folder))
            except FileNotFoundError:
                continue
            for name in names:
                file = os.path.join(path, folder, name)
                with open(file, "rb") as f:
                    self.arrived(f.read(), rcpt, os.fstat(f.fileno()).st_mtime)
                os.unlink(file)
            if names:               # or a power cut brings them back
                fd = os.open(os.path.join(path, folder), os.O_RDONLY | os.O_DIRECTORY)
                os.fsync(fd)
                os.close(fd)

    def read_sink(self, sink):
        """Enters what a lab.Sink has taken, and makes it forget that."""
        with sink.lock:
            taken, sink.messages = sink.messages, []
        for _, rcpts, content in taken:
            for rcpt in rcpts:
                self.arrived(content, rcpt)

    # --- the end ---

    def fate(self, entry):
        """What the sender knows: unsent, refused, unknown or acknowledged."""
        if entry.dot is None:
            return "unsent"
        if entry.reply is None:
            return "unknown"
        if entry.reply.startswith("2"):
            return "unknown" if any(a <= entry.answered <= b for a, b in self.doubts) else "acknowledged"
        crashed = self._crashes_between(entry.dot - TROUBLE, entry.answered + SLACK)
        return "unknown" if crashed and entry.reply.startswith("4") else "refused"

    def balance(self, queued=()):
        """queued: ids that the queue still holds. Fails with what does not add up; else forgets all that is finished, and
        returns how many messages had which fate."""
        queued = set(queued)
        wrong = collections.defaultdict(list)
        sums, done = collections.Counter(), []
        with self.lock:
            for n, e in self.entries.items():
                fate = self.fate(e)
                sums[fate] += 1
                waiting = e.id in queued if e.id else False
                if not waiting:
                    done.append(n)
                for rcpt, copies in e.copies.items():
                    if fate in ("unsent", "refused"):
                        wrong[f"{fate} but delivered"].append((n, rcpt, e.reply))
                    elif rcpt not in (r.lower() for r in (e.rcpts if e.taken is None else e.taken)):
                        wrong["delivered to a recipient that was not accepted"].append((n, rcpt))
                    if any(s != e.seal for _, s in copies):
                        wrong["changed on the way"].append((n, rcpt))
                    allowed = 1 + e.kept_back + self._crashes_between((e.dot or 0) - SLACK, max(t for t, _ in copies) + SLACK)
                    if len(copies) > allowed:
                        wrong["more copies than crashes allow"].append((n, rcpt, len(copies), allowed))
                if fate == "acknowledged" and not waiting:
                    for rcpt in (e.rcpts if e.taken is None else e.taken):
                        if rcpt.lower() not in e.copies and rcpt.lower() not in e.reports:
                            wrong["acknowledged and lost"].append((n, rcpt, e.id))
                sums["copies"] += sum(len(c) for c in e.copies.values())
                sums["repeated"] += sum(len(c) - 1 for c in e.copies.values())
            if self.strangers:
                wrong["arrived though nobody sent it, or again after it was settled"] = list(self.strangers)
        for what, which in wrong.items():
            raise Failed(f"the ledger does not balance: {len(which)} {what}, such as {which[:4]}"
                         + (f" (and: {', '.join(list(wrong)[1:])})" if len(wrong) > 1 else ""))
        with self.lock:
            for n in done:
                del self.entries[n]
            self.totals.update(sums)
        return sums

    def settle(self, postern, net=None, users=("alice", "bob"), sinks=(), seconds=120):
        """Waits until the queue is empty (I5), reads the mailboxes, balances, and forgets."""
        def empty():
            try:
                return not postern.queue()
            except Failed:          # control or queue are just starting
                return False
        wait_for(empty, f"the backlog to drain by itself; the log ends: {postern.log()[-1500:]}", seconds, 0.2)
        if net is not None:
            for user in users:
                self.read_maildir(net.path("home", user, "Maildir"), f"{user}@postern.test")
        for sink in sinks:
            self.read_sink(sink)
        return self.balance()


class Load:
    """Many SMTP clients in one loop on one thread. rcpts(n) and size(n) say what the n-th message of this load is like;
    `sessions` connections at a time, each closed after `each` messages; `rate`: at most so many messages a second."""

    def __init__(self, ledger, address, rcpts, size=lambda n: 3000, sessions=8, each=5, rate=None, port=25, source="10.77.0.1",
                 sender="alice@postern.test", timeout=30.0, pause=0.05):
        self.ledger, self.address, self.port, self.source = ledger, address, port, source
        self.rcpts, self.size, self.sessions, self.each, self.rate = rcpts, size, sessions, each, rate
        self.sender, self.timeout, self.pause = sender, timeout, pause
        self.count = self.acknowledged = self.answered = 0
        self.longest = 0.0          # the longest wait from the dot to its answer
        self.classes = collections.Counter()
        self.stopping = False
        self.thread = None

    def start(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def stop(self, seconds=60):
        """No new messages; those under way are ended."""
        self.stopping = True
        self.thread.join(seconds)
        check(not self.thread.is_alive(), f"the load's sessions did not end in {seconds} s")
        return self

    def run(self):
        self.selector = selectors.DefaultSelector()
        self.open = 0
        tokens, began = 0.0, time.monotonic()
        waiting = [0.0] * self.sessions         # when each place may connect
        while True:
            now = time.monotonic()
            if self.rate:
                tokens = self.rate * (now - began) + 1
            waiting.sort()
            while waiting and waiting[0] <= now and not self.stopping and (not self.rate or self.count < tokens):
                waiting.pop(0)
                if not self.connect():
                    waiting.append(now + self.pause)
            for key, mask in self.selector.select(0.02):
                self.turn(key.data, mask)
            for key in list(self.selector.get_map().values()):
                if key.data.deadline < time.monotonic():
                    self.end(key.data)
            closed = self.sessions - self.open - len(waiting)
            waiting += [time.monotonic() + self.pause] * closed
            if self.stopping and not self.open:
                self.selector.close()
                return

    def connect(self):
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.source:
            s.setsockopt(socket.IPPROTO_IP, 24, 1)      # IP_BIND_ADDRESS_NO_PORT: thousands of connections
            try:
                s.bind((self.source, 0))
            except OSError:
                s.close()
                return False
        s.connect_ex((self.address, self.port))
        c = _Session(s, self)
        self.selector.register(s, selectors.EVENT_READ | selectors.EVENT_WRITE, c)
        self.open += 1
        return True

    def end(self, c):
        if not c.over:
            c.over = True
            self.selector.unregister(c.s)
            c.s.close()
            self.open -= 1

    def turn(self, c, mask):
        try:
            if mask & selectors.EVENT_READ:
                data = c.s.recv(65536)
                if not data:
                    return self.end(c)
                c.input += data
                while b"\n" in c.input and not c.over:
                    line, _, c.input = c.input.partition(b"\n")
                    if line[3:4] != b"-":
                        c.reply(line.decode("latin-1").strip())
            if c.output and not c.over:
                c.write()
        except OSError:
            return self.end(c)
        if not c.over:
            want = selectors.EVENT_READ | (selectors.EVENT_WRITE if c.output else 0)
            if want != c.want:
                c.want = want
                self.selector.modify(c.s, want, c)
        return None


class _Session:
    """One connection of a Load."""

    def __init__(self, s, load):
        self.s, self.load = s, load
        self.input, self.output = b"", b""
        self.phase, self.left, self.over = "greeting", load.each, False
        self.entry, self.asked = None, []
        self.want = selectors.EVENT_READ | selectors.EVENT_WRITE
        self.deadline = time.monotonic() + load.timeout

    def write(self):
        if self.phase == "body" and len(self.output) <= 65536 and self.entry.dot is None:
            self.load.ledger.dot(self.entry)            # the piece with the dot in it is about to go
        n = self.s.send(self.output[:65536])
        self.output = self.output[n:]

    def say(self, data):
        self.output += data
        self.deadline = time.monotonic() + self.load.timeout

    def next(self):
        load = self.load
        if load.stopping or self.left == 0:
            self.phase = "quit"
            return self.say(b"QUIT\r\n")
        self.left -= 1
        load.count += 1
        n = load.count
        self.entry, self.content = load.ledger.new(load.rcpts(n), load.sender, load.size(n))
        self.entry.taken = []
        self.asked = list(self.entry.rcpts)
        self.phase = "mail"
        return self.say(f"MAIL FROM:<{load.sender}>\r\n".encode() + b"".join(f"RCPT TO:<{r}>\r\n".encode() for r in self.asked))

    def reply(self, line):
        load, good = self.load, line[:1] in "23"
        if self.phase == "greeting" and good:
            self.phase = "ehlo"
            self.say(b"EHLO client.test\r\n")
        elif self.phase == "ehlo" and good:
            self.next()
        elif self.phase == "mail":
            self.mailed, self.refusal, self.phase = good, line[:3], "rcpt"
        elif self.phase == "rcpt":
            rcpt = self.asked.pop(0)
            if good and self.mailed:
                self.entry.taken.append(rcpt)
            if not self.asked:
                if self.entry.taken:
                    self.phase = "data"
                    self.say(b"DATA\r\n")
                else:
                    load.classes[f"rcpt {line[:3]}" if self.mailed else f"mail {self.refusal}"] += 1
                    self.phase = "reset"
                    self.say(b"RSET\r\n")
        elif self.phase == "reset" and good:
            self.next()
        elif self.phase == "data" and line.startswith("354"):
            self.phase = "body"
            self.say(stuff(self.content))
        elif self.phase == "body" and self.entry.dot is not None:
            load.ledger.answer(self.entry, line)
            load.classes["dot " + line[:3]] += 1
            load.answered += 1
            load.acknowledged += line.startswith("250")
            load.longest = max(load.longest, self.entry.answered - self.entry.dot)
            self.next()
        else:                       # 421, or a refusal where nothing of ours can go on
            load.classes[self.phase + " " + line[:3]] += 1
            load.end(self)


class Recorder:
    """An SMTP server in one loop that enters what it takes into the ledger before it says 250. at(stage, session), when it
    is set, is asked at CONNECT, EHLO, MAIL, RCPT, DATA, BODY (content is coming), DOT and QUIT, and says: None (as usual), a
    reply as bytes, "close", "hang" (say nothing, ever), or "forget" (enter it, then close without the reply)."""

    def __init__(self, ledger, address, port=25, at=None, name="sink.test"):
        self.ledger, self.at, self.name = ledger, at, name
        self.taken = self.sessions = 0
        self.listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(1024)
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.stopped = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopped = True
        self.thread.join(10)

    def run(self):
        while not self.stopped:
            for key, _ in self.selector.select(0.1):
                if key.data is None:
                    self.accept()
                else:
                    self.turn(key.data)
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    def accept(self):
        try:
            s, _ = self.listener.accept()
        except OSError:
            return
        s.setblocking(False)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c = _Visit(s)
        self.sessions += 1
        self.selector.register(s, selectors.EVENT_READ, c)
        self.answer(c, "CONNECT", b"220 sink.test ESMTP\r\n")

    def drop(self, c):
        if not c.over:
            c.over = True
            self.selector.unregister(c.s)
            c.s.close()

    def answer(self, c, stage, usual):
        """Sends the usual answer or what at() wants; returns what was decided."""
        said = self.at(stage, c) if self.at else None
        if said == "hang":
            c.hanging = True
        elif said in ("close", "forget"):
            self.drop(c)
        else:
            try:
                c.s.send(usual if said is None else said)
            except OSError:
                self.drop(c)
        return said

    def turn(self, c):
        try:
            data = c.s.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            return self.drop(c)
        if not data:
            return self.drop(c)
        c.input += data
        while not c.over and not c.hanging:
            if c.content is not None:
                if not self.body(c):
                    return None
            else:
                end = c.input.find(b"\r\n")
                if end < 0:
                    return None
                line = bytes(c.input[:end])
                del c.input[:end + 2]
                self.command(c, line.decode("latin-1"))
        return None

    def body(self, c):
        """True when the content has ended."""
        end = 0 if c.input.startswith(b".\r\n") and not c.content else c.input.find(b"\r\n.\r\n", max(0, c.seen - 5))
        if end < 0:
            c.seen = len(c.input)
            if self.at and not c.told:
                c.told = True
                if self.at("BODY", c) == "hang":
                    c.hanging = True
            return False
        cut = 3 if end == 0 and c.input.startswith(b".\r\n") else end + 5
        raw = bytes(c.input[:cut - 3])
        del c.input[:cut]
        c.content = (raw[1:] if raw.startswith(b".") else raw).replace(b"\r\n..", b"\r\n.")
        said = self.at("DOT", c) if self.at else None
        if said is None or said == "forget" or (isinstance(said, bytes) and said.startswith(b"2")):
            for rcpt in c.rcpts:
                entry = self.ledger.arrived(c.content, rcpt)
                if said == "forget" and entry is not None:
                    entry.kept_back += 1
            self.taken += 1
        c.content, c.rcpts, c.told, c.seen = None, [], False, 0
        if said == "hang":
            c.hanging = True
        elif said in ("close", "forget"):
            self.drop(c)
        else:
            try:
                c.s.send(said or b"250 2.0.0 taken\r\n")
            except OSError:
                self.drop(c)
        return True

    def command(self, c, line):
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        if verb == "EHLO":
            self.answer(c, "EHLO", f"250-{self.name}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 104857600\r\n".encode())
        elif verb == "MAIL":
            c.rcpts = []
            self.answer(c, "MAIL", b"250 2.1.0 ok\r\n")
        elif verb == "RCPT":
            c.argument = argument
            said = self.answer(c, "RCPT", b"250 2.1.5 ok\r\n")
            if said is None or (isinstance(said, bytes) and said.startswith(b"2")):
                c.rcpts.append(argument.partition("<")[2].partition(">")[0])
        elif verb == "DATA":
            said = self.answer(c, "DATA", b"354 go\r\n" if c.rcpts else b"554 5.5.1 no valid recipients\r\n")
            if c.rcpts and (said is None or (isinstance(said, bytes) and said.startswith(b"3"))):
                c.content = b""
        elif verb == "QUIT":
            self.answer(c, "QUIT", b"221 bye\r\n")
            self.drop(c)
        else:
            if verb == "RSET":
                c.rcpts = []
            self.answer(c, verb, b"250 2.0.0 ok\r\n")


class _Visit:
    """One connection to a Recorder."""

    def __init__(self, s):
        self.s, self.input, self.rcpts, self.argument = s, bytearray(), [], ""
        self.content, self.seen = None, 0
        self.over = self.hanging = self.told = False
