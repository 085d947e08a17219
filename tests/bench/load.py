"""The load generator and the sink, both from this folder's C, the same for both servers."""
import os
import struct
import subprocess

from lab.hosts import SINK
from lab.postern import STAGE
from lab.tap import Failed

TOOLS = os.environ.get("BENCH_TOOLS", os.path.join(STAGE, "../main/tests/bench"))


def tool_path(name):
    path = os.path.join(TOOLS, name)
    if not os.access(path, os.X_OK):
        raise Failed(f"{path} is missing: build first, or set BENCH_TOOLS to the folder that has {name}")
    return path


def send(address, sessions, messages, to="r@sink.test", kept=False, size=4096, pipeline=False, domains=0, records=None,
         pause=0, port=25):
    """Seconds until the last message was acknowledged and the last session has ended."""
    argv = [tool_path("load"), "-s", str(sessions), "-m", str(messages), "-l", str(size), "-t", to, "-d", str(domains),
            "-w", str(pause)]
    argv += ["-k"] * kept + ["-p"] * pipeline + (["-r", records] if records else [])
    r = subprocess.run(argv + [address, str(port)], capture_output=True, text=True)
    if r.returncode != 0:
        raise Failed(f"{address}: {r.stderr.strip() or 'not all messages were taken'}")
    return float(r.stdout)


class Idle:
    """Connections that are open, have said EHLO, and are silent."""

    def __init__(self, address, connections, tls=False):
        holder = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "idle_tls.py")] if tls else [tool_path("load"), "-i"]
        self.child = subprocess.Popen(holder + [str(connections), address, "25"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline() != "held\n":
            raise Failed(f"{address} does not hold {connections} connections")

    def close(self):
        self.child.stdin.close()
        self.child.wait()


class Sink:
    """Where relayed mail arrives. messages: wait() returns the time of the arrival of that many."""

    def __init__(self, messages=0, where=SINK + ":25", records=None):
        argv = [tool_path("sink"), "-n", str(messages)] + (["-r", records] if records else []) + where.split()
        self.child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline() != "ready\n":
            raise Failed("the sink does not start")

    def wait(self):
        """The time, in seconds of the monotonic clock."""
        return int(self.child.stdout.readline()) / 1e9

    def stop(self):
        """How many messages came."""
        self.child.terminate()
        return int(self.child.communicate()[0].split()[-1])


def records(path, numbers):
    """Tuples of so many numbers."""
    with open(path, "rb") as f:
        return list(struct.iter_unpack("Q" * numbers, f.read()))
