"""What a server costs: its processes, their CPU time, memory, bytes written, and their system calls."""
import collections
import os
import re
import signal
import subprocess
import tempfile

from lab.hosts import tool
from lab.tap import Failed

FOLDER = None       # where records go for a while; the folder of the run, which is removed with it
TICK = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    with open(f"/proc/{pid}/stat") as f:
        text = f.read()
    name, rest = text.partition("(")[2].rpartition(")")[::2]
    return name, rest.split()


def tree(root):
    """{pid: name} of root and every process below it."""
    parents, names = collections.defaultdict(list), {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name, words = _stat(pid)
        except OSError:
            continue
        names[int(pid)] = name
        parents[int(words[1])].append(int(pid))
    found, todo = {}, [root]
    while todo:
        pid = todo.pop()
        if pid in names:
            found[pid] = names[pid]
            todo += parents[pid]
    return found


def cpu(root):
    """(user, system) seconds of all processes below root, those that have ended and were waited for included."""
    user = system = 0
    for pid in tree(root):
        try:
            words = _stat(pid)[1]
        except OSError:
            continue
        user += int(words[11]) + int(words[13])
        system += int(words[12]) + int(words[14])
    return user / TICK, system / TICK


def cpu_by_name(root):
    """{name of the program: seconds} of what runs below root."""
    spent = collections.Counter()
    for pid, name in tree(root).items():
        try:
            words = _stat(pid)[1]
        except OSError:
            continue
        spent[name.strip("()")] += sum(map(int, words[11:15])) / TICK
    return spent


def written(root):
    """Bytes that the processes below root have caused to be written to a disk (write_bytes of /proc/PID/io)."""
    total = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/io") as f:
                total += int(re.search(r"^write_bytes: (\d+)", f.read(), re.M).group(1))
        except OSError:
            continue
    return total


def pss(pid):
    """Proportional set size of one process, in bytes."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) * 1024
    except (OSError, AttributeError):
        return 0


def rss(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def connections(here, peer):
    """How many established connections the address `here` has accepted on port 25 from the address `peer`."""
    def hex_of(address):
        return "".join(f"{int(part):02X}" for part in address.split(".")[::-1])
    pattern = re.compile(rf"^ *\d+: {hex_of(here)}:0019 {hex_of(peer)}:[0-9A-F]+ 01 ", re.M)
    with open("/proc/net/tcp") as f:
        return len(pattern.findall(f.read()))


def pss_of_tree(root):
    return sum(pss(pid) for pid in tree(root))


class Perf:
    """`perf` on the processes below root, and on those that they start, while the block runs. It is told to begin through
    a pipe and says when it has: opening its events takes it seconds on a busy machine."""

    def __init__(self, root, *words, output=None):
        self.names = tree(root)
        self.output = output or tempfile.mktemp(prefix="perf-", dir=FOLDER)
        self.words = words

    def __enter__(self):
        ctl_in, self.ctl = os.pipe()
        self.ack, ack_out = os.pipe()
        argv = [tool("perf"), self.words[0], "-D", "-1", "--control", f"fd:{ctl_in},{ack_out}", "-o", self.output,
                "-p", ",".join(map(str, self.names)), *self.words[1:]]
        self.child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                      pass_fds=(ctl_in, ack_out))
        os.close(ctl_in)
        os.close(ack_out)
        os.write(self.ctl, b"enable\n")
        if not os.read(self.ack, 16).startswith(b"ack"):
            raise Failed("perf: " + self.child.stderr.read().strip()[-400:])
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGINT)
        self.said = self.child.communicate()[1]
        os.close(self.ctl)
        os.close(self.ack)


SYNCS = ("fdatasync", "fsync", "sync_file_range", "syncfs", "msync")


def tracepoints():
    """May perf use the kernel's tracepoints here? Otherwise strace counts, which slows the servers down a lot."""
    return subprocess.run([tool("perf"), "stat", "-e", "raw_syscalls:sys_enter", "true"], capture_output=True).returncode == 0


class Strace:
    """`strace` on the processes below root and those that they start, while the block runs; counts is by name and call."""

    def __init__(self, root, *words):
        self.names = tree(root)
        self.names.update({int(t): name for pid, name in list(self.names.items()) for t in os.listdir(f"/proc/{pid}/task")})
        self.output = tempfile.mktemp(prefix="strace-", dir=FOLDER)
        self.argv = [tool("strace"), "-f", "-o", self.output, *words, *[w for pid in tree(root) for w in ("-p", str(pid))]]

    def __enter__(self):
        self.child = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        waiting = set(self.argv[self.argv.index("-p") + 1::2])
        while waiting:
            line = self.child.stderr.readline()
            if not line:
                raise Failed("strace does not attach")
            found = re.search(r"Process (\d+) attached", line)
            if found:
                waiting.discard(found.group(1))
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGINT)
        self.child.communicate()
        self.counts = collections.Counter()
        with open(self.output, errors="replace") as f:
            for line in f:
                found = re.match(r"(\d+) +(\w+)\(", line)
                if found:
                    self.counts[self.names.get(int(found.group(1)), "started later"), found.group(2)] += 1
        os.unlink(self.output)


def count_syncs(root, block):
    """{name: how many} of the calls that wait for the disk while block() runs."""
    if not tracepoints():
        with Strace(root, "-e", "trace=" + ",".join(SYNCS)) as s:
            block()
        counts = collections.Counter()
        for (_, call), n in s.counts.items():
            counts[call] += n
        return dict(counts)
    with Perf(root, "stat", "-x", ",", *[w for s in SYNCS for w in ("-e", f"syscalls:sys_enter_{s}")]) as p:
        block()
    counts = {}
    with open(p.output) as f:
        for line in f:
            found = re.match(r"(\d+),.*syscalls:sys_enter_(\w+)", line)
            if found and int(found.group(1)):
                counts[found.group(2)] = int(found.group(1))
    os.unlink(p.output)
    return counts


def count_system_calls(root, block):
    """Counter of (process name, call) while block() runs: each single one, from the tracepoint."""
    if not tracepoints():
        with Strace(root) as s:
            block()
        return s.counts
    with Perf(root, "record", "-m", "32M", "-c", "1", "-e", "raw_syscalls:sys_enter") as p:
        block()
    try:
        script = subprocess.Popen([tool("perf"), "script", "-i", p.output, "-F", "pid,comm,trace", "--show-lost-events"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
        counts, lost = collections.Counter(), 0
        for line in script.stdout:
            found = re.match(r"\s*(\S.*?)\s+(\d+)\s+NR (\d+) ", line)
            if found:       # perf misses the name of a process that was there before it
                comm = p.names.get(int(found.group(2)), found.group(1)) if found.group(1)[0] == ":" else found.group(1)
                counts[comm, int(found.group(3))] += 1
            elif "LOST" in line:
                lost += 1
        script.wait()
    finally:
        os.unlink(p.output)
    if lost:
        raise Failed("perf lost system calls: too few buffers for this load")
    names = call_names()
    return collections.Counter({(comm, names.get(nr, str(nr))): n for (comm, nr), n in counts.items()})


def call_names():
    """Numbers of this machine's system calls and their names."""
    text = subprocess.run(["gcc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"], capture_output=True,
                          text=True, check=True).stdout
    return {int(nr): name for name, nr in re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.M)}


def profile(root, block):
    """{process name: (its share of all samples in %, [(share of the process's samples in %, symbol, object)])}."""
    with Perf(root, "record", "-m", "8M", "-e", "cpu-clock", "-F", "999") as p:
        block()
    counts = collections.defaultdict(collections.Counter)
    try:
        script = subprocess.Popen([tool("perf"), "script", "-i", p.output, "-F", "pid,comm,ip,sym,dso"], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True, errors="replace")
        for line in script.stdout:
            found = re.match(r"\s*(\S.*?)\s+(\d+)\s+[0-9a-f]+ (.*) \((.*)\)$", line)
            if found:
                comm = p.names.get(int(found.group(2)), found.group(1))
                where = "kernel" if "kernel" in found.group(4) or found.group(4).startswith("[") else \
                    os.path.basename(found.group(4))
                counts[comm][found.group(3).partition("+")[0], where] += 1
        script.wait()
    finally:
        os.unlink(p.output)
    total = sum(sum(c.values()) for c in counts.values())
    if total == 0:
        raise Failed("perf took no samples")
    return {comm: (100 * sum(c.values()) / total, [(100 * n / sum(c.values()), *what) for what, n in c.most_common(25)])
            for comm, c in sorted(counts.items(), key=lambda item: -sum(item[1].values()))}
