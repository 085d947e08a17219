#!/usr/bin/python3
"""What an attacker tries on the running server: sizes at the edges, words in the wrong place, clients that vanish at any byte.
No room dies of it, none keeps memory or descriptors, and others are served."""
import itertools
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.gauge import Gauge  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402
from lab.sasl import b64  # noqa: E402

PROXY = "10.77.0.40"
EDGES = sorted({(1 << bits) + more for bits in (0, 31, 32, 63, 64) for more in (-1, 0, 1)} | {10 ** 19, 10 ** 20})


class House:
    """Postern at port 25, for submission at 587, and behind a proxy at 2025; it has to be as it was in the end."""

    def __init__(self, folder):
        self.net = lab.Lab(folder)
        self.net.standard_zones()
        self.net.start_dns()
        users = self.net.path("users")
        os.close(os.open(users, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        self.postern = lab.Postern(self.net, self.net.postern_conf(f"""
            listener "users" {{ address = {{"{POSTERN}"}}
                port = 587
                kind = submission
                auth-without-tls = yes }}
            listener "proxied" {{ address = {{"{POSTERN}"}}
                port = 2025
                proxy = {{"10.77.0.1"}} }}
            auth {{ users-file = "{users}"
                failure-delay = "10ms" }}
            limits {{ errors = 0
                failed-logins = 0
                connections = 0 }}
            smtpd {{ delay-errors = 100000 }}
            """))
        self.n = 0
        self.good()
        self.rooms = {room: self.postern.pids(room) for room in set(self.postern.processes().values()) if room != "mailbox"}
        self.gauge = Gauge(self.postern).begin()

    def good(self):
        self.n += 1
        answer = lab.send(POSTERN, "a@b.test", ["bob@postern.test"], lab.message(self.n, 500))
        lab.equal(answer[0], "250", "a good client's answer")
        lab.wait_for(lambda: len(self.net.mailbox("bob")) == self.n, "a good client's mail")

    def end(self):
        self.good()
        self.gauge.quiet()
        lab.equal({room: self.postern.pids(room) for room in self.rooms}, self.rooms, "the processes of all rooms")
        lab.wait_for(lambda: not self.gauge.excess(), lambda: f"rooms to be as before: {self.gauge.excess()}")


def talk(port, data, how="fin", source="10.77.0.1", listen=False):
    """Says all at once; then hears all there is (listen), or goes: fin, or rst."""
    with lab.Client(POSTERN, port, source=source, greet=False, timeout=10) as c:
        heard = b""
        try:
            c.raw(data)
            while listen and (more := c.s.recv(65536)):
                heard += more
        except OSError:
            pass
        if how == "rst":
            c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return heard


def codes(heard):
    """Of the replies: every line has to be one."""
    lines = heard.split(b"\r\n")
    lab.equal(lines.pop(), b"", f"what is behind the last line of {heard[-200:]!r}")
    for line in lines:
        lab.check(line[:3].isdigit() and line[3:4] in (b" ", b"-"), f"{line!r} is a line of a reply")
    return [line[:3].decode() for line in lines if line[3:4] == b" "]



def test_sizes_at_the_edges(folder):
    house = House(folder)
    begin = b"EHLO x.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<alice@postern.test>\r\n"
    for size, last, before in itertools.product(EDGES, (b"", b" LAST"), (b"EHLO x.test\r\n", begin)):
        if size == 2:
            continue        # ends in the middle of a line
        said = codes(talk(25, before + b"BDAT %d%s\r\nx\r\nQUIT\r\n" % (size, last), listen=True))
        lab.check(said[-1] in ("221", "421"), f"BDAT {size}{last} is followed by the end: {said}")
        lab.check(size < 2 or said[-2][0] == "5", f"BDAT {size}{last} is refused: {said}")
    for size in EDGES:
        heard = talk(25, b"EHLO x.test\r\nMAIL FROM:<a@b.test> SIZE=%d\r\nQUIT\r\n" % size, listen=True)
        want = "250" if size < 1 << 20 else "501" if size >= 10 ** 20 else "552"
        lab.equal(codes(heard)[2], want, f"the answer to SIZE={size}")
    for size in (b"-1", b"+1", b"0x10", b"1e3", b"1 LAST LAST", b"18446744073709551616", b"9" * 400, b"1\0", b""):
        said = codes(talk(25, begin + b"BDAT %s\r\nQUIT\r\n" % size, listen=True))
        lab.check(said[-1] in ("221", "421") and not {"250"} & set(said[4:]), f"BDAT {size!r}: {said}")
    lab.wait_for(lambda: not house.postern.queue(), "the queue to be empty")
    lab.equal(len(house.net.mailbox("alice")), 2, "messages: of no byte, and of one")
    house.end()


def test_words_in_the_wrong_place(folder):
    """Whatever stands behind a command that has to be the last of its group is never obeyed."""
    house = House(folder)
    evil = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<alice@postern.test>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n"
    word = b64("\0alice\0guess").encode()
    for first in (b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n", b"AUTH LOGIN YWxpY2U=\r\n", b"AUTH PLAIN\r\n" + word + b"\r\n",
                  b"AUTH SCRAM-SHA-256\r\n", b"AUTH PLAIN =\r\n*\r\n"):
        said = codes(talk(587, b"EHLO x.test\r\n" + first + evil, listen=True))
        lab.check(said[-1] in ("421", "221") and "354" not in said, f"{first!r} with words behind it: {said}")
    for header in (b"PROXY TCP4 198.51.100.9 192.0.2.1 1 2\r\n", b"XCLIENT ADDR=127.0.0.1 NAME=localhost\r\n"):
        said = codes(talk(25, header + b"EHLO x.test\r\nQUIT\r\n", listen=True))
        lab.check(said[0] == "220" and said[1][0] == "5", f"{header!r} from anybody: {said}")
    lab.equal(house.net.mailbox("alice"), [], "messages of these")
    house.end()


def test_many_recipients(folder):
    house = House(folder)
    n = 50000
    rcpts = b"".join(b"RCPT TO:<alice+%d@postern.test>\r\n" % i for i in range(n))
    said = codes(talk(25, b"EHLO x.test\r\nMAIL FROM:<a@b.test>\r\n" + rcpts + b"QUIT\r\n", listen=True))
    lab.check(said[-1] in ("221", "421"), f"the end: {said[-3:]}")
    lab.check(said.count("250") <= 1002 and said.count("452") > 0, f"answers to {n} recipients: {sorted(set(said))}")
    house.end()


def proxy_headers():
    v1 = b"PROXY TCP4 198.51.100.9 10.77.0.10 4321 25\r\n"
    v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton("198.51.100.9") + socket.inet_aton(POSTERN) + b"\x10\xe1\0\x19"
    return v1, v2


def test_headers_of_a_proxy_cut_anywhere(folder):
    house = House(folder)
    for header in proxy_headers():
        for cut, how in itertools.product(range(len(header) + 1), ("fin", "rst")):
            talk(2025, header[:cut], how)
        for cut in range(len(header)):
            wrong = bytearray(header + b"EHLO x.test\r\nQUIT\r\n")
            wrong[cut] ^= 0x80
            heard = talk(2025, bytes(wrong), listen=header[:1] == b"P" or cut < 14)
            lab.check(b"250" not in heard or cut >= 16, f"a header that is wrong at {cut} is none: {heard!r}")
        said = codes(talk(2025, header + b"EHLO x.test\r\nQUIT\r\n", listen=True))
        lab.equal(said, ["220", "250", "221"], "the answers behind a whole header")
    house.end()


def test_clients_that_vanish_at_any_byte(folder):
    """In the middle of a login, of a message and of a chunk, and right behind their ends: what is there in the end is whole."""
    house = House(folder)
    content = b"From: a@b.test\r\nSubject: vanish\r\n\r\n" + b"y" * 70 + b"\r\n"
    head = b"EHLO x.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<alice@postern.test>\r\n"
    data = head + b"DATA\r\n" + content + b".\r\n"
    chunks = head + b"BDAT 10\r\n" + content[:10] + b"BDAT %d LAST\r\n" % (len(content) - 10) + content[10:]
    login = b"EHLO x.test\r\nAUTH PLAIN " + b64("\0alice\0guess").encode() + b"\r\n"
    rng = random.Random(7)
    whole = 0
    for port, said in ((25, data), (25, chunks), (587, login)):
        for cut, how in itertools.product(range(len(said) + 1), ("fin", "rst")):
            if cut < len(said) and rng.random() < 0.5:
                continue
            for _ in range(20 if cut == len(said) else 1):
                talk(port, said[:cut], how)
                whole += cut == len(said) and port == 25
    house.end()
    lab.wait_for(lambda: not house.postern.queue(), "the queue to be empty")
    mails = house.net.mailbox("alice")
    lab.check(all(m.replace(b"\r\n", b"\n").endswith(content.replace(b"\r\n", b"\n")) for m in mails), "every message is whole")
    lab.check(len(mails) <= whole, f"{len(mails)} messages, of {whole} that were said")
    print(f"# {len(mails)} of {whole} messages whose client vanished behind their end arrived")


lab.main(globals())
