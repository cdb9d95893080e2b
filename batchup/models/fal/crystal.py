"""Crystal by Clarity AI: portraits and faces.

Published as ``clarityai/crystal-upscaler`` today as well; ``models:`` in a manifest declares that one.

Source: https://fal.ai/models/fal-ai/crystal-upscaler/api and https://fal.ai/models/clarityai/crystal-upscaler/api,
read 2026-11-22.
"""

from typing import Literal

from pydantic import Field

from batchup.models import endings, refusals
from batchup.models.base import FalModel, Params
from batchup.models.billing import output_megapixels
from batchup.models.prices import price_of
from batchup.models.scaling import by_factor
from batchup.source import Media, Size


class Crystal(Params):
    """What the endpoint takes, by its own names."""

    scale_factor: float = Field(2, ge=1, le=200)
    """Factor for both sides, 1 to 200."""
    creativity: float | None = Field(None, ge=0, le=10)
    """How much is made up, 0 to 10; the endpoint's own 0 by default."""
    output_format: Literal["jpg", "png"] | None = None
    """Format that comes out; the endpoint's own jpg by default."""


def size_of(params: Crystal, media: Media) -> Size:
    """Return the size that comes out."""
    return by_factor(media.size, params.scale_factor)


def ext_of(params: Crystal, _media: Media | None, _ending: str) -> str:
    """Return the ending of what comes out."""
    return endings.of_image(params.output_format) if params.output_format else endings.JPEG


def refusal(params: Crystal, media: Media) -> str | None:
    """Return why *media* cannot be taken, or None."""
    return refusals.no_image(media) or refusals.beyond_format(
        ext_of(params, media, ""), size_of(params, media)
    )


MODEL = FalModel(
    name="fal/crystal",
    kind="image",
    params=Crystal,
    summary="Crystal by Clarity AI: for portraits; keeps a face what it is.",
    app="fal-ai/crystal-upscaler",
    input="image_url",
    output="images.0",
    size_of=size_of,
    ext_of=ext_of,
    refusal=refusal,
    price=price_of("fal/crystal"),
    quantity=output_megapixels,
)
