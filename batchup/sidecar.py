"""Sidecar: the JSON file beside an output that says how it was made, and what the ledger has of it.

``photo.jpg`` has ``photo.jpg.batchup.json``. It holds the ledger's own lines about the output's task, so that a lost
ledger can be made again from the sidecars alone, and a checksum, so that a damaged one is told from a whole one.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec

from batchup import events
from batchup.disk import sync
from batchup.errors import BatchupError
from batchup.task import Scalar

FORMAT = 1

ENDING = ".batchup.json"
"""Of every sidecar's name, and of no output's and no input's."""

MOST_BYTES = 4 << 20
"""A larger file is none of ours: a sidecar has some two thousand."""

MAX_NAME_BYTES = 255
"""What one name may hold on most disks."""

SUM = "crc"


class Story(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the ledger has of a task that is done.

    Attributes:
        task: What was to be done: input, model, parameters.
        submitting: What was sent, without its body; None for work that nobody was asked for, like the next two.
        submitted: What the provider called it.
        result: Where its output can be fetched again.
        done: The output.
    """

    task: events.Seen
    submitting: events.Submitting | None = None
    submitted: events.Submitted | None = None
    result: events.Result | None = None
    done: events.Done

    @property
    def events(self) -> Iterator[events.Event]:
        """All of it, in order."""
        told = (self.task, self.submitting, self.submitted, self.result, self.done)
        return (event for event in told if event is not None)


class Sidecar(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one output came to be.

    Attributes:
        sidecar: :data:`FORMAT`.
        version: Of batchup.
        job: The manifest's ``name``.
        params: All parameters of the model, defaults included.
        own: What happened to the task whose output this is.
        origin: Of a copy, what happened to the task that was run, and paid, for it.
    """

    sidecar: int = FORMAT
    version: str
    job: str
    params: Mapping[str, Scalar] = {}
    own: Story
    origin: Story | None = None


class SidecarError(BatchupError):
    """A sidecar cannot be used; the text says why."""


_encoder = msgspec.json.Encoder(decimal_format="string")


def beside(output: Path) -> Path:
    """Return where the sidecar of *output* is: its name and :data:`ENDING`, or a hash of one that is too long."""
    name = os.fsencode(output.name)
    if len(name) + len(ENDING) <= MAX_NAME_BYTES:
        return output.with_name(output.name + ENDING)
    return output.with_name(hashlib.sha256(name).hexdigest()[:32] + ENDING)


def encode(sidecar: Sidecar) -> bytes:
    """Return *sidecar* as the bytes of its file."""
    fields = msgspec.json.decode(_encoder.encode(sidecar))
    fields = {"sidecar": sidecar.sidecar, **fields}
    fields[SUM] = _sum(fields)
    return msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n"


def decode(data: bytes) -> Sidecar:
    """Undo :func:`encode`.

    Raises:
        SidecarError: It is damaged, no sidecar, or of a newer format.
    """
    try:
        fields = msgspec.json.decode(data)
        found = fields.pop(SUM, None) if isinstance(fields, dict) else None
        number = fields.get("sidecar", 0) if isinstance(fields, dict) else 0
        if found is None or not isinstance(number, int):
            raise SidecarError("it is damaged, or no sidecar")
        if number > FORMAT:
            raise SidecarError(f"it has format {number}, of a newer batchup; this one reads up to {FORMAT}")
        if found != _sum(fields):
            raise SidecarError("it is damaged: its checksum does not fit")
        return msgspec.convert(fields, Sidecar)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SidecarError(f"it is damaged, or no sidecar: {error}") from error


def below(folder: Path) -> Iterator[Path]:
    """Yield the sidecars below *folder*, names in order; what is hidden is nobody's output.

    A folder that holds a ledger itself, and what is below it, is left to the job of that one.
    """
    for at, folders, names in os.walk(folder):
        if ".batchup" in folders and Path(at) != folder and any(Path(at, ".batchup").glob("*.jsonl")):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(ENDING) and not name.startswith("."):
                yield Path(at, name)


def read(file: Path) -> Sidecar:
    """Return what a sidecar says.

    Raises:
        SidecarError: It cannot be read, or used.
    """
    try:
        with file.open("rb") as reading:
            data = reading.read(MOST_BYTES + 1)
    except OSError as error:
        raise SidecarError(f"it cannot be read: {error.strerror or error}") from error
    if len(data) > MOST_BYTES:
        raise SidecarError("it is too large for a sidecar")
    return decode(data)


def write(sidecar: Sidecar, output: Path) -> None:
    """Put *sidecar* beside *output*, whole or not at all, in place of the one that is there. Blocks.

    Its contents are on the disk then; its name is once the folder is synced.

    Raises:
        OSError: The disk refuses; what was there before still is.
    """
    # A name of its task's own, as an output's part has: what a kill leaves is written over by the next run.
    new = output.with_name(f".{sidecar.own.done.id[:16]}.sidecar")
    try:
        with new.open("wb") as file:
            file.write(encode(sidecar))
            file.flush()
            sync(file.fileno())
        new.replace(beside(output))
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _sum(fields: Mapping[str, Any]) -> str:
    return f"{crc32(msgspec.json.encode(fields)):08x}"
