"""A scheduler's address, as manifests and the command line write it."""

from importlib.util import find_spec
from urllib.parse import urlsplit

from batchup.errors import Fault, ManifestError


def check_address(address: str) -> None:
    """Raise ManifestError if *address* cannot be used; none at all is right."""
    message = trouble(address) if address else ""
    if message:
        raise ManifestError([Fault("", 0, 0, f"cluster: {message}")])


def trouble(address: str) -> str:
    """Return why *address* cannot be used, as the end of a sentence; empty if it can be tried."""
    parts = urlsplit(address)
    try:
        is_one = (
            parts.scheme in {"tcp", "tls"} and bool(parts.hostname) and bool(parts.port) and not parts.path
        )
    except ValueError:  # a port that is no number
        is_one = False
    if not is_one:
        return f'"{address}" is no address of a scheduler; write tcp://host:8786, or tls://host:8786'
    if find_spec("distributed") is None:
        return "workers on other machines need Dask: pip install 'batchup[cluster]'"
    return ""
