#!/usr/bin/python3
"""The fault campaign: every fault test again and again with new seeds, until the time is over.

    tests/fault/campaign.py                     an hour, seeds from 1
    tests/fault/campaign.py --seconds 600 --seed 77 --jobs 2 --only disk
    tests/fault/campaign.py --short             each test once and briefly; TAP, for ./runtests

Whatever fails is printed with its seed and the command that does it again, at once and at the end.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SLICE = {"short": 4, "long": 45}        # seconds for a test that goes by time


def tests(only):
    """[(file, name)] in the order of the files: those whose file:name holds one of these words, or all."""
    found = []
    for file in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        with open(file) as f:
            found += [(file, name) for name in re.findall(r"^def (test_\w+)\(folder\)", f.read(), re.M)]
    full = {(f, n): os.path.basename(f) + ":" + n for f, n in found}
    for word in only or ():
        if not any(word in name for name in full.values()):
            print(f"nothing is called {word}; there are: {' '.join(full.values())}", file=sys.stderr)
            sys.exit(64)
    return [key for key, name in full.items() if not only or any(w in name for w in only)]


def command(file, name, seed, seconds):
    return {"FAULT_SEED": str(seed), "FAULT_SECONDS": str(seconds)}, ["/usr/bin/python3", file, name]


class Campaign:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.todo = tests(args.only)
        self.at = 0
        self.done = self.bad = self.skipped = 0
        self.failures = []
        self.began = time.monotonic()
        self.end = self.began + args.seconds

    def next(self):
        """(number, file, name, seed), or None when it is over."""
        with self.lock:
            turn, i = divmod(self.at, len(self.todo))
            if (self.args.short and turn > 0) or (not self.args.short and time.monotonic() > self.end):
                return None
            self.at += 1
            return (self.at,) + self.todo[i] + (self.args.seed + turn,)

    def work(self):
        while True:
            job = self.next()
            if job is None:
                return
            number, file, name, seed = job
            env, argv = command(file, name, seed, SLICE["short" if self.args.short else "long"])
            began = time.monotonic()
            try:
                r = subprocess.run(argv, env={**os.environ, **env, "PYTHONDONTWRITEBYTECODE": "1"}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=900)
                out, good = r.stdout, r.returncode == 0
            except subprocess.TimeoutExpired as e:
                out, good = (e.stdout or b"").decode(errors="replace") + "\n# it hung for 900 s", False
            self.report(number, file, name, seed, env, good, out, time.monotonic() - began)

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
                again = " ".join(f"{k}={v}" for k, v in env.items()) + f" /usr/bin/python3 {os.path.relpath(file)} {name}"
                self.failures.append(again)
                print(f"# again: {again}")
            if not self.args.short:
                print(f"# {(time.monotonic() - self.began) / 60:.1f} min: {self.done} runs, {self.bad} failed")
            sys.stdout.flush()

    def run(self):
        if self.args.short:
            print(f"1..{len(self.todo)}", flush=True)
        workers = [threading.Thread(target=self.work) for _ in range(self.args.jobs)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        print(f"# {self.done} runs, {self.bad} failed, {self.skipped} skipped, {time.monotonic() - self.began:.0f} s")
        for again in self.failures:
            print(f"# failed: {again}")
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
        print("1..0 # SKIP needs root")
        return 0
    return Campaign(args).run()


sys.exit(main())
