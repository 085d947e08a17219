#!/usr/bin/python3
"""What users submit (RFC 6409): headers that are completed or refused, and whose addresses may stand in them."""
import email
import email.utils
import os
import smtplib
import subprocess
import sys

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


lab.main(globals())
