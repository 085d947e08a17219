"""Postern and Postfix behind one set of calls, each tuned so that only its own work limits it."""
import os
import shutil
import time

import lab
from lab.hosts import POSTERN, POSTFIX
from lab.tap import wait_for

# What both are told: mail of the lab's network is relayed; 100 sessions to the sink at most, 20 at first.
POSTERN_EXTRA = """
smtpd { max-sessions-per-client = 100000
    max-messages = 100000000
    max-commands = 100000000 }
router { relay-clients = {"10.77.0.0/16", "127.0.0.0/8"} }
queue { concurrency-first = 20
    concurrency-max = 100
    retry-first = "%(retry)s"
    retry-max = "1d" }
"""

POSTFIX_EXTRA = """
default_process_limit = 1000
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_recipient_rate_limit = 0
in_flow_delay = 0
qmgr_message_active_limit = 200000
qmgr_message_recipient_limit = 400000
default_destination_concurrency_limit = 100
initial_destination_concurrency = 20
max_use = 10000
enable_long_queue_ids = yes
"""


class PosternServer:
    name = "postern"
    address = POSTERN

    def __init__(self, net, held):
        # Held: the destination of held.test refuses connections, and one that could not be reached is left alone for a
        # day: nothing is tried, nothing is written for its messages.
        self.net = net
        self.server = lab.Postern(net, net.postern_conf(POSTERN_EXTRA % {"retry": "1d" if held else "5m"}))
        self.root = self.server.process.child.pid

    def queued(self):
        return next((r for r in self.server.ctl_rows("queue", "status")), {})

    def stop(self):
        self.server.stop()

    def wipe(self):
        """Stops it, empties its spool, starts it."""
        self.server.stop()
        shutil.rmtree(os.path.join(self.server.base, "spool"))
        self.start()

    def start(self):
        self.server.start()
        self.root = self.server.process.child.pid


class PostfixServer:
    name = "postfix"
    address = POSTFIX

    def __init__(self, net, held):
        self.net = net
        net.start_postfix(POSTFIX_EXTRA + ("defer_transports = smtp\n" if held else ""))
        self.find_root()

    def find_root(self):
        with open(self.net.path("postfix", "spool", "pid", "master.pid")) as f:
            self.root = int(f.read())

    def stop(self):
        self.net.postfix.stop()
        wait_for(lambda: not os.path.exists(f"/proc/{self.root}"), "Postfix to end")

    def wipe(self):
        self.stop()
        for queue in ("maildrop", "incoming", "active", "deferred", "defer", "hold", "bounce", "corrupt"):
            folder = self.net.path("postfix", "spool", queue)
            for path, _, files in os.walk(folder):
                for f in files:
                    os.unlink(os.path.join(path, f))
        self.start()

    def start(self):
        self.net.postfix.start()
        self.find_root()


def both(folder, held=False):
    """The two servers, up, in a lab with signed DNS."""
    net = lab.Lab(folder)
    net.standard_zones()
    net.zone("held.test", "@ MX 10 mx\nmx A 10.77.0.27\n")
    net.start_dns()
    servers = [PosternServer(net, held), PostfixServer(net, held)]
    time.sleep(0.5)
    return servers
