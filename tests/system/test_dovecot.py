#!/usr/bin/python3
"""Users that Dovecot knows: real clients log in through Postern against a real Dovecot, which dies, hangs and comes back."""
import base64
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import smtplib  # noqa: E402
import ssl  # noqa: E402
import subprocess  # noqa: E402
from lab.certificate import Certificate  # noqa: E402
from lab.dovecot import Dovecot, token  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402

USERS = {"alice": "correct horse", "bob@postern.test": "battery staple"}


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


class House:
    def __init__(self, folder, auth="", more="", dovecot=None, start=True):
        self.net = lab.Lab(folder)
        self.net.standard_zones()
        self.net.start_dns()
        self.certificate = Certificate(folder, "mx", ["mx.postern.test"])
        self.dovecot = Dovecot(self.net, USERS, more=dovecot or "") if start else None
        self.socket = os.path.join(folder, "dovecot", "run", "auth-client")
        self.postern = lab.Postern(self.net, self.net.postern_conf(f"""
            listener "submission" {{ address = {{"{POSTERN}"}}
                port = 587
                kind = submission
                auth-without-tls = yes }}
            auth {{ dovecot = "{self.socket}"
                failure-delay = "0s"
                {auth} }}
            {self.certificate.section("mx")}
            {more}
            """))
        if start:
            self.postern.wait_log("dovecot-up")

    def client(self, tls=True):
        """smtplib: says what it is told, over TLS."""
        s = smtplib.SMTP(POSTERN, 587, "client.test", timeout=60)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            s.starttls(context=context)
        s.ehlo()
        return s


def says(s, text):
    code, line = s.docmd(text)
    return f"{code} {line.decode(errors='replace')}"


def plain(s, user="alice", password="correct horse"):
    return says(s, "AUTH PLAIN " + b64(f"\0{user}\0{password}"))


def oauthbearer(user, bearer):
    return b64(f"n,a={user},\1host=mx.postern.test\1port=587\1auth=Bearer {bearer}\1\1")


def xoauth2(user, bearer):
    return b64(f"user={user}\1auth=Bearer {bearer}\1\1")


def run(*argv):
    r = subprocess.run(argv, input=b"From: alice@postern.test\nSubject: hello\n\nHello.\n", capture_output=True, timeout=60)
    return r.returncode == 0, (r.stdout + r.stderr).decode(errors="replace")


# --- what clients do ---

def test_offer(folder):
    """What EHLO lists is what Dovecot has, the configuration permits and the connection allows."""
    house = House(folder)
    with house.client() as s:
        lab.equal(s.esmtp_features["auth"].split(), ["PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"], "over TLS")
    with house.client(tls=False) as s:
        # shows: RFC7628 3/1, RFC7628 4/1
        lab.equal(s.esmtp_features["auth"].split(), ["PLAIN", "LOGIN", "SCRAM-SHA-256"], "in the clear: no tokens")
        lab.equal(says(s, "AUTH OAUTHBEARER " + oauthbearer("alice", token("alice")))[:3], "504", "a token in the clear")
    house.postern.configure(open(house.postern.conf_file).read().replace('failure-delay = "0s"',
                            'failure-delay = "0s"\n mechanisms = { PLAIN, XOAUTH2, EXTERNAL }'))
    house.postern.reload()
    house.postern.wait_log("config-adopted")

    def few():
        with house.client() as s:
            return s.esmtp_features.get("auth", "").split() == ["PLAIN", "XOAUTH2"]
    lab.wait_for(few, "what the configuration permits")


def test_passwords(folder):
    house = House(folder)
    with house.client() as s:
        lab.equal(plain(s, password="wrong")[:9], "535 5.7.8", "PLAIN with a wrong password")
        lab.equal(plain(s, user="nobody")[:9], "535 5.7.8", "PLAIN of nobody")
        lab.equal(plain(s)[:9], "235 2.7.0", "PLAIN")
    with house.client() as s:
        lab.equal(says(s, "AUTH PLAIN"), "334 ", "PLAIN without an initial response")
        lab.equal(says(s, b64("\0alice\0correct horse"))[:3], "235", "and then with one")
    for first in ("AUTH LOGIN", "AUTH LOGIN " + b64("bob@postern.test")):
        with house.client() as s:
            line = says(s, first)
            if first == "AUTH LOGIN":
                lab.equal(line, "334 " + b64("Username:"), first)
                line = says(s, b64("bob@postern.test"))
            lab.equal(line, "334 " + b64("Password:"), first)
            lab.equal(says(s, b64("battery staple"))[:3], "235", first)
    with house.client() as s:
        lab.equal(says(s, "AUTH LOGIN " + b64("alice"))[:3], "334", "LOGIN")
        lab.equal(says(s, "*")[:3], "501", "LOGIN, cancelled")
        lab.equal(says(s, "AUTH LOGIN " + b64("alice"))[:3], "334", "LOGIN")
        lab.equal(says(s, b64("wrong"))[:9], "535 5.7.8", "LOGIN with a wrong password")
        lab.equal(says(s, "AUTH PLAIN =")[:3], "501", "nothing as a response")
        lab.equal(plain(s)[:3], "235", "and all is well after it")
        s.sendmail("alice@postern.test", ["bob@postern.test"], lab.message(1, 100))
    house.postern.wait_log("auth-ok client=10.77.0.1 user=alice mechanism=PLAIN")
    house.postern.wait_log("auth-failed client=10.77.0.1 user=nobody mechanism=PLAIN")
    lab.wait_for(lambda: house.postern.mailbox("bob"), "the message")
    lab.check("correct horse" not in house.postern.log() and b64("\0alice\0correct horse") not in house.postern.log(),
              "no password in the log")


def test_real_clients(folder):
    house = House(folder)
    to, sender = "bob@postern.test", "alice@postern.test"
    bearer = token("alice")
    curl = ["curl", "-sS", "-k", "--crlf", "--ssl-reqd", "--url", f"smtp://{POSTERN}:587/client.test", "--mail-from", sender,
            "--mail-rcpt", to, "--upload-file", "-"]
    msmtp = ["msmtp", f"--host={POSTERN}", "--port=587", "--domain=client.test", f"--from={sender}", "--tls=on",
             "--tls-certcheck=off",
             "--user=alice"]
    swaks = ["swaks", "--server", POSTERN, "--port", "587", "--from", sender, "--to", to, "--tls", "--auth-user", "alice"]
    good = {
        "swaks PLAIN": [*swaks, "--auth", "PLAIN", "--auth-password", "correct horse"],
        "swaks LOGIN": [*swaks, "--auth", "LOGIN", "--auth-password", "correct horse"],
        "curl PLAIN": [*curl, "--user", "alice:correct horse", "--login-options", "AUTH=PLAIN"],
        "curl LOGIN": [*curl, "--user", "alice:correct horse", "--login-options", "AUTH=LOGIN"],
        "curl OAUTHBEARER": [*curl, "--user", "alice", "--oauth2-bearer", bearer, "--login-options", "AUTH=OAUTHBEARER"],
        "curl XOAUTH2": [*curl, "--user", "alice", "--oauth2-bearer", bearer, "--login-options", "AUTH=XOAUTH2"],
        "msmtp SCRAM-SHA-256": [*msmtp, "--auth=scram-sha-256", "--passwordeval=echo 'correct horse'", to],
        "msmtp OAUTHBEARER": [*msmtp, "--auth=oauthbearer", f"--passwordeval=echo {bearer}", to],
        "msmtp XOAUTH2": [*msmtp, "--auth=xoauth2", f"--passwordeval=echo {bearer}", to],
    }
    for name, argv in good.items():
        ok, words = run(*argv)
        lab.check(ok, f"{name}: {words[-800:]}")
    lab.wait_for(lambda: len(house.postern.mailbox("bob")) == len(good), "a message of each")
    bad = {name: [w.replace("correct horse", "incorrect").replace(bearer, token("alice", b"another key")) for w in argv]
           for name, argv in good.items()}
    for name, argv in bad.items():
        ok, words = run(*argv)
        lab.check(not ok, f"{name} with what is wrong: {words[-800:]}")
    lab.equal(house.postern.log().count("code=535"), len(bad), "a line for fail2ban each")


def test_tokens(folder):
    house = House(folder)
    for mechanism, form in (("OAUTHBEARER", oauthbearer), ("XOAUTH2", xoauth2)):
        with house.client() as s:
            lab.equal(says(s, f"AUTH {mechanism} {form('alice', token('alice'))}")[:9], "235 2.7.0", mechanism)
        for what, bearer in (("of another key", token("alice", b"no")), ("that is too old", token("alice", seconds=-5)),
                             ("without form", "x")):
            with house.client() as s:
                line = says(s, f"AUTH {mechanism} {form('alice', bearer)}")
                # shows: RFC7628 3/2, RFC7628 3.2.2/1, RFC7628 3.2.3/1
                lab.equal(line[:4], "334 ", f"{mechanism} with a token {what}: {line}")
                lab.check("status" in json.loads(base64.b64decode(line[4:])), f"{mechanism}: the error in JSON: {line}")
                lab.equal(says(s, b64("\1"))[:9], "535 5.7.8", f"{mechanism}: after the dummy answer")
                lab.equal(says(s, f"AUTH {mechanism} {form('alice', token('alice'))}")[:9], "235 2.7.0",
                          f"{mechanism}: the next one")
        with house.client() as s:
            lab.equal(says(s, f"AUTH {mechanism} {form('alice', 'x')}")[:4], "334 ", f"{mechanism}: an error")
            lab.equal(says(s, "*")[:3], "501", f"{mechanism}: the client gives up")                 # shows: RFC7628 3.2.3/2
            lab.equal(plain(s)[:3], "235", "and does something else")
        with house.client() as s:
            line = says(s, f"AUTH {mechanism} {form('bob@postern.test', token('alice'))}")
            if line.startswith("334"):
                line = says(s, b64("\1"))
            lab.equal(line[:3], "535", f"{mechanism}: a token of somebody else")
    with house.client() as s:
        # shows: RFC7628 3.1/1
        more = b64(f"n,a=alice,\1planet=mars\1auth=Bearer {token('alice')}\1\1")
        lab.equal(says(s, "AUTH OAUTHBEARER " + more)[:3], "235", "a pair that nobody knows")
    house.postern.wait_log("auth-ok client=10.77.0.1 user=alice mechanism=XOAUTH2")
    lab.check("code=535" in house.postern.log(), "a line for fail2ban")


def test_long_responses(folder):
    """A response that Dovecot would close the connection for does not get there."""
    house = House(folder)
    with house.client() as s:
        lab.equal(says(s, "AUTH LOGIN " + b64("alice"))[:3], "334", "LOGIN, begun")
        with house.client() as other:
            lab.equal(says(other, "AUTH PLAIN")[:3], "334", "PLAIN")
            lab.equal(says(other, b64("\0alice\0" + "x" * 7000))[:3], "501", "a password of 7000 bytes")
            lab.equal(plain(other)[:3], "235", "and the right one")
        lab.equal(says(s, b64("correct horse"))[:3], "235", "nobody else was hurt")


def test_denied(folder):
    """Dovecot may know a user and say that he is not to be let in."""
    house = House(folder, dovecot="""
        passdb {
          driver = static
          args = nopassword=y nologin=y user=%u
          mechanisms = plain
        }
        """)
    with house.client() as s:
        lab.equal(plain(s, user="carol", password="x")[:3], "535", "nologin")
        lab.equal(plain(s)[:3], "235", "who may")


# --- what Dovecot does ---

def test_killed_and_back(folder):
    house = House(folder, auth='dovecot-timeout = "3s"')
    with house.client() as s, house.client() as waiting:
        lab.equal(says(waiting, "AUTH LOGIN " + b64("alice"))[:3], "334", "LOGIN, begun")
        house.dovecot.kill()
        house.postern.wait_log("dovecot-down")
        lab.equal(says(waiting, b64("correct horse"))[:3], "454", "an exchange that was under way")
        lab.check("auth" in s.esmtp_features, "AUTH")
        s.ehlo()
        lab.equal(s.esmtp_features["auth"].split()[0], "PLAIN", "what it had is still offered")
        began = time.monotonic()
        lab.equal(plain(s)[:9], "454 4.7.0", "without Dovecot")
        lab.check(time.monotonic() - began < 5, "in time")
        os.unlink(house.socket)
        house.dovecot.start()
        lab.wait_for(lambda: plain(s).startswith("235"), "Dovecot to be found again", 30)
    lab.equal(house.postern.log().count("auth-failed"), house.postern.log().count("code=454"), "no failure of a user")


def test_restarted_under_load(folder):
    """doveadm reload, as Dovecot's users do: nobody is told that a password is wrong."""
    house = House(folder, auth='dovecot-timeout = "3s"')
    seen, end = [], threading.Event()

    def work():
        while not end.is_set():
            with house.client() as s:
                seen.append(plain(s)[:3])
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(5):
        time.sleep(0.5)
        os.kill(house.dovecot.process.child.pid, signal.SIGHUP)
    time.sleep(1)
    end.set()
    for t in threads:
        t.join()
    lab.check(set(seen) <= {"235", "454"} and seen.count("235") > seen.count("454"),
              f"replies: { {c: seen.count(c) for c in set(seen)} }")
    with house.client() as s:
        lab.equal(plain(s)[:3], "235", "afterwards")


def test_frozen(folder):
    """SIGSTOP: 454 in time, sessions that do not log in are not held up, and all is well when it goes on."""
    house = House(folder, auth='dovecot-timeout = "2s"')
    with house.client() as s, house.client() as good:
        lab.equal(plain(good)[:3], "235", "before")
        house.dovecot.freeze()
        began = time.monotonic()
        reply = []
        t = threading.Thread(target=lambda: reply.append(plain(s)))
        t.start()
        good.sendmail("alice@postern.test", ["bob@postern.test"], lab.message(2, 100))
        lab.check(time.monotonic() - began < 2, "another session goes on meanwhile")
        t.join()
        took = time.monotonic() - began
        lab.equal(reply[0][:9], "454 4.7.0", "a Dovecot that hangs")
        lab.check(1.5 < took < 8, f"after {took:.1f} s")
        lab.equal(plain(s)[:3], "454", "and again")
        house.dovecot.thaw()
        lab.wait_for(lambda: plain(s).startswith("235"), "Dovecot, which goes on", 30)


def test_comes_later(folder):
    """Postern starts first: AUTH is not offered, then it is."""
    house = House(folder, start=False)
    house.postern.wait_log("dovecot-down")
    with house.client() as s:
        lab.check("auth" not in s.esmtp_features, "nothing is offered that is not known")
        lab.equal(plain(s)[:3], "454", "AUTH all the same")
        house.dovecot = Dovecot(house.net, USERS)
        lab.equal(house.dovecot.socket, house.socket, "the socket")
        house.postern.wait_log("dovecot-up")
        lab.wait_for(lambda: s.ehlo() and "auth" in s.esmtp_features, "AUTH in EHLO")
        lab.equal(plain(s)[:3], "235", "who logs in")


def test_slowed_down(folder):
    """Failures are slowed down and counted as those of users of our own."""
    house = House(folder)
    house.postern.configure(open(house.postern.conf_file).read().replace('failure-delay = "0s"', 'failure-delay = "1s"'))
    house.postern.reload()
    house.postern.wait_log("config-adopted")
    with house.client() as s:
        lab.equal(plain(s, password="wrong")[:3], "535", "the first")
        began = time.monotonic()
        lab.equal(plain(s, user="ALICE", password="wrong")[:3], "535", "the second, with other letters")
        lab.check(time.monotonic() - began >= 0.9, "waits")


lab.main(globals())
