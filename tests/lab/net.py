"""Hosts: a network namespace each, joined by a bridge. They live in the namespaces of their test and vanish with it.

    peer = net.host("10.77.0.26")           made when first asked for, with fd77::26 as well
    with peer.inside():                     sockets made here, and processes started here, are on that host
        ...
    peer.cut(); peer.restore()              the cable: nothing comes or goes, nobody is told
    peer.silence(); peer.speak()            it takes packets, and never answers one
    peer.throttle("64kbit")                 what it sends is slow

The test itself sits on the bridge, and is 10.77.0.1. It has the other well-known addresses too until a host with one of
them is made, so that what a test runs itself may also bind to them; what nobody has been given refuses connections.
"""
import contextlib
import ctypes
import errno
import os
import socket
import subprocess

from .tap import Failed

CLONE_NEWNET = 0x40000000
CLIENT = "10.77.0.1"
KNOWN = (1, 10, 11, 20, 25, 26, 27, 53, 99)     # last numbers of the addresses that are there from the start

_libc = ctypes.CDLL(None, use_errno=True)
_main = None            # the namespace that the test itself is in
_flat = False           # all hosts are this one: no bridge, addresses on the loopback
_hosts = {}             # address: Host


def ip(*commands):
    """Runs iproute2 commands as one batch, in the namespace of the calling thread."""
    r = subprocess.run(["ip", "-batch", "-"], input="\n".join(commands) + "\n", capture_output=True, text=True)
    if r.returncode != 0:
        raise Failed(f"ip: {r.stderr.strip()} (of: {'; '.join(commands)})")


def six(address):
    """The IPv6 address of the host with this IPv4 address."""
    third, last = address.split(".")[2:]
    return f"fd77::{last}" if third == "0" else f"fd77::{third}:{last}"


def set_up(flat=False):
    """The bridge with the test on it; once, at the start of a test."""
    global _main, _flat
    _flat = flat
    _main = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if flat:
        ip("link set lo up", "addr add 10.77.0.0/16 dev lo", "addr add fd77::/64 dev lo nodad")
        subprocess.run("ip route add local 10.77.0.0/16 dev lo".split(), stderr=subprocess.DEVNULL)
        ip(*(f"addr add {a} dev lo{' nodad' if ':' in a else ''}" for n in KNOWN for a in (f"10.77.0.{n}/32", f"fd77::{n}/128")))
        return
    ip("link set lo up", "link add br0 type bridge mcast_snooping 0", "link set br0 up",
       *(f"addr add 10.77.0.{n}/16 dev br0" for n in KNOWN), *(f"addr add fd77::{n}/64 dev br0 nodad" for n in KNOWN))


def host(address=None):
    """The host with this address (of 10.77.0.0/16 or fd77::/64), made if it is not there yet; without one, the test's own."""
    if address is None or _flat or address == CLIENT or address.startswith("127.") or _main is None:
        return _hosts.setdefault(CLIENT, Host(CLIENT, _main))
    if ":" in address:
        parts = address.rpartition("fd77::")[2].split(":")
        address = ".".join(["10.77"] + (["0"] + parts if len(parts) == 1 else parts))
    if address not in _hosts:
        _hosts[address] = _make(address)
    return _hosts[address]


def known(address):
    """The host with this address if there is one, or else the test's own, which may have the address itself."""
    return _hosts.get(address) or host()


def _make(address):
    number = len(_hosts) + 1
    last = address.split(".")
    here = f"10.77.0.{last[3]}" == address and int(last[3]) in KNOWN
    made = Host(address, _new_namespace(), f"v{number}")
    if here:
        ip(f"addr del {address}/16 dev br0", f"addr del {six(address)}/64 dev br0")
    ip(f"link add {made.port} type veth peer name eth0 netns /proc/{os.getpid()}/fd/{made.namespace}",
       f"link set {made.port} master br0 up")
    with made.inside():
        ip("link set lo up", "link set eth0 up", f"addr add {address}/16 dev eth0", f"addr add {six(address)}/64 dev eth0 nodad")
    return made


def _new_namespace():
    """A descriptor of a fresh one; the calling thread stays where it is."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        _enter(before)
        os.close(before)


def _enter(namespace):
    if _libc.setns(namespace, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {errno.errorcode.get(code)}")


class Host:
    def __init__(self, address, namespace, port=None):
        self.address = address
        self.namespace = namespace
        self.port = port                # its end of the cable at the bridge

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is on this host meanwhile."""
        if self.namespace is None:      # no test's namespaces: a tool that uses this package's servers
            yield
            return
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(self.namespace)
            yield
        finally:
            _enter(before)
            os.close(before)

    def run(self, argv, **more):
        with self.inside():
            return subprocess.run(argv, **more)

    def start(self, argv, **more):
        with self.inside():
            return subprocess.Popen(argv, **more)

    def more_addresses(self, addresses):
        """Further addresses of this host, for a server that is many."""
        device = "br0" if self.port is None else "eth0"
        with self.inside():
            ip(*(f"addr add {a}/16 dev {device if not _flat else 'lo'}" for a in addresses))
        for a in addresses:
            _hosts[a] = self

    def sysctl(self, name, value):
        with self.inside(), open("/proc/sys/net/" + name, "w") as f:
            f.write(value)

    # --- the network between them fails ---

    def _must_be_apart(self):
        if self.port is None:
            raise Failed(f"{self.address} has no cable of its own")

    def cut(self):
        self._must_be_apart()
        ip(f"link set {self.port} down")

    def restore(self):
        self._must_be_apart()
        ip(f"link set {self.port} up")

    def silence(self):
        """Halves of the network are more specific than the network: no answer finds a way out."""
        self._must_be_apart()
        with self.inside():
            ip("route add blackhole 10.77.0.0/17", "route add blackhole 10.77.128.0/17",
               "route add blackhole fd77::/65", "route add blackhole fd77:0:0:0:8000::/65")

    def speak(self):
        with self.inside():
            ip("route del blackhole 10.77.0.0/17", "route del blackhole 10.77.128.0/17",
               "route del blackhole fd77::/65", "route del blackhole fd77:0:0:0:8000::/65")

    def throttle(self, rate, burst="4k"):
        self._must_be_apart()
        r = self.run(["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", rate, "burst", burst, "latency", "10s"],
                     capture_output=True, text=True)
        if r.returncode != 0:
            raise Failed("tc: " + r.stderr.strip())


def listener(address, port, backlog=512, host=None):
    """A listening TCP socket on the host that is given, or has this address, or else on the test's own."""
    with (host or known(address)).inside():
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen(backlog)
        return s
