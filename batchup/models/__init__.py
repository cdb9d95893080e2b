"""The built-in models, found by their files: ``models/local/lanczos_video.py`` is ``local/lanczos-video``."""

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from batchup.models.base import Model

FAL = "fal"
LOCAL = "local"
PROVIDERS = (FAL, LOCAL)
"""Those that are built in; :mod:`batchup.plugins` knows of others."""


@cache
def names() -> tuple[str, ...]:
    """Return the names of all models that are built in, sorted. Imports none of them."""
    here = Path(__file__).parent
    return tuple(
        sorted(
            f"{provider}/{module.name.replace('_', '-')}"
            for provider in PROVIDERS
            for module in pkgutil.iter_modules([str(here / provider)])
        )
    )


@cache
def find(name: str) -> Model:
    """Return the built-in model called *name*.

    Raises:
        KeyError: There is no such model; :func:`names` has those that there are.
    """
    if name not in names():
        raise KeyError(name)
    provider, _, stem = name.partition("/")
    model: Model = importlib.import_module(f"batchup.models.{provider}.{stem.replace('-', '_')}").MODEL
    return model
