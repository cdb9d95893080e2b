"""The headers of JPEG, PNG, GIF and WebP: what most inputs are, and where Pillow would decode, allocate or warn.

Sources: ITU T.81 annex B; PNG, third edition; GIF89a; RFC 9649 (WebP).
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from io import SEEK_CUR
from typing import BinaryIO

from batchup.media import tiff
from batchup.source import Media

_SIDEWAYS = frozenset({5, 6, 7, 8})

_PNG_MODES = {
    **{(depth, 3): "P" for depth in (1, 2, 4, 8)},
    (1, 0): "1",
    (2, 0): "L",
    (4, 0): "L",
    (8, 0): "L",
    (16, 0): "I;16",
    (8, 2): "RGB",
    (16, 2): "RGB",
    (8, 4): "LA",
    (16, 4): "RGBA",  # Pillow's own mapping
    (8, 6): "RGBA",
    (16, 6): "RGBA",
}
_PALETTE = 3
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN = 0xDA
_EXIF = 0xE1
_MAX_GARBAGE = 65_536
_CRC_BYTES = 1 << 20
_MAX_EXIF = 1 << 20


class BadHeader(ValueError):  # noqa: N818 - it never leaves this package
    """A header is cut, or says what cannot be."""


def turned(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Return the size that a viewer shows."""
    return (height, width) if orientation in _SIDEWAYS else (width, height)


def png(file: BinaryIO) -> Media:
    """Read a PNG up to its pixels; an animated one to its end, for its timing.

    An orientation that stands behind the pixels is not seen, as in most viewers.
    """
    start = _take(file, 33)
    width, height, depth, color = struct.unpack_from(">IIBB", start, 16)
    mode = _PNG_MODES.get((depth, color))
    if start[8:16] != b"\0\0\0\rIHDR" or zlib.crc32(start[12:29]) != int.from_bytes(start[29:], "big"):
        raise BadHeader("its first chunk is no IHDR, or is damaged")
    if mode is None:
        raise BadHeader(f"{depth} bits of colour type {color} do not exist")
    frames, seconds, orientation = 1, 0.0, 1
    while (chunk := file.read(8)) and len(chunk) == 8:  # noqa: PLR2004 - length and kind
        length, kind = struct.unpack(">I4s", chunk)
        if kind == b"acTL":
            frames = max(1, int.from_bytes(_take(file, length + 4)[:4], "big"))
        elif kind == b"fcTL":
            seconds += _delay_s(_take(file, length + 4))
        elif kind == b"eXIf" and length <= _MAX_EXIF:
            orientation = tiff.orientation(_take(file, length + 4))
        elif kind == b"IEND" or (kind == b"IDAT" and frames == 1):
            break
        else:
            file.seek(length + 4, SEEK_CUR)
    width, height = turned(width, height, orientation)
    bits = 8 if color == _PALETTE else depth
    return Media("image", "PNG", width, height, frames, round(seconds, 3), mode, bits, orientation)


def png_is_sound(file: BinaryIO) -> bool:
    """Return whether the pixels of a PNG have their checksums, which no decoder looks at; a cut one has.

    Source: PNG specification, section 5.3: a CRC-32 over each chunk's type and data.
    """
    file.seek(8)
    while len(chunk := file.read(8)) == 8:  # noqa: PLR2004 - length and kind
        length, kind = struct.unpack(">I4s", chunk)
        if (
            kind == b"IEND"
        ):  # what programs leave behind it, as of a picture that was larger before, is no picture
            return True
        if kind not in {b"IDAT", b"fdAT"}:
            file.seek(length + 4, SEEK_CUR)
            continue
        crc = zlib.crc32(kind)
        while length and (data := file.read(min(length, _CRC_BYTES))):
            crc, length = zlib.crc32(data, crc), length - len(data)
        if len(told := file.read(4)) == 4 and int.from_bytes(told, "big") != crc:  # noqa: PLR2004 - bytes of a CRC
            return False
    return True


def _delay_s(control: bytes) -> float:
    """Return how long an APNG frame is shown; a denominator of 0 means hundredths."""
    numerator, denominator = struct.unpack_from(">HH", control, 20)
    return float(numerator / (denominator or 100))


def jpeg(file: BinaryIO) -> Media:
    """Read a JPEG up to its frame header."""
    file.seek(2)
    orientation = 0
    while (marker := _marker(file)) not in _FRAMES:
        if marker == _SCAN:
            raise BadHeader("the picture begins before its size is told")
        if marker in _ALONE:
            continue
        length = int.from_bytes(_take(file, 2), "big") - 2
        if length < 0:
            raise BadHeader(f"a segment is {length} bytes long")
        if marker == _EXIF and not orientation:
            segment = _take(file, length)
            if segment.startswith(b"Exif\0"):
                orientation = tiff.orientation(segment)
        else:
            file.seek(length, SEEK_CUR)
    bits, height, width, components = struct.unpack(">2xBHHB", _take(file, 8))
    mode = _JPEG_MODES.get(components)
    if mode is None:
        raise BadHeader(f"{components} colour components")
    orientation = orientation or 1
    width, height = turned(width, height, orientation)
    return Media("image", "JPEG", width, height, mode=mode, bits=bits, orientation=orientation)


def _marker(file: BinaryIO) -> int:
    """Return the next marker's second byte. Stray bytes before it are passed over, as decoders do."""
    for _ in range(_MAX_GARBAGE):
        if _take(file, 1) == b"\xff":
            byte = b"\xff"
            while byte == b"\xff":
                byte = _take(file, 1)
            if byte != b"\0":
                return byte[0]
    raise BadHeader("no marker where one must be")


def gif(file: BinaryIO) -> Media:
    """Read a GIF's screen and walk its blocks to its end, counting frames and time."""
    width, height, flags = struct.unpack("<6xHHB2x", _take(file, 13))
    _skip_table(file, flags)
    frames, hundredths, _ = _walk_gif(file)
    seconds = hundredths / 100 if frames > 1 else 0.0
    return Media("image", "GIF", width, height, max(1, frames), seconds, "P")


def gif_ends(file: BinaryIO) -> bool:
    """Return whether the blocks of a GIF lead to its trailer, rather than past the end of the file."""
    _skip_table(file, _take(file, 13)[10])
    return _walk_gif(file)[2]


def _walk_gif(file: BinaryIO) -> tuple[int, int, bool]:
    """Return the frames from here on, how long they are shown in 1/100 s, and whether the trailer was met."""
    frames, hundredths = 0, 0
    while block := file.read(1):
        if block == b"!":
            if file.read(1) == b"\xf9":
                hundredths += int.from_bytes(file.read(6)[2:4], "little")
                file.seek(-1, SEEK_CUR)
            _skip_blocks(file)
        elif block == b",":
            frames += 1
            descriptor = file.read(9)
            _skip_table(file, descriptor[8] if len(descriptor) == 9 else 0)  # noqa: PLR2004 - its length
            file.seek(1, SEEK_CUR)
            _skip_blocks(file)
        else:
            return frames, hundredths, block == b";"
    return frames, hundredths, False


def _skip_table(file: BinaryIO, flags: int) -> None:
    """Pass over a GIF's colour table, if *flags* announce one."""
    if flags & 0x80:
        file.seek(3 << ((flags & 0x07) + 1), SEEK_CUR)


def _skip_blocks(file: BinaryIO) -> None:
    """Pass over a GIF's data blocks to the empty one that ends them."""
    while (size := file.read(1)) and size != b"\0":
        file.seek(size[0], SEEK_CUR)


def webp(file: BinaryIO) -> Media:
    """Read a WebP's first chunk; an animated one to its end; one with EXIF to there."""
    start = _take(file, 30)
    kind, body = start[12:16], start[20:30]
    if kind == b"VP8 ":
        if body[3:6] != b"\x9d\x01\x2a":
            raise BadHeader("its picture has no start code")
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", body, 6))
        return Media("image", "WEBP", width, height, mode="RGB")
    if kind == b"VP8L":
        packed = int.from_bytes(body[1:5], "little")
        width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        return Media("image", "WEBP", width, height, mode="RGBA" if packed >> 28 & 1 else "RGB")
    if kind != b"VP8X":
        raise BadHeader(f"its first chunk is {kind!r}")
    return _extended_webp(file, body)


def _extended_webp(file: BinaryIO, body: bytes) -> Media:
    flags = body[0]
    width, height = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    frames, milliseconds, orientation = 0, 0, 1
    if flags & 0b1010:  # animation, EXIF
        while len(chunk := file.read(8)) == 8:  # noqa: PLR2004 - kind and length
            kind, length = struct.unpack("<4sI", chunk)
            after = length + length % 2
            if kind == b"ANMF":
                frames += 1
                milliseconds += int.from_bytes(_take(file, 16)[12:15], "little")
                after -= 16
            elif kind == b"EXIF" and length <= _MAX_EXIF:
                orientation = tiff.orientation(_take(file, length))
                break
            file.seek(after, SEEK_CUR)
    width, height = turned(width, height, orientation)
    mode = "RGBA" if flags & 0b10000 else "RGB"
    seconds = milliseconds / 1000 if frames > 1 else 0.0
    return Media("image", "WEBP", width, height, max(1, frames), seconds, mode, 8, orientation)


def _take(file: BinaryIO, count: int) -> bytes:
    """Return exactly *count* bytes."""
    data = file.read(count)
    if len(data) < count:
        raise BadHeader("it ends within its header")
    return data


READERS: Mapping[str, Callable[[BinaryIO], Media]] = {"JPEG": jpeg, "PNG": png, "GIF": gif, "WEBP": webp}
"""Format -> what reads its header from the start of a file."""
