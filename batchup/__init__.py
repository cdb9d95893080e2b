"""Upscale a folder of photos and videos from one manifest, and go on where it stopped."""

from typing import Any

from batchup.version import __version__

__all__ = ["__version__", "load", "run", "survey"]

_HOMES = {"load": "batchup.manifest", "run": "batchup.run", "survey": "batchup.survey"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: worker processes and `batchup --help` need none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
