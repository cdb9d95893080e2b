"""Task: one input, one model, one set of parameters, one output; and what makes it the same task tomorrow."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from batchup.source import Size, Source

Scalar = str | int | float | bool | None

ID_BYTES = 16

ASSUMED_FPS = 30
"""Of a video that declares no number of frames, as WebM."""


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input to upscale with one model and one set of parameters.

    A task never changes. Everything that happens to it is an event.

    Attributes:
        id: 32 hexadecimal digits, see :func:`identify`.
        model: ``provider/name``.
        params: All the model's parameters, defaults included, by the provider's names.
        changed: Those of *params* that differ from the model's defaults; part of the identity.
        source: What to read.
        output: Path text of the result below ``output.dir``, with ``/``.
        width: Width that the output will have, in pixels; 0 where only the work tells.
        height: Likewise.
        cost_usd: Estimated price; None where it is unknown beforehand.
    """

    id: str
    model: str
    params: Mapping[str, Scalar]
    changed: Mapping[str, Scalar]
    source: Source
    output: str
    width: int = 0
    height: int = 0
    cost_usd: Decimal | None = Decimal(0)

    @property
    def provider(self) -> str:
        """The part of the model's name before the slash."""
        return self.model.partition("/")[0]

    @property
    def size(self) -> Size | None:
        """Size of the output in pixels, where it is known beforehand."""
        return Size(self.width, self.height) if self.width else None

    @property
    def frames(self) -> int:
        """Frames that the output will have, 1 or more: as many as the input; estimated where that declares none."""
        media = self.source.media
        if media is None:
            return 1
        return max(1, media.frames or round(media.duration_s * ASSUMED_FPS))

    @property
    def pixels(self) -> int:
        """Pixels that the output will have, all frames together; 0 where only the work tells."""
        return self.width * self.height * self.frames


def canonical(params: Mapping[str, Scalar]) -> bytes:
    """Return *params* as JSON bytes that are equal exactly if the parameters mean the same.

    Names are sorted, and a float with no fraction is written as an integer: 2 and 2.0 are one parameter.
    """
    plain = {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in params.items()}
    return msgspec.json.encode(plain, order="sorted")


class Recipe:
    """A model with parameters: the part of an identity that many inputs share. Hashed once, then copied."""

    def __init__(self, model: str, changed: Mapping[str, Scalar], endpoint: str = "") -> None:
        head = msgspec.json.encode([model, endpoint]) + b"\n" + canonical(changed) + b"\n"
        self._hash = hashlib.sha256(head)

    def task_id(self, source: Source) -> str:
        """Return the id of the task that applies this recipe to *source*: 32 hexadecimal digits.

        A file is known by its root, its path below it, its size and its mtime; a URL by itself.
        """
        one = self._hash.copy()
        if source.url:
            one.update(b"url\n" + source.url.encode())
        else:
            one.update(
                f"file\n{source.root}\0/{source.path}\0/{source.size_bytes}\0/{source.mtime_ns}".encode()
            )
        return one.hexdigest()[: 2 * ID_BYTES]

    def content_id(self, sha256: str) -> str:
        """Return the id of this work on these contents: equal for identical files, wherever they lie."""
        one = self._hash.copy()
        one.update(b"content\n" + sha256.encode())
        return one.hexdigest()[: 2 * ID_BYTES]
