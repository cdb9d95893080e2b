"""A copy of a picture that is stored turned: upright, so that what reads it need not know EXIF. Run by a worker process.

Whoever ignores the orientation would enlarge the picture lying on its side, and nobody could say so afterwards.
"""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import msgspec
from PIL import ImageFile

from batchup.errors import RejectedError
from batchup.media import open_image, probe
from batchup.models.formats import Format, by_name
from batchup.providers.local.picture import encode, metadata, pixels, tiff
from batchup.providers.local.picture.encode import Still
from batchup.providers.local.picture.reading import any_size, decode, translated
from batchup.providers.local.picture.writing import writing
from batchup.source import Media

FUNCTION = f"{__name__}:upright"
"""What a pool calls, with a :class:`Turned`."""

QUALITY = 95
"""Of a JPEG, in 4:4:4, or a lossy WebP. Measured on 12 megapixels: 49 dB from the original, invisible, at 1.3 to 2.3
times its size, where PNG takes 5 to 10 times."""

_PIXEL_BYTES, _WEBP_PIXEL_BYTES = 16, 56
"""Peak memory a pixel. Measured on 12 megapixels: 8 to 15, with WebP's encoder 49."""


class Turned(msgspec.Struct, frozen=True):
    """A picture to be turned upright.

    Attributes:
        source: File to read.
        output: File to write; overwritten. Its name tells nothing of its format.
    """

    source: str
    output: str


class Upright(msgspec.Struct, frozen=True):
    """The copy.

    Attributes:
        content_type: ``image/jpeg``, ``image/webp``, ``image/tiff`` or ``image/png``.
    """

    content_type: str


def memory_bytes(media: Media) -> int:
    """Return an estimate of what turning a picture takes at its peak."""
    each = _WEBP_PIXEL_BYTES if media.format == "WEBP" else _PIXEL_BYTES
    return each * media.width * media.height


def upright(turned: Turned) -> Upright:
    """Write an upright copy, with ICC profile, and EXIF and XMP whose orientation is 1.

    A JPEG stays one, and so do WebP and what only a TIFF can hold (printing colours); all else becomes PNG, without loss.

    Raises:
        RejectedError: It cannot be read (the kinds of :func:`batchup.media.verify`), moves (``animation_unsupported``), or
            its copy cannot be written (``image_unwritable``).
        OSError: A disk failed.
    """
    media = probe(turned.source)
    if media is None or media.kind != "image":
        raise RejectedError("the file is no image", kind="not_media")
    if media.frames > 1 and media.format != "TIFF":
        raise RejectedError(
            "it moves and is stored turned; turn it upright first, or give it to a model for videos",
            kind="animation_unsupported",
        )
    with any_size(), ExitStack() as stack:
        with translated():
            image = stack.enter_context(open_image(turned.source, media.format))
        still = _still(image, stack.enter_context(Path(turned.source).open("rb")), media)
        form = _form(media, still)
        _save(still, Path(turned.output), form)
    return Upright(f"image/{form.name.lower()}")


def _still(image: ImageFile.ImageFile, file: BinaryIO, media: Media) -> Still:
    how = encode.manner(image, media.format, file)
    decode(image)
    mode = image.mode
    if media.format == "TIFF":  # Pillow has turned its pixels already
        meta = metadata.of_page(image, tiff.pages(file)[0].tags, media.size)
        turned = pixels.workable(image)
    else:
        meta = metadata.read(image, file, media.format, media.size)
        turned = pixels.upright(pixels.workable(image), media.orientation)
    turned.info.clear()  # Pillow's writers take ICC profiles, comments and transparency from it unasked
    # 4:4:4, because turning swaps which way colours were halved; and every second loss counts.
    return Still(pixels.as_it_was(turned, mode), meta, replace(how, subsampling=0), QUALITY)


def _form(media: Media, still: Still) -> Format:
    name = media.format if media.format in {"JPEG", "WEBP"} else "PNG"
    if still.image.mode == "CMYK" and name != "JPEG":
        name = "TIFF"
    form = by_name(name)
    assert form is not None
    return form


def _save(still: Still, output: Path, form: Format) -> None:
    with writing(output, f"its upright copy cannot be written as {form.label}"):
        if form.name == "TIFF":
            tiff.write([still], output)
            return
        try:
            with output.open("wb") as file:
                encode.save(still, file, form)
        except RejectedError:  # EXIF or XMP too large: what is uploaded may do without
            with output.open("wb") as file:
                encode.save(replace(still, meta=metadata.stripped(still.meta)), file, form)
