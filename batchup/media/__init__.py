"""What a file really is, read from its bytes: probed by its header, or decoded whole to know that it is not cut.

Formats are known by content; the only ending that counts is a camera raw's, which is a TIFF in all but name.
"""

from pathlib import Path

from batchup.media import images, videos
from batchup.media.images import open_image, reading
from batchup.media.magic import HEAD_BYTES, IMAGES, VIDEOS, sniff
from batchup.source import Media

__all__ = ["HEAD_BYTES", "IMAGES", "VIDEOS", "glimpse", "open_image", "probe", "reading", "sniff", "verify"]


def probe(path: str | Path) -> Media | None:
    """Return what *path* is by its header alone, or None if it is no image or video (or empty).

    Nothing is decoded and no canvas is allocated, so a file that claims to be huge costs nothing: whether it is too
    large is for a model to say. ``frames`` counts the frames of a GIF, WebP or APNG and the pages of a TIFF.

    Raises:
        RejectedError: It begins like media, but cannot be used. Its ``kind`` is ``media_unreadable`` (the header is
            cut or damaged), ``raw_unsupported`` (a camera raw), ``heic_unsupported`` (the extra is not installed),
            ``codec_unsupported`` or ``format_unsupported``.
        OSError: The file cannot be read.
    """
    name = str(path)
    # One read of the buffer's size serves both the magic and, in most files, the whole header.
    with open(name, "rb") as file:  # noqa: PTH123 - half the time of Path.open, a hundred thousand times
        head = file.peek(HEAD_BYTES)
        found = sniff(head)
        if found is None:
            return None
        if found not in VIDEOS:
            return images.probe(file, name, found, head)
    return videos.probe(name, found)


def glimpse(data: bytes) -> Media | None:
    """Return what a whole file in memory is, if it is a JPEG, PNG, GIF or WebP; None for everything else.

    Raises:
        RejectedError: As :func:`probe`.
    """
    found = sniff(data[:HEAD_BYTES])
    return images.glimpse(data, found) if found else None


def verify(path: str | Path) -> Media:
    """Decode *path* and return what it is; the check that a file is whole.

    An image is decoded in every frame. Of a video every packet of the picture is read and its first frame and the last
    ones are decoded; what the file declares to hold must be there. Takes the memory of the decoded image.

    Raises:
        RejectedError: As :func:`probe`, and ``not_media``, ``image_truncated``, ``image_damaged``,
            ``video_truncated``, ``video_damaged``.
        OSError: The file cannot be read.
    """
    name = str(path)
    media = probe(name)
    if media is None:
        raise images.no_media(name)
    if media.kind == "video":
        videos.verify(name, media)
    else:
        images.verify(name, media)
    return media
