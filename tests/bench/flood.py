"""Slow and hostile connections from many networks, for the figure `flood`: foes.c, and deaf.c which they cannot hurt."""
import subprocess

import load
import measure
from lab.tap import Failed

NETWORK = "10.66"       # whose 65536 addresses are all this machine's
A_PROCESS = 10000       # of them
A_SECOND = 1000         # connections of theirs
PORTS = (25, 465, 587)  # plain, TLS from the first byte on, submission


class Flood:
    """n connections, until stop(). They come again when they are thrown out, so many a second in all."""

    def __init__(self, address, n, rate=A_SECOND):
        subprocess.run(["ip", "address", "replace", f"{NETWORK}.0.1/16", "dev", "lo"], check=True)
        parts = max(1, -(-n // A_PROCESS))
        argv = [load.tool_path("foes"), "-n", str(n // parts), "-r", str(rate // parts), address, *map(str, PORTS)]
        self.children = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(parts)]

    def wait(self):
        for child in self.children:
            if child.stdout.readline() != "ready\n":
                raise Failed("the hostile clients have not all come")

    def cpu(self):
        return sum(sum(measure.cpu(child.pid)) for child in self.children)

    def stop(self):
        """Connections they made, that were closed on them, handshakes and guesses that were answered."""
        for child in self.children:
            child.stdin.close()
        did = [[int(word) for word in child.stdout.read().split()] for child in self.children]
        for child in self.children:
            child.wait()
        return [sum(numbers) for numbers in zip(*did)]


class Deaf:
    """A server that does nothing but to read."""

    def __init__(self, address):
        self.address = address
        self.child = subprocess.Popen([load.tool_path("deaf"), address, *map(str, PORTS)], stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline() != "ready\n":
            raise Failed("the deaf server does not listen")
        self.root = self.child.pid

    def stop(self):
        self.child.kill()
        self.child.wait()
