#!/usr/bin/python3
"""throughput.py [--messages N] [--sessions N] [--size BYTES] [--rounds N]: Postern beside an unmodified Postfix.

Both relay the same mail in the same laboratory, on the same disk, in turns: smtp-source sends, the server under test takes
every message (and syncs it), and passes it on to smtp-sink through signed DNS. Two times a round: until the last message
was acknowledged, and until the last one has arrived. What counts is the ratio; the rates are of this machine.
Run as root; POSTERN_STAGE is the installed tree (default build/stage)."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import argparse  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from lab.hosts import POSTERN, POSTFIX, SINK, tool  # noqa: E402


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--messages", type=int, default=2000)
    p.add_argument("--sessions", type=int, default=20)
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--rounds", type=int, default=5)
    return p.parse_args(os.environ.get("THROUGHPUT", "").split())


def one_round(server, a):
    """Seconds until all were acknowledged, and until all have arrived."""
    sink = subprocess.Popen([tool("smtp-sink"), "-u", "root", "-M", str(a.messages), f"{SINK}:25", "1024"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    try:
        began = time.monotonic()
        subprocess.run([tool("smtp-source"), "-s", str(a.sessions), "-m", str(a.messages), "-l", str(a.size),
                        "-f", "sender@client.test", "-t", "r@sink.test", "-S", "bench", f"inet:{server}:25"],
                       check=True, stdout=subprocess.DEVNULL)
        acknowledged = time.monotonic() - began
        sink.wait(120)
        return acknowledged, time.monotonic() - began
    finally:
        sink.kill()
        sink.wait()


def test_throughput(folder):
    a = arguments()
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    net.start_postfix()
    lab.Postern(net, net.postern_conf("smtpd { max-sessions-per-client = 1000 }\nrouter { relay-clients = {\"10.77.0.0/16\", \"127.0.0.0/8\"} }\n"))
    for server in (POSTERN, POSTFIX):       # caches, and the first processes
        one_round(server, argparse.Namespace(messages=100, sessions=a.sessions, size=a.size))
    rows = []
    for n in range(a.rounds):
        pair = [one_round(server, a) for server in ((POSTERN, POSTFIX) if n % 2 == 0 else (POSTFIX, POSTERN))]
        ours, theirs = pair if n % 2 == 0 else reversed(pair)
        rows.append((ours, theirs))
        print(f"# round {n + 1}: acknowledged {a.messages / ours[0]:.0f}/s beside {a.messages / theirs[0]:.0f}/s, "
              f"arrived {a.messages / ours[1]:.0f}/s beside {a.messages / theirs[1]:.0f}/s", flush=True)
    for what, i in (("acknowledged", 0), ("arrived", 1)):
        ratios = sorted(theirs[i] / ours[i] for ours, theirs in rows)
        print(f"# {what}: {statistics.median(ratios):.2f} times Postfix (from {ratios[0]:.2f} to {ratios[-1]:.2f}; "
              f"{a.messages} messages of {a.size} bytes, {a.sessions} sessions)", flush=True)


lab.main(globals())
