#!/usr/bin/python3
"""What users submit (RFC 6409): headers that are completed or refused, and whose addresses may stand in them."""
import email
import email.utils
import os
import smtplib
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402
from lab.postern import STAGE  # noqa: E402

USERS = {"alice": "correct horse", "bob": "battery staple"}


def house(folder, auth="", router="", more=""):
    """Postern with a submission listener on port 587 that needs no TLS, and these users."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    path = net.path("users")
    for user, password in USERS.items():
        subprocess.run([os.path.join(STAGE, "sbin", "posternctl"), "passwd", "--file", path, "--memory", "8", user],
                       input=password + "\n", text=True, capture_output=True, check=True, timeout=60)
    return net, lab.Postern(net, net.postern_conf(f"""
        listener "submission" {{ address = {{"{POSTERN}"}}
            port = 587
            kind = submission
            auth-without-tls = yes }}
        auth {{ users-file = "{path}"
            {auth} }}
        router {{ {router} }}
        {more}
        """))


def session(user="alice"):
    s = smtplib.SMTP(POSTERN, 587, "client.test")
    s.login(user, USERS[user])
    return s


def submit(content, user="alice", sender="alice@postern.test", rcpts=("bob@postern.test",)):
    """(code, text) of the reply to the message"""
    with session(user) as s:
        try:
            s.sendmail(sender, list(rcpts), content)
        except smtplib.SMTPDataError as e:
            return e.smtp_code, e.smtp_error.decode()
        except smtplib.SMTPRecipientsRefused as e:
            return next(iter(e.recipients.values()))
    return 250, ""


def test_clients_that_leave_things_out(folder):
    net, postern = house(folder)
    plain = b"From: alice@postern.test\r\nSubject: %s\r\n\r\ntext\r\n"
    lab.equal(submit(plain % b"smtplib")[0], 250, "smtplib")
    login = ["--auth", "PLAIN", "--auth-user", "alice", "--auth-password", USERS["alice"]]
    subprocess.run(["swaks", "--server", POSTERN, "--port", "587", "--from", "alice@postern.test", "--to", "bob@postern.test",
                    "--header", "Subject: swaks", *login], capture_output=True, check=True, timeout=60)
    path = net.path("mail.eml")
    with open(path, "wb") as f:
        f.write(plain % b"curl")
    subprocess.run(["curl", "-sS", "--url", f"smtp://{POSTERN}:587/client.test", "--mail-from", "alice@postern.test",
                    "--mail-rcpt", "bob@postern.test", "--user", f"alice:{USERS['alice']}", "--upload-file", path],
                   check=True, timeout=60)
    subprocess.run(["msmtp", f"--host={POSTERN}", "--port=587", "--from=alice@postern.test", "--auth=plain", "--user=alice",
                    f"--passwordeval=echo '{USERS['alice']}'", "--tls=off", "--set-date-header=off", "--", "bob@postern.test"],
                   input=(plain % b"msmtp").replace(b"\r\n", b"\n"), check=True, timeout=60)
    lab.wait_for(lambda: len(postern.mailbox("bob")) >= 4, "the messages")
    subjects = []
    for mail in postern.mailbox("bob"):
        m = email.message_from_bytes(mail)
        subjects.append(m["Subject"])
        for field in ("From", "Date", "Message-ID"):
            lab.equal(len(m.get_all(field, [])), 1, f"{field} of {m['Subject']}")
        lab.check(email.utils.parsedate_to_datetime(m["Date"]), "the date can be read")
    lab.check({"smtplib", "swaks", "curl", "msmtp"} <= set(subjects), f"who has sent: {subjects}")


def test_errors_are_told_and_logged(folder):
    net, postern = house(folder)
    code, text = submit(b"Subject: no from\r\n\r\ntext\r\n")
    lab.check(code == 554 and "No From" in text.title(), f"no From: {code} {text}")
    code, text = submit(b"From: alice\r\n\r\ntext\r\n")
    lab.check(code == 554 and "From" in text, f"no address: {code} {text}")
    postern.wait_log("Malformed address in From")                                   # shows: RFC6409 5.2/1


def test_header_from_has_to_be_the_users(folder):
    with open(os.path.join(folder, "senders"), "w") as f:
        f.write("nobody x@y.test\n")
    net, postern = house(folder, router='senders = {"@senders"}', more=f"""
        table "senders" {{ file = "{folder}/senders" }}
        """)
    lab.equal(submit(b"From: alice@postern.test\r\n\r\nhello\r\n")[0], 250, "her own address")
    code, text = submit(b"From: bob@postern.test\r\n\r\nhello\r\n")
    lab.check(code == 550 and text.startswith("5.7.1"), f"another's: {code} {text}")
    code, text = submit(b"From: alice@postern.test\r\nSender: bob@postern.test\r\n\r\nhello\r\n")
    lab.check(code == 550 and "Sender" in text, f"another's as Sender: {code} {text}")
    with open(postern.conf_file) as f:
        text = f.read()
    with open(postern.conf_file, "w") as f:
        f.write(text.replace("senders = {", "header-from = sender\n        senders = {"))
    postern.ctl("reload")
    lab.equal(submit(b"From: bob@postern.test\r\nSubject: for him\r\n\r\nhello\r\n")[0], 250, "another's, with a Sender")
    lab.wait_for(lambda: any(b"for him" in m for m in postern.mailbox("bob")), "the message")
    lab.check(any(b"\nSender: alice@postern.test\n" in m.replace(b"\r", b"") for m in postern.mailbox("bob")), "says who sent it")


def rows(postern):
    return {r["user"]: r for r in postern.ctl_rows("users", check=False) if "user" in r}


def test_users_have_limits_that_survive(folder):
    net, postern = house(folder, auth="user-recipients-hour = 5\n            user-messages-day = 3\n"
                                      "            unlimited-users = {\"bob\"}", more="smtpd { processes = 2 }")
    mail = b"From: alice@postern.test\r\n\r\nhello\r\n"
    lab.equal(submit(mail, rcpts=["bob@postern.test", "bob+1@postern.test"])[0], 250, "two recipients")
    with session() as s:
        s.mail("alice@postern.test")
        replies = [s.rcpt(f"{name}@postern.test") for name in ("bob", "bob+1", "nobody", "alice")]
        s.rset()
    lab.equal([r[0] for r in replies], [250, 250, 550, 450], f"of five an hour: {replies}")
    lab.check(b"5 recipients an hour; next in 60 minutes" in replies[3][1] or b"next in 5" in replies[3][1], f"{replies[3]}")
    postern.wait_log("may send 5 recipients an hour")
    lab.check("user=alice" in [line for line in postern.log().splitlines() if "may send 5" in line][0], "the log says who")
    lab.wait_for(lambda: rows(postern).get("alice", {}).get("recipients_hour") == 2, "what was not sent to be given back")
    lab.equal(submit(mail)[0], 250, "a third recipient")
    lab.equal(submit(mail)[0], 250, "a third message")
    code, text = submit(mail)
    lab.check(code == 450 and b"3 messages a day" in text, f"a fourth message: {code} {text}")
    alice = rows(postern)["alice"]
    lab.equal((alice["messages_hour"], alice["recipients_hour"], alice["messages_day"], alice["messages_day_max"],
               alice["recipients_hour_max"]), (3, 4, 3, 3, 5), f"what posternctl knows: {alice}")
    lab.check("last_login" in alice and "last_wrong_login" not in alice, f"{alice}")
    for n in range(5):
        lab.equal(submit(mail.replace(b"alice", b"bob"), user="bob", sender="bob@postern.test")[0], 250, "bob has none")
    time.sleep(6)
    for pid in postern.pids("auth"):
        os.kill(pid, 9)
    lab.wait_for(lambda: "alice" in rows(postern), "the auth room to come back", 20)
    lab.equal(rows(postern)["alice"]["messages_day"], 3, "after a kill")
    postern.restart()
    lab.equal(rows(postern)["alice"]["messages_day"], 3, "after a restart")
    lab.equal(rows(postern)["bob"]["messages_hour"], 5, "and bob's")
    lab.equal(submit(mail)[0], 450, "alice has to wait still")
    try:
        session().login("alice", "wrong")
    except smtplib.SMTPException:
        pass
    out = postern.ctl("users").stdout
    lab.check("USER" in out and "alice" in out, f"the table: {out}")


def test_the_user_is_kept_with_the_message(folder):
    net, postern = house(folder, more='rule "later" { to = {"sink.test"} action = accept relay-host = "[10.77.0.99]" }')
    lab.equal(submit(b"From: alice@postern.test\r\n\r\nhello\r\n", rcpts=["x@sink.test"])[0], 250, "the answer")
    lab.wait_for(lambda: postern.queue(), "the message in the queue")
    message = postern.queue()[0]["id"]
    lab.equal(postern.ctl_rows("queue", "show", message)[0]["user"], "alice", "queue show")
    postern.restart()
    lab.equal(postern.ctl_rows("queue", "show", message)[0]["user"], "alice", "queue show after a restart")
    lab.check(any("user=alice" in line for line in postern.log().splitlines() if "accepted" in line), "the log")


lab.main(globals())
