"""A scripted SMTP server in threads: takes mail and remembers it, and misbehaves where it is told to."""
import socket
import threading
import time

from . import net


class Sink:
    """script maps a verb (CONNECT, EHLO, MAIL, RCPT, DATA, DOT, RSET, QUIT) to what to answer instead: a reply as
    bytes, "close", "hang", or a function(sink, argument) that returns one of these or None for the usual."""

    def __init__(self, address, port=25, script=None, keywords=("PIPELINING", "SIZE 104857600", "8BITMIME")):
        self.script = script or {}
        self.keywords = keywords
        self.messages = []          # (sender, [rcpts], content)
        self.sessions = 0
        self.lock = threading.Lock()
        self.listener = net.listener(address, port)
        self.stopped = False
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        self.stopped = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def accept(self):
        while not self.stopped:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.sessions += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def answer(self, s, verb, argument, usual):
        said = self.script.get(verb)
        if callable(said):
            said = said(self, argument)
        if said is None:
            said = usual
        if said == "close":
            s.close()
            raise EOFError
        if said == "hang":
            while not self.stopped:
                time.sleep(0.1)
            raise EOFError
        if said:
            s.sendall(said)
        return said

    def serve(self, s):
        try:
            self.session(s)
        except (EOFError, OSError):
            pass
        finally:
            s.close()

    def session(self, s):
        f = s.makefile("rb")
        sender, rcpts = None, []
        self.answer(s, "CONNECT", "", b"220 sink.test ESMTP\r\n")
        while True:
            line = f.readline(65536)
            if not line:
                return
            verb, _, argument = line.decode("latin-1").strip().partition(" ")
            verb = verb.upper()
            if verb == "EHLO":
                usual = "".join(f"250-{k}\r\n" for k in ("sink.test",) + tuple(self.keywords[:-1]))
                usual += f"250 {self.keywords[-1]}\r\n" if self.keywords else ""
                self.answer(s, "EHLO", argument, usual.encode() or b"250 sink.test\r\n")
            elif verb == "MAIL":
                if self.answer(s, "MAIL", argument, b"250 2.1.0 ok\r\n").startswith(b"2"):
                    sender, rcpts = argument.partition("<")[2].partition(">")[0], []
            elif verb == "RCPT":
                if self.answer(s, "RCPT", argument, b"250 2.1.5 ok\r\n").startswith(b"2"):
                    rcpts.append(argument.partition("<")[2].partition(">")[0])
            elif verb == "DATA":
                usual = b"354 go\r\n" if rcpts else b"554 5.5.1 no valid recipients\r\n"
                if not self.answer(s, "DATA", argument, usual).startswith(b"3"):
                    continue
                content = bytearray()
                while True:
                    line = f.readline()
                    if not line:
                        return
                    if line == b".\r\n":
                        break
                    content += line[1:] if line.startswith(b".") else line
                said = self.answer(s, "DOT", bytes(content), None) if "DOT" in self.script else None
                if said is None:
                    with self.lock:
                        self.messages.append((sender, rcpts, bytes(content)))
                    s.sendall(b"250 2.0.0 taken\r\n")
                elif said.startswith(b"2"):
                    with self.lock:
                        self.messages.append((sender, rcpts, bytes(content)))
                sender, rcpts = None, []
            elif verb == "QUIT":
                self.answer(s, "QUIT", "", b"221 bye\r\n")
                return
            else:
                self.answer(s, verb, argument, b"250 2.0.0 ok\r\n")
                if verb == "RSET":
                    sender, rcpts = None, []
