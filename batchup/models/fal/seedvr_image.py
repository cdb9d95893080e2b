"""SeedVR2 for images: clean and sharp, the cheap choice for most photos.

Source: https://fal.ai/models/fal-ai/seedvr/upscale/image/api, read 2026-11-22.
"""

from typing import Literal

from pydantic import Field

from batchup.models import endings, refusals
from batchup.models.base import FalModel, Params
from batchup.models.billing import output_megapixels
from batchup.models.prices import price_of
from batchup.models.scaling import by_factor, to_short_side
from batchup.source import Media, Size

MAX_SIDE_PX = 10_000
"""About as long as a side can be; the page names no exact limit."""


class SeedvrImage(Params):
    """What the endpoint takes, by its own names."""

    upscale_mode: Literal["factor", "target"] = "factor"
    """Whether `upscale_factor` or `target_resolution` says the size."""
    upscale_factor: float = Field(2, ge=1, le=10)
    """Factor for both sides, 1 to 10; with upscale_mode factor."""
    target_resolution: Literal["1080p", "720p", "1440p", "2160p"] = "1080p"
    """Length of the short side; with upscale_mode target."""
    noise_scale: float = Field(0.1, ge=0, le=1)
    """Noise that generation starts from, 0 to 1: more invents more."""
    output_format: Literal["jpg", "png", "webp"] = "jpg"
    """Format that comes out."""
    seed: int | None = None
    """The same seed gives the same picture; random by default."""


def size_of(params: SeedvrImage, media: Media) -> Size:
    """Return the size that comes out."""
    if params.upscale_mode == "factor":
        return by_factor(media.size, params.upscale_factor)
    return to_short_side(media.size, _target_px(params))


def refusal(params: SeedvrImage, media: Media) -> str | None:
    """Return why *media* cannot be taken, or None."""
    if unfit := refusals.no_image(media):
        return unfit
    if params.upscale_mode == "target" and (larger := refusals.above_target(media, _target_px(params))):
        return larger
    return refusals.beyond_side(size_of(params, media), MAX_SIDE_PX)


def _target_px(params: SeedvrImage) -> int:
    return int(params.target_resolution.removesuffix("p"))


MODEL = FalModel(
    name="fal/seedvr-image",
    kind="image",
    params=SeedvrImage,
    summary="SeedVR2: clean, sharp and cheap; up to about 10,000 pixels a side.",
    app="fal-ai/seedvr/upscale/image",
    input="image_url",
    output="image",
    size_of=size_of,
    ext_of=lambda params, _media, _ending: endings.of_image(params.output_format),
    refusal=refusal,
    price=price_of("fal/seedvr-image"),
    quantity=output_megapixels,
)
