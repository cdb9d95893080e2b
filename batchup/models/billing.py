"""Billing: how many units of its price a fal model charges for one output."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from batchup.models.prices import Per, UnitPrice
from batchup.source import Kind, Media, Size
from batchup.task import ASSUMED_FPS

Quantity = Callable[[UnitPrice, Any, Media | None, Size | None], Decimal | None]
"""Takes the price, the model's parameters, the input (None for a URL that nobody has read yet) and the size that comes
out (None where it is unknown). Gives None where what it needs is unknown."""


def megapixels(size: Size) -> Decimal:
    """Return millions of pixels, exactly."""
    return Decimal(size.pixels).scaleb(-6)


def output_megapixels(
    _price: UnitPrice, _params: Any, _media: Media | None, size: Size | None
) -> Decimal | None:
    """Megapixels of the picture that comes out."""
    return megapixels(size) if size else None


def output_steps(price: UnitPrice, _params: Any, _media: Media | None, size: Size | None) -> Decimal | None:
    """One output, by the steps of its megapixels; where there are none, its size does not matter."""
    if not price.steps:
        return Decimal(1)
    return price.step(megapixels(size)) if size else None


def compute_seconds(
    price: UnitPrice, _params: Any, _media: Media | None, size: Size | None
) -> Decimal | None:
    """Seconds of work, estimated from the megapixels that come out: only the work tells."""
    return megapixels(size) * price.seconds_per_megapixel if size else None


def video_megapixels(
    _price: UnitPrice, _params: Any, media: Media | None, size: Size | None
) -> Decimal | None:
    """Width times height of the output times its frames, in megapixels; estimated where the frames are unknown."""
    if media is None or size is None:
        return None
    if media.frames:
        return megapixels(size) * media.frames
    seconds = duration_s(media)
    return megapixels(size) * seconds * ASSUMED_FPS if seconds else None


def video_seconds(_price: UnitPrice, _params: Any, media: Media | None, _size: Size | None) -> Decimal | None:
    """Seconds that the video lasts."""
    return duration_s(media)


def duration_s(media: Media | None) -> Decimal | None:
    """Return how long a video is in seconds, as the number was written; None where it is unknown."""
    return Decimal(repr(media.duration_s)) if media is not None and media.duration_s else None


FLAT: Mapping[Kind, Mapping[Per, Quantity]] = {
    "image": {"MP": output_megapixels, "s": compute_seconds, "output": output_steps},
    "video": {"MP": video_megapixels, "s": video_seconds, "output": output_steps},
}
"""What a unit is for a price that somebody states, without anything particular to a model."""
