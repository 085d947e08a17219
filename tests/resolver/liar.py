#!/usr/bin/env python3
"""liar.py ADDRESS: a name server that answers as the first label of the question says, and never well."""
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from packet import question, record as rr, reply, wire as name  # noqa: E402

SOCK = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
SOCK.bind((sys.argv[1], 53))


def message(packet, asked, answers=(), rcode=0, flags=0x180, ident=None):
    return reply(packet, asked, answers, (), flags, rcode, ident)


def lie(packet):
    text, kind, asked = question(packet)
    how = text.split(".")[0]
    mx = lambda target, preference=10: struct.pack(">H", preference) + name(target)
    if how == "silent":
        return None
    if how == "wrongid":
        return message(packet, asked, [rr(text, 15, mx("honest.liar.test"))], ident=bytes([packet[0] ^ 1, packet[1]]))
    if how == "wrongq":
        return message(packet, name("other.liar.test") + asked[-4:], [rr("other.liar.test", 15, mx("honest.liar.test"))])
    if how == "garbage":
        return packet[:2] + bytes(random.randrange(256) for _ in range(random.randrange(1, 400)))
    if how == "short":
        whole = message(packet, asked, [rr(text, 15, mx("honest.liar.test"))] * 3)
        return whole[:random.randrange(12, len(whole))]
    if how in ("servfail", "refused", "notimp", "formerr"):
        return message(packet, asked, rcode={"servfail": 2, "refused": 5, "notimp": 4, "formerr": 1}[how])
    if how == "truncated":      # and there is nobody at the TCP port
        return message(packet, asked, flags=0x380)
    if how == "loop":
        return message(packet, asked, [rr(text, 5, name(text))])
    if how in ("loop2", "loop3"):
        other = "loop3.liar.test" if how == "loop2" else "loop2.liar.test"
        return message(packet, asked, [rr(text, 5, name(other)), rr(other, 5, name(text))])
    if how.startswith("chain"):
        return message(packet, asked, [rr(text, 5, name(f"chain{int(how[5:] or 0) + 1}.liar.test"))])
    if how == "pointer":        # a name that points at itself
        return message(packet, asked, [b"\xc0" + bytes([12 + len(asked)]) + struct.pack(">HHIH", 15, 1, 60, 3) + b"\0\x0a\0"])
    if how == "many" and kind == 15:
        return message(packet, asked, [rr(text, 15, mx(f"h{i}.liar.test", i), 60) for i in range(1000)])
    if how == "evil" and kind == 15:
        return message(packet, asked, [rr(text, 15, mx("honest.liar.test")),
                                       rr("victim.liar.test", 1, b"\x06\x06\x06\x06", 86400)])
    if how == "odd" and kind == 15:
        return message(packet, asked, [rr(text, 15, b"\0\x0a" + b"\x09a b\nc.d\0e\0")])
    if kind == 15 and how != "honest":
        return message(packet, asked, [rr(text, 15, mx("honest.liar.test"))])
    if kind == 1:
        return message(packet, asked, [rr(text, 1, bytes([192, 0, 2, 7]))])
    return message(packet, asked)


while True:
    data, peer = SOCK.recvfrom(65535)
    try:
        answer = lie(data)
        if answer is not None:
            SOCK.sendto(answer, peer)
    except (IndexError, struct.error, ValueError, OSError):
        pass
