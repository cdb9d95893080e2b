"""AuraSR: four times as large, free, keeps natural texture rather than cleaning it away.

Source: https://fal.ai/models/fal-ai/aura-sr/api, read 2026-11-22.
"""

from typing import Literal

from pydantic import Field

from batchup.models import endings, refusals
from batchup.models.base import FalModel, Params
from batchup.models.billing import compute_seconds
from batchup.models.prices import price_of
from batchup.models.scaling import by_factor
from batchup.source import Media, Size


class AuraSr(Params):
    """What the endpoint takes, by its own names."""

    upscaling_factor: Literal[4] = Field(4)
    """It knows no other."""
    overlapping_tiles: bool = False
    """Removes the seams between tiles; takes twice as long."""
    checkpoint: Literal["v2", "v1"] = "v2"
    """Version of the weights; v2 is better."""


def size_of(params: AuraSr, media: Media) -> Size:
    """Return the size that comes out."""
    return by_factor(media.size, params.upscaling_factor)


def refusal(_params: AuraSr, media: Media) -> str | None:
    """Return why *media* cannot be taken, or None."""
    return refusals.no_image(media)


MODEL = FalModel(
    name="fal/aura-sr",
    kind="image",
    params=AuraSr,
    summary="Four times as large with natural texture; free.",
    app="fal-ai/aura-sr",
    input="image_url",
    output="image",
    size_of=size_of,
    ext_of=lambda _params, _media, _ending: endings.PNG,
    refusal=refusal,
    price=price_of("fal/aura-sr"),
    quantity=compute_seconds,
)
