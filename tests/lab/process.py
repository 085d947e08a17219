"""Programs that a test starts: each on a host, its output in a file, stopped at the latest when the test ends."""
import os
import signal
import subprocess

from . import net
from .tap import Failed

_running = []


def stop_all():
    """Whatever a test left running, last started first."""
    while _running:
        _running.pop().stop()


def running(thing):
    """thing.stop() will be called when the test ends, unless it was stopped() before."""
    _running.append(thing)


def stopped(thing):
    if thing in _running:
        _running.remove(thing)


class Process:
    """A child in the foreground, in a session of its own, whose output goes to a file."""

    def __init__(self, argv, log, env=None, host=None):
        self.log = log
        self.argv = argv
        with (host or net.host()).inside(), open(log, "ab") as out:
            self.child = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, env=env, stdin=subprocess.DEVNULL,
                                          start_new_session=True)
        running(self)

    def stop(self, seconds=10):
        stopped(self)
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def output(self):
        with open(self.log, errors="replace") as f:
            return f.read()


def tool(name):
    for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    raise Failed(f"{name} is not installed")
