#!/usr/bin/python3
"""Mail in and out, both ways, between Postern and an unmodified Postfix, found through signed DNS, byte for byte."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import subprocess  # noqa: E402
from lab.client import body_of, digest  # noqa: E402
from lab.hosts import POSTERN, POSTFIX, SINK  # noqa: E402


def house(folder, postfix=True, extra=""):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    if postfix:
        net.start_postfix()
    return net, lab.Postern(net, net.postern_conf(extra))


def check_copy(got, sent):
    """The same bytes, from our first header field on; a Maildir holds LF lines."""
    lab.equal(body_of(got), body_of(sent), "the content")


# shows: RFC5321 4.4/11
def test_client_to_local_user(folder):
    net, postern = house(folder, postfix=False)
    sent = lab.message(1, 2000)
    code, lines = lab.send(POSTERN, "sender@client.test", ["alice@postern.test"], sent)
    lab.equal(code, "250", "the answer to the final dot")
    got = lab.wait_for(lambda: net.mailbox("alice"), "the message in alice's Maildir")
    check_copy(got[0], sent)
    head = got[0].partition(b"From: sender@")[0]
    lab.check(head.startswith(b"Return-Path: <sender@client.test>\n"), f"Return-Path on top, not {head[:60]!r}")
    lab.check(b"Delivered-To: alice@postern.test\n" in head, "a Delivered-To field")
    lab.check(b"by mx.postern.test" in head and lines[-1].split()[-1].encode() in head, "our Received field with the queue id")
    stat = os.stat(net.path("home", "alice", "Maildir", "new"))
    lab.equal(stat.st_uid, 60001, "the owner of the Maildir")
    postern.wait_empty()


def test_postfix_to_postern(folder):
    net, postern = house(folder)
    sent = lab.message(2, 30000)
    lab.equal(lab.send(POSTFIX, "inbox@postfix.test", ["bob@postern.test"], sent)[0], "250", "Postfix's answer")
    got = lab.wait_for(lambda: net.mailbox("bob"), "the message in bob's Maildir")
    check_copy(got[0], sent)


def test_postern_to_postfix(folder):
    net, postern = house(folder)
    sent = lab.message(3, 30000)
    lab.equal(lab.send(POSTERN, "alice@postern.test", ["inbox@postfix.test"], sent)[0], "250", "Postern's answer")
    got = lab.wait_for(net.postfix_mail, "the message in Postfix's mailbox")
    check_copy(got[0], sent)
    postern.wait_empty()
    postern.wait_log("relay=mx.postfix.test")


# shows: RFC5321 3.6.3/5, RFC5321 4.5.2/3
def test_there_and_back_many_kinds(folder):
    net, postern = house(folder)
    kinds = {
        10: lab.message(10, 0),
        11: lab.message(11, 5_000_000),
        12: lab.message(12, 200, extra=b"X-Eight: gr\xc3\xbc\xc3\x9fe\r\n") + b"\xe4\xf6\xfc in the body\r\n",
        13: lab.message(13, 100) + b".\r\n..\r\n.leading dot\r\n\r\n.\r\n",
        14: lab.message(14, 100) + b"x" * 998 + b"\r\n",
        15: lab.message(15, 300_000),
    }
    with lab.Client(POSTERN) as c:
        c.ehlo()
        for number, data in kinds.items():
            code, lines = c.mail("alice@postern.test", ["inbox@postfix.test", "bob@postern.test"], data)
            lab.equal(code, "250", f"the answer to message {number} ({lines[-1]})")
        c.quit()
    lab.wait_for(lambda: len(net.postfix_mail()) == len(kinds), "all at Postfix", 60)
    lab.wait_for(lambda: len(net.mailbox("bob")) == len(kinds), "all at bob's", 60)
    for boxes in (net.postfix_mail(), net.mailbox("bob")):
        got = {lab.client.number_of(m[m.find(b"From: sender@"):]): m for m in boxes}
        for number, data in kinds.items():
            lab.equal(digest(got[number]), digest(data), f"message {number}")
    postern.wait_empty()


def test_swaks(folder):
    net, postern = house(folder)
    r = subprocess.run(["swaks", "--server", POSTERN, "--local-interface", "10.77.0.1", "--from", "alice@postern.test", "--to",
                        "inbox@postfix.test,bob@postern.test", "--header", "Subject: from swaks", "--pipeline"],
                       capture_output=True, text=True)
    lab.equal(r.returncode, 0, "swaks: " + r.stdout[-300:])
    lab.wait_for(net.postfix_mail, "the message at Postfix")
    lab.wait_for(lambda: net.mailbox("bob"), "the message at bob's")


def test_pipelined_in_one_write(folder):
    net, postern = house(folder, postfix=False)
    with lab.Client(POSTERN) as c:
        c.ehlo()
        for number in range(15):
            c.raw(b"MAIL FROM:<sender@client.test> BODY=8BITMIME\r\n"
                  b"RCPT TO:<alice@postern.test>\r\nRCPT TO:<bob@postern.test>\r\n"
                  b"RCPT TO:<nobody@postern.test>\r\nDATA\r\n")
            for code in ("250", "250", "250", "550", "354"):
                c.expect(code)
            c.raw(lab.client.stuff(lab.message(number, 3000)))
            c.expect("250")
        c.quit()
    lab.wait_for(lambda: len(net.mailbox("alice")) == 15 and len(net.mailbox("bob")) == 15, "30 copies")
    lab.equal(sorted(map(digest, net.mailbox("alice"))), sorted(digest(lab.message(n, 3000)) for n in range(15)), "alice's mail")


# shows: RFC5321 3.6.3/2, RFC5321 4.4/23, RFC5321 4.4/24
# shows: RFC7505 4.1/1
def test_routes_of_dns(folder):
    """Implicit MX, second MX, null MX, CNAME, no mail host, bogus, unsigned: each ends as RFC 5321 5.1 says."""
    net, postern = house(folder, postfix=False)
    sink = lab.Sink(SINK)
    good = ["a@sink.test", "b@two.sink.test", "c@implicit.sink.test", "d@alias.sink.test", "e@plain.test"]
    bad = ["f@null.sink.test", "g@empty.sink.test", "h@nowhere.sink.test"]
    lab.equal(lab.send(POSTERN, "alice@postern.test", good + bad + ["i@bogus.test"], lab.message(1, 500))[0], "250", "the answer")
    lab.wait_for(lambda: sorted(sum((r for _, r, _ in sink.messages), [])) == sorted(good), "the good ones at the sink")
    dsn = lab.wait_for(lambda: net.mailbox("alice"), "a bounce")
    lab.wait_for(lambda: all(any(b.encode() in m for m in net.mailbox("alice")) for b in bad), "all three bounced")
    dsn = b"".join(net.mailbox("alice"))
    lab.check(b"Return-Path: <>" in dsn, "bounces from the null sender")
    lab.check(b"message/delivery-status" in dsn and b"X-Number: 1" in dsn, "an RFC 3464 report with the original header")
    lab.check(b"5.1.10" in dsn, "5.1.10 for the null MX (RFC 7505)")
    left = lab.wait_for(lambda: [q for q in postern.queue() if q["n_rcpts"] >= 1], "the bogus one in the queue")
    lab.check("bogus" in str(left).lower(), f"bogus mail waits, it is neither sent nor bounced: {left}")


lab.main(globals())
