"""The figures. Each is a function that yields rows while it measures; README.md tells what they mean."""
import os
import re
import select
import socket
import statistics
import subprocess
import time

from lab.hosts import SINK, tool
from lab.tap import Failed, wait_for

import flood
import lab
import load
import measure
import servers
from load import send

FIGURES = {}
PROFILES = ("accept", "kept", "relay-20", "relay-100")
CONTENT = 4096      # bytes of a message


def figure(name, what):
    def remember(f):
        FIGURES[name] = (f, what)
        return f
    return remember


class Options:
    """How long and how often."""

    def __init__(self, smoke=False, rounds=5, seconds=4.0, detail=False, profile=False):
        self.smoke = smoke
        self.rounds = 1 if smoke else rounds
        self.seconds = 0.1 if smoke else seconds
        self.detail = detail
        self.profile = profile

    def some(self, n, least):
        return least if self.smoke else n


def say(words):
    print(f"  {words}", flush=True)


# --- rounds and rows ---

def alternate(contenders, rounds, one, show):
    """ABAB, the first of each round changing: {name: [result of one(contender)]}."""
    results = {c.name: [] for c in contenders}
    for n in range(rounds):
        for c in contenders if n % 2 == 0 else contenders[::-1]:
            results[c.name].append(one(c))
            c.quiet()
        say(f"round {n + 1} of {rounds}: " + ", ".join(f"{k} {show(v[-1])}" for k, v in results.items()))
    return results


def compare(what, unit, ours, theirs, more_is_better=False, target=None, machine=None):
    """A row: medians, and the median of the ratios of each round. A ratio above 1 is in Postern's favour."""
    row = {"what": what, "unit": unit, "postern": statistics.median(ours), "target": target, "postern_all": ours}
    if theirs:
        row.update(postfix=statistics.median(theirs), postfix_all=theirs)
        pairs = [a / b if more_is_better else b / a for a, b in zip(ours, theirs) if a and b]
        if pairs:
            row.update(ratio=statistics.median(pairs), ratio_least=min(pairs), ratio_most=max(pairs))
    if machine:
        row.update(machine=statistics.median(machine), machine_all=machine)
    return row


def machine_row(what, unit, values):
    return {"what": what, "unit": unit, "machine": statistics.median(values), "machine_all": values}


class Straight:
    """No server: the load goes to the sink itself. What the load tools and the loopback device allow."""
    name = "straight"
    address = SINK
    root = None

    def quiet(self):
        pass


def rate_and_cpu(contenders, o, one_run, what="accepted", targets=(None, None)):
    """Rows for messages a second and CPU a message. one_run(contender, messages) returns the seconds that count."""
    if o.profile:
        yield profile_row(contenders[0], o, one_run)
        return
    counts = {}
    for c in contenders:
        n = o.some(500, 20)
        one_run(c, n)                           # caches, and the first processes
        counts[c.name] = max(int(n / one_run(c, n) * o.seconds), o.some(500, 40))
        c.quiet()

    def one(c):
        n = counts[c.name]
        before = sum(measure.cpu(c.root)) if c.root else 0
        seconds = one_run(c, n)
        return n / seconds, (sum(measure.cpu(c.root)) - before) / n * 1e6 if c.root else 0

    r = alternate(contenders, o.rounds, one, lambda v: f"{v[0]:.0f}/s" + (f" {v[1]:.0f} us CPU" if v[1] else ""))
    rates = {k: [a for a, _ in v] for k, v in r.items()}
    cpus = {k: [b for _, b in v] for k, v in r.items()}
    yield compare(what, "messages/s", rates["postern"], rates["postfix"], True, targets[0], rates.get("straight"))
    yield compare("CPU a message", "us", cpus["postern"], cpus["postfix"], False, targets[1])


def profile_row(server, o, one_run):
    """Where the processor time goes, room by room, over the time of all rounds."""
    n = o.some(500, 20)
    one_run(server, n)
    n = max(int(n / one_run(server, n) * o.seconds * o.rounds), n)
    rooms = measure.profile(server.root, lambda: one_run(server, n))
    for room, (share, symbols) in rooms.items():
        kernel = sum(part for part, _, where in symbols if where == "kernel")
        say(f"{room}: {share:.1f} % of all samples; of its topmost {len(symbols)} symbols {kernel:.0f} % are in the kernel")
        for part, symbol, where in symbols[:15]:
            say(f"  {part:5.1f} %  {symbol:<44} {where}")
    return {"what": f"profile of {n} messages", "unit": "", "detail": rooms}


# --- accepting ---

def accept_only(folder, o, kept, mode, targets=(None, None)):
    pair = servers.both(folder, mode, o.smoke)
    sink = load.Sink()
    try:
        yield from rate_and_cpu(pair + [Straight()], o, lambda s, n: send(s.address, 100, n, "r@held.test", kept=kept),
                                targets=targets)
    finally:
        sink.stop()


@figure("accept", "accept-only, 4 KB, 100 sessions, one message a session")
def accept(folder, o):
    yield from accept_only(folder, o, False, servers.DEFER, (">=5", ">=8"))


@figure("accept-hold", "the same, with Postfix's hold queue: not even its queue manager sees the mail")
def accept_hold(folder, o):
    yield from accept_only(folder, o, False, servers.HOLD)


@figure("kept", "accept-only, 4 KB, 100 kept sessions")
def kept_sessions(folder, o):
    yield from accept_only(folder, o, True, servers.DEFER, (">=8", ">=8"))


@figure("kept-hold", "the same, with Postfix's hold queue")
def kept_hold(folder, o):
    yield from accept_only(folder, o, True, servers.HOLD)


# --- relaying ---

def relay_run(sessions, kept=False):
    def run(s, n):
        sink = load.Sink(n)
        try:
            began = time.monotonic()
            send(s.address, sessions, n, "r@sink.test", kept=kept)
            return sink.wait() - began
        finally:
            sink.stop()
    return run


def relay(folder, o, sessions):
    contenders = servers.both(folder, servers.RELAY, o.smoke) + [Straight()]
    yield from rate_and_cpu(contenders, o, relay_run(sessions), what="arrived", targets=(">=4", ">=6"))


@figure("relay-20", "relay to a sink, 4 KB, 20 sessions, until the last has arrived")
def relay_20(folder, o):
    yield from relay(folder, o, 20)


@figure("relay-100", "relay to a sink, 4 KB, 100 sessions, until the last has arrived")
def relay_100(folder, o):
    yield from relay(folder, o, 100)


# --- one message at a time ---

def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


@figure("latency", "one message at a time: end of data to 250, and 250 to arrival at the sink")
def latency(folder, o):
    pair = servers.both(folder, servers.RELAY, o.smoke)
    n = o.some(200, 10)
    sent_file, came_file = os.path.join(folder, "sent"), os.path.join(folder, "came")

    def one(s):
        sink = load.Sink(n, records=came_file)
        try:
            send(s.address, 1, n, "r@sink.test", kept=True, records=sent_file, pause=o.some(20, 5))
            sink.wait()
        finally:
            sink.stop()
        came = dict(load.records(came_file, 2))
        rows = load.records(sent_file, 3)
        taken = [(acknowledged - sent) / 1e6 for _, sent, acknowledged in rows]
        # A message may arrive before its client has read the 250: then it took no time.
        passed = [max(0, came[number] - acknowledged) / 1e6 for number, _, acknowledged in rows if number in came]
        return [percentile(taken, 50), percentile(taken, 99), percentile(passed, 50), percentile(passed, 99)]

    for s in pair:
        one(s)
    r = alternate(pair, o.rounds, one, lambda v: " ".join(f"{x:.2f}" for x in v) + " ms")
    for i, (what, target) in enumerate((("end of data to 250, p50", ">=1"), ("end of data to 250, p99", None),
                                        ("250 to arrival, p50", ">=1"), ("250 to arrival, p99", None))):
        yield compare(what, "ms", [v[i] for v in r["postern"]], [v[i] for v in r["postfix"]], False, target)


# --- memory ---

@figure("idle", "memory of an idle plain connection: PSS of all processes")
def idle(folder, o):
    pair = servers.both(folder, servers.DEFER, o.smoke)
    many = {"postern": o.some(10000, 100), "postfix": o.some(200, 10)}

    def one(s):
        s.stop()
        s.start()
        send(s.address, 10, 50, "r@held.test")          # libraries, caches, and what each process does once
        time.sleep(0.5)
        before = measure.pss_of_tree(s.root)
        held = load.Idle(s.address, many[s.name])
        try:
            time.sleep(1)
            return (measure.pss_of_tree(s.root) - before) / many[s.name] / 1024
        finally:
            held.close()

    r = alternate(pair, o.rounds, one, lambda v: f"{v:.2f} KiB")
    yield compare(f"{many['postern']} connections (Postfix: {many['postfix']})", "KiB", r["postern"], r["postfix"], False, "<=16")


@figure("idle-tls", "memory of an idle TLS connection: PSS of all processes")
def idle_tls(folder, o):
    server, _ = servers.both(folder, servers.DEFER, o.smoke)
    many, grown = o.some(5000, 50), []

    for _ in range(o.rounds):
        server.stop()
        server.start()
        warm = load.Idle(server.address, 10, tls=True)  # libraries, caches, and what each process does once
        warm.close()
        time.sleep(0.5)
        before = measure.pss_of_tree(server.root)
        held = load.Idle(server.address, many, tls=True)
        time.sleep(1)
        grown.append((measure.pss_of_tree(server.root) - before) / many / 1024)
        held.close()
    yield compare(f"{many} connections", "KiB", grown, None, False, "<=64")


MIB = 1 << 20


class Peak:
    """The most that each process below a server's master has had, beyond what it had at first."""

    def __init__(self, root):
        self.root = root
        self.first = self.now()
        self.most = {}
        self.most_of = {}

    def now(self):
        found = {}
        for pid, name in measure.tree(self.root).items():
            found[pid] = (name, measure.pss(pid))
        return found

    def look(self):
        sums = {}
        for pid, (name, pss) in self.now().items():
            grown = pss - self.first.get(pid, (name, 0))[1]
            self.most[pid] = max(self.most.get(pid, (0, name)), (grown, name))
            sums[name] = sums.get(name, 0) + pss
        for name, pss in sums.items():
            self.most_of[name] = max(self.most_of.get(name, 0), pss)

    def grown(self):
        """(MiB, name) of the process that has grown most."""
        by, name = max(self.most.values(), default=(0, ""))
        return by / MIB, name


@figure("large", "memory while large messages are under way")
def large(folder, o):
    pair = servers.both(folder, servers.RELAY, o.smoke)
    every = 0.05 if o.smoke else 0.25
    size = o.some(1 << 30, 1 << 20)

    def one(s):
        sink = load.Sink(messages=1)
        try:
            load.Large(s.address, 1, MIB, "r@sink.test").run(every, lambda: None)     # the session, and what it does once
            sink.wait()
        finally:
            sink.stop()
        peak = Peak(s.root)
        sink = load.Sink(messages=1)
        try:
            seconds = load.Large(s.address, 1, size, "r@sink.test").run(every, peak.look)
            end = time.monotonic() + 120
            while not select.select([sink.child.stdout], [], [], every)[0]:
                peak.look()
                if time.monotonic() > end:
                    raise Failed(f"{s.name} does not relay {size} bytes")
        finally:
            sink.stop()
        return (*peak.grown(), size / MIB / seconds)

    r = alternate(pair, min(o.rounds, 3), one, lambda v: f"{v[0]:.2f} MiB ({v[1]}), {v[2]:.0f} MiB/s")
    yield compare(f"one message of {size // MIB} MiB, taken and relayed: the process that grew most", "MiB",
                  *[[v[0] for v in r[k]] for k in ("postern", "postfix")], False, "<=1")
    yield compare("the same: how fast it was taken", "MiB/s", *[[v[2] for v in r[k]] for k in ("postern", "postfix")], True)

    sessions, size = o.some(200, 10), o.some(25 << 20, 1 << 18)
    server_names = {"postern": ("postern-smtpd", "postern-queue"), "postfix": ("smtpd", "cleanup")}

    def many(s):
        peak = Peak(s.root)
        load.Large(s.address, sessions, size, "r@held.test").run(every, peak.look)
        return [peak.most_of.get(name[:15], 0) / MIB for name in server_names[s.name]]

    r = alternate(pair, 1, many, lambda v: f"{v[0]:.1f} and {v[1]:.1f} MiB")
    yield compare(f"{sessions} messages of {size / MIB:g} MiB at once: all of smtpd", "MiB",
                  *[[v[0] for v in r[k]] for k in ("postern", "postfix")], False, "<=64")
    yield compare("the same: queue (Postfix: cleanup)", "MiB", *[[v[1] for v in r[k]] for k in ("postern", "postfix")])


# --- TLS ---

def handshakes_beside_postfix(pair, o, kind, resume):
    """Rows for TLS 1.3 handshakes behind STARTTLS: a second, and CPU of all processes of the server for each."""
    counts = {}
    for s in pair:
        n = o.some(200, 16)
        counts[s.name] = max(int(n / load.shake(s.address, n, resume=resume)[0] * o.seconds), o.some(400, 16))

    def one(s):
        n = counts[s.name]
        before = sum(measure.cpu(s.root))
        seconds, resumed = load.shake(s.address, n, resume=resume)
        if resume and resumed < n - load.SHAKERS:     # all but the first of each process
            raise Failed(f"{s.name}: {resumed} of {n} handshakes were resumed")
        return n / seconds, (sum(measure.cpu(s.root)) - before) / n * 1e6

    r = alternate(pair, o.rounds, one, lambda v: f"{v[0]:.0f}/s {v[1]:.0f} us")
    how = f"{kind}, resumed" if resume else f"{kind}, full"
    yield compare(how, "a second", *[[a for a, _ in r[k]] for k in ("postern", "postfix")], True, ">=2" if resume else ">=1.3")
    yield compare(f"{how}: CPU", "us", *[[b for _, b in r[k]] for k in ("postern", "postfix")], False,
                  None if resume else ">=1.43")


def vault_beside_process(kind, o):
    """A row: with the key in the vault, and (as *machine*) with the key in the server's own process."""
    clients, number = 16, o.some(2000, 50)
    argv = [load.tool_path("handshakes"), kind, str(number), str(o.rounds), str(clients)]
    r = subprocess.run(argv, capture_output=True, text=True)
    rounds = re.findall(r"^round .*in process (\d+)/s (\d+) us, vault (\d+)/s (\d+) us", r.stdout, re.M)
    if r.returncode != 0 or not rounds:
        raise Failed(f"handshakes: {r.stderr.strip()}")
    alone, alone_cpu, vault, vault_cpu = ([float(x[i]) for x in rounds] for i in range(4))
    for what, unit, with_it, without, target in (
            (f"{kind}: vault beside in process", "a second", vault, alone, ">=0.85"),
            (f"{kind}: the same, CPU", "us", vault_cpu, alone_cpu, None)):
        ratios = [a / b if unit == "a second" else b / a for a, b in zip(with_it, without)]
        say(f"{what}: {statistics.median(with_it):.0f} beside {statistics.median(without):.0f} {unit}")
        row = compare(what, unit, with_it, None, target=target, machine=without)
        row.update(ratio=statistics.median(ratios), ratio_least=min(ratios), ratio_most=max(ratios))
        yield row


@figure("handshakes", "TLS 1.3 handshakes: the vault beside a key in the process, and Postern beside Postfix")
def handshakes(folder, o):
    names = {"rsa:2048": "RSA", "ec": "P-256"}
    for name in names.values():
        yield from vault_beside_process(name, o)
    for name, pair in zip(names.values(), servers.with_tls(folder, names)):
        yield from handshakes_beside_postfix(pair, o, name, False)
        yield from handshakes_beside_postfix(pair, o, name, True)


# --- hostile clients ---

def whole_transactions(address, source, seconds, to="r@held.test"):
    """One client of this source, one connection a message, for so long: seconds of each, and how many were refused."""
    times, refused = [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            code = lab.send(address, "good@client.test", [to], lab.message(len(times), 1000), source=source)[0]
        except (OSError, EOFError, Failed):
            code = "421"
        if code == "250":
            times.append(time.monotonic() - began)
        else:
            refused += 1
        time.sleep(0.1)     # it has no more connections than one network may
    return times, refused


@figure("flood", "a good client, and listed peers, among slow and hostile connections")
def flood_of_foes(folder, o):
    n = o.some(20000, 200)
    postern = servers.flooded(folder)
    lab.send(postern.address, "good@client.test", ["alice@postern.test"], lab.message(0, 1000), source=servers.GOOD)
    calm_times, _ = whole_transactions(postern.address, servers.GOOD, o.some(5, 1), "alice@postern.test")
    peer_rates(postern, o, 1)
    calm = peer_rates(postern, o, o.rounds)
    # The same attack on a server that does nothing: what it takes of the machine, whoever is attacked.
    deaf = flood.Deaf(servers.DEAF)
    foes = flood.Flood(deaf.address, n)
    try:
        foes.wait()
        elsewhere = peer_rates(postern, o, o.rounds)
    finally:
        foes.stop()
        deaf.stop()
    time.sleep(1)
    calm += peer_rates(postern, o, o.rounds)
    foes = flood.Flood(postern.address, n)
    try:
        foes.wait()
        time.sleep(o.some(5, 0.1))
        times, refused, during = [], 0, []
        spent, began, its_own = measure.cpu_by_name(postern.root), time.monotonic(), foes.cpu()
        for _ in range(o.rounds):
            during += peer_rates(postern, o, 1)
        for _ in range(o.rounds):
            a, b = whole_transactions(postern.address, servers.GOOD, o.some(3, 1), "alice@postern.test")
            times += a
            refused += b
        say(f"good client: {len(times)} transactions, {refused} refused")
        seconds = time.monotonic() - began
        say("CPU, % of one processor: hostile clients " + f"{100 * (foes.cpu() - its_own) / seconds:.0f}, " + ", ".join(
            f"{k} {100 * (v - spent.get(k, 0)) / seconds:.0f}" for k, v in sorted(measure.cpu_by_name(postern.root).items())))
        sessions = len(postern.ss())
    finally:
        did = foes.stop()
    say("the hostile made {} connections; {} were closed on them; {} handshakes, {} guesses were answered".format(*did))
    times.sort()
    calm_times.sort()
    loss, least = (100 * (1 - statistics.median(r) / statistics.median(calm)) for r in (during, elsewhere))
    yield compare(f"good client, p99 of a transaction, {n} hostile ({sessions} connected)", "ms",
                  [times[int(len(times) * 0.99)] * 1000], None, False, "<2000")
    yield compare("the same before them", "ms", [calm_times[int(len(calm_times) * 0.99)] * 1000], None)
    yield compare("transactions of it that were refused", "%", [100 * refused / (refused + len(times))], None)
    yield compare("loss of listed peers' rate; machine: when others are attacked", "%", [loss], None, False, "<20", [least])


@figure("attack", "the same hostile connections, and nobody else: processor time of the rooms")
def attack_alone(folder, o):
    postern = servers.flooded(folder)
    lab.send(postern.address, "good@client.test", ["alice@postern.test"], lab.message(0, 1000), source=servers.GOOD)
    foes = flood.Flood(postern.address, o.some(20000, 200))
    try:
        foes.wait()
        time.sleep(o.some(5, 0.1))
        before, began, its_own = measure.cpu_by_name(postern.root), time.monotonic(), foes.cpu()
        time.sleep(o.rounds * o.some(4, 0.1))
        after, seconds = measure.cpu_by_name(postern.root), time.monotonic() - began
        its_own = foes.cpu() - its_own
    finally:
        foes.stop()
    for name in sorted(after):
        spent = 100 * (after[name] - before.get(name, 0)) / seconds
        if spent >= 0.5:
            yield compare(name, "% of one processor", [spent], None, False)
    yield compare("hostile clients", "% of one processor", [100 * its_own / seconds], None, False)


def peer_rates(postern, o, rounds):
    """Messages a second of a listed peer with 20 sessions, a message each."""
    n = o.some(3000, 40)
    rates = [n / send(postern.address, 20, n, "r@held.test") for _ in range(rounds)]
    say("listed peers: " + ", ".join(f"{r:.0f}/s" for r in rates))
    return rates


# --- what the disk is asked ---

class Disk:
    """An ext4 of its own on a loop device, so that nobody else's writes are in its counters."""

    def __init__(self, folder, size):
        self.image, self.folder = os.path.join(folder, "disk.img"), os.path.join(folder, "disk")
        os.mkdir(self.folder)
        with open(self.image, "wb") as f:
            f.truncate(size)
        subprocess.run([tool("mkfs.ext4"), "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image], check=True)
        subprocess.run(["mount", "-o", "loop", self.image, self.folder], check=True)
        source = subprocess.run(["findmnt", "-n", "-o", "SOURCE", self.folder], check=True, capture_output=True, text=True)
        self.stat = f"/sys/block/{os.path.basename(source.stdout.strip())}/stat"
        os.chmod(self.folder, 0o755)

    def written(self):
        with open(self.stat) as f:
            return int(f.read().split()[6]) * 512


@figure("syncs", "waits for the disk and bytes written, for each accepted message")
def syncs(folder, o):
    disk = Disk(folder, o.some(4 << 30, 1 << 30))
    pair = servers.both(disk.folder, servers.DEFER)
    for sessions, n, target in ((100, o.some(5000, 200), "<=0.1"), (1, o.some(500, 20), "1")):
        counts, bytes_asked, bytes_seen = {}, {}, {}

        def one(s):
            subprocess.run(["sync", "-f", disk.folder], check=True)
            before = measure.written(s.root), disk.written()
            found = measure.count_syncs(s.root, lambda: (send(s.address, sessions, n, "r@held.test", kept=True), s.quiet()))
            asked = measure.written(s.root) - before[0]
            subprocess.run(["sync", "-f", disk.folder], check=True)     # what Postfix leaves to the kernel counts too
            return sum(found.values()) / n, asked / n / CONTENT, (disk.written() - before[1]) / n / CONTENT

        for s in pair:
            one(s)
            s.quiet()
        r = alternate(pair, o.rounds, one, lambda v: f"{v[0]:.3f} syncs, {v[1]:.2f} and {v[2]:.2f} times the content")
        for k, v in r.items():
            counts[k], bytes_asked[k], bytes_seen[k] = zip(*v)
        s = f"{sessions} session{'s' if sessions > 1 else ''}"
        yield compare(f"syncs, {s}", "a message", list(counts["postern"]), list(counts["postfix"]), False, target)
        yield compare(f"bytes written, {s}", "x content", list(bytes_asked["postern"]), list(bytes_asked["postfix"]), False,
                      "<=1.6" if sessions > 1 else None)
        yield compare(f"seen by the disk, {s}", "x content", list(bytes_seen["postern"]), list(bytes_seen["postfix"]))


# --- system calls ---

def calls_a_message(pair, o, what, target, n, block):
    """Counted twice, with n and 3n messages: the difference is what messages cost, without what a run costs once."""
    totals, rows = {}, {}
    for s in pair:
        def run(n):
            block(s, n)
            s.quiet()
        run(n)
        one = measure.count_system_calls(s.root, lambda: run(n))
        more = measure.count_system_calls(s.root, lambda: run(3 * n))
        totals[s.name] = (sum(more.values()) - sum(one.values())) / n / 2
        rows[s.name] = sorted((((more[k] - one[k]) / n / 2, *k) for k in more | one), reverse=True)
        say(f"{what}: {s.name} {totals[s.name]:.1f}")
    row = compare(what, "calls", [totals["postern"]], [totals["postfix"]], False, target)
    row["detail"] = {k: [[round(c, 3), comm, call] for c, comm, call in v if abs(c) >= 0.005] for k, v in rows.items()}
    if o.detail:
        for k, v in row["detail"].items():
            say(f"{what}, {k}: calls a message, process, call")
            for c, comm, call in v[:80]:
                say(f"  {c:7.2f}  {comm:<16} {call}")
    return row


@figure("syscalls", "system calls for an accepted 4 KB message, over all processes")
def syscalls(folder, o):
    pair = servers.both(folder, servers.DEFER, o.smoke)
    for sessions in o.some((1, 100), (1,)):
        yield calls_a_message(pair, o, f"accepted, {sessions} kept", "<=45", o.some(1000, 15),
                              lambda s, n: send(s.address, sessions, n, "r@held.test", kept=True))
    if o.smoke:
        return
    yield calls_a_message(pair, o, "accepted, one a session", None, 1000,
                          lambda s, n: send(s.address, 100, n, "r@held.test"))
    yield calls_a_message(pair, o, "accepted, 1 kept, pipelining", None, 1000,
                          lambda s, n: send(s.address, 1, n, "r@held.test", kept=True, pipeline=True))


@figure("syscalls-hold", "the same, with Postfix's hold queue")
def syscalls_hold(folder, o):
    pair = servers.both(folder, servers.HOLD, o.smoke)
    for sessions in o.some((1, 100), (1,)):
        yield calls_a_message(pair, o, f"accepted, {sessions} kept", "<=45", o.some(1000, 15),
                              lambda s, n: send(s.address, sessions, n, "r@held.test", kept=True))


@figure("syscalls-relay", "system calls for a relayed 4 KB message, over all processes")
def syscalls_relay(folder, o):
    pair = servers.both(folder, servers.RELAY, o.smoke)
    for sessions in o.some((1, 20, 100), (1,)):
        run = relay_run(sessions, kept=True)

        def block(s, n):
            run(s, n)
            time.sleep(0.3)     # results are still being written down

        yield calls_a_message(pair, o, f"relayed, {sessions} kept", "<=90", o.some(1000, 15), block)


# --- backlogs ---

@figure("drain", "a deferred backlog for 200 destinations, until the last of it has arrived")
def drain(folder, o):
    pair = servers.both(folder, servers.DEFER, o.smoke)
    counts = {"postern": o.some(20000, 400), "postfix": o.some(4000, 100)}

    def one(s):
        n = counts[s.name]
        s.mode(servers.DEFER)
        send(s.address, 100, n, "r@held.test", kept=True, domains=servers.DOMAINS)
        s.settle(n)
        sink = load.Sink(n, where=servers.HELD + ":25")
        try:
            began = time.monotonic()
            s.mode(servers.RELAY)
            s.retry()
            return n / (sink.wait() - began)
        finally:
            sink.stop()

    r = alternate(pair, o.rounds, one, lambda v: f"{v:.0f}/s")
    yield compare(f"{counts['postern']} messages (Postfix: {counts['postfix']})", "messages/s", r["postern"], r["postfix"], True)


def first_accepted(address, seconds=60):
    """Tries until a message is accepted."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection((address, 25), 5) as c:
                f = c.makefile("rwb")

                def command(line, expected):
                    if line:
                        f.write(line)
                        f.flush()
                    while (reply := f.readline())[3:4] == b"-":
                        pass
                    if not reply.startswith(expected):
                        raise ConnectionError(reply)
                command(b"", b"2")
                for line, expected in ((b"EHLO client.test\r\n", b"2"), (b"MAIL FROM:<s@client.test>\r\n", b"2"),
                                       (b"RCPT TO:<r@held.test>\r\n", b"2"), (b"DATA\r\n", b"3"),
                                       (b"Subject: first\r\n\r\nafter a restart\r\n.\r\n", b"2")):
                    command(line, expected)
                return
        except OSError:
            time.sleep(0.001)
    raise Failed(f"{address} accepts nothing for {seconds} s after a restart")


@figure("restart", "restart with a backlog: from the start of the program to the first accepted message")
def restart(folder, o):
    pair = servers.both(folder, servers.DEFER, o.smoke)
    counts = {"postern": o.some(100000, 500), "postfix": o.some(5000, 100)}
    sizes = {"pss": [], "rss": [], "settled": []}
    for s in pair:
        send(s.address, 100, counts[s.name], "r@held.test", kept=True, domains=servers.DOMAINS)
        say(f"{s.name} has {s.queued()} messages")

    def one(s):
        s.stop()
        began = time.monotonic()
        s.start(wait=False)
        first_accepted(s.address)
        took = time.monotonic() - began
        if s.name == "postern":
            pid = s.server.pids("queue")[0]
            sizes["pss"].append(measure.pss(pid) / 1048576)
            time.sleep(o.some(3, 0.2))
            sizes["settled"].append(measure.pss(pid) / 1048576)
            sizes["rss"].append(measure.rss(pid) / 1048576)
        return took * 1000

    r = alternate(pair, o.rounds, one, lambda v: f"{v:.0f} ms")
    if pair[0].queued() < counts["postern"]:
        raise Failed(f"Postern's backlog has shrunk to {pair[0].queued()}")
    yield compare(f"{counts['postern']} queued (Postfix: {counts['postfix']})", "ms", r["postern"], r["postfix"], False, "<=1000")
    yield compare("PSS of the queue room then", "MiB", sizes["pss"], None, target="<=40")
    yield compare("PSS of it 3 s later", "MiB", sizes["settled"], None, target="<=40")
    yield compare("RSS of it 3 s later", "MiB", sizes["rss"], None)


# --- a peer that hangs ---

@figure("hang", "a peer that accepts 500 connections and never greets: what it costs the rate to others")
def hang(folder, o):
    pair = servers.both(folder, servers.RELAY, o.smoke)
    run = relay_run(20)
    destinations = o.some(servers.HANGING_DOMAINS, 2)
    connections = destinations * 20         # as many as each server opens at first to one destination
    counts = {}
    for s in pair:
        run(s, o.some(500, 50))
        counts[s.name] = max(int(o.some(500, 50) / run(s, o.some(500, 50)) * o.seconds), o.some(500, 50))
    rounds = {s.name: 0 for s in pair}

    def hanging(s):
        return measure.connections(servers.HANGING, s.address)

    def rate(s):
        before = sum(measure.cpu(s.root))
        n = counts[s.name]
        seconds = run(s, n)
        return n / seconds, (sum(measure.cpu(s.root)) - before) / n * 1e6

    def with_peer(s):
        peer = load.Sink(where=servers.HANGING + ":25/hang")
        try:
            # A destination that hung once gets fewer sessions the next time: each round has its own.
            send(s.address, 20, connections * 2, f"r@k{rounds[s.name]}.hanging.test", kept=True, domains=destinations)
            rounds[s.name] += 1
            wait_for(lambda: hanging(s) >= connections, f"{s.name} to hang in {connections} connections", 120)
            time.sleep(0.5)
            result = rate(s)
            if hanging(s) < connections:
                raise Failed(f"{s.name} hangs in {hanging(s)} connections only")
            return result
        finally:
            peer.stop()
            wait_for(lambda: hanging(s) == 0, "the connections to be gone")
            time.sleep(0.5)

    def one(s):
        # Which comes first changes: the machine's mood must not look like a cost.
        one.turn += 1
        if one.turn % 4 < 2:
            without, with_it = rate(s), with_peer(s)
        else:
            with_it, without = with_peer(s), rate(s)
        return [(1 - with_it[0] / without[0]) * 100, (with_it[1] / without[1] - 1) * 100, without[0], with_it[0]]
    one.turn = 0

    r = alternate(pair, min(o.rounds, servers.HANGING_ROUNDS), one,
                  lambda v: f"{v[2]:.0f}/s without, {v[3]:.0f}/s with it, {v[1]:+.1f} % CPU")
    for i, (what, target) in enumerate(((f"rate lost, {connections} connections", "<2"), ("CPU a message, more", None))):
        row = compare(what, "%", [v[i] for v in r["postern"]], [v[i] for v in r["postfix"]], False, target)
        for k in ("ratio", "ratio_least", "ratio_most"):
            row.pop(k, None)
        yield row


# --- the machine ---

@figure("limits", "the machine itself: append and sync, and the load tools without a server")
def limits(folder, o):
    block = b"x" * 4095 + b"\n"
    for batch in (1, 16, 128):
        rates = []
        for n in range(o.rounds):
            fd = os.open(os.path.join(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            began, done = time.monotonic(), 0
            while time.monotonic() - began < o.some(1.0, 0.05):
                os.writev(fd, [block] * batch)
                os.fdatasync(fd)
                done += batch
            rates.append(done / (time.monotonic() - began))
            os.close(fd)
        say(f"append and fdatasync, {batch} at a time: {statistics.median(rates):.0f}/s")
        yield machine_row(f"append 4 KiB, fdatasync each {batch}", "blocks/s", rates)
    sink = load.Sink()
    try:
        for what, kept in (("load to sink, one a session", False), ("load to sink, kept sessions", True)):
            n = o.some(20000, 500)
            rates = [n / send(SINK, 100, n, kept=kept) for _ in range(o.rounds)]
            say(f"{what}: {statistics.median(rates):.0f}/s")
            yield machine_row(what, "messages/s", rates)
    finally:
        sink.stop()
