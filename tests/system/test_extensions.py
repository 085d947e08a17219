#!/usr/bin/python3
"""What the extensions of SMTP promise, through the whole house: chunks, reports on request, addresses in UTF-8, ETRN."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import time  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402
from lab.net import CLIENT  # noqa: E402

FAST = 'queue { retry-first = "1h"\n retry-max = "1h"\n retry-jitter = "0s" }\n'


def house(folder, extra=FAST):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net, net.postern_conf(extra))


def bdat(c, data, last=False, code="250"):
    c.raw(b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data)
    return c.expect(code)


def test_a_large_message_in_chunks(folder):
    net, postern = house(folder)
    sink = lab.Sink(SINK)
    data = lab.message(1, 3_000_000)
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test>", "250")
        c.cmd("RCPT TO:<x@sink.test>", "250")
        for at in range(0, len(data), 100_001):
            bdat(c, data[at:at + 100_001])
        bdat(c, b"", last=True)
    lab.wait_for(lambda: sink.messages, "the message")
    lab.check(sink.messages[0][2].replace(b"\r\n", b"\n").endswith(data.replace(b"\r\n", b"\n")), "it came unchanged")


# shows: RFC6152 3/5
def test_a_large_message_is_eight_bit_when_it_is(folder):
    """Declared and not so: it goes to a server without 8BITMIME. So and not declared: it comes back."""
    net, postern = house(folder)
    sink = lab.Sink(SINK, keywords=("PIPELINING", "SIZE 0"))
    plain = lab.message(1, 200_000)
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test> BODY=8BITMIME", "250")
        c.cmd("RCPT TO:<x@sink.test>", "250")
        bdat(c, plain, last=True)
        lab.wait_for(lambda: sink.messages, "7-bit content at a 7-bit server")
        c.cmd("MAIL FROM:<alice@postern.test>", "250")
        c.cmd("RCPT TO:<x@sink.test>", "250")
        bdat(c, plain + b"gr\xfc\xdfe\r\n", last=True)
    bounce = lab.wait_for(lambda: net.mailbox("alice"), "the bounce")[0]
    lab.check(b"5.6.3" in bounce, "a clear reason")
    lab.equal(len(sink.messages), 1, "messages at the 7-bit server")


# shows: RFC3030 3/6
def test_binary_content_reaches_a_mailbox_unchanged(folder):
    net, postern = house(folder)
    data = b"Subject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n" + bytes(range(256)) * 4 + b"\r\r\n\n.\r\n\0"
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test> BODY=BINARYMIME", "250")
        c.cmd("RCPT TO:<alice@postern.test>", "250")
        bdat(c, data, last=True)
    lab.check(lab.wait_for(lambda: net.mailbox("alice"), "the message")[0].endswith(data), "every byte")


# shows: RFC3461 5.2.3/1, RFC3461 5.2.2/1
def test_success_is_told_when_it_was_asked(folder):
    net, postern = house(folder)
    lab.Sink(SINK)
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test> ENVID=one+2Btwo", "250")
        c.cmd("RCPT TO:<bob@postern.test> NOTIFY=SUCCESS ORCPT=rfc822;Bob+2Bx@postern.test", "250")
        c.cmd("RCPT TO:<x@sink.test> NOTIFY=SUCCESS,FAILURE", "250")
        c.cmd("RCPT TO:<y@sink.test>", "250")
        bdat(c, b"Subject: x\r\n\r\nbody\r\n", last=True)
    reports = lab.wait_for(lambda: len(net.mailbox("alice")) == 2 and net.mailbox("alice"), "two reports")
    text = b"".join(reports)
    for words in (b"Action: delivered\n", b"Action: relayed\n", b"Original-Envelope-Id: one+two\n",
                  b"Original-Recipient: rfc822; Bob+x@postern.test\n", b"Subject: Successful Mail Delivery Report\n"):
        lab.check(words in text, f"{words} in the reports")
    lab.check(b"y@sink.test" not in text, "nothing of who was not asked about")
    postern.wait_empty()


# shows: RFC2852 4.1.3/2, RFC2852 4.1.3/3
def test_mail_has_its_time(folder):
    """BY with N is told of and tried on, with R it comes back; each once, and an open-ended one is told of by delay-notice."""
    net, postern = house(folder, FAST + 'queue { delay-notice = "2s" }\nsmtpd { min-deliver-by = "1s" }\n')
    sink = lab.Sink(SINK, script={"RCPT": b"451 4.2.0 later\r\n"}, keywords=("PIPELINING", "8BITMIME", "DSN", "DELIVERBY"))
    with lab.Client(POSTERN) as c:
        lab.check("DELIVERBY 1" in str(c.ehlo()), "it is announced")
        for by, user in (("BY=1;N", "n"), ("BY=1;R", "r"), ("", "d")):
            c.cmd(f"MAIL FROM:<alice@postern.test> {by}".strip(), "250")
            c.cmd(f"RCPT TO:<{user}@sink.test>", "250")
            bdat(c, b"Subject: x\r\n\r\nbody\r\n", last=True)
    reports = lab.wait_for(lambda: len(net.mailbox("alice")) == 3 and net.mailbox("alice"), "three reports")
    for user, words in (("n", b"Action: delayed\nStatus: 4.4.7\n"), ("r", b"Action: failed\nStatus: 5.4.7\n"),
                        ("d", b"Action: delayed\nStatus: 4.2.0\n")):
        lab.check(any(words in r and f"rfc822; {user}@sink.test".encode() in r for r in reports), f"{words} for {user}")
    lab.check(b"451 4.2.0 later" in b"".join(reports), "the server's words")
    os.kill(postern.pids("queue")[0], 9)
    time.sleep(3)
    lab.equal(len(net.mailbox("alice")), 3, "reports, each once")
    sink.script.clear()
    postern.ctl("queue", "flush")
    lab.wait_for(lambda: len(sink.messages) == 2, "the two that were not returned")
    postern.wait_empty()


# shows: RFC3461 5.2.6/2, RFC3461 5.2.3/2, RFC3461 5.2.8/1, RFC6710 4.1/5
def test_one_mailbox_with_two_wishes(folder):
    """Nothing is to be told of the one name, success of the other: one copy, one report. The priority is in the log."""
    net, postern = house(folder)
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test> MT-PRIORITY=-3", "250")
        c.cmd("RCPT TO:<bob@postern.test> NOTIFY=NEVER ORCPT=rfc822;never@postern.test", "250")
        c.cmd("RCPT TO:<bob@postern.test> NOTIFY=SUCCESS ORCPT=rfc822;Bobby@postern.test", "250")
        c.cmd("RCPT TO:<bob@postern.test>", "250")
        bdat(c, b"Subject: x\r\n\r\nbody\r\n", last=True)
    report = lab.wait_for(lambda: net.mailbox("alice"), "the report")[0]
    postern.wait_empty()
    lab.equal(len(net.mailbox("alice")), 1, "reports")
    lab.equal(len(net.mailbox("bob")), 1, "copies")
    lab.equal(report.count(b"Final-Recipient: "), 1, "recipients in the report")
    lab.check(b"Original-Recipient: rfc822; Bobby@postern.test\n" in report, "the one that it was asked for")
    lab.check(b"PRIORITY -3;" in net.mailbox("bob")[0], "the priority in the trace field")
    lab.check("priority=-3" in postern.log(), "the priority in the log")


# shows: RFC3461 6.3/8, RFC3461 6.3/9
def test_a_server_that_refuses_all_is_named_in_the_report(folder):
    """It says 451 to EHLO until the message is too old: its words come back, and its name."""
    net, postern = house(folder, 'queue { retry-first = "1s"\n retry-max = "1s"\n retry-jitter = "0s"\n expire = "3s" }\n')
    lab.Sink(SINK, script={"EHLO": b"451 4.7.1 not you\r\n"})
    lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], lab.message(1, 300))
    report = lab.wait_for(lambda: net.mailbox("alice"), "the report", 60)[0]
    for words in (b"Status: 4.4.7\n", b"Remote-MTA: dns; mx.sink.test\n", b"Diagnostic-Code: smtp; 451 4.7.1 not you\n"):
        lab.check(words in report, f"{words} in the report")
    postern.wait_empty()


# shows: RFC6531 3.2/2
def test_a_domain_in_utf8(folder):
    """Written in U-labels, looked up and sent in A-labels; with nothing else in UTF-8 the next server needs no SMTPUTF8."""
    net, postern = house(folder, FAST + 'route "idn" { to = {"b\u00fccher.example"}\n relay-host = "sink.test" }\n')
    sink = lab.Sink(SINK)
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test> SMTPUTF8", "250")
        c.cmd("RCPT TO:<x@B\u00dcCHER.example>", "250")
        bdat(c, b"Subject: x\r\n\r\nbody\r\n", last=True)
    lab.wait_for(lambda: sink.messages, "the message")
    lab.equal(sink.messages[0][1], ["x@xn--bcher-kva.example"], "the recipient")
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test> SMTPUTF8", "250")
        c.cmd("RCPT TO:<j\u00f6rg@sink.test>", "250")
        bdat(c, b"Subject: x\r\n\r\nbody\r\n", last=True)
    bounce = lab.wait_for(lambda: net.mailbox("alice"), "the bounce")[0]
    lab.check(b"Status: 5.6.7\n" in bounce and b"utf-8; j\\x{F6}rg@sink.test" in bounce, "why, and about whom")


# shows: RFC6532 3/2, RFC6532 3.1/1
def test_headers_in_utf8_and_in_latin1(folder):
    """A field in UTF-8 goes to servers with SMTPUTF8 alone; one that is no UTF-8 goes to all, as it came."""
    net, postern = house(folder)
    said = []
    sink = lab.Sink(SINK, keywords=("PIPELINING", "8BITMIME"), script={"MAIL": lambda peer, argument: said.append(argument)})

    def send(field, parameter):
        with lab.Client(POSTERN) as c:
            c.ehlo()
            c.cmd("MAIL FROM:<alice@postern.test>" + parameter, "250")
            c.cmd("RCPT TO:<x@sink.test>", "250")
            bdat(c, b"Subject: " + field + b"\r\n\r\nbody\r\n", last=True)

    for n, parameter in enumerate((" SMTPUTF8", "", " BODY=8BITMIME SMTPUTF8"), 1):
        send(b"gr\xfc\xdfe", parameter)
        lab.wait_for(lambda: len(sink.messages) == n, "the message in Latin-1")
        lab.check(b"\r\nSubject: gr\xfc\xdfe\r\n\r\nbody" in sink.messages[-1][2], f"as it came: {sink.messages[-1][2]}")
        lab.check(said[-1].endswith(" BODY=8BITMIME"), f"what was said: {said[-1]}")
    send("gr\u00fc\u00dfe".encode(), " SMTPUTF8")
    bounce = lab.wait_for(lambda: net.mailbox("alice"), "the bounce")[0]
    lab.check(b"Status: 5.6.9\n" in bounce, f"why: {bounce}")
    lab.equal(len(sink.messages), 3, "messages at the server without SMTPUTF8")
    postern.wait_empty()


# shows: RFC6533 3/1, RFC6533 3/2, RFC6533 3/4
def test_a_recipient_in_utf8_is_named_everywhere(folder):
    """Whom the sender wrote to, in UTF-8: escaped for a server without SMTPUTF8, and in the report that comes back."""
    net, postern = house(folder)
    said = []
    sink = lab.Sink(SINK, keywords=("PIPELINING", "8BITMIME", "DSN"),
                    script={"RCPT": lambda peer, argument: said.append(argument)})
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test> SMTPUTF8", "250")
        c.cmd("RCPT TO:<x@sink.test> NOTIFY=FAILURE ORCPT=utf-8;j\u00f6rg\\x{2B}x@sink.test", "250")
        bdat(c, b"Subject: x\r\n\r\nbody\r\n", last=True)
    lab.wait_for(lambda: sink.messages, "the message")
    lab.equal(said, ["TO:<x@sink.test> NOTIFY=FAILURE ORCPT=utf-8;j\\x{F6}rg\\x{2B}x@sink.test"], "what was said")
    sink.script["RCPT"] = b"550 5.1.1 nobody\r\n"
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test> SMTPUTF8", "250")
        c.cmd("RCPT TO:<x@sink.test> NOTIFY=FAILURE ORCPT=utf-8;j\u00f6rg@sink.test", "250")
        bdat(c, b"Subject: x\r\n\r\nbody\r\n", last=True)
    report = lab.wait_for(lambda: net.mailbox("alice"), "the report")[0]
    lab.check(b"Original-Recipient: utf-8; j\\x{F6}rg@sink.test\nFinal-Recipient: rfc822; x@sink.test\n" in report,
              "of whom it tells")
    postern.wait_empty()


# shows: RFC1985 5.1/1
def test_etrn_starts_the_queue(folder):
    net, postern = house(folder, FAST + f'smtpd {{ etrn-clients = {{"{CLIENT}"}} }}\n')
    sink = lab.Sink(SINK, script={"RCPT": b"451 4.7.1 later\r\n"})
    lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], lab.message(1, 300))
    lab.wait_for(lambda: "later" in str(postern.queue()), "the reason in the queue")
    sink.script.clear()
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("ETRN Sink.TEST", "252")
        lab.wait_for(lambda: sink.messages, "the message")
        c.cmd("ETRN nowhere.test", "250")


# shows: RFC3030 2/6
def test_a_million_chunks_cost_no_memory(folder):
    """One byte each, until the session has said enough; smtpd is as large as before (THREATS 5)."""
    net, postern = house(folder, FAST + 'smtpd { processes = 1 }\n')

    def size():
        with open(f"/proc/{postern.pids('smtpd')[0]}/statm", encoding="ascii") as f:
            return int(f.read().split()[1])
    with lab.Client(POSTERN, timeout=60) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test>", "250")
        c.cmd("RCPT TO:<bob@postern.test>", "250")
        before, said = size(), 0
        deadline = time.monotonic() + 60
        while said < 90_000 and time.monotonic() < deadline:
            c.raw((b"BDAT 1\r\n\r" + b"BDAT 1\r\n\n") * 250)
            for _ in range(500):
                c.expect("250")
            said += 500
        lab.check(size() - before < 256, f"{size() - before} pages more after {said} chunks")


lab.main(globals())
