#!/usr/bin/python3
"""Zones that are lame, lying, slow or dead: mail for them waits, none of it bounces, and mail for others goes on."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.hosts import POSTERN, SINK  # noqa: E402
from lab.odd import KINDS, Odd  # noqa: E402

# A right answer, however it comes or whatever stands beside it; all other kinds give none.
USABLE = ("honest", "other-names", "huge-ttl", "tcp", "slow-2")


def test_zones_that_are_no_help(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    odd = Odd(net.names, SINK)
    net.start_dns()
    postern = lab.Postern(net, net.postern_conf('queue { retry-first = "1h"\n retry-max = "1h" }\n'
                                                'resolver { timeout = "18s" }\n'))
    sink = lab.Sink(SINK)
    for n, kind in enumerate(KINDS):
        code, _ = lab.send(POSTERN, "alice@postern.test", [f"x@{kind}.test"], lab.message(n, 500))
        lab.equal(code, "250", f"the answer to mail for {kind}.test")
    lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], lab.message(99, 500))
    lab.wait_for(lambda: ["x@sink.test"] in [m[1] for m in sink.messages], "mail for a zone that is well", 15)


    def untried():
        log = postern.log()
        return [k for k in KINDS if f"to=x@{k}.test" not in log and f"session-failed destination={k}.test" not in log]
    lab.wait_for(lambda: not untried(), lambda: f"every zone to be tried; these were not: {untried()}", 90)
    delivered = {m[1][0].partition("@")[2].partition(".")[0] for m in sink.messages} - {"sink"}
    lab.equal(sorted(delivered), sorted(USABLE), "zones whose mail is delivered")
    lab.equal(net.mailbox("alice"), [], "bounces")
    lab.equal(sum(q["n_rcpts"] for q in postern.queue()), len(KINDS) - len(USABLE), "recipients that wait")
    lab.check(all((f"{k}.test", 15) in odd.asked for k in KINDS if k != "dead"), "each zone was asked for its MX")
    # The name that a zone lied about is still the right one.
    lab.send(POSTERN, "alice@postern.test", ["again@sink.test"], lab.message(100, 500))
    lab.wait_for(lambda: ["again@sink.test"] in [m[1] for m in sink.messages], "mail for the name that was lied about", 15)


lab.main(globals())
