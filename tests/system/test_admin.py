#!/usr/bin/python3
"""What the administrator types: status, queue, mailq, config, reload, stop."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import json  # noqa: E402
import subprocess  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402
from lab.postern import STAGE  # noqa: E402


def house(folder, extra=""):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net, net.postern_conf(extra))


def deferred(net, postern, n=3):
    """A sink that refuses for now leaves n messages in the queue."""
    sink = lab.Sink(SINK, script={"RCPT": b"450 4.2.0 later please\r\n"})
    for i in range(n):
        lab.equal(lab.send(POSTERN, "alice@postern.test", [f"r{i}@sink.test"], lab.message(i, 2000))[0], "250", "the answer")
    lab.wait_for(lambda: sum(r["state"] == "deferred" for r in postern.queue()) == n, "deferred messages")
    return sink


def test_status(folder):
    net, postern = house(folder)
    rows = postern.ctl_rows("status")
    lab.check({"smtpd", "queue", "router", "deliver"} <= {r.get("role") for r in rows}, "a row for each room")
    lab.check("smtpd" in postern.ctl("status").stdout, "a table too")


def test_queue_list_show_cat_remove(folder):
    net, postern = house(folder)
    deferred(net, postern)
    rows = postern.queue()
    qid = rows[0]["id"]
    lab.check("later please" in json.dumps(rows), "the reason, in the peer's words")
    shown = postern.ctl_rows("queue", "show", qid)[0]
    lab.equal(shown["sender"], "alice@postern.test", "the sender")
    lab.check("later please" in postern.ctl("queue", "show", qid).stdout, "the reason in the text")
    content = subprocess.run([f"{STAGE}/sbin/posternctl", "--base", postern.base, "queue", "cat", qid],
                             capture_output=True).stdout
    lab.equal(lab.client.digest(content), lab.client.digest(lab.message(int(rows[0]["rcpts"][0]["to"][1]), 2000)), "queue cat")
    postern.ctl("queue", "remove", qid)
    lab.wait_for(lambda: len(postern.queue()) == 2, "one message less")
    lab.check(postern.ctl("queue", "show", qid, check=False).returncode != 0, "show of a removed message fails")
    lab.equal(postern.ctl("queue", "show", "nonsense", check=False).returncode, 65, "the status for a malformed id")
    postern.ctl("queue", "remove", "--all")
    postern.wait_empty()
    lab.equal(net.mailbox("alice"), [], "no bounces for removed mail")


def test_removed_stays_removed(folder):
    net, postern = house(folder)
    deferred(net, postern, 2)
    postern.ctl("queue", "remove", postern.queue()[0]["id"])
    lab.wait_for(lambda: len(postern.queue()) == 1, "one left")
    postern.kill()
    postern.start()
    lab.equal(len(postern.queue()), 1, "messages after a crash")


def test_mail_for_a_host_that_is_down(folder):
    """The status counts as waiting what the list calls deferred, and a flush that fails changes neither."""
    net, postern = house(folder)
    for i in range(2):
        lab.equal(lab.send(POSTERN, "alice@postern.test", [f"r{i}@sink.test"], lab.message(i, 200))[0], "250", "the answer")

    def states():
        status = {k: v for r in postern.ctl_rows("status") for k, v in r.items() if "role" not in r}
        return [r["state"] for r in postern.queue()], status["ready"], status["waiting"]
    lab.wait_for(lambda: states() == (["deferred", "deferred"], 0, 2), "both to wait for their host", 20)
    before = [r["rcpts"][0]["next"] for r in postern.queue()]
    postern.ctl("queue", "flush")
    lab.wait_for(lambda: postern.log().count("destination-down") >= 2, "the operator's attempt to fail", 20)
    lab.wait_for(lambda: states() == (["deferred", "deferred"], 0, 2), "both to wait again", 20)
    lab.equal([r["rcpts"][0]["next"][:16] for r in postern.queue()], [t[:16] for t in before], "the next attempt is when it was")
    head, row = postern.ctl("queue", "list").stdout.splitlines()[:2]
    lab.equal(head.index("STATE"), row.index("deferred"), "the column of the state")


def test_queue_flush(folder):
    net, postern = house(folder)
    sink = deferred(net, postern)
    sink.script.clear()
    postern.ctl("queue", "flush")
    lab.wait_for(lambda: len(sink.messages) == 3, "all three delivered")
    postern.wait_empty()


def test_mailq_as_postfix_prints_it(folder):
    net, postern = house(folder)
    mailq = [f"{STAGE}/bin/mailq", "--base", postern.base]
    lab.equal(subprocess.run(mailq, capture_output=True, text=True).stdout, "Mail queue is empty\n", "an empty queue")
    deferred(net, postern)
    out = subprocess.run(mailq, capture_output=True, text=True).stdout
    lines = out.splitlines()
    lab.check(lines[0].startswith("-Queue ID-"), "the heading")
    lab.check(any(line.startswith("(") and "later please" in line for line in lines), "reasons in parentheses")
    lab.check(lines[-1].startswith("-- ") and lines[-1].endswith("in 3 Requests."), f"the sum, not {lines[-1]!r}")


def test_config_show_and_check(folder):
    net, postern = house(folder)
    rows = postern.ctl_rows("config", "show")
    by_name = {(r["section"], r["option"]): r for r in rows if not r.get("title")}
    lab.equal(by_name[("", "hostname")]["value"], "mx.postern.test", "the hostname")
    env = dict(os.environ, POSTERN_PROGRAM=postern.program)
    r = subprocess.run([f"{STAGE}/sbin/posternctl", "--base", postern.base, "config", "check", postern.conf_file], env=env,
                       capture_output=True, text=True)
    lab.equal(r.returncode, 0, "config check: " + r.stdout + r.stderr)


def test_config_check_reads_what_the_server_reads(folder):
    """Without a file: the one of the running server, with the options of its command line, from any folder."""
    net, postern = house(folder)
    good = open(postern.conf_file).read()
    r = postern.ctl("config", "check", check=False)
    lab.check(r.returncode == 0 and postern.conf_file in r.stdout, f"the running server's file: {r.stdout + r.stderr!r}")
    postern.configure(good + "smtpd {\n max-errors = 5\n")
    r = postern.ctl("config", "check", check=False)
    line = good.count("\n") + 1
    lab.equal(r.returncode, 78, "the status of a broken one")
    lab.check(f"{postern.conf_file}:{line}: the section that begins here is not closed" in r.stderr,
              f"what is said: {r.stderr!r}")
    r = postern.ctl("--json", "config", "check", check=False)
    lab.equal(json.loads(r.stdout.splitlines()[0])["line"], line, "the line as JSON")
    other = folder + "/other.conf"
    with open(other, "w") as f:
        f.write(good)
    lab.equal(postern.ctl("config", "check", other, check=False).returncode, 0, "another file, which is good")
    postern.configure(good)


def test_nobody_else_can_hold_the_lock(folder):
    """Whoever may read the file may lock it, and keep a master from starting."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    postern = lab.Postern(net, net.postern_conf())
    mode = os.stat(os.path.join(postern.base, "run", "lock")).st_mode & 0o777
    lab.equal(mode, 0o600, "mode of the lock")


def test_what_a_reload_cannot_take_is_told_before(folder):
    net, postern = house(folder)
    good = open(postern.conf_file).read()
    spool = f"{postern.base}/spool"

    def says(*words):
        r = postern.ctl("config", "check", check=False)
        for w in words:
            lab.check(w in r.stderr, f"{w!r} in {r.stderr!r}")
        again = postern.ctl("reload", check=False)
        lab.equal(again.returncode, 78, "the status of the reload")
        return r, again

    postern.configure(good + f'state-dir = "{folder}/elsewhere"\nrun-dir = "{folder}/run"\nsandbox = best-effort\n')
    r, again = says(f"warning: state-dir = {folder}/elsewhere: the running Postern has state-dir = {spool}; stop",
                    f"warning: run-dir = {folder}/run: ", "warning: sandbox = best-effort: ", "move the spool")
    lab.equal(r.returncode, 0, "it would do for a start")
    for word in ("state-dir", "run-dir", "sandbox"):
        lab.check(f"{word} = " in again.stderr, f"{word} in what a reload says: {again.stderr!r}")
    postern.configure(good.replace("uid-base = 64100", "uid-base = 64300"))
    r, _ = says("warning: uid-base = 64300: the running Postern has uid-base = 64100", "give the spool to")
    queue = os.stat(f"{spool}/spool.id").st_uid
    lab.check(f"this spool belongs to uid {queue}, and the queue is to run as uid {queue + 200}" in r.stderr and
              f"chown -R {queue + 200}:{queue + 200} {spool}" in r.stderr, f"whose the spool is: {r.stderr!r}")
    lab.equal(r.returncode, 78, "it would not do for a start either")
    # Which is the same as that of before, written out.
    postern.configure(good + f'state-dir = "{spool}"\n')
    r = postern.ctl("config", "check", check=False)
    lab.check(r.returncode == 0 and "state-dir" not in r.stderr, f"the default: {r.stderr!r}")
    postern.ctl("reload")
    postern.stop()
    postern.configure(good.replace("uid-base = 64100", "uid-base = 64300"))
    postern.start(wait=False)
    lab.wait_for(lambda: postern.process.child.poll() is not None, "the start to be refused")
    lab.check("this spool belongs to uid" in postern.log(), f"why: {postern.log()!r}")
    os.system(f"chown -R {queue + 200}:{queue + 200} {spool}")
    postern.start()
    r = postern.host.run([postern.program, "-n", "--base", postern.base, "-c", postern.conf_file], capture_output=True, text=True)
    lab.check(r.returncode == 0 and "the running Postern" not in r.stderr and "belongs" not in r.stderr, f"it is free: {r!r}")


def test_words_that_are_wrong(folder):
    """What could be meant is said, and statuses are those of sysexits."""
    net, postern = house(folder)
    explain = ("explain", "--client", "192.0.2.1", "--from", "a@b.test", "--to", "alice@postern.test")
    for words, status, said in ((("quue", "list"), 64, "there is no command 'quue list'; did you mean queue list?"),
                                (("statsu",), 64, "did you mean status?"),
                                (("config", "chekc"), 64, "did you mean config check?"),
                                (("passwrd", "alice"), 64, "did you mean passwd?"),
                                (("queue", "show"), 64, "queue show needs to know which one"),
                                (("queue",), 64, "queue needs one of: list, show, cat, flush, remove"),
                                (("config",), 64, "config needs one of: check, show"),
                                (("tls",), 64, "tls needs one of: show"),
                                (("--json", "passwd", "c"), 64, "passwd has no --json"),
                                (("passwd", "--json", "c"), 64, "--json is no option of passwd"),
                                (("passwd", "--memory", "2048", "c"), 64, "--memory takes a number from 8 to 1024"),
                                (("passwd", "c", "d"), 64, "d is one word too many"),
                                (("reload", "now"), 64, "reload takes no argument"),
                                (("queue", "show", "a", "b"), 64, "queue show takes one argument"),
                                (("status", "--from", "x@y.test"), 64, "--from goes with explain;"),
                                (("queue", "flush", "--all"), 64, "--all goes with queue remove;"),
                                (("queue", "remove", "0123", "--all"), 64, "queue remove takes one argument"),
                                (("users", "--limit", "5"), 64, "--limit goes with clients;"),
                                (("config", "check", "--tls", "yes"), 64, "--tls goes with explain;"),
                                (("clients", "--limit", "0"), 64, "--limit takes a number from 1 to"),
                                (("status", "--client-name-failed"), 64, "--client-name-failed goes with explain;"),
                                ((*explain, "--client-name", "a.test", "--client-name-failed"), 64, "exclude each other"),
                                ((*explain, "--tls", "true"), 65, "tls is yes or no"),
                                ((*explain, "--listener", "smpt"), 65, 'there is no listener "smpt"; there are: ')):
        r = postern.ctl(*words, check=False)
        lab.equal(r.returncode, status, f"the status of {words!r}: {r.stderr!r}")
        lab.check(said in r.stderr, f"{said!r} in {r.stderr!r}")
    r = postern.ctl("passwd", "--help")
    lab.check("usage: posternctl passwd" in r.stdout and not r.stderr, f"help that was asked for: {r!r}")
    lab.equal(postern.ctl(*explain, "--user", "whoever").returncode, 0, "users cannot be known without a users file")


def test_help_is_help_wherever_it_stands(folder):
    for words, said in ((["passwd", "--file", f"{folder}/users", "--help"], "posternctl passwd"), (["queue", "-h"], "queue "),
                        (["passwd", "alice", "-h"], "posternctl passwd"), (["--json", "status", "--help"], "usage: posternctl")):
        r = subprocess.run([f"{STAGE}/sbin/posternctl", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        lab.check(r.returncode == 0 and said in r.stdout and r.stderr == "", f"{words}: {r!r}")
    lab.check(not os.path.exists(f"{folder}/users"), "nothing is done")
    r = subprocess.run([f"{STAGE}/bin/mailq", "--help"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lab.check(r.returncode == 0 and r.stdout.startswith("usage: mailq ") and r.stderr == "", f"mailq: {r!r}")


def test_warnings(folder):
    """What is allowed and can hardly be meant: postern -n and a reload say it, the log too, and it is no error."""
    net, postern = house(folder)
    text = net.postern_conf(f'listener "in" {{ address = {{"{POSTERN}"}}\n port = 587\n kind = submission }}\n')
    words = 'listener "in": nobody can log in here, and so nobody can send: there is nothing to log in by'
    postern.configure(text)
    done = postern.ctl("config", "check", postern.conf_file, check=False)
    lab.equal(done.returncode, 0, "warnings are no errors")
    lab.check(f"{postern.conf_file}:" in done.stderr and "warning: " + words in done.stderr, f"what is said: {done.stderr!r}")
    done = postern.ctl("reload")
    lab.check(words in done.stdout + done.stderr, f"what a reload says: {done.stdout + done.stderr!r}")
    postern.wait_log("config-warning")
    postern.restart()
    postern.wait_ready()
    lab.check(postern.log().count("config-warning") >= 2, "the log of a reload and of a start")
    with open(f"{folder}/nets", "w") as f:
        f.write("192.0.2.0/24\n10.77.0.1/16\n")
    postern.configure(text + f'table "nets" {{ file = "{folder}/nets" }}\nlimits {{ exempt = {{"@nets"}} }}\n')
    r = postern.host.run([postern.program, "-n", "--base", postern.base, "-c", postern.conf_file, "-o", "smtpd.max-errors=5",
                          "-o", "smtpd.max-errors=6"], capture_output=True, text=True)
    lab.equal(r.returncode, 0, "still no error")
    for said in (f"{folder}/nets:2: warning: 10.77.0.1/16 means all of 10.77.0.0/16; write that",
                 "warning: smtpd: max-errors: stands twice behind -o, and only the last counts"):
        lab.check(said in r.stderr, f"{said!r} in {r.stderr!r}")


def test_broken_reload_is_refused(folder):
    net, postern = house(folder)
    good = open(postern.conf_file).read()
    postern.configure(good + 'smtpd { max-recipient = 5 }\n')
    r = postern.ctl("reload", check=False)
    lab.equal(r.returncode, 78, "the status of a refused reload, which is that of postern -n")
    said = r.stderr + r.stdout
    lab.equal([line for line in said.splitlines() if not line.startswith("posternctl: ")], [], "lines of nobody")
    lab.check("postern.conf:" in said and "max-recipients" in said, f"file, line and did-you-mean: {said!r}")
    postern.wait_log("config-refused")
    refused = [line for line in postern.log().splitlines() if "config-refused" in line]
    lab.check(refused and "\\n" not in refused[-1] and "\\x0a" not in refused[-1], f"no line end in the log: {refused!r}")
    with open(f"{folder}/users", "w") as f:
        f.write("carol:*:\ndave:*:\ncarol:*:\n")
    os.chmod(f"{folder}/users", 0o600)
    postern.configure(good + f'auth {{ users-file = "{folder}/users" }}\n')
    r = postern.ctl("config", "check", check=False)
    lab.check(r.returncode == 78 and f"{folder}/users:3: this line names a user that an earlier line has" in r.stderr,
              f"a user twice: {r.stderr!r}")
    for wrong in (f'auth {{ users-file = "{folder}/users" }}\n',
                  'router { local-users = {"@nosuch"} }\n', 'table "t" { file = "/nonexistent" }\n', 'uid-base = 5\n',
                  'smtpd { max-hops = 1 }\n', 'auth { users-file = "/nonexistent" }\n', 'smtpd {\n',
                  f'listener "more" {{ address = {{"{POSTERN}"}} }}\n',
                  'certificate "c" { chain = "/nonexistent"\n key = "/nonexistent" }\n'):
        postern.configure(good + wrong)
        lab.equal(postern.ctl("reload", check=False).returncode, 78, f"the status for {wrong!r}")
    os.rename(postern.conf_file, postern.conf_file + ".away")
    lab.equal(postern.ctl("reload", check=False).returncode, 78, "the status without a file")
    os.rename(postern.conf_file + ".away", postern.conf_file)
    lab.equal(lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(1, 100))[0], "250",
              "mail with the old configuration")
    postern.configure(good.replace('"alice", "bob"', '"alice"'))
    postern.ctl("reload")
    with lab.Client(POSTERN) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<a@b.test>", "250")
        c.cmd("RCPT TO:<bob@postern.test>", "550")


def test_more_mistakes_than_there_are_words_for(folder):
    """Tables that an export has turned into something else: the reload is refused, and nobody dies of it."""
    net, postern = house(folder)
    good = open(postern.conf_file).read()
    before = [(r["role"], r["pid"]) for r in postern.ctl_rows("status") if "role" in r]
    for i in range(60):
        with open(f"{folder}/table{i}", "wb") as f:
            f.write(b"".join(b"\xff\xfe\x01" * 30 + b" <html>, no table\n" for _ in range(25)))
    tables = "".join(f'table "t{i}" {{ file = "{folder}/table{i}" }}\n' for i in range(60))
    lists = ", ".join(f'"@t{i}"' for i in range(60))
    for where in ("router { relay-clients = {%s} }\n", 'rule "r" { from = {%s}\n action = "reject" }\n'):
        postern.configure(good + tables + where % lists)
        r = postern.ctl("reload", check=False)
        lab.equal(r.returncode, 78, f"the status for {where!r}")
        lab.check(f"{folder}/table0:1: " in r.stdout + r.stderr, f"what is told: {(r.stdout + r.stderr)[:500]!r}")
    lab.equal([(r["role"], r["pid"]) for r in postern.ctl_rows("status") if "role" in r], before, "the processes")
    lab.equal(lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(1, 100))[0], "250", "mail")


def test_stop(folder):
    net, postern = house(folder)
    postern.ctl("stop")
    lab.wait_for(lambda: postern.process.child.poll() is not None, "the daemon to end")
    lab.equal(postern.process.child.returncode, 0, "its exit status")


def test_a_long_listing_streams(folder):
    net, postern = house(folder)
    lab.Sink(SINK, script={"CONNECT": b"421 4.3.2 closed for now\r\n"})
    with lab.Client(POSTERN, timeout=60) as c:
        c.ehlo()
        for n in range(1500):
            c.mail("alice@postern.test", ["x@sink.test"], b"Subject: x\r\n\r\nx\r\n")
    lab.wait_for(lambda: len(postern.queue()) == 1500, "1500 rows", 60)
    ids = [r["id"] for r in postern.queue()]
    lab.equal(len(set(ids)), 1500, "different ids")


lab.main(globals())
