"""Videos: the input's sound, subtitles and tags put beside the output's picture, packet by packet, nothing encoded."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from batchup.errors import RejectedError
from batchup.media import HEAD_BYTES, sniff

_ENDINGS: Mapping[str, str] = {"MP4": ".mp4", "MOV": ".mov", "3GP": ".3gp", "MKV": ".mkv", "WEBM": ".webm"}
"""Containers that are written -> the ending by which their muxer is known."""


def carry(source: str, part: Path, beside: Path, *, keep: bool) -> tuple[str, ...]:
    """Put what *source* holds beside its picture into *part*, by way of *beside*, and return what could not be.

    Sound and subtitles are given to an output that has none of their kind and lasts as long as the input. They stay where they
    are relative to the first frame. The output's own rotation, and its sound if it has any, are left alone.

    Raises:
        OSError: The output's disk failed.
    """
    with part.open("rb") as file:
        found = sniff(file.read(HEAD_BYTES))
    if found is None:
        return ()  # that it is damaged is for others to say
    if found not in _ENDINGS:
        return (f"{found} files are left as the model made them, without the input's sound and metadata",)
    notes: list[str] = []
    if _written(source, part, beside, notes, ending=_ENDINGS[found], keep=keep):
        beside.replace(part)
    return tuple(notes)


def _written(source: str, part: Path, beside: Path, notes: list[str], *, ending: str, keep: bool) -> bool:
    """Write *beside*, and return whether it is to take the output's place; adds to *notes*."""
    # Late: PyAV takes 0.1 s, and pictures need none of it.
    from batchup.carry.remux import Remux
    from batchup.providers.local.video.reader import open_input

    with ExitStack() as stack:
        try:
            output = stack.enter_context(open_input(str(part)))
        except RejectedError:
            return False  # as above
        try:
            given = stack.enter_context(open_input(source)) if source else None
        except RejectedError as error:
            notes.append(
                f"the input's sound and metadata could not be read ({error}); the output has none of them"
            )
            given = None
        try:
            return Remux(given, output, ending, notes, keep=keep).write(beside)
        except RejectedError as error:
            notes.append(
                f"the output stays as the model made it, without the input's sound and metadata: {error}"
            )
            return False
