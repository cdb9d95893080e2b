"""Identity: what tells that two processes run the same code, with the same account."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from batchup import models, plugins, version
from batchup.errors import BatchupError


@cache
def code() -> str:
    """Return the version of this batchup, and a hash of its source: two machines may have 0.1.0 and not the same."""
    return f"{version.__version__} ({_digest(Path(version.__file__).parent)})"


@cache
def plugged(model: str) -> str:
    """Return the packages that add *model*, each with its version and a hash of its source; empty where none does.

    None of them is imported.
    """
    if model in models.names():
        return ""
    entries, provider = plugins.installed().entries, model.partition("/")[0]
    found = [*entries[plugins.MODELS].get(model, ()), *entries[plugins.PROVIDERS].get(provider, ())]
    return " and ".join(sorted({f"{entry.origin} ({_source(entry.point.module)})" for entry in found}))


def _source(module: str) -> str:
    """Return a hash of the source of a module's topmost package; empty where it is none that lies in one place."""
    with suppress(ImportError, ValueError, OSError):  # whatever became of the package since it was installed
        found = find_spec(module.partition(".")[0])
        if found is not None and found.origin is not None:
            file = Path(found.origin)
            return _digest(file.parent if found.submodule_search_locations else file)
    return ""


def _digest(root: Path) -> str:
    """Return a short hash of a file of Python, or of all in a folder."""
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:8]


def account(environment: Mapping[str, str], nonce: str) -> str:
    """Return a hash of fal's key and addresses with a random number, which tells neither; empty where there is no key."""
    from batchup.providers.fal.settings import (
        Settings,
    )  # yarl and aiohttp's kin: local work needs none of them

    try:
        settings = Settings.from_environment(environment)
    except BatchupError:
        return ""
    places = (settings.queue, settings.run, settings.rest, settings.platform)
    return hashlib.sha256("\0".join([nonce, settings.key.reveal(), *map(str, places)]).encode()).hexdigest()
