"""What a client of the scripted peer does wrong: a Judge listens to each session, and the test fails at its end if one spoke.

A server that misbehaves excuses some of it: after a played way only what can never be right is an offence. `quits`: a session in
which nothing was played must end with QUIT (not for tests that kill the client).
"""
import select

from .tap import Failed

LINE_MAX = 512              # RFC 5321 4.5.3.1.4, CRLF included
TEXT_MAX = 1000             # 4.5.3.1.6
MORE = {"SIZE": 26, "BODY": 17, "SMTPUTF8": 10, "AUTH": 500, "RET": 8, "ENVID": 107, "NOTIFY": 28, "ORCPT": 501, "REQUIRETLS": 11,
        "HOLDFOR": 34, "HOLDUNTIL": 34, "BY": 17, "MT-PRIORITY": 15}    # what extensions add to a command line
KEYWORD = {"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN",
           "ORCPT": "DSN", "REQUIRETLS": "REQUIRETLS", "BY": "DELIVERBY", "MT-PRIORITY": "MT-PRIORITY"}
LAST = ("EHLO", "DATA", "VRFY", "EXPN", "TURN", "NOOP", "STARTTLS")     # nothing may be sent behind them: RFC 2920 3.1

offences = []               # of all sessions of this test


def verdict():
    """For the end of a test."""
    if offences:
        raise Failed(f"expected clients without fault, got {len(offences)} offences: " + "; ".join(offences[:5]))


class Lines:
    """The lines of a socket, and whether more has come."""

    def __init__(self, s):
        self.s, self.buffer, self.over = s, bytearray(), False

    def more(self):
        try:
            return bool(self.buffer) or bool(select.select([self.s], [], [], 0)[0]) and self.fill()
        except (OSError, ValueError):
            return False

    def fill(self):
        data = b"" if self.over else self.s.recv(65536)
        self.over = not data
        self.buffer += data
        return bool(data)

    def readline(self, limit=1 << 30):
        at = 0
        while True:
            end = self.buffer.find(b"\n", at) + 1
            if not end and len(self.buffer) < limit:
                at = len(self.buffer)
                if self.fill():
                    continue
            end = end or min(limit, len(self.buffer))
            line = bytes(self.buffer[:end])
            del self.buffer[:end]
            return line


class Judge:
    """One session. The peer tells what it hears, before it answers, and what it has answered."""

    def __init__(self, keywords, quits=False):
        self.keywords, self.quits = keywords, quits
        self.offered = ()           # keywords of the last EHLO
        self.excused = False        # the server has misbehaved
        self.greeted = self.quit = self.mail = self.rcpt = self.mail_ok = self.rcpt_ok = False
        self.last = ""

    def offence(self, what):
        offences.append(f"{what} (after {self.last or 'the banner'})")

    def before_banner(self, more):
        if more:
            self.offence("the client talks before the banner")

    def line_end(self, line, what):
        if not line.endswith(b"\r\n"):
            self.offence(f"{what} ends without CRLF: {line[-40:]!r}")
        if b"\r" in line[:-2] or b"\0" in line:
            self.offence(f"{what} holds a bare CR or a NUL: {line[:80]!r}")

    def command(self, line, more):
        """A line of command; more: something stands behind it already."""
        verb, _, argument = line.decode("latin-1").strip().partition(" ")
        verb = verb.upper()
        words = [w.partition("=")[0].upper() for w in argument.split()[1:]]
        self.line_end(line, "a command")
        if len(line) > LINE_MAX + sum(MORE.get(w, 0) for w in words):
            self.offence(f"{verb} has {len(line)} bytes")
        if verb in ("MAIL", "RCPT"):
            for word in words:
                if word in KEYWORD and KEYWORD[word] not in self.offered:
                    self.offence(f"{verb} with {word}, which was not offered")
        if more and "PIPELINING" not in self.offered:
            self.offence(f"{verb} did not wait for its reply, and PIPELINING was not offered")
        elif more and verb in LAST:
            self.offence(f"{verb} is not the last of its group")
        self.order(verb)
        self.last = verb

    def order(self, verb):
        waits = "PIPELINING" not in self.offered and not self.excused      # it knows what became of the commands before
        if self.quit:
            self.offence(f"{verb} after QUIT")
        if verb in ("EHLO", "HELO"):
            self.greeted = True
            self.forget()
            self.offered = ()
        elif not self.greeted and verb not in ("QUIT", "NOOP", "RSET"):
            self.offence(f"{verb} before EHLO")
        if verb == "MAIL":
            if self.mail_ok and not self.excused:
                self.offence("MAIL within a transaction")
            self.forget()
            self.mail = True
        elif verb == "RCPT":
            if not self.mail or waits and not self.mail_ok:
                self.offence("RCPT without MAIL")
            self.rcpt = True
        elif verb == "DATA":
            if not self.rcpt or waits and not self.rcpt_ok:
                self.offence("DATA without RCPT")
        elif verb == "RSET":
            self.forget()
        elif verb == "QUIT":
            self.quit = True

    def answered(self, verb, how):
        """how: "usual", "not" (a refusal), "lost", of a step that took its course."""
        good = how == "usual"
        if verb == "EHLO":
            self.offered = tuple(k.split()[0] for k in self.keywords) if good else ()
        elif verb == "MAIL":
            self.mail_ok = good
        elif verb == "RCPT":
            self.rcpt_ok = self.rcpt_ok or good

    def text(self, line):
        """A line of content as it came, the dot at its end too."""
        self.line_end(line, "a line of content")
        if len(line) > TEXT_MAX + line.startswith(b"."):
            self.offence(f"a line of content has {len(line)} bytes")
        if line.startswith(b".") and line != b".\r\n" and not line.startswith(b".."):
            self.offence(f"a dot that was not doubled: {line[:40]!r}")

    def forget(self):
        """The transaction is over."""
        self.mail = self.rcpt = self.mail_ok = self.rcpt_ok = False

    def dot(self):
        self.forget()
        self.last = "the dot"

    def gone(self):
        if self.quits and not self.quit and not self.excused:
            self.offence("the client left without QUIT")
