"""The load generator and the sink, both from this folder's C, the same for both servers."""
import os
import selectors
import socket
import struct
import subprocess
import time

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


SHAKERS = 8


def shake(address, handshakes, resume=False, port=25):
    """Seconds that so many TLS 1.3 handshakes behind STARTTLS took, and how many were resumed."""
    argv = [tool_path("shake"), "-n", str(handshakes), "-p", str(SHAKERS)] + ["-r"] * resume
    r = subprocess.run(argv + [address, str(port)], capture_output=True, text=True)
    if r.returncode != 0:
        raise Failed(f"{address}: {r.stderr.strip()}")
    seconds, resumed = r.stdout.split()
    return float(seconds), int(resumed)


class Large:
    """Large messages, all at once, each session as fast as the server lets it: what is sent comes from one block of memory."""
    BLOCK = (b"x" * 70 + b"\r\n") * 4096

    def __init__(self, address, sessions, size, to, port=25):
        self.to, self.size, self.block = to, size, memoryview(self.BLOCK)
        self.selector = selectors.DefaultSelector()
        self.left = sessions
        for _ in range(sessions):
            s = socket.create_connection((address, port), 30)
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, {"s": s, "in": b"", "due": b"220", "sent": 0, "end": b""})

    def run(self, every, sample):
        """Calls sample() so often, and gives the seconds until the last 250."""
        began = last = time.monotonic()
        while self.left:
            for key, mask in self.selector.select(every):
                if mask & selectors.EVENT_READ:
                    self.hear(key.data)
                if mask & selectors.EVENT_WRITE and key.data["due"] == b"250 ":
                    self.write(key.data)
            if time.monotonic() - last >= every:
                sample()
                last = time.monotonic()
        return time.monotonic() - began

    def hear(self, c):
        c["in"] += c["s"].recv(4096)
        if not c["in"].endswith(b"\n"):
            return
        line = c["in"].splitlines()[-1]
        if line[3:4] == b"-":
            return
        c["in"] = b""
        if not line.startswith(c["due"]) and c["due"] != b"354":
            raise Failed(f"expected {c['due'].decode()}, got {line.decode()}")
        if c["due"] == b"220":
            c["s"].send(b"EHLO client.test\r\n")
            c["due"] = b"250"
        elif c["due"] == b"250":
            c["s"].send(f"MAIL FROM:<sender@client.test> SIZE={self.size}\r\nRCPT TO:<{self.to}>\r\nDATA\r\n".encode())
            c["due"] = b"354"
        elif c["due"] == b"354":
            if line.startswith(b"354"):
                c["due"], c["sent"] = b"250 ", 0
                c["s"].send(b"Subject: large\r\n\r\n")
                self.selector.modify(c["s"], selectors.EVENT_READ | selectors.EVENT_WRITE, c)
            elif not line.startswith(b"2"):
                raise Failed(f"a large message is refused: {line.decode()}")
        else:
            self.left -= 1
            self.selector.unregister(c["s"])
            c["s"].close()

    def write(self, c):
        at = c["sent"] % len(self.block)
        if c["sent"] < self.size:
            c["sent"] += c["s"].send(self.block[at:at + self.size - c["sent"]])
        else:
            c["s"].send(b"\r\n.\r\n")
            self.selector.modify(c["s"], selectors.EVENT_READ, c)


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
