"""Topaz for images: the dear one, with models for every kind of picture and for faces.

Source: https://fal.ai/models/fal-ai/topaz/upscale/image/api, read 2026-11-22.
"""

from typing import Literal

from pydantic import Field

from batchup.models import endings, refusals
from batchup.models.base import FalModel, Params
from batchup.models.billing import output_steps
from batchup.models.prices import price_of
from batchup.models.scaling import by_factor
from batchup.source import Media, Size

MAX_MEGAPIXELS = 512
"""Of the output; the last size that has a price."""


class TopazImage(Params):
    """What the endpoint takes, by its own names."""

    model: Literal[
        "Standard V2",
        "Low Resolution V2",
        "CGI",
        "High Fidelity V2",
        "Text Refine",
        "Recovery",
        "Redefine",
        "Recovery V2",
        "Standard MAX",
        "Wonder",
        "Wonder 3",
    ] = "Standard V2"
    """Standard V2 for most, Low Resolution V2 and Recovery for poor originals, Text Refine for documents."""
    upscale_factor: float = Field(2, ge=1, le=4)
    """Factor for both sides, 1 to 4."""
    subject_detection: Literal["All", "Foreground", "Background"] = "All"
    """What is enhanced."""
    face_enhancement: bool = True
    """Whether faces are restored on top."""
    face_enhancement_strength: float = Field(0.8, ge=0, le=1)
    """How sharp faces become against the rest, 0 to 1."""
    face_enhancement_creativity: float = Field(0, ge=0, le=1)
    """How freely faces are made up, 0 to 1."""
    output_format: Literal["jpeg", "png"] = "jpeg"
    """Format that comes out."""


def size_of(params: TopazImage, media: Media) -> Size:
    """Return the size that comes out."""
    return by_factor(media.size, params.upscale_factor)


def ext_of(params: TopazImage, _media: Media | None, _ending: str) -> str:
    """Return the ending of what comes out."""
    return endings.of_image(params.output_format)


def refusal(params: TopazImage, media: Media) -> str | None:
    """Return why *media* cannot be taken, or None."""
    if unfit := refusals.no_image(media):
        return unfit
    size = size_of(params, media)
    return refusals.beyond_megapixels(size, MAX_MEGAPIXELS) or refusals.beyond_format(
        endings.of_image(params.output_format), size
    )


MODEL = FalModel(
    name="fal/topaz-image",
    kind="image",
    params=TopazImage,
    summary="Topaz: the best and dearest; models for faces, text, renderings and poor originals.",
    app="fal-ai/topaz/upscale/image",
    input="image_url",
    output="image",
    size_of=size_of,
    ext_of=ext_of,
    refusal=refusal,
    price=price_of("fal/topaz-image"),
    quantity=output_steps,
)
