"""A server that takes mail and remembers it: a Peer whose script is usually empty."""
from .peer import Peer


class Sink(Peer):
    """See peer.py for what `script` may hold."""
