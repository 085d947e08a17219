#!/usr/bin/python3
"""Limits of client networks hold for all processes together, and good clients go on being served."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import time  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402

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
    lab.check("limit-reached" in postern.log() and "what=errors" in postern.log(), "it is in the log")
    with lab.Client(POSTERN, source="10.77.0.1") as c:
        for _ in range(12):
            c.cmd("NONSENSE", "500")
    lab.equal(greeting("10.77.0.1")[1], "220", "a listed network's greeting")
    lab.wait_for(lambda: greeting(STRANGER)[1] == "220", "the network to be forgiven", 12)


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


lab.main(globals())
