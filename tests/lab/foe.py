"""The hostile client: plays a whole session with one message, and misbehaves at one of its steps.

    Foe(POSTERN, number, "MAIL", "trickle").run()

returns what is known of the message: "taken" (its dot was answered with 250), "unknown" (the dot went, and no answer was
read), or "not". It fails when the server does not do what it has to: answer, refuse, or end the session in time.
"""
import random
import socket
import struct
import time

from .client import Client, message, stuff
from .tap import Failed

STEPS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT", "DOT", "RSET", "QUIT")
ANSWERS = {"CONNECT": "220", "EHLO": "250", "MAIL": "250", "RCPT": "250", "DATA": "354", "DOT": "250", "RSET": "250",
           "QUIT": "221"}


class Over(Exception):
    """The session ended as it had to."""


# --- ways: function(foe, usual), where `usual` is what should be sent at this step ---

def hang(foe, usual):
    foe.must_be_ended()


def trickle(foe, usual):
    """Bytes that never become a command, slower than any deadline, quicker than silence."""
    foe.must_be_ended(lambda: foe.send(b"x"))


def by_bytes(pause):
    def way(foe, usual):
        foe.c.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(usual)):
            foe.send(usual[i:i + 1])
            time.sleep(pause)
    return way


def close(foe, usual):
    raise Over


def reset(foe, usual):
    foe.c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Over


def half(foe, usual):
    foe.send(usual[:len(usual) // 2])
    raise Over


def gone_after(foe, usual):
    """All of the step, and the connection reset before the answer can be read."""
    foe.send(usual)
    foe.sent(foe.at)
    reset(foe, usual)


def refused_first(nonsense):
    """Says something that must be refused (or ends the session), and then what is usual."""
    def way(foe, usual):
        foe.send(nonsense(usual))
        foe.must_refuse()
        foe.send(usual)
    return way


def garbage(usual):
    rng = random.Random(len(usual))
    return bytes(rng.choice([b for b in range(256) if b not in (0, 10, 13)]) for _ in range(200)) + b"\r\n"


def never_a_line(foe, usual):
    """Megabytes without a line end: the session must end."""
    foe.must_be_ended(lambda: foe.send(b"x" * 100_000), pause=0)


def early(foe, usual):
    """The step's command and the next ones, none of whose answers were waited for."""
    foe.send(usual + b"NOOP\r\n")
    foe.extra = 1


def flood(foe, usual):
    foe.send(b"NOOP\r\n" * 2000 + usual)
    for _ in range(2000):
        foe.expect("250")


def poison(what):
    """Bytes in the content for which the whole message must be refused."""
    def way(foe, usual):
        foe.send(usual + what)
        foe.poisoned = True
    return way


ANY = ("hang", "trickle", "dribble", "bytes", "close", "reset", "half", "gone-after")
COMMAND = ANY + ("wrong-order", "unknown", "oversized", "endless", "garbage", "nul", "bare-lf", "early", "flood")
WAYS = {
    "hang": hang,
    "trickle": trickle,
    "dribble": by_bytes(0.003),
    "bytes": by_bytes(0),
    "close": close,
    "reset": reset,
    "half": half,
    "gone-after": gone_after,
    "wrong-order": refused_first(lambda usual: b"DATA\r\n"),
    "unknown": refused_first(lambda usual: b"WHAT is this\r\n"),
    "oversized": refused_first(lambda usual: usual[:4] + b" " + b"x" * 10_000 + b"\r\n"),
    "garbage": refused_first(garbage),
    "nul": refused_first(lambda usual: usual[:4] + b"\0" + usual[4:]),
    "bare-lf": refused_first(lambda usual: usual.replace(b"\r\n", b"\n") + b"\r\n"),
    "endless": never_a_line,
    "early": early,
    "flood": flood,
    "content-nul": poison(b"a\0b\r\n"),
    "content-bare-lf": poison(b"a\nb\r\n"),
    "content-bare-cr": poison(b"a\rb\r\n"),
    "content-long-line": poison(b"x" * 5000 + b"\r\n"),
}


def cases():
    """[(step, way)] of all that make sense."""
    found = [(step, way) for step in STEPS if step not in ("CONNECT", "CONTENT", "DOT") for way in COMMAND]
    # What comes behind DATA is content, and before EHLO or after RCPT no order is wrong.
    found = [c for c in found if c not in (("DATA", "wrong-order"), ("DATA", "early"), ("EHLO", "flood"))]
    found += [("CONNECT", way) for way in ("hang", "trickle", "close", "reset", "early")]
    found += [("CONTENT", way) for way in ANY + tuple(w for w in WAYS if w.startswith("content-"))]
    found += [("DOT", way) for way in ("hang", "bytes", "dribble", "close", "reset", "half", "gone-after")]
    return found


class Foe:
    def __init__(self, address, number, step, way, rcpt, patience=30, source="10.77.0.1"):
        self.address, self.number, self.step, self.way, self.rcpt = address, number, step, way, rcpt
        self.patience, self.source = patience, source
        self.poisoned, self.extra, self.verdict, self.at = False, 0, "not", None
        self.disgraced = False          # has said what was refused: the server may end the session now

    def usual(self, step):
        data = stuff(message(self.number, 2000))
        return {"CONNECT": b"", "EHLO": b"EHLO foe.test\r\n", "MAIL": b"MAIL FROM:<sender@client.test>\r\n",
                "RCPT": f"RCPT TO:<{self.rcpt}>\r\n".encode(), "DATA": b"DATA\r\n", "CONTENT": data[:-3], "DOT": data[-3:],
                "RSET": b"RSET\r\n", "QUIT": b"QUIT\r\n"}[step]

    def run(self):
        with Client(self.address, source=self.source, greet=False, timeout=self.patience) as self.c:
            try:
                for self.at in STEPS:
                    self.play(self.at)
            except Over:
                pass
            except (Failed, OSError, EOFError) as e:
                raise Failed(f"{self.step}/{self.way}, at {self.at}: {e or type(e).__name__}") from e
        return self.verdict

    def play(self, step):
        usual = self.usual(step)
        if step == self.step:
            if step == "CONNECT" and self.way == "early":
                self.send(b"NOOP\r\n")
                if self.closed_or(lambda code: code == "220"):
                    self.extra = 1
            else:
                WAYS[self.way](self, usual)
        elif usual:
            self.send(usual)
        self.sent(step)
        if step not in ANSWERS or step == "CONNECT" == self.step:
            return
        if step == "DOT" and self.poisoned:
            self.must_refuse()
            self.verdict = "not"
            return
        self.expect(ANSWERS[step])
        if step == "DOT":
            self.verdict = "taken"
        for _ in range(self.extra):
            self.extra = 0
            self.must_answer_or_end()

    def sent(self, step):
        if step == "DOT":
            self.verdict = "unknown"

    def send(self, data):
        self.c.raw(data)

    def expect(self, code):
        try:
            got, lines = self.c.reply()
        except (EOFError, ConnectionError):
            if self.disgraced:
                raise Over from None
            raise
        if got == "421" and self.disgraced:
            raise Over
        if got != code:
            raise Failed(f"expected {code}, the server said {lines[-1]!r}")

    def closed_or(self, accept):
        """False: the server has ended the session. Else it has answered, and accept(code) is true."""
        try:
            code, lines = self.c.reply()
        except (EOFError, ConnectionError):
            raise Over from None
        if not accept(code):
            raise Failed(f"expected a refusal, the server said {lines[-1]!r}")
        return True

    def must_refuse(self):
        """5xx, or the end of the session; 421 is followed by the end."""
        self.disgraced = True
        self.closed_or(lambda code: code.startswith("5") or code == "421")

    def must_answer_or_end(self):
        self.closed_or(lambda code: True)

    def must_be_ended(self, meanwhile=None, pause=0.4):
        """The server ends the session by itself, while the client does something again and again."""
        end = time.monotonic() + self.patience
        self.c.s.settimeout(pause or 0.001)
        while time.monotonic() < end:
            try:
                if meanwhile:
                    meanwhile()
                if not self.c.s.recv(65536):
                    raise Over
            except TimeoutError:
                pass
            except ConnectionError:
                raise Over from None
        raise Failed(f"expected the server to end the session, and {self.patience} s later it had not")
