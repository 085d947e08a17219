#!/usr/bin/python3
"""AUTH over TLS: SCRAM with channel binding, and clients who are known by their certificates."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.certificate import Certificate  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402
from lab.postern import STAGE  # noqa: E402
from lab.sasl import Scram, SecureClient, b64, mechanisms_of, plain, plus, scram  # noqa: E402

STRANGER = "10.77.0.20"
PASSWORD = "correct horse"


def passwd(path, user, password=None, *words):
    subprocess.run([os.path.join(STAGE, "sbin", "posternctl"), "passwd", "--file", path, "--memory", "8", *words, user],
                   input=password and password + "\n", check=True, capture_output=True, text=True, timeout=60)


class House:
    """Postern with an RSA and an ECDSA certificate, submission on 587 with TLS, the same with client certificates on 588."""

    def __init__(self, folder, auth=""):
        self.net = lab.Lab(folder)
        self.net.standard_zones()
        self.net.start_dns()
        self.users, self.map = self.net.path("users"), self.net.path("certificates")
        passwd(self.users, "alice", PASSWORD)
        passwd(self.users, "bob,=", PASSWORD)
        self.card = {name: Certificate(folder, name, [f"{name}@postern.test"])
                     for name in ("alice", "carol", "mallory", "locked")}
        passwd(self.users, "locked", PASSWORD)
        passwd(self.users, "locked", None, "--lock")
        with open(self.map, "w") as f:
            colons = ":".join(self.card["alice"].fingerprint()[i:i + 2] for i in range(0, 64, 2)).upper()
            f.write(f"# fingerprint user\n{colons} alice\n{self.card['carol'].fingerprint()}\tcarol@postern.test # no password\n"
                    f"{self.card['locked'].fingerprint()} locked\n")
        self.server = Certificate(folder, "server", ["mx.postern.test"])
        self.postern = lab.Postern(self.net, self.net.postern_conf(self.server.section("server") + f"""
            listener "submission" {{ address = {{"{POSTERN}"}}
                port = 587
                kind = submission }}
            listener "cards" {{ address = {{"{POSTERN}"}}
                port = 588
                kind = submission
                client-certificate = request }}
            auth {{ users-file = "{self.users}"
                certificates-file = "{self.map}"
                failure-delay = "0s"
                {auth} }}
            limits {{ failed-logins = 0 }}
            smtpd {{ max-errors = 1000
                delay-errors = 1000 }}
            """))


def client(version="1.3", port=587, card=None):
    return SecureClient(POSTERN, port, version, card, source=STRANGER)


# --- channel binding ---

def test_plus_on_both_versions(folder):
    """shows: RFC5802 6/1, RFC5802 6/2, RFC5929 4/1, RFC9266 2/1, RFC9266 3/1, RFC7677 3/1
    shows: RFC5802 5.1/6, RFC5802 6.1/2"""
    house = House(folder)
    for version in ("1.2", "1.3"):
        for kind in ("tls-exporter", "tls-server-end-point"):
            with client(version) as c:
                lab.check("SCRAM-SHA-256-PLUS" in c.mechanisms and "EXTERNAL" not in c.mechanisms, f"offered: {c.mechanisms}")
                lab.equal(plus(c, "alice", "wrong", kind)[0], "535", f"a wrong password with {kind} on TLS {version}")
                lab.equal(plus(c, "nobody", PASSWORD, kind)[0], "535", f"nobody with {kind} on TLS {version}")
                lab.equal(plus(c, "alice", PASSWORD, kind), ("235", True), f"{kind} on TLS {version}")
                lab.equal(plus(c, "alice", PASSWORD, kind)[0], "503", "once more")
    with client() as c:
        lab.equal(scram(c, "bob,=", PASSWORD), ("235", True), "a name with a comma and an equals sign")
    lab.check(house.postern.log().count("mechanism=SCRAM-SHA-256-PLUS listener=submission") >= 4, "the log names the mechanism")
    lab.check("room-died" not in house.postern.log(), "nothing died")


def test_wrong_bindings(folder):
    """shows: RFC5802 6/3, RFC5802 6/4, RFC5802 6/5, RFC9266 3/2"""
    House(folder)
    with client() as c, client() as other:
        foreign = other.binding("tls-exporter")
        lab.check(foreign != c.binding("tls-exporter"), "two connections have two bindings")
        lab.equal(plus(c, "alice", PASSWORD, "tls-exporter", foreign)[0], "535", "the binding of another connection")
        lab.equal(plus(c, "alice", PASSWORD, "tls-exporter", b"")[0], "535", "no binding data")
        lab.equal(plus(c, "alice", PASSWORD, "tls-exporter", c.binding("tls-exporter") + b"x")[0], "535", "a byte more")
        lab.equal(plus(c, "alice", PASSWORD, "tls-exporter", c.binding("tls-server-end-point"))[0], "535", "data of another kind")
        lab.equal(plus(c, "alice", PASSWORD, "tls-server-end-point", b"\0" * 32)[0], "535", "another certificate's")
        # tls-unique is broken in 1.3 (RFC 8446 appendix C.5), and where it is not, it is not needed any more.
        lab.equal(plus(c, "alice", PASSWORD, "tls-unique")[0], "535", "tls-unique")
        lab.equal(plus(c, "alice", PASSWORD, "tls-nonsense", b"x")[0], "535", "a kind that nobody knows")
        lab.equal(scram(c, "alice", PASSWORD, "SCRAM-SHA-256-PLUS")[0], "535", "-PLUS without a binding")
        lab.equal(scram(c, "alice", PASSWORD, "SCRAM-SHA-256", "p=tls-exporter,,", c.binding("tls-exporter"))[0], "535",
                  "a binding without -PLUS")
        # The client could bind, and thinks that we cannot: somebody took -PLUS out of what we said.
        lab.equal(scram(c, "alice", PASSWORD, gs2="y,,")[0], "535", "a downgrade")
        # One that said so in the first message and not in the second.
        s = Scram(c, "alice", PASSWORD, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", c.binding("tls-exporter"))
        s.first()
        s.gs2 = "n,,"
        lab.equal(s.final()[0], "535", "another header in the final message")
        lab.equal(plus(c, "alice", PASSWORD, "tls-exporter"), ("235", True), "the right one after all that")
    with client("1.2") as c:
        lab.equal(plus(c, "alice", PASSWORD, "tls-unique")[0], "535", "tls-unique on TLS 1.2")


def test_no_plus_where_there_is_none(folder):
    """A client that can bind says y to a server that really does not offer it, and is let in. shows: RFC5802 6/2"""
    House(folder, auth='mechanisms = {"SCRAM-SHA-256"}')
    with client() as c:
        lab.equal(c.mechanisms, ["SCRAM-SHA-256"], "what is offered")
        lab.equal(plus(c, "alice", PASSWORD, "tls-exporter")[0], "504", "what is not offered")
        lab.equal(plain(c, "alice", PASSWORD)[0], "504", "PLAIN, which is switched off")
        lab.equal(scram(c, "alice", PASSWORD, gs2="y,,"), ("235", True), "y")


def test_scram_is_held_to_its_words(folder):
    """shows: RFC5802 5.1/2, RFC5802 5.1/3, RFC5802 5.1/4, RFC5802 5.1/5, RFC5802 7/1
    shows: RFC5802 5.1/7, RFC4954 4/21"""
    House(folder)
    with client() as c:
        def try_final(change):
            s = Scram(c, "alice", PASSWORD)
            lab.equal(s.first()[0], "334", "the first message")
            return s.final(change)[0]
        lab.equal(try_final(lambda u, p: u.replace(",r=", ",r=x") + ",p=" + p), "535", "another nonce")
        lab.equal(try_final(lambda u, p: u[:-1] + ",p=" + p), "535", "less of a nonce")
        lab.equal(try_final(lambda u, p: u + ",p=" + b64(b"\0" * 32)), "535", "another proof")
        lab.equal(try_final(lambda u, p: u + ",p=" + b64(b"\0" * 31)), "501", "a short proof")
        lab.equal(try_final(lambda u, p: u + ",p=!" + p), "501", "a proof that is no base64")
        lab.equal(try_final(lambda u, p: u), "501", "no proof")
        lab.equal(try_final(lambda u, p: u + ",p=" + p + ",x=y"), "501", "something behind the proof")
        lab.equal(try_final(lambda u, p: ",".join(reversed(u.split(","))) + ",p=" + p), "501", "another order")
        lab.equal(try_final(lambda u, p: ""), "501", "nothing")
        lab.equal(try_final(lambda u, p: "c=eSws" + u[u.index(","):] + ",p=" + p), "535", "a header that was not sent")
        for first, code, what in (("n,,n=alice,r=", "501", "no nonce"), ("n,,r=abc,n=alice", "501", "another order"),
                                  ("n,,m=x,n=alice,r=abc", "501", "an extension that must be understood"),
                                  ("n,a=alice,n=alice,r=abc", "334", "as oneself"),
                                  ("n,,n=alice,r=abc,x=y", "334", "an extension that need not be understood"),
                                  ("n,,n=a\u00adlice,r=abc", "334", "a name that is prepared"),
                                  ("n,,n=\u00ad,r=abc", "535", "a name of which nothing is left"),
                                  ("n,,n=\ue000,r=abc", "535", "a name that cannot be prepared"),
                                  ("n,a=bob,n=alice,r=abc", "535", "as somebody else"),
                                  ("n,,n=al=ice,r=abc", "501", "an equals sign alone"), ("n,,n=,r=abc", "501", "no name"),
                                  ("x,,n=alice,r=abc", "501", "a flag that is none"),
                                  ("n,n=alice,r=abc", "501", "no second comma"),
                                  ("n,,n=a\0b,r=abc", "501", "a NUL"), ("n,,n=alice,r=a b\x7f", "501", "no printable nonce"),
                                  ("", "501", "nothing")):
            got, lines = c.cmd("AUTH SCRAM-SHA-256 " + (b64(first) if first else "="))
            lab.equal(got, code, f"{what}: {lines}")
            if got == "334":
                c.cmd("*", "501")
        # Nonces are never the same, and begin with the client's.
        seen = set()
        for _ in range(5):
            s = Scram(c, "alice", PASSWORD)
            nonce = s.first()[1]["r"]
            lab.check(nonce.startswith("abcdefgh") and len(nonce) >= 8 + 18, f"a nonce of both: {nonce}")
            seen.add(nonce)
            c.cmd("*", "501")
        lab.equal(len(seen), 5, "nonces")
        # What the server says of somebody whom it does not know is what it says of others, whenever it is asked.
        def shown(user):
            s = Scram(c, user, "x")
            parts = s.first()[1]
            c.cmd("*", "501")
            return parts["s"], parts["i"]
        lab.equal(shown("nobody"), shown("nobody"), "the salt of nobody")
        lab.check(shown("nobody")[0] != shown("somebody")[0], "another nobody has another salt")
        lab.equal((len(shown("nobody")[0]), shown("nobody")[1]), (len(shown("alice")[0]), shown("alice")[1]), "its shape")
        # A response to the server's last word, which wants none.
        s = Scram(c, "alice", PASSWORD)
        s.first()
        salt = s.parts
        lab.equal(int(salt["i"]) >= 4096, True, "iterations")                       # shows: RFC7677 4/1
        c.cmd("*", "501")


def test_scram_names_and_extensions(folder):
    """Whole logins: a name is looked up as it is prepared, and hashed as it came; what nobody knows is hashed, and ignored.
    shows: RFC5802 5.1/1, RFC5802 5.1/8, RFC5802 5.1/9, RFC4954 4/20"""
    house = House(folder)
    passwd(house.users, "ix", "I\u00adX")                       # RFC 4013 3: a soft hyphen maps to nothing
    house.postern.ctl("reload")

    def login(user, password, *extensions):
        with client() as c:
            s = Scram(c, user, password, extensions=extensions or ("", ""))
            lab.equal(s.first()[0], "334", f"the first message of {user!r} {extensions}")
            return s.final()

    for user in ("alice", "al\u00adice", "a\u00ad\u00adlice\u00ad", "\uff41\uff4c\uff49\uff43\uff45"):
        lab.equal(login(user, PASSWORD), ("235", True), f"the name {user!r}")
        lab.equal(login(user, "wrong")[0], "535", f"the name {user!r} with another password")
    lab.equal(login("i\u00adx", "IX"), ("235", True), "a password that was prepared when it was set")
    lab.equal(login("ali\u00adcia", PASSWORD)[0], "535", "a name that is prepared, and nobody's")
    # The proof covers the name as it came: one that was made over the prepared name does not fit.
    with client() as c:
        s = Scram(c, "al\u00adice", PASSWORD)
        s.first()
        s.bare = s.bare.replace("\u00ad", "")
        lab.equal(s.final()[0], "535", "hashes over the prepared name")
    house.postern.wait_log("user=alice mechanism=SCRAM-SHA-256")
    lab.check("\u00ad" not in house.postern.log(), "the log has the prepared name")
    for extensions in ((",x=y", ""), ("", ",x=y"), (",x=y,Z=w", ",q=1=2,z=\u00e9")):
        lab.equal(login("alice", PASSWORD, *extensions), ("235", True), f"extensions {extensions}")
        lab.equal(login("alice", "wrong", *extensions)[0], "535", f"extensions {extensions} with another password")
    with client() as c:
        s = Scram(c, "alice", PASSWORD, extensions=("", ",x=y"))
        s.first()
        lab.equal(s.final(lambda u, p: u.replace(",x=y", ",x=z") + ",p=" + p)[0], "535", "an extension that the proof is not of")


def test_plain_is_held_to_its_words(folder):
    """shows: RFC4616 2/1, RFC4616 2/2, RFC4616 2/3, RFC4616 2/4, RFC4616 2/5, RFC4954 4/19"""
    house = House(folder)
    long = "u" * 255
    passwd(house.users, long, "p" * 255)
    passwd(house.users, "ix", "I\u00adX")                       # RFC 4013 3: a soft hyphen maps to nothing
    house.postern.ctl("reload")
    for user, password, authzid in ((long, "p" * 255, ""), (long, "p" * 255, long), ("ix", "IX", ""),
                                    ("i\u00adx", "I\u00adX", ""), ("\u2168", "x", None)):
        with client() as c:
            if authzid is None:                                  # IX by one character, which is not ix: letter case counts
                lab.equal(plain(c, user, password)[0], "535", "another letter case")
            else:
                lab.equal(plain(c, user, password, authzid)[0], "235", f"{user!r} with {password!r} as {authzid!r}")
    house.postern.wait_log("user=ix mechanism=PLAIN")
    with client() as c:
        for response, code, what in (("alice\0correct horse", "501", "one NUL"), ("\0alice\0correct horse\0", "501", "three"),
                                     ("\0alice\0", "501", "no password"),
                                     ("\0\0correct horse", "501", "no name"), ("x", "501", "none"),
                                     ("bob\0alice\0correct horse", "535", "as somebody else"),
                                     ("\0\u00ad\0correct horse", "535", "a name of which nothing is left"),
                                     ("\0alice\0\u00ad", "535", "a password of which nothing is left"),
                                     ("\0al\x07ice\0correct horse", "535", "a control character"),
                                     ("\0alice\0correct\x07horse", "535", "a control character in the password"),
                                     ("\0" + "u" * 256 + "\0x", "535", "a name that nobody can have")):
            lab.equal(c.cmd("AUTH PLAIN " + b64(response))[0], code, what)
        lab.equal(c.cmd("AUTH PLAIN " + b64(b"\0alice\0\xff\xfe"))[0], "535", "no UTF-8")
        lab.equal(plain(c, "alice", PASSWORD, "alice")[0], "235", "as oneself")


# --- certificates ---

def test_external(folder):
    """shows: RFC4422 A/1, RFC4422 A/2, RFC4422 A/3, RFC4422 A/4, RFC8314 4.2/2, RFC4954 4/5"""
    house = House(folder)
    for version in ("1.2", "1.3"):
        with client(version, 588, house.card["alice"]) as c:
            lab.check("EXTERNAL" in c.mechanisms, f"offered: {c.mechanisms}")
            lab.equal(c.cmd("AUTH EXTERNAL " + b64("bob,="))[0], "535", "as somebody else")
            lab.equal(c.cmd("AUTH EXTERNAL " + b64("a\0b"))[0], "501", "a NUL")
            lab.equal(c.cmd("AUTH EXTERNAL " + b64(b"\xff"))[0], "535", "no UTF-8")
            lab.equal(c.cmd("AUTH EXTERNAL " + b64("alice"))[0], "235", "as oneself, by name")
            lab.check(mechanisms_of(c.ehlo()) == [], "nothing more to be had")
    with client("1.3", 588, house.card["alice"]) as c:
        lab.equal(c.cmd("AUTH EXTERNAL ="), ("235", ["235 2.7.0 Authentication successful"]), "an empty initial response")
        c.cmd("MAIL FROM:<alice@postern.test>", "250")
        c.cmd("RCPT TO:<bob@postern.test>", "250")
        c.cmd("RSET", "250")
        lab.equal(c.mail("alice@postern.test", ["bob@postern.test"], lab.message(1, 100))[0], "250", "the message")
    lab.wait_for(lambda: house.net.mailbox("bob"), "the message")
    lab.check(b"with ESMTPSA id" in house.net.mailbox("bob")[0], "the trace field")         # shows: RFC4954 7/1
    with client("1.3", 588, house.card["carol"]) as c:
        c.cmd("AUTH EXTERNAL", "334")
        lab.equal(c.cmd("")[0], "235", "an empty response")
    house.postern.wait_log("auth-ok client=10.77.0.20 user=carol@postern.test mechanism=EXTERNAL")
    with client("1.3", 588, house.card["mallory"]) as c:
        lab.equal(c.cmd("AUTH EXTERNAL =")[0], "535", "a certificate that is nobody's")
        lab.equal(c.cmd("AUTH EXTERNAL " + b64("alice"))[0], "535", "and says that it is alice's")
        lab.equal(plain(c, "alice", PASSWORD)[0], "235", "a password does")
    with client("1.3", 588, house.card["locked"]) as c:
        lab.equal(c.cmd("AUTH EXTERNAL =")[0], "535", "the certificate of a user who is locked out")
    with client("1.3", 588) as c:
        lab.check("EXTERNAL" not in c.mechanisms, f"offered without a certificate: {c.mechanisms}")
        lab.equal(c.cmd("AUTH EXTERNAL =")[0], "504", "no certificate")
        lab.equal(c.cmd("AUTH EXTERNAL " + b64("alice"))[0], "504", "no certificate, and a name")
    with client("1.3", 587, house.card["alice"]) as c:
        lab.equal(c.cmd("AUTH EXTERNAL =")[0], "504", "where nobody asks for certificates")


def test_not_in_the_clear(folder):
    """shows: RFC4954 6/2, RFC4422 6/1"""
    House(folder)
    with lab.Client(POSTERN, 587, source=STRANGER) as c:
        lab.equal(mechanisms_of(c.ehlo()), [], "what is offered in the clear")
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL"):
            lab.equal(c.cmd(f"AUTH {mechanism} =")[1][-1][:10], "538 5.7.11", f"{mechanism} in the clear")


lab.main(globals())
