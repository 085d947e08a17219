"""The scripted peer: an SMTP server that misbehaves at any step in any way.

    Peer(SINK, script={"RCPT": b"451 4.7.1 greylisted\\r\\n", "DOT": "close"})

`script` maps a step (STEPS, or another verb) to what happens there instead of the usual:

    bytes                       are said
    a name of WAYS, or a Way    is played
    function(peer, argument)    returns one of these, or None for the usual; it may block

It is also the judge of its clients (judge.py): a test fails at its end when one of them broke the protocol.

A message is in peer.messages when its dot was answered with 2xx, or when that answer was given and lost on the way.
What a client does wrong is in foe.py.
"""
import random
import socket
import struct
import threading
import time

from . import net
from .judge import Judge, Lines

# CONTENT is between 354 and the dot.
STEPS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT", "DOT", "RSET", "QUIT")


class Over(Exception):
    """This session is over."""


# --- what a server may do: function(session, usual); `usual` is the reply that would be right ---

def hang(session, usual):
    """Says nothing, and reads nothing."""
    session.peer.wait_until_stopped(session.s)
    raise Over


def close(session, usual):
    raise Over


def reset(session, usual):
    session.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Over


def half(session, usual):
    session.say(usual[:len(usual) // 2])
    raise Over


def by_bytes(pause):
    def way(session, usual):
        session.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(usual)):
            session.say(usual[i:i + 1])
            time.sleep(pause)
    return way


def trickle(session, usual):
    """A byte every half second for ever: whoever counts the time since the last byte waits for ever."""
    while not session.peer.stopped:
        session.say(usual[:4] or b"250-")
        usual = b"x"
        time.sleep(0.5)


def say(words):
    def way(session, usual):
        session.say(words)
    return way


def say_and_close(words):
    def way(session, usual):
        session.say(words)
        session.s.shutdown(socket.SHUT_WR)
        session.drain(2)
        raise Over
    return way


def wrong(session, usual):
    """A reply of a class that this step does not know."""
    session.say(b"250 2.0.0 what?\r\n" if usual.startswith(b"354") else b"354 3.0.0 what?\r\n")


def unasked(session, usual):
    """The reply, and one more that nobody asked for."""
    session.say(usual + b"250 2.0.0 and this too\r\n")


def ahead(session, usual):
    """The reply, and the replies to all that could still come, before it has come."""
    session.say(usual + b"354 go\r\n250 2.0.0 taken\r\n" if usual[:3] != b"354" else usual + b"250 2.0.0 taken\r\n")
    session.drain(2)
    raise Over


def long_line(session, usual):
    session.say(usual[:4] + b"x" * 100_000 + b"\r\n")


def endless(session, usual):
    """A reply of more and more lines."""
    line = usual[:3] + b"-and so on\r\n"
    while not session.peer.stopped:
        session.say(line * 100)


def many_lines(session, usual):
    """A long reply, but within reason."""
    session.say((usual[:3] + b"-and so on\r\n") * 100 + usual)


def garbage(session, usual):
    rng = random.Random(len(usual))
    session.say(bytes(rng.randrange(256) for _ in range(300)) + b"\r\n")


def nul_in_text(session, usual):
    session.say(usual[:4] + b"a\0b\0\r\n")


def nul_in_code(session, usual):
    session.say(usual[:2] + b"\0" + usual[2:])


def bare_lf(session, usual):
    session.say(usual.replace(b"\r\n", b"\n"))


def mixed_codes(session, usual):
    session.say(b"250-one\r\n550 two\r\n" if usual[:3] != b"250" else b"354-one\r\n250 two\r\n")


class Way:
    """What a server does at a step. `means`: "usual" (what is said is the usual reply, however it comes), "lost" (no
    usable reply comes: had the step been the dot, the message would be there), "not" (a refusal)."""

    def __init__(self, play, means):
        self.play, self.means = play, means


WAYS = {
    "hang": Way(hang, "lost"),
    "dribble": Way(by_bytes(0.005), "usual"),
    "bytes": Way(by_bytes(0), "usual"),
    "trickle": Way(trickle, "lost"),
    "close": Way(close, "lost"),
    "reset": Way(reset, "lost"),
    "half": Way(half, "lost"),
    "wrong": Way(wrong, "lost"),
    "unasked": Way(unasked, "usual"),
    "ahead": Way(ahead, "lost"),
    "long-line": Way(long_line, "lost"),
    "endless": Way(endless, "lost"),
    "many-lines": Way(many_lines, "usual"),
    "garbage": Way(garbage, "lost"),
    "nul-in-text": Way(nul_in_text, "usual"),
    "nul-in-code": Way(nul_in_code, "lost"),
    "bare-lf": Way(bare_lf, "lost"),
    "no-code": Way(say(b"hello\r\n"), "lost"),
    "code-999": Way(say(b"999 9.9.9 what\r\n"), "lost"),
    "mixed-codes": Way(mixed_codes, "lost"),
    "empty-line": Way(say(b"\r\n"), "lost"),
    "421": Way(say_and_close(b"421 4.3.2 going down\r\n"), "not"),
    "421-stays": Way(say(b"421 4.3.2 going down\r\n"), "not"),
    "450": Way(say(b"450 4.2.0 later\r\n"), "not"),
    "550": Way(say(b"550 5.7.1 never\r\n"), "not"),
    "521": Way(say_and_close(b"521 5.3.2 no mail here\r\n"), "not"),
}


class Peer:
    """An SMTP server in threads that takes mail and remembers it, on the host with this address."""

    def __init__(self, address, port=25, script=None, keywords=("PIPELINING", "SIZE 104857600", "8BITMIME"), host=None,
                 quits=False):
        self.script = script or {}
        self.keywords = keywords
        self.quits = quits          # see judge.py
        self.messages = []          # (sender, [rcpts], content) of those taken
        self.sessions = self.open = 0
        self.lock = threading.Lock()
        self.stopped = False
        self.listener = net.listener(address, port, host=host)
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        self.stopped = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def wait_until_stopped(self, s=None):
        """Also ends when the other side has gone and there is a socket to see it by; unread input hides that."""
        while not self.stopped:
            time.sleep(0.1)
            if s is not None and gone(s):
                return

    def accept(self):
        while not self.stopped:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.sessions += 1
                self.open += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        with s:
            try:
                self.session(s).run()
            except (Over, EOFError, OSError):
                pass
            finally:
                with self.lock:
                    self.open -= 1

    def session(self, s):
        return Session(self, s, self.script)

    def took(self, session, sender, rcpts, content):
        with self.lock:
            self.messages.append((sender, rcpts, content))


def gone(s):
    """Has the other side reset the connection, or closed it with nothing left to read?"""
    state = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state in (7, 8)      # TCP_CLOSE, TCP_CLOSE_WAIT


class Session:
    """One connection to a Peer."""

    def __init__(self, peer, s, script):
        self.peer, self.s, self.script = peer, s, script
        self.f = Lines(s)
        self.judge = Judge(self.keywords(), peer.quits)
        self.sender, self.rcpts, self.mail = None, [], None

    def keywords(self):
        return self.peer.keywords

    def say(self, data):
        self.s.sendall(data)

    def drain(self, seconds):
        """Reads what still comes, so that closing does not reset what was said."""
        self.s.settimeout(seconds)
        try:
            while self.s.recv(65536):
                pass
        except OSError:
            pass

    def step(self, name, argument, usual):
        """Plays one step: "usual" when it went as it should, "lost" or "not" as of Way."""
        what = self.script.get(name)
        if callable(what):
            what = what(self.peer, argument)
        if what is None:
            what = usual
        if isinstance(what, bytes):
            self.say(what)
            return "usual" if what[:1] == usual[:1] else "not"
        way = WAYS[what] if isinstance(what, str) else what
        self.judge.excused = True
        if name == "DOT" and way.means != "not":
            self.take()         # before the reply, during which the session may end
        way.play(self, usual)
        return way.means

    def take(self):
        self.peer.took(self, *self.mail)
        self.mail = None

    def run(self):
        self.judge.before_banner(self.f.more())
        self.step("CONNECT", "", b"220 sink.test ESMTP\r\n")
        while True:
            line = self.f.readline(65536)
            if not line:
                self.judge.gone()
                return
            self.judge.command(line, self.f.more())
            verb, _, argument = line.decode("latin-1").strip().partition(" ")
            verb = verb.upper()
            if verb in ("EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "QUIT"):
                getattr(self, "on_" + verb.lower())(argument)
            else:
                self.step(verb, argument, b"250 2.0.0 ok\r\n")

    def on_ehlo(self, argument):
        lines = ("sink.test",) + tuple(self.keywords())
        usual = "".join(f"250-{k}\r\n" for k in lines[:-1]) + f"250 {lines[-1]}\r\n"
        self.judge.answered("EHLO", self.step("EHLO", argument, usual.encode()))

    def on_helo(self, argument):
        self.step("HELO", argument, b"250 sink.test\r\n")

    def on_mail(self, argument):
        how = self.step("MAIL", argument, b"250 2.1.0 ok\r\n")
        self.judge.answered("MAIL", how)
        if how == "usual":
            self.sender, self.rcpts = path(argument), []

    def on_rcpt(self, argument):
        how = self.step("RCPT", argument, b"503 5.5.1 MAIL first\r\n" if self.sender is None else b"250 2.1.5 ok\r\n")
        if how == "usual" and self.sender is not None:
            self.judge.answered("RCPT", how)
            self.rcpts.append(path(argument))

    def on_data(self, argument):
        usual = b"354 go\r\n" if self.rcpts else b"554 5.5.1 no valid recipients\r\n"
        if self.step("DATA", argument, usual) != "usual" or not self.rcpts:
            return
        if "CONTENT" in self.script:
            self.step("CONTENT", argument, b"")
        content = bytearray()
        while True:
            line = self.f.readline()
            if not line:
                self.judge.gone()
                return
            self.judge.text(line)
            if line == b".\r\n":
                break
            content += line[1:] if line.startswith(b".") else line
        self.judge.dot()
        self.mail = (self.sender, self.rcpts, bytes(content))
        self.sender, self.rcpts = None, []
        if self.step("DOT", bytes(content), b"250 2.0.0 taken\r\n") == "usual" and self.mail:
            self.take()

    def on_rset(self, argument):
        self.step("RSET", argument, b"250 2.0.0 ok\r\n")
        self.sender, self.rcpts = None, []

    def on_quit(self, argument):
        self.step("QUIT", argument, b"221 bye\r\n")
        raise Over


def path(argument):
    return argument.partition("<")[2].partition(">")[0]
