#!/usr/bin/python3
"""Malformed, slow and loud clients are cut off, and cost nobody else anything."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import time  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402


def house(folder, extra=""):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net, net.postern_conf(extra))


def works(postern, net):
    before = len(net.mailbox("alice"))
    lab.equal(lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(before, 500))[0], "250", "a good client's answer")
    lab.wait_for(lambda: len(net.mailbox("alice")) == before + 1, "a good client's mail")


def test_smuggling_ends_in_one_message_or_none(folder):
    net, postern = house(folder)
    evil = (b"MAIL FROM:<evil@evil.test>\r\nRCPT TO:<bob@postern.test>\r\nDATA\r\n"
            b"From: sender@client.test\r\n\r\nsmuggled\r\n.\r\n")
    for before in (b"\r\n", b"\n", b"\r", b"\n\r", b"\r\n\0", b""):
        for after in (b"\r\n", b"\n", b"\r", b"\n\n", b"\r\r\n", b"\0\r\n"):
            if (before, after) == (b"\r\n", b"\r\n"):
                continue
            with lab.Client(POSTERN) as c:
                c.ehlo()
                c.cmd("MAIL FROM:<a@b.test>", "250")
                c.cmd("RCPT TO:<alice@postern.test>", "250")
                c.cmd("DATA", "354")
                c.raw(b"From: sender@client.test\r\n\r\nfirst" + before + b"." + after + evil + b"\r\n.\r\nQUIT\r\n")
                try:
                    while True:
                        c.line()
                except (EOFError, OSError):
                    pass
    time.sleep(1)
    lab.equal(net.mailbox("bob"), [], "smuggled messages")
    for m in net.mailbox("alice"):
        lab.check(b"\r" not in m.replace(b"\r\n", b""), "no bare CR is passed on")
    works(postern, net)


def test_other_protocols_are_cut(folder):
    net, postern = house(folder)
    for hello in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n",
                  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 300,
                  b"CONNECT x:25 HTTP/1.0\r\n\r\n", b"\0" * 1000):
        with lab.Client(POSTERN) as c:
            c.raw(hello)
            try:
                while True:
                    line = c.line()
                    lab.check(line.startswith(("5", "4")), f"only refusals, not {line!r}")
            except (EOFError, OSError):
                pass
    works(postern, net)


def test_endless_line_and_flood(folder):
    net, postern = house(folder)
    with lab.Client(POSTERN) as c:
        try:
            for _ in range(200):
                c.raw(b"A" * 65536)
            while True:
                c.line()
        except (EOFError, OSError):
            pass
    with lab.Client(POSTERN) as c:
        c.ehlo()
        try:
            c.raw(b"NONSENSE\r\n" * 100000)
            last = ""
            while True:
                last = c.line()
        except (EOFError, OSError):
            lab.check(last.startswith(("421", "500")), f"ended with 421, not {last!r}")
    works(postern, net)


def test_dribbling_does_not_extend_the_deadline(folder):
    net, postern = house(folder, 'smtpd { timeout-command = "2s" }\n')
    with lab.Client(POSTERN) as c:
        began = time.monotonic()
        try:
            while time.monotonic() - began < 10:
                c.raw(b"N")
                time.sleep(0.3)
                c.s.setblocking(False)
                try:
                    if c.s.recv(100):
                        break
                except BlockingIOError:
                    pass
                c.s.setblocking(True)
        except OSError:
            pass
        lab.check(time.monotonic() - began < 5, "a dribbling client is cut off in time")
    works(postern, net)


# shows: RFC5321 4.5.4.2/2
def test_too_many_sessions_of_one_client(folder):
    net, postern = house(folder, "smtpd { max-sessions-per-client = 5\n processes = 1 }\n")
    held = [lab.Client(POSTERN, source="10.77.0.20") for _ in range(5)]
    with lab.Client(POSTERN, source="10.77.0.20", greet=False) as c:
        lab.equal(c.reply()[0], "421", "the sixth session's greeting")
    works(postern, net)
    for c in held:
        c.close()


def test_hanging_sink_costs_others_nothing(folder):
    net, postern = house(folder)
    net2 = lab.Sink("10.77.0.27", script={"MAIL": "hang"})
    sink = lab.Sink(SINK)
    for n in range(30):
        lab.send(POSTERN, "alice@postern.test", [f"x{n}@[10.77.0.27]"], lab.message(n, 100))
    began = time.monotonic()
    lab.send(POSTERN, "alice@postern.test", ["y@sink.test"], lab.message(99, 100))
    lab.wait_for(lambda: sink.messages, "mail to a healthy destination")
    lab.check(time.monotonic() - began < 3, "it did not wait for the hanging one")
    net2.stop()


def test_message_over_the_size_limit(folder):
    net, postern = house(folder, 'smtpd { max-message-size = "64K" }\n')
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@b.test> SIZE=100000", "552")
        code, _ = c.mail("a@b.test", ["alice@postern.test"], lab.message(1, 100_000))
        lab.equal(code, "552", "the answer to the dot")
        code, _ = c.mail("a@b.test", ["alice@postern.test"], lab.message(2, 1000))
        lab.equal(code, "250", "the next, smaller message")


def test_loop_is_broken(folder):
    net, postern = house(folder)
    trace = b"".join(b"Received: from a by b; Mon, 23 Nov 2026 00:00:00 +0000\r\n" for _ in range(100))
    code, lines = lab.send(POSTERN, "a@b.test", ["alice@postern.test"], trace + lab.message(1, 100))
    lab.check(code == "554" and "5.4.6" in lines[-1], f"a message with 100 Received fields is refused, not {lines[-1]!r}")


lab.main(globals())
