#!/usr/bin/python3
"""HAProxy in front: the client's address is the one that it tells, by either version of the PROXY protocol."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402
from lab.process import Process  # noqa: E402

PROXY = "10.77.0.40"
CLIENT = "10.77.0.1"


def house(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    net.host(PROXY)
    conf = net.postern_conf("").replace("port = 25 }", f'port = 25\n proxy = {{"{PROXY}"}} }}')
    return net, lab.Postern(net, conf)


def start_haproxy(net, options):
    conf = net.path("haproxy.cfg")
    with open(conf, "w") as f:
        f.write(f"defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n"
                f"listen smtp\n bind {PROXY}:25\n server postern {POSTERN}:25 {options}\n")
    haproxy = Process(["/usr/sbin/haproxy", "-db", "-f", conf], net.path("haproxy.log"), host=net.host(PROXY))

    def is_up():
        try:
            with lab.Client(PROXY):
                return True
        except (OSError, EOFError):
            return False
    lab.wait_for(is_up, "HAProxy to pass connections on")
    return haproxy


def check_mail(net, postern, n):
    lab.equal(lab.send(PROXY, "a@b.test", ["alice@postern.test"], lab.message(n, 500))[0], "250", "the answer through HAProxy")
    lab.wait_for(lambda: len(net.mailbox("alice")) == n, "the message")
    mail = sorted(net.mailbox("alice"), key=len)[-1]
    lab.check(CLIENT.encode() in mail and PROXY.encode() not in mail, f"the trace field names the client: {mail[:300]!r}")
    lab.check(f"client={CLIENT}" in postern.log(), "the log names the client")


def test_version_1(folder):
    net, postern = house(folder)
    haproxy = start_haproxy(net, "send-proxy")
    check_mail(net, postern, 1)
    haproxy.stop(5)


def test_version_2_with_checksum_and_health_checks(folder):
    net, postern = house(folder)
    haproxy = start_haproxy(net, "send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 200ms check-send-proxy")
    check_mail(net, postern, 1)
    # The checks say LOCAL: they are the proxy's own.
    lab.wait_for(lambda: f"client={PROXY}" in postern.log(), "health checks in the log")
    haproxy.stop(5)


def test_swaks_says_xclient(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    net.host(PROXY)
    conf = net.postern_conf("").replace("port = 25 }", f'port = 25\n xclient = {{"{PROXY}"}} }}')
    postern = lab.Postern(net, conf)
    with net.host(PROXY).inside():
        r = subprocess.run(["swaks", "--server", POSTERN, "--local-interface", PROXY, "--from", "a@b.test",
                            "--to", "alice@postern.test", "--xclient", "ADDR=198.51.100.9 NAME=client.example HELO=said.example"],
                           capture_output=True, text=True)
    lab.equal(r.returncode, 0, "swaks: " + r.stdout + r.stderr)
    lab.wait_for(lambda: net.mailbox("alice"), "the message")
    mail = net.mailbox("alice")[0]
    lab.check(b"from said.example (client.example [198.51.100.9])" in mail, f"the trace field names the client: {mail[:300]!r}")
    postern.wait_log(f"by={PROXY}")


def test_networks_from_a_file(folder):
    """Lists of networks take a table's file, relay-clients from one are exempt, and a reload reads it again."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    table = net.path("near")
    with open(table, "w") as f:
        f.write("# those who may\n10.77.0.99\n")
    conf = net.postern_conf("").replace("port = 25 }", 'port = 25\n xclient = {"@near"} }')
    conf += f'table "near" {{ file = "{table}" }}\nlimits {{ exempt = {{"@near"}}\n messages = 1 }}\n'
    postern = lab.Postern(net, conf)

    def offers():
        with lab.Client(POSTERN) as c:
            return any("XCLIENT" in line for line in c.ehlo())

    def second_mail():
        with lab.Client(POSTERN) as c:
            c.ehlo()
            c.cmd("MAIL FROM:<a@b.test>")
            c.cmd("RSET")
            return c.cmd("MAIL FROM:<a@b.test>")[0]
    def unknown_attribute():
        with lab.Client(POSTERN) as c:
            c.ehlo()
            return c.cmd("XCLIENT REVERSE_NAME=x", "501")[0]
    lab.check(not offers(), "XCLIENT is not offered to a client that is not in the file")
    lab.equal(second_mail(), "451", "the second message of a client that is not exempt")
    with open(table, "a") as f:
        f.write(f"{CLIENT}\n")
    postern.ctl("reload")
    lab.check(offers(), "XCLIENT is offered to a client that is in the file now")
    lab.check("Unknown attribute; XCLIENT has NAME ADDR" in unknown_attribute(), "what an unknown attribute is told")
    lab.equal(second_mail(), "250", "the second message of a client that is exempt by the file")
    with open(table, "a") as f:
        f.write("example.org\n")
    postern.reload()
    postern.wait_log("is no network")
    lab.check(offers(), "what was refused changes nothing")


def test_nobody_else_can_say_who_he_is(folder):
    _, postern = house(folder)
    with lab.Client(POSTERN, source="10.77.0.20") as c:
        c.cmd("PROXY TCP4 127.0.0.1 127.0.0.1 1 25", "500")
        c.ehlo()
    with lab.Client(POSTERN, source=PROXY, greet=False) as c:
        c.raw(b"EHLO x\r\n")
        try:
            c.line()
            raise lab.Failed("a proxy that does not say who the client is was answered")
        except (EOFError, ConnectionResetError):
            pass
    postern.wait_log("not a header of the PROXY protocol")


lab.main(globals())
