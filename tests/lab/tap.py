"""Tests as functions named test_*, results in TAP, everything inside namespaces that vanish with the process."""
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

INSIDE = "POSTERN_LAB_INSIDE"
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000


class Failed(Exception):
    """What was expected and what came, in one line."""


def fail(why):
    raise Failed(why)


def check(condition, why):
    if not condition:
        raise Failed(why)


def equal(got, expected, what):
    if got != expected:
        raise Failed(f"{what}: expected {expected!r}, got {got!r}")


def wait_for(probe, what, seconds=20.0, pause=0.05):
    """Calls probe until it returns something true, which is returned."""
    end = time.monotonic() + seconds
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > end:
            raise Failed(f"waited {seconds:g} s for {what}")
        time.sleep(pause)


def run_in_namespaces(name, number):
    """Runs this very file again for one test, in new namespaces; its exit status."""
    env = dict(os.environ, **{INSIDE: f"{number} {name}"})
    # Propagation is set inside (set_up_network): in a chroot / is no mount, and unshare would give up.
    command = ["unshare", "--net", "--mount", "--propagation", "unchanged", "--pid", "--fork", "--kill-child", "--uts", "--ipc",
               sys.executable, os.path.abspath(sys.argv[0])]
    return subprocess.call(command, env=env)


def set_up_network():
    """Loopback with a /16 of addresses to be hosts on, v4 and v6."""
    for words in ("link set lo up", "addr add 10.77.0.0/16 dev lo", "addr add fd77::/64 dev lo nodad"):
        subprocess.run(["ip"] + words.split(), check=True)
    subprocess.run(["ip", "route", "add", "local", "10.77.0.0/16", "dev", "lo"], stderr=subprocess.DEVNULL)
    for host in ("1", "10", "11", "20", "25", "26", "27", "53"):
        subprocess.run(["ip", "addr", "add", f"fd77::{host}/128", "dev", "lo", "nodad"], check=True)
        subprocess.run(["ip", "addr", "add", f"10.77.0.{host}/32", "dev", "lo"], check=True)
    # Mounts made by a test must not be seen outside.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        root = os.getcwd()
        libc.mount(b"/", b"/", None, MS_BIND | MS_REC, None)
        libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        os.chdir(root)
    libc.mount(b"proc", b"/proc", b"proc", 0, None)


def run_one(name, number, f):
    """One test, inside; prints its result and returns the exit status."""
    from .hosts import stop_all
    title = name[5:].replace("_", " ")
    folder = tempfile.mkdtemp(prefix=f"postern-{name[5:25]}-")
    os.chmod(folder, 0o755)
    began = time.monotonic()
    bad = False
    try:
        f(folder)
        print(f"ok {number} - {title} ({time.monotonic() - began:.1f} s)", flush=True)
    except Exception as e:          # a test's failure is a result, not the end of the run
        bad = True
        print(f"not ok {number} - {title}")
        for line in (str(e) if isinstance(e, Failed) else traceback.format_exc()).splitlines():
            print(f"# {line}")
    finally:
        stop_all()
        if os.environ.get("POSTERN_KEEP"):
            print(f"# kept: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if bad else 0


def main(namespace):
    """For the end of a test file: lab.main(globals()). Arguments choose tests by part of their name."""
    inside = os.environ.get(INSIDE)
    if inside:
        number, name = inside.split()
        set_up_network()
        sys.exit(run_one(name, int(number), namespace[name]))
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root")
        sys.exit(0)
    names = [n for n, f in namespace.items() if n.startswith("test_") and callable(f)]
    if sys.argv[1:]:
        names = [n for n in names if any(w in n for w in sys.argv[1:])]
    print(f"1..{len(names)}", flush=True)
    bad = 0
    for number, name in enumerate(names, 1):
        if run_in_namespaces(name, number) != 0:
            bad += 1
    sys.exit(1 if bad else 0)
