"""What is left out of a job before it becomes a task, and why."""

import msgspec

from batchup.errors import RejectedError

HIDDEN = "hidden"
SYSTEM = "system file"
NO_MEDIA = "no image or video"
IN_OUTPUT = "in the output folder"
LEDGER = "the ledger"
SIDECAR = "sidecar"
GROWING = "still being written"
OWN_OUTPUT = "own output"
EXCLUDED = "excluded"
NOT_INCLUDED = "not included"
TWICE = "same file twice"
UNREADABLE = "unreadable"
LOOP = "symlink loop"
BROKEN_LINK = "broken link"

_REASONS = {
    "media_unreadable": UNREADABLE,
    "raw_unsupported": "camera raw",
    "heic_unsupported": "HEIC without its extra",
    "codec_unsupported": "codec not supported",
    "format_unsupported": "format not supported",
}


class Skipped(msgspec.Struct, frozen=True):
    """One input that is left out; a folder, with ``/`` at its end, stands for all below it.

    Attributes:
        label: How people know it: root and path as path text, or the URL.
        reason: One of a few stable texts, to count by.
        detail: What was found, where the reason does not say it all.
    """

    label: str
    reason: str
    detail: str = ""


def rejected(label: str, error: RejectedError) -> Skipped:
    """Return what is left of media that cannot be used."""
    return Skipped(label, _REASONS.get(error.kind, UNREADABLE), str(error))


def unreadable(label: str, error: OSError) -> Skipped:
    """Return what is left of a file or folder that the system does not give."""
    return Skipped(label, UNREADABLE, error.strerror or str(error))
