#!/usr/bin/python3
"""Every room is locked: seen from outside in /proc, and from inside by the self-test."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import re  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402

ROOMS = {"log", "control", "router", "resolver", "queue", "smtpd", "deliver", "local"}
NO_NETWORK = ROOMS - {"resolver", "deliver"}


def house(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net)


def status(path):
    with open(path) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_every_process_and_thread_from_outside(folder):
    net, postern = house(folder)
    found = postern.processes()
    lab.equal(set(found.values()) & ROOMS, ROOMS, "the rooms that run")
    uids = {}
    master_net = os.readlink(f"/proc/{postern.process.child.pid}/ns/net")
    for pid, room in found.items():
        for task in os.listdir(f"/proc/{pid}/task"):
            s = status(f"/proc/{pid}/task/{task}/status")
            where = f"{room} {pid}/{task}"
            lab.equal(s["Seccomp"], "2", f"{where}: Seccomp")
            lab.equal(s["NoNewPrivs"], "1", f"{where}: NoNewPrivs")
            for cap in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                lab.equal(int(s[cap], 16), 0, f"{where}: {cap}")
            lab.equal(len(set(s["Uid"].split())), 1, f"{where}: the four uids agree")
            lab.equal(len(set(s["Gid"].split())), 1, f"{where}: the four gids agree")
            lab.equal(s["Groups"].strip(), "", f"{where}: groups")
            lab.check(s["Uid"].split()[0] != "0", f"{where}: not root")
            uids.setdefault(s["Uid"].split()[0], set()).add(room)
        lab.equal(os.listdir(f"/proc/{pid}/root/"), [], f"{room}: an empty root")
        lab.equal(os.stat(f"/proc/{pid}/environ").st_uid, 0, f"{room}: not dumpable (owner of /proc/{pid}/environ)")
        with open(f"/proc/{pid}/maps") as f:
            bad = [line for line in f if re.search(r"^\S+ .wx", line)]
        lab.equal(bad, [], f"{room}: memory both writable and executable")
        if room in NO_NETWORK:
            lab.check(os.readlink(f"/proc/{pid}/ns/net") != master_net, f"{room}: a network namespace of its own")
        limits = open(f"/proc/{pid}/limits").read()
        lab.check(re.search(r"Max core file size\s+0\s+0", limits), f"{room}: no core files")
    lab.check(all(len(rooms) == 1 for rooms in uids.values()), f"one uid a room: {uids}")


def test_no_stray_descriptors(folder):
    net, postern = house(folder)
    allowed = {
        "smtpd": r"socket:|anon_inode:\[event|/dev/null|pipe:|/log$",
        "queue": r"socket:|anon_inode:\[event|/dev/null|pipe:|/log$|/spool",
        "log": r"socket:|anon_inode:\[event|/dev/null|pipe:|/log$",
    }
    for pid, room in postern.processes().items():
        pattern = allowed.get(room, r"socket:|anon_inode:\[event|/dev/null|pipe:|/log$")
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            lab.check(re.search(pattern, target), f"{room}: descriptor {fd} is {target}")


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
    lab.wait_for(lambda: all(v <= before.get(p, 0) + 1 for p, v in count().items()), f"descriptors back at {before}, now {count()}")


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
