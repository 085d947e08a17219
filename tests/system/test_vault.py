#!/usr/bin/python3
"""The private keys: they are in the vault and nowhere else, and TLS lives as long as the vault, comes back with it, and follows
the certificate files."""
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time

from OpenSSL import crypto

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402

NAME = "mx.postern.test"
DAY = 24 * 60 * 60


class Files:
    """A certificate and its key, renewed as certbot does it: new files, then links that are replaced."""

    def __init__(self, folder, title, *kind):
        self.folder, self.title, self.kind, self.count = os.path.join(folder, "certificates"), title, kind, 0
        os.makedirs(self.folder, exist_ok=True)
        self.chain, self.key = (os.path.join(self.folder, f"{title}.{end}") for end in ("pem", "key"))
        self.renew()

    def make(self, days=90, span=None):
        """span: valid from and until, in seconds from now, instead of days."""
        self.count += 1
        pem, key = (os.path.join(self.folder, f"{self.title}-{self.count}.{end}") for end in ("pem", "key"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", *self.kind, "-nodes", "-keyout", key, "-out", pem,
                        "-days", str(days),
                        "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"], check=True, capture_output=True)
        os.chmod(key, 0o600)
        if span:
            with open(pem, "rb") as p, open(key, "rb") as k:
                cert = crypto.load_certificate(crypto.FILETYPE_PEM, p.read())
                signer = crypto.load_privatekey(crypto.FILETYPE_PEM, k.read())
            cert.gmtime_adj_notBefore(span[0])
            cert.gmtime_adj_notAfter(span[1])
            cert.sign(signer, "sha256")
            with open(pem, "wb") as p:
                p.write(crypto.dump_certificate(crypto.FILETYPE_PEM, cert))
        return pem, key

    def link(self, target, name):
        os.symlink(target, name + ".new")
        os.rename(name + ".new", name)

    def renew(self, pause=0, span=None):
        pem, key = self.make(span=span)
        self.link(pem, self.chain)
        time.sleep(pause)
        self.link(key, self.key)

    def fingerprint(self):
        out = subprocess.run(["openssl", "x509", "-in", self.chain, "-noout", "-fingerprint", "-sha256"], check=True,
                             capture_output=True, text=True).stdout
        return out.split("=")[1].strip().replace(":", "").lower()

    def section(self):
        return f'certificate "{self.title}" {{ chain = "{self.chain}"\n key = "{self.key}" }}\n'

    def secrets(self):
        """{what: its bytes, big-endian}: every number that is private, and the file's own forms."""
        out = subprocess.run(["openssl", "pkey", "-in", self.key, "-noout", "-text"], check=True, capture_output=True,
                             text=True).stdout
        found = {}
        numbers = r"^(priv|privateExponent|prime1|prime2|exponent1|exponent2|coefficient):\n((?: +[0-9a-f:]+\n)+)"
        for name, digits in re.findall(numbers, out, re.M):
            found[name] = bytes.fromhex(re.sub(r"[^0-9a-f]", "", digits)).lstrip(b"\0")
        with open(self.key, "rb") as f:
            found["PEM"] = f.read().split(b"\n")[1]
        return found


def house(folder, *files, extra=""):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    text = "".join(f.section() for f in files)
    return net, lab.Postern(net, net.postern_conf(text + "vault { check-interval = 1s }\n" + extra))


def context(**more):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    for name, value in more.items():
        setattr(c, name, value)
    return c


def shake(ctx=None):
    """STARTTLS; the fingerprint of what the server showed."""
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("STARTTLS", "220")
        with (ctx or context()).wrap_socket(c.s, server_hostname=NAME) as s:
            s.sendall(b"NOOP\r\n")
            lab.check(s.recv(100).startswith(b"250"), "the session goes on")
            import hashlib
            return hashlib.sha256(s.getpeercert(True)).hexdigest()


def only(algorithm, version=ssl.TLSVersion.TLSv1_2):
    """A client that takes certificates with this kind of key alone."""
    ctx = context(maximum_version=version)
    ctx.set_ciphers(f"ECDHE-{algorithm}-AES128-GCM-SHA256")
    return ctx


def answer_to_starttls():
    with lab.Client(POSTERN) as c:
        c.ehlo()
        return c.cmd("STARTTLS")


# --- where the keys are ---

def memory(pid):
    """Everything that the process can read or write, page by page as the kernel shows it."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            span, access = line.split()[:2]
            if "r" not in access or "[v" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            mem.seek(start)
            try:
                yield mem.read(end - start)
            except OSError:
                pass    # a guard page


def found_in(pid, secrets):
    """Which secrets stand there: sixteen octets from the middle are enough, in either order of octets (OpenSSL keeps numbers in
    words of the machine, the lowest first)."""
    needles = {}
    for name, value in secrets.items():
        at = len(value) // 2 - 8
        # On a border of words, seen from the low end.
        at -= (len(value) - at) % 8
        piece = value[at:at + 16]
        needles[name] = {piece, piece[::-1]}
    there = set()
    for region in memory(pid):
        there |= {name for name, pieces in needles.items() if any(p in region for p in pieces)}
    return there


def test_no_key_outside_the_vault(folder):
    rsa, ec = Files(folder, "rsa", "rsa:2048"), Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    net, postern = house(folder, rsa, ec)
    for _ in range(5):
        lab.equal(shake(only("RSA")), rsa.fingerprint(), "the certificate with the RSA key")
        lab.equal(shake(only("ECDSA")), ec.fingerprint(), "the certificate with the EC key")
        shake()
    secrets = {**{f"rsa {k}": v for k, v in rsa.secrets().items()}, **{f"ec {k}": v for k, v in ec.secrets().items()}}
    lab.check({"rsa privateExponent", "rsa prime1", "rsa prime2", "ec priv"} <= set(secrets),
              f"the numbers of the keys: {set(secrets)}")
    # That the search finds what is there: the vault has to have them.
    vault = found_in(postern.pids("vault")[0], secrets)
    lab.check({"rsa prime1", "rsa prime2", "ec priv"} <= vault, f"found in the vault: {vault}")
    for pid, room in sorted(postern.processes().items()):
        if room != "vault":
            lab.equal(found_in(pid, secrets), set(), f"secrets in the memory of {room} {pid}")
    lab.equal(found_in(postern.process.child.pid, secrets), set(), "secrets that the master has kept")


# --- a vault that dies ---

def test_vault_dies_and_comes_back(folder):
    ec = Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    net, postern = house(folder, ec)
    shake()
    vault = postern.pids("vault")[0]
    # One that stands still and then dies: the handshake that waits for it ends.
    os.kill(vault, signal.SIGSTOP)
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("STARTTLS", "220")
        failed = []

        def wait():
            try:
                context().wrap_socket(c.s, server_hostname=NAME)
            except (ssl.SSLError, OSError) as e:
                failed.append(e)
        t = threading.Thread(target=wait)
        t.start()
        time.sleep(0.5)
        lab.check(t.is_alive(), "the handshake waits for the vault")
        with lab.Client(POSTERN) as other:
            other.ehlo()
            lab.equal(other.mail("a@b.test", ["alice@postern.test"], lab.message(1, 1000))[0], "250", "mail meanwhile")
        os.kill(vault, signal.SIGKILL)
        t.join(10)
        lab.check(failed, "the handshake fails")
    lab.wait_for(lambda: postern.pids("vault") not in ([], [vault]), "another vault")
    lab.wait_for(lambda: answer_to_starttls()[0] == "220", "STARTTLS to be possible again")
    lab.equal(shake(), ec.fingerprint(), "the certificate")


def test_454_while_there_is_no_vault(folder):
    """RFC 3207 4: 454 TLS not available due to temporary reason. shows: RFC3207 4/5"""
    ec = Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    net, postern = house(folder, ec)
    seen = set()
    # Killed again and again it is started later and later.
    for _ in range(6):
        for pid in postern.pids("vault"):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
        code, lines = answer_to_starttls()
        seen.add(lines[-1] if code == "454" else code)
        time.sleep(0.2)
    lab.check(any(s.startswith("454 4.7.0 ") for s in seen), f"the answers without a vault: {seen}")
    with lab.Client(POSTERN) as c:
        c.ehlo()
        lab.equal(c.mail("a@b.test", ["alice@postern.test"], lab.message(1, 1000))[0], "250", "mail in the clear goes on")
    lab.wait_for(lambda: answer_to_starttls()[0] == "220", "STARTTLS to be possible again", 30)
    shake()


def test_killed_under_handshakes(folder):
    ec = Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    net, postern = house(folder, ec)
    smtpds = set(postern.pids("smtpd"))
    stop, done, lost = threading.Event(), [], []

    def load():
        while not stop.is_set():
            try:
                done.append(shake())
            except (ssl.SSLError, OSError, EOFError, lab.Failed) as e:
                lost.append(e)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(5):
        time.sleep(1)
        for pid in postern.pids("vault"):
            os.kill(pid, signal.SIGKILL)
    before = len(done)
    lab.wait_for(lambda: len(done) > before + 20, "handshakes after the last death", 60)
    stop.set()
    for t in threads:
        t.join()
    lab.equal(set(postern.pids("smtpd")), smtpds, "no smtpd went with it")
    lab.check(len(done) > 20, f"{len(done)} handshakes, {len(lost)} failed")


# --- files that change ---

def shown(postern, title):
    return next(r for r in postern.ctl_rows("tls", "show") if r["certificate"] == title)


def test_renewed_without_a_reload(folder):
    ec = Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    net, postern = house(folder, ec)
    smtpds = set(postern.pids("smtpd"))
    generation = {r["generation"] for r in postern.ctl_rows("status") if "generation" in r}
    lab.equal(shake(), ec.fingerprint(), "the first certificate")
    for _ in range(3):
        old = ec.fingerprint()
        ec.renew(pause=0.3)
        new = ec.fingerprint()
        lab.check(old != new, "there is another certificate")
        lab.wait_for(lambda: shown(postern, "ec")["fingerprint"] == new, "tls show to have it")
        lab.wait_for(lambda: {shake() for _ in range(8)} == {new}, "every smtpd to show it")
    lab.equal(set(postern.pids("smtpd")), smtpds, "nothing was started again")
    lab.equal({r["generation"] for r in postern.ctl_rows("status") if "generation" in r}, generation, "and nothing was reloaded")


def test_half_a_renewal_changes_nothing(folder):
    """The certificate is there, its key not yet: what was in use stays, whatever is killed meanwhile, and tls show says why."""
    ec = Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    net, postern = house(folder, ec)
    old = ec.fingerprint()
    pem, key = ec.make()
    ec.link(pem, ec.chain)
    lab.wait_for(lambda: "does not belong" in shown(postern, "ec")["trouble"], "tls show to say what is wrong")
    lab.check("NOT RENEWED" in postern.ctl("tls", "show").stdout, "in the table, too")
    for room in ("vault", "smtpd"):
        for pid in postern.pids(room):
            os.kill(pid, signal.SIGKILL)
    postern.wait_ready()
    lab.wait_for(lambda: answer_to_starttls()[0] == "220", "STARTTLS to be possible again")
    lab.equal(shake(), old, "the old certificate, with its key")
    ec.link(key, ec.key)
    lab.wait_for(lambda: shown(postern, "ec")["trouble"] == "", "the trouble to be over")
    lab.wait_for(lambda: {shake() for _ in range(8)} == {ec.fingerprint()}, "the new one")


def test_no_expired_one_in_the_place_of_a_valid_one(folder):
    """Not by new files, not by a reload, and not beside it; and what comes of age is taken by itself."""
    ec = Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    net, postern = house(folder, ec)
    old = ec.fingerprint()
    ec.renew(span=(-30 * DAY, -3600))
    lab.wait_for(lambda: "has expired on" in shown(postern, "ec")["trouble"], "tls show to say what is wrong")
    said = postern.ctl("reload")
    lab.check("has expired on" in said.stdout + said.stderr, "a reload says it")
    lab.equal((shake(), shown(postern, "ec")["state"]), (old, "valid"), "what is in use")
    ec.renew(span=(6, 30 * DAY))
    lab.wait_for(lambda: "is not valid before" in shown(postern, "ec")["trouble"], "tls show to say that it is early")
    lab.equal(shake(), old, "what is in use meanwhile")
    lab.wait_for(lambda: shown(postern, "ec")["trouble"] == "", "its time to come")
    lab.wait_for(lambda: {shake() for _ in range(8)} == {ec.fingerprint()}, "every smtpd to show it")


def test_certificates_end(folder):
    """Said by postern -n, at the start, in the log and in tls show; a valid one of another kind steps in when one ends."""
    ec, rsa = Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), Files(folder, "rsa", "rsa:2048")
    ec.renew(span=(-DAY, 12))
    net, postern = house(folder, ec, rsa)
    late, early, soon = (Files(folder, name, "ec", "-pkeyopt", "ec_paramgen_curve:P-256") for name in ("late", "early", "soon"))
    lab.equal(shake(), ec.fingerprint(), "the first certificate, which is valid yet")
    lab.equal(shown(postern, "ec")["state"], "ends-soon", "what tls show says")
    postern.wait_log("certificate-expires certificate=ec")
    lab.wait_for(lambda: shown(postern, "ec")["state"] == "expired", "it to end")
    lab.wait_for(lambda: {shake() for _ in range(8)} == {rsa.fingerprint()}, "every smtpd to show the other one")
    lab.check("WARNING      has expired on" in postern.ctl("tls", "show").stdout, "the table says it")
    late.renew(span=(-30 * DAY, -5 * DAY))
    early.renew(span=(DAY, 30 * DAY))
    soon.renew(span=(-DAY, 5 * DAY + 60))
    conf = folder + "/check.conf"
    with open(conf, "w") as f:
        f.write(net.postern_conf("".join(c.section() for c in (late, early, soon, rsa))))
    r = subprocess.run([postern.program, "-n", "-c", conf], capture_output=True, text=True)
    lab.equal(r.returncode, 0, "warnings are no errors")
    for name, words in (("late", "has expired on"), ("early", "is not valid before"), ("soon", "expires in 5 days")):
        lab.check(re.search(rf'^postern: {re.escape(conf)}:\d+: warning: certificate "{name}": \S+ {words}', r.stderr, re.M),
                  f"{words!r} in {r.stderr!r}")
    lab.check('"rsa"' not in r.stderr, f"nothing about what is good: {r.stderr!r}")


def test_a_bad_certificate_at_reload(folder):
    rsa, ec = Files(folder, "rsa", "rsa:2048"), Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    net, postern = house(folder, rsa, ec, extra="log { debug = no }\n")
    old = rsa.fingerprint(), ec.fingerprint()
    pem, key = ec.make()
    with open(ec.chain + ".bad", "w") as f:
        f.write("this is no certificate\n")
    ec.link(ec.chain + ".bad", ec.chain)
    with open(postern.conf_file) as f:
        text = f.read()
    postern.configure(text.replace("debug = no", "debug = yes"))
    said = postern.ctl("reload")
    lab.check("no certificate in PEM form" in said.stdout + said.stderr, f"reload says so: {said.stdout + said.stderr}")
    postern.wait_log("certificate-refused")
    postern.wait_log("config-adopted generation=2")     # the rest of the configuration is in use
    lab.equal((shake(only("RSA")), shake(only("ECDSA"))), old, "the certificates of before")
    # A section that never was good has nothing to stay with: then the whole is refused.
    third = Files(folder, "third", "rsa:2048")
    os.chmod(third.key, 0o644)
    postern.configure(text + third.section())
    said = postern.ctl("reload", check=False)
    lab.equal(said.returncode, 78, "the status of a reload that was refused")
    lab.check("everybody on this machine may read" in said.stderr and "chmod o=" in said.stderr,
              f"why, and the remedy: {said.stderr}")
    lab.equal((shake(only("RSA")), shake(only("ECDSA"))), old, "the certificates of before")


def test_complaints_at_the_start(folder):
    """Each with file and line, and with what to do."""
    ec = Files(folder, "ec", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    other = Files(folder, "other", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    small = Files(folder, "small", "rsa:1024")
    locked = os.path.join(folder, "locked.key")
    subprocess.run(["openssl", "pkey", "-in", ec.key, "-aes128", "-passout", "pass:x", "-out", locked], check=True)
    os.chmod(locked, 0o600)
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    postern = lab.Postern(net, net.postern_conf(""), start=False)
    for chain, key, words in ((ec.chain, other.key, "does not belong to the certificate"),
                              (ec.key, ec.key, "no certificate in PEM form"),
                              (ec.chain, ec.chain, "chmod o=" if os.stat(ec.chain).st_mode & 7 else "no private key"),
                              (ec.chain, locked, "has a passphrase"),
                              (small.chain, small.key, "must have 2048 to"),
                              (ec.chain, folder, "not a regular file"),
                              (ec.chain, "relative.key", "whole path"),
                              (ec.chain, "/nonexistent/key", "No such file")):
        postern.configure(net.postern_conf(f'certificate "c" {{ chain = "{chain}"\n key = "{key}" }}\n'))
        r = subprocess.run([postern.program, "-n", "-c", postern.conf_file], capture_output=True, text=True)
        lab.equal(r.returncode, 78, f"the status for {words!r}")
        lab.check(words in r.stderr, f"{words!r} in {r.stderr!r}")
        place = rf"^postern: {re.escape(postern.conf_file)}:\d+: certificate \"c\": "
        lab.check(re.search(place, r.stderr, re.M), f"file and line: {r.stderr!r}")


lab.main(globals())
