"""Pictures: what the input holds besides its pixels, spliced into the output."""

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from batchup.carry import jpeg, pieces, png, tiff, webp
from batchup.carry.gift import Gift, given
from batchup.carry.pieces import Spliced
from batchup.errors import RejectedError
from batchup.media import glimpse, probe
from batchup.source import Media

_FORMS: dict[str, Callable[[BinaryIO, Gift], Spliced]] = {
    "JPEG": jpeg.spliced,
    "PNG": png.spliced,
    "TIFF": tiff.spliced,
    "WEBP": webp.spliced,
}


def carry(source: str, part: Path, beside: Path, *, keep: bool) -> tuple[str, ...]:
    """Put what *source* holds into *part*, by way of *beside*, and return what could not be.

    Raises:
        OSError: The output's disk failed.
    """
    output = _probed(part)
    if output is None:
        return ()  # that it is damaged is for others to say
    if output.format not in _FORMS:
        return (f"{output.format} files are left as the model made them, without the input's metadata",)
    gift, notes = given(source, output, keep=keep)
    with part.open("rb") as file:
        try:
            new = _FORMS[output.format](file, gift)
        except (ValueError, struct.error) as error:
            return (*notes, f"the output stays as the model made it, without the input's metadata: {error}")
        if pieces.is_same(new.pieces, file):
            return (*notes, *new.notes)
        pieces.write(new.pieces, file, beside)
    if _probed(beside) != output:
        return (*notes, "the output stays as the model made it: metadata would change how it is shown")
    beside.replace(part)
    return (*notes, *new.notes)


def carry_tiny(source: bytes, output: bytes, media: Media, *, keep: bool) -> bytes | None:
    """Return *output* with what *source* holds; None where that is not so simple, which is for :func:`carry` to say.

    Args:
        source: The input, as :func:`batchup.media.glimpse` knows it; empty where there is none.
        output: Likewise.
        media: What it is.
        keep: As :func:`batchup.carry.carry` takes it.
    """
    gift, _ = given(source, media, keep=keep)
    file = BytesIO(output)
    new = _FORMS[media.format](file, gift)
    if pieces.is_same(new.pieces, file):
        return output
    made = pieces.joined(new.pieces, output)
    return made if glimpse(made) == media else None


def _probed(file: Path) -> Media | None:
    try:
        return probe(file)
    except RejectedError:
        return None
