"""What a picture's file holds besides its pixels, made to fit the enlarged picture.

What changes hands unharmed: EXIF (maker notes byte for byte, except into a TIFF, which lays EXIF out anew), XMP, IPTC between
JPEG and TIFF, comments, PNG's texts, ICC profile, resolution, PNG's colour chunks. What no longer holds is left out: thumbnails,
further pictures behind a JPEG (previews, gain and depth maps, motion), and signed provenance (C2PA), which enlarging breaks.
"""

import struct
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from PIL import Image

from batchup.errors import RejectedError
from batchup.providers.local.picture import chunks, exif, ifd, xmp
from batchup.source import Size

XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, ICC_TAG = 700, 33723, 34377, 34675
_RESOLUTION_TAGS = frozenset({282, 283, 296})
_PHOTOSHOP = b"Photoshop 3.0\0"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
# Told to Pillow by other means, or no longer true: see the module's docstring. ISO 21496 is the gain map's.
_DROPPED_SEGMENTS = (
    *(("APP0", head) for head in (b"JFIF\0", b"JFXX\0")),
    *(("APP1", head) for head in (b"Exif\0", _JPEG_XMP)),
    *(("APP2", head) for head in (b"ICC_PROFILE\0", b"MPF\0", b"urn:iso:std:iso:ts:21496")),
    ("APP11", b"JP"),
    ("APP14", b"Adobe"),
)
_COLOUR_CHUNKS = frozenset({b"cHRM", b"cICP", b"gAMA", b"sRGB"})
_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_SRGB_GAMMA = range(45_000, 46_000)
_MULTI_VIEW = range(0x020000, 0x030000)

# Tags that say how a TIFF's pixels are stored, or where on Earth each of the old pixels lies (GeoTIFF).
_STRUCTURE = frozenset(
    {*range(255, 270), 273, *range(277, 282), 284, *range(288, 294), 317, *range(320, 326), 330}
    | {*range(338, 344), 347, *range(512, 522), *range(529, 533), 33550, 33922, 34264, *range(34735, 34738)}
    | {ICC_TAG}
)
_ORIENTATION = 274
_PIXEL_SIZES = (40962, 40963)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What goes into the enlarged picture's file.

    Attributes:
        exif: A TIFF structure without its prefix.
        xmp: The packet.
        icc: The profile.
        dpi: Pixels an inch, across and down.
        comments: Of JPEG and GIF.
        segments: Other segments of a JPEG, ``(marker's second byte, contents)``.
        photoshop: Photoshop's resources, which hold IPTC.
        chunks: Texts and colours of a PNG, ``(name, contents)``.
        tags: Of a TIFF's page, less :attr:`xmp`, :attr:`icc` and :attr:`photoshop`.
    """

    exif: bytes = b""
    xmp: bytes = b""
    icc: bytes = b""
    dpi: tuple[float, float] | None = None
    comments: tuple[bytes, ...] = ()
    segments: tuple[tuple[int, bytes], ...] = ()
    photoshop: bytes = b""
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    tags: ifd.Directory = field(default_factory=dict)

    @property
    def colours_need_png(self) -> bool:
        """Whether only PNG's own chunks tell how the colours are meant."""
        named = dict(self.chunks)
        if self.icc or b"sRGB" in named:
            return False
        return b"cICP" in named or (
            b"gAMA" in named and int.from_bytes(named[b"gAMA"], "big") not in _SRGB_GAMMA
        )


def read(image: Image.Image, file: BinaryIO, found: str, size: Size) -> Metadata:
    """Return what the loaded *image*, whose bytes are *file*, holds besides its pixels.

    Args:
        image: Decoded.
        file: The same file, to be read anew.
        found: Its format.
        size: Of the picture that comes out, upright.
    """
    info = image.info
    meta = Metadata(
        exif=_bytes(info.get("exif")),
        xmp=_bytes(info.get("xmp")),
        icc=_bytes(info.get("icc_profile")),
        dpi=_dpi(info.get("dpi")),
    )
    if found == "JPEG":
        meta = _with_segments(meta, getattr(image, "applist", []))
    elif found == "PNG":
        meta = _with_chunks(meta, file)
    elif "comment" in info:
        meta = replace(meta, comments=(_bytes(info["comment"]),))
    return replace(
        meta,
        exif=exif.fitted(meta.exif, *size) if meta.exif else b"",
        xmp=xmp.fitted(meta.xmp, *size),
    )


def of_page(image: Image.Image, page: ifd.Directory, size: Size) -> Metadata:
    """Return what a TIFF's *page* holds besides its pixels, likewise."""
    tags = {tag: entry for tag, entry in page.items() if tag not in _STRUCTURE}
    packet, photoshop = tags.pop(XMP_TAG, None), tags.pop(PHOTOSHOP_TAG, None)
    fitted = fitted_tags(tags, size)
    described = {tag: entry for tag, entry in fitted.items() if tag not in {IPTC_TAG, 254}}
    return Metadata(
        exif=ifd.exif_block(described),
        xmp=xmp.fitted(packet.data, *size) if packet else b"",
        icc=_bytes(image.info.get("icc_profile")),
        dpi=_dpi(image.info.get("dpi")),
        photoshop=photoshop.data if photoshop else b"",
        tags=fitted,
    )


def fitted_tags(tags: ifd.Directory, size: Size) -> ifd.Directory:
    """Return *tags* with orientation 1 and the new sizes in pixels, where they are given."""
    fitted = dict(tags)
    if _ORIENTATION in fitted:
        fitted[_ORIENTATION] = ifd.Entry(3, b"\1\0")
    below = fitted[ifd.EXIF_IFD].below if ifd.EXIF_IFD in fitted else None
    if below:
        sizes = {
            tag: ifd.number(value) for tag, value in zip(_PIXEL_SIZES, size, strict=True) if tag in below
        }
        fitted[ifd.EXIF_IFD] = ifd.Entry(4, b"", {**below, **sizes})
    return fitted


def stripped(meta: Metadata) -> Metadata:
    """Return only what it takes to show the picture as it is meant."""
    return Metadata(
        icc=meta.icc,
        dpi=meta.dpi,
        chunks=tuple((name, data) for name, data in meta.chunks if name in _COLOUR_CHUNKS),
        tags={tag: entry for tag, entry in meta.tags.items() if tag in _RESOLUTION_TAGS},
    )


def page_tags(meta: Metadata) -> ifd.Directory:
    """Return everything that *meta* holds as tags of a TIFF's page."""
    tags = dict(meta.tags)
    if not tags and meta.exif:
        parsed = ifd.parsed(meta.exif)
        tags = {tag: entry for tag, entry in parsed.items() if tag not in _STRUCTURE | _RESOLUTION_TAGS}
    if meta.xmp:
        tags[XMP_TAG] = ifd.Entry(1, meta.xmp)
    if meta.photoshop:
        tags[PHOTOSHOP_TAG] = ifd.Entry(7, meta.photoshop)
    return tags


def _bytes(value: Any) -> bytes:
    """Return what a plugin gives as bytes or as text."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    return bytes(value) if value else b""


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        across, down = float(value[0]), float(value[1])
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 65_536 and 0 < down < 65_536 else None  # noqa: PLR2004 - 16 bits in JPEG


def _with_segments(meta: Metadata, segments: list[tuple[str, bytes]]) -> Metadata:
    """Add the segments of a JPEG that Pillow only lists."""
    comments, photoshop, others = [], b"", []
    for name, data in segments:
        if name == "COM":
            comments.append(data)
        elif name == "APP2" and data.startswith(b"MPF\0"):
            _check_views(data[4:])
        elif name == "APP13" and data.startswith(_PHOTOSHOP):
            photoshop += data[len(_PHOTOSHOP) :]
        elif not any(name == dropped and data.startswith(head) for dropped, head in _DROPPED_SEGMENTS):
            others.append((0xE0 + int(name[3:]), data))
    return replace(meta, comments=tuple(comments), photoshop=photoshop, segments=tuple(others))


def _check_views(index: bytes) -> None:
    """Refuse a JPEG whose further pictures are views of their own: stereo, panorama, angles.

    Source: CIPA DC-007 (Multi-Picture Format), 5.2.3.3: the index's tag 0xB002 holds 16 bytes a picture.
    """
    entries = ifd.parsed(index).get(0xB002)
    if entries is None:
        return
    order = "<" if index[:2] == b"II" else ">"
    attributes = list(struct.iter_unpack(f"{order}I12x", entries.data[: len(entries.data) // 16 * 16]))
    if any((attribute & 0xFFFFFF) in _MULTI_VIEW for (attribute,) in attributes):
        raise RejectedError(
            f"the file holds {len(attributes)} views (a stereo picture or panorama), of which one could be kept;"
            " split it into one file a view first",
            kind="several_views",
        )


def _with_chunks(meta: Metadata, file: BinaryIO) -> Metadata:
    """Add the texts and colours of a PNG, less XMP, which Pillow has found already."""
    kept: list[tuple[bytes, bytes]] = []
    for name, data in chunks.png(file, wanted=_COLOUR_CHUNKS | _TEXT_CHUNKS):
        keyword = data.partition(b"\0")[0] if name in _TEXT_CHUNKS else b""
        if keyword != _XMP_KEYWORD:
            kept.append((name, data))
    return replace(meta, chunks=tuple(kept))
