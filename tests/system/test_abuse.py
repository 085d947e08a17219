#!/usr/bin/python3
"""Limits of client networks hold for all processes together, and good clients go on being served."""
import os
import re
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import time  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402
from lab.net import known  # noqa: E402
from lab.postern import STAGE  # noqa: E402

STRANGER = "10.77.0.20"
OTHER = "10.77.0.21"


def house(folder, extra=""):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net, net.postern_conf(extra))


def greeting(source):
    c = lab.Client(POSTERN, source=source, greet=False)
    code, _ = c.reply()
    return c, code


def test_sessions_are_counted_over_all_processes(folder):
    net, postern = house(folder, "smtpd { max-sessions-per-client = 6\n processes = 3 }\n")
    held = []
    for _ in range(6):
        c, code = greeting(STRANGER)
        lab.equal(code, "220", "one of six sessions")
        held.append(c)
    # Whichever process takes it.
    for _ in range(20):
        c, code = greeting(STRANGER)
        lab.equal(code, "421", "a seventh session")
        c.close()
    net.host(OTHER)
    c, code = greeting(OTHER)
    lab.equal(code, "220", "a session of another network")
    c.close()
    # A process that dies takes its sessions out of the count.
    for pid in postern.pids("smtpd"):
        os.kill(pid, 9)
    lab.wait_for(lambda: len(postern.pids("smtpd")) == 3, "smtpd to be there again")
    for c in held:
        c.close()

    def in_again():
        c, code = greeting(STRANGER)
        c.close()
        return code == "220"
    lab.wait_for(in_again, "the network to be let in again")


def test_errors_of_a_network_shut_it_out(folder):
    _, postern = house(folder, "smtpd { processes = 2 }\nlimits { errors = 10\n interval = \"4s\" }\n")
    said = []
    for _ in range(10):
        with lab.Client(POSTERN, source=STRANGER, greet=False) as c:
            said.append(c.reply()[0])
            if said[-1] == "220":
                c.cmd("NONSENSE", "500")
                c.cmd("NONSENSE", "500")
    lab.equal(said, ["220"] * 5 + ["421"] * 5, "greetings while errors are counted")
    lab.wait_for(lambda: re.search(r"limit-reached .*what=errors", postern.log()), "it to be in the log")
    with lab.Client(POSTERN, source="10.77.0.1") as c:
        for _ in range(12):
            c.cmd("NONSENSE", "500")
    lab.equal(greeting("10.77.0.1")[1], "220", "a listed network's greeting")
    lab.wait_for(lambda: greeting(STRANGER)[1] == "220", "the network to be forgiven", 12)


def test_unknown_recipients_of_a_network_shut_it_out(folder):
    """limits { unknown-recipients }: who tries out names is shut out, though each was refused with 550 and is no other error."""
    _, postern = house(folder, "smtpd { processes = 2 }\nlimits { unknown-recipients = 6\n interval = \"10m\" }\n")
    codes = []
    for n in range(4):
        with lab.Client(POSTERN, source=STRANGER, greet=False) as c:
            codes.append(c.reply()[0])
            if codes[-1] == "220":
                c.ehlo()
                c.cmd("MAIL FROM:<a@b.test>", "250")
                codes += [c.cmd(f"RCPT TO:<nobody{n}{k}@postern.test>")[0] for k in range(2)]
    lab.equal(codes, ["220", "550", "550"] * 3 + ["421"], "greetings and refusals")
    lab.wait_for(lambda: re.search(r"limit-reached .*what=unknown-recipients", postern.log()), "it to be in the log")
    with lab.Client(POSTERN, source="10.77.0.1") as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@b.test>", "250")
        for k in range(8):
            c.cmd(f"RCPT TO:<nobody{k}@postern.test>", "550")


def test_networks_are_as_large_as_the_prefix_says(folder):
    """limits { ipv4-prefix }: two addresses of one network share its limit, one of another has its own."""
    net, _ = house(folder, 'limits { connections = 2\n interval = "10m"\n ipv4-prefix = 30 }\n')
    clients = [STRANGER, OTHER, STRANGER, OTHER, "10.77.0.24"]
    for address in clients:
        net.host(address)
    lab.equal([greeting(a)[1] for a in clients], ["220", "220", "421", "421", "220"], "greetings")


def test_messages_and_recipients_have_limits(folder):
    house(folder, "smtpd { processes = 2 }\nlimits { messages = 3\n recipients = 5 }\n")
    replies = []
    for n in range(4):
        with lab.Client(POSTERN, source=STRANGER) as c:
            c.ehlo()
            replies.append(c.cmd("MAIL FROM:<a@b.test>")[0])
            if replies[-1] == "250":
                replies += [c.cmd("RCPT TO:<alice@postern.test>")[0] for _ in range(2)]
    lab.equal(replies, ["250", "250", "250"] * 2 + ["250", "250", "450", "451"], "replies to MAIL and RCPT")


def test_connections_have_a_limit(folder):
    house(folder, "smtpd { processes = 2 }\nlimits { connections = 8\n interval = \"4s\" }\n")
    codes = []
    for _ in range(12):
        c, code = greeting(STRANGER)
        codes.append(code)
        c.close()
    lab.equal(codes, ["220"] * 8 + ["421"] * 4, "greetings of one network")
    time.sleep(9)
    lab.equal(greeting(STRANGER)[1], "220", "the greeting after a while")


def test_clients_are_listed(folder):
    """posternctl clients: sorted, bounded, beside the limits, of all processes together."""
    net, postern = house(folder, "smtpd { processes = 2 }\nlimits { interval = \"10m\"\n exempt = {\"10.77.0.1\"} }\n")
    net.host(OTHER)
    held = [greeting(STRANGER)[0] for _ in range(4)] + [greeting(OTHER)[0], greeting("10.77.0.1")[0]]
    for _ in range(3):
        held[4].cmd("NONSENSE", "500")
    held[0].ehlo()
    held[0].cmd("MAIL FROM:<a@b.test>", "250")
    held[0].cmd("RCPT TO:<alice@postern.test>", "250")
    held[0].cmd("RCPT TO:<nobody@postern.test>", "550")
    rows = postern.ctl_rows("clients")
    lab.equal([row["network"] for row in rows], [STRANGER, "10.77.0.1", OTHER], "networks, most sessions first")
    first = rows[0]
    lab.equal({k: first[k] for k in ("sessions", "connections", "messages", "recipients", "unknown_recipients")},
              {"sessions": 4, "connections": 4, "messages": 1, "recipients": 2, "unknown_recipients": 1}, "what it did")
    lab.equal((first["sessions_max"], first["connections_max"], first["exempt"]), (50, 600, False), "what it may")
    lab.check(rows[1]["exempt"] and "errors_max" not in rows[1], f"no limits for who is exempt: {rows[1]}")
    rows = postern.ctl_rows("clients", "errors", "--limit", "1")
    lab.equal([(row["network"], row["errors"]) for row in rows], [(OTHER, 3)], "most errors first, one row")
    table = postern.ctl("clients").stdout
    lab.check("NETWORK" in table and "3/200" in table and "exempt" in table, f"as a table: {table}")
    for words in (("clients", "--limit", "0"), ("clients", "--limit", "257"), ("status", "--limit", "1"), ("clients", "x")):
        r = subprocess.run([os.path.join(STAGE, "sbin", "posternctl"), "--base", postern.base, *words],
                           capture_output=True, text=True, timeout=20)
        lab.check(r.returncode in (64, 65) and r.stderr, f"{words} is refused: {r}")
    for c in held:
        c.close()
    lab.wait_for(lambda: all(row["sessions"] == 0 for row in postern.ctl_rows("clients")), "the sessions to go")
    lab.equal(len(postern.ctl_rows("clients")), 3, "what they did is still there")


def deliver(source):
    with lab.Client(POSTERN, source=source) as c:
        c.ehlo()
        c.mail("a@b.test", ["alice@postern.test"], b"From: a@b.test\r\n\r\nhello\r\n")
        c.quit()


class Flood:
    """Strangers who take every place that they can get, and come back when they are thrown out."""

    def __init__(self, sources, each):
        self.sources, self.each, self.ends, self.came = sources, each, False, 0
        self.threads = [threading.Thread(target=self.run, args=(source,), daemon=True) for source in sources]
        for thread in self.threads:
            thread.start()

    def run(self, source):
        held = []
        while not self.ends:
            while len(held) < self.each:
                with known(source).inside():
                    s = socket.socket()
                s.setblocking(False)
                s.bind((source, 0))
                s.connect_ex((POSTERN, 25))
                held.append(s)
                self.came += 1
            time.sleep(0.05)
            still = []
            for s in held:
                try:
                    gone = s.recv(4096, socket.MSG_DONTWAIT) == b""
                except BlockingIOError:
                    gone = False
                except OSError:
                    gone = True
                if gone:
                    s.close()
                else:
                    still.append(s)
            held = still
        for s in held:
            s.close()

    def end(self):
        self.ends = True
        for thread in self.threads:
            thread.join(10)


def test_known_clients_get_in_under_a_flood(folder):
    """Those who are exempt, and those whose mail was taken before, find a place while strangers want them all, and also when
    the queue of connections that wait to be accepted was full."""
    strangers = [f"10.77.0.{n}" for n in range(30, 40)]
    net, postern = house(folder, "smtpd { processes = 1\n max-sessions = 40 }\nlimits { connections = 0\n errors = 0 }\n")
    for address in strangers + [OTHER]:
        net.host(address)
    deliver(OTHER)
    flood = Flood(strangers, 50)

    def get_in(source, most, what):
        began = time.monotonic()
        while True:
            try:
                c, code = greeting(source)
                c.close()
            except (OSError, lab.Failed):
                code = ""
            took = time.monotonic() - began
            if code == "220":
                break
            lab.check(took < most, f"{what}: not let in after {took:.1f} s")
        lab.check(took < most, f"{what}: let in after {took:.1f} s")
        return took
    lab.wait_for(lambda: flood.came > 1000, "the flood to come")
    good = ((OTHER, "a known client"), ("10.77.0.1", "one exempt"))
    took = [get_in(source, 3, what) for _ in range(10) for source, what in good]
    print(f"# {flood.came} connections of strangers; the slowest good one waited {max(took):.2f} s")
    # Nobody accepts for a while: the queue fills up, and the kernel answers no more.
    pid = postern.pids("smtpd")[0]
    os.kill(pid, signal.SIGSTOP)
    late = Flood(strangers, 600)
    time.sleep(3)
    os.kill(pid, signal.SIGCONT)
    took = [get_in(source, 15, what + ", late") for source, what in good]
    print(f"# with the queue full: {late.came} connections; the slowest good one waited {max(took):.2f} s")
    late.end()
    flood.end()


lab.main(globals())
