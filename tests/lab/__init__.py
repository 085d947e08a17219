"""The laboratory: an internet of its own for each system test.

A test file calls lab.main(globals()). Each of its tests runs in fresh namespaces (cell.py), where hosts are network
namespaces joined by a bridge (net.py). When the test ends, however it ends, the kernel removes all of it: no namespace,
mount or process stays behind. What a test leaves on disk is one folder, removed unless POSTERN_KEEP is set.
"""
from . import net                                                    # noqa: F401
from .tap import main, check, equal, fail, wait_for, Failed          # noqa: F401
from .hosts import Lab                                               # noqa: F401
from .postern import Postern                                         # noqa: F401
from .client import Client, message, send                            # noqa: F401
from .roots import needs                                             # noqa: F401
from .peer import Peer                                                # noqa: F401
from .sink import Sink                                               # noqa: F401
from .ledger import Ledger, Load, Recorder                           # noqa: F401
