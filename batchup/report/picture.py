"""One thumbnail: a picture or a video's early frame, small, upright, in sRGB. Runs in a worker process."""

import io
import os
from pathlib import Path

import msgspec
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from batchup.disk import replacing
from batchup.errors import RejectedError
from batchup.media import HEAD_BYTES, open_image, probe, sniff
from batchup.source import Media

EDGE_PX = 320
"""Longest edge of a thumbnail: sharp in a card of 200 pixels on a screen of 1.5 pixels a point."""
PREVIEW_PX = 2560
QUALITY = 70
PREVIEW_QUALITY = 86
TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "MP4": "video/mp4",
    "MOV": "video/mp4",  # what a browser can play of it, it plays under this name
    "WEBM": "video/webm",
    "OGV": "video/ogg",
}
"""Formats that browsers show, videos if they know the codec, none of which can hold a script, and what they are called there."""

_WHITE_8, _WHITE_16 = 255, 65535

_BAD = (OSError, ValueError, SyntaxError, EOFError, RuntimeError, MemoryError, UnidentifiedImageError)
"""What decoders raise about a file's contents; a thumbnail is a courtesy, so none of it is worth more than its absence."""


class Job(msgspec.Struct, frozen=True):
    """What is to be made of one file.

    Attributes:
        source: Path of the picture or video.
        stem: Path of what is made of it, without ending: ``.webp`` is the thumbnail, ``.jpg`` a large preview of
            what no browser shows.
    """

    source: str
    stem: str


def weigh(job: Job) -> int:
    """Return about how many bytes it takes to decode a file; 0 where nothing can be made of it. Decodes nothing."""
    try:
        media = probe(job.source)
    except (RejectedError, OSError):
        return 0
    if media is None:
        return 0
    # A JPEG is decoded at an eighth of its size or so, straight from its coefficients.
    scale = max(1, min(media.width, media.height) // (2 * EDGE_PX)) if media.format == "JPEG" else 1
    return max(1, media.size.pixels * 6 // min(scale, 8) ** 2)


def make(job: Job) -> bool:
    """Make a thumbnail, and a preview where one is needed; return whether there is one. Takes the decoded image's memory."""
    try:
        media = probe(job.source)
        if media is None:
            return False
        preview = media.format not in TYPES
        edge_px = PREVIEW_PX if preview else EDGE_PX
        image = _frame(job.source) if media.kind == "video" else _still(job.source, media, edge_px)
        if preview:
            _write(_fitted(image, PREVIEW_PX).convert("RGB"), f"{job.stem}.jpg", "JPEG", PREVIEW_QUALITY)
        _write(_fitted(image, EDGE_PX), f"{job.stem}.webp", "WEBP", QUALITY)
    except (RejectedError, *_BAD):
        return False
    return True


def shows(path: str) -> bool:
    """Return whether a browser shows this file as it is. Reads its head; False for a file that is not there."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - names may hold what pathlib normalises
            found = sniff(file.read(HEAD_BYTES))
    except OSError:
        return False
    return found in TYPES


def _still(path: str, media: Media, edge_px: int) -> Image.Image:
    with open_image(path, media.format) as opened:
        if media.format == "JPEG":
            opened.draft("RGB", (2 * edge_px, 2 * edge_px))
        opened.load()
        image: Image.Image = opened.copy()
    if media.format not in {"HEIC", "TIFF"}:  # these come upright
        image = ImageOps.exif_transpose(image)
    return _plain(image)


def _frame(path: str) -> Image.Image:
    """Return a frame from a tenth of the way, or a second: the first ones are often black."""
    import av

    try:
        with av.open(os.path.abspath(path), metadata_errors="ignore") as container:  # noqa: PTH100 - names may hold what pathlib normalises
            stream = container.streams.video[0]
            if container.duration:
                container.seek(min(container.duration // 10, 1_000_000))
            frame = next(container.decode(stream))
            turned = frame.rotation
            image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    except (av.error.FFmpegError, StopIteration, IndexError) as error:
        raise ValueError(str(error)) from error
    return image.rotate(turned, expand=True) if turned else image


def _plain(image: Image.Image) -> Image.Image:
    """Return *image* as 8 bits of sRGB, or with alpha."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    alpha = image.mode in {"LA", "PA", "RGBA", "La", "RGBa"} or "transparency" in image.info
    if profile and image.mode in {"RGB", "CMYK", "L"}:
        try:
            found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(
                image, found, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            image = converted or image
        except (ImageCms.PyCMSError, OSError):
            pass  # an odd profile: the colours are about right
    return image.convert("RGBA" if alpha else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return grey of 16 or 32 bits as 8: what goes beyond 8 is taken for 16."""
    grey = image.convert("F")
    _, high = grey.getextrema()
    deep = isinstance(high, float) and high > _WHITE_8
    return (grey.point(lambda value: value * (_WHITE_8 / _WHITE_16)) if deep else grey).convert("L")


def _fitted(image: Image.Image, edge_px: int) -> Image.Image:
    """Return *image* in at most so many pixels a side, without what its file told besides pixels."""
    scale = min(1.0, edge_px / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    small.info.clear()
    return small


def _write(image: Image.Image, path: str, form: str, quality: int) -> None:
    """Write whole or not at all: another report may be made of the same folder."""
    with replacing(Path(path)) as draft:
        image.save(draft, form, quality=quality)
