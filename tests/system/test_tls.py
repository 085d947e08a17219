#!/usr/bin/python3
"""TLS with real programs on the other side: openssl, curl, swaks, msmtp, Python, a Postfix that shows a certificate."""
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.certificate import Certificate  # noqa: E402
from lab.hosts import POSTERN, POSTFIX  # noqa: E402
from lab.postern import STAGE  # noqa: E402

CLIENT = "10.77.0.1"


class House:
    """Postern with an RSA and an ECDSA certificate for mx.postern.test, one for other.test and a wildcard; STARTTLS on 25,
    the same with client certificates on 26, TLS from the start on 465."""

    def __init__(self, folder, extra="", listener=""):
        self.net = lab.Lab(folder)
        self.net.standard_zones()
        self.net.start_dns()
        self.rsa = Certificate(folder, "rsa", ["mx.postern.test"], kind="rsa:2048")
        self.ec = Certificate(folder, "ec", ["mx.postern.test"])
        self.other = Certificate(folder, "other", ["other.test", "*.wild.test"])
        conf = self.net.postern_conf(
            "".join(c.section(n) for n, c in (("rsa", self.rsa), ("ec", self.ec), ("other", self.other))) +
            f'listener "asking" {{ address = {{"{POSTERN}"}}\n port = 26\n client-certificate = request\n {listener} }}\n'
            f'listener "smtps" {{ address = {{"{POSTERN}"}}\n port = 465\n tls = implicit }}\n' + extra)
        self.postern = lab.Postern(self.net, conf)
        self.host = self.net.host(CLIENT)

    def run(self, *words, input=None, code=0):
        r = self.host.run(list(words), input=input, capture_output=True, text=True)
        if code is not None and r.returncode != code:
            lab.fail(f"{words[0]} ended with {r.returncode}: {(r.stdout + r.stderr)[-700:]}")
        return r.stdout + r.stderr

    def s_client(self, *words, port=25, code=0, input="QUIT\n", mode=("-crlf", "-ign_eof")):
        """What openssl has to say; a code of None: whatever. With another mode R asks for another handshake."""
        start = () if port == 465 else ("-starttls", "smtp")
        return self.run("timeout", "30", "openssl", "s_client", "-connect", f"{POSTERN}:{port}", *start, *mode, *words,
                        input=input, code=code)

    def mail_arrives(self, n):
        lab.wait_for(lambda: len(self.net.mailbox("alice")) == n, f"message {n}")
        return sorted(self.net.mailbox("alice"), key=len)


def context(version=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    if version:
        c.minimum_version = c.maximum_version = version
    return c


class TLSClient(lab.Client):
    """A lab.Client that can switch to TLS."""

    def starttls(self, ctx=None, session=None, name=None):
        self.cmd("STARTTLS", "220")
        self.shake(ctx, session, name)

    def shake(self, ctx=None, session=None, name=None):
        self.s = (ctx or context()).wrap_socket(self.s, server_hostname=name, session=session)
        self.buffer = b""


# --- what is offered ---

# Extensions and commands that can be switched off, and those that go with another.
SWITCHES = ("PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME", "DSN", "SMTPUTF8", "DELIVERBY",
            "FUTURERELEASE", "MT-PRIORITY", "LIMITS", "REQUIRETLS", "ETRN", "STARTTLS", "AUTH", "VRFY", "EXPN", "XCLIENT", "HELP")
WITH = {"CHUNKING": {"BINARYMIME"}, "8BITMIME": {"BINARYMIME", "SMTPUTF8"}}


def test_every_extension_has_a_switch(folder):
    """Each is announced where it can be used, and is not once it is switched off; all others stay."""
    here = f'address = {{"{POSTERN}"}}'
    listeners = {"open": "port = 2501\n tls = starttls", "tls": "port = 2502\n tls = implicit\n auth = yes",
                 "users": "port = 2503\n tls = implicit\n kind = submission"}

    subprocess.run([f"{STAGE}/sbin/posternctl", "passwd", "--file", f"{folder}/users", "--memory", "8", "alice"],
                   input="secret secret\n", text=True, check=True)

    def conf(off):
        return "".join(f'listener "{name}" {{ {here}\n xclient = {{"{CLIENT}"}}\n disable = {{{off}}}\n {rest} }}\n'
                       for name, rest in listeners.items() if not off or name != "users" or off not in ('"AUTH"', '"STARTTLS"'))

    house = House(folder, f"""
        auth {{ users-file = "{folder}/users" }}
        smtpd {{ vrfy = {{"{CLIENT}"}} etrn-clients = {{"{CLIENT}"}} report-clients = {{"{CLIENT}"}} }}
        """ + conf(""))

    def offered():
        words = set()
        for port, tls in ((2501, False), (2502, True), (2503, True)):
            try:
                c = TLSClient(POSTERN, port, source=CLIENT, greet=False)
            except ConnectionRefusedError:
                continue
            with c:
                if tls:
                    c.shake()
                c.expect("220")
                words |= {line[4:].split()[0].partition("=")[0] for line in c.ehlo()[1:]}
        return words

    before = open(house.postern.conf_file).read()
    everything = offered()
    lab.equal(everything, set(SWITCHES), "what is offered with nothing switched off")
    for name in SWITCHES:
        house.postern.configure(before.replace(conf(""), conf(f'"{name}"')))
        house.postern.ctl("reload")
        gone = everything - offered() - ({"FUTURERELEASE"} if name in ("AUTH", "STARTTLS") else set())
        lab.equal(gone, {name} | WITH.get(name, set()), f"what is gone without {name}")


# --- clients ---

def test_programs_send_mail(folder):
    """shows: RFC8314 4/3"""
    house = House(folder)
    to = "alice@postern.test"
    house.run("swaks", "--server", POSTERN, "--tls", "--from", "a@b.test", "--to", to)
    house.run("swaks", "--server", POSTERN, "--port", "465", "--tls-on-connect", "--from", "a@b.test", "--to", to)
    letter = house.net.path("letter")
    with open(letter, "w") as f:
        f.write("From: a@b.test\r\nSubject: x\r\n\r\nbody\r\n")
    for url in (f"smtp://{POSTERN}/client.test", f"smtps://{POSTERN}/client.test"):
        house.run("curl", "-sS", "--ssl-reqd", "-k", "--mail-from", "a@b.test", "--mail-rcpt", to, "-T", letter, url)
    for how in (["--tls-starttls=on", "--port=25"], ["--tls-starttls=off", "--port=465"]):
        house.run("msmtp", "--host=" + POSTERN, "--tls=on", "--tls-certcheck=off", *how, "--from=a@b.test", to,
                  input="Subject: msmtp\n\nbody\n")
    program = (f"import smtplib, ssl\nc = ssl._create_unverified_context()\n"
               f"s = smtplib.SMTP('{POSTERN}')\ns.starttls(context=c)\n"
               f"s.sendmail('a@b.test', ['{to}'], b'Subject: x\\r\\n\\r\\nb')\ns.quit()\n"
               f"s = smtplib.SMTP_SSL('{POSTERN}', 465, context=c)\n"
               f"s.sendmail('a@b.test', ['{to}'], b'Subject: x\\r\\n\\r\\nb')\ns.quit()\n")
    house.run("python3", "-c", program)
    for mail in house.mail_arrives(8):
        lab.check(b"(using TLSv1.3 with cipher " in mail and b" with ESMTPS id " in mail,
                  f"the trace field says TLS: {mail[:400]!r}")
    shakes = [line for line in house.postern.log().splitlines() if "tls-established" in line]
    lab.equal(len(shakes), 8, "handshakes in the log")
    for line in shakes:
        lab.check(re.search(rf"client={CLIENT} protocol=TLSv1\.3 cipher=TLS_AES_128_GCM_SHA256 bits=128 ", line),
                  f"the log says by which cipher: {line}")


def test_large_mail_both_ways_of_tls(folder):
    house = House(folder)
    data = lab.message(1, 3000000)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with TLSClient(POSTERN) as c:
            c.ehlo()
            c.starttls(context(version))
            c.ehlo()
            lab.equal(c.mail("a@b.test", ["alice@postern.test"], data)[0], "250", "the answer")
            c.quit()
    from lab.client import digest
    for mail in house.mail_arrives(2):
        lab.equal(digest(mail), digest(data), "the content")


def test_postfix_relays_with_a_certificate(folder):
    """A stranger by address, a friend by certificate."""
    house_cert = Certificate(folder, "postfix", ["mx.postfix.test"])
    house = House(folder, f'rule "friend" {{ client-certificate = {{"{house_cert.fingerprint()}"}} }}\n')
    house.net.start_postfix(extra=f"""
        smtp_tls_security_level = encrypt
        smtp_tls_cert_file = {house_cert.chain}
        smtp_tls_key_file = {house_cert.key}
        relayhost = [{POSTERN}]:26
        """)
    code, lines = lab.send(POSTFIX, "a@b.test", ["alice@postern.test", "far@sink.test"], lab.message(1, 500))
    lab.equal(code, "250", "Postfix takes it")
    mail = house.mail_arrives(1)[0]
    lab.check(b'(Client CN "mx.postfix.test", Issuer "mx.postfix.test" (not verified))' in mail,
              f"the trace field: {mail[:600]!r}")
    house.postern.wait_log("destination=smtp:sink.test")
    lab.check(f"fingerprint={house_cert.fingerprint()}" in house.postern.log(), "the fingerprint is in the log")
    lab.check("Relay access denied" not in house.postern.log(), "nothing was refused")
    with TLSClient(POSTERN, 26, source=None, host=house.net.host(POSTFIX)) as c:
        c.ehlo()
        c.starttls()
        c.ehlo()
        c.cmd("MAIL FROM:<a@b.test>", "250")
        lab.check(c.cmd("RCPT TO:<far@sink.test>")[1][0][4:9] == "5.7.1", "without the certificate nothing is relayed")


def test_authorities_are_renewed(folder):
    """The file of client-ca changes, without a reload; a bad one leaves the last good one, whoever is started meanwhile."""
    one, two = (Certificate(folder, n, [n + ".test"]) for n in ("one", "two"))
    clients = {ca: Certificate(folder, "of-" + ca.names[0], ["client." + ca.names[0]], by=ca) for ca in (one, two)}
    path = os.path.join(folder, "client-ca.pem")

    def put(text):
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def text_of(ca):
        with open(ca.chain) as f:
            return f.read()

    put(text_of(one))
    house = House(folder, "vault { check-interval = 1s }\n", f'client-ca = "{path}"')
    postern = house.postern

    def shown():
        return next(r for r in postern.ctl_rows("tls", "show") if r.get("client_ca") == "asking")

    def believed():
        """Whose clients every smtpd process believes."""
        for ca, client in clients.items():
            before = len(re.findall("tls-established.*verified=yes", postern.log()))
            for _ in range(6):
                house.s_client("-cert", client.chain, "-key", client.key, port=26)
            yield ca.names[0], len(re.findall("tls-established.*verified=yes", postern.log())) - before

    lab.equal(dict(believed()), {"one.test": 6, "two.test": 0}, "the first authority")
    lab.check("one.test" in shown()["names"] and shown()["trouble"] == "", f"tls show: {shown()}")
    put(text_of(two))
    lab.wait_for(lambda: "two.test" in shown()["names"], "tls show to have the other one")
    lab.wait_for(lambda: dict(believed()) == {"one.test": 0, "two.test": 6}, "every smtpd to believe the other one")
    put("this is no certificate\n")
    lab.wait_for(lambda: "no certificates in PEM" in shown()["trouble"], "tls show to say what is wrong")
    lab.check("NOT RENEWED" in postern.ctl("tls", "show").stdout, "in the table, too")
    for pid in postern.pids("smtpd"):
        os.kill(pid, signal.SIGKILL)
    postern.wait_ready()
    lab.wait_for(lambda: dict(believed()) == {"one.test": 0, "two.test": 6}, "the last good one, in new processes")
    said = postern.ctl("reload")
    lab.check("the last good one stays in use" in said.stdout + said.stderr, f"a reload says so: {said.stdout + said.stderr}")
    lab.equal(dict(believed()), {"one.test": 0, "two.test": 6}, "after it, too")
    put(text_of(one))
    lab.wait_for(lambda: shown()["trouble"] == "" and dict(believed()) == {"one.test": 6, "two.test": 0}, "the good one")


# --- what is offered ---

def test_versions_and_suites(folder):
    house = House(folder)
    for words, good in (("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
        out = house.s_client(words, "-cipher", "ALL:@SECLEVEL=0", code=None)
        lab.equal("Cipher is (NONE)" not in out and "Cipher is " in out, good, words)
    for suite, good in (("AES256-SHA", False), ("AES128-GCM-SHA256", False), ("DHE-RSA-AES128-GCM-SHA256", False),
                        ("ECDHE-RSA-AES128-SHA256", False), ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
                        ("ECDHE-RSA-CHACHA20-POLY1305", True)):
        out = house.s_client("-tls1_2", "-cipher", suite + ":@SECLEVEL=0", code=None)
        lab.equal(f"Cipher is {suite}" in out, good, suite)
    lab.check("Compression: NONE" in house.s_client("-tls1_2"), "no compression")
    out = house.s_client("-tls1_2", code=None, input="R\n", mode=())
    lab.check("RENEGOTIATING" in out and "no renegotiation" in out, f"renegotiation is refused: {out[-300:]}")


def test_names_and_keys(folder):
    house = House(folder)
    for name, algorithm, shown in ((None, "ECDSA+SHA256", house.ec), ("mx.postern.test", "ECDSA+SHA256", house.ec),
                                   ("mx.postern.test", "RSA-PSS+SHA256", house.rsa), ("other.test", "ECDSA+SHA256", house.other),
                                   ("a.wild.test", "ECDSA+SHA256", house.other), ("nobody.test", "ECDSA+SHA256", house.ec)):
        words = ["-servername", name] if name else ["-noservername"]
        out = house.s_client(*words, "-sigalgs", algorithm, "-tls1_3")
        with open(shown.chain) as f:
            lab.check(f.read().split("-----")[2].strip() in out, f"{name} with {algorithm} gets its certificate")


def test_application_protocols(folder):
    """THREATS 8: somebody has led a browser here."""
    house = House(folder)
    for port in (25, 465):
        for offer, good in (("http/1.1", False), ("h2,http/1.1", False), ("imap", False), ("smtp", True), ("h2,smtp", True)):
            out = house.s_client("-alpn", offer, port=port, code=None)
            lab.equal("no application protocol" not in out and "Cipher is TLS_" in out, good, f"{offer} on {port}")


# --- tickets ---

def test_tickets_are_good_in_every_process_and_at_one_listener(folder):
    house = House(folder, extra="smtpd { processes = 4 }\n")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        ctx = context(version)

        def visit(port, session=None):
            with TLSClient(POSTERN, port, greet=port != 465) as c:
                if port == 465:
                    c.shake(ctx, session)
                    c.expect("220")
                else:
                    c.ehlo()
                    c.starttls(ctx, session)
                c.ehlo()
                found = c.s.session, c.s.session_reused
                c.quit()
                return found

        ticket, reused = visit(25)
        lab.check(not reused, "the first visit is new")
        pids = set()
        for _ in range(20):
            ticket, reused = visit(25, ticket)
            lab.check(reused, f"{version}: a ticket is good in every process")
            pids |= {line.split("postern/smtpd[")[1].split("]")[0] for line in house.postern.log().splitlines()
                     if "tls-established" in line and "resumed=yes" in line}
        lab.check(len(pids) > 1, "several processes took part")
        lab.check(not visit(26, ticket)[1], "not at another listener")
        lab.check(not visit(465, ticket)[1], "not at another port")


# --- hostile clients ---

def test_words_behind_starttls(folder):
    house = House(folder)
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.raw(b"STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<e@evil.test>\r\n")
        lab.equal(c.reply()[0], "421", "the answer")
        lab.check(c.closed(), "and the end")
    # The same, spread over time: what comes in the clear is no handshake, and never a command.
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("STARTTLS", "220")
        c.raw(b"EHLO evil.test\r\nMAIL FROM:<e@evil.test>\r\n")
        while True:
            try:
                if not c.s.recv(4096):
                    break
            except ConnectionResetError:
                break
    house.postern.wait_log("tls-failed")
    lab.check("evil" not in house.postern.log(), "nothing of it was heard")


def test_handshakes_of_a_network_have_a_limit(folder):
    """limits { tls-handshakes }: of STARTTLS and of TLS from the start together, over all processes, but for listed networks."""
    stranger = "10.77.0.20"
    house = House(folder, 'smtpd { processes = 2 }\nlimits { tls-handshakes = 6\n interval = "10m" }\n')
    for port in (25, 465) * 3:
        with TLSClient(POSTERN, port, source=stranger, greet=port == 25) as c:
            if port == 25:
                c.ehlo()
                c.starttls()
            else:
                c.shake()
                c.expect("220")
            c.ehlo()
    with TLSClient(POSTERN, source=stranger) as c:
        c.ehlo()
        lab.equal(c.cmd("STARTTLS")[0], "454", "the seventh, by STARTTLS")
        lab.equal(c.cmd("NOOP")[0], "250", "the session goes on")
    with TLSClient(POSTERN, 465, source=stranger, greet=False) as c:
        try:
            c.shake()
            lab.fail("TLS from the start goes on")
        except (OSError, ssl.SSLError):
            pass
    lab.wait_for(lambda: re.search(r"limit-reached .*what=tls-handshakes", house.postern.log()), "it to be in the log")
    for _ in range(8):
        with TLSClient(POSTERN, 465, source=CLIENT, greet=False) as c:
            c.shake()
            c.expect("220")


def test_slow_and_broken_handshakes(folder):
    house = House(folder, extra="smtpd { timeout-tls = 2s }\n")
    slow = []
    for port in (25, 465) * 5:
        c = TLSClient(POSTERN, port, greet=port == 25)
        if port == 25:
            c.ehlo()
            c.cmd("STARTTLS", "220")
        c.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01")
        slow.append(c)
    for junk in (b"\0" * 100, b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\x15\x03\x01\0\2\2\x28",
                 os.urandom(300)):
        c = lab.Client(POSTERN, 465, greet=False)
        c.raw(junk)
        try:
            while c.s.recv(4096):
                pass
        except ConnectionResetError:
            pass
    # A good one is served meanwhile.
    lab.equal(lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(1, 100))[0], "250", "a good client")
    begun = time.monotonic()
    for c in slow:
        try:
            while c.s.recv(4096):
                pass
        except ConnectionResetError:
            pass
    lab.check(time.monotonic() - begun < 10, "slow handshakes are cut")
    lab.wait_for(lambda: house.postern.log().count('why="Timeout: TLS handshake"') == 10, "ten time-outs in the log")
    c = lab.Client(POSTERN, 465, greet=False)
    c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    c.raw(b"\x16\x03\x01")
    c.close()
    lab.check("room-died" not in house.postern.log(), "nobody died")


# --- the vault away ---

def test_without_the_vault(folder):
    """RFC 3207 4: 454, and back by itself."""
    import signal
    house = House(folder)
    with lab.Client(POSTERN) as c:
        lab.check(any("STARTTLS" in line for line in c.ehlo()), "STARTTLS is offered")
        for pid in house.postern.pids("vault"):
            os.kill(pid, signal.SIGSTOP)
    for pid in house.postern.pids("vault"):
        os.kill(pid, signal.SIGKILL)

    # Each smtpd has a line of its own to the vault, and a connection may come to any of them.
    def switches():
        with TLSClient(POSTERN) as c:
            try:
                c.ehlo()
                c.starttls()
                c.ehlo()
            except (lab.Failed, OSError, EOFError):
                return False
            c.quit()
            return True
    for _ in range(10):
        lab.wait_for(switches, "STARTTLS to be back")


lab.main(globals())
