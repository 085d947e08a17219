#!/usr/bin/python3
"""Every room is locked: seen from outside in /proc, and from inside by the self-test."""
import ctypes
import errno
import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402

ROOMS = {"log", "control", "router", "resolver", "queue", "smtpd", "deliver", "local", "vault"}
NO_NETWORK = ROOMS - {"resolver", "deliver"}


def house(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net)


def status(path):
    with open(path) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def limits_of_filters():
    """{room: (descriptors, bytes of address space, threads)} from the text that describes the profiles; 0: no limit."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../common/filters.txt")
    with open(path) as f:
        rows = re.findall(r"^(\w+): descriptors (\d+), address space (\d+) MiB, .* threads (\w+)$", f.read(), re.M)
    return {room: (int(fds), int(mib) << 20, threads == "yes") for room, fds, mib, threads in rows}


def limit(text, name):
    soft, hard = re.search(rf"^{name}\s+(\w+)\s+(\w+)", text, re.M).groups()
    lab.equal(soft, hard, f"{name}: soft and hard")
    return float("inf") if soft == "unlimited" else int(soft)


def check_task(path, where):
    s = status(path)
    lab.equal(s["Seccomp"], "2", f"{where}: Seccomp")
    lab.check(int(s["Seccomp_filters"]) >= 1, f"{where}: a filter is there")
    lab.equal(s["NoNewPrivs"], "1", f"{where}: NoNewPrivs")
    for cap in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        lab.equal(int(s[cap], 16), 0, f"{where}: {cap}")
    lab.equal(len(set(s["Uid"].split())), 1, f"{where}: the four uids agree")
    lab.equal(len(set(s["Gid"].split())), 1, f"{where}: the four gids agree")
    lab.equal(s["Groups"].strip(), "", f"{where}: groups")
    lab.check(s["Uid"].split()[0] != "0", f"{where}: not root")
    return s["Uid"].split()[0]


def check_process(pid, room, master_net):
    """All that can be seen of a locked process without asking it. Returns its uid."""
    tasks = os.listdir(f"/proc/{pid}/task")
    uids = {check_task(f"/proc/{pid}/task/{task}/status", f"{room} {pid}/{task}") for task in tasks}
    lab.equal(len(uids), 1, f"{room}: one uid in all threads")
    fds, space, threads = limits_of_filters()[room]
    lab.check(threads or len(tasks) == 1, f"{room}: it has one thread")
    lab.equal(os.listdir(f"/proc/{pid}/root/"), [], f"{room}: an empty root")
    lab.equal(os.listdir(f"/proc/{pid}/cwd/"), [], f"{room}: it stands in the empty root")
    lab.equal(os.stat(f"/proc/{pid}/root/").st_uid, 0, f"{room}: the root's owner")
    lab.equal(os.stat(f"/proc/{pid}/root/").st_mode & 0o222, 0, f"{room}: nobody may write to the root")
    for name in ("environ", "mem", "maps", "fd", "auxv", "cmdline"):
        lab.equal(os.stat(f"/proc/{pid}/{name}").st_uid, 0, f"{room}: not dumpable (owner of /proc/{pid}/{name})")
    with open(f"/proc/{pid}/environ", "rb") as f:
        # The bytes that exec laid down may be there still; no loader and no library reads them again.
        lab.check(b"LD_" not in f.read(), f"{room}: its environment")
    with open(f"/proc/{pid}/maps") as f:
        bad = [line for line in f if re.search(r"^\S+ .wx", line)]
    lab.equal(bad, [], f"{room}: memory both writable and executable")
    if room in NO_NETWORK:
        lab.check(os.readlink(f"/proc/{pid}/ns/net") != master_net, f"{room}: a network namespace of its own")
        with open(f"/proc/{pid}/net/dev") as f:
            lab.equal([line.split(":")[0].strip() for line in f if ":" in line], ["lo"], f"{room}: its network")
    with open(f"/proc/{pid}/limits") as f:
        limits = f.read()
    lab.equal(limit(limits, "Max core file size"), 0, f"{room}: core files")
    lab.check(threads or limit(limits, "Max processes") == 0, f"{room}: processes that it may make")
    lab.check(fds == 0 or limit(limits, "Max open files") <= fds, f"{room}: descriptors")
    lab.check(space == 0 or limit(limits, "Max address space") == space, f"{room}: address space")
    return uids.pop()


def test_every_process_and_thread_from_outside(folder):
    net, postern = house(folder)
    found = postern.processes()
    lab.equal(set(found.values()) & ROOMS, ROOMS, "the rooms that run")
    uids = {}
    master_net = os.readlink(f"/proc/{postern.process.child.pid}/ns/net")
    for pid, room in found.items():
        uids.setdefault(check_process(pid, room, master_net), set()).add(room)
    lab.check(all(len(rooms) == 1 for rooms in uids.values()), f"one uid a room: {uids}")


def test_a_mailbox_is_locked_too(folder):
    net, postern = house(folder)
    lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(1, 500))
    lab.wait_for(lambda: net.mailbox("alice"), "the message in the mailbox")
    pids = postern.pids("mailbox")
    lab.check(pids, "a mailbox process runs")
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            check_task(f"/proc/{pid}/task/{task}/status", f"mailbox {pid}/{task}")
        lab.equal(os.listdir(f"/proc/{pid}/root/"), [], "mailbox: an empty root")
        lab.equal(os.stat(f"/proc/{pid}/mem").st_uid, 0, "mailbox: not dumpable")


def sockets(pid):
    """{inode: family} of the sockets in a process's network namespace."""
    found = {}
    for family, column in (("unix", 6), ("tcp", 9), ("tcp6", 9), ("udp", 9), ("udp6", 9), ("netlink", 9), ("raw", 9),
                           ("packet", 8)):
        try:
            with open(f"/proc/{pid}/net/{family}") as f:
                found.update({line.split()[column]: family for line in list(f)[1:]})
        except FileNotFoundError:
            pass
    return found


# What a room may hold open. Everything else that is found is a leak from master, or from another room.
SOCKETS = {"smtpd": {"unix", "tcp", "tcp6"}, "deliver": {"unix", "tcp", "tcp6"},
           "resolver": {"unix", "tcp", "tcp6", "udp", "udp6"}}
FILES = {"queue": r"/spool(/.*)?$", "log": r"/log$"}
STANDARD = ("0", "1", "2")


def pipe_holders():
    """{pipe: the processes of this machine that hold an end of it}."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                found.setdefault(os.readlink(f"/proc/{pid}/fd/{fd}"), set()).add(int(pid))
        except OSError:
            continue
    return found


def stray(pid, room, families):
    """{(descriptor, target): what is wrong with it} of all that the room may not hold."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        where, why = f"{room}: descriptor {fd} is {target}", None
        m = re.fullmatch(r"socket:\[(\d+)\]", target)
        if m:
            family = families.get(m.group(1), "?")
            why = None if family in SOCKETS.get(room, {"unix"}) else f"{where}, {family}"
        elif target.startswith("pipe:") and fd not in STANDARD:
            # libevent has one to itself, for signals.
            holders = pipe_holders().get(target, set())
            why = None if holders <= {pid} else f"{where}, which {holders - {pid}} hold too"
        elif fd in STANDARD:
            why = None if re.search(r"^/dev/null$|^pipe:|/log$", target) else where
        elif not re.match(r"anon_inode:\[event(fd|poll)\]", target) and not re.search(FILES.get(room, r"$^"), target):
            why = where
        if why:
            found[fd, target] = why
    return found


def check_descriptors(pid, room, families):
    """Descriptors come and go while they are looked at, and their numbers are used again: a stray one is there to stay, so
    only what two looks have found, half a second apart, is one. `families` is called for each look: sockets come and go too."""
    first = stray(pid, room, families())
    if first:
        time.sleep(0.5)
        second = stray(pid, room, families())
        lab.equal([why for key, why in second.items() if key in first], [], f"{room}: stray descriptors")


def test_no_stray_descriptors(folder):
    net, postern = house(folder)
    for n in range(20):
        lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(n, 500))
    postern.wait_empty()
    for pid, room in postern.processes().items():
        if room in ROOMS:
            check_descriptors(pid, room, lambda pid=pid: {**sockets(postern.process.child.pid), **sockets(pid)})


LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_ATTACH, PIDFD_OPEN, PIDFD_GETFD, PIDFD_SIGNAL, KCMP = 0x4206, 16, 434, 438, 424, 312


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


def attacks(pid):
    """{name: what came of it} of what one process may try on another; "denied", or what it got."""
    room = ctypes.create_string_buffer(64)
    with open(f"/proc/{pid}/stat") as f:
        start_of_code = int(f.read().rpartition(")")[2].split()[23])

    def libc(call, *arguments):
        ctypes.set_errno(0)
        r = call(*arguments)
        error = ctypes.get_errno()
        return "denied" if r == -1 and error in (errno.EPERM, errno.EACCES) else f"{r}, {errno.errorcode.get(error, error)}"

    def vm(call):
        mine, theirs = Iovec(ctypes.addressof(room), 8), Iovec(start_of_code or 4096, 8)
        return libc(call, pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)

    def getfd():
        fd = LIBC.syscall(PIDFD_OPEN, pid, 0)
        try:
            return libc(LIBC.syscall, PIDFD_GETFD, fd, 3, 0)
        finally:
            os.close(fd)

    def pidfd_signal():
        fd = LIBC.syscall(PIDFD_OPEN, pid, 0)
        try:
            return libc(LIBC.syscall, PIDFD_SIGNAL, fd, signal.SIGURG, None, 0)
        finally:
            os.close(fd)

    def look(name, mode):
        try:
            with open(f"/proc/{pid}/{name}", mode) as f:
                f.read(16)
            return "opened"
        except PermissionError:
            return "denied"

    def entry(call, name):
        try:
            return f"got {call(f'/proc/{pid}/{name}')!r}"
        except PermissionError:
            return "denied"
    found = {
        "kill 0": libc(LIBC.kill, pid, 0), "kill URG": libc(LIBC.kill, pid, signal.SIGURG), "pidfd_send_signal": pidfd_signal(),
        "ptrace seize": libc(LIBC.ptrace, PTRACE_SEIZE, pid, None, None),
        "ptrace attach": libc(LIBC.ptrace, PTRACE_ATTACH, pid, None, None),
        "process_vm_readv": vm(LIBC.process_vm_readv), "process_vm_writev": vm(LIBC.process_vm_writev), "pidfd_getfd": getfd(),
        "prlimit": libc(LIBC.prlimit, pid, 7, None, room), "kcmp": libc(LIBC.syscall, KCMP, pid, os.getpid(), 1, 0, 0),
        "mem": look("mem", "r+b"), "mem to read": look("mem", "rb"), "environ": look("environ", "rb"), "maps": look("maps", "rb"),
        "auxv": look("auxv", "rb"), "syscall": look("syscall", "rb"), "stack": look("stack", "rb"),
        "fds": entry(os.listdir, "fd"),
        "fd 3": entry(os.readlink, "fd/3"), "root": entry(os.listdir, "root/"), "cwd": entry(os.listdir, "cwd/"),
        "exe": entry(os.readlink, "exe"), "ns": entry(os.readlink, "ns/net"),
    }
    return found


def as_user(uid, function):
    """What function() returns in a child that is this user and nothing else."""
    r, w = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            text = json.dumps(function())
        except BaseException as e:      # the parent has to hear of it, whatever it is
            text = json.dumps({"the attacker itself": repr(e)})
        os.write(w, text.encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        text = f.read()
    os.waitpid(child, 0)
    return json.loads(text)


def test_no_room_reaches_another(folder):
    """A room that somebody has taken over, and that shook off its own walls, is a user of the machine: it reaches no other."""
    net, postern = house(folder)
    lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(1, 500))
    lab.wait_for(lambda: net.mailbox("alice"), "the message, and with it a mailbox process")
    rooms = postern.processes()
    uid_of = {pid: os.stat(f"/proc/{pid}").st_uid or int(status(f"/proc/{pid}/status")["Uid"].split()[0]) for pid in rooms}
    pairs = 0
    for attacker in sorted(set(uid_of.values())):
        for pid, room in list(rooms.items()) + [(postern.process.child.pid, "master")]:
            found = as_user(attacker, lambda pid=pid: attacks(pid))
            if room == "mailbox" and not os.path.exists(f"/proc/{pid}"):
                continue        # they end when they have nothing to do
            if uid_of.get(pid) == attacker:
                # The kernel lets a user signal and limit himself; in a room Landlock and the filter do not
                # (tests/common/test_sandbox.c), and a mailbox that its own user stops is replaced.
                found = {k: v for k, v in found.items() if k not in ("kill 0", "kill URG", "pidfd_send_signal", "prlimit")}
            open_doors = {k: v for k, v in found.items() if v != "denied"}
            lab.equal(open_doors, {}, f"what uid {attacker} can do to {room}")
            pairs += 1
    lab.check(pairs >= 8 * 9, f"{pairs} pairs tried")


def test_walls_stand_after_a_hundred_restarts(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    postern = lab.Postern(net, net.postern_conf("smtpd { processes = 14 }\n"))
    master_net = os.readlink(f"/proc/{postern.process.child.pid}/ns/net")
    restarted = 0
    while restarted < 100:
        before = {pid: room for pid, room in postern.processes().items() if room in ROOMS}
        for pid in before:
            os.kill(pid, signal.SIGKILL)

        def all_new():
            now = {pid: room for pid, room in postern.processes().items() if room in ROOMS}
            return not set(now) & set(before) and sorted(now.values()) == sorted(before.values())
        lab.wait_for(all_new, f"the rooms after {restarted} restarts", 90)
        postern.wait_ready(90)
        for pid, room in postern.processes().items():
            if room in ROOMS:
                check_process(pid, room, master_net)
                check_descriptors(pid, room, lambda pid=pid: {**sockets(postern.process.child.pid), **sockets(pid)})
        restarted += len(before)
    lab.equal(lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(1, 500))[0], "250", "mail is taken")
    lab.wait_for(lambda: net.mailbox("alice"), "mail to flow as before", 60)


def test_descriptors_do_not_grow(folder):
    net, postern = house(folder)

    def count():
        return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid, room in postern.processes().items() if room != "mailbox"}
    for n in range(20):
        lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(n, 500))
    postern.wait_empty()
    before = count()
    for n in range(200):
        lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(n, 500))
    postern.wait_empty()
    lab.wait_for(lambda: all(v <= before.get(p, 0) + 1 for p, v in count().items()),
                 f"descriptors back at {before}, now {count()}")


def test_self_test_from_inside(folder):
    net, postern = house(folder)
    rows = postern.ctl_rows("selftest", "sandbox", check=False)
    probes = [r for r in rows if "probe" in r]
    lab.check(len(probes) > 50, f"only {len(probes)} probes ran")
    lab.equal({r["room"] for r in probes} & ROOMS, ROOMS, "the rooms that were probed")
    failed = [r for r in probes if r["verdict"] not in ("denied", "killed", "ok")]
    lab.equal(failed, [], "probes that succeeded")
    lab.equal(postern.ctl("selftest", "sandbox", check=False).returncode, 0, "the exit status")
    lab.send(POSTERN, "a@b.test", ["alice@postern.test"], lab.message(1, 500))
    lab.wait_for(lambda: net.mailbox("alice"), "mail to flow as before")


lab.main(globals())
