"""What a picture's input gives to its output: read once, whatever the input's format is."""

import zlib
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from PIL import ImageFile

from batchup.errors import RejectedError
from batchup.media import glimpse, open_image, probe, reading
from batchup.providers.local.picture import chunks, ifd, metadata, tiff
from batchup.providers.local.picture.metadata import Metadata
from batchup.providers.local.picture.reading import translated
from batchup.source import Media, Size

XMP_KEYWORD = b"XML:com.adobe.xmp"
COLOUR_CHUNKS = frozenset({b"cHRM", b"cICP", b"gAMA", b"sRGB"})
TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_RAW_PROFILE = b"Raw profile type "
_TOLD_ELSEWHERE = frozenset({b"APP1", b"exif", b"icc", b"icm", b"xmp"})
_ORIENTATION, _SHORT = 274, 3
_MAX_XMP_BYTES = 64 << 20
_COLOURED = frozenset({"RGB", "RGBA", "RGBX", "P"})


@dataclass(frozen=True, slots=True)
class Gift:
    """What is put into an output.

    Attributes:
        meta: Made to fit it. Each part takes the place of the output's own; what is empty leaves the output's own there,
            and so do the profile and the colours where the output has any.
        keep: Whether what the model wrote of itself may stay.
    """

    meta: Metadata = field(default_factory=Metadata)
    keep: bool = True


def given(source: str | bytes, output: Media, *, keep: bool) -> tuple[Gift, tuple[str, ...]]:
    """Return what the picture *source* gives to *output*, and notes on what it does not.

    A profile is given only if it is one of RGB and the output is RGB, too. Models ignore profiles: they are handed the
    numbers of the input and answer numbers that are meant the same way. Those of grey and of printing colours say nothing
    about the RGB that a model makes of such an input.

    Args:
        source: A path, or the file itself if :func:`batchup.media.glimpse` knows it. Empty where there is none.
        output: What the output is now.
        keep: False for profile, colours and resolution only.

    Raises:
        OSError: Never about *source*.
    """
    meta, notes = _read(source, Size(output.width, output.height)) if source else (Metadata(), ())
    meta = _coloured(meta, output)
    if not keep:
        meta = metadata.stripped(meta)
    if output.orientation != 1:
        meta, more = _turned(meta, output, keep=keep)
        notes += more
    return Gift(meta, keep), notes


def _read(source: str | bytes, size: Size) -> tuple[Metadata, tuple[str, ...]]:
    try:
        return _held(source, size), ()
    except (RejectedError, OSError) as error:
        said = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        return Metadata(), (f"the input's metadata could not be read ({said}); the output has none of it",)


def _held(source: str | bytes, size: Size) -> Metadata:
    """Return what *source* holds, fitted to *size*. Nothing is decoded.

    Raises:
        RejectedError: It cannot be read.
        OSError: It is gone, or its disk failed.
    """
    media = glimpse(source) if isinstance(source, bytes) else probe(source)
    if media is None or media.kind != "image":
        raise RejectedError("it is no image", kind="not_media")
    with translated(), ExitStack() as stack:
        image = stack.enter_context(open_image(source, media.format))
        file = stack.enter_context(reading(source))
        if media.format == "TIFF":
            return metadata.of_page(image, tiff.pages(file)[0].tags, size)
        if media.format == "PNG":
            _look_behind(image, file)
        if media.format == "JPEG":
            _forget_views(image)
        meta = metadata.read(image, file, media.format, size)
    return replace(meta, chunks=tuple(chunk for chunk in meta.chunks if not _is_repetition(*chunk)))


def _look_behind(image: ImageFile.ImageFile, file: BinaryIO) -> None:
    """Find EXIF and XMP behind the pixels of a PNG, where ExifTool writes them; Pillow would have to decode it."""
    for name, data in chunks.png(file, wanted=frozenset({b"eXIf", b"iTXt"})):
        if name == b"eXIf":
            image.info.setdefault("exif", data)
        elif data.startswith(XMP_KEYWORD + b"\0") and "xmp" not in image.info:
            image.info["xmp"] = _international(data)


def _international(data: bytes) -> bytes:
    """Return the text of an iTXt chunk; empty if it is damaged or absurdly large. Source: PNG, third edition, 11.3.3.4."""
    _, _, rest = data.partition(b"\0")
    text = rest[2:].split(b"\0", 2)[-1]
    if not rest[:1] or rest[0] == 0:
        return text
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(text, _MAX_XMP_BYTES)
    except zlib.error:
        return b""
    return plain if inflate.eof else b""


def _forget_views(image: ImageFile.ImageFile) -> None:
    """Take out the index of further pictures: which of them was enlarged is settled, and the rest is no metadata."""
    listed = getattr(image, "applist", [])
    listed[:] = [(name, data) for name, data in listed if not (name == "APP2" and data.startswith(b"MPF\0"))]


def _is_repetition(name: bytes, data: bytes) -> bool:
    """Return whether a PNG's text is EXIF, XMP or a profile as ImageMagick writes them: unfitted, in hexadecimal digits."""
    keyword = data.partition(b"\0")[0]
    told = keyword.removeprefix(_RAW_PROFILE) in _TOLD_ELSEWHERE
    return name in TEXT_CHUNKS and keyword.startswith(_RAW_PROFILE) and told


def _coloured(meta: Metadata, output: Media) -> Metadata:
    """Return *meta* without what says how colours are meant, unless it holds for the output's.

    Source: ICC.1:2022, 7.2.6: the colour space of a profile's data is its header's bytes 16 to 19.
    """
    if output.mode in _COLOURED and (not meta.icc or meta.icc[16:20] == b"RGB "):
        return meta
    plain = tuple((name, data) for name, data in meta.chunks if name not in COLOUR_CHUNKS)
    return replace(meta, icc=b"", chunks=plain)


def _turned(meta: Metadata, output: Media, *, keep: bool) -> tuple[Metadata, tuple[str, ...]]:
    """Return *meta* for an output that is itself stored turned: its own EXIF says how it is shown."""
    if not keep:
        block = ifd.exif_block({_ORIENTATION: ifd.Entry(_SHORT, output.orientation.to_bytes(2, "little"))})
        return replace(meta, exif=block, xmp=b"", tags={}), ()
    note = "the model's own EXIF turns the picture, so it stays, and the input's EXIF and XMP are left out"
    notes = (note,) if meta.exif or meta.xmp else ()
    return replace(meta, exif=b"", xmp=b"", tags={}), notes
