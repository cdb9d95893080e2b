"""What a local model's function is given, in its worker process."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Tell = Callable[[float], None]
"""Called now and then with the done part of the work, 0.0 to 1.0."""

Note = Callable[[str], None]
"""Called once, before the work, with what it runs on: for a person."""


class Work(msgspec.Struct, frozen=True):
    """One file to upscale. The function writes *output* whole, or raises.

    It is called as ``function(work, tell)``, or ``function(work, tell, note)`` if it takes three. It raises :class:`batchup.errors.RejectedError` for what this file can
    never become (``kind`` in snake_case, a message that names what was found), and lets ``OSError`` of the output's
    disk pass.

    Attributes:
        params: All the model's parameters, as JSON.
        source: File to read.
        output: File to write; does not exist yet. Its name tells nothing of its format.
        ext: Ending of the final name with its dot, in lower case; it decides the format that is written.
        width: Size that must come out, upright; likewise *height*.
        keep_metadata: False to leave out EXIF, XMP, IPTC, comments and the like. The ICC profile, DPI, colour tags
            and what is needed to show the picture upright always stay.
    """

    params: Mapping[str, Any]
    source: str
    output: str
    ext: str
    width: int
    height: int
    keep_metadata: bool = True
