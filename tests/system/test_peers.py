#!/usr/bin/python3
"""Mail of difficult shape between Postern and the servers of others, both ways, byte for byte; and the clients of others."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import smtplib  # noqa: E402
import subprocess  # noqa: E402
from lab.client import body_of, number_of  # noqa: E402
from lab.exim import EXIM, Exim  # noqa: E402
from lab.hosts import POSTERN, POSTFIX, SINK, Postfix  # noqa: E402
from lab.opensmtpd import OPENSMTPD, OpenSMTPD  # noqa: E402
from lab.process import tool  # noqa: E402

HEAD = (b"From: sender@client.test\r\nTo: rcpt@postern.test\r\nDate: Wed, 25 Nov 2026 12:00:00 +0000\r\n"
        b"Message-ID: <%d.shape@client.test>\r\nSubject: shape\r\nX-Number: %d\r\n")

# What is sent through every server; bodies, CRLF. Each must arrive as it is.
SHAPES = {
    "empty body": b"",
    "one line": b"hello\r\n",
    "only dots": b".\r\n..\r\n...\r\n.\r\n",
    "leading dots": b".leading\r\n..two\r\n\r\n.\r\nafter\r\n",
    "blank lines at both ends": b"\r\n\r\n\r\ntext\r\n\r\n\r\n",
    "a line of 998": b"x" * 998 + b"\r\n",
    "a line of 998 dots": b"." * 997 + b"\r\n",
    "tabs and trailing blanks": b"a \t\r\n \r\n\t\r\nb  \r\n",
    "From at the start": b"From here on\r\n>From there\r\n",
    "eight bits": "grüße 你好\r\n".encode() + bytes(range(0x80, 0x100)) + b"\r\n",
    "control characters": b"bell \x07 escape \x1b form \x0c delete \x7f\r\n",
    "looks like SMTP": b"250 ok\r\nQUIT\r\nMAIL FROM:<a@b.test>\r\n.\r\nDATA\r\n",
    "looks like a header": b"Received: from a by b\r\nTo: c\r\n\r\nnot folded\r\n",
    "a folded header that is long": b"end\r\n",
    "half a megabyte": b"0123456789" * 7 + b"\r\n",
}


def shaped(number, name):
    head = HEAD % (number, number)
    if name.startswith("a folded"):
        head += b"X-Long: " + b"\r\n\t".join(b"word" * 20 for _ in range(100)) + b"\r\n"
    return head + b"\r\n" + SHAPES[name] * (7000 if name.startswith("half") else 1)


def world(folder, domain, address):
    net = lab.Lab(folder)
    net.standard_zones()
    if domain != "postfix.test":
        net.zone(domain, f"@ MX 10 mx\nmx A {address}\n")
    net.start_dns()
    return net, lab.Postern(net)


def found(messages):
    """{number: content from the sender's first field on}"""
    return {number_of(body_of(m)): body_of(m) for m in messages}


def exchange(net, postern, server, address, domain):
    """Every shape from the server to Postern's bob, and from Postern to the server's inbox."""
    sent = {n: shaped(n, name) for n, name in enumerate(SHAPES)}
    for source, sender, rcpt, box in ((POSTERN, "alice@postern.test", f"inbox@{domain}", server.mail),
                                      (address, f"inbox@{domain}", "bob@postern.test", lambda: net.mailbox("bob"))):
        with lab.Client(source) as c:
            c.ehlo()
            for n, name in enumerate(SHAPES):
                eight = any(b > 127 for b in sent[n])
                c.cmd(f"MAIL FROM:<{sender}>{' BODY=8BITMIME' if eight else ''}", "250")
                c.cmd(f"RCPT TO:<{rcpt}>", "250")
                c.cmd("DATA", "354")
                c.raw(lab.client.stuff(sent[n]))
                code, lines = c.reply()
                lab.equal(code, "250", f"the answer of {source} to {name!r} ({lines[-1]})")
        lab.wait_for(lambda: len(box()) >= len(sent), lambda: f"{len(sent)} messages from {source} for {rcpt}, {len(box())} "
                     f"came; Postern's queue: {str(postern.queue())[:500]}; its log ends: {server.log()[-500:]}", 60, pause=0.2)
        got = found(box())
        wrong = []
        for n, name in enumerate(SHAPES):
            expected = sent[n].replace(b"\r\n", b"\n")
            if got.get(n) != expected:
                wrong.append(f"{name}: {difference(got.get(n), expected)}")
        lab.check(not wrong, f"from {source} to {rcpt}: " + "; ".join(wrong))
    postern.wait_empty()


def difference(got, expected):
    if got is None:
        return "it did not come"
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b), min(len(got), len(expected)))
    return f"expected {expected[at:at + 40]!r}, got {got[at:at + 40]!r} at {at}"


def test_postfix(folder):
    net, postern = world(folder, "postfix.test", POSTFIX)
    exchange(net, postern, Postfix(net, POSTFIX), POSTFIX, "postfix.test")


@lab.needs("exim4-daemon-light")
def test_exim(folder):
    net, postern = world(folder, "exim.test", EXIM)
    exchange(net, postern, Exim(net), EXIM, "exim.test")


@lab.needs("opensmtpd")
def test_opensmtpd(folder):
    net, postern = world(folder, "opensmtpd.test", OPENSMTPD)
    exchange(net, postern, OpenSMTPD(net), OPENSMTPD, "opensmtpd.test")


def test_clients_of_others(folder):
    """swaks, Python's smtplib and Postfix's smtp-source speak to Postern; what they send arrives as they sent it."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    postern = lab.Postern(net)
    sink = lab.Sink(SINK)

    data = os.path.join(folder, "data")
    with open(data, "wb") as f:
        f.write(shaped(1, "leading dots").replace(b"\r\n", b"\n"))
    for options in ([], ["--pipeline"], ["--protocol", "SMTP"]):
        r = subprocess.run(["swaks", "--server", POSTERN, "--from", "alice@postern.test", "--to", "bob@postern.test,x@sink.test",
                            "--data", "@" + data, *options], capture_output=True, text=True)
        lab.equal(r.returncode, 0, f"swaks {options}: {r.stdout[-300:]!r}")
    lab.wait_for(lambda: len(net.mailbox("bob")) == 3, lambda: f"three messages of swaks; queue: {postern.queue()}")
    for got in net.mailbox("bob"):
        # swaks ends the data with an empty line of its own.
        lab.equal(body_of(got).rstrip(b"\n"), open(data, "rb").read().rstrip(b"\n"), "what swaks sent")

    with smtplib.SMTP(POSTERN) as s:
        for n, name in enumerate(SHAPES):
            refused = s.sendmail("alice@postern.test", ["alice@postern.test", "x@sink.test"], shaped(n, name),
                                 ["BODY=8BITMIME"] if name == "eight bits" else [])
            lab.equal(refused, {}, f"recipients refused to smtplib with {name}")
        for bad in (b"a\0b\r\n", b"x" * 5000 + b"\r\n"):
            try:
                s.sendmail("alice@postern.test", ["alice@postern.test"], shaped(900, "one line") + bad)
                lab.fail(f"expected {bad[:4]!r}... to be refused, and it was taken")
            except smtplib.SMTPDataError as e:
                lab.equal(e.smtp_code // 100, 5, f"the class of {e.smtp_error!r}")
            except smtplib.SMTPServerDisconnected:
                lab.fail(f"expected {bad[:4]!r}... to be refused with words")
    lab.wait_for(lambda: len(net.mailbox("alice")) == len(SHAPES), "all of smtplib's messages")
    got = found(net.mailbox("alice"))
    for n, name in enumerate(SHAPES):
        lab.check(got.get(n) == shaped(n, name).replace(b"\r\n", b"\n"), f"{name}: {difference(got.get(n), shaped(n, name))}")

    r = subprocess.run([tool("smtp-source"), "-s", "5", "-m", "100", "-l", "5000", "-f", "alice@postern.test", "-t",
                        "y@sink.test", "-S", "from smtp-source", f"inet:{POSTERN}:25"], capture_output=True, text=True)
    lab.equal(r.returncode, 0, f"the exit status of smtp-source ({r.stderr.strip()})")
    lab.wait_for(lambda: len([m for m in sink.messages if m[1] == ["y@sink.test"]]) == 100, "100 messages of smtp-source", 30)
    lab.wait_for(lambda: len(sink.messages) == 100 + 3 + len(SHAPES), "the copies of all others at the sink")
    postern.wait_empty()
    bodies = {m[2].partition(b"\r\n\r\n")[2] for m in sink.messages if m[1] == ["y@sink.test"]}
    lab.equal(len(bodies), 1, "different bodies of smtp-source")
    lab.check(len(bodies.pop()) >= 4500, "the whole body of smtp-source")


def test_two_posterns(folder):
    """Two instances on two hosts: each finds the other through DNS, and a loop between them ends."""
    net, first = world(folder, "second.test", "10.77.0.11")
    second = lab.Postern(net, name="second", host="10.77.0.11", domain="second.test", uid_base=64200)
    sent = shaped(7, "leading dots")
    lab.equal(lab.send(POSTERN, "alice@postern.test", ["bob@second.test"], sent)[0], "250", "the first one's answer")
    lab.equal(lab.send("10.77.0.11", "alice@second.test", ["bob@postern.test"], sent)[0], "250", "the second one's answer")
    for box in (lambda: second.mailbox("bob"), lambda: first.mailbox("bob")):
        got = lab.wait_for(box, lambda: f"the message; queues: {first.queue()} {second.queue()}")
        lab.equal(body_of(got[0]), sent.replace(b"\r\n", b"\n"), "what arrived")
    second.kill()
    lab.check(first.ctl_rows("status"), "the first one stands when the second is killed")
    lab.check(first.processes() and not second.processes(), "each knows its own processes")


lab.main(globals())
