"""Transport: the one place that speaks HTTP. Foreign errors become ours here; secrets stay with their origin."""

from batchup.transport.client import Transport, open_transport

__all__ = ["Transport", "open_transport"]
