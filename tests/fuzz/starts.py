#!/usr/bin/python3
"""starts.py: writes the first inputs of the room targets (tests/fuzz/room_X.in), whole conversations that a mutation can spoil.

An input is a program for tests/fuzz/room.c. Run it again after messages were added to common/ipc/schema.h: the programs name
messages by their place among those that the sender may send."""
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(TOP, "tests", "fuzz")
SCHEMA = open(os.path.join(TOP, "common", "ipc", "schema.h")).read()
ROOM = open(os.path.join(HERE, "room.c")).read()

GROUPS = {"CARRIERS": "DELIVER LOCAL MAILBOX", "DISPATCHERS": "QUEUE LOCAL",
          "TLS_ROOMS": "SMTPD VAULT", "ADMIN_ROOMS": "MASTER QUEUE ROUTER LOG CONTROL AUTH", "ADMIN_ASKERS": "CONTROL CLIENT"}


def roles(text):
    if text == "TO_ANY":
        return None
    if text == "FROM_ROOMS":
        return "not MASTER"
    found = set(re.findall(r"ROLE_BIT\(ROLE_(\w+)\)", text))
    for group, members in GROUPS.items():
        if group in text:
            found |= set(members.split())
    return found


def has(group, role):
    return group is None or (role != "MASTER" if group == "not MASTER" else role in group)


MESSAGES = {}
for name, number, sender, to in re.findall(r"X\((\w+),\s*\w+,\s*(\d+),\s*([^,]+),\s*([^,]+),\s*[01]\)", SCHEMA):
    MESSAGES[name] = (int(number), roles(sender.strip()), roles(to.strip()))
WORDS = re.findall(r'SLICE\("((?:[^"\\]|\\.)*)"\)', ROOM[ROOM.index("words[] ="):ROOM.index("N_WORDS =")])
WORDS = [w.encode().decode("unicode_escape") for w in WORDS]
CODES = [0, 200, 220, 250, 354, 421, 450, 451, 452, 550, 552, 554, 599, 600, 65535, 1]
LAST = 0xE0     # the latest handle, number or id that the room said


def text(s):
    """A word, or the bytes themselves."""
    if isinstance(s, bytes) and len(s) > 0 and s[0] >= 0xF0:
        return s                    # made by one of the functions below
    if isinstance(s, str) and s in WORDS:
        return bytes([WORDS.index(s)])
    raw = s if isinstance(s, bytes) else s.encode("latin-1")
    if len(raw) < 0x60:
        return bytes([0x90 + len(raw)]) + raw
    return b"\xf6" + len(raw).to_bytes(2, "little") + raw


def code(n):
    return bytes([0xE0 + CODES.index(n)])


def envelope(sender, *rcpts):
    return b"\xf0" + bytes([0, len(rcpts)]) + text(sender) + b"".join(text(a) + text(t) + text(n) for a, t, n in rcpts)


def results(*rows):
    return b"\xf1" + bytes([len(rows)]) + b"".join(bytes([i, s]) + code(c) + text(e) + text(t) for i, s, c, e, t in rows)


def rcpts(*addresses):
    return b"\xf2" + bytes([len(addresses)]) + b"".join(bytes([i]) + text(a) for i, a in enumerate(addresses))


def hosts(*names):
    return b"\xf3" + bytes([len(names)]) + b"".join(bytes([0x10 * i + 2]) + text(n) + b"\x01" for i, n in enumerate(names))


def log_fields(*fields):
    return b"\xf4" + bytes([len(fields)]) + b"".join(text(k) + b"\x01" + text(v) for k, v in fields)


class Program:
    """What happens to a room: p.send(line, MESSAGE, handle, fields...)."""

    def __init__(self, room, lines, master=()):
        self.room, self.lines, self.master, self.bytes = room, lines, master, b""

    def send(self, line, message, handle, *fields):
        role = self.lines[line]
        legal = [m for m in sorted(MESSAGES, key=lambda m: MESSAGES[m][0])
                 if has(MESSAGES[m][1], role) and has(MESSAGES[m][2], self.room) and (role != "MASTER" or m in self.master)]
        self.bytes += bytes([line, legal.index(message), handle])
        fields += {"D_JOB": ("", 0, 0), "D_RESULT": (0,), "Q_COMMIT": (0,)}.get(message, ())     # nothing of the kind
        for f in fields:
            self.bytes += bytes([f]) if isinstance(f, int) else f if isinstance(f, bytes) else text(f)
        return self

    def special(self, *parts):
        self.bytes += b"\xc0" + b"".join(bytes([p]) if isinstance(p, int) else p for p in parts)
        return self

    def seconds(self, n):
        """About so long: the nearest power of two."""
        self.bytes += bytes([0xA0 + max(0, min(15, (int(n * 1000) // 16).bit_length() - 1))])
        return self

    def hours(self, n):
        self.bytes += bytes([0xB0 + max(0, min(15, (int(n * 3600) // 16).bit_length() - 1))])
        return self

    def hang_up(self, line):
        self.bytes += bytes([0x90 + line])
        return self

    def wire(self, line):
        self.bytes += bytes([0x98 + line])
        return self

    def stop(self):
        self.bytes += b"\xf1"
        return self

    def reload(self):
        self.bytes += b"\xf2"
        return self


MESSAGE = "From: a\r\nTo: b\r\n\r\nbody\r\n"
TO_SINK = envelope("alice@house.test", ("x@sink.test", "smtp", "sink.test"))
TO_TWO = envelope("alice@house.test", ("x@sink.test", "smtp", "sink.test"), ("alice@house.test", "local", "alice"))


def queue():
    def q():
        return Program("QUEUE", ["SMTPD", "SMTPD", "DELIVER", "LOCAL", "ROUTER", "CONTROL"])

    def submitted(e=TO_SINK):
        # Ids: the ring holds what Q_IDS gave, one block a line; line 1 came last.
        return q().send(0, "Q_SUBMIT", 1, 1, e, MESSAGE)

    def job():
        return submitted().send(2, "D_PULL", LAST, 0)

    status = {"delivered": 1, "deferred": 2, "failed": 3}

    # The job's number is the last but one that the queue said: its flags come after it.
    def result(p, how, c, enhanced, pull=1):
        return p.send(2, "D_RESULT", LAST, LAST + 1, results((0, status[how], c, enhanced, "a text")),
                      "mx.sink.test", 1, 25, "TLSv1.3", pull)

    yield "submit", submitted()
    yield "two", submitted(TO_TWO)
    yield "chunks", (q().send(0, "Q_BEGIN", 3, 1, TO_SINK, 0).send(0, "Q_CHUNK", 3, MESSAGE).send(0, "Q_CHUNK", 3, "a text")
                     .send(0, "Q_COMMIT", 3, 0xD0))
    big = q().send(0, "Q_BEGIN", 3, 1, TO_SINK, 0)
    for _ in range(6):
        big.send(0, "Q_CHUNK", 3, b"\xf5x\x20")
    yield "big", big.send(0, "Q_COMMIT", 3, 0xD0)
    yield "abort", q().send(0, "Q_BEGIN", 3, 1, TO_SINK, 0).send(0, "Q_CHUNK", 3, MESSAGE).send(0, "Q_ABORT", 3, 1)
    yield "ids", q().send(0, "Q_IDS_WANT", 0, 10).send(1, "Q_IDS_WANT", 0, 10)
    yield "delivered", result(job(), "delivered", 250, "2.1.5")
    yield "deferred", result(job(), "deferred", 450, "4.2.1").hours(1).send(2, "D_PULL", LAST, 0)
    yield "failed", result(job(), "failed", 550, "5.1.1").send(4, "R_VERDICT",
                                                               LAST, 1, code(0), "", "", "default", "", "smtp", "sink.test", 1)
    yield "expired", result(job(), "deferred", 450, "4.2.1").hours(100).hours(100)
    yield "down", submitted().send(2, "D_CLOSED", LAST, 2, code(451), "4.4.1", "a text", "mx.sink.test", 1).hours(1)
    yield "never", submitted().send(2, "D_CLOSED", LAST, 3, code(550), "5.1.1", "a text", "mx.sink.test", 1)
    yield "busy", submitted().send(2, "D_CLOSED", LAST, 5, code(0), "", "", "", 0).seconds(2)
    yield "dies", job().hang_up(2).seconds(2).wire(2).send(2, "D_PULL", LAST, 0)
    yield "reload", submitted().reload().send(4, "R_VERDICT", LAST, 1, code(0), "", "", "default", "", "local", "bob", 2)
    yield "rejected", submitted().reload().send(4, "R_VERDICT", LAST, 2, code(550), "5.7.1", "a text", "default", "", "", "", 2)
    for verb in range(2, 8):
        yield "admin-%d" % verb, (submitted(TO_TWO).send(5, "A_REQUEST", 9, verb, "", "", 0, 10)
                                  .send(5, "A_REQUEST", 10, verb, "000100000001", "", 0, 10))
    yield "remove-all", job().send(5, "A_REQUEST", 9, 7, "--all", "", 0, 10)
    yield "disk-fails", q().special(0x07, 0).send(0, "Q_SUBMIT", 1, 1, TO_SINK, MESSAGE).seconds(5).special(0)
    yield "disk-full", q().special(1, 1).send(0, "Q_SUBMIT", 1, 1, TO_SINK, MESSAGE).seconds(5).special(0)
    yield "disk-fails-late", result(job().special(0x0f, 0), "delivered", 250, "2.1.5").seconds(5).special(0).seconds(5)
    for cut in range(7):
        yield "restart-%d" % cut, (result(job(), "deferred", 450, "4.2.1").seconds(1).seconds(2)
                                   .special(0xF0 + cut).send(2, "D_PULL", LAST, 0).hours(1))
    # The header of the segment and its first frame, its nonce, the content.
    for i, at in enumerate((0, 16, 48, 300, 520, 560, 600, 620)):
        rotten = submitted(TO_TWO).seconds(1).special(0xE0, at.to_bytes(2, "little"), 0x55)
        yield "rot-%d" % i, rotten.send(5, "A_REQUEST", 9, 5, "000100000001", "", 0, 10).special(0xF1).send(2, "D_PULL", LAST, 0)
    big.send(0, "Q_COMMIT", 3, 0xD0).seconds(1).special(0xE8, b"\x10\x00", 0x55)
    yield "rot-big", big.send(5, "A_REQUEST", 9, 5, "000100000001", "", 0, 10).send(2, "D_PULL", LAST, 0).hours(1)
    yield "restart-two", submitted(TO_TWO).special(0xF1).special(0xF1).send(5, "A_REQUEST", 9, 4, "000100000001", "", 0, 10)
    yield "stop", job().stop()


def deliver():
    def opened(nexthop="sink.test"):
        return Program("DELIVER", ["QUEUE", "RESOLVER"]).send(0, "D_OPEN", 1, "smtp", nexthop)

    def routed():
        return opened().send(1, "V_HOSTS", LAST, 1, 0, 60, hosts("mx.sink.test", "sink.test"), "")

    def up():
        return routed().special(0, 0).special(0, 1)

    def mail(p, *to):
        return p.send(0, "D_JOB", 1, 7, 1, 0, "alice@house.test", rcpts(*to), len(MESSAGE), MESSAGE)

    yield "routed", routed()
    yield "delivered", mail(up(), "x@sink.test").special(0, 3).special(0, 14).special(0, 6).send(0, "D_IDLE", 1, 0).special(0, 7)
    yield "one-of-two", mail(up(), "x@sink.test", "y@other.test").special(0, 15).special(0, 6)
    yield "helo", (mail(routed().special(0, 0).special(0, 12).special(0, 2), "x@sink.test")
                   .special(0, 3).special(0, 4).special(0, 5).special(0, 6))
    yield "refused", mail(up(), "x@sink.test").special(0, 3).special(0, 10)
    yield "later", mail(up(), "x@sink.test").special(0, 8)
    yield "closes", mail(up(), "x@sink.test").special(0, 3).special(0xC0)
    yield "after-dot", mail(up(), "x@sink.test").special(0, 3).special(0, 14).special(0xC0)
    yield "timeout", mail(up(), "x@sink.test").hours(1)
    yield "revoked", mail(up(), "x@sink.test").send(0, "D_REVOKE", 1, 7)
    yield "parts", (up().send(0, "D_JOB", 1, 7, 1, 0, "alice@house.test", rcpts("x@sink.test"), 0xE0 + 8, "a text")
                    .send(0, "D_CHUNK", 1, 7, MESSAGE).special(0, 14).send(0, "D_CHUNK", 1, 7, b"\xf5x\x20"))
    yield "no-route", opened().send(1, "V_HOSTS", LAST, 2, 0, 60, "", "a text")
    yield "bogus", opened().send(1, "V_HOSTS", LAST, 6, 0, 60, "", "a text")
    yield "literal", mail(opened("[192.0.2.1]:2525").special(0, 0).special(0, 1), "x@sink.test").special(0, 14)
    for fate in range(1, 7):
        yield "fate-%d" % fate, (opened().special(0xE0 + fate)
                                 .send(1, "V_HOSTS", LAST, 1, 0, 60, hosts("mx.sink.test"), "").special(0, 0))
    yield "resolver-dies", opened().hang_up(1).wire(1).send(1, "V_HOSTS", LAST, 1, 0, 60, hosts("mx.sink.test"), "")
    yield "queue-dies", mail(up(), "x@sink.test").hang_up(0).wire(0)
    yield "stop", mail(up(), "x@sink.test").stop()


def local():
    def p():
        return Program("LOCAL", ["MASTER", "QUEUE", "MAILBOX"], ("M_SPAWNED", "M_SPAWN_FAILED"))

    def job():
        return (p().send(1, "D_OPEN", 1, "local", "alice").send(0, "M_SPAWNED", LAST, 99).send(2, "D_PULL", LAST, 0)
                .send(1, "D_JOB", 1, 7, 1, 0, "alice@house.test", rcpts("alice@house.test"), len(MESSAGE), MESSAGE))

    def result(status, c):
        return job().send(2, "D_RESULT", LAST, 7, results((0, status, c, "2.1.5", "a text")), "", 0, 0, "", 1)

    yield "delivered", result(1, 250).send(1, "D_IDLE", 1, 0).send(2, "D_CLOSED", LAST, 1, code(0), "", "", "", 0)
    yield "failed", result(3, 550)
    yield "no-such", p().send(1, "D_OPEN", 1, "local", "bob").send(0, "M_SPAWN_FAILED", LAST, 4, "a text")
    yield "cannot", p().send(1, "D_OPEN", 1, "local", "bob").send(0, "M_SPAWN_FAILED", LAST, 7, "a text")
    yield "many", (p().send(1, "D_OPEN", 1, "local", "alice").send(1, "D_OPEN", 2, "local", "bob")
                   .send(1, "D_OPEN", 3, "local", "postmaster")
                   .send(1, "D_IDLE", 3, 0).send(0, "M_SPAWNED", LAST, 9))
    yield "parts", (p().send(1, "D_OPEN", 1, "local", "alice").send(0, "M_SPAWNED", LAST, 99).send(2, "D_PULL", LAST, 0)
                    .send(1, "D_JOB", 1, 7, 1, 0, "alice@house.test", rcpts("alice@house.test"), 0xE0 + 8, "a text")
                    .send(1, "D_CHUNK", 1, 7, MESSAGE).send(2, "D_CREDIT", LAST, 7, 20).send(1, "D_REVOKE", 1, 7))
    yield "slow", job().hours(1)
    yield "dies", job().hang_up(2)
    yield "queue-dies", job().hang_up(1).wire(1)
    yield "stop", job().stop()


def resolver():
    def p():
        return Program("RESOLVER", ["SMTPD", "DELIVER", "DELIVER"])

    def answer(p, how, *records):
        return p.special(0, how | len(records), *records)

    mx = b"\x00\x02\x10\x0a\x01"                # a name that was asked, type MX, of ttl 256, preference 10, a name
    mx = b"\x01\x00\x10" + b"\x0a" + b"\x00\x17"
    a = b"\x01\x00\x10\x01"
    route = p().send(1, "V_ROUTE", 1, 1, "sink.test")
    yield "mx", answer(answer(route, 0x20, mx), 0x20, a)
    yield "implicit", answer(answer(p().send(1, "V_ROUTE", 1, 1, "sink.test"), 0), 0, a)
    yield "nxdomain", answer(p().send(1, "V_ROUTE", 1, 1, "sink.test"), 8)
    yield "host", answer(answer(p().send(1, "V_ROUTE", 1, 2, "sink.test"), 0, a), 0, a)
    yield "ptr", answer(answer(p().send(0, "V_PTR", 1, 1), 0, b"\x01\x00\x10\x00\x26"), 0, a)
    yield "same", answer(p().send(1, "V_ROUTE", 1, 1, "sink.test").send(2, "V_ROUTE", 2, 1, "sink.test").hang_up(1), 0x20, mx)
    yield "late", p().send(1, "V_ROUTE", 1, 1, "sink.test").hours(1)
    yield "alias", answer(p().send(1, "V_ROUTE", 1, 1, "sink.test"), 0, b"\x01\xa1\x10\x00\x05", b"\x00\x05\x00\x10\x0a\x00\x17")
    yield "stop", p().send(1, "V_ROUTE", 1, 1, "sink.test").stop()
    yield "forget", (answer(p().send(0, "V_PTR", 1, 1).send(0, "V_PTR", 2, 2).send(0, "V_FORGET", 1, 0), 0,
                            b"\x01\x00\x10\x00\x26"))
    yield "forget-late", (answer(answer(p().send(0, "V_PTR", 1, 1), 0, b"\x01\x00\x10\x00\x26").send(0, "V_FORGET", 1, 0), 0, a)
                          .send(0, "V_FORGET", 1, 0).send(0, "V_FORGET", LAST, 0))
    yield "again", answer(p().send(0, "V_PTR", 1, 1).send(0, "V_PTR", 1, 2), 8).send(0, "V_FORGET", 1, 0)


def router():
    def p():
        return Program("ROUTER", ["SMTPD", "SMTPD", "QUEUE", "CONTROL"])

    for i, to in enumerate(("alice@house.test", "x@sink.test", "y@other.test", "postmaster", "\"quoted part\"@house.test")):
        yield "check-%d" % i, p().send(0, "R_CHECK", 1, "mx", 1, "client.example.net", "house.test", "x@sink.test", to)
        yield "route-%d" % i, p().send(2, "R_ROUTE", 1, "", to)
    yield "inside", p().send(1, "R_CHECK", 1, "mx", 6, "", "house.test", "", "y@other.test")
    yield "explain", p().send(3, "A_REQUEST", 1, 9, "from=x@sink.test to=alice@house.test client=192.0.2.1", "", 0, 0)
    yield "explain-2", p().send(3, "A_REQUEST", 1, 9, "alice@house.test", "x@sink.test", 0, 0)
    yield "other-verb", p().send(3, "A_REQUEST", 1, 1, "", "", 0, 0)


def smtpd():
    def p():
        return (Program("SMTPD", ["ROUTER", "RESOLVER", "QUEUE"])
                .send(2, "Q_IDS", 0, 0xF0, b"\x07" + bytes(7) + b"\x01\x00" + b"\x01" + bytes(7), 100)
                .send(2, "Q_STATE", 0, 1, code(0), "", "", 0))

    def client():
        return p().special(0).send(1, "V_NAME", LAST, 1, 0, "client.example.net")

    def verdict(p, action, c, enhanced, rcpt=""):
        return p.send(0, "R_VERDICT", LAST, action, code(c), enhanced, "a text", "default", rcpt, "local", "alice", 1)

    def mail():
        return verdict(client().special(0, 0).special(0, 2).special(0, 4), 1, 0, "")

    yield "accepted", mail().special(0, 6).special(0, 7).send(2, "Q_ACCEPTED", LAST, 0).special(0, 9)
    yield "refused", mail().special(0, 6).special(0, 7).send(2, "Q_REFUSED", LAST, code(451), "4.2.1", "a text")
    yield "rejected", verdict(client().special(0, 0).special(0, 2).special(0, 4), 2, 550, "5.1.1").special(0, 6)
    yield "deferred", verdict(client().special(0, 0).special(0, 2).special(0, 4), 3, 450, "4.2.1").special(0, 9)
    yield "alias", verdict(client().special(0, 0).special(0, 2).special(0, 4), 1, 0, "", "bob@house.test").special(0, 6)
    yield "pipelined", verdict(client().special(0, 12), 1, 0, "").special(0, 7).send(2, "Q_ACCEPTED", LAST, 0)
    yield "queue-dies", mail().special(0, 6).special(0, 7).hang_up(2).wire(2)
    yield "router-dies", client().special(0, 12).hang_up(0).wire(0)
    yield "full", p().send(2, "Q_STATE", 0, 0, code(452), "4.2.1", "a text", 0).special(0).special(0, 0).special(0, 2)
    yield "no-ids", (Program("SMTPD", ["ROUTER", "RESOLVER", "QUEUE"])
                     .send(2, "Q_STATE", 0, 1, code(0), "", "", 0).special(0).special(0, 12))
    yield "large", (mail().special(0, 6).special(0, 0xFB)
                    .send(2, "Q_CREDIT", LAST, 0xE0 + 4).special(0, 15).send(2, "Q_ACCEPTED", LAST, 0))
    yield "too-large", (mail().special(0, 6).special(0, 0xFF)
                        .send(2, "Q_CREDIT", LAST, 0xE0 + 9).special(0, 0xFF).special(0, 0xFF).special(0, 15))
    yield "large-refused", (mail().special(0, 6).special(0, 0xFB)
                            .send(2, "Q_REFUSED", LAST, code(452), "4.2.1", "a text").special(0, 15))
    yield "all-verbs", (client().special(0, 0).special(0, 16)
                        .special(0, 17).special(0, 18).special(0, 10).special(0, 11).special(0, 8))
    yield "slow", mail().special(0, 6).hours(1)
    yield "two", client().special(1).special(1, 12).special(0, 12)
    yield "stop", mail().stop().special(0, 9)


# Of the keys in fuzz_room_vault.c.
KEY_ID = bytes.fromhex("2469abf2e74ef1448ef85f34b8129db2b3469a3737fbe27508a67f8f69e77697")
RSA_ID = bytes.fromhex("b320018a154189dc0dfe961b32a60eefcfcdbe6579489d804280f91cbf760ab8")
TLS13 = b" " * 64 + b"TLS 1.3, server CertificateVerify\0"
TLS12 = bytes(64) + b"\x03\x00"


def vault():
    def p():
        return Program("VAULT", ["SMTPD", "SMTPD", "MASTER"], ("M_CERTIFICATES",))

    # Schemes are numbers of two octets.
    def sign(p, scheme, message, line=0, key=KEY_ID, handle=1):
        return p.send(line, "K_SIGN", handle, b"\xf0" + bytes([scheme & 0xff, scheme >> 8]), text(key), text(message))

    yield "tls13", sign(p(), 0x0403, TLS13 + bytes(32))
    yield "tls13-sha384", sign(p(), 0x0403, TLS13 + bytes(48))
    yield "tls13-wrong-curve", sign(p(), 0x0503, TLS13 + bytes(48))
    yield "tls13-rsa", sign(p(), 0x0804, TLS13 + bytes(32))
    yield "tls13-client", sign(p(), 0x0403, TLS13.replace(b"server", b"client") + bytes(32))
    yield "tls12-x25519", sign(p(), 0x0403, TLS12 + b"\x1d\x20" + bytes(32))
    yield "tls12-p256", sign(p(), 0x0503, TLS12 + b"\x17\x41\x04" + bytes(64))
    yield "tls12-short", sign(p(), 0x0403, TLS12 + b"\x17\x41\x04" + bytes(63))
    yield "nothing", sign(p(), 0x0403, b"")
    yield "a-hash", sign(p(), 0x0403, bytes(32))
    yield "no-key", sign(p(), 0x0403, TLS13 + bytes(32), key=bytes(32))
    yield "short-key", sign(p(), 0x0403, TLS13 + bytes(32), key=bytes(31))
    yield "no-handle", sign(p(), 0x0403, TLS13 + bytes(32), handle=0)
    yield "two", sign(sign(p(), 0x0403, TLS13 + bytes(32)), 0x0403, TLS13 + bytes(32), line=1).hours(20)
    yield "forgotten", sign(p().send(2, "M_CERTIFICATES", 0, 2).send(2, "M_CERTIFICATES", 0, 3), 0x0403, TLS13 + bytes(32))
    yield "dies", sign(p(), 0x0403, TLS13 + bytes(32)).hang_up(0).wire(0)
    yield "stop", sign(p().stop(), 0x0403, TLS13 + bytes(32))

    def rsa(p, line=0, scheme=0x0804):
        return sign(p, scheme, TLS13 + bytes(32), line, RSA_ID)

    yield "rsa", rsa(p())
    yield "rsa-tls12", sign(p(), 0x0401, TLS12 + b"\x17\x41\x04" + bytes(64), key=RSA_ID)
    yield "rsa-ecdsa", rsa(p(), scheme=0x0403)
    yield "rsa-many", rsa(rsa(rsa(rsa(rsa(rsa(rsa(p()), 1)), 1)), 1)).hours(20)
    yield "rsa-dies", rsa(rsa(p()), 1).hang_up(0).wire(0)
    yield "rsa-forgotten", rsa(p()).send(2, "M_CERTIFICATES", 0, 2).send(2, "M_CERTIFICATES", 0, 3)
    yield "rsa-stop", rsa(p()).stop()


def auth():
    def p():
        return Program("AUTH", ["SMTPD", "SMTPD", "MASTER"], ("M_USERS",))

    # An address: family and 16 octets come as room.c makes them from one byte.
    def begin(p, name, initial=None, line=0, handle=1, plus=1, binding=b"", card=b""):
        return p.send(line, "AU_BEGIN", handle, name, int(initial is not None), text(initial or b""), 1, 1, plus, text(binding),
                      text(b""), text(card), 0)

    yield "plain", begin(p(), "PLAIN", b"\0alice\0secret")
    yield "wrong", begin(p(), "PLAIN", b"\0alice\0wrong").seconds(4)
    yield "nobody", begin(p(), "PLAIN", b"\0nobody\0wrong")
    yield "late", begin(p(), "PLAIN").send(0, "AU_CONTINUE", 1, text(b"\0alice\0secret"))
    yield "login", begin(p(), "LOGIN").send(0, "AU_CONTINUE", 1, "alice").send(0, "AU_CONTINUE", 1, text(b"secret"))
    yield "scram", begin(p(), "SCRAM-SHA-256", b"n,,n=alice,r=abc").send(0, "AU_CONTINUE", 1, text(b"c=biws,r=abc,p=AAAA"))
    yield "plus", begin(p(), "SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=alice,r=abc", binding=b"E" * 32)
    yield "external", begin(p(), "EXTERNAL", b"", card=b"C" * 32)
    yield "gives-up", begin(p(), "LOGIN").send(0, "AU_ABORT", 1, 1).send(0, "AU_CONTINUE", 1, "alice")
    yield "out-of-turn", (begin(begin(p(), "PLAIN", b"\0alice\0wrong"), "PLAIN", b"\0alice\0secret", handle=2)
                          .send(0, "AU_CONTINUE", 2, "alice").seconds(4))
    yield "twice", begin(begin(p(), "LOGIN"), "LOGIN")
    yield "dies", begin(begin(p(), "PLAIN", b"\0alice\0wrong"), "LOGIN", line=1).hang_up(0).seconds(4).wire(0)
    yield "impatient", begin(p(), "LOGIN").hours(1).send(0, "AU_CONTINUE", 1, "alice")
    yield "users", begin(p().send(2, "M_USERS", 0, 7), "PLAIN", b"\0alice\0secret")
    yield "stop", begin(p().stop(), "PLAIN", b"\0alice\0secret")


def signatures():
    def p():
        return Program("SMTPD", ["VAULT"]).send(0, "K_TICKETS", 0, text(bytes(64))).special(0).special(0)

    yield "no-signature", p().send(0, "K_SIGNED", LAST, 1, text(b"")).special(0)
    yield "wrong", p().send(0, "K_SIGNED", LAST, 1, text(bytes(70))).special(0)
    yield "too-long", p().send(0, "K_SIGNED", LAST, 1, text(bytes(200))).special(0)
    yield "refused", p().send(0, "K_SIGNED", LAST, 2, text(b"")).special(0)
    yield "good", p().special(0xF0).special(0)
    yield "twice", p().send(0, "K_SIGNED", LAST, 1, text(bytes(70))).send(0, "K_SIGNED", LAST, 1, text(bytes(70))).special(0)
    yield "abandoned", p().special(0xE0).send(0, "K_SIGNED", LAST, 1, text(bytes(70)))
    yield "dies", p().hang_up(0).special(0).wire(0).special(0)
    yield "two", p().special(1).special(1).send(0, "K_SIGNED", LAST, 4, text(b"")).special(1).special(0)
    yield "tickets", p().send(0, "K_TICKETS", 0, text(bytes(31))).special(0)


def log():
    def p():
        return Program("LOG", ["SMTPD", "QUEUE", "DELIVER", "MAILBOX", "CONTROL"])

    yield "event", p().send(0, "L_EVENT", 0, code(1), 5, 99, "000100000001",
                            log_fields(("client", "192.0.2.7"), ("listener", "mx")))
    yield "escapes", p().send(1, "L_EVENT", 0, 9, 5, 99, "",
                              log_fields(("client", "two\r\nlines"), ("helo", b"\x1b[0m\xff"))).special(0)
    yield "dropped", p().send(2, "L_DROPPED", 0, 99, 7).special(0)
    yield "status", p().send(4, "A_REQUEST", 1, 13, "", "", 0, 0)
    many = p()
    for i in range(30):
        many.send(i % 3, "L_EVENT", 0, 9 + i % 20, 5, 99, "000100000001", log_fields(("text", b"\x90" if False else "a text")))
    yield "many", many.seconds(2).special(0).seconds(2)
    yield "stop", p().send(0, "L_EVENT", 0, 1, 5, 99, "", log_fields(("reason", "a text"))).stop()


def control():
    def p():
        return Program("CONTROL", ["MASTER", "QUEUE", "ROUTER", "CLIENT"], ("A_ROW", "A_END")).special(0)

    def asked(verb, arg=""):
        return p().send(3, "A_REQUEST", 5, verb, arg, "", 0, 10)

    yield "status", asked(1).send(0, "A_ROW", LAST, 1, "{}").send(0, "A_END", LAST, 0, "", 0, 0)
    yield "list", asked(3).send(1, "A_ROW", LAST, 1, "{}").send(1, "A_ROW", LAST, 1, "{}").send(1, "A_END", LAST, 0, "", 1, 7)
    yield "flush", asked(6, "sink.test").send(1, "A_END", LAST, 4, "a text", 0, 0)
    yield "explain", asked(9, "alice@house.test").send(2, "A_END", LAST, 0, "", 0, 0)
    yield "unasked", p().send(1, "A_ROW", 1, 1, "{}").send(1, "A_END", 1, 0, "", 0, 0)
    yield "twice", asked(3).send(3, "A_REQUEST", 6, 3, "", "", 0, 10)
    yield "dies", asked(3).hang_up(1).wire(1)
    yield "hangs-up", asked(3).hang_up(3).send(1, "A_ROW", LAST, 1, "{}")
    yield "log", asked(13)


def mailbox():
    def p():
        return Program("MAILBOX", ["LOCAL"]).send(0, "D_OPEN", 1, "local", "alice")

    def job(size=len(MESSAGE), content=MESSAGE, to=("alice@house.test",)):
        return p().send(0, "D_JOB", 1, 7, 1, 0, "x@sink.test", rcpts(*to), size, content)

    yield "delivered", job().send(0, "D_IDLE", 1, 0)
    yield "again", job().send(0, "D_JOB", 1, 8, 1, 0, "x@sink.test", rcpts("alice@house.test"), len(MESSAGE), MESSAGE)
    yield "two", job(to=("alice@house.test", "bob@house.test"))
    yield "bounce", p().send(0, "D_JOB", 1, 7, 1, 2, "", rcpts("alice@house.test"), len(MESSAGE), MESSAGE)
    yield "parts", job(46, MESSAGE).send(0, "D_CHUNK", 1, 7, MESSAGE)
    yield "large", job(0xE0 + 5, b"\xf5x\x50").send(0, "D_CHUNK", 1, 7, b"\xf5x\x50").send(0, "D_CHUNK", 1, 7, b"\xf5x\x08")
    yield "revoked", job(46, MESSAGE).send(0, "D_REVOKE", 1, 7)
    yield "hangs-up", job(46, MESSAGE).hang_up(0)
    yield "somebody-else", Program("MAILBOX", ["LOCAL"]).send(0, "D_OPEN", 1, "local", "bob")
    yield "link", Program("MAILBOX", ["LOCAL"]).special(4).send(0, "D_OPEN", 1, "local", "alice")
    yield "file", Program("MAILBOX", ["LOCAL"]).special(13).send(0, "D_OPEN", 1, "local", "alice")
    yield "open-to-all", (p().special(9)
                          .send(0, "D_JOB", 1, 7, 1, 0, "x@sink.test", rcpts("alice@house.test"), len(MESSAGE), MESSAGE))
    yield "gone", p().special(20).send(0, "D_JOB", 1, 7, 1, 0, "x@sink.test", rcpts("alice@house.test"), len(MESSAGE), MESSAGE)
    yield "stop", job(46, MESSAGE).stop().send(0, "D_CHUNK", 1, 7, MESSAGE)


def master():
    def p():
        # Ends are given from the last place on, to processes in the order of their start.
        # Three probes of a self-test before them make control the sixth.
        return Program("MASTER", ["LOCAL", "QUEUE", "CONTROL", "LOG", None, "CONTROL"])

    def ready(p, line, status=0):
        return p.send(line, "M_READY", 0, 1, status, "a text", "a text")

    def all_ready():
        return ready(ready(ready(ready(p(), 0), 1), 2), 3)

    yield "ready", all_ready()
    yield "refuses", ready(p(), 1, 7)
    yield "refuses-at-length", p().send(1, "M_READY", 0, 1, 7, b"\xf5x\x40", "").special(2).seconds(60)
    yield "dies", all_ready().special(1).seconds(2).seconds(60)
    yield "dies-again", all_ready().special(0x41).seconds(2).special(0x21).seconds(2).special(1).hours(1)
    yield "mailbox", all_ready().send(0, "M_SPAWN", 1, "alice").send(0, "M_READY", 0, 1, 0, "", "").hours(1)
    yield "mailbox-refuses", all_ready().send(0, "M_SPAWN", 1, "alice").send(0, "M_READY", 0, 1, 4, "a text", "")
    yield "no-name", all_ready().send(0, "M_SPAWN", 1, "two\r\nlines")
    yield "local-dies", all_ready().send(0, "M_SPAWN", 1, "alice").special(3).seconds(2)
    for verb in (1, 8, 10, 11, 12):
        yield "admin-%d" % verb, all_ready().send(2, "A_REQUEST", 5, verb, "", "", 0, 50).seconds(1)
    # A self-test that could not go on, and another beside what is left of the first.
    yield "selftest-twice", (all_ready().send(2, "A_REQUEST", 5, 12, "", "", 0, 50).special(0xF1).special(4).special(0xF0)
                             .send(5, "A_REQUEST", 6, 12, "", "", 0, 50).special(4).special(4).seconds(60))
    yield "cannot-fork", all_ready().special(0xF1).special(0).send(0, "M_SPAWN", 1, "alice").seconds(60).special(0xF0).hours(1)


def dovecot():
    def p():
        return Program("AUTH", ["SMTPD", "SMTPD"])

    def begin(q, mechanism, initial, line=0, handle=1):
        return q.send(line, "AU_BEGIN", handle, mechanism, 0 if initial is None else 1, initial or "", b"\x02", 1, 1, "", "", "",
                      0)

    up = p().special(0).bytes

    def house():
        q = p()
        q.bytes += up
        return q

    def plain():
        return begin(house(), "PLAIN", "\0alice\0x")

    yield "passes", plain().special(3, 0, text("user=alice"))
    yield "fails", plain().special(5, 0, text("user=alice"))
    yield "temporary", plain().special(5, 0, text("temp"))
    yield "denied", plain().special(3, 0, text("user=alice\tnologin"))
    yield "login", (begin(house(), "LOGIN", None).special(4, 0, text("VXNlcm5hbWU6")).send(0, "AU_CONTINUE", 1, "alice")
                    .special(4, 0, text("UGFzc3dvcmQ6")).send(0, "AU_CONTINUE", 1, "x").special(3, 0, text("user=alice")))
    yield "scram", (begin(house(), "SCRAM-SHA-256", "n,,n=alice,r=abc").special(4, 0, text("cj1h"))
                    .send(0, "AU_CONTINUE", 1, "c=biws,r=a,p=eA==")
                    .special(3, 0, text("user=alice\tresp=dj0x")).send(0, "AU_CONTINUE", 1, ""))
    yield "token", (begin(house(), "XOAUTH2", "user=alice\1auth=Bearer x\1\1").special(5, 0, text("user=alice\tresp=e30="))
                    .send(0, "AU_CONTINUE", 1, "\1"))
    yield "bearer", (begin(house(), "OAUTHBEARER", "n,a=alice,\1auth=Bearer x\1\1").special(4, 0, text("e30="))
                     .send(0, "AU_CONTINUE", 1, "\1"))
    yield "abort", plain().send(0, "AU_ABORT", 1, 0).special(3, 0, text("user=alice"))
    yield "goes", plain().special(6).special(0).special(3, 0, text("user=alice"))
    yield "never-there", begin(p().special(7), "PLAIN", "\0alice\0x").seconds(2).special(0)
    yield "hangs", plain().seconds(60).special(0)
    yield "greets-late", begin(p().special(1), "PLAIN", "\0alice\0x").special(2, text("VERSION\t1\t2\nMECH\tPLAIN\nDONE\n"))
    yield "another-version", p().special(1).special(2, text("VERSION\t2\t0\nDONE\n")).seconds(2)
    yield "waits", begin(plain().special(6), "PLAIN", "\0bob\0x", 1, 2).special(0).special(3, 0, text("user=bob"))
    yield "slowed", (begin(plain().special(5, 0, text("user=alice")), "PLAIN", "\0alice\0x", 1, 2).seconds(2)
                     .special(3, 0, text("user=alice")))
    yield "line-lost", plain().hang_up(0).special(3, 0, text("user=alice"))


for room in (queue, deliver, local, mailbox, master, resolver, router, smtpd, log, control, vault, auth, signatures, dovecot):
    folder = os.path.join(HERE, "room_%s.in" % room.__name__)
    os.makedirs(folder, exist_ok=True)
    for name, program in room():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(program.bytes)
