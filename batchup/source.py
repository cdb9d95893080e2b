"""What is upscaled: a Source, and what its bytes say it is (Media)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

Kind = Literal["image", "video"]

_UNDECODABLE = range(0xDC80, 0xDD00)


class Size(NamedTuple):
    """Width and height in pixels, as a person sees the picture (after orientation or rotation)."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Number of pixels of one frame."""
        return self.width * self.height


class Media(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file really is, read from its bytes, not from its ending.

    Attributes:
        kind: ``image`` or ``video``. An animated GIF or WebP is an image with several frames.
        format: Pillow's name for images (``JPEG``, ``PNG``, ``WEBP``, ...); for videos the container's
            usual ending in upper case (``MP4``, ``MOV``, ``MKV``, ``WEBM``, ``AVI``, ...).
        width: Pixels, upright: what a viewer shows.
        height: Pixels, upright.
        frames: Number of frames; 1 for a still; 0 where a video does not declare it.
        duration_s: Seconds, for videos and animations; 0 where unknown.
        mode: Pillow's mode of an image (``RGB``, ``I;16``, ...), the pixel format of a video (``yuv420p``).
        bits: Bits a channel.
        orientation: EXIF orientation of an image, 1 to 8.
    """

    kind: Kind
    format: str
    width: int
    height: int
    frames: int = 1
    duration_s: float = 0.0
    mode: str = ""
    bits: int = 8
    orientation: int = 1

    @property
    def size(self) -> Size:
        """Upright size in pixels."""
        return Size(self.width, self.height)


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """One input: a file below a root, or a URL.

    ``root``, ``base`` and ``path`` are *path texts* (see :func:`to_text`), so that any name a file system
    holds fits into UTF-8 JSON.

    Attributes:
        root: The input item's folder as the manifest writes it, normalised; part of the task's identity.
        path: The file's path below the root, with ``/``; for a URL the last part of its path.
        base: The root as an absolute folder on this machine; not part of the identity.
        url: The address, where the input is one; then ``root`` and ``base`` are empty.
        size_bytes: Size when the file was found; 0 for a URL.
        mtime_ns: Modification time when the file was found; 0 for a URL.
        media: What the file is; None for a URL, which nobody reads before it is needed.
        row: The other columns of the list that named this input, for ``{row.*}``.
        allow_private: Whether the URL may lead into a private network.
    """

    root: str
    path: str
    base: str = ""
    url: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    media: Media | None = None
    row: Mapping[str, str] = {}
    allow_private: bool = False

    @property
    def name(self) -> str:
        """The file's absolute path on this machine, as ``os`` functions take it. Meaningless for a URL."""
        return to_path(f"{self.base}/{self.path}")

    @property
    def file(self) -> Path:
        """The same as a Path."""
        return Path(self.name)

    @property
    def label(self) -> str:
        """How people know this input: its URL, or its root and path."""
        return self.url or (f"{self.root}/{self.path}" if self.root not in {"", "."} else self.path)


def to_text(path: str) -> str:
    r"""Return *path*, as ``os`` functions give it, as text that UTF-8 can hold.

    A byte that is not UTF-8 becomes NUL and two hexadecimal digits: no file name holds a NUL, so
    :func:`to_path` can undo it.
    """
    if path.isascii():
        return path
    return "".join(f"\0{ord(c) - 0xDC00:02x}" if ord(c) in _UNDECODABLE else c for c in path)


def to_path(text: str) -> str:
    """Undo :func:`to_text`."""
    if "\0" not in text:
        return text
    head, *rest = text.split("\0")
    return head + "".join(os.fsdecode(bytes([int(part[:2], 16)])) + part[2:] for part in rest)
