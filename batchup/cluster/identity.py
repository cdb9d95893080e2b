"""Identity: what tells that two processes run the same code, with the same account."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from batchup import version
from batchup.errors import BatchupError


@cache
def code() -> str:
    """Return the version of this batchup, and a hash of its source: two machines may have 0.1.0 and not the same."""
    root = Path(version.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return f"{version.__version__} ({digest.hexdigest()[:8]})"


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
