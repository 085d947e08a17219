#!/usr/bin/python3
"""The fault campaign: every fault test again and again with new seeds, until the time is over.

    tests/fault/campaign.py                     an hour, seeds from 1
    tests/fault/campaign.py --seconds 600 --seed 77 --jobs 2 --only disk
    tests/fault/campaign.py --short             each test once and briefly; TAP, for ./runtests

The seed also chooses the order. Whatever fails is printed with its seed and the command that does it again, at once and at
the end. ^C, SIGTERM and SIGHUP end the tests that run, and then it.
"""
import argparse
import glob
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
SHORT, LONG = 4, 45         # seconds for a test that goes by time: at least, at most
HUNG = 900                  # seconds after which a test is given up
sys.path.insert(0, os.path.join(HERE, ".."))
from lab.postern import STAGE, missing  # noqa: E402


def tests(only):
    """[(file, name)] in the order of the files: those whose file:name holds one of these words, or all."""
    found = []
    for file in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        with open(file) as f:
            names = re.findall(r"^def (test_\w+)\(folder\):", f.read(), re.M)
        if not names:
            sys.exit(f"campaign: {os.path.relpath(file, TOP)} has no line \"def test_...(folder):\"")
        found += [(file, name) for name in names]
    full = {(f, n): os.path.basename(f) + ":" + n for f, n in found}
    for word in only or ():
        if not any(word in name for name in full.values()):
            print(f"nothing is called {word}; there are: {' '.join(full.values())}", file=sys.stderr)
            sys.exit(64)
    return [key for key, name in full.items() if not only or any(w in name for w in only)]


class Campaign:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.todo = tests(args.only)
        self.turn = []          # what is left of this turn; all turns have every test once
        self.turns = 0
        self.number = 0
        self.slice = SHORT if args.short else min(LONG, max(SHORT, args.seconds * args.jobs / len(self.todo)))
        self.running = set()
        self.stopped_by = 0     # a signal
        self.reached = set()
        self.done = self.bad = self.skipped = 0
        self.failures = []
        self.began = time.monotonic()
        self.end = self.began + args.seconds

    def over(self):
        return self.turns > 0 and not self.turn if self.args.short else time.monotonic() > self.end

    def next(self):
        """(number, file, name, seed), or None when it is over."""
        with self.lock:
            if self.stopped_by or self.over():
                return None
            if not self.turn:
                self.turn = list(self.todo)
                random.Random(self.args.seed + self.turns).shuffle(self.turn)
                self.turns += 1
            self.number += 1
            file, name = self.turn.pop(0)
            self.reached.add((file, name))
            return self.number, file, name, self.args.seed + self.turns - 1

    def work(self):
        while (job := self.next()) is not None:
            self.one(*job)

    def one(self, number, file, name, seed):
        env = {"FAULT_SEED": str(seed), "FAULT_SECONDS": f"{self.slice:.0f}"}
        began = time.monotonic()
        # Whoever kills the campaign ends its tests as well, and they clean up.
        child = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "/usr/bin/python3", file, name],
                                 env={**os.environ, **env, "PYTHONDONTWRITEBYTECODE": "1"}, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                 start_new_session=True)
        with self.lock:
            self.running.add(child)
            if self.stopped_by:
                child.terminate()
        try:
            out = child.communicate(timeout=HUNG)[0]
        except subprocess.TimeoutExpired:
            child.terminate()
            out = child.communicate()[0] + f"\n# it hung for {HUNG} s"
        with self.lock:
            self.running.discard(child)
        if not self.stopped_by:
            self.report(number, file, name, seed, env, child.returncode == 0, out, time.monotonic() - began)

    def report(self, number, file, name, seed, env, good, out, took):
        title = f"{os.path.basename(file)[5:-3]}: {name[5:].replace('_', ' ')}"
        notes = [line for line in out.splitlines() if line.startswith("#")]
        with self.lock:
            self.done += 1
            skip = re.search(r"# SKIP (.*)", out)
            self.skipped += bool(skip)
            why = f" # SKIP {skip[1]}" if skip else ""
            print(f"{'ok' if good else 'not ok'} {number} - {title} (seed {seed}, {took:.0f} s){why}")
            for line in notes if good else out.splitlines()[-25:]:
                print(line[:400] if line.startswith("#") else "# " + line[:400])
            if not good:
                self.bad += 1
                env = {"POSTERN_STAGE": os.path.relpath(STAGE, TOP), **env}
                again = " ".join(f"{k}={v}" for k, v in env.items()) + f" /usr/bin/python3 {os.path.relpath(file, TOP)} {name}"
                self.failures.append(again)
                print(f"# again: {again}")
            if not self.args.short:
                print(f"# {(time.monotonic() - self.began) / 60:.1f} min: {self.done} runs, {self.bad} failed")
            sys.stdout.flush()

    def stop(self, number, _):
        """By a signal: no other test begins, and those that run are asked to end. A second one changes nothing."""
        self.stopped_by = self.stopped_by or number
        for child in list(self.running):
            child.terminate()

    def run(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.stop)
        if self.args.short:
            print(f"1..{len(self.todo)}", flush=True)
        workers = [threading.Thread(target=self.work) for _ in range(self.args.jobs)]
        for w in workers:
            w.start()
        for w in workers:
            while w.is_alive():
                w.join(0.2)         # signals come in between
        print(f"# {self.done} runs, {self.bad} failed, {self.skipped} skipped, {time.monotonic() - self.began:.0f} s")
        if len(self.reached) < len(self.todo):
            print(f"# {len(self.todo) - len(self.reached)} of {len(self.todo)} tests did not get their turn")
        for again in self.failures:
            print(f"# failed: {again}")
        if self.stopped_by:
            print(f"# interrupted by signal {self.stopped_by}", flush=True)
            return 128 + self.stopped_by
        return 1 if self.bad else 0


def main():
    p = argparse.ArgumentParser(description="the fault campaign")
    p.add_argument("--seconds", type=float, default=3600)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--short", action="store_true")
    p.add_argument("--only", action="append", help="part of file:test")
    args = p.parse_args()
    if args.short:
        args.jobs = max(args.jobs, 4)       # most of them wait for something most of the time
    if os.geteuid() != 0:
        print("campaign: run it as root: sandboxes, namespaces and the lab's hosts need it", file=sys.stderr)
        return 77
    if missing():
        print(f"campaign: {missing()}", file=sys.stderr)
        return 66
    return Campaign(args).run()


sys.exit(main())
