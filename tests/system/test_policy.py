#!/usr/bin/python3
"""Who may send what where: closed to relaying, unknown users refused at RCPT, and explain says the same."""
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab import net as net_of, packet  # noqa: E402
from lab.postern import STAGE  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402

STRANGER = "10.77.0.20"


def house(folder, extra=""):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net, net.postern_conf(extra))


def rcpt(to, source, sender="x@client.test"):
    with lab.Client(POSTERN, source=source) as c:
        c.ehlo()
        c.cmd(f"MAIL FROM:<{sender}>", "250")
        return c.cmd(f"RCPT TO:<{to}>")


# shows: RFC5321 7.9/1, RFC5321 7.9/2
def test_strangers_may_not_relay(folder):
    net, postern = house(folder)
    for to in ("a@sink.test", "a%sink.test@postern.test", "a!b@sink.test", '"a@sink.test"@postern.test',
               "@postern.test:a@sink.test", "a@[10.77.0.26]", "a@sub.postern.test", "a@postern.test.sink.test"):
        code, lines = rcpt(to, STRANGER)
        lab.check(code in ("550", "553", "554", "501"), f"{to} from a stranger is refused, not {lines[-1]!r}")
    lab.equal(rcpt("a@sink.test", STRANGER)[1][-1][:9], "550 5.7.1", "the refusal")
    lab.equal(rcpt("alice@postern.test", STRANGER)[0], "250", "a local user")
    lab.equal(rcpt("ALICE+list@POSTERN.test", STRANGER)[0], "250", "a local user with an extension, in capitals")
    lab.equal(rcpt("nobody@postern.test", STRANGER)[1][-1][:9], "550 5.1.1", "an unknown user")
    lab.equal(rcpt("postmaster", STRANGER)[0], "250", "postmaster without a domain (RFC 5321 4.5.1)")
    lab.equal(rcpt("a@sink.test", "10.77.0.1")[0], "250", "a relay client")


def test_explain_says_what_smtpd_does(folder):
    net, postern = house(folder, """
        table "partners" { values = {"*.partner.test", "friend.test"} }
        rule "no-spam" { from = {"spam.test"} action = reject reply = "550 5.7.1 No spam here" }
        rule "partners" { to = {"@partners"} action = accept relay-host = "[10.77.0.26]" }
        """)
    sink = lab.Sink(SINK)
    for client, sender, to in ((STRANGER, "a@spam.test", "alice@postern.test"), (STRANGER, "a@b.test", "x@a.partner.test"),
                               (STRANGER, "a@b.test", "x@elsewhere.test"), (STRANGER, "a@b.test", "nobody@postern.test"),
                               ("10.77.0.1", "a@b.test", "x@elsewhere.test"), (STRANGER, "a@b.test", "bob@postern.test")):
        code, lines = rcpt(to, client, sender)
        rows = postern.ctl_rows("explain", "--client", client, "--from", sender, "--to", to)
        final = rows[-1]
        lab.equal(final["action"], {"2": "accept", "5": "reject", "4": "defer"}[code[0]], f"explain about {sender} to {to}")
        text = postern.ctl("explain", "--client", client, "--from", sender, "--to", to).stdout
        lab.check(final["rule"] in text, "the table names the rule too")
    lab.equal(lab.send(POSTERN, "a@b.test", ["x@a.partner.test"], lab.message(5, 100), source=STRANGER)[0], "250", "the answer")
    lab.wait_for(lambda: sink.messages, "the message at the partner's host")


def test_explain_knows_what_a_listener_wants(folder):
    """530 before a login and before TLS, and 550 for a sender that is not the user's: as smtpd answers."""
    users = f"{folder}/users"
    subprocess.run([f"{STAGE}/sbin/posternctl", "passwd", "--file", users, "--memory", "8", "alice"], input="secret secret\n",
                   text=True, check=True)
    net, postern = house(folder, f"""
        listener "submission" {{ address = {{"{POSTERN}"}} port = 587 kind = submission auth-without-tls = yes }}
        listener "inside" {{ address = {{"{POSTERN}"}} port = 465 tls = none require-tls = no }}
        auth {{ users-file = "{users}" }}
        router {{ senders = {{"@senders"}} }}
        table "senders" {{ values = {{"alice alice@postern.test"}} }}
        """)

    def explain(*words):
        rows = postern.ctl_rows("explain", "--client", STRANGER, "--to", "bob@postern.test", "--listener", "submission", *words)
        return {r["rule"]: r["matched"] for r in rows[:-1]}, rows[-1]

    rules, final = explain("--from", "alice@postern.test")
    lab.equal((rules, final["rule"]), ({"builtin:login": True}, "builtin:login"), "nobody has logged in")
    with lab.Client(POSTERN, 587, source=STRANGER) as c:
        c.ehlo()
        lab.equal(c.cmd("MAIL FROM:<alice@postern.test>")[1][-1], f"{final['code']} {final['enhanced']} {final['text']}", "smtpd")
    rules, final = explain("--from", "bob@postern.test", "--user", "alice")
    lab.check(not rules["builtin:login"] and rules["builtin:sender"], f"another's address: {rules}")
    lab.equal((final["code"], final["rule"]), (550, "builtin:sender"), "the verdict")
    rules, final = explain("--from", "alice@postern.test", "--user", "alice")
    lab.check(not rules["builtin:login"] and not rules["builtin:sender"] and final["code"] == 250, f"his own: {rules} {final}")


def test_smart_host(folder):
    net, postern = house(folder, 'route "all" { relay-host = "[10.77.0.26]:2626" }\n')
    sink = lab.Sink(SINK, 2626)
    lab.equal(lab.send(POSTERN, "alice@postern.test", ["x@no-such-domain.test"], lab.message(6, 100))[0], "250", "the answer")
    lab.wait_for(lambda: sink.messages, "the message at the smart host")


def test_smart_host_on_the_own_network(folder):
    """Strangers' MX records may not lead to private addresses; what the administrator wrote may."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    conf = (net.postern_conf('router { relay-host = "[10.77.0.26]:2626" }\n')
            .replace("allow-private-hosts = yes", "allow-private-hosts = no"))
    lab.Postern(net, conf)
    sink = lab.Sink(SINK, 2626)
    lab.equal(lab.send(POSTERN, "alice@postern.test", ["x@no-such-domain.test"], lab.message(7, 100))[0], "250", "the answer")
    lab.wait_for(lambda: sink.messages, "the message at the smart host")


# client: how its reverse zone answers
WHOSE = {"10.77.0.31": "honest", "10.77.0.32": "servfail", "10.77.0.33": "nxdomain", "10.77.0.34": "silent",
         "10.77.0.35": "lying"}


class Reverse:
    """The name server of 77.10.in-addr.arpa.: says for each client what it is told to."""

    def __init__(self, address, zone):
        with net_of.host(address).inside():
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind((address, 53))
        self.zone = zone
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, peer = self.udp.recvfrom(65535)
            name, kind, asked = packet.question(query)
            how = WHOSE.get(".".join(reversed(name.split(".")[:4])), "")
            soa = packet.record(self.zone, 6, packet.wire("ns.test") * 2 + struct.pack(">IIIII", 1, 60, 60, 86400, 60))
            if kind != 12:
                how = ""
            if how == "silent":
                continue
            if how == "servfail":
                answer = packet.reply(query, asked, flags=0, rcode=2)
            elif kind == 12 and how in ("honest", "lying"):
                host = "a.dialup.test" if how == "honest" else "mx.sink.test"
                answer = packet.reply(query, asked, [packet.record(name, 12, packet.wire(host), 60)])
            else:
                answer = packet.reply(query, asked, (), (soa,), rcode=3 if kind == 12 else 0)
            self.udp.sendto(answer, peer)


def test_a_name_that_cannot_be_looked_up_opens_nothing(folder):
    """Whoever lets our look-ups fail is told to come again; a client without a name is what it was. explain says the same."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.zone("dialup.test", "a A 10.77.0.31\n")
    zone = "77.10.in-addr.arpa"
    net.names.delegated[zone] = [("ns." + zone, "10.77.1.200")]
    net.start_dns()
    Reverse("10.77.1.200", zone)
    postern = lab.Postern(net, net.postern_conf("""
        resolver { timeout = "4s" }
        rule "no-dial-up" { client-name = {"*.dialup.test"} action = reject }
        rule "friends" { client-name = {"*.trusted.test"} to = {"sink.test"} }
        """))
    net.host("10.77.0.1").more_addresses(WHOSE)
    for client, how in WHOSE.items():
        answers = rcpt("alice@postern.test", client)[1][-1][:9], rcpt("a@sink.test", client)[1][-1][:9]
        lab.equal(answers, {"honest": ("550 5.7.1", "550 5.7.1"), "nxdomain": ("250 2.1.5", "550 5.7.1"),
                            "lying": ("250 2.1.5", "550 5.7.1")}.get(how, ("450 4.4.3", "450 4.4.3")),
                  f"what a client with the reverse zone {how} is told")
        name = {"honest": ["--client-name", "a.dialup.test"], "nxdomain": [], "lying": []}.get(how, ["--client-name-failed"])
        for to, told in zip(("alice@postern.test", "a@sink.test"), answers):
            rows = postern.ctl_rows("explain", "--client", client, "--from", "x@client.test", "--to", to, *name)
            lab.equal(f"{rows[-1]['code']} {rows[-1]['enhanced']}", told, f"explain about {how} to {to}")
            lab.equal(any("cannot be looked up now" in r.get("why", "") for r in rows), name == ["--client-name-failed"],
                      f"the reason: {rows}")


def test_a_table_broken_in_place(folder):
    """While the router dies: it comes back with what was good, a reload says what is wrong."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    table = net.path("bad")
    with open(table, "w") as f:
        f.write("spam.test\n")
    postern = lab.Postern(net, net.postern_conf(f'table "bad" {{ file = "{table}" }}\n'
                                                'rule "no-spam" { from = {"@bad"}\n action = reject }\n'))
    with open(table, "r+") as f:
        f.truncate()
        f.write("*bad.test\n")
    old = postern.pids("router")
    os.kill(old[0], signal.SIGKILL)
    lab.wait_for(lambda: postern.pids("router") not in ([], old), "the router to be started again")

    def answer(sender):
        with lab.Client(POSTERN) as c:
            c.ehlo()
            c.cmd(f"MAIL FROM:<{sender}>")
            return c.cmd("RCPT TO:<alice@postern.test>")[0]
    lab.wait_for(lambda: answer("a@good.test") == "250", "it to decide")
    lab.equal(answer("a@spam.test"), "550", "what the table said when it was good")
    r = postern.ctl("reload", check=False)
    lab.equal(r.returncode, 78, "the status of a reload")
    lab.check(f"{table}:1:" in r.stderr, f"what is wrong: {r.stderr!r}")


lab.main(globals())
