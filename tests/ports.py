"""Ports that a server may leave and come back to."""

import random
import socket

_FIRST, _LAST = 10_000, 32_000
"""Below those that systems give to whoever asks for any: Linux begins at 32768, others at 49152."""


def own_port() -> int:
    """Return a free port of loopback that stays free: nobody is given it by chance."""
    while True:
        port = random.randint(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
