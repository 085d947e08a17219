#!/usr/bin/python3
"""Rooms that stand still, cannot start, have no descriptors or no memory; DNS and log that fail; reloads; a master that dies."""
import os
import resource
import signal
import subprocess
import time

from rig import POSTERN, ROOMS, SECONDS, Rig, Stopped, lab, rcpts, until
from lab.disk import Disk, fill_up, mount
from lab.inject import Inject
from lab.odd import KINDS


def test_each_room_stands_still(folder):
    """SIGSTOP of one room for some seconds under load. The others' own work goes on; what needs it waits or gets 4xx; it is all
    there when the room goes on."""
    rig = Rig(folder).warm(1)
    rooms = rig.rng.sample(ROOMS, len(ROOMS))
    for n in until(SECONDS):
        room = rooms[n % len(rooms)]
        load = rig.load(rate=60, timeout=60)
        lab.wait_for(lambda: load.acknowledged > 3, "the load to run", 30)
        pids = rig.postern.pids(room)
        before = load.acknowledged
        with Stopped(pids):
            time.sleep(rig.rng.choice((1.0, 3.0)))
            meanwhile = load.acknowledged - before
            if room in ("deliver", "local", "mailbox", "control", "log", "vault", "auth"):
                lab.check(meanwhile > 5, f"while {room} stood still only {meanwhile} messages were taken")
            if room in ("deliver", "local", "mailbox", "log", "vault", "auth"):
                began = time.monotonic()
                rig.postern.ctl("status")
                took, limit = time.monotonic() - began, 10 if room == "log" else 3      # what it waits for the log is limited
                lab.check(took < limit, f"status took {took:.1f} s while {room} stood still")
        load.stop()
        wrong = {k: v for k, v in load.classes.items() if k.split()[-1][:1] == "5"}
        lab.check(not wrong, f"while {room} stood still: {wrong}")
        rig.ledger.crashed(f"{room} stood still")
        rig.settle()
    rig.end()


def test_one_of_two_stands_still(folder):
    """One smtpd, or one deliver, stands still for ever: the other does all there is."""
    rig = Rig(folder).warm(1)
    for room in ("deliver", "smtpd"):
        pids = sorted(rig.postern.pids(room))
        if len(pids) < 2:
            continue
        with Stopped(pids[:1]):
            load = rig.load(rate=50, timeout=8)
            lab.wait_for(lambda: load.acknowledged >= 50, f"50 messages although one {room} stands still", 60)
        load.stop()
        rig.ledger.crashed(f"a {room} stood still")
        rig.settle()
    rig.end()


def test_users_who_stop_their_mailboxes(folder):
    """Users may send signals to their own processes. A mailbox that stands still has its place for local { timeout }, then others
    get it; it is killed later; and its mail comes by another, once."""
    rig = Rig(folder, extra='local { timeout = "2s"\n processes-max = 2 }\n').warm(1)
    for _ in until(SECONDS):
        stopped = set()
        for _ in range(200):
            rig.ledger.send(POSTERN, ["alice@postern.test"])
            for pid in rig.postern.pids("mailbox"):
                try:
                    os.kill(pid, signal.SIGSTOP)
                    stopped.add(pid)
                except ProcessLookupError:
                    pass
            if len(stopped) >= 2:
                break
        lab.check(stopped, "no mailbox could be stopped")
        rig.ledger.crashed("mailbox stood still")
        entry = rig.ledger.send(POSTERN, ["bob@postern.test"])
        lab.check((entry.reply or "").startswith("250"), f"mail for bob: {entry.reply}")
        rig.settle(60)
        rig.ledger.crashed("mailbox stood still")
        lab.wait_for(lambda: not stopped & set(rig.postern.pids("mailbox")), "the mailboxes that stand still to be killed", 40)
    rig.end()


def test_a_room_that_never_starts(folder):
    """Its program ends at once, for ever: starts are throttled, an alarm is in the log, what does not need it goes on; and when
    the program is whole again it comes by itself."""
    rig = Rig(folder).warm(1)
    program = rig.rng.choice(("local", "deliver", "resolver", "router", "log", "control"))
    path = os.path.join(lab.postern.STAGE, "libexec", "postern", f"postern-{program}")
    broken = os.path.join(folder, "broken")
    with open(broken, "w") as f:
        f.write("#!/bin/false\n")
    os.chmod(broken, 0o755)
    mount("--bind", broken, path)           # in this test's own mounts
    for pid in rig.postern.pids(program):
        os.kill(pid, signal.SIGKILL)
        rig.ledger.crashed(program)
    before = rig.postern.log().count(f"room-died room={program}")
    to = {"local": ["x@sink.test"], "deliver": ["alice@postern.test"], "resolver": ["alice@postern.test"]}
    load = rig.load(rate=20, rcpts=lambda n: to.get(program, rcpts(n)))
    time.sleep(8)
    starts = rig.postern.log().count(f"room-died room={program}") - before
    if program != "log":
        lab.check(2 <= starts <= 30, f"{starts} starts of {program} in 8 s: not throttled, or none")
    if program != "router":
        lab.check(load.acknowledged >= 40, f"only {load.acknowledged} messages were taken without {program}")
    load.stop()
    if program in to:
        rig.settle()
    subprocess.run(["umount", path], check=True)
    rig.postern.wait_ready(60)
    rig.end()
    print(f"# {program}: {starts} starts in 8 s")


def nobody_listens():
    try:
        lab.Client(POSTERN, timeout=1, greet=False).close()
        return False
    except OSError:
        return True


def test_master_dies(folder):
    """kill -9 of the master under load, again and again: every room leaves, nothing of it listens, the next one has all."""
    rig = Rig(folder).warm(1)
    n = 0
    for n in until(SECONDS):
        load = rig.load(timeout=6)
        time.sleep(rig.rng.uniform(0.3, 1.5))
        rig.ledger.crashed("master")
        rig.postern.process.child.kill()
        rig.postern.process.child.wait()
        lab.wait_for(lambda: not rig.postern.processes(), "the rooms to leave after their master died", 10)
        # A listener that was on its way to a room when both ends died is closed by the kernel a moment later.
        lab.wait_for(nobody_listens, "nobody to listen", 2)
        load.stop()
        rig.postern.start()
        if n % 3 == 2:
            rig.calm()
    rig.some(0.5)
    rig.end(least=10)
    print(f"# {n + 1} masters")


class NoDescriptors:
    """By a limit, where root may set those of others; else every call that makes one says EMFILE."""

    def __init__(self, rig, pids):
        self.rig, self.pids, self.old, self.trace = rig, pids, {}, None

    def __enter__(self):
        try:
            for pid in self.pids:
                old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                now = len(os.listdir(f"/proc/{pid}/fd")) + self.rig.rng.randint(0, 3)
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (now, old[1]))
                self.old[pid] = old
        except ProcessLookupError:
            pass
        except PermissionError:
            self.trace = Inject(self.pids, *(f"{call}:error=EMFILE" for call in ("accept4", "socket", "openat")),
                                log=self.rig.net.path("strace"))
        return self

    def __exit__(self, *_):
        for pid, limits in self.old.items():
            try:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            except ProcessLookupError:
                pass
        if self.trace:
            self.trace.stop()


def test_no_descriptors(folder):
    """A room has no descriptors left, by prlimit: 4xx or waiting, no spin, and all is well when it has some again."""
    rig = Rig(folder).warm(1)
    for _ in until(SECONDS):
        room = rig.rng.choice(("smtpd", "queue", "deliver", "resolver", "local", "control", "router"))
        pids = rig.postern.pids(room)
        with NoDescriptors(rig, pids):
            load = rig.load(rate=80, sessions=20, timeout=20)
            time.sleep(1)
            used = [cpu(pid) for pid in pids]
            time.sleep(2)
            spun = [b - a for a, b in zip(used, [cpu(pid) for pid in pids])]
            lab.check(max(spun, default=0) < 1.8, f"{room} spins without descriptors: {spun} s of processor in 2 s")
        load.stop()
        rig.note_deaths()
        wrong = {k: v for k, v in load.classes.items() if k.split()[-1][:1] == "5"}
        lab.check(not wrong, f"while {room} had no descriptors: {wrong}")
        rig.settle()
    rig.end()


def cpu(pid):
    """Seconds of processor that it has used."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            words = f.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


class Memory:
    """All of a house in a memory cgroup, v1 or v2; removed at the end."""

    def __init__(self, pids, megabytes):
        v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        top = "/sys/fs/cgroup" if v2 else "/sys/fs/cgroup/memory"
        self.path = os.path.join(top, f"postern-fault-{os.stat('/proc/self/ns/pid').st_ino}")
        os.mkdir(self.path)
        self.write("memory.max" if v2 else "memory.limit_in_bytes", megabytes << 20)
        for pid in pids:
            self.write("cgroup.procs", pid)
        self.top = top

    def write(self, name, value):
        with open(os.path.join(self.path, name), "w") as f:
            f.write(str(value))

    def end(self):
        with open(os.path.join(self.path, "cgroup.procs")) as f:
            pids = f.read().split()
        for pid in pids:
            try:
                with open(os.path.join(self.top, "cgroup.procs"), "w") as f:
                    f.write(pid)
            except OSError:
                pass
        for _ in range(50):
            try:
                return os.rmdir(self.path)
            except OSError:
                time.sleep(0.1)
        return None


def test_no_memory(folder):
    """The whole house in a memory cgroup that is too small for its load: the kernel kills rooms, the rest carries on."""
    rig = Rig(folder).warm(1)
    try:
        memory = Memory([rig.postern.process.child.pid, *rig.postern.processes()], 24)
    except OSError as e:
        return print(f"# SKIP no memory cgroup can be made here: {e}")
    try:
        for _ in until(SECONDS):
            load = rig.load(rate=None, sessions=60, timeout=30, size=lambda n: (2000, 1_000_000, 50_000, 400_000)[n % 4])
            time.sleep(4)
            load.stop(90)
            rig.note_deaths()
            for when in deaths_by_kill(rig):
                rig.ledger.crashed("out of memory", when)
            wrong = {k: v for k, v in load.classes.items() if k.split()[-1][:1] == "5"}
            lab.check(not wrong, f"without memory: {wrong}")
            rig.postern.wait_ready(70)
            rig.settle(180)
    finally:
        memory.end()
    return rig.end()


def deaths_by_kill(rig):
    """When rooms died of a SIGKILL that was not ours: the kernel's. The whole log, since a time entered twice does no harm."""
    import datetime
    import re
    found = re.findall(r"^(\S+) \S+ postern/master\[\d+\]: room-died .*SIGKILL", rig.postern.log(), re.M)
    return [datetime.datetime.fromisoformat(w.replace("Z", "+00:00")).timestamp() for w in found]


def test_dead_dns(folder):
    """DNS is silent, or dead: mail is taken, waits, is never bounced for it, and leaves afterwards."""
    rig = Rig(folder).warm(1)
    for n in until(SECONDS):
        load = rig.load(rate=60)
        time.sleep(0.5)
        pid = rig.net.knot.child.pid
        if n % 2:
            rig.net.knot.stop()
        else:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(5)
        taken = load.acknowledged
        lab.check(taken > 20, f"only {taken} messages were taken without DNS")
        if n % 2:
            rig.net.start_knot()
        else:
            os.kill(pid, signal.SIGCONT)
        load.stop()
        wrong = {k: v for k, v in load.classes.items() if k.split()[-1][:1] == "5"}
        lab.check(not wrong, f"without DNS: {wrong}")
        rig.settle()
    lab.check("status=bounced" not in rig.postern.log(), "mail bounced because DNS was away")
    rig.end()


LIES = [kind for kind in KINDS if kind != "dead"]       # the zone whose server is not there stays so
USABLE = {"honest", "other-names", "huge-ttl", "tcp", "slow-2"}     # odd, but with an answer that holds; mail may leave


def test_lying_dns(folder):
    """Twenty zones whose servers lie, loop, dribble, refuse: their mail is taken and waits, or leaves where they are usable; none
    bounces; nobody else's waits; and when the servers come to their senses all of it leaves."""
    rig = Rig(folder, extra='resolver { timeout = "8s" }\n', odd=LIES).warm(1)
    for n in until(SECONDS):
        rig.odd.cured = False
        if n > 0:
            time.sleep(3)               # an open session takes mail without a question: until all have been idle for too long
            rig.kill("resolver")        # it remembers the good answers too
            rig.postern.wait_ready(70)
        load = rig.load(rate=60, rcpts=lambda n: [f"x@{LIES[n // 2 % len(LIES)]}.test"] if n % 2 else rcpts(n // 2))
        lab.wait_for(lambda: load.acknowledged > 4 * len(LIES), "mail for all of them to be taken", 60)
        if rig.rng.random() < 0.5:
            rig.kill("resolver")
        load.stop()
        lab.equal(sum(n for k, n in load.classes.items() if k.split()[-1][:1] in "45"), 0, "refusals")
        lab.wait_for(lambda: all(any(f"@{kind}.test" in str(q) for kind in LIES) for q in rig.postern.queue()),
                     "the mail for all others to leave", 60)
        waiting = str(rig.postern.queue())
        gone = [kind for kind in LIES if kind not in USABLE and f"@{kind}.test" not in waiting]
        lab.equal(gone, [], "zones that lie and whose mail has left")
        rig.odd.cured = True
        rig.kill("resolver")            # it remembers for a quarter of an hour which servers were no help
        rig.settle()
    lab.check("status=bounced" not in rig.postern.log(), "mail bounced because a zone lied")
    rig.end()


def test_blocked_log(folder):
    """The log room stands still, or its disk is full: mail does not wait for it; afterwards it writes again."""
    disk = Disk(os.path.join(folder, "log"), 32, mode=0o755)     # more than the log of the longest run
    rig = Rig(folder, extra=f'log {{ to = "{disk.at}/postern.log" }}\n').warm(1)
    for n in until(SECONDS):
        if n % 2 == 0:
            filler = os.path.join(disk.at, "filler")
            fill_up(filler)
            load = rig.load(rate=100)
            lab.wait_for(lambda: load.acknowledged >= 200, "200 messages while the log's disk is full", 30)
            load.stop()
            os.unlink(filler)
        else:
            with Stopped(rig.postern.pids("log")):
                load = rig.load(rate=100)
                lab.wait_for(lambda: load.acknowledged >= 200, "200 messages while the log stands still", 30)
                load.stop()
        rig.settle()
        size = os.path.getsize(os.path.join(disk.at, "postern.log"))
        rig.ledger.send(POSTERN, ["alice@postern.test"])
        lab.wait_for(lambda: os.path.getsize(os.path.join(disk.at, "postern.log")) > size,
                     "the log to be written again", 20)
        rig.settle()
    with Stopped(rig.postern.pids("log")):
        began = time.monotonic()
        rig.postern.ctl("status")
        lab.check(time.monotonic() - began < 10, "status waits for the log room")
    rig.end()


def test_many_large_messages(folder):
    """Two hundred large messages at once, more than the lines between rooms hold: they slow each other down, and that is all."""
    rig = Rig(folder, segment="64M", big="256K").warm(1)
    load = rig.load(rate=None, sessions=200, each=1, size=lambda n: 1_100_000, timeout=120, rcpts=lambda n: ["x@sink.test"])
    lab.wait_for(lambda: load.count >= 200, "200 messages to be under way", 60)
    load.stop(120)
    lab.equal(dict(load.classes), {"dot 250": load.count, "quit 221": load.count}, "answers")
    lab.check("peer-dropped" not in rig.postern.log(), "a line between rooms was given up")
    rig.calm()


def test_reloads(folder):
    """Reload after reload under load, good files and broken ones: no session is cut, nothing grows."""
    rig = Rig(folder).warm(1)
    n = 0
    load = rig.load(rate=50)
    for n in until(SECONDS):
        broken = rig.rng.random() < 0.1
        rig.postern.configure(rig.conf + ("nonsense = yes\n" if broken else f"# {n}\n"))
        before = rig.postern.log().count("config-") if n % 20 == 0 else 0
        rig.postern.reload()
        if n % 20 == 0:
            lab.wait_for(lambda: rig.postern.log().count("config-") > before, "a word about the reload in the log", 10)
        time.sleep(0.03)
    rig.postern.configure(rig.conf)
    rig.postern.reload()
    load.stop()
    sums = rig.ledger.totals
    rig.settle()
    lab.equal((sums["unknown"], sums["refused"], sums["unsent"]), (0, 0, 0), "messages without an answer, refused, never sent")
    rig.end()
    print(f"# {n + 1} reloads")


lab.main(globals())
