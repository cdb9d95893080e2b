"""The pixels themselves: put upright, enlarged, in a mode in which Lanczos can work.

Source for the traps: Pillow 13 on 2026-11. In modes ``1`` and ``P`` it silently takes the nearest pixel; in ``I;16`` its
result wraps around next to hard edges (measured: off by 4,500 of 65,535), in ``I;16B`` nearly everywhere.
"""

from collections.abc import Callable

from PIL import Image

from batchup.errors import RejectedError
from batchup.source import Size

Enlarge = Callable[[Image.Image, Size, Callable[[float], None]], Image.Image]
"""Returns a workable picture at a size without anything but its pixels, and tells how much of that is done, 0.0 to 1.0."""

DEEP_GREY = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_AS = {"YCbCr": "RGB", "HSV": "RGB", "RGBX": "RGB", "PA": "RGBA"}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def workable(image: Image.Image) -> Image.Image:
    """Return *image* in a mode that Lanczos works in and that holds all of it.

    Grey stays grey, also where it is written as a palette; transparency by a palette or a colour becomes an alpha channel.

    Raises:
        RejectedError: 16-bit grey with one transparent level.
    """
    if image.mode in DEEP_GREY:
        _refuse_transparent_level(image)
        return image.convert("I")
    if image.mode in {"1", "L"}:
        return _opened(image, "L", "LA")
    if image.mode == "P":
        return _opened(image, *(("L", "LA") if _grey_palette(image) else ("RGB", "RGBA")))
    if image.mode == "RGB":
        return _opened(image, "RGB", "RGBA")
    return image.convert(_AS[image.mode]) if image.mode in _AS else image


def _refuse_transparent_level(image: Image.Image) -> None:
    if "transparency" in image.info:
        raise RejectedError(
            "it has 16 bits of grey, one level of which is transparent; give it an alpha channel of 8 bits first",
            kind="mode_unsupported",
        )


def _opened(image: Image.Image, opaque: str, transparent: str) -> Image.Image:
    """Return *image* in one of two modes, whichever it needs. The same object if it is in it already."""
    mode = transparent if image.has_transparency_data else opaque
    if (
        image.mode == "P" and mode == "LA"
    ):  # by way of RGBA: straight to LA, Pillow forgets the alpha of a palette
        image = image.convert("RGBA")
    return image if image.mode == mode else image.convert(mode)


def _grey_palette(image: Image.Image) -> bool:
    palette = image.getpalette("RGB") or []
    return palette[0::3] == palette[1::3] == palette[2::3]


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return *image* as a viewer shows it that obeys the EXIF *orientation*, 1 to 8."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def enlarged(image: Image.Image, size: Size) -> Image.Image:
    """Return a workable *image* at *size*, without anything but its pixels.

    Alpha is premultiplied meanwhile (Pillow does so by itself), so that what is invisible does not bleed into what is
    visible.
    """
    large = image.resize(size, Image.Resampling.LANCZOS)
    large.info.clear()  # Pillow's writers take ICC profiles, comments and transparency from it unasked
    return large


def by_lanczos(image: Image.Image, size: Size, _tell: Callable[[float], None]) -> Image.Image:
    """Enlarge at once: see :data:`Enlarge`."""
    return enlarged(image, size)


def as_it_was(image: Image.Image, mode: str) -> Image.Image:
    """Return an enlarged *image* with the depth that it had in *mode*."""
    return image.convert("I;16") if mode in DEEP_GREY else image


def has_holes(image: Image.Image) -> bool:
    """Return whether anything in *image* is not opaque."""
    if "A" not in image.getbands():
        return False
    # Of 256 levels; a histogram's last one counts the opaque pixels.
    return image.getchannel("A").histogram()[-1] < image.width * image.height


def opaque(image: Image.Image, label: str) -> Image.Image:
    """Return *image* without its alpha channel, for a format that holds none.

    Raises:
        RejectedError: Something in it is not opaque.
    """
    if "A" not in image.getbands():
        return image
    if has_holes(image):
        raise RejectedError(
            f"it has transparency, which {label} cannot hold; set output_format to png or webp",
            kind="transparency_unsupported",
        )
    return image.convert("L" if image.mode == "LA" else "RGB")
