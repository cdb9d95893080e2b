"""Single: one watch of a manifest at a time."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchup.errors import FatalError, LedgerError
from batchup.ledger.index import state_folder
from batchup.ledger.lock import acquire, holder, release


@contextmanager
def watched_alone(manifest: Path) -> Iterator[None]:
    """Let nobody else of this user watch *manifest* while the block lasts. The system frees it with the process.

    Raises:
        LedgerError: Somebody does already.
        FatalError: The user's state folder cannot be written.
    """
    name = hashlib.sha256(os.fsencode(os.path.realpath(manifest))).hexdigest()[:32]
    try:
        place = state_folder() / "watches" / name
        place.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise FatalError(
            f"the folder for what is kept about this user cannot be written: {error}; set BATCHUP_STATE_HOME",
            stopped="disk",
        ) from error
    try:
        lock = acquire(place)
    except LedgerError as error:
        who = holder(place) or "another process"
        raise LedgerError(
            f"{manifest}: it is being watched already, by {who}; one watch is enough"
        ) from error
    try:
        yield
    finally:
        release(lock)
