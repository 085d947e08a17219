#!/usr/bin/python3
"""Holds TLS connections that have said EHLO and are silent: idle_tls.py CONNECTIONS ADDRESS PORT. Says "held" when all are
there, and ends when its standard input does."""
import socket
import ssl
import sys


def lines(s):
    data = b""
    while not data.endswith(b"\r\n") or data.splitlines()[-1][3:4] == b"-":
        piece = s.recv(4096)
        if not piece:
            sys.exit("the server hung up after: " + repr(data[-100:]))
        data += piece
    return data


def connection(context, address, port):
    s = socket.create_connection((address, port))
    lines(s)
    for word in (b"EHLO client.test\r\n", b"STARTTLS\r\n"):
        s.sendall(word)
        lines(s)
    s = context.wrap_socket(s)
    s.sendall(b"EHLO client.test\r\n")
    lines(s)
    return s


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    many, address, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    held = [connection(context, address, port) for _ in range(many)]
    print("held", flush=True)
    sys.stdin.read()
    del held


main()
