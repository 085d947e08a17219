#!/usr/bin/python3
"""The laboratory itself: its zones answer, signed, and Postfix takes mail. When this fails, nothing else can be believed."""
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import signal  # noqa: E402
from lab import judge  # noqa: E402
from lab.hosts import DNS, POSTERN, POSTFIX, SINK  # noqa: E402


def test_zones_are_served_and_signed(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    out = subprocess.run(["kdig", f"@{DNS}", "+short", "sink.test", "MX"], capture_output=True, text=True).stdout
    lab.equal(out.strip(), "10 mx.sink.test.", "the MX of sink.test")


def test_postfix_delivers_to_its_mailbox(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    net.start_postfix()
    sent = lab.message(1, 3000)
    code, _ = lab.send(POSTFIX, "sender@client.test", ["inbox@postfix.test"], sent)
    lab.equal(code, "250", "Postfix's answer to the final dot")
    got = lab.wait_for(net.postfix_mail, "the message in Postfix's mailbox")
    lab.equal(lab.client.digest(got[0]), lab.client.digest(sent), "what arrived")


SCENARIO = """
import os, subprocess, sys, time
sys.path.insert(0, {tests!r})
import lab
from lab.process import Process

def test_busy(folder):
    host = lab.net.host("10.77.0.26")
    lab.Sink("10.77.0.26")
    Process(["sleep", "1000"], os.path.join(folder, "log"), host=host)
    subprocess.Popen(["setsid", "sleep", "1001"])
    image, at = os.path.join(folder, "image"), os.path.join(folder, "at")
    with open(image, "wb") as f:
        f.truncate(8 << 20)
    os.mkdir(at)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, at], check=True)
    open({ready!r}, "w").close()
    {ending}

lab.main(globals(), seconds={seconds})
"""


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def others():
    """Processes that are not this test's own."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                state = f.read().rpartition(")")[2].split()[0]
            with open(f"/proc/{pid}/cmdline") as f:
                words = f.read().replace("\0", " ")
        except OSError:
            continue
        if pid != "1" and state != "Z":
            found.append(f"{pid} {words}")
    return found


def mounts():
    with open("/proc/self/mountinfo") as f:
        return sorted(line.split()[4] for line in f)


def interrupted(folder, name, strike, ending="time.sleep(1000)", seconds=100):
    """Runs the scenario, strikes when it is busy; its output, once it is seen that nothing of it is left."""
    place, ready = os.path.join(folder, name), os.path.join(folder, name + "-ready")
    os.mkdir(place)
    file = os.path.join(folder, "scenario.py")
    with open(file, "w") as f:
        f.write(SCENARIO.format(tests=os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ready=ready, ending=ending,
                                seconds=seconds))
    before = mounts()
    outer = subprocess.Popen([sys.executable, file], env={**os.environ, "TMPDIR": place, "PYTHONDONTWRITEBYTECODE": "1"},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lab.wait_for(lambda: os.path.exists(ready), f"{name}: the scenario to be busy", 30)
    if strike:
        guardian = children(outer.pid)[0]
        strike(outer.pid, guardian, children(guardian)[0])
    out = outer.communicate(timeout=60)[0]
    lab.wait_for(lambda: not others(), lambda: f"{name}: expected no process, there are {others()}")
    lab.wait_for(lambda: mounts() == before, lambda: f"{name}: expected no mount, there are {set(mounts()) - set(before)}")
    lab.wait_for(lambda: place not in loops(), lambda: f"{name}: expected no loop device, there is {loops()}")
    return out, os.listdir(place)


def loops():
    return subprocess.run(["losetup", "-a"], capture_output=True, text=True).stdout


def test_nothing_stays_behind(folder):
    """However a test ends or is ended: no process, mount, loop device or file; and one line says what was wrong."""
    kill = {"outer": lambda o, g, i: os.kill(o, signal.SIGKILL), "guardian": lambda o, g, i: os.kill(g, signal.SIGKILL),
            "inner": lambda o, g, i: os.kill(i, signal.SIGKILL), "interrupt": lambda o, g, i: os.kill(o, signal.SIGINT),
            "terminate": lambda o, g, i: os.kill(o, signal.SIGTERM)}
    for name, strike, ending, seconds, said in (
            ("passes", None, "pass", 100, None),
            ("fails", None, 'lab.equal(1, 2, "the sum")', 100, r"scenario\.py:\d+: the sum: expected 2, got 1"),
            ("hangs", None, "time.sleep(1000)", 3, r"scenario\.py:\d+: expected to end within 3 s"),
            ("inner", kill["inner"], "time.sleep(1000)", 100, "expected the test to end, but its process was killed"),
            ("guardian", kill["guardian"], "time.sleep(1000)", 100, "expected the test to end, but its process was killed"),
            ("interrupt", kill["interrupt"], "time.sleep(1000)", 100, "interrupted by signal 2"),
            ("terminate", kill["terminate"], "time.sleep(1000)", 100, "interrupted by signal 15"),
            ("outer", kill["outer"], "time.sleep(1000)", 100, None)):
        out, left = interrupted(folder, name, strike, ending, seconds)
        lab.equal(left, [], f"{name}: files left behind")
        lines = out.splitlines()
        if said:
            lab.check(lines[1] == "not ok 1 - busy" and re.match("# " + said, lines[2]) and len(lines) == 3,
                      f"{name}: expected one line with {said!r}, got {lines}")
        elif name == "passes":
            lab.check(len(lines) == 2 and lines[1].startswith("ok 1 - busy"), f"{name}: expected one ok, got {lines}")


def test_a_campaign_is_broken_off(folder):
    """^C, or its death: its tests end with it and leave nothing; what was interrupted has not failed."""
    campaign = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fault", "campaign.py")
    for number, status in ((signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGKILL, -9)):
        # Below our own folder the paths of the house's sockets would be too long.
        place = tempfile.mkdtemp(prefix="by-", dir="/tmp")
        p = subprocess.Popen([sys.executable, campaign, "--seconds", "60", "--only", "test_kill.py:test_any"],
                             env={**os.environ, "TMPDIR": place, "PYTHONDONTWRITEBYTECODE": "1"}, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        lab.wait_for(lambda: any("postern-queue" in o for o in others()), "the campaign's house to be there", 60)
        p.send_signal(number)
        out = p.communicate(timeout=30)[0]
        lab.equal(p.returncode, status, f"how it ended; it said {out!r}")
        if status > 0:
            lab.equal(out.splitlines()[-1], f"# interrupted by signal {int(number)}", "the last that it said")
            lab.check("not ok" not in out and "Traceback" not in out, f"a test that was interrupted failed: {out}")
        lab.wait_for(lambda: not others(), lambda: f"expected no process, there are {others()}", 30)
        lab.equal(os.listdir(place), [], "files left behind")
        os.rmdir(place)


def test_folders_of_the_dead_are_removed(folder):
    """Outer and guardian killed in the same moment: all vanishes but the folder. A later run removes that, not one that begins at
    once: a folder so young may be one that somebody makes and has not locked yet."""
    def strike(outer, guardian, inner):
        os.kill(outer, signal.SIGSTOP)
        os.kill(guardian, signal.SIGKILL)
        os.kill(outer, signal.SIGKILL)
    _, left = interrupted(folder, "both", strike)
    lab.equal(len(left), 1, "folders left behind")
    kept = os.path.join(folder, "both", "postern-kept-by-somebody")
    os.mkdir(kept)
    file = os.path.join(folder, "nothing.py")
    with open(file, "w") as f:
        f.write(f"import sys\nsys.path.insert(0, {os.path.dirname(os.path.dirname(os.path.abspath(__file__)))!r})\nimport lab\n"
                "def test_x(folder):\n    pass\nlab.main(globals())\n")
    place = os.path.join(folder, "both")

    def next_run():
        subprocess.run([sys.executable, file], env={**os.environ, "TMPDIR": place}, check=True, stdout=subprocess.DEVNULL)
        return sorted(os.listdir(place))
    lab.equal(next_run(), sorted([os.path.basename(kept), *left]), "what is left after a run at once")
    for name in left:
        os.utime(os.path.join(place, name), (time.time() - 120,) * 2)
    lab.equal(next_run(), [os.path.basename(kept)], "what is left after a run two minutes later")


def test_the_network_fails(folder):
    """A cable is cut, a host falls silent, a server refuses: mail waits, others are served, and it comes when all is well."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.zone("far.test", "".join(f"{n}. MX 10 mx{i}\nmx{i} A 10.77.0.{40 + i}\n" for i, n in enumerate(("cut", "silent", "slow"))
                                 ).replace(". MX", ".far.test. MX"))
    net.start_dns()
    cut, silent, slow = (net.host(f"10.77.0.{40 + i}") for i in range(3))
    far = [lab.Sink(h.address) for h in (cut, silent, slow)]
    near = lab.Sink(SINK)
    postern = lab.Postern(net, net.postern_conf('queue { retry-first = "1s"\n retry-max = "2s"\n retry-jitter = "0s" }\n'
                                                'deliver { timeout-connect = "2s" }\n'))
    cut.cut()
    silent.silence()
    slow.throttle("256kbit")
    for n, name in enumerate(("cut", "silent", "slow")):
        lab.send(POSTERN, "alice@postern.test", [f"x@{name}.far.test"], lab.message(n, 20_000))
    lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], lab.message(9, 1000))
    lab.wait_for(lambda: near.messages, "mail to a host that is well")
    lab.wait_for(lambda: far[2].messages, "mail to the slow one", 30)
    lab.wait_for(lambda: postern.log().count("session-failed") >= 2, "both to be tried")
    lab.check(not far[0].messages and not far[1].messages, "nothing comes through")
    cut.restore()
    silent.speak()
    lab.wait_for(lambda: far[0].messages and far[1].messages, "the rest when the network is back", 60)
    lab.equal([len(s.messages) for s in far], [1, 1, 1], "messages at each")
    lab.equal(net.mailbox("alice"), [], "bounces")


# What a client sends, and what of it is wrong.
HELLO, MAIL, RCPT, DATA, BYE = b"EHLO x\r\n", b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@d.test>\r\n", b"DATA\r\n", b"QUIT\r\n"
OFFENCES = (
    ((HELLO, MAIL, RCPT, DATA, b"x: y\r\n..z\r\n.\r\n", BYE), None),
    ((HELLO, MAIL + RCPT + DATA, b".\r\n", BYE), "did not wait"),
    ((MAIL, BYE), "before EHLO"),
    ((HELLO, RCPT, BYE), "RCPT without MAIL"),
    ((HELLO, MAIL, DATA, BYE), "DATA without RCPT"),
    ((HELLO, MAIL, MAIL, BYE), "MAIL within"),
    ((b"EHLO x\n", BYE), "without CRLF"),
    ((b"EHLO x\ry\r\n", BYE), "bare CR"),
    ((b"EHLO " + b"x" * 600 + b"\r\n", BYE), "607 bytes"),
    ((HELLO, b"MAIL FROM:<a@b.test> BODY=8BITMIME\r\n", BYE), "not offered"),
    ((HELLO, MAIL, RCPT, DATA, b".z\r\n.\r\n", BYE), "not doubled"),
    ((HELLO, MAIL, RCPT, DATA, b"z\n.\r\n", BYE), "without CRLF"),
    ((HELLO, MAIL, RCPT, DATA, b"z" * 1200 + b"\r\n.\r\n", BYE), "1202 bytes"),
    ((HELLO,), "without QUIT"),
)


def test_the_scripted_peer_is_a_judge(folder):
    """Every offence of a client is heard, and a client without fault is left in peace."""
    at = lab.net.host(SINK)
    server = lab.Peer(SINK, keywords=("SIZE",), host=at, quits=True)
    for said, what in OFFENCES:
        with at.inside(), socket.create_connection((SINK, 25), 5) as s:
            for part in (None, *said):
                if part is not None:
                    s.sendall(part)
                lab.check(s.recv(4096), "the server hung up")
        lab.wait_for(lambda: not server.open, "the session to end", 5)
        heard, judge.offences[:] = list(judge.offences), []
        lab.check(heard and what in heard[0] if what else not heard, f"expected {what or 'no offence'}, heard {heard}")


lab.main(globals())
