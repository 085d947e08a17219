"""Tests as functions named test_*, each in a cell of its own, results in TAP; and what they check with."""
import os
import sys
import time


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
    """Calls probe until it returns something true, which is returned. `what` may be a function that makes the words."""
    end = time.monotonic() + seconds
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > end:
            last = "" if result in (None, False) else f" (last seen: {str(result)[:100]})"
            raise Failed(f"waited {seconds:g} s for {what() if callable(what) else what}{last}")
        time.sleep(pause)


def unknown(word, names):
    """A name that nothing has must not look like a test that passed."""
    print(f"nothing is called {word}; there are: {' '.join(names)}", file=sys.stderr)
    sys.exit(64)


def run(function, name, seconds, flat):
    from . import cell, net, roots
    try:
        for package in getattr(function, "packages", ()):
            roots.fetch(package)
    except Failed as e:
        return False, [str(e)]
    return cell.Cell(function, name, seconds, lambda: net.set_up(flat)).finish()


def main(namespace, flat=False, seconds=600):
    """For the end of a test file: lab.main(globals()). Arguments choose tests by part of their name. Each may take
    `seconds`. flat: all hosts are addresses of one loopback (what measures speed needs no bridge)."""
    from . import cell
    names = [n for n, f in namespace.items() if n.startswith("test_") and callable(f)]
    for word in sys.argv[1:]:
        if not any(word in n for n in names):
            unknown(word, [n[5:] for n in names])
    if sys.argv[1:]:
        names = [n for n in names if any(w in n for w in sys.argv[1:])]
    if os.geteuid() != 0:
        print(f"{os.path.basename(sys.argv[0])}: run it as root: namespaces and the lab's hosts need it", file=sys.stderr)
        sys.exit(77)
    print(f"1..{len(names)}", flush=True)
    cell.catch_signals()
    bad = 0
    number, title = 0, ""
    try:
        cell.reap()
        for number, name in enumerate(names, 1):
            title = name[5:].replace("_", " ")
            began = time.monotonic()
            passed, lines = run(namespace[name], name, seconds, flat)
            print(f"ok {number} - {title} ({time.monotonic() - began:.1f} s)" if passed else f"not ok {number} - {title}")
            for line in lines:
                print(f"# {line}")
            sys.stdout.flush()
            bad += not passed
    except cell.Interrupted as e:
        print(f"not ok {number} - {title}\n# interrupted by signal {e.args[0]}", flush=True)
        sys.exit(128 + e.args[0])
    sys.exit(1 if bad else 0)
