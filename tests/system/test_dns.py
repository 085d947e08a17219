#!/usr/bin/python3
"""Zones that are lame, lying, slow or dead: mail for them waits, none of it bounces, and mail for others goes on."""
import itertools
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab import net as net_of, packet  # noqa: E402
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


class Reverse:
    """The name server of the zone of a /24: every address is HOST, or, without one, nobody is ever told anything."""

    def __init__(self, names, zone, addresses, host=None):
        self.zone, self.host = zone, host
        names.delegated[zone] = [(f"ns{n}.{zone}", address) for n, address in enumerate(addresses)]
        net_of.host(addresses[0]).more_addresses(addresses[1:])
        for address in addresses:
            with net_of.host(address).inside():
                udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                udp.bind((address, 53))
            threading.Thread(target=self.serve, args=(udp,), daemon=True).start()

    def serve(self, udp):
        soa = packet.record(self.zone, 6, packet.wire("ns.test") * 2 + struct.pack(">IIIII", 1, 60, 60, 86400, 60))
        while True:
            query, peer = udp.recvfrom(65535)
            name, kind, asked = packet.question(query)
            if self.host is None:
                continue
            found = [packet.record(name, 12, packet.wire(self.host), 60)] if kind == 12 else ()
            udp.sendto(packet.reply(query, asked, found, () if found else (soa,)), peer)


class Flood:
    """Sessions from each of these, one after the other, that wait for nothing but the greeting; half of them reset."""

    def __init__(self, sources, threads=5):
        self.over = False
        self.sessions = self.refused = 0
        self.threads = [threading.Thread(target=self.vrfy_and_go, args=(sources[n::threads],)) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def vrfy_and_go(self, sources):
        for n, source in enumerate(itertools.cycle(sources)):
            if self.over:
                return
            try:
                self.session(source, n % 2 == 0)
            except (OSError, lab.Failed):       # shown out before it could read why
                self.refused += 1

    def session(self, source, reset):
        with lab.Client(POSTERN, source=source, greet=False) as c:
            if c.reply()[0] != "220":
                self.refused += 1
                return
            self.sessions += 1
            c.raw(b"VRFY alice\r\n")
            if reset:
                c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def end(self):
        self.over = True
        for thread in self.threads:
            thread.join()


def test_clients_whose_names_are_never_told_cost_others_nothing(folder):
    """Fifty networks whose name servers say nothing have their names asked for, over and over, and go: the names of others are
    known all the while, and the way of mail is."""
    foes = [f"10.77.2.{n}" for n in range(1, 51)]
    friends = [f"10.77.3.{n}" for n in range(1, 7)]
    net = lab.Lab(folder)
    net.standard_zones()
    net.zone("dialup.test", "".join(f"a A {address}\n" for address in friends))
    Reverse(net.names, "2.77.10.in-addr.arpa", [f"10.77.1.{n}" for n in range(201, 206)])
    Reverse(net.names, "3.77.10.in-addr.arpa", ["10.77.1.200"], "a.dialup.test")
    net.start_dns()
    lab.Postern(net, net.postern_conf("""
        resolver { timeout = "20s" }
        rule "no-dial-up" { client-name = {"*.dialup.test"} action = reject }
        """))
    sink = lab.Sink(SINK)
    net.host("10.77.0.20").more_addresses(foes)
    net.host("10.77.0.21").more_addresses(friends)
    flood = Flood(foes)
    try:
        lab.wait_for(lambda: flood.sessions >= 2200, "more sessions than there are places for look-ups", 60)
        for friend in friends:
            began = time.monotonic()
            with lab.Client(POSTERN, source=friend, timeout=40) as c:
                c.ehlo()
                c.cmd("MAIL FROM:<x@client.test>", "250")
                lab.equal(c.cmd("RCPT TO:<alice@postern.test>")[1][-1][:9], "550 5.7.1",
                          f"what a client with a name is told after {time.monotonic() - began:.1f} s in the flood")
            lab.check(time.monotonic() - began < 5, "it did not wait for those without")
        lab.equal(lab.send(POSTERN, "alice@postern.test", ["x@sink.test"], lab.message(1, 500))[0], "250", "the answer to mail")
        lab.wait_for(lambda: sink.messages, "mail to arrive", 10)
    finally:
        flood.end()
    print(f"# {flood.sessions} sessions in the flood, {flood.refused} refused")


lab.main(globals())
