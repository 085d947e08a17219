#!/usr/bin/python3
"""Real clients: swaks, Python's smtplib, curl, msmtp and openssl s_client, each in the clear, by STARTTLS and by implicit TLS, as
a stranger's server does and as a user who logs in. What they send arrives byte for byte, and what is refused they hear."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import smtplib  # noqa: E402
import ssl  # noqa: E402
import subprocess  # noqa: E402
from lab.client import digest, stuff  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402
from lab.postern import STAGE  # noqa: E402

SENDER = "alice@postern.test"
USER, PASSWORD = "alice", "correct horse"
MANY = 120
DATE = b"Date: Thu, 26 Nov 2026 03:00:00 +0000\r\n"      # else a submission listener would add one


class Mode:
    def __init__(self, name, port, tls=None, login=False):
        self.name, self.port, self.tls, self.login = name, port, tls, login


MODES = (Mode("in the clear", 25), Mode("STARTTLS", 25, "starttls"), Mode("implicit TLS", 2465, "implicit"),
         Mode("submission", 587, "starttls", True), Mode("submissions", 465, "implicit", True))


class House:
    def __init__(self, folder):
        self.net = lab.Lab(folder)
        self.net.standard_zones()
        self.net.start_dns()
        self.key, self.chain = self.net.path("key.pem"), self.net.path("chain.pem")
        tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-keyout", self.key, "-out", self.chain, "-subj", "/CN=mx.postern.test",
             "-addext", f"subjectAltName=DNS:mx.postern.test,IP:{POSTERN}")
        os.chmod(self.key, 0o600)
        users = self.net.path("users")
        tool(os.path.join(STAGE, "sbin", "posternctl"), "passwd", "--file", users, "--memory", "8", USER, data=PASSWORD.encode())
        self.postern = lab.Postern(self.net, self.net.postern_conf(f"""
            listener "smtps" {{ address = {{"{POSTERN}"}}
                port = 2465
                tls = implicit }}
            listener "submission" {{ address = {{"{POSTERN}"}}
                port = 587
                kind = submission }}
            listener "submissions" {{ address = {{"{POSTERN}"}}
                port = 465
                kind = submission
                tls = implicit }}
            auth {{ users-file = "{users}" }}
            certificate "mx" {{ chain = "{self.chain}"
                key = "{self.key}" }}
            """))
        self.sink = lab.Sink(SINK)

    def file(self, name, data):
        path = self.net.path(name)
        with open(path, "wb") as f:
            f.write(data)
        return path


def tool(*argv, data=None):
    return subprocess.run(argv, input=data, capture_output=True, timeout=120, check=True)


def run(argv, data=None):
    """(it says that all went well, what it says)"""
    r = subprocess.run(argv, input=data, capture_output=True, timeout=60)
    return r.returncode == 0, (r.stdout + r.stderr).decode(errors="replace")


# --- the clients: (house, mode, rcpts, content with CRLF) -> (it says that all went well, what it says) ---

def by_smtplib(house, mode, rcpts, data):
    context = ssl.create_default_context(cafile=house.chain)
    try:
        if mode.tls == "implicit":
            s = smtplib.SMTP_SSL(POSTERN, mode.port, "client.test", context=context)
        else:
            s = smtplib.SMTP(POSTERN, mode.port, "client.test")
        with s:
            if mode.tls == "starttls":
                s.starttls(context=context)
            if mode.login:
                s.login(USER, PASSWORD)
            eight = any(b > 127 for b in data)
            refused = s.sendmail(SENDER, rcpts, data, ["BODY=8BITMIME"] if eight else [])
    except smtplib.SMTPException as e:
        return False, str(e)
    return not refused, str(refused)


def by_swaks(house, mode, rcpts, data):
    tls = {None: [], "starttls": ["--tls"], "implicit": ["--tlsc"]}[mode.tls]
    verify = ["--tls-verify", "--tls-ca-path", house.chain] if mode.tls else []
    login = ["--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD] if mode.login else []
    return run(["swaks", "--server", POSTERN, "--port", str(mode.port), "--helo", "client.test", "--from", SENDER, "--to",
                ",".join(rcpts), "--no-data-fixup", "--data", "@" + house.file("swaks.eml", stuff(data))]
               + tls + verify + login)


def by_curl(house, mode, rcpts, data):
    scheme, tls = {None: ("smtp", []), "starttls": ("smtp", ["--ssl-reqd"]), "implicit": ("smtps", [])}[mode.tls]
    login = ["--user", f"{USER}:{PASSWORD}"] if mode.login else []
    to = [word for r in rcpts for word in ("--mail-rcpt", r)]
    return run(["curl", "-sS", "--cacert", house.chain, "--url", f"{scheme}://{POSTERN}:{mode.port}/client.test", "--mail-from",
                SENDER, *to, *tls, *login, "--upload-file", house.file("curl.eml", data)])


def by_msmtp(house, mode, rcpts, data):
    login = ["--auth=on", f"--user={USER}", f"--passwordeval=echo '{PASSWORD}'"] if mode.login else ["--auth=off"]
    return run(["msmtp", f"--host={POSTERN}", f"--port={mode.port}", "--domain=client.test", f"--from={SENDER}", *login,
                f"--tls={'on' if mode.tls else 'off'}", f"--tls-starttls={'on' if mode.tls == 'starttls' else 'off'}",
                f"--tls-trust-file={house.chain}", "--set-from-header=off", "--set-date-header=off", "--", *rcpts],
                data.replace(b"\r\n", b"\n"))


def by_s_client(house, mode, rcpts, data):
    """No mail client: it carries what a person would type, who does not wait for replies, so that it cannot log in."""
    if not mode.tls or mode.login:
        return None
    to = "".join(f"RCPT TO:<{r}>\r\n" for r in rcpts)
    said = f"EHLO client.test\r\nMAIL FROM:<{SENDER}> BODY=8BITMIME\r\n{to}DATA\r\n".encode() + stuff(data) + b"QUIT\r\n"
    ok, heard = run(["openssl", "s_client", "-quiet", "-ign_eof", "-verify_return_error", "-CAfile", house.chain, "-connect",
                     f"{POSTERN}:{mode.port}", *(["-starttls", "smtp"] if mode.tls == "starttls" else [])], said)
    return ok and "queued as" in heard and "\r\n5" not in heard, heard


# --- what each of them does ---

def sends(house, client, mode, name, rcpts, data):
    said = client(house, mode, rcpts, data)
    if said is not None:
        lab.check(said[0], f"{mode.name}, {name}: {said[1][-600:]!r}")
    return said is not None


def arrives(house, what, data, rcpts):
    def copies():
        return [m for m in house.sink.messages if digest(m[2]) == digest(data)]
    lab.wait_for(lambda: sorted(sum((m[1] for m in copies()), [])) == sorted(rcpts), f"{what} at the sink", 60)
    house.sink.messages.clear()
    return copies


def trace_of(content):
    return content.partition(b"\r\nFrom: sender@")[0].decode()


def check_trace(house, mode, content):
    trace = trace_of(content)
    protocol = "ESMTP" + ("S" if mode.tls else "") + ("A" if mode.login else "")
    lab.check(f" with {protocol} id " in trace and ("using TLSv1." in trace) == bool(mode.tls),
              f"{mode.name}: the trace field: {trace}")


def refused(house, client, mode):
    """One recipient of two does not exist: who goes on delivers to the other, and says that one was refused."""
    data = lab.message(700 + MODES.index(mode), 300, extra=DATE)
    said = client(house, mode, ["bob@postern.test", "nobody@postern.test"], data)
    if said is None:
        return
    lab.check("No such user here" in said[1] or "550" in said[1] or not said[0],
              f"{mode.name}: the refusal is heard: {said[1][-300:]!r}")
    alone = client(house, mode, ["nobody@postern.test"], data)
    lab.check(not alone[0], f"{mode.name}: a message for nobody is a failure: {alone[1][-300:]!r}")
    house.postern.wait_empty()
    lab.check(len([m for m in house.net.mailbox("bob") if digest(m) == digest(data)]) <= 1, "no second copy")
    lab.check(not any(b"nobody@postern.test" in m for m in house.net.mailbox("alice")), "and nothing bounced")


def all_of(folder, client):
    house = House(folder)
    cases = {
        "a plain message": lab.message(1, 500, extra=DATE),
        "dots": lab.message(2, 100, extra=DATE) + b".\r\n..\r\n.leading\r\n\r\n.\r\n...\r\n",
        "eight bits": lab.message(3, 100, extra=DATE + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                  b"Content-Transfer-Encoding: 8bit\r\n") + "Grüße, 你好\r\n".encode(),
        "a line of 998": lab.message(4, 100, extra=DATE) + b"x" * 998 + b"\r\n",
        "a megabyte": lab.message(5, 1_000_000, extra=DATE),
    }
    for mode in MODES:
        for name, data in cases.items():
            if sends(house, client, mode, name, ["x@sink.test"], data):
                lab.wait_for(lambda: house.sink.messages, f"{mode.name}, {name}: the message", 60)
                check_trace(house, mode, house.sink.messages[0][2])
                arrives(house, f"{mode.name}, {name}", data, ["x@sink.test"])
        many = [f"user{n}@sink.test" for n in range(MANY)]
        data = lab.message(6, 300, extra=DATE)
        if sends(house, client, mode, f"{MANY} recipients", many, data):
            arrives(house, f"{mode.name}, {MANY} copies", data, many)
        refused(house, client, mode)


# shows: RFC5321 4.5.3.1.8/1, RFC5321 4.5.2/2, RFC5321 4.5.2/3, RFC3848 1/2, RFC3848 1/3
def test_smtplib(folder):
    all_of(folder, by_smtplib)


def test_swaks(folder):
    all_of(folder, by_swaks)


def test_curl(folder):
    all_of(folder, by_curl)


def test_msmtp(folder):
    all_of(folder, by_msmtp)


def test_s_client(folder):
    all_of(folder, by_s_client)


lab.main(globals())
