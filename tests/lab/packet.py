"""DNS packets as the name servers of tests make them (lab/odd.py, and tests/resolver/liar.py, a program of its own)."""
import struct

TC, AA = 0x0200, 0x0400


def wire(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def record(owner, kind, data, ttl=60):
    return wire(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data


def question(packet):
    """(name, type, the question as it came)"""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
        at += 1 + packet[at]
    return ".".join(labels), struct.unpack(">H", packet[at + 1:at + 3])[0], packet[12:at + 5]


def reply(packet, asked, answers=(), authority=(), flags=AA, rcode=0, ident=None):
    head = struct.pack(">HHHHH", 0x8000 | flags | rcode, 1, len(answers), len(authority), 0)
    return (ident or packet[:2]) + head + asked + b"".join(answers) + b"".join(authority)
