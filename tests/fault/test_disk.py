#!/usr/bin/python3
"""Disks that lose power, fill up, fail and dawdle: no promise is broken, and it goes on by itself."""
import collections
import os
import select
import socket
import time

from rig import POSTERN, SECONDS, Rig, lab, until
from lab.client import stuff
from lab.disk import Disk, fill_up as fill_disk
from lab.inject import Inject

SPOOL, HOME = "postern/spool", "home"


class Disks:
    """A rig with the spool, or spool and homes, on disks of their own; homes hold what a fast machine delivers."""

    def __init__(self, folder, homes=False, megabytes=64, **how):
        self.spool = Disk(os.path.join(folder, SPOOL), megabytes, **how)
        self.home = Disk(os.path.join(folder, HOME), 256, mode=0o755) if homes else None
        self.all = [d for d in (self.spool, self.home) if d]


def test_power_cuts(folder):
    """The disks of spool and homes lose what was not synced, at any moment, also while the spool is being opened."""
    disks = Disks(folder, homes=True)
    rig = Rig(folder).warm(1)
    os.sync()           # the homes themselves are no promise of ours
    cuts = 0

    def cut():
        order = rig.rng.choice(("disk", "house"))
        if order == "house":
            rig.ledger.crashed("power")
            rig.postern.kill()
        since = time.time()
        for d in disks.all:             # the spool first: nothing that a mailbox says after this can be kept
            d.cut()
        if order == "disk":
            rig.ledger.crashed("power", since)
            time.sleep(rig.rng.choice((0, 0, 0.05)))
            rig.postern.kill()
            time.sleep(0.1)             # what was said before the end has been heard
            rig.ledger.doubt(since)
        rig.ledger.crashed("power")
        for d in disks.all:
            d.again()
    for n in until(SECONDS):
        load = rig.load(rate=250, timeout=8, sessions=16)
        time.sleep(rig.rng.uniform(0.1, 1.5))
        cut()
        cuts += 1
        load.stop()
        if rig.rng.random() < 0.5:      # and once more while it starts
            rig.postern.start(wait=False)
            time.sleep(rig.rng.uniform(0, 0.5))
            cut()
            cuts += 1
        rig.postern.start()
        if rig.rng.random() < 0.5:      # the backlog is kept for the next cut now and then
            rig.calm()
    rig.settle()
    opened = [line for line in rig.postern.log().splitlines() if "spool-opened" in line]
    lab.check(all("damaged=0" in line for line in opened), "a cut was taken for damage")
    rig.some(1)
    rig.end()
    print(f"# {cuts} power cuts")


def refused_for_now(load):
    """Everything that was not taken was refused with 4xx, or never answered."""
    wrong = {k: n for k, n in load.classes.items() if k.split()[-1][:1] == "5"}
    lab.check(not wrong, f"refusals for good: {wrong}")


def hold(stage, visit):
    """A recorder that takes nothing: what is accepted fills the disk."""
    return b"421 4.3.2 not now\r\n" if stage in ("CONNECT", "MAIL") else None


def fill_up(rig, hurt, least, **how):
    """Load while `hurt` lasts, until at least so many refusals came; then a house that takes mail again by itself."""
    rig.recorder.at = hold
    load = rig.load(rcpts=lambda n: ["x@sink.test"], **how)
    hurt(load)

    def refusals():
        return sum(n for k, n in load.classes.items() if k.split()[-1][:1] == "4")
    for _ in until(60):
        if refusals() >= least:
            break
        time.sleep(0.1)
    else:
        lab.fail(f"fewer than {least} refusals: {dict(load.classes)}")
    load.stop()
    refused_for_now(load)
    return load


def takes_again(rig, seconds=60):
    """Mail is accepted without a hand."""
    lab.wait_for(lambda: (rig.ledger.send(POSTERN, ["alice@postern.test"]).reply or "").startswith("250"),
                 "mail to be accepted again", seconds, 0.5)


def test_full_disk(folder):
    """The spool's disk fills with mail that cannot leave; 452; it leaves; and again."""
    Disks(folder, megabytes=24)
    rig = Rig(folder).warm(1)
    for _ in until(SECONDS):
        fill_up(rig, lambda load: None, 10, size=lambda n: rig.rng.choice((2000, 30_000, 300_000)), rate=None, sessions=10)
        rig.recorder.at = None
        rig.postern.ctl("queue", "flush", check=False)      # a queue that just started may be away again
        takes_again(rig)
        rig.settle()
    rig.end()


def test_full_disk_and_death(folder):
    """The queue, or all of the house, dies while the disk is full; what results it could not write it does not forget."""
    Disks(folder, megabytes=24)
    rig = Rig(folder).warm(1)
    for n in until(SECONDS):
        fill_up(rig, lambda load: None, 5, size=lambda n: rig.rng.choice((2000, 30_000, 300_000)), rate=None, sessions=10)
        if n % 2:
            rig.kill("queue")
        else:
            rig.ledger.crashed("master")
            rig.postern.kill()
            rig.postern.start(wait=False)
        rig.recorder.at = None
        rig.postern.wait_ready(70)
        rig.postern.ctl("queue", "flush", check=False)      # a queue that just started may be away again
        takes_again(rig)
        rig.calm()
    rig.some(0.5)
    rig.end()


def test_full_beneath(folder):
    """The disk beneath the file system is full: writes are taken and fail at the sync, as on thin storage."""
    disks = Disks(folder, megabytes=96)
    rig = Rig(folder).warm(1)
    for _ in until(SECONDS):
        disks.spool.fill(rig.rng.randrange(0, 3 << 20))
        load = rig.load(rate=100)
        time.sleep(3)
        disks.spool.free()
        load.stop()
        refused_for_now(load)
        try:
            takes_again(rig, 30)
        except lab.Failed:              # ext4 gave up its journal and is read-only: only a mount brings it back
            print("# the journal was given up; mounted again")
            rig.ledger.crashed("house")
            rig.postern.kill()
            disks.spool.again()
            rig.postern.start()
        rig.calm()
    rig.some(0.5)
    rig.end()


def test_inodes(folder):
    """No more files: large messages, which are files of their own, get 4xx; small ones go on as long as a segment lasts."""
    Disks(folder, megabytes=64, mkfs=("-N", "320"))
    rig = Rig(folder).warm(1)
    for _ in until(SECONDS):
        fill_up(rig, lambda load: None, 10, size=lambda n: 100_000, rate=40)
        rig.recorder.at = None
        rig.postern.ctl("queue", "flush", check=False)      # a queue that just started may be away again
        takes_again(rig)
        rig.settle()
    rig.end()


def test_quota(folder):
    """The queue's user may have no more blocks, or no more files."""
    try:
        disks = Disks(folder, megabytes=64, mkfs=("-O", "quota", "-E", "quotatype=usrquota"), options="usrquota")
    except lab.Failed as e:
        if "mount" not in str(e):
            raise
        return print("# SKIP this kernel mounts no ext4 with quotas (EDQUOT is among the errors of calls)")
    rig = Rig(folder).warm(1)
    uid = os.stat(f"/proc/{rig.postern.pids('queue')[0]}").st_uid or owner_of(rig.postern.pids("queue")[0])
    for n in until(SECONDS):
        disks.spool.quota(uid, *((16 << 10, 0) if n % 2 == 0 else (0, 24)))
        fill_up(rig, lambda load: None, 10, size=lambda n: rig.rng.choice((2000, 100_000)), rate=100)
        rig.recorder.at = None
        if rig.rng.random() < 0.5:
            disks.spool.quota(uid, 0, 0)
        rig.postern.ctl("queue", "flush", check=False)      # a queue that just started may be away again
        takes_again(rig)
        rig.settle()
        disks.spool.quota(uid, 0, 0)
    return rig.end()


def owner_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("Uid:")).split()[2])


def test_full_home(folder):
    """The users' disk is full: their mail waits, nobody else's does, and it comes when there is room."""
    home = Disk(os.path.join(folder, HOME), 8, mode=0o755)
    rig = Rig(folder).warm(1)
    for _ in until(SECONDS):
        # An idle mailbox still has its last mail in tmp/, which becomes free when it goes.
        lab.wait_for(lambda: not rig.postern.pids("mailbox"), "the idle mailboxes to go", 30)
        fill_disk(os.path.join(home.at, "filler"), rig.rng.randrange(0, 20_000))
        load = rig.load(rcpts=lambda n: ["alice@postern.test" if n % 2 else "x@sink.test"], rate=60)
        time.sleep(3)
        load.stop()
        lab.equal(sum(n for k, n in load.classes.items() if k.split()[-1][:1] in "45"), 0, "refusals")
        lab.wait_for(lambda: rig.postern.queue() and all("to': 'alice@" in str(q) for q in rig.postern.queue()),
                     "only alice's mail to wait", 30)
        os.unlink(os.path.join(home.at, "filler"))
        rig.settle()
    rig.end()


# Each is a system call of the spool, with errors that a disk or file system gives there.
ERRORS = {
    "pwritev": ("EIO", "ENOSPC", "EDQUOT", "EROFS"), "fdatasync": ("EIO", "ENOSPC", "EDQUOT"), "fsync": ("EIO",),
    "openat": ("EIO", "ENOSPC", "EMFILE", "EROFS"), "fallocate": ("ENOSPC", "EIO", "EDQUOT", "EOPNOTSUPP"),
    "renameat2": ("EIO", "ENOSPC"),
    "unlinkat": ("EIO", "EROFS"), "pread64": ("EIO",), "sync_file_range": ("EIO",), "mkdirat": ("ENOSPC",), "fstatfs": ("EIO",),
    "ftruncate": ("EIO",), "fadvise64": ("EINVAL",),
}


def test_errors_of_calls(folder):
    """The n-th call of a kind fails, n rising until no call is hurt any more; once, or from there on for two seconds."""
    rig = Rig(folder).warm(1)
    fired = collections.Counter()
    for _ in until(SECONDS):
        call = rig.rng.choice(sorted(ERRORS))
        error = rig.rng.choice(ERRORS[call])
        lasting = rig.rng.random() < 0.4
        nth = rig.rng.choice((1, 2, 3, 5, 8, 13) if call in ("pwritev", "fdatasync") else (1, 1, 2, 3))
        load = rig.load(rate=150, sessions=10, size=lambda n: (2000, 100_000, 3000, 30_000)[n % 4])
        spec = f"{call}:error={error}:when={nth}{'+' if lasting else ''}"
        with Inject(rig.postern.pids("queue"), spec, log=rig.net.path("strace")) as trace:
            time.sleep(2.5)
        dead = [room for room, _ in rig.note_deaths()]
        lab.equal(dead, [], f"rooms that died of {call}={error}, nth {nth}{', lasting' if lasting else ''}")
        if trace.fired():
            fired[f"{call}={error}{'+' if lasting else ''}"] += 1
        load.stop()
        refused_for_now(load)
        takes_again(rig)
        rig.settle()
        lab.equal(rig.postern.process.child.poll(), None, "the master")
    lab.check(fired, "no call was hurt")
    rig.end()
    print("# hurt: " + ", ".join(f"{what} {n}" for what, n in sorted(fired.items())))


def test_reads_that_fail(folder):
    """The disk cannot read for a while: nothing is taken for damage, and what waits is delivered by itself."""
    rig = Rig(folder).warm(1)
    load = rig.load(rate=150, size=lambda n: (1000, 100_000)[n % 2])
    with Inject(rig.postern.pids("queue"), "pread64:error=EIO:when=3+2", log=rig.net.path("strace")) as trace:
        time.sleep(4)
        lab.check(trace.fired() > 0, "nothing was read")
    load.stop()
    rig.settle(60)
    lab.check("spool-damage" not in rig.postern.log(), "a failed read was taken for damage")
    told = rig.postern.log().count("spool-unread count=")
    lab.check(1 <= told <= 4, f"the log has {told} lines about reads that failed, expected one and a few")
    rig.end()


def test_slow_disk(folder):
    """Every sync takes long: nobody else waits for it, mail is taken at the disk's pace or put off, and all is well after."""
    rig = Rig(folder).warm(1)
    for _ in until(SECONDS):
        delay = rig.rng.choice((50_000, 500_000, 5_000_000))
        load = rig.load(rate=100, timeout=60)
        with Inject(rig.postern.pids("queue"), f"fdatasync:delay_enter={delay}", log=rig.net.path("strace")):
            time.sleep(max(3.0, 2.5 * delay / 1e6))
            began = time.monotonic()
            rig.postern.ctl("status")
            lab.check(time.monotonic() - began < 2, "status takes long while the disk is slow")
            with lab.Client(POSTERN) as c:
                began = time.monotonic()
                c.ehlo()
                lab.check(time.monotonic() - began < 2, "a greeting takes long while the disk is slow")
        load.stop()
        refused_for_now(load)
        rig.settle()
    rig.end()


def test_slow_writes_push_back(folder):
    """The disk takes a piece only now and then: a client that could send at once is held back by its socket, and nobody's memory
    pays for it."""
    rig = Rig(folder).warm(1)
    rig.postern.host.sysctl("ipv4/tcp_rmem", "4096 16384 65536")
    entry, content = rig.ledger.new(["alice@postern.test"], size=20_000_000)
    data, sent, most = stuff(content), 0, {}
    with lab.Client(POSTERN, timeout=60) as c:
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        c.ehlo()
        c.cmd("MAIL FROM:<alice@postern.test>", "250")
        c.cmd("RCPT TO:<alice@postern.test>", "250")
        c.cmd("DATA", "354")
        with Inject(rig.postern.pids("queue"), "pwritev:delay_enter=500000", log=rig.net.path("strace")):
            c.s.setblocking(False)
            end = time.monotonic() + 5
            while time.monotonic() < end and sent < len(data):
                if select.select([], [c.s], [], 0.1)[1]:
                    sent += c.s.send(data[sent:sent + 65536])
                for room, (_, pss, _) in rig.gauge.look().items():
                    most[room] = max(most.get(room, 0), pss)
            c.s.settimeout(60)
        lab.check(sent < len(data) // 2,
                  f"{sent} of {len(data)} bytes were taken in five seconds, by a disk of half a MB a second")
        for room in ("smtpd", "queue"):
            grown = most[room] - rig.gauge.base[room][1]
            lab.check(grown < 2048, f"{room} has grown by {grown} KiB")
        c.raw(data[sent:-3])
        rig.ledger.dot(entry)
        c.raw(data[-3:])
        rig.ledger.answer(entry, c.reply()[1][-1])
    rig.end()


lab.main(globals())
