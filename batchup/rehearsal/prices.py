"""Prices: how many units an output is billed as, and what one unit costs.

Source: the pages of the eight endpoints on https://fal.ai/models, read 2026-11.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from batchup.source import Size

MEGAPIXEL = 1_000_000


@dataclass(frozen=True, slots=True)
class Made:
    """What a task has made, as far as it is billed.

    Attributes:
        params: The request's body with the defaults of what it leaves out.
        size: Of the output.
        frames: Of the output; 1 for an image.
        seconds: Duration of the output; 0 for an image.
        compute_s: How long it took, in the platform's seconds.
    """

    params: Mapping[str, Any]
    size: Size
    frames: int
    seconds: Decimal
    compute_s: Decimal

    @property
    def megapixels(self) -> Decimal:
        """Of the output, all frames together."""
        return Decimal(self.size.pixels) * self.frames / MEGAPIXEL


Units = Callable[[Made], Decimal]


@dataclass(frozen=True, slots=True)
class Price:
    """What an endpoint bills: *units* of an output, each for *unit_usd*."""

    unit: str
    unit_usd: Decimal
    units: Units


def per_compute_second(unit_usd: str) -> Price:
    """Return a price by the time that the work takes."""
    return Price("compute seconds", Decimal(unit_usd), lambda made: made.compute_s)


def per_megapixel(unit_usd: str) -> Price:
    """Return a price by the pixels of all frames."""
    return Price("megapixels", Decimal(unit_usd), lambda made: made.megapixels)


def per_second(unit_usd: str) -> Price:
    """Return a price by the duration of the output."""
    return Price("seconds", Decimal(unit_usd), lambda made: made.seconds)


def per_output(unit_usd: str) -> Price:
    """Return one price for every output."""
    return Price("outputs", Decimal(unit_usd), lambda _: Decimal(1))


_TOPAZ_STEPS = ((24, Decimal(1)), (48, Decimal(2)), (96, Decimal(4)))
_TOPAZ_KNOWN = (96, Decimal(4)), (512, Decimal(17))


def _topaz_image(made: Made) -> Decimal:
    """Return units of 0.08 USD. Between 96 and 512 MP the steps are not published: a straight line stands for them."""
    for limit, units in _TOPAZ_STEPS:
        if made.megapixels <= limit:
            return units
    (low, low_units), (high, high_units) = _TOPAZ_KNOWN
    return low_units + (high_units - low_units) * (made.megapixels - low) / (high - low)


_PLAIN_FPS = 31
"""Below so many frames a second a video costs the plain price: 30, and what a rounded duration makes of them."""


def _topaz_video(made: Made) -> Decimal:
    """Return units of 0.01 USD: seconds, by the height of the output; twice as many where its frames follow faster.

    "Price doubles for 60fps output" is all that is published; what lies between 30 and 60 is taken for the dearer one.
    """
    height = made.size.height
    factor = 1 if height <= 720 else 2 if height <= 1080 else 8  # noqa: PLR2004 - the steps of the price
    fps = made.params.get("target_fps") or (made.frames / made.seconds if made.seconds else 0)
    return made.seconds * factor * (1 if fps < _PLAIN_FPS else 2)


_BYTEDANCE = {"1080p": 1, "2k": 2, "4k": 4}


def _bytedance(made: Made) -> Decimal:
    """Return units of 0.0072 USD: seconds at 1080p and 30 fps."""
    factor = _BYTEDANCE[made.params["target_resolution"]]
    factor *= 2 if made.params["target_fps"] == "60fps" else 1
    factor *= 10 if made.params["enhancement_tier"] == "pro" else 1
    return made.seconds * factor


TOPAZ_IMAGE = Price("units", Decimal("0.08"), _topaz_image)
TOPAZ_VIDEO = Price("seconds", Decimal("0.01"), _topaz_video)
BYTEDANCE = Price("seconds", Decimal("0.0072"), _bytedance)
