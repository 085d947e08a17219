#!/usr/bin/python3
"""Any process may be killed under load: nothing acknowledged is lost, and the daemon carries on."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
import random  # noqa: E402
import signal  # noqa: E402
import time  # noqa: E402
from lab.client import digest  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402


def house(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    return net, lab.Postern(net, net.postern_conf('queue { retry-first = "1s"\n retry-max = "2s"\n retry-jitter = "0s" }\n'
                                                  'smtpd { max-sessions-per-client = 1000 }\n'))


def both(n):
    return ["alice@postern.test"] if n % 3 == 0 else [f"r{n % 7}@sink.test"]


def size(n):
    return 400_000 if n % 50 == 0 else 3000


def kill_rounds(folder, rooms, seconds, seed):
    net, postern = house(folder)
    ledger = lab.Ledger()
    lab.Recorder(ledger, SINK)
    rng = random.Random(seed)
    load = lab.Load(ledger, POSTERN, both, size, rate=200).start()
    end = time.monotonic() + seconds - 1
    while time.monotonic() < end:
        time.sleep(rng.uniform(0.2, 0.8))
        room = rng.choice(rooms)
        pids = postern.pids(room)
        if pids:
            try:
                os.kill(rng.choice(pids), signal.SIGKILL)
                ledger.crashed(room)
            except ProcessLookupError:
                pass
    load.stop()
    postern.wait_ready(70)
    sums = ledger.settle(postern, net)
    lab.check(sums["acknowledged"] > 20, f"only {sums['acknowledged']} messages were acknowledged at all")
    print(f"# {dict(sums)}, kills {dict(ledger.rooms)} (seed {seed})")


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
    ledger = lab.Ledger()
    load = lab.Load(ledger, POSTERN, both, size, rate=200, timeout=10).start()
    time.sleep(2)
    ledger.crashed("master")
    postern.kill()
    load.stop()
    lab.Recorder(ledger, SINK)
    postern.start()
    ledger.settle(postern, net)


# shows: RFC5321 4.5.4.2/1
def test_reload_under_load_drops_nothing(folder):
    net, postern = house(folder)
    ledger = lab.Ledger()
    lab.Recorder(ledger, SINK)
    load = lab.Load(ledger, POSTERN, both, size, rate=200).start()
    for _ in range(8):
        time.sleep(0.5)
        postern.reload()
    load.stop()
    sums = ledger.settle(postern, net)
    lab.equal((sums["unknown"], sums["refused"], sums["unsent"]), (0, 0, 0), "messages without an answer, refused, never sent")
    lab.equal(load.classes["dot 250"], sums["acknowledged"], "messages that were taken")


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
