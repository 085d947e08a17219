#!/usr/bin/python3
"""kill -9 under load: any room, at any time, at any call, at any stage of a session; and of the whole house."""
import collections
import time

from rig import ROOMS, SECONDS, Rig, lab, until
from lab.inject import Inject


def group(rig, kills=4, seconds=3.0, rooms=ROOMS, rate=150):
    """One group of rounds: every room is killed up to `kills` times within some seconds of load. More would only wait for the
    master, who makes rooms that die often wait longer; so each group has a house that was just started."""
    load = rig.load(rate=rate)
    plan = sorted((rig.rng.uniform(0.1, seconds), room) for room in rooms for _ in range(rig.rng.randint(1, kills)))
    began = time.monotonic()
    for when, room in plan:
        time.sleep(max(0.0, began + when - time.monotonic()))
        rig.kill(room)
    return load


def test_any_room_at_any_time(folder):
    """Groups of rounds until the time is over; between them the house is ended, in turns gently and with kill -9."""
    rig = Rig(folder).warm()
    for n in until(SECONDS):
        load = group(rig)
        if n % 2:
            rig.ledger.crashed("master")
            rig.postern.kill()
            load.stop()
            rig.postern.start()
            rig.settle()
        else:
            load.stop()
            rig.postern.wait_ready(70)
            rig.settle()
            rig.gauge.back()
            lab.equal(rig.postern.stop(), 0, "the exit status after SIGTERM")
            rig.postern.start()
    rig.warm(1)
    rig.end()


# Where each room can be caught: every call with which it changes something that others see.
CALLS = {
    "queue": ("pwritev", "fdatasync", "fsync", "write", "openat", "unlinkat", "renameat2", "sync_file_range", "pread64", "read"),
    "smtpd": ("sendto", "write", "read", "recvfrom", "accept4", "shutdown", "close"),
    "deliver": ("sendto", "write", "read", "recvfrom", "socket", "connect", "close"),
    "local": ("write", "read", "recvmsg", "epoll_ctl"),
    "router": ("write", "read"),
    "resolver": ("sendto", "recvfrom", "write", "read", "socket"),
}
REACH = {"write": 60, "read": 60, "pwritev": 25, "fdatasync": 25, "sendto": 40, "recvfrom": 40, "epoll_ctl": 20}


def one_call(rig, room, call, nth):
    """Under load, a process of the room dies as it enters its nth such call. Was there one?"""
    pids = rig.postern.pids(room)
    with Inject(pids[:1], f"{call}:signal=SIGKILL:when={nth}", log=rig.net.path("strace")) as trace:
        died = trace.wait_death(2.5)
    for when in trace.deaths():
        rig.ledger.crashed(room, when)
    return died


def test_any_call(folder):
    """A room dies at its n-th write, sync, send, rename...: before, between and behind all that a promise is made of."""
    rig = Rig(folder)
    died, tried = collections.Counter(), 0
    for _ in until(SECONDS):
        load = rig.load(rate=120)
        for room in rig.rng.sample(sorted(CALLS), 3):
            for _ in range(3):
                call = rig.rng.choice(CALLS[room])
                lab.wait_for(lambda: rig.postern.pids(room), f"{room} to be there", 15)
                tried += 1
                if one_call(rig, room, call, rig.rng.randint(1, REACH.get(call, 6))):
                    died[f"{room}.{call}"] += 1
        load.stop()
        rig.postern.wait_ready(70)
        rig.settle()
        rig.postern.restart()
    lab.check(died, f"nobody died in {tried} tries")
    rig.warm(1)
    rig.end()
    print("# died at " + ", ".join(f"{what} {n}" for what, n in sorted(died.items())))


def test_recovery(folder):
    """The queue dies; the one that recovers dies at its n-th call, again and again; then one may finish."""
    rig = Rig(folder)
    died, calls = 0, ("pread64", "pwritev", "fdatasync", "fsync", "openat", "renameat2", "unlinkat", "write", "fallocate", "flock")
    for _ in until(SECONDS):
        load = rig.load(rate=120)
        time.sleep(0.5)
        call = rig.rng.choice(calls)
        nth = rig.rng.randint(1, 12 if call in ("pread64", "pwritev", "write", "openat") else 4)
        master = rig.postern.process.child.pid
        with Inject([master], f"{call}:signal=SIGKILL:when={nth}", log=rig.net.path("strace")) as trace:
            rig.kill("queue")
            time.sleep(1.2)         # three or four starts of it
        deaths = trace.deaths()
        died += len(deaths)
        for when in deaths:
            rig.ledger.crashed("recovery", when)
        load.stop()
        if rig.postern.process.child.poll() is not None:        # the call was one that the master makes too
            rig.ledger.crashed("master")
            rig.postern.kill()
            rig.postern.start()
        rig.postern.wait_ready(70)
        rig.settle()
        rig.postern.restart()
    lab.check(died, "no queue died while it recovered")
    rig.warm(1)
    rig.end()


lab.main(globals())
