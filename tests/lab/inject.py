"""Faults at chosen system calls of a running room: strace, attached from outside.

    with Inject(pids, "fdatasync:error=EIO:when=3"): ...            # the third fdatasync of each thread fails
    with Inject([master], "pwritev:signal=SIGKILL:when=2"): ...     # processes that the master starts die at their second write

A traced room is slower, nothing else: its filter, uid and memory are as ever. When the block ends strace lets go.
"""
import os
import re
import time

from .hosts import Process, tool
from .tap import Failed, wait_for

# A call that never returns (= ?) is a death that strace had no time to tell.
KILLED = re.compile(r"^\d+\s+(\d+\.\d+) (?:\+\+\+ killed by SIG|.* = \?)", re.M) 
DONE = re.compile(r"^\d+\s+(\d+\.\d+) .*\(INJECTED\)", re.M)


class Inject:
    """spec: what strace takes behind -e inject=, or several of them; processes that these start are hurt too."""

    def __init__(self, pids, *specs, log):
        self.log = log
        calls = ",".join(s.partition(":")[0] for s in specs)
        argv = [tool("strace"), "-f", "-qq", "-ttt", "-s0", "-o", log, "-e", f"trace={calls}", "-e", "signal=none"]
        for s in specs:             # a call that is not made becomes getpid: an invalid one would offend the room's filter
            argv += ["-e", f"inject={s}" + (":syscall=getpid" if ":error=" in s or ":retval=" in s else "")]
        for pid in pids:
            argv += ["-p", str(pid)]
        self.pids = list(pids)
        if os.path.exists(log):
            os.unlink(log)
        self.process = Process(argv, log + ".errors")
        self.child = self.process.child
        wait_for(lambda: self.child.poll() is not None or all(self.traced(p) for p in self.pids), "strace to attach", 10, 0.005)

    @staticmethod
    def traced(pid):
        """Every thread of it, or it is gone."""
        try:
            for tid in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{tid}/status") as f:
                    text = f.read()
                if "\nTracerPid:\t0\n" in text and "\nState:\tZ" not in text:
                    return False
        except OSError:
            pass
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.stop()             # strace lets go of everybody when it is asked to end
        with open(self.process.log, errors="replace") as f:
            why = f.read()
        os.unlink(self.process.log)
        if "Operation not permitted" in why:
            raise Failed("strace may not attach: " + why.strip()[:200])

    def text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def fired(self):
        """How many calls were hurt."""
        return len(DONE.findall(self.text()))

    def deaths(self):
        """When processes died while they were watched; the threads of one count once."""
        times, last = [], 0.0
        for when in sorted(map(float, KILLED.findall(self.text()))):
            if when > last + 0.002:
                times.append(when)
            last = when
        return times

    def wait_death(self, seconds):
        """Until one has died, or the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.deaths() or self.child.poll() is not None:
                return bool(self.deaths())
            time.sleep(0.02)
        return False
