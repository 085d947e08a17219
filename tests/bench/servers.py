"""Postern and Postfix behind one set of calls, each tuned so that only its own work limits it."""
import os
import subprocess
import time

import lab
from lab.certificate import Certificate
from lab.hosts import POSTERN, POSTFIX, tool
from lab.tap import Failed, wait_for

HELD = "10.77.0.27"
HANGING = "10.77.0.28"
DOMAINS = 200           # d0.held.test and on
HANGING_DOMAINS = 25    # d0.k0.hanging.test and on: others for each round
HANGING_ROUNDS = 9

# What both are told: mail of the lab's network is relayed; no limit on what one client may do; 100 sessions to one
# destination at most, 20 at first; nothing is tried again by itself.
POSTERN_EXTRA = """
smtpd { max-message-size = "4G"
    max-sessions-per-client = 100000
    max-messages = 100000000
    max-commands = 100000000 }
router { relay-clients = {"10.77.0.0/16", "127.0.0.0/8"} }
limits { exempt = {"10.77.0.0/16"} }
queue { concurrency-first = 20
    concurrency-max = 100
    retry-first = "1d"
    retry-max = "1d" }
"""

# README.md has the reason for each.
POSTFIX_EXTRA = """
default_process_limit = 1000
message_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_recipient_rate_limit = 0
in_flow_delay = 0
qmgr_message_active_limit = 200000
qmgr_message_recipient_limit = 400000
default_destination_concurrency_limit = 100
initial_destination_concurrency = 20
minimal_backoff_time = 1d
maximal_backoff_time = 1d
max_use = 10000
enable_long_queue_ids = yes
"""

# How mail is kept from being delivered. Postern needs nothing for it: nobody listens at the destination of held.test, and
# one that could not be reached is left alone, nothing is tried and nothing written for its messages.
RELAY, DEFER, HOLD = "relay", "defer", "hold"
POSTFIX_MODES = {
    RELAY: {"defer_transports": "", "smtpd_end_of_data_restrictions": ""},
    DEFER: {"defer_transports": "smtp", "smtpd_end_of_data_restrictions": ""},
    HOLD: {"defer_transports": "", "smtpd_end_of_data_restrictions": "check_client_access static:HOLD"},
}


class PosternServer:
    name = "postern"
    address = POSTERN

    def __init__(self, net, certificate=None):
        certificate = certificate or Certificate(net.folder, "mx", ["mx.postern.test"])
        self.server = lab.Postern(net, net.postern_conf(POSTERN_EXTRA + certificate.section("mx")))
        self.root = self.server.process.child.pid

    def mode(self, mode):
        pass

    def queued(self):
        return next(r["messages"] for r in self.server.ctl_rows("status") if "messages" in r)

    def settle(self, messages):
        """So many messages are in the queue."""
        if self.queued() < messages:
            raise Failed(f"Postern has {self.queued()} messages, not {messages}")

    def quiet(self):
        """Nothing to wait for: what the destination cannot take is not touched."""

    def retry(self):
        self.server.ctl("queue", "flush")

    def stop(self):
        self.server.stop()

    def start(self, wait=True):
        self.server.start(wait)
        self.root = self.server.process.child.pid


GOOD = "10.77.0.20"     # a client that is not listed
DEAF = "10.77.0.29"     # attacked instead
FLOODED_EXTRA = """
router {{ relay-clients = {{"10.77.0.1", "10.77.0.10", "127.0.0.0/8"}} }}
listener "smtps" {{ address = {{"{address}"}}
    port = 465
    tls = implicit }}
listener "submission" {{ address = {{"{address}"}}
    port = 587
    kind = submission
    auth-without-tls = yes }}
auth {{ users-file = "{users}" }}
"""


class Flooded:
    """Postern with the limits that it has by itself. Listed are the addresses that load comes from."""
    address = POSTERN

    def __init__(self, net):
        users = net.path("users")
        subprocess.run([os.path.join(lab.postern.STAGE, "sbin", "posternctl"), "passwd", "--file", users, "user1"],
                       input="right\n", text=True, check=True, capture_output=True)
        os.chmod(users, 0o600)
        certificate = Certificate(net.folder, "mx", ["mx.postern.test"], kind="rsa:2048")
        self.server = lab.Postern(net, net.postern_conf(FLOODED_EXTRA.format(address=POSTERN, users=users) +
                                                        certificate.section("mx")))
        self.root = self.server.process.child.pid

    def ss(self):
        r = subprocess.run(["ss", "-Htn", "state", "established", f"src {POSTERN}"], capture_output=True, text=True)
        return [line for line in r.stdout.splitlines() if line]


def flooded(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.zone("held.test", f"@ MX 10 mx\nmx A {HELD}\n")
    net.start_dns()
    return Flooded(net)


class PostfixServer:
    name = "postfix"
    address = POSTFIX

    def __init__(self, net, mode, extra=""):
        self.net = net
        self.current = mode
        net.start_postfix(POSTFIX_EXTRA + extra + "".join(f"{k} = {v}\n" for k, v in POSTFIX_MODES[mode].items()))
        self.find_root()

    def find_root(self):
        with open(self.net.path("postfix", "spool", "pid", "master.pid")) as f:
            self.root = int(f.read())

    def command(self, program, *words):
        subprocess.run([tool(program), "-c", self.net.path("postfix", "conf"), *words], check=True, capture_output=True)

    def mode(self, mode):
        if mode != self.current:
            self.current = mode
            self.command("postconf", "-e", *[f"{k}={v}" for k, v in POSTFIX_MODES[mode].items()])
            self.command("postfix", "reload")
            time.sleep(0.5)

    def queued(self, *queues):
        return sum(len(files) for queue in queues or ("incoming", "active", "deferred")
                   for _, _, files in os.walk(self.net.path("postfix", "spool", queue)))

    def settle(self, messages):
        """So many messages have been moved to the deferred queue."""
        wait_for(lambda: self.queued("deferred") >= messages, "Postfix to defer the mail", 120)

    def quiet(self):
        """Waits until its queue manager has put off everything: that must not go on while the other one is measured."""
        wait_for(lambda: self.queued("incoming", "active") == 0, "Postfix to be done with what it took", 300)

    def retry(self):
        self.command("postqueue", "-f")

    def ended(self):
        # Its master has left its parent and is ours to wait for.
        try:
            return os.waitpid(self.root, os.WNOHANG)[0] == self.root
        except ChildProcessError:
            return not os.path.exists(f"/proc/{self.root}")

    def stop(self):
        self.net.postfix.stop()
        wait_for(self.ended, "Postfix to end")

    def start(self, wait=True):
        self.net.postfix.start()
        self.find_root()


# The same key, and TLS 1.3 as Postern does it: its suites, its first group.
POSTFIX_TLS = """
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {chain}
smtpd_tls_eecdh_grade = auto
tls_eecdh_auto_curves = X25519 prime256v1 secp384r1
smtpd_tls_loglevel = 1
"""


def with_tls(folder, kinds):
    """For each kind of key the two servers with one certificate of it; those before are stopped."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    for kind in kinds:
        certificate = Certificate(net.folder, "mx-" + kind.partition(":")[0], ["mx.postern.test"], kind=kind)
        pair = [PosternServer(net, certificate),
                PostfixServer(net, DEFER, POSTFIX_TLS.format(key=certificate.key, chain=certificate.chain))]
        time.sleep(0.5)
        yield pair
        for s in pair:
            s.stop()


_shared = {}        # with --smoke: one lab for all figures, which saves most of the time


def both(folder, mode=RELAY, shared=False):
    """The two servers, up, in a lab with signed DNS: sink.test is where mail arrives, nobody listens for held.test,
    hanging.test never greets."""
    if "pair" in _shared:
        for s in _shared["pair"]:
            s.mode(mode)
        return list(_shared["pair"])
    net = lab.Lab(folder)
    net.standard_zones()
    many = "".join(f"d{i} MX 10 mx\n" for i in range(DOMAINS))
    net.zone("held.test", f"@ MX 10 mx\nmx A {HELD}\n" + many)
    net.zone("hanging.test", f"mx A {HANGING}\n" + "".join(
        f"d{i}.k{k} MX 10 mx\n" for i in range(HANGING_DOMAINS) for k in range(HANGING_ROUNDS)))
    net.start_dns()
    pair = [PosternServer(net), PostfixServer(net, mode)]
    time.sleep(0.5)
    if shared:
        _shared["pair"] = pair
    return pair
