#!/usr/bin/python3
"""Users: who they are (AUTH), by a users file of our own, and what only they may do."""
import collections
import os
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402
from lab.postern import STAGE  # noqa: E402
from lab.sasl import b64, plain, scram  # noqa: E402

STRANGER = "10.77.0.20"
USERS = {"alice": "correct horse", "Alice": "another one", "bob@postern.test": "battery staple"}


def passwd(path, user, password=None, *words):
    """posternctl passwd; what it answers."""
    return subprocess.run([os.path.join(STAGE, "sbin", "posternctl"), "passwd", "--file", path, "--memory", "8", *words] +
                          ([user] if user else []), input=password and password + "\n", capture_output=True, text=True,
                          timeout=60)


def house(folder, auth="", router="", more="", users=USERS):
    """Postern with a submission listener on port 587 that needs no TLS, and these users."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    with open(os.path.join(folder, "senders"), "w") as f:
        f.write("alice alice@postern.test, team.test\n")
    path = net.path("users")
    for user, password in users.items():
        r = passwd(path, user, password)
        lab.equal(r.returncode, 0, f"posternctl passwd for {user}: {r.stderr}")
    conf = net.postern_conf(f"""
        listener "submission" {{ address = {{"{POSTERN}"}}
            port = 587
            kind = submission
            auth-without-tls = yes }}
        auth {{ users-file = "{path}"
            {auth or 'failure-delay = "100ms"'} }}
        router {{ {router} }}
        {more}
        """)
    return net, lab.Postern(net, conf)


def client(source=STRANGER):
    c = lab.Client(POSTERN, 587, source=source)
    c.ehlo()
    return c


def test_mechanisms(folder):
    net, postern = house(folder)
    with client() as c:
        lines = c.ehlo()
        # shows: RFC6409 7/1, RFC6409 4.3/1, RFC6409 4.3/2, RFC5802 6/2
        lab.check(any(line[4:] == "AUTH PLAIN LOGIN SCRAM-SHA-256" for line in lines), f"AUTH in EHLO: {lines}")
        code, lines = c.cmd("MAIL FROM:<alice@postern.test>")
        lab.equal(lines[-1][:9], "530 5.7.0", "MAIL before AUTH")                   # shows: RFC4954 6/1
        lab.equal(plain(c, "alice", "wrong")[1][-1][:9], "535 5.7.8", "a wrong password")
        lab.equal(plain(c, "alice", "correct horse")[0], "235", "the right one")
        lab.check(not any("AUTH" in line for line in c.ehlo()), "no AUTH in EHLO afterwards")
        lab.equal(plain(c, "alice", "correct horse")[0], "503", "AUTH again")       # shows: RFC4954 4/1
        lab.equal(c.mail("alice@postern.test", ["bob@postern.test"], lab.message(1, 100))[0], "250", "the answer")
    with client() as c:
        c.cmd("AUTH LOGIN", "334")
        c.cmd("*", "501")                                                           # shows: RFC4954 4/3
        c.cmd("AUTH LOGIN", "334")
        c.cmd("not=base64!", "501")                                                 # shows: RFC4954 4/4
        c.cmd("AUTH LOGIN", "334")
        c.cmd(b64("bob@postern.test"), "334")
        c.cmd(b64("battery staple"), "235")
    with client() as c:
        lab.equal(scram(c, "alice", "correct horse"), ("235", True), "SCRAM-SHA-256")
    with client() as c:
        lab.equal(scram(c, "alice", "incorrect")[0], "535", "SCRAM-SHA-256 with a wrong password")
        lab.equal(scram(c, "nobody", "incorrect")[0], "535", "SCRAM-SHA-256 of nobody")
    lab.wait_for(lambda: postern.mailbox("bob"), "the message")
    lab.check(b"with ESMTPA id" in postern.mailbox("bob")[0], "the trace field says ESMTPA (RFC 3848)")    # shows: RFC4954 7/1
    postern.wait_log("auth-ok client=10.77.0.20 user=alice mechanism=PLAIN")
    postern.wait_log("auth-failed client=10.77.0.20 user=alice mechanism=PLAIN")
    with lab.Client(POSTERN, 25, source=STRANGER) as c:
        lab.check(not any("AUTH" in line for line in c.ehlo()), "a relay listener offers no AUTH")
        lab.equal(c.cmd("AUTH PLAIN =")[0], "502", "and knows none")


def test_out_of_place(folder):
    net, postern = house(folder, more=f"""
        listener "both" {{ address = {{"{POSTERN}"}}
            port = 26
            auth = yes
            auth-without-tls = yes }}
        listener "none" {{ address = {{"{POSTERN}"}}
            port = 28
            auth = yes
            auth-without-tls = yes
            disable = {{"AUTH"}} }}
        """)
    with lab.Client(POSTERN, 26, source=STRANGER) as c:
        lab.equal(plain(c, "alice", "correct horse")[0], "503", "before EHLO")
        c.ehlo()
        c.cmd("MAIL FROM:<a@client.test>", "250")
        lab.equal(plain(c, "alice", "correct horse")[0], "503", "behind MAIL")      # shows: RFC4954 4/2
        c.cmd("RCPT TO:<alice@postern.test>", "250")
        lab.equal(plain(c, "alice", "correct horse")[0], "503", "behind RCPT")
        c.raw(b"BDAT 6\r\nX: y\r\n")
        c.expect("250")
        lab.equal(plain(c, "alice", "correct horse")[0], "503", "between chunks")
        c.raw(b"BDAT 9 LAST\r\n\r\nhello\r\n")
        c.reply()
        c.cmd("RSET", "250")
        c.cmd("MAIL FROM:<a@client.test> AUTH=<>", "250")                           # shows: RFC4954 5/1
        c.cmd("RSET", "250")
        c.cmd("MAIL FROM:<a@client.test> AUTH=no+address", "501")                   # shows: RFC4954 5/2
        lab.equal(plain(c, "alice", "correct horse")[0], "235", "where it belongs")
        c.cmd("MAIL FROM:<alice@postern.test> AUTH=alice@postern.test", "250")
    with lab.Client(POSTERN, 28, source=STRANGER) as c:
        c.ehlo()
        lab.equal(plain(c, "alice", "correct horse")[0], "502", "where it is disabled")
    lab.check("room-died" not in postern.log(), "nothing died")


def test_a_user_may_be_hidden(folder):
    net, postern = house(folder, more=f"""
        listener "hidden" {{ address = {{"{POSTERN}"}}
            port = 26
            auth = yes
            auth-without-tls = yes
            hide-client = yes }}
        """)
    with lab.Client(POSTERN, 26, source=STRANGER) as c:
        c.ehlo()
        lab.equal(plain(c, "alice", "correct horse")[0], "235", "the login")
        lab.equal(c.mail("alice@postern.test", ["bob@postern.test"], lab.message(1, 100))[0], "250", "the answer")
    lab.wait_for(lambda: postern.mailbox("bob"), "the message")
    head = postern.mailbox("bob")[0].partition(b"\r\n\r\n")[0]
    lab.check(b"(client not shown)" in head and STRANGER.encode() not in head, f"where the user is does not show: {head!r}")


def test_answer_comes_late(folder):
    """What wakes a session meanwhile does not make it deaf to the answer."""
    net, postern = house(folder, more='smtpd { delay-errors = 0\nerror-delay = "100ms" }',
                         auth='failure-delay = "1500ms"')
    with client() as c:
        lab.equal(plain(c, "alice", "wrong")[0], "535", "a wrong password")
        c.raw(b"AUTH PLAIN " + b64("\0alice\0correct horse").encode() + b"\r\n")
        time.sleep(0.6)
        c.raw(b"QUFB\r\n")
        c.expect("235")
        lab.equal(c.reply()[0], "500", "what was no response is a command")
    lab.check("AU_CONTINUE" not in postern.log(), "the auth room is not told what it did not ask for")


def test_passwd_of_the_running_server(folder):
    """Its users file is the default, its max-hash-memory the limit; explain knows the users."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    path = os.path.join(folder, "the-users")
    passwd(path, "alice", "one")
    postern = lab.Postern(net, net.postern_conf(f'auth {{ users-file = "{path}"\n max-hash-memory = 16M }}\n'))

    def ctl(*words, password="two"):
        return subprocess.run([os.path.join(STAGE, "sbin", "posternctl"), "--base", postern.base, *words], capture_output=True,
                              text=True, input=password + "\n")
    r = ctl("passwd", "bob")
    lab.equal(r.returncode, 0, f"a user in the file that is in use, with as much memory as may be: {r.stderr!r}")
    lab.check("bob" in open(path).read() and "m=16384" in open(path).read(), "the file")
    r = ctl("passwd", "--memory", "32", "carol")
    lab.equal(r.returncode, 64, "more memory than Postern gives")
    lab.check("--memory 32 is more than auth { max-hash-memory } of the running Postern (16 MiB)" in r.stderr and
              "--memory 16" in r.stderr, f"the remedy: {r.stderr!r}")
    lab.check("carol" not in open(path).read(), "nothing was written")
    other = os.path.join(folder, "other")
    r = ctl("passwd", "--file", other, "--memory", "32", "carol")
    lab.check(r.returncode == 0 and "warning: --memory 32" in r.stderr and f"reads {path}, not this file" in r.stderr,
              f"another: {r!r}")
    explain = ("explain", "--client", "192.0.2.1", "--from", "a@b.test", "--to", "x@y.test", "--user")
    lab.equal(ctl(*explain, "bob").returncode, 0, "explain for a user")
    r = ctl(*explain, "bobb")
    lab.equal(r.returncode, 65, "explain for nobody")
    lab.check("there is no user bobb" in r.stderr and "there are: alice, bob; did you mean bob?" in r.stderr,
              f"who there is: {r.stderr!r}")
    postern.stop()
    r = subprocess.run([os.path.join(STAGE, "sbin", "posternctl"), "--base", postern.base, "passwd", "--file", path, "--memory",
                        "128", "dora"], capture_output=True, text=True, input="x\n")
    lab.check(r.returncode == 0 and "than Postern takes by default (64 MiB)" in r.stderr, f"nobody to ask: {r!r}")


def test_passwd(folder):
    net = lab.Lab(folder)
    path = net.path("users")
    lab.equal(passwd(path, "alice", "one").returncode, 0, "adding")
    lab.equal(passwd(path, "bob", "two").returncode, 0, "adding another")
    lab.equal(oct(os.stat(path).st_mode & 0o777), "0o600", "the mode of a new file")
    os.chmod(path, 0o640)
    lab.equal(passwd(path, "alice", "three").returncode, 0, "changing")
    lab.equal(oct(os.stat(path).st_mode & 0o777), "0o640", "the mode stays")
    lab.equal(passwd(path, "alice", "three", "--check").returncode, 0, "the new password")
    lab.equal(passwd(path, "alice", "one", "--check").returncode, 1, "the old one")
    lab.equal(passwd(path, None, None, "--list").stdout, "alice password scram-sha-256\nbob password scram-sha-256\n", "the list")
    lab.equal(passwd(path, "bob", None, "--lock").returncode, 0, "locking")
    lab.equal(passwd(path, "bob", "two", "--check").returncode, 1, "a user who is locked out")
    lab.equal(passwd(path, "alice", None, "--remove").returncode, 0, "removing")
    lab.equal(passwd(path, "alice", None, "--remove").returncode, 1, "removing nobody")
    lab.equal(passwd(path, None, None, "--list").stdout, "bob locked\n", "what is left")
    lab.check(passwd(path, "a:b", "x").returncode != 0, "a name with a colon")
    lab.check(passwd(path, "carol", "").returncode != 0, "an empty password")
    lab.check(passwd(path, "carol", "\x01").returncode != 0, "a control character")
    with open(path) as f:
        good = f.read()
    lab.check("three" not in good, "no password in the file")
    lab.equal(passwd(path, "dave", "four").stderr, "", "nothing to warn of")
    for lines, why in (("broken line\n", "has no colon"), ("carol:*:\ncarol:*:\n", "names a user that an earlier line has"),
                       ("#secret x\n", "is not #secret")):
        with open(path, "w") as f:
            f.write(good + lines)
        r = passwd(path, "bob", None, "--lock")
        with open(path) as f:
            number = len(f.read().splitlines())
        lab.equal(r.returncode, 0, f"changing a file with {lines!r}: {r.stderr}")
        lab.check(f"warning: {path}:{number}: this line {why}" in r.stderr, f"what keeps Postern from taking it: {r.stderr!r}")
    r = passwd(path, "erin", "x", "--memory", "2048")
    lab.check(r.returncode == 64 and "--memory takes a number from 8 to 1024" in r.stderr, f"too much memory: {r!r}")
    lab.equal(os.listdir(os.path.dirname(path)).count(".users.new"), 0, "nothing stays behind")


def test_the_room_dies_and_comes_back(folder):
    net, postern = house(folder)
    with client() as c:
        c.cmd("AUTH LOGIN", "334")
        for pid in postern.pids("auth"):
            os.kill(pid, 9)
        lab.equal(c.cmd(b64("alice"))[1][-1][:9], "454 4.7.0", "the room died during a login")
        lab.wait_for(lambda: plain(c, "alice", "correct horse")[0] == "235", "logins to work again", 20)


def test_changed_users(folder):
    """The users file needs no reload; a broken one changes nothing, and says so."""
    net, postern = house(folder, auth='failure-delay = "0s"', more="limits { failed-logins = 0 }")
    path = net.path("users")

    def tries(user, password):
        with client() as c:
            return plain(c, user, password)[0]
    lab.equal(tries("carol", "new"), "535", "who is not there yet")
    lab.equal(passwd(path, "carol", "new").returncode, 0, "adding")
    lab.wait_for(lambda: tries("carol", "new") == "235", "carol to get in", 10)
    lab.equal(passwd(path, "alice", "changed").returncode, 0, "changing")
    lab.wait_for(lambda: tries("alice", "correct horse") == "535", "the old password to be wrong", 10)
    lab.equal(tries("alice", "changed"), "235", "the new one")
    lab.equal(passwd(path, "bob@postern.test", None, "--lock").returncode, 0, "locking")
    lab.wait_for(lambda: tries("bob@postern.test", "battery staple") == "535", "bob to be locked out", 10)
    with open(path) as f:
        good = f.read()
    with open(path, "a") as f:
        f.write("broken line\n")
    postern.wait_log("table-refused")
    lab.check("users:6" in postern.log(), "the line is named")
    lab.equal(tries("carol", "new"), "235", "the last good one stays")

    def trouble():
        return "".join(r.get("users", "") for r in postern.ctl_rows("status"))
    lab.wait_for(lambda: "a line in it is wrong; posternctl config check tells which" in trouble(), "the status to tell", 5)
    lab.check("NOT TAKEN: a file of auth" in postern.ctl("status").stdout, "and the table does")
    r = postern.ctl("reload", check=False)
    lab.check(r.returncode != 0 and "users:6" in r.stdout + r.stderr + postern.log(), f"nor does a reload take it: {r}")
    os.rename(path, path + ".away")
    time.sleep(1.5)
    lab.equal(tries("carol", "new"), "235", "nor is one needed that is gone")
    lab.check("is not there" in postern.log(), "and that is said")
    lab.check("is not there" in trouble(), "by the status, too")
    # One that everybody may read is refused by a reload, and so not taken before one either.
    with open(path + ".next", "w") as f:
        os.chmod(path + ".next", 0o644)
        f.write("".join(line for line in good.splitlines(True) if not line.startswith("carol")))
    os.rename(path + ".next", path)
    postern.wait_log("chmod o=")
    time.sleep(1)
    lab.equal(tries("carol", "new"), "235", "the last good one stays")
    with open(path + ".next", "w") as f:
        os.chmod(path + ".next", 0o600)
        f.write(good)
    os.rename(path + ".next", path)
    lab.equal(passwd(path, "dave", "four").returncode, 0, "adding to a good one")
    lab.wait_for(lambda: tries("dave", "four") == "235", "dave to get in", 10)
    lab.equal(trouble(), "", "nothing is wrong any more")
    # A room that is started again has what was in use last.
    for pid in postern.pids("auth"):
        os.kill(pid, 9)
    lab.wait_for(lambda: tries("dave", "four") == "235", "dave to get in again", 20)
    lab.equal(tries("bob@postern.test", "battery staple"), "535", "bob is locked out still")


# shows: RFC6409 6.1/1, RFC6409 6.2/1
def test_users_may_relay_and_their_senders_are_theirs(folder):
    net, postern = house(folder, router='senders = {"@senders"}', more="""
        table "senders" { file = "%s" }
        rule "no-sink-for-bob" { user = {"bob@postern.test"} to = {"elsewhere.test"} action = reject reply = "550 5.7.1 Not you" }
        """ % os.path.join(folder, "senders"))
    with client() as c:
        lab.equal(plain(c, "alice", "correct horse")[0], "235", "AUTH")
        for sender, code in (("alice@postern.test", "250"), ("alice@other.test", "550"), ("boss@team.test", "250"), ("", "250")):
            c.cmd(f"MAIL FROM:<{sender}>", "250")
            lab.equal(c.cmd("RCPT TO:<x@sink.test>")[0], code, f"alice as {sender!r} to elsewhere")
            c.cmd("RSET", "250")
    with client() as c:
        lab.equal(plain(c, "Alice", "another one")[0], "235", "AUTH")
        c.cmd("MAIL FROM:<boss@team.test>", "250")
        reply = c.cmd("RCPT TO:<x@sink.test>")[1][-1]
        lab.equal(reply[:9], "550 5.7.1", "Alice is not alice, who alone may write for the team")
    with client() as c:
        lab.equal(plain(c, "bob@postern.test", "battery staple")[0], "235", "AUTH")
        for sender, to, code in (("bob@postern.test", "x@sink.test", "250"), ("bob@postern.test", "x@elsewhere.test", "550"),
                                 ("alice@postern.test", "x@sink.test", "550")):
            c.cmd(f"MAIL FROM:<{sender}>", "250")
            lab.equal(c.cmd(f"RCPT TO:<{to}>")[0], code, f"bob as {sender!r} to {to}")
            c.cmd("RSET", "250")


def test_fail2ban_finds_who_guesses(folder):
    net, postern = house(folder)
    # What fails for another reason does not use up the lines that guesses have.
    for _ in range(3):
        with client() as c:
            for _ in range(15):
                lab.equal(c.cmd("AUTH NOSUCH")[0], "504", "no such mechanism")
    before = postern.log().count("auth-failed")
    with client() as c:
        for user in ("alice", "nobody", "x code=1 client=10.0.0.1", '" code=535', "' code=535", """a" client=10.0.0.1 'b"""):
            lab.equal(plain(c, user, "guess")[0], "535", "a guess")
        lab.equal(plain(c, "alice", "correct horse")[0], "235", "no guess")
    lab.wait_for(lambda: postern.log().count("auth-failed") == before + 6, "the events")
    config = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging/fail2ban/filter.d/postern.conf")
    r = subprocess.run(["fail2ban-regex", "-o", "ip", postern.log_file, config], capture_output=True, text=True, timeout=60)
    lab.equal(r.stdout.split(), ["10.77.0.20"] * 6, f"what fail2ban finds: {r.stdout} {r.stderr}")


def test_why_a_login_failed_is_for_the_log_alone(folder):
    net, postern = house(folder)
    lab.equal(passwd(net.path("users"), "bob@postern.test", None, "--lock").returncode, 0, "locking bob out")
    lab.wait_for(lambda: postern.log().count("table-loaded table=users") >= 2, "the room to know that he is locked out")
    said = []
    for user, why in (("alice", "wrong password"), ("nobody", "unknown user"), ("bob@postern.test", "the user is locked out")):
        with client() as c:
            said.append(plain(c, user, "battery staple"))
        event = rf'auth-failed client=\S+ user={re.escape(user)} mechanism=PLAIN .* why="{why}" code=535'
        lab.wait_for(lambda event=event: re.search(event, postern.log()), f"{why!r} in the log")
    lab.check(all(answer == said[0] for answer in said), f"clients are told the same: {said!r}")
    with client() as c:
        c.cmd("AUTH NOSUCH", "504")
    lab.wait_for(lambda: 'why="no such mechanism"' in postern.log(), "the mechanism in the log")


def test_a_users_file_broken_in_place(folder):
    """While the auth room dies: it comes back with what was good, and the log says what is wrong. A good one is used again."""
    net, postern = house(folder)
    path = net.path("users")
    good = open(path).read()
    with open(path, "r+") as f:
        f.truncate()
        f.write("alice:this is no hash\n")
    for _ in range(2):
        pids = postern.pids("auth")
        os.kill(pids[0], signal.SIGKILL)
        lab.wait_for(lambda pids=pids: postern.pids("auth") not in ([], pids), "the auth room to be started again")

        def logs_in():
            with client() as c:
                return plain(c, "alice", "correct horse")[0] == "235"
        lab.wait_for(logs_in, "alice to be known")
    lab.wait_for(lambda: f"{path}:1:" in postern.log() and "table-refused table=users" in postern.log(),
                 "the log to say what is wrong")
    lab.check(all(r["restarts"] <= 2 for r in postern.ctl_rows("status") if r.get("role") == "auth"), "and no room in a circle")
    with open(path, "r+") as f:
        f.truncate()
        f.write("".join(line for line in good.splitlines(True) if not line.startswith("alice:")))
    lab.wait_for(lambda: not logs_in(), "the file to be read again")


def test_guesses_do_not_fill_the_log(folder):
    net, postern = house(folder, auth='failure-delay = "0s"', more="""
        limits { failed-logins = 0
            failed-logins-logged = 3 }
        smtpd { max-errors = 1000
            delay-errors = 1000
            processes = 1 }
        """)
    with client() as c, client(source="10.77.0.1") as other:
        for i in range(30):
            lab.equal(plain(c, "alice", f"guess{i}")[0], "535", "a guess")
        lab.equal(plain(other, "alice", "guess")[0], "535", "one from elsewhere")
    postern.stop()
    lines = [line for line in postern.log().splitlines() if "auth-failed" in line]
    lab.equal(sum("auth-failed client=10.77.0.20 " in line for line in lines), 3, f"lines: {lines}")
    lab.equal(sum("auth-failed client=10.77.0.1 " in line for line in lines), 1, "the other network has its own")
    more = [line.split("auth-failed-more ")[1] for line in lines if "-more" in line]
    lab.equal(more, ["client=10.77.0.20 count=27"], "the rest")


def rss(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_thousands_of_wrong_logins(folder):
    """Twenty networks guess all the time: no room grows, and the owner of the account that they guess at gets in soon.
    POSTERN_GUESSES says how often they guess."""
    guesses, networks = int(os.environ.get("POSTERN_GUESSES", "3000")), [f"10.77.0.{n}" for n in range(30, 50)]
    net, postern = house(folder, auth='failure-delay = "5ms"\n failure-delay-max = "20ms"\n account-delay-max = "20ms"', more="""
        limits { failed-logins = 0
            errors = 0
            exempt = {"192.0.2.1"} }
        smtpd { max-errors = 100000
            delay-errors = 100000
            max-commands = 100000
            processes = 1 }
        """)
    for address in networks:
        net.host(address)
    codes, left = collections.Counter(), guesses
    lock = threading.Lock()

    def take(n):
        nonlocal left
        with lock:
            n = min(n, left)
            left -= n
            return n

    def guess(source, most):
        with client(source=source) as c:
            while most > 0 and (n := take(1)) == 1:
                most -= n
                code = plain(c, "alice" if left % 2 else f"nobody{left}", f"guess{left}")[0]
                with lock:
                    codes[code] += 1

    def owner():
        began = time.monotonic()
        with client(source="10.77.0.1") as c:
            lab.equal(plain(c, "alice", USERS["alice"])[0], "235", "the owner's login")
        return time.monotonic() - began
    owner()
    guess(STRANGER, 200)
    rooms = {room: postern.pids(room)[0] for room in ("auth", "smtpd")}
    before = {room: rss(pid) for room, pid in rooms.items()}
    threads = [threading.Thread(target=guess, args=(source, guesses), daemon=True) for source in networks]
    for thread in threads:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in threads):
        waits.append(owner())
        time.sleep(0.2)
    lab.equal(sum(codes.values()), guesses, f"answers: {codes}")
    lab.check(set(codes) <= {"535", "454"} and codes["535"] > 0, f"what guesses are told: {codes}")
    lab.check(max(waits) < 2, f"the owner waited {max(waits):.2f} s")
    for room, pid in rooms.items():
        lab.equal(postern.pids(room)[0], pid, f"{room} is the same process")
        grown = rss(pid) - before[room]
        lab.check(grown < 3 << 20, f"{room} grew by {grown >> 10} KiB")
        print(f"# {room} grew by {grown >> 10} KiB of {before[room] >> 10}")
    print(f"# {dict(codes)}; {len(waits)} logins of the owner, the slowest {max(waits):.2f} s")


def test_waiting_passwords_choke_nobody(folder):
    """A dozen networks have as many passwords under way as they can, and hang up on half of them: whoever comes from elsewhere,
    known there or not, logs in within seconds."""
    networks, lines = [f"10.77.0.{n}" for n in range(30, 42)], 8
    net, postern = house(folder, auth='failure-delay = "5ms"\n failure-delay-max = "20ms"\n account-delay-max = "20ms"', more="""
        limits { failed-logins = 0
            errors = 0
            connections = 0 }
        smtpd { max-errors = 100000
            delay-errors = 100000 }
        """)
    net.host("10.77.0.1").more_addresses(networks + [f"10.77.0.{n}" for n in range(100, 106)])
    codes, end = collections.Counter(), threading.Event()
    lock = threading.Lock()

    def guess(source, number):
        word = b64(f"\0{'alice' if number % 2 else 'nobody'}\0guess{number}")
        while not end.is_set():
            try:
                with client(source=source) as c:
                    while not end.is_set():
                        c.raw(f"AUTH PLAIN {word}\r\n".encode())
                        if number % 4 < 2:
                            break
                        code = c.reply()[0]
                        with lock:
                            codes[code] += 1
                        if code == "454":
                            time.sleep(0.01)        # the processor is for Postern
            except (OSError, lab.Failed):
                pass

    def login(source):
        began = time.monotonic()
        with client(source=source) as c:
            return plain(c, "bob@postern.test", USERS["bob@postern.test"])[0], time.monotonic() - began
    lab.equal(login("10.77.0.1")[0], "235", "a login, from where it is known from now on")
    threads = [threading.Thread(target=guess, args=(source, n), daemon=True) for source in networks for n in range(lines)]
    for thread in threads:
        thread.start()
    lab.wait_for(lambda: codes["454"] > 20, "networks to have their part of the line")
    known, strange = [], []
    for n in range(100, 106):
        known.append(login("10.77.0.1"))
        strange.append(login(f"10.77.0.{n}"))
    end.set()
    for thread in threads:
        thread.join(30)
    lab.equal([code for code, _ in known + strange], ["235"] * 12, "answers to those who know their password")
    slowest = [max(took for _, took in some) for some in (known, strange)]
    lab.check(slowest[0] < 5 and slowest[1] < 15, f"they waited {slowest[0]:.1f} and {slowest[1]:.1f} s")
    lab.check(set(codes) <= {"535", "454"} and codes["535"] > 0, f"what guesses are told: {codes}")
    print(f"# {dict(codes)}; the slowest login of the user {slowest[0]:.2f} s, where he is not known {slowest[1]:.2f} s")


lab.main(globals())
