"""A SASL client that does what it is told, right or wrong: SCRAM with channel binding (RFC 5802, 5929, 9266), PLAIN, EXTERNAL;
and TLS by pyOpenSSL, because Python's own has no exporter (RFC 5705)."""
import base64
import hashlib
import hmac

from OpenSSL import SSL, crypto

from .client import Client

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


class _Stream:
    """What Client wants of a socket."""

    def __init__(self, connection):
        self.connection = connection

    def sendall(self, data):
        self.connection.sendall(data)

    def recv(self, n):
        try:
            return self.connection.recv(n)
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return b""

    def close(self):
        self.connection.sock_shutdown(2)
        self.connection.close()


class SecureClient(Client):
    """A Client that has switched to TLS and said EHLO again."""

    def __init__(self, address, port=587, version="1.3", certificate=None, **how):
        super().__init__(address, port, **how)
        self.ehlo()
        self.cmd("STARTTLS", "220")
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(VERSIONS[version])
        context.set_max_proto_version(VERSIONS[version])
        if certificate:
            context.use_certificate_chain_file(certificate.chain)
            context.use_privatekey_file(certificate.key)
        self.tls = SSL.Connection(context, self.s)
        self.s.settimeout(None)
        self.tls.set_connect_state()
        self.tls.do_handshake()
        self.s, self.buffer = _Stream(self.tls), b""
        self.mechanisms = mechanisms_of(self.ehlo())

    def binding(self, kind):
        """The data of a channel binding of this connection."""
        if kind == "tls-exporter":                                  # RFC 9266 4.1: no context at all is another thing
            return self.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        if kind == "tls-server-end-point":
            return hashlib.sha256(crypto.dump_certificate(crypto.FILETYPE_ASN1, self.tls.get_peer_certificate())).digest()
        if kind == "tls-unique":
            return self.tls.get_finished()                          # ours comes first in a full handshake
        raise ValueError(kind)


def mechanisms_of(lines):
    for line in lines:
        if line[4:9] == "AUTH ":
            return line[9:].split()
    return []


def plain(c, user, password, authzid=""):
    return c.cmd("AUTH PLAIN " + b64(f"{authzid}\0{user}\0{password}"))


class Scram:
    """One exchange, step by step. Words replace what is right: gs2, binding, nonce (the client's), proof, and final, a function
    that is given the client's final message and returns another. extensions: what stands behind the nonce of the first and of
    the final message, where the proof covers it."""

    def __init__(self, c, user, password, mechanism="SCRAM-SHA-256", gs2="n,,", binding=b"", nonce="abcdefgh",
                 extensions=("", "")):
        self.c, self.password, self.mechanism, self.gs2, self.data = c, password, mechanism, gs2, binding
        self.bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}{extensions[0]}"
        self.extension = extensions[1]

    def first(self):
        """(code, the server's first message taken apart)"""
        code, lines = self.c.cmd(f"AUTH {self.mechanism} " + b64(self.gs2 + self.bare))
        self.server_first = base64.b64decode(lines[-1][4:]).decode() if code == "334" else lines[-1]
        self.parts = dict(p.split("=", 1) for p in self.server_first.split(",")) if code == "334" else {}
        return code, self.parts

    def final(self, change=None):
        """(code, did the server show that it knows the password?); change(unproven, proof) makes another message."""
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(self.parts["s"]), int(self.parts["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        unproven = f"c={b64(self.gs2.encode() + self.data)},r={self.parts['r']}{self.extension}"
        signed = f"{self.bare},{self.server_first},{unproven}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        proof = b64(bytes(a ^ b for a, b in zip(key, signature)))
        code, lines = self.c.cmd(b64(change(unproven, proof) if change else f"{unproven},p={proof}"))
        if code != "334":
            return code, False
        expected = "v=" + b64(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256"))
        return self.c.cmd("")[0], base64.b64decode(lines[-1][4:]).decode() == expected


def scram(c, user, password, mechanism="SCRAM-SHA-256", gs2="n,,", binding=b""):
    """The whole exchange: the last code, and whether the server has shown that it knows the password."""
    s = Scram(c, user, password, mechanism, gs2, binding)
    code, _ = s.first()
    return s.final() if code == "334" else (code, False)


def plus(c, user, password, kind, data=None):
    """SCRAM-SHA-256-PLUS with a binding of this kind, of this connection unless data is another."""
    return scram(c, user, password, "SCRAM-SHA-256-PLUS", f"p={kind},,", c.binding(kind) if data is None else data)
