"""Images: the header as Media, and the whole decoded by Pillow."""

import errno
import io
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import PurePath
from typing import BinaryIO

from PIL import Image, ImageFile

from batchup.errors import RejectedError
from batchup.media import headers, tiff
from batchup.media.headers import BadHeader, turned
from batchup.source import Media

RAW_ENDINGS = frozenset(
    ".nef .nrw .cr2 .cr3 .crw .arw .srf .sr2 .dng .pef .srw .3fr .erf .kdc .dcr .mos .iiq .rwl .mef .fff".split()  # noqa: SIM905 - a list of quoted endings says it worse
)

# Pillow logs some faults that it raises, too; without a handler they would appear on standard error.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_BAD = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    KeyError,
    OverflowError,
    RuntimeError,
    struct.error,
)
"""What Pillow's plugins raise about a file's contents; ``Image.open`` catches most of them likewise."""

_CUT = ("truncated", "cut", "end of", "ends", "not enough", "incomplete", "unexpected eof", "no more")
_HEADER_BYTES = 4_096


def reading(file: str | bytes) -> BinaryIO:
    """Return what lies at a path, or in memory, as a file to read.

    Raises:
        OSError: It cannot be opened.
    """
    if isinstance(file, bytes):
        return io.BytesIO(file)
    return open(file, "rb")  # noqa: PTH123 - names may hold what pathlib normalises; whoever asks closes it


def glimpse(data: bytes, found: str) -> Media | None:
    """Return what a whole file is that announces the format *found*; None where its header has no reader of ours.

    Raises:
        RejectedError: See :func:`batchup.media.probe`.
    """
    return probe(io.BytesIO(data), "", found, data) if found in headers.READERS else None


def probe(file: BinaryIO, name: str, found: str, head: bytes) -> Media:
    """Return what the image *file* is, that announces the format *found*.

    Args:
        file: Open at its start.
        name: Its path, for its ending and for plugins that open it themselves.
        found: As :func:`batchup.media.sniff` names it.
        head: The file's first bytes.

    Raises:
        RejectedError: See :func:`batchup.media.probe`.
    """
    if found == "RAW":
        raise raw(name)
    if found == "JXL":
        raise RejectedError("JPEG XL cannot be read; convert it to PNG or TIFF", kind="format_unsupported")
    try:
        if found in headers.READERS:
            media = headers.READERS[found](file)
        elif found == "TIFF":
            media = _tiff(file, name, head)
        else:
            media = _by_pillow(name, found, head)
        if media.width < 1 or media.height < 1:
            raise BadHeader(f"it says {media.width}x{media.height} pixels")
    except (*_BAD, MemoryError) as error:  # a length of petabytes in a header
        if _of_the_disk(error):
            raise
        raise unreadable(found, error) from error
    return media


def _of_the_disk(error: BaseException) -> bool:
    """Return whether an error is not about a file's contents; to seek beyond all bounds is."""
    return isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}


def raw(name: str) -> RejectedError:
    """Return the error about a camera raw."""
    ending = PurePath(name).suffix.lstrip(".").upper()
    what = f"a camera raw ({ending})" if f".{ending.lower()}" in RAW_ENDINGS else "a camera raw"
    return RejectedError(
        f"{what} cannot be read; develop it to TIFF, PNG or JPEG first", kind="raw_unsupported"
    )


def no_media(name: str) -> RejectedError:
    """Return the error about a file that should be media and is none."""
    empty = not PurePath(name).name or _size_bytes(name) == 0
    return RejectedError("the file is empty" if empty else "the file is no image or video", kind="not_media")


def _size_bytes(name: str) -> int:
    with open(name, "rb") as file:  # noqa: PTH123 - names may hold what pathlib normalises
        return file.seek(0, 2)


def unreadable(found: str, error: Exception) -> RejectedError:
    """Return the error about media whose header cannot be read."""
    said = str(error).strip() or type(error).__name__
    return RejectedError(
        f"it begins like {_article(found)} but cannot be read: {said}", kind="media_unreadable"
    )


def _article(found: str) -> str:
    return f"{'an' if found[0] in 'AEFHIMO' and found not in {'HEIC', 'MOV', 'FLV'} else 'a'} {found}"


def _tiff(file: BinaryIO, name: str, head: bytes) -> Media:
    """Read a TIFF's directories. Pillow tells its mode, and so whether it can read it."""
    if head[8:10] == b"CR" or PurePath(name).suffix.lower() in RAW_ENDINGS:
        raise raw(name)

    def read(offset: int, count: int) -> bytes:
        file.seek(offset)
        return file.read(count)

    form = tiff.layout(head[:16])
    first, _ = tiff.directory(read, form, form.first)
    if tiff.is_raw(read, form, first):
        raise raw(name)
    pages = sum(tiff.is_page(tags) for tags in tiff.directories(read, form))
    bits = max(first.get(tiff.BITS_PER_SAMPLE) or (1,))
    with open_image(name, "TIFF") as image:
        mode, (width, height) = image.mode, image.size  # Pillow's size of a TIFF is upright already
    return Media("image", "TIFF", width, height, max(1, pages), 0.0, mode, bits, tiff.upright(first))


def _by_pillow(name: str, found: str, head: bytes) -> Media:
    with open_image(name, found) as image:
        mode, (width, height) = image.mode, image.size
        frames = getattr(image, "n_frames", 1)
        # libheif turns the picture itself; what EXIF says of it is history.
        orientation = 1 if found == "HEIC" else tiff.orientation(image.info.get("exif") or b"")
        bits = image.info.get("bit_depth") or _bits(name, found, head)
    width, height = turned(width, height, orientation)
    return Media("image", found, width, height, frames, 0.0, mode, bits, orientation)


def _bits(name: str, found: str, head: bytes) -> int:
    """Return the bits a channel of formats whose plugin does not tell: 8 where nothing says otherwise."""
    if found == "BMP":
        return 8
    if found == "JPEG2000" and head.startswith(b"\xff\x4f"):
        return (head[42] & 0x7F) + 1  # Ssiz of the first component: ISO/IEC 15444-1, A.5.1
    with open(name, "rb") as file:  # noqa: PTH123 - names may hold what pathlib normalises
        start = file.read(_HEADER_BYTES)
    if found == "JPEG2000":
        at = start.find(b"ihdr")
        return (start[at + 14] & 0x7F) + 1 if 0 <= at < len(start) - 14 else 8
    at = start.find(b"av1C")
    if not 0 <= at < len(start) - 6:
        return 8
    high, twelve = start[at + 6] & 0x40, start[at + 6] & 0x20  # AV1 in ISOBMFF 1.2, section 2.3
    return (12 if twelve else 10) if high else 8


@contextmanager
def open_image(path: str | bytes, found: str) -> Iterator[ImageFile.ImageFile]:
    """Open *path*, or what is in memory, with Pillow's plugin for the format *found*, and no other.

    Unlike ``Image.open``, the declared size is not judged, a JPEG with previews behind it stays a JPEG, and Pillow's
    warnings about odd metadata are not shown. It is lazy: nothing is decoded.

    Raises:
        RejectedError: HEIC without its extra.
        OSError, SyntaxError, ValueError: As Pillow's plugins.
    """
    with warnings.catch_warnings(), reading(path) as file:
        # Restoring the filters is not atomic; at worst another thread's warnings stay hidden, too.
        warnings.simplefilter("ignore")
        image = _plugin(found)(file, path if isinstance(path, str) else "")
        try:
            yield image
        finally:
            image.close()


@cache
def _plugin(found: str) -> type[ImageFile.ImageFile]:
    """Return Pillow's class for a format, which skips the limit on pixels that ``Image.open`` applies."""
    if found == "HEIC":
        return _heif()
    from PIL import (
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        Jpeg2KImagePlugin,
        JpegImagePlugin,
        PngImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )

    plugins: dict[str, type[ImageFile.ImageFile]] = {
        "AVIF": AvifImagePlugin.AvifImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
    }
    return plugins[found]


def _heif() -> type[ImageFile.ImageFile]:
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError as error:
        message = "HEIC needs the extra: pip install 'batchup[heic]'"
        raise RejectedError(message, kind="heic_unsupported") from error
    plugin: type[ImageFile.ImageFile] = HeifImageFile
    return plugin


def verify(name: str | bytes, media: Media) -> None:
    """Decode every frame of the image *name*, a path or the file itself, which :func:`probe` said to be *media*.

    Raises:
        RejectedError: ``image_truncated`` or ``image_damaged``.
    """
    _whole(name, media)
    try:
        with open_image(name, media.format) as image:
            if media.format == "JPEG":
                # Every byte is still read, but an eighth of the size is made of it: a fifth of the time, no memory.
                image.draft(image.mode, (image.width // 8, image.height // 8))
            for frame in range(getattr(image, "n_frames", 1)):
                image.seek(frame)
                image.load()
    except (Image.DecompressionBombError, MemoryError) as error:
        size = f"{media.width}x{media.height} pixels"
        raise RejectedError(f"the image is too large to decode: {size}", kind="image_too_large") from error
    except _BAD as error:
        if _of_the_disk(error):
            raise
        raise _damaged(error) from error


def _whole(name: str | bytes, media: Media) -> None:
    """Check what the decoders pass over: where two formats say that they end, and a PNG's checksums."""
    if media.format not in {"GIF", "WEBP", "PNG"}:
        return
    with reading(name) as file:
        if media.format == "PNG":
            if not headers.png_is_sound(file):
                raise RejectedError("the image is damaged: its checksums do not fit", kind="image_damaged")
            return
        if media.format == "GIF":
            whole = headers.gif_ends(file)
        else:
            declared = 8 + int.from_bytes(file.read(8)[4:], "little")
            whole = file.seek(0, 2) >= declared
    if not whole:
        raise RejectedError("the image is cut: the file ends before it does", kind="image_truncated")


def _damaged(error: BaseException) -> RejectedError:
    said = str(error).strip() or type(error).__name__
    if any(word in said.lower() for word in _CUT):
        return RejectedError(f"the image is cut: {said}", kind="image_truncated")
    return RejectedError(f"the image is damaged: {said}", kind="image_damaged")
