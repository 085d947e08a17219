#!/usr/bin/python3
"""Any process may be killed under load: nothing acknowledged is lost, and the daemon carries on."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import random  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from lab.client import digest, number_of  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402


class Ledger:
    """Every message is numbered by the sender and accounted for at the end."""

    def __init__(self):
        self.acknowledged, self.refused, self.unknown = {}, set(), set()
        self.lock = threading.Lock()
        self.next = 0

    def number(self):
        with self.lock:
            self.next += 1
            return self.next

    def load(self, rcpt_of, seconds, threads=8, size=3000):
        end = time.monotonic() + seconds

        def work():
            while time.monotonic() < end:
                n = self.number()
                data = lab.message(n, size if n % 50 else 400_000)
                try:
                    with lab.Client(POSTERN, timeout=15) as c:
                        c.ehlo()
                        code, _ = c.mail("sender@client.test", [rcpt_of(n)], data)
                except (OSError, EOFError, lab.Failed):
                    # Not acknowledged; whether it was taken is unknown only if the dot had gone out.
                    with self.lock:
                        self.unknown.add(n)
                    time.sleep(0.02)
                    continue
                with self.lock:
                    if code == "250":
                        self.acknowledged[n] = digest(data)
                    elif code[0] == "5":
                        self.refused.add(n)
                    else:       # the client keeps it and tries again; a queue that died may have had it (RFC 5321 6.1)
                        self.unknown.add(n)
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for w in workers:
            w.start()
        return workers

    def balance(self, arrived, deaths):
        """arrived: list of contents. I1, I2, I3 of the promises."""
        seen = {}
        for content in arrived:
            n = number_of(content[content.find(b"From: sender@"):])
            seen.setdefault(n, []).append(digest(content))
        lost = [n for n in self.acknowledged if n not in seen]
        lab.check(not lost, f"{len(lost)} acknowledged messages are lost, such as {lost[:5]}")
        changed = [n for n, d in self.acknowledged.items() if any(x != d for x in seen[n])]
        lab.check(not changed, f"{len(changed)} messages changed on the way, such as {changed[:5]}")
        wrong = [n for n in seen if n in self.refused]
        lab.check(not wrong, f"{len(wrong)} refused messages arrived, such as {wrong[:5]}")
        often = [n for n, c in seen.items() if len(c) > 1 + deaths]
        lab.check(not often, f"more copies than crashes: {often[:5]}")


def house(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net, net.postern_conf('queue { retry-first = "1s"\n retry-max = "2s"\n retry-jitter = "0s" }\n'
                                                  'smtpd { max-sessions-per-client = 1000 }\n'))


def kill_rounds(folder, rooms, seconds, seed):
    net, postern = house(folder)
    sink = lab.Sink(SINK)
    rng = random.Random(seed)
    ledger = Ledger()
    workers = ledger.load(lambda n: f"r{n % 7}@sink.test" if n % 3 else "alice@postern.test", seconds)
    deaths, end = 0, time.monotonic() + seconds - 1
    while time.monotonic() < end:
        time.sleep(rng.uniform(0.2, 0.8))
        pids = postern.pids(rng.choice(rooms))
        if pids:
            try:
                os.kill(rng.choice(pids), signal.SIGKILL)
                deaths += 1
            except ProcessLookupError:
                pass
    for w in workers:
        w.join()
    postern.wait_ready(70)
    postern.wait_empty(90)
    lab.check(len(ledger.acknowledged) > 20, f"only {len(ledger.acknowledged)} messages were acknowledged at all")
    ledger.balance([c for _, _, c in sink.messages] + net.mailbox("alice"), deaths)
    print(f"# {len(ledger.acknowledged)} acknowledged, {len(ledger.refused)} refused, {len(ledger.unknown)} unanswered, {deaths} kills (seed {seed})")


def test_smtpd_dies_under_load(folder):
    kill_rounds(folder, ["smtpd"], 8, 1)


def test_queue_dies_under_load(folder):
    kill_rounds(folder, ["queue"], 12, 2)


def test_deliver_and_local_die_under_load(folder):
    kill_rounds(folder, ["deliver", "local", "mailbox"], 8, 3)


def test_resolver_router_log_control_die_under_load(folder):
    kill_rounds(folder, ["resolver", "router", "log", "control"], 10, 4)


def test_the_whole_daemon_dies(folder):
    net, postern = house(folder)
    ledger = Ledger()
    workers = ledger.load(lambda n: "alice@postern.test" if n % 2 else "x@sink.test", 3)
    time.sleep(2)
    postern.kill()
    for w in workers:
        w.join()
    sink = lab.Sink(SINK)
    postern.start()
    postern.wait_empty(60)
    ledger.balance([c for _, _, c in sink.messages] + net.mailbox("alice"), 1)


def test_reload_under_load_drops_nothing(folder):
    net, postern = house(folder)
    sink = lab.Sink(SINK)
    ledger = Ledger()
    workers = ledger.load(lambda n: "x@sink.test", 5)
    for _ in range(8):
        time.sleep(0.5)
        postern.reload()
    for w in workers:
        w.join()
    lab.equal(sorted(ledger.unknown), [], "sessions dropped by reloads")
    lab.equal(sorted(ledger.refused), [], "messages refused by reloads")
    postern.wait_empty(60)
    ledger.balance([c for _, _, c in sink.messages], 0)


def test_graceful_stop_and_restart_keep_the_queue(folder):
    net, postern = house(folder)
    sent = lab.message(1, 1000)
    lab.equal(lab.send(POSTERN, "sender@client.test", ["x@sink.test"], sent)[0], "250", "the answer")
    lab.equal(postern.stop(), 0, "the exit status after SIGTERM")
    lab.equal(postern.processes(), {}, "processes left behind")
    sink = lab.Sink(SINK)
    postern.start()
    postern.ctl("queue", "flush")
    lab.wait_for(lambda: sink.messages, "the message after the restart")
    lab.equal(digest(sink.messages[0][2]), digest(sent), "its content")


lab.main(globals())
