"""TIFF of one page: a new directory behind its pixels, which stay where they are. Source: TIFF 6.0, section 2."""

import struct
from typing import BinaryIO

from batchup.carry.gift import Gift
from batchup.carry.pieces import Span, Spliced
from batchup.providers.local.picture import ifd, metadata

_RATIONAL, _SHORT, _UNDEFINED = 5, 3, 7
_ACROSS, _DOWN, _UNIT = 282, 283, 296
_TOLD = frozenset(
    {269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, 37724, 40091, 40092, 40093, 40094, 40095}
    | {metadata.XMP_TAG, metadata.IPTC_TAG, metadata.PHOTOSHOP_TAG, ifd.EXIF_IFD, ifd.GPS_IFD}
)
"""Names, makers, times, descriptions: what is not needed to show the picture."""


def spliced(file: BinaryIO, gift: Gift) -> Spliced:
    """Return the TIFF *file* with *gift* in it.

    Raises:
        ValueError: It has several pages, or more than 4 GB.
    """
    pages = ifd.directories(file)
    file.seek(0)
    head = file.read(8)
    size = file.seek(0, 2)
    at = size + size % 2
    if len(pages) != 1 or head[2:4] not in {b"*\0", b"\0*"}:
        raise ValueError("it has several pages, or is a BigTIFF")
    page = {tag: entry for tag, entry in pages[0].items() if gift.keep or tag not in _TOLD}
    merged = {**page, **_offered(gift, page)}
    if merged == pages[0]:
        return Spliced([Span(0, size)])
    order = "<" if head[:2] == b"II" else ">"
    block = ifd.packed(merged, at, order)
    if at + len(block) >= 1 << 32:
        raise ValueError("it would become larger than a TIFF can be")
    link = head[:4] + struct.pack(f"{order}I", at)
    return Spliced([link, Span(8, size), bytes(at - size) + block])


def _offered(gift: Gift, page: ifd.Directory) -> ifd.Directory:
    tags = dict(metadata.page_tags(gift.meta))
    if not gift.keep and gift.meta.exif:  # the orientation alone, which the page has already
        tags = {tag: entry for tag, entry in tags.items() if tag not in page}
    if gift.meta.icc and metadata.ICC_TAG not in page:
        tags[metadata.ICC_TAG] = ifd.Entry(_UNDEFINED, gift.meta.icc)
    if gift.meta.dpi:
        across, down = (struct.pack("<II", round(value * 1000), 1000) for value in gift.meta.dpi)
        tags |= {_ACROSS: ifd.Entry(_RATIONAL, across), _DOWN: ifd.Entry(_RATIONAL, down)}
        tags[_UNIT] = ifd.Entry(_SHORT, b"\2\0")
    return tags
