"""What there is to choose from."""

from decimal import Decimal

from pydantic import Field

from batchup.models.base import LocalModel, Params, PricedModel
from batchup.models.prices import UnitPrice
from batchup.models.scaling import by_factor


class Scale(Params):
    scale: int = Field(2, ge=2, le=4)
    """Factor for both sides, 2 to 4."""


def size(params, media):
    return by_factor(media.size, params.scale)


def ext(_params, _media, _ending):
    return ".png"


def refusal(_params, media):
    return "it has more frames than one" if media.frames > 1 else None


ENLARGE = PricedModel(
    name="acme/enlarge",
    kind="image",
    params=Scale,
    summary="Acme's best, by the output.",
    size_of=size,
    ext_of=ext,
    refusal=refusal,
    price=UnitPrice(usd=Decimal("0.02"), per="output", unit="output", read="2026-11-22"),
)
DOUBLE = PricedModel(
    name="acme/double",
    kind="image",
    params=Params,
    summary="Acme's second best, by the megapixel.",
    size_of=lambda _params, media: by_factor(media.size, 2),
    ext_of=ext,
    refusal=refusal,
    price=UnitPrice(usd=Decimal("0.5"), per="MP", unit="output megapixel", read="2026-11-22"),
)
NEAREST = LocalModel(
    name="local/nearest",
    kind="image",
    params=Scale,
    summary="Nearest neighbour: every pixel becomes a square.",
    work="acme_batchup.nearest:enlarge",
    size_of=size,
    ext_of=ext,
    refusal=refusal,
    memory_bytes=lambda params, media: 8 * media.size.pixels * params.scale**2,
)
