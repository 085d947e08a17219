#!/usr/bin/python3
"""keep_mail.py ADDRESS PORT FOLDER: a mail exchanger that takes everything and keeps each message in a file."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab.sink import Sink  # noqa: E402


def main():
    address, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    sink = Sink(address, port)
    while True:
        while sink.messages:
            sender, rcpts, content = sink.messages.pop(0)
            path = os.path.join(folder, f"{time.time_ns()}.eml")
            with open(path + ".new", "wb") as f:
                f.write(f"X-Envelope: from <{sender}> to {', '.join(rcpts)}\n".encode() + content.replace(b"\r\n", b"\n"))
            os.rename(path + ".new", path)
        time.sleep(0.02)


main()
