"""The first bytes of a file, and the format that they announce."""

HEAD_BYTES = 512
"""How much of a file :func:`sniff` can use: two packets of an MPEG transport stream lie within."""

IMAGES = frozenset({"JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "HEIC", "JPEG2000"})
"""Formats of images that are read."""

VIDEOS = frozenset({"MP4", "MOV", "3GP", "MKV", "WEBM", "AVI", "MPEG", "TS", "FLV", "WMV", "OGV"})
"""Containers of videos that are read."""

_PREFIXES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
    (b"FLV\x01", "FLV"),
    (b"OggS", "OGV"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMV"),
    (b"\0\0\x01\xba", "MPEG"),
    (b"\0\0\x01\xb3", "MPEG"),
    (b"FUJIFILMCCD-RAW", "RAW"),
    (b"IIRO", "RAW"),
    (b"IIRS", "RAW"),
    (b"MMOR", "RAW"),
    (b"IIU\0", "RAW"),
    (b"FOVb", "RAW"),
    (b"II\x1a\0\0\0HEAPCCDR", "RAW"),
)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")
_OLD_QUICKTIME = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF = frozenset({b"avif", b"avis"})
_GENERIC = frozenset({b"mif1", b"msf1"})
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_TS_PACKET = 188
_M2TS_PACKET = 192
_TS_SYNC = 0x47


def sniff(head: bytes) -> str | None:
    """Return the format that the first bytes of a file announce, or None if that is no media.

    The names are those of :attr:`batchup.source.Media.format`, and ``RAW`` and ``JXL`` for media that cannot be read.
    A camera raw that is a TIFF by its magic is a ``TIFF`` here.

    Args:
        head: The first :data:`HEAD_BYTES` of the file, or all of a shorter one. 64 are enough for all but ``TS``.
    """
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    if head.startswith(_TIFF):
        return "TIFF"
    if head.startswith(b"RIFF"):
        return {b"WEBP": "WEBP", b"AVI ": "AVI"}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _brand(head)
    return _weak(head)


def _brand(head: bytes) -> str | None:
    """Return the format of an ISO base media file by the brands in its first box (ISO/IEC 14496-12, 4.3)."""
    major = head[8:12]
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {major, *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if major == b"crx ":
        return "RAW"
    if major in _AVIF or (major in _GENERIC and brands & _AVIF):
        return "AVIF"
    if major in _HEIC or major in _GENERIC:
        return "HEIC"
    if major == b"qt  ":
        return "MOV"
    return "3GP" if major[:3] in {b"3gp", b"3g2"} else "MP4"


def _weak(head: bytes) -> str | None:
    """Return the format of files that say so in few bits, or further in."""
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "WEBM" if b"webm" in head[:64] else "MKV"
    if head[4:8] in _OLD_QUICKTIME:
        return "MOV"
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0" and _header_size(head) in _BMP_HEADERS:
        return "BMP"
    if head.startswith(b"\xff\x0a"):
        return "JXL"
    if _repeats(head, 0, _TS_PACKET) or _repeats(head, 4, _M2TS_PACKET):
        return "TS"
    return None


def _header_size(head: bytes) -> int:
    return int.from_bytes(head[14:18], "little")


def _repeats(head: bytes, start: int, step: int) -> bool:
    """Return whether the sync byte of a transport stream stands where two or more packets begin."""
    places = range(start, len(head), step)
    return len(places) > 1 and all(head[at] == _TS_SYNC for at in places)
