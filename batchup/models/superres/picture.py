"""Pictures: what a network for them is told beside the network itself, and the model that this makes."""

from typing import Any, Literal

from pydantic import Field

from batchup.models.base import LocalModel
from batchup.models.local.lanczos import MODEL as LANCZOS
from batchup.models.local.lanczos import LanczosParams
from batchup.models.superres.params import NetworkParams
from batchup.source import Media, Size

USUAL_SCALE = 4.0
"""Of most networks: what memory is reckoned with."""

_COLOURS = {
    "CMYK": "printing colours (CMYK)",
    "LAB": "Lab colours",
    "F": "floating-point grey",
    "I": "32 bits of grey",
}
_BYTE_BITS = 8
_PIXEL_BYTES = 4
"""Of the network's own output, before it is a picture."""


class PictureParams(NetworkParams):
    """Which network, how it is run, and in which format its pictures are written."""

    output_format: (
        Literal["jpeg", "jpg", "png", "webp", "tiff", "tif", "avif", "heic", "gif", "bmp"] | None
    ) = None
    """Format that comes out; by default the input's own, PNG where that cannot be written."""

    quality: int | None = Field(None, ge=1, le=100)
    """Of JPEG, WebP, AVIF and HEIC; by default 95 for JPEG, 90 for WebP, 85 for AVIF and HEIC. A lossless WebP stays so."""

    @property
    def plain(self) -> LanczosParams:
        """The same output by other means: its size and format have the same rules."""
        return LanczosParams(
            scale=self.scale or USUAL_SCALE, output_format=self.output_format, quality=self.quality
        )


def model(params: type[PictureParams], *, work: str, summary: str) -> LocalModel:
    """Return the model that enlarges pictures by the networks of *params*.

    Args:
        params: Of one engine.
        work: See :class:`LocalModel`.
        summary: Likewise.
    """
    name = f"local/{params.engine.name}"

    def refusal(params: PictureParams, media: Media) -> str | None:
        if media.kind != "image":
            return f"it is a video; use {name}-video"
        return _not_seen(media) or LANCZOS.refuse(params.plain, media)

    def memory_bytes(params: PictureParams, media: Media) -> int:
        largest = max(params.scale or 1.0, USUAL_SCALE) ** 2 * media.size.pixels
        own = params.engine.memory_bytes(params)
        return own + LANCZOS.memory_bytes(params.plain, media) + int(_PIXEL_BYTES * largest)

    return LocalModel(
        name=name,
        kind="image",
        params=params,
        summary=summary,
        work=work,
        size_of=_size,
        ext_of=lambda params, media, ending: LANCZOS.ext(params.plain, media, ending),
        refusal=refusal,
        memory_bytes=memory_bytes,
        home=_home,
    )


def _size(params: PictureParams, media: Media) -> Size | None:
    return LANCZOS.size(params.plain, media) if params.scale is not None else None


def _home(params: Any) -> str:
    return str(params.home)


def _not_seen(media: Media) -> str | None:
    """Say what networks have never seen."""
    if media.bits > _BYTE_BITS:
        return f"it has {media.bits} bits a channel, and networks work with 8; convert it first if that is enough"
    if media.mode in _COLOURS:
        return f"it has {_COLOURS[media.mode]}, and networks know red, green and blue; convert it first"
    return None
