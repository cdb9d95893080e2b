"""Pictures: what a network for them is told beside the network itself, and the model that this makes."""

from typing import Literal

from pydantic import Field

from batchup.models.base import LocalModel
from batchup.models.local.lanczos import MODEL as LANCZOS
from batchup.models.local.lanczos import LanczosParams
from batchup.models.superres.beside import USUAL_SCALE, beside
from batchup.models.superres.params import NetworkParams
from batchup.source import Media

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

    def refusal(params: PictureParams, media: Media) -> str | None:
        if media.kind != "image":
            return f"it is a video; use local/{params.engine.name}-video"
        return _not_seen(media) or LANCZOS.refuse(params.plain, media)

    return beside(LANCZOS, params, refusal=refusal, pixel_bytes=_PIXEL_BYTES, work=work, summary=summary)


def _not_seen(media: Media) -> str | None:
    """Say what networks have never seen."""
    if media.bits > _BYTE_BITS:
        return f"it has {media.bits} bits a channel, and networks work with 8; convert it first if that is enough"
    if media.mode in _COLOURS:
        return f"it has {_COLOURS[media.mode]}, and networks know red, green and blue; convert it first"
    return None
