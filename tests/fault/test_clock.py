#!/usr/bin/python3
"""The wall clock jumps: by hours, days, years, forward and back, past 2038, while mail waits and while it flows.

Rooms close their environment and open no file, so what moves their clock is a library that the loader puts into every program of
this test (/etc/ld.so.preload, in an overlay of this test's own mounts), with the offset in a file that it maps before the
sandbox closes. No clock of the machine is touched.
"""
import os
import struct
import subprocess
import time

from rig import POSTERN, SECONDS, Rig, lab, until
from lab.disk import mount

HERE = os.path.dirname(os.path.abspath(__file__))
HOUR, DAY, YEAR = 3600, 86400, 31557600


class Clock:
    def __init__(self, folder):
        self.file, library = os.path.join(folder, "clock"), os.path.join(folder, "clock.so")
        self.set(0)
        r = subprocess.run(["gcc", "-O2", "-shared", "-fPIC", f'-DCLOCK_FILE="{self.file}"', "-o", library,
                            os.path.join(HERE, "clock.c")], capture_output=True, text=True)
        lab.equal(r.returncode, 0, "the exit status of gcc: " + r.stderr[-300:])
        over = os.path.join(folder, "etc")
        os.makedirs(over)
        mount("-t", "tmpfs", "tmpfs", over)
        for name in ("upper", "work"):
            os.makedirs(os.path.join(over, name))
        mount("-t", "overlay", "-o", f"lowerdir=/etc,upperdir={over}/upper,workdir={over}/work", "overlay", "/etc")
        with open("/etc/ld.so.preload", "w") as f:
            f.write(library + "\n")

    def set(self, seconds):
        with open(self.file, "r+b" if os.path.exists(self.file) else "wb") as f:
            f.write(struct.pack("q", int(seconds)))


def seen(rig):
    """The year in the last line of the log."""
    return int(rig.postern.log().splitlines()[-1][:4])


def given_up(rig):
    return "status=bounced" in rig.postern.log() or "status=expired" in rig.postern.log()


def test_jumps(folder):
    """Nothing that waits is bounced because the clock says that it is old; retries go on in real time; new mail flows."""
    clock = Clock(folder)
    refuse = []
    rig = Rig(folder, at=lambda stage, visit: b"451 4.7.1 later\r\n" if refuse and stage == "RCPT" else None).warm(1)
    clock.set(20 * YEAR)
    rig.ledger.send(POSTERN, ["alice@postern.test"])
    lab.wait_for(lambda: seen(rig) > 2040, "the rooms to see the new time", 10)
    clock.set(0)
    for _ in until(SECONDS):
        refuse.append(1)
        load = rig.load(rate=60)
        time.sleep(1)
        by = rig.rng.choice((1, -1)) * rig.rng.choice((2, HOUR, DAY, 30 * DAY, 10 * YEAR, 20 * YEAR))
        clock.set(by)
        time.sleep(3)
        refuse.clear()
        time.sleep(1)
        clock.set(0 if rig.rng.random() < 0.7 else -by)
        load.stop()
        rig.postern.ctl("status")
        rig.settle(40)
        lab.check(not given_up(rig), f"mail was given up after a jump of {by} s")
        clock.set(0)
    rig.end()


def test_restart_in_another_year(folder):
    """The house starts again with another time: what was queued is tried before anything is given up, and is delivered."""
    clock = Clock(folder)
    refuse = []
    rig = Rig(folder, at=lambda stage, visit: b"421 4.3.2 later\r\n" if refuse and stage in ("CONNECT", "MAIL") else None).warm(1)
    for n in until(SECONDS):
        refuse[:] = [1]
        load = rig.load(rate=60, rcpts=lambda n: ["x@sink.test"])
        time.sleep(1.5)
        load.stop()
        rig.ledger.crashed("house")
        rig.postern.stop()
        by = rig.rng.choice((1, -1)) * rig.rng.choice((HOUR, 30 * DAY, 20 * YEAR))
        clock.set(by)
        refuse.clear()
        rig.postern.start()
        rig.calm(40)
        lab.check(not given_up(rig), f"mail was given up after a start {by} s away")
        clock.set(0)
        rig.postern.restart()
    rig.end()


lab.main(globals())
