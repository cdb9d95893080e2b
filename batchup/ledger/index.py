"""The index in the user's state folder: where each job's ledger was last, so that a moved one is missed.

It is advice: a run never fails for it.
"""

import hashlib
import logging
import os
import sys
from pathlib import Path

import msgspec

from batchup.disk import replacing
from batchup.source import to_path, to_text

_log = logging.getLogger(__name__)


class Place(msgspec.Struct, frozen=True):
    """Where one job's ledger was last. All are path texts, see :func:`batchup.source.to_text`."""

    manifest: str
    job: str
    ledger: str


def state_folder() -> Path:
    """Return the folder where batchup keeps what is about this user, not about one job.

    ``BATCHUP_STATE_HOME``, else what the system sets aside for that.
    Source: https://specifications.freedesktop.org/basedir-spec/latest/, read 2026-11.

    Raises:
        RuntimeError: This user has no home.
    """
    if own := os.environ.get("BATCHUP_STATE_HOME"):
        return Path(own)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "batchup"
    base = os.environ.get("XDG_STATE_HOME", "")
    # The specification has relative ones ignored.
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "batchup"


def moved(manifest: Path, job: str, ledger: Path) -> Path | None:
    """Return where the ledger of this job was, if it is there still and there is none at *ledger*.

    Args:
        manifest: The manifest's file.
        job: Its ``name``.
        ledger: Where it puts its ledger now.
    """
    try:
        place = msgspec.json.decode(_file(manifest, job).read_bytes(), type=Place)
        old = Path(to_path(place.ledger))
        if _has_ledger(ledger) or not _has_ledger(old) or old == _real(ledger):
            return None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RuntimeError) as error:
        _log.warning("cannot tell where the ledger of %s was before: %s", manifest, error)
        return None
    return old


def last(manifest: Path, job: str) -> Path | None:
    """Return where the ledger of this job was last, whether it is there still or not; None if nobody knows."""
    try:
        return Path(to_path(msgspec.json.decode(_file(manifest, job).read_bytes(), type=Place).ledger))
    except (OSError, ValueError, RuntimeError):
        return None


def remember(manifest: Path, job: str, ledger: Path) -> None:
    """Note that the ledger of this job is now at *ledger*. Arguments as for :func:`moved`."""
    try:
        file = _file(manifest, job)
        place = Place(to_text(str(_real(manifest))), to_text(job), to_text(str(_real(ledger))))
        keep(file, msgspec.json.encode(place))
    except (OSError, ValueError, RuntimeError) as error:
        _log.warning("cannot note where the ledger of %s is: %s", manifest, error)


def keep(file: Path, data: bytes) -> None:
    """Write a file of the state folder, which only its user may read: whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        replacing(file) as draft,
        open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream,  # noqa: PTH123 - by its number
    ):
        stream.write(data)


def _file(manifest: Path, job: str) -> Path:
    name = hashlib.sha256(os.fsencode(_real(manifest)) + b"\0" + os.fsencode(job)).hexdigest()[:32]
    return state_folder() / "ledgers" / f"{name}.json"


def _has_ledger(path: Path) -> bool:
    """Return whether there is a file that holds anything."""
    try:
        return path.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
