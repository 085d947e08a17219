"""Name servers that are no help: one small server for every kind of zone that Knot would never serve.

    odd = Odd(net.names, SINK)          before net.start_dns(): KIND.test is delegated to it for each of its kinds
    net.start_dns()

Each zone holds an MX for its apex that leads to the address given, and is told as its kind says:

    honest wrong-id wrong-question other-names cname-self cname-loop cname-chain huge-ttl garbage short
    refused upward servfail notimp          lame, in every way that is seen in the world
    truncated                               TC over UDP, and nobody at the TCP port's other end
    tcp tcp-dribble                         TC over UDP; over TCP well, or a byte a second
    slow-2 slow-30                          the right answer after so many seconds
    silent dead                             no answer; and nobody there
"""
import random
import socket
import struct
import threading
import time

from . import net
from .packet import AA, TC, question, record, reply, wire

ODD = "10.77.1.%d"          # an address for each kind: resolvers remember how a server behaves
NOBODY = "10.77.0.99"
A, NS, CNAME, SOA, MX = 1, 2, 5, 6, 15
KINDS = ("honest", "wrong-id", "wrong-question", "other-names", "cname-self", "cname-loop", "cname-chain", "huge-ttl", "garbage",
         "short", "refused", "upward", "servfail", "notimp", "truncated", "tcp", "tcp-dribble", "slow-2", "slow-30", "silent",
         "dead")


class Odd:
    def __init__(self, names, target, kinds=KINDS):
        self.target = target
        self.asked = []             # (zone, type), in the order of the questions
        self.cured = False          # true: all of them answer well, but those that are not there
        self.addresses = {kind: NOBODY if kind == "dead" else ODD % n for n, kind in enumerate(kinds, 1)}
        there = [a for a in self.addresses.values() if a != NOBODY]
        host = net.host(there[0])
        host.more_addresses(there[1:])
        for kind, address in self.addresses.items():
            names.delegated[f"{kind}.test"] = [(f"ns.{kind}.test", address)]
            if address == NOBODY:
                continue
            with host.inside():
                udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                udp.bind((address, 53))
            threading.Thread(target=self.serve_udp, args=(udp,), daemon=True).start()
            threading.Thread(target=self.serve_tcp, args=(net.listener(address, 53),), daemon=True).start()

    def serve_udp(self, udp):
        while True:
            packet, peer = udp.recvfrom(65535)
            threading.Thread(target=self.answer_udp, args=(udp, packet, peer), daemon=True).start()

    def answer_udp(self, udp, packet, peer):
        try:
            answer = self.answer(packet, False)
            if answer is not None:
                udp.sendto(answer, peer)
        except (IndexError, struct.error, OSError):
            pass

    def serve_tcp(self, listener):
        while True:
            s, _ = listener.accept()
            threading.Thread(target=self.answer_tcp, args=(s,), daemon=True).start()

    def answer_tcp(self, s):
        with s:
            try:
                size = struct.unpack(">H", s.recv(2, socket.MSG_WAITALL))[0]
                packet = s.recv(size, socket.MSG_WAITALL)
                kind = question(packet)[0].split(".")[-2]
                answer = self.answer(packet, True)
                if answer is None or (kind == "truncated" and not self.cured):
                    return
                answer = struct.pack(">H", len(answer)) + answer
                dribble = kind == "tcp-dribble" and not self.cured
                for i in range(len(answer) if dribble else 1):
                    s.sendall(answer[i:i + 1] if dribble else answer)
                    time.sleep(1 if dribble else 0)
            except (IndexError, struct.error, OSError):
                pass

    def honest(self, packet, name, zone, kind, asked, ttl=60):
        records = {(zone, MX): [record(name, MX, struct.pack(">H", 10) + wire("mx." + zone), ttl)],
                   (zone, NS): [record(name, NS, wire("ns." + zone), ttl)],
                   ("mx." + zone, A): [record(name, A, socket.inet_aton(self.target), ttl)],
                   ("ns." + zone, A): [record(name, A, socket.inet_aton(self.addresses[zone.split(".")[0]]), ttl)]}
        soa = record(zone, SOA, wire("ns." + zone) + wire("admin." + zone) + struct.pack(">IIIII", 1, 60, 60, 86400, 60))
        found = records.get((name, kind))
        return reply(packet, asked, found or (), () if found else (soa,))

    def answer(self, packet, over_tcp):
        name, kind, asked = question(packet)
        zone = ".".join(name.split(".")[-2:])
        how = "honest" if self.cured else zone.split(".")[0]
        self.asked.append((zone, kind))
        right = self.honest(packet, name, zone, kind, asked, 0x7fffffff if how == "huge-ttl" else 60)
        if how.startswith("slow-"):
            time.sleep(int(how[5:]))
        if how == "silent":
            return None
        if how in ("refused", "servfail", "notimp"):
            return reply(packet, asked, flags=0, rcode={"refused": 5, "servfail": 2, "notimp": 4}[how])
        if how == "upward":
            return reply(packet, asked, (), (record("", NS, wire("ns.test")),), flags=0)
        if how in ("truncated", "tcp", "tcp-dribble") and not over_tcp:
            return reply(packet, asked, flags=AA | TC)
        if how == "wrong-id":
            return bytes([packet[0] ^ 1]) + right[1:]
        if how == "wrong-question":
            other = "other." + zone
            return reply(packet, wire(other) + asked[-4:], [record(other, MX, b"\0\x0a" + wire("mx." + zone))])
        if how == "other-names" and kind == MX:     # the right one, and one for somebody else
            lie = record("mx.sink.test", A, socket.inet_aton(NOBODY), 86400)
            return reply(packet, asked, [record(name, MX, b"\0\x0a" + wire("mx." + zone)), lie])
        if how == "cname-self":
            return reply(packet, asked, [record(name, CNAME, wire(name))])
        if how == "cname-loop":
            other = "b." + zone if name == zone else zone
            return reply(packet, asked, [record(name, CNAME, wire(other)), record(other, CNAME, wire(name))])
        if how == "cname-chain":
            return reply(packet, asked, [record(name, CNAME, wire("n" + name if name != zone else "n." + zone))])
        if how == "garbage":
            rng = random.Random(kind)
            return packet[:2] + bytes(rng.randrange(256) for _ in range(200))
        if how == "short":
            return right[:len(right) - 5]
        return right
