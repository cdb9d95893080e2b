"""JPEG: segments exchanged, everything from the tables on as it was.

Sources: ITU T.81, annex B; JFIF 1.02; CIPA DC-008 (Exif 2.32), 4.5.4; ICC.1:2022, B.4; XMP Specification Part 3, 1.1.3.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from batchup.carry.gift import Gift
from batchup.carry.pieces import Piece, Span, Spliced
from batchup.providers.local.picture import exif
from batchup.providers.local.picture.metadata import Metadata

_START, _SCAN, _COMMENT = b"\xff\xd8", 0xDA, 0xFE
_MAX_BYTES = 65_533
_XMP, _PHOTOSHOP, _ICC = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0", b"ICC_PROFILE\0"
_KINDS = (
    (0xE0, b"JFIF\0", "jfif"),
    (0xE0, b"JFXX\0", "jfif"),
    (0xE1, exif.PREFIX, "exif"),
    (0xE1, b"http://ns.adobe.com/x", "xmp"),  # xap/1.0 and what does not fit there, xmp/extension
    (0xE2, _ICC, "icc"),
    (0xE2, b"MPF\0", "views"),
    (0xED, _PHOTOSHOP, "photoshop"),
    (0xEE, b"Adobe", "adobe"),
    (_COMMENT, b"", "comment"),
)
_ORDER = ("jfif", "exif", "xmp", "icc", "photoshop", "adobe", "other", "comment")
_SHOWN = frozenset({"jfif", "icc", "adobe"})
"""What it takes to show the picture as it is meant."""
_LABELS = {"exif": "EXIF", "xmp": "XMP"}
_INCH = 1


class Segment(NamedTuple):
    """A segment that is about the picture: an APPn, or a comment."""

    marker: int
    data: bytes

    @property
    def kind(self) -> str:
        """Which of :data:`_ORDER` it belongs to."""
        for marker, head, kind in _KINDS:
            if self.marker == marker and self.data.startswith(head):
                return kind
        return "other"

    @property
    def packed(self) -> bytes:
        """As it stands in the file."""
        return struct.pack(">BBH", 0xFF, self.marker, len(self.data) + 2) + self.data


def spliced(file: BinaryIO, gift: Gift) -> Spliced:
    """Return the JPEG *file* with *gift* in it.

    Raises:
        ValueError: It is not built as it should be, or holds several pictures whose places would no longer be right.
    """
    own, tables = _parsed(file)
    if any(segment.kind == "views" for segment in own):
        raise ValueError("it holds several pictures")
    offered = [segment for segment in _offered(gift.meta) if segment.kind != "views"]
    large = {segment.kind for segment in offered if len(segment.data) > _MAX_BYTES}
    fitting = [segment for segment in offered if segment.kind not in large]
    merged = [segment for kind in _ORDER for segment in _merged(kind, own, fitting, keep=gift.keep)]
    heads = b"".join(_with_density(segment, gift.meta.dpi).packed for segment in merged)
    notes = tuple(
        f"the input's {_LABELS.get(kind, 'metadata')} is larger than a JPEG holds, and is left out"
        for kind in sorted(large)
    )
    return Spliced([_START + heads, *tables], notes)


def _parsed(file: BinaryIO) -> tuple[list[Segment], list[Piece]]:
    """Return the segments about the picture, and where everything else is."""
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(2) != _START:
        raise ValueError("it does not begin like a JPEG")
    own: list[Segment] = []
    tables: list[Piece] = []
    while True:
        start, marker = file.tell(), _marker(file)
        if marker == _SCAN:
            return own, [*tables, Span(start, size)]
        length = int.from_bytes(file.read(2), "big") - 2
        data = file.read(max(0, length))
        if length < 0 or len(data) < length:
            raise ValueError("a segment in it is cut")
        if 0xE0 <= marker <= 0xEF or marker == _COMMENT:  # noqa: PLR2004 - APP0 to APP15
            own.append(Segment(marker, data))
        else:
            tables.append(Span(start, file.tell()))


def _marker(file: BinaryIO) -> int:
    """Return the second byte of the marker that stands here."""
    if file.read(1) != b"\xff":
        raise ValueError("there is no marker where one must be")
    while (byte := file.read(1)) == b"\xff":
        pass
    if byte in {b"", b"\0"}:
        raise ValueError("there is no marker where one must be")
    return byte[0]


def _offered(meta: Metadata) -> Iterator[Segment]:
    if meta.exif:
        yield Segment(0xE1, exif.PREFIX + meta.exif)
    if meta.xmp:
        yield Segment(0xE1, _XMP + meta.xmp)
    yield from (Segment(marker, data) for marker, data in meta.segments)
    yield from (Segment(_COMMENT, comment) for comment in meta.comments)
    step = _MAX_BYTES - len(_PHOTOSHOP)
    for at in range(0, len(meta.photoshop), step):
        yield Segment(0xED, _PHOTOSHOP + meta.photoshop[at : at + step])
    step = _MAX_BYTES - len(_ICC) - 2
    count = -(-len(meta.icc) // step)
    if count <= 255:  # noqa: PLR2004 - it is counted in a byte
        for index in range(count):
            part = meta.icc[index * step : (index + 1) * step]
            yield Segment(0xE2, _ICC + bytes([index + 1, count]) + part)


def _merged(kind: str, own: list[Segment], offered: list[Segment], *, keep: bool) -> list[Segment]:
    """Return the segments of one kind that the file gets."""
    mine = [segment for segment in own if segment.kind == kind]
    theirs = [segment for segment in offered if segment.kind == kind]
    if kind in _SHOWN:
        return mine or (theirs if kind == "icc" else [])
    if not keep:
        return theirs
    if kind == "other":
        return theirs + [segment for segment in mine if segment not in theirs]
    return theirs or mine


def _with_density(segment: Segment, dpi: tuple[float, float] | None) -> Segment:
    """Return the JFIF segment with *dpi*; any other as it is.

    None is added where there is none: its presence changes what decoders take the colours for.
    """
    at = len(b"JFIF\0") + 2
    if dpi is None or not segment.data.startswith(b"JFIF\0") or len(segment.data) < at + 5:
        return segment
    across, down = (max(1, round(value)) for value in dpi)
    data = segment.data[:at] + struct.pack(">BHH", _INCH, across, down) + segment.data[at + 5 :]
    return Segment(segment.marker, data)
