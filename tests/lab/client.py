"""An SMTP client that says exactly what it is told, and messages that can be told apart."""
import hashlib
import random
import socket

from . import net
from .tap import Failed


class Client:
    def __init__(self, address, port=25, source=net.CLIENT, greet=True, timeout=20, host=None):
        """From this source address and the host that has it, or from the host that is given (a net.Host)."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with (host or net.known(source)).inside():
            self.s = socket.socket(family)
        self.s.settimeout(timeout)
        if source and family == socket.AF_INET:
            self.s.bind((source, 0))
        self.s.connect((address, port))
        self.buffer = b""
        if greet:
            self.expect("220")

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def raw(self, data):
        self.s.sendall(data)

    def line(self):
        while b"\r\n" not in self.buffer:
            data = self.s.recv(65536)
            if not data:
                raise EOFError("the server closed the connection")
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("ascii", "replace")

    def reply(self):
        """(code, [lines])"""
        lines = []
        while True:
            line = self.line()
            lines.append(line)
            if line[3:4] != "-":
                return line[:3], lines

    def expect(self, code):
        got, lines = self.reply()
        if not got.startswith(code):
            raise Failed(f"expected {code}, the server said {lines[-1]!r}")
        return lines

    def cmd(self, text, code=None):
        self.raw(text.encode() + b"\r\n")
        return self.expect(code) if code else self.reply()

    def ehlo(self, name="client.test"):
        return self.cmd(f"EHLO {name}", "250")

    def mail(self, sender, rcpts, data):
        """A whole transaction; returns the reply to the final dot. data is canonical content (CRLF)."""
        self.cmd(f"MAIL FROM:<{sender}>", "250")
        for r in rcpts:
            self.cmd(f"RCPT TO:<{r}>", "250")
        self.cmd("DATA", "354")
        self.raw(stuff(data))
        return self.reply()

    def quit(self):
        self.cmd("QUIT", "221")
        self.close()

    def closed(self):
        """Has the server hung up?"""
        try:
            return self.s.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True


def stuff(data):
    """Dot-stuffed, ended."""
    if data and not data.endswith(b"\r\n"):
        data += b"\r\n"
    if data.startswith(b"."):
        data = b"." + data
    return data.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def message(number, size=1000, seed=7, extra=b""):
    """A message that names itself: its body is random text, reproducible by number and seed."""
    rng = random.Random(seed * 1000003 + number)
    body = bytearray()
    while len(body) < size:
        n = rng.randrange(0, 76)
        line = bytes(rng.choice(b"abcdefghijklmnopqrstuvwxyz .0123456789") for _ in range(n))
        body += (b"." if rng.random() < 0.05 else b"") + line + b"\r\n"
    head = (f"From: sender@client.test\r\nTo: rcpt@postern.test\r\nSubject: number {number}\r\n"
            f"Message-ID: <{number}.{seed}@client.test>\r\nX-Number: {number}\r\n").encode() + extra
    return head + b"\r\n" + bytes(body)


def body_of(content):
    """From our own first header field on: what trace fields were put above it is cut off. CRLF and LF both."""
    content = content.replace(b"\r\n", b"\n")
    at = content.find(b"From: sender@client.test")
    return content if at < 0 else content[at:]


def digest(content):
    return hashlib.sha256(body_of(content)).hexdigest()


def number_of(content):
    for line in content.split(b"\n"):
        if line.startswith(b"X-Number: "):
            return int(line[10:].strip())
        if line.strip() == b"":
            break
    return None


def send(address, sender, rcpts, data, port=25, source=net.CLIENT):
    with Client(address, port, source) as c:
        c.ehlo()
        code, lines = c.mail(sender, rcpts, data)
        c.quit()
    return code, lines
