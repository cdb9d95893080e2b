"""Lanczos resampling on this machine: exact, fast and free; it invents nothing.

The size that comes out is exact: each side times the factor, rounded half up. A target (``width``, ``height``,
``megapixels``) never makes a picture smaller.
"""

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import floor, isqrt
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from batchup.models.base import LocalModel, Params
from batchup.models.formats import PNG, Format, by_ending, by_name
from batchup.source import Media, Size

MAX_PIXELS = 1_000_000_000
"""Of one frame that comes out: above it, Pillow's buffers for JPEG outgrow the 31 bits that it counts them in."""

_TARGETS = ("width", "height", "megapixels")
_MEGAPIXELS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*MP\s*", re.IGNORECASE)
_DEEP_GREY = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_TIFF_ONLY = {"F": "floating-point grey", "I": "32 bits of grey", "LAB": "Lab colours"}
_OPAQUE = frozenset({"RGB", "L", "1"})
_LOSSY_WEBP = 12
"""Bytes a pixel without alpha; a lossless one, and alpha, take three times as much."""
_PROCESS_BYTES = 80_000_000
"""Of the worker with all its libraries; 36 MB were measured."""


def _megapixels(value: Any) -> Any:
    found = _MEGAPIXELS.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) if found else value


Megapixels = Annotated[
    float,
    BeforeValidator(_megapixels),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*[Mm][Pp]\s*$"},
            ]
        }
    ),
]


class LanczosParams(Params):
    """How much larger, and in which format."""

    scale: float | None = Field(2, ge=1, le=16)
    """Factor for both sides, 1 to 16. Not together with a target."""

    width: int | None = Field(None, ge=1)
    """Target in pixels: as wide as this, in proportion. With `height`: the largest size that fits into both."""

    height: int | None = Field(None, ge=1)
    """Target in pixels: as high as this, in proportion."""

    megapixels: Megapixels | None = Field(None, gt=0, allow_inf_nan=False)
    """Target of the whole area, in proportion: 24 or 24MP (1 MP = 1,000,000 pixels). Not with `width` or `height`."""

    output_format: (
        Literal["jpeg", "jpg", "png", "webp", "tiff", "tif", "avif", "heic", "gif", "bmp"] | None
    ) = None
    """Format that comes out; by default the input's own, PNG where that cannot be written."""

    quality: int | None = Field(None, ge=1, le=100)
    """Of JPEG, WebP, AVIF and HEIC; by default 95 for JPEG, 90 for WebP, 85 for AVIF and HEIC. A lossless WebP stays so."""

    @model_validator(mode="before")
    @classmethod
    def _one_way_to_say_the_size(cls, data: Any) -> Any:
        """A target takes the place of the default factor; two ways to say the size are a fault."""
        if not isinstance(data, dict):
            return data
        targets = [name for name in _TARGETS if data.get(name) is not None]
        if not targets:
            if "scale" in data and data["scale"] is None:
                raise ValueError(f"scale is empty and there is no target; set one of {', '.join(_TARGETS)}")
            return data
        if data.get("scale") is not None:
            raise ValueError(f"scale and {targets[0]} exclude each other; leave one out")
        if "megapixels" in targets and len(targets) > 1:
            raise ValueError(f"megapixels and {targets[0]} exclude each other; leave one out")
        return {**data, "scale": None}


def enlarged(params: LanczosParams, size: Size) -> Size:
    """Return the size that *size* becomes, in whole pixels, rounded half up, at least 1 x 1."""
    width, height = size
    if params.megapixels is not None:
        # sqrt rounded half up, exact in integers: floor(sqrt(x) + 1/2) = (isqrt(floor(4 x)) + 1) // 2.
        pixels = _exact(params.megapixels) * 1_000_000
        return Size(_root(pixels * width / height), _root(pixels * height / width))
    if params.scale is not None:
        factor = _exact(params.scale)
    else:
        factors = [
            Fraction(target, side)
            for target, side in ((params.width, width), (params.height, height))
            if target is not None
        ]
        factor = min(factors)
    return Size(_times(width, factor), _times(height, factor))


@lru_cache(maxsize=64)
def _exact(number: float) -> Fraction:
    """Return the number that a person wrote: 1.1 is eleven tenths, not what a binary fraction makes of it."""
    return Fraction(Decimal(repr(number)))


def _times(side: int, factor: Fraction) -> int:
    # In integers: a plan asks this of every file.
    return max(1, (2 * side * factor.numerator + factor.denominator) // (2 * factor.denominator))


def _root(square: Fraction) -> int:
    return max(1, (isqrt(floor(4 * square)) + 1) // 2)


def _size(params: LanczosParams, media: Media) -> Size:
    return enlarged(params, media.size)


def _format(params: LanczosParams, media: Media) -> Format:
    if params.output_format is not None:
        return _chosen(params.output_format)
    return by_name(media.format) or PNG


def _chosen(output_format: str) -> Format:
    form = by_ending(f".{output_format}")
    assert form is not None, output_format
    return form


def _ext(params: LanczosParams, media: Media | None, ending: str) -> str:
    if params.output_format is not None:
        return _chosen(params.output_format).ending
    form = by_name(media.format) if media else by_ending(ending)
    if form is None:
        return PNG.ending
    return ending.lower() if ending.lower() in form.endings else form.ending


def _refusal(params: LanczosParams, media: Media) -> str | None:
    if media.kind != "image":
        return "it is a video; use local/lanczos-video"
    form = _format(params, media)
    return (
        _too_large_already(params, media.size)
        or _too_deep(media)
        or _does_not_hold(form, media)
        or _beyond_limits(form, enlarged(params, media.size))
    )


def _too_large_already(params: LanczosParams, size: Size) -> str | None:
    if params.megapixels is not None:
        small = _exact(params.megapixels) * 1_000_000 < size.pixels
        target = f"{params.megapixels:g} MP"
    else:
        small = (params.width or size.width) < size.width or (params.height or size.height) < size.height
        sides = ("width", params.width), ("height", params.height)
        target = " and ".join(f"{name} {value}" for name, value in sides if value)
    return (
        f"it is already larger than the target: {size.width}x{size.height}, {target} wanted"
        if small
        else None
    )


def _too_deep(media: Media) -> str | None:
    """Pillow reads more than 8 bits in pictures of one channel only, and says nothing where it drops them."""
    if media.bits <= 8 or media.mode in _DEEP_GREY or media.mode in _TIFF_ONLY:  # noqa: PLR2004 - bits of a byte
        return None
    return (
        f"it has {media.bits} bits a channel, and colours or transparency are computed in 8;"
        " convert it to 8 bits first if that is enough"
    )


def _does_not_hold(form: Format, media: Media) -> str | None:
    """Say what the format cannot hold, as far as a header tells it."""
    if media.mode == "CMYK" and not form.cmyk:
        return f"it has printing colours (CMYK), which {form.label} cannot hold; set output_format to tiff or jpeg"
    if media.mode in _DEEP_GREY and not form.deep:
        return f"it has 16 bits of grey, which {form.label} cannot hold; set output_format to png or tiff"
    if media.mode in _TIFF_ONLY and form.name != "TIFF":
        return f"it has {_TIFF_ONLY[media.mode]}, which {form.label} cannot hold; set output_format to tiff"
    if media.frames > 1 and media.format == "TIFF":
        lost = form.name != "TIFF"
        return (
            f"it has {media.frames} pages, which only TIFF holds; leave output_format out" if lost else None
        )
    if media.frames > 1 and not form.animated:
        which = f"which cannot be written as {form.label}"
        return f"it has {media.frames} frames, {which}; set output_format to webp, png or gif"
    return None


def _beyond_limits(form: Format, size: Size) -> str | None:
    if max(size) > form.max_side_px:
        limit = f"{form.label} holds {form.max_side_px:,} pixels a side at most"
        return f"{size.width}x{size.height} would come out, and {limit}; lower the scale or set output_format to png"
    if size.pixels > MAX_PIXELS:
        limit = f"{MAX_PIXELS // 1_000_000:,} megapixels are the most that is written"
        return f"{size.width}x{size.height} would come out, and {limit}; lower the scale"
    return None


def _memory_bytes(params: LanczosParams, media: Media) -> int:
    """Estimate the peak of the worker process, leaning high."""
    form = _format(params, media)
    if media.frames > 1 and form.animated:
        each = form.bytes_per_pixel_of_frames
    elif form.name == "WEBP" and media.format != "WEBP" and media.mode in _OPAQUE:
        each = _LOSSY_WEBP
    else:
        each = form.bytes_per_pixel
    return _PROCESS_BYTES + each * (enlarged(params, media.size).pixels + media.size.pixels)


MODEL = LocalModel(
    name="local/lanczos",
    kind="image",
    params=LanczosParams,
    summary="Lanczos resampling on this machine: exact, fast, free, and it invents nothing.",
    work="batchup.providers.local.image:upscale",
    size_of=_size,
    ext_of=_ext,
    refusal=_refusal,
    memory_bytes=_memory_bytes,
)
