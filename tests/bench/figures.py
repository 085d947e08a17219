"""The figures. Each is a function that yields rows while it measures; README.md tells what they mean."""
import statistics
import subprocess
import time

from lab.hosts import SINK, tool

import measure
import servers as both_servers

FIGURES = {}


def figure(name, what):
    def remember(f):
        FIGURES[name] = (f, what)
        return f
    return remember


class Options:
    """How long and how often."""

    def __init__(self, smoke=False, rounds=5, seconds=4.0, detail=False):
        self.smoke = smoke
        self.rounds = 2 if smoke else rounds
        self.seconds = 0.1 if smoke else seconds
        self.detail = detail

    def some(self, n, least):
        return least if self.smoke else n


def say(words):
    print(f"  {words}", flush=True)


# --- load ---

def source(address, sessions, messages, to, kept=False, size=4096):
    """Sends and returns the seconds until the last message was acknowledged and the last session has ended."""
    argv = [tool("smtp-source"), "-s", str(sessions), "-m", str(messages), "-l", str(size), "-f", "sender@client.test",
            "-t", to, "-S", "bench"]
    began = time.monotonic()
    subprocess.run(argv + (["-d"] if kept else []) + [f"inet:{address}:25"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


class CountingSink:
    """Takes so many messages and ends."""

    def __init__(self, messages):
        self.child = subprocess.Popen([tool("smtp-sink"), "-u", "root", "-M", str(messages), f"{SINK}:25", "1024"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)

    def wait(self, seconds=300):
        self.child.wait(seconds)

    def stop(self):
        self.child.kill()
        self.child.wait()


# --- rounds ---

def alternate(servers, rounds, one, show):
    """ABAB, the first of each round changing: {name: [result of one(server)]}."""
    results = {s.name: [] for s in servers}
    for n in range(rounds):
        for s in servers if n % 2 == 0 else servers[::-1]:
            results[s.name].append(one(s))
        say(f"round {n + 1} of {rounds}: " + show({k: v[-1] for k, v in results.items()}))
    return results


def compare(what, unit, ours, theirs, more_is_better, target=None):
    """A row: medians, and the median of the ratios of each round."""
    ratios = sorted((a / b if more_is_better else b / a) if a and b else 0.0 for a, b in zip(ours, theirs))
    return {"what": what, "unit": unit, "postern": statistics.median(ours), "postfix": statistics.median(theirs),
            "ratio": statistics.median(ratios), "ratio_least": ratios[0], "ratio_most": ratios[-1], "target": target,
            "postern_all": ours, "postfix_all": theirs}


def rate_and_cpu(servers, o, send, prepare=lambda s: None, what="accepted", targets=(None, None)):
    """Rows for messages a second and CPU a message. send(server, messages) returns the seconds that count."""
    counts = {}
    for s in servers:
        prepare(s)
        n = o.some(300, 100)
        send(s, n)                              # caches, and the first processes
        counts[s.name] = max(int(n / send(s, n) * o.seconds), o.some(500, 100))

    def one(s):
        prepare(s)
        n = counts[s.name]
        before = sum(measure.cpu(s.root))
        seconds = send(s, n)
        return n / seconds, (sum(measure.cpu(s.root)) - before) / n

    r = alternate(servers, o.rounds, one, lambda r: ", ".join(f"{k} {v[0]:.0f}/s {v[1] * 1e6:.0f} us CPU" for k, v in r.items()))
    ours, theirs = r["postern"], r["postfix"]
    yield compare(what, "messages/s", [a for a, _ in ours], [a for a, _ in theirs], True, targets[0])
    yield compare("CPU a message", "us", [b * 1e6 for _, b in ours], [b * 1e6 for _, b in theirs], False, targets[1])


@figure("accept", "accept-only, 4 KB, 100 sessions, one message a session")
def accept(folder, o):
    s = both_servers.both(folder, held=True)
    yield from rate_and_cpu(s, o, lambda s, n: source(s.address, 100, n, "r@held.test"), targets=("4", "6"))


@figure("kept", "accept-only, 4 KB, 100 kept sessions")
def kept(folder, o):
    s = both_servers.both(folder, held=True)
    yield from rate_and_cpu(s, o, lambda s, n: source(s.address, 100, n, "r@held.test", kept=True), targets=("6", "6"))


def relay(folder, o, sessions):
    def send(s, n):
        sink = CountingSink(n)
        try:
            began = time.monotonic()
            source(s.address, sessions, n, "r@sink.test")
            sink.wait()
            return time.monotonic() - began
        finally:
            sink.stop()
    s = both_servers.both(folder)
    yield from rate_and_cpu(s, o, send, what="arrived", targets=("4", "6"))


@figure("relay-20", "relay to a sink, 4 KB, 20 sessions, until the last has arrived")
def relay20(folder, o):
    yield from relay(folder, o, 20)


@figure("relay-100", "relay to a sink, 4 KB, 100 sessions, until the last has arrived")
def relay100(folder, o):
    yield from relay(folder, o, 100)


# --- system calls ---

def calls_a_message(servers, o, what, target, sessions, n, block):
    """Counted twice, with n and 2n messages: the difference is what messages cost, without what a run costs once."""
    totals, rows = {}, {}
    for s in servers:
        block(s, o.some(200, 20))
        one = measure.count_system_calls(s.root, lambda: block(s, n))
        two = measure.count_system_calls(s.root, lambda: block(s, 2 * n))
        totals[s.name] = (sum(two.values()) - sum(one.values())) / n
        rows[s.name] = sorted((((two[k] - one[k]) / n, *k) for k in two | one), reverse=True)
        say(f"{what}: {s.name} {totals[s.name]:.1f}")
    row = {"what": what, "unit": "calls", "postern": totals["postern"], "postfix": totals["postfix"],
           "ratio": totals["postfix"] / totals["postern"] if totals["postern"] else 0.0, "target": target,
           "detail": {k: [[f"{n:.2f}", comm, call] for n, comm, call in v if abs(n) >= 0.005] for k, v in rows.items()}}
    if o.detail:
        for k, v in row["detail"].items():
            say(f"{what}, {k}: calls a message, process, call")
            for n, comm, call in v[:60]:
                say(f"  {n:>7}  {comm:<16} {call}")
    yield row


@figure("syscalls", "system calls a message, over all processes")
def syscalls(folder, o):
    s = both_servers.both(folder, held=True)
    n = o.some(2000, 100)
    for sessions in (1, 100):
        yield from calls_a_message(s, o, f"accepted, {sessions} kept session{'s' if sessions > 1 else ''}", "<=45", sessions, n,
                                   lambda s, n: source(s.address, sessions, n, "r@held.test", kept=True))


@figure("syscalls-relay", "system calls a relayed message, over all processes")
def syscalls_relay(folder, o):
    s = both_servers.both(folder)
    n = o.some(1000, 100)

    for sessions in (1, 20):
        def send(s, n):
            sink = CountingSink(n)
            try:
                source(s.address, sessions, n, "r@sink.test", kept=True)
                sink.wait()
                time.sleep(0.5)
            finally:
                sink.stop()
        yield from calls_a_message(s, o, f"relayed, {sessions} kept session{'s' if sessions > 1 else ''}", "<=90", sessions, n, send)
