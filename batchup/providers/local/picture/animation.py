"""Moving pictures: every frame enlarged, in its order, with its own timing, one at a time.

Pillow's own writers merge frames that look alike, and hold all of them in memory. So the frames are written one by one, each as
the rectangle that differs from the frame before, and put into their container by ``gif``, ``webp`` and ``apng``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from PIL import Image, ImageChops, ImageFile

from batchup.providers.local.picture import pixels
from batchup.providers.local.picture.reading import decode
from batchup.providers.local.work import Tell
from batchup.source import Size

_MAX_DENOMINATOR = 65_535


@dataclass(frozen=True, slots=True)
class Timing:
    """How an animation runs.

    Attributes:
        frames: Number of frames, a default image included.
        plays: How often it is shown; 0 for ever.
        default_image: The first frame is no part of the animation: shown where an APNG cannot move.
    """

    frames: int
    plays: int
    default_image: bool = False


ONCE = Timing(1, 1)
"""A still."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What one frame changes, replacing what was there, transparency included.

    Attributes:
        image: In the animation's one mode.
        left_px: Where it goes, even, from 0; likewise *top_px*.
        delay_s: How long it is shown.
    """

    image: Image.Image
    left_px: int
    top_px: int
    delay_s: Fraction


def timing(image: ImageFile.ImageFile, found: str) -> Timing:
    """Return how the animation *image* runs.

    A GIF without a count is shown once; one with a count n is repeated n times, so shown once more, as browsers do.
    """
    frames = int(getattr(image, "n_frames", 1))
    loop = image.info.get("loop")
    plays = int(loop or 0)
    if found == "GIF" and loop != 0:
        plays += 1
    return Timing(frames, plays, bool(getattr(image, "default_image", False)))


def common_mode(image: ImageFile.ImageFile, frames: int) -> str:
    """Return the mode that holds all frames: ``L``, ``RGB`` or ``RGBA``. Decodes them all."""
    modes: set[str] = set()
    for index in range(frames):
        decode(image, index)
        frame = pixels.workable(image)
        if pixels.has_holes(frame):
            return "RGBA"
        modes.add("L" if frame.mode in {"L", "LA"} else "RGB")
    return "L" if modes == {"L"} else "RGB"


@dataclass(frozen=True, slots=True)
class Canvas:
    """What all frames are painted on.

    Attributes:
        size: That comes out, upright.
        orientation: EXIF's, of what is read.
        mode: From :func:`common_mode`.
        whole: Whether every frame must be complete.
        enlarge: What makes each of them larger.
    """

    size: Size
    orientation: int
    mode: str
    whole: bool
    enlarge: pixels.Enlarge = pixels.by_lanczos


def patches(image: ImageFile.ImageFile, how: Timing, canvas: Canvas, tell: Tell) -> Iterator[Patch]:
    """Yield the frames of *image*, enlarged; the first one is complete.

    Args:
        image: Open.
        how: Its timing.
        canvas: What they are painted on.
        tell: Told after each frame.

    Raises:
        RejectedError: A frame is cut or damaged.
    """
    before: Image.Image | None = None
    for index in range(how.frames):
        decode(image, index)
        frame = pixels.workable(image)
        frame = frame if frame.mode == canvas.mode else frame.convert(canvas.mode)
        large = canvas.enlarge(pixels.upright(frame, canvas.orientation), canvas.size, lambda _: None)
        # What the default image shows is gone when the animation begins.
        whole = canvas.whole or (how.default_image and index == 1)
        box = (0, 0, *canvas.size) if whole or before is None else _changed(before, large)
        yield Patch(large.crop(box), box[0], box[1], _delay_s(image))
        before = large
        tell((index + 1) / how.frames)


def _changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int]:
    """Return the box that differs, its left and top even as WebP wants them; one pixel where nothing does."""
    left, top, right, bottom = _different(before, after) or (0, 0, 1, 1)
    return left - left % 2, top - top % 2, right, bottom


def _different(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int] | None:
    return ImageChops.difference(before, after).getbbox(alpha_only=False)


def _delay_s(image: Image.Image) -> Fraction:
    """Return how long the frame is shown: exactly, where the file says it as a fraction of 16-bit numbers."""
    milliseconds = image.info.get("duration") or 0
    return Fraction(milliseconds / 1000).limit_denominator(_MAX_DENOMINATOR)
