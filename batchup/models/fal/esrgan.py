"""Real-ESRGAN: the classic, fast, with models for anime and line art.

Source: https://fal.ai/models/fal-ai/esrgan/api, read 2026-11-22.
"""

from typing import Literal

from pydantic import Field

from batchup.models import endings, refusals
from batchup.models.base import FalModel, Params
from batchup.models.billing import compute_seconds
from batchup.models.prices import price_of
from batchup.models.scaling import by_factor
from batchup.source import Media, Size


class Esrgan(Params):
    """What the endpoint takes, by its own names."""

    scale: float = Field(2, ge=1, le=8)
    """Factor for both sides, 1 to 8."""
    model: Literal[
        "RealESRGAN_x4plus",
        "RealESRGAN_x2plus",
        "RealESRGAN_x4plus_anime_6B",
        "RealESRGAN_x4_v3",
        "RealESRGAN_x4_wdn_v3",
        "RealESRGAN_x4_anime_v3",
    ] = "RealESRGAN_x4plus"
    """Weights: x4plus for photos, wdn against noise, anime for drawings."""
    face: bool = False
    """Restores faces on top."""
    tile: int = Field(0, ge=0)
    """Pixels of a tile; 0 takes the picture at once. 400 where it fails for want of memory."""
    output_format: Literal["png", "jpeg"] = "png"
    """Format that comes out."""


def size_of(params: Esrgan, media: Media) -> Size:
    """Return the size that comes out."""
    return by_factor(media.size, params.scale)


def ext_of(params: Esrgan, _media: Media | None, _ending: str) -> str:
    """Return the ending of what comes out."""
    return endings.of_image(params.output_format)


def refusal(params: Esrgan, media: Media) -> str | None:
    """Return why *media* cannot be taken, or None."""
    return refusals.no_image(media) or refusals.beyond_format(
        endings.of_image(params.output_format), size_of(params, media)
    )


MODEL = FalModel(
    name="fal/esrgan",
    kind="image",
    params=Esrgan,
    summary="Real-ESRGAN: fast and cheap, with models for anime and line art.",
    app="fal-ai/esrgan",
    input="image_url",
    output="image",
    size_of=size_of,
    ext_of=ext_of,
    refusal=refusal,
    price=price_of("fal/esrgan"),
    quantity=compute_seconds,
)
