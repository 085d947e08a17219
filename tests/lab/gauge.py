"""What each room holds: memory (PSS), descriptors, processes. Taken when all is quiet, compared after the faults."""
import collections
import os
import time

from .tap import Failed

# KiB that a room may keep in its allocator after a load that it had not seen before.
ROOM_GROWTH = collections.defaultdict(lambda: 1536, queue=8192, smtpd=4096)


def _pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


class Gauge:
    def __init__(self, postern):
        self.postern = postern
        self.base = None

    def look(self):
        """{room: (processes, KiB of PSS of the largest, descriptors of the one with most)}"""
        found = {}
        for pid, room in self.postern.processes().items():
            try:
                pss, fds = _pss(pid), len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                continue
            n, most_pss, most_fds = found.get(room, (0, 0, 0))
            found[room] = (n + 1, max(most_pss, pss), max(most_fds, fds))
        return found

    def quiet(self, seconds=60):
        """Waits until nothing changes for a second, and gives that."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            now = {room: (n, fds) for room, (n, _, fds) in self.look().items()}
            if now == last:
                break
            last = now
            time.sleep(1)
        return self.look()

    def begin(self, seconds=60):
        self.base = self.quiet(seconds)
        return self

    def excess(self):
        """What is above the base, in words; empty when all is back."""
        words = []
        now = self.look()
        for room in sorted(set(now) | set(self.base)):
            n0, pss0, fds0 = self.base.get(room, (0, 0, 0))
            n, pss, fds = now.get(room, (0, 0, 0))
            if room == "mailbox":       # they come and go; the room that asks for them has the descriptors
                continue
            if n != n0:
                words.append(f"{n} processes of {room} instead of {n0}")
            if pss > pss0 + ROOM_GROWTH[room] + pss0 // 4:
                words.append(f"{room} holds {pss} KiB instead of {pss0}")
            if fds > fds0:
                words.append(f"{room} holds {fds} descriptors instead of {fds0}")
        return words

    def back(self, seconds=60):
        """I6: waits until memory and descriptors of each room are where they were."""
        end = time.monotonic() + seconds
        while True:
            words = self.excess()
            if not words:
                return
            if time.monotonic() > end:
                raise Failed(f"after {seconds:g} s of quiet: " + "; ".join(words))
            time.sleep(0.5)
