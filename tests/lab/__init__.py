"""The laboratory: an internet of its own for each system test.

A test file calls lab.main(); it is run again inside fresh network, mount and pid namespaces, where every "host" is an
address of the loopback device. When the test ends, however it ends, the kernel removes all of it: no namespace, mount
or process stays behind. What a test leaves on disk is one folder, removed unless POSTERN_KEEP is set.
"""
from .tap import main, check, equal, fail, wait_for, Failed          # noqa: F401
from .hosts import Lab                                               # noqa: F401
from .postern import Postern                                         # noqa: F401
from .client import Client, message, send                            # noqa: F401
from .sink import Sink                                               # noqa: F401
from .ledger import Ledger, Load, Recorder                           # noqa: F401
