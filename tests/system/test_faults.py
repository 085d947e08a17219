#!/usr/bin/python3
"""Full disk, dead DNS, lost peers, damage on disk: 4xx in, retries out, nothing lost, recovery by itself."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from lab.client import digest  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402

FAST = 'queue { retry-first = "1s"\n retry-max = "2s"\n retry-jitter = "0s"\n min-free = "0"\n segment-size = "1M" }\n'


def house(folder, extra=FAST, dns=True, start=True):
    net = lab.Lab(folder)
    net.standard_zones()
    if dns:
        net.start_dns()
    return net, lab.Postern(net, net.postern_conf(extra), start=start)


def small_disk(net, megabytes=12):
    """An ext4 of its own for the spool."""
    image, at = net.path("disk"), net.path("postern", "spool")
    os.makedirs(at, exist_ok=True)
    with open(image, "wb") as f:
        f.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, at], check=True)
    os.chmod(at, 0o700)
    return at


def test_full_disk(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    at = small_disk(net)
    postern = lab.Postern(net, net.postern_conf(FAST))
    sink = lab.Sink(SINK, script={"CONNECT": b"421 4.3.2 not now\r\n"})
    kept = {}
    refused = 0
    for n in range(400):
        data = lab.message(n, 100_000)
        try:
            code, lines = lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], data)
        except (lab.Failed, EOFError) as e:
            lab.check("4" in str(e)[:60] or isinstance(e, EOFError), f"a temporary refusal, not {e}")
            refused += 1
        else:
            if code == "250":
                kept[n] = digest(data)
            else:
                lab.equal(code[0], "4", f"the class of the refusal {lines[-1]!r}")
                refused += 1
        if refused >= 5:
            break
    lab.check(refused >= 5, "the disk never became full")
    sink.script.clear()
    postern.ctl("queue", "flush")
    lab.wait_for(lambda: len(sink.messages) >= len(kept), "all acknowledged messages at the sink", 60)
    lab.equal(sorted(set(digest(c) for _, _, c in sink.messages)), sorted(kept.values()), "what arrived")

    def accepts():
        try:
            return lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], lab.message(999, 500))[0] == "250"
        except (lab.Failed, EOFError):
            return False
    lab.wait_for(accepts, "mail to be accepted again, without a hand", 60)
    postern.stop()
    subprocess.run(["umount", at])


def test_dead_dns(folder):
    net, postern = house(folder)
    sink = lab.Sink(SINK)
    net.knot.stop()
    lab.equal(lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], lab.message(1, 300))[0], "250", "mail is still taken")
    time.sleep(8)
    lab.equal(sink.messages, [], "nothing is sent without DNS")
    lab.equal(net.mailbox("alice"), [], "and nothing bounces")
    net.start_knot()
    lab.wait_for(lambda: sink.messages, "delivery when DNS is back", 60)


def test_connection_lost_after_the_dot(folder):
    net, postern = house(folder)
    lost = []

    def drop_once(sink, content):
        if not lost:
            lost.append(content)
            return "close"
        return None
    sink = lab.Sink(SINK, script={"DOT": drop_once})
    sent = lab.message(1, 3000)
    lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], sent)
    lab.wait_for(lambda: sink.messages, "the second attempt", 30)
    lab.equal(digest(sink.messages[0][2]), digest(sent), "its content")
    postern.wait_empty()


# shows: RFC5321 4.4/19, RFC5321 4.4/20, RFC5321 4.2.1/1
def test_replies_of_every_class(folder):
    """Per-recipient: one taken, one refused for good, one for now; the queue keeps exactly the last."""
    net, postern = house(folder)

    def rcpt(sink, argument):
        return b"550 5.1.1 nobody\r\n" if "bad" in argument else b"451 4.7.1 greylisted\r\n" if "slow" in argument else None
    sink = lab.Sink(SINK, script={"RCPT": rcpt})
    lab.send(POSTERN, "alice@postern.test", ["good@sink.test", "bad@sink.test", "slow@sink.test"], lab.message(1, 300))
    lab.wait_for(lambda: sink.messages, "the good one")
    bounce = lab.wait_for(lambda: net.mailbox("alice"), "the bounce")[0]
    lab.check(b"bad@sink.test" in bounce and b"slow@sink.test" not in bounce and b"5.1.1" in bounce,
              "the bounce names the bad one alone")
    lab.check(any("greylisted" in str(q) for q in postern.queue()), "the slow one waits, with its reason")
    sink.script.clear()
    lab.wait_for(lambda: ["slow@sink.test"] in [r for _, r, _ in sink.messages], "the slow one at last", 30)
    lab.equal(sorted(sum((r for _, r, _ in sink.messages), [])), ["good@sink.test", "slow@sink.test"], "each once")


def test_eight_bit_bounces_when_the_peer_lacks_it(folder):
    net, postern = house(folder)
    sink = lab.Sink(SINK, keywords=("PIPELINING", "SIZE 0"))
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test> BODY=8BITMIME", "250")
        c.cmd("RCPT TO:<x@sink.test>", "250")
        c.cmd("DATA", "354")
        c.raw(b"Subject: x\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n.\r\n")
        c.expect("250")
    bounce = lab.wait_for(lambda: net.mailbox("alice"), "the bounce")[0]
    lab.check(b"5.6.3" in bounce and b"8BITMIME" in bounce, "a clear reason")
    lab.equal(sink.messages, [], "nothing was sent")


# shows: RFC5321 3.6.3/3, RFC5321 4.5.4/2
def test_double_bounce_goes_to_postmaster(folder):
    net, postern = house(folder, FAST + 'postmaster = "bob"\n')
    lab.Sink(SINK, script={"RCPT": b"550 5.1.1 nobody\r\n"})
    lab.send(POSTERN, "ghost@sink.test", ["x@sink.test"], lab.message(1, 300))
    got = lab.wait_for(lambda: net.mailbox("bob"), "the double bounce in the postmaster's mailbox", 30)
    lab.check(b"ghost@sink.test" in got[0], "it tells of the failed bounce")
    postern.wait_empty()


# shows: RFC5321 4.2.5/1
# shows: RFC5321 4.5.4.1/5, RFC5321 4.5.4.1/4
def test_expiry(folder):
    net, postern = house(folder, FAST.replace("min-free", 'expire = "3s"\n min-free'))
    lab.send(POSTERN, "alice@postern.test", ["x@dead.sink.test"], lab.message(1, 300))
    got = lab.wait_for(lambda: net.mailbox("alice"), "the bounce of an expired message", 60)
    lab.check(b"x@dead.sink.test" in got[0], "it names the recipient")
    postern.wait_empty()


def test_damage_is_set_aside(folder):
    net, postern = house(folder)
    sink = lab.Sink(SINK, script={"CONNECT": b"421 4.3.2 not now\r\n"})
    for n in range(30):
        lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], lab.message(n, 2000))
    postern.kill()
    segments = net.path("postern", "spool", "seg")
    victim = lab.message(15, 2000)[-1200:-800]
    done = 0
    for name in os.listdir(segments):
        with open(os.path.join(segments, name), "r+b") as f:
            data = f.read()
            at = data.find(victim)
            if at >= 0:
                f.seek(at + 100)
                f.write(bytes([data[at + 100] ^ 0x40]))
                done += 1
    lab.equal(done, 1, "records damaged")
    sink.script.clear()
    postern.start()
    postern.wait_log("spool-damage")
    lab.wait_for(lambda: len(sink.messages) == 29, "the 29 others", 60)
    lab.check(15 not in [lab.client.number_of(c[c.find(b"From: sender@"):]) for _, _, c in sink.messages],
              "the damaged one is not sent")


def test_stopped_log_slows_nothing(folder):
    net, postern = house(folder)
    for pid in postern.pids("log"):
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    with lab.Client(POSTERN) as c:
        c.ehlo()
        for n in range(500):
            lab.equal(c.mail("a@b.test", ["alice@postern.test"], b"From: sender@client.test\r\n\r\nx\r\n")[0],
                      "250", "the answer")
    lab.check(time.monotonic() - began < 20, "500 messages took too long")
    for pid in postern.pids("log"):
        os.kill(pid, signal.SIGCONT)
    lab.wait_for(lambda: len(net.mailbox("alice")) == 500, "all of them", 60)


lab.main(globals())
