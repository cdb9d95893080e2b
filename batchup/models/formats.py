"""The formats that pictures are written in: their endings, their limits, and what each of them can hold."""

import os
from dataclasses import dataclass

from batchup.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format of pictures, as Pillow 13 writes it.

    Attributes:
        name: As :attr:`batchup.source.Media.format` has it.
        endings: With their dots, the usual one first.
        max_side_px: The longest side that can be written and read again.
        alpha: Whether it holds transparency.
        deep: Whether it holds 16 bits of grey.
        cmyk: Whether it holds printing colours.
        animated: Whether it holds frames with a timing.
        metadata: Whether it holds EXIF, XMP and an ICC profile.
        bytes_per_pixel: Peak memory of reading, enlarging and writing, per pixel of input and output together, as
            measured with photos of 3 to 12 megapixels on 2026-11, rounded up.
        bytes_per_pixel_of_frames: Likewise, of one frame of an animation.
    """

    name: str
    endings: tuple[str, ...]
    max_side_px: int
    alpha: bool = True
    deep: bool = False
    cmyk: bool = False
    animated: bool = False
    metadata: bool = True
    bytes_per_pixel: int = 9
    bytes_per_pixel_of_frames: int = 26

    @property
    def ending(self) -> str:
        """The usual ending."""
        return self.endings[0]

    @property
    def label(self) -> str:
        """The name as people write it."""
        return "WebP" if self.name == "WEBP" else self.name


FORMATS = (
    # 65,500: JPEG_MAX_DIMENSION in libjpeg's jmorecfg.h; the format itself could hold 65,535.
    Format(
        name="JPEG",
        endings=(".jpg", ".jpeg", ".jpe", ".jfif"),
        max_side_px=65_500,
        alpha=False,
        cmyk=True,
    ),
    Format(name="PNG", endings=(".png", ".apng"), max_side_px=1_000_000, deep=True, animated=True),
    Format(
        name="WEBP",
        endings=(".webp",),
        max_side_px=16_383,
        animated=True,
        bytes_per_pixel=38,
        bytes_per_pixel_of_frames=46,
    ),
    Format(name="TIFF", endings=(".tif", ".tiff"), max_side_px=1_000_000, deep=True, cmyk=True),
    # Measured: libavif writes 65,536 and reads 32,768 at most.
    Format(name="AVIF", endings=(".avif",), max_side_px=32_768, bytes_per_pixel=42),
    # HEVC's levels end at 8,192 x 4,352; pictures of 20,000 pixels were written and read, phones may not show them.
    Format(name="HEIC", endings=(".heic", ".heif", ".hif"), max_side_px=16_384, bytes_per_pixel=40),
    Format(
        name="GIF", endings=(".gif",), max_side_px=65_535, animated=True, metadata=False, bytes_per_pixel=20
    ),
    # Pillow writes the alpha of a BMP where nobody reads it.
    Format(name="BMP", endings=(".bmp", ".dib"), max_side_px=1_000_000, alpha=False, metadata=False),
)

PNG = FORMATS[1]

_BY_NAME = {form.name: form for form in FORMATS}
_BY_ENDING = {ending: form for form in FORMATS for ending in form.endings}


_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "P"})
"""Of pictures that may have transparency, as their headers tell. Many are opaque all the same: every screenshot."""


def may_lose_transparency(task: Task) -> bool:
    """Return whether a task's input may have transparency, and its output can have none."""
    media = task.source.media
    if media is None or media.mode not in _ALPHA_MODES:
        return False
    form = by_ending(os.path.splitext(task.output)[1])  # noqa: PTH122 - of a path text
    return form is not None and not form.alpha


def by_name(name: str) -> Format | None:
    """Return the format called *name* (``JPEG``), None if it is not written."""
    return _BY_NAME.get(name)


def by_ending(ending: str) -> Format | None:
    """Return the format that files with *ending* (``.jpg``, in any case) have, None if it is not written."""
    return _BY_ENDING.get(ending.lower())
