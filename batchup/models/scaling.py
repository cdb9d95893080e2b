"""Scaling: the size that comes out of an endpoint, in whole pixels, from the size that goes in."""

from decimal import Decimal
from fractions import Fraction
from math import floor

from batchup.source import Size

EVEN = 2
"""What each side of a video is a multiple of: colours are kept at half the resolution."""


def by_factor(size: Size, factor: float, multiple: int = 1) -> Size:
    """Return *size* times *factor*, each side to the nearest pixel, half up, then up to a *multiple* of pixels."""
    # The number that a person wrote: 1.1 is eleven tenths, not what a binary fraction makes of it.
    return _times(size, Fraction(Decimal(repr(factor))), multiple)


def to_short_side(size: Size, side_px: int, multiple: int = 1) -> Size:
    """Return *size* in proportion so that its short side is *side_px* long: 1080p is 1080 high if it is landscape.

    The other side is as :func:`by_factor` makes it.
    """
    return _times(size, Fraction(side_px, min(size)), multiple)


def _times(size: Size, factor: Fraction, multiple: int) -> Size:
    nearest = (max(1, floor(side * factor + Fraction(1, 2))) for side in size)
    return Size(*(-(-side // multiple) * multiple for side in nearest))
