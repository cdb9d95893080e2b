"""Colours of a video: the tags that say what its numbers mean, and how light its screen was."""

import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

_RGB, _BT709, _UNSPECIFIED, _BT601 = 0, 1, 2, 6
"""Values of AVColorSpace. Source: FFmpeg, libavutil/pixfmt.h (ITU-T H.273)."""

_HD_WIDTH, _SD_HEIGHT = 1280, 576


class Colours(NamedTuple):
    """What the output is tagged with, in FFmpeg's numbers.

    Attributes:
        matrix: How YUV becomes RGB.
        range: Whether the numbers use their whole range.
        transfer: The curve of brightness.
        primaries: The three primary colours.
        conversion: What the scaler is told.
    """

    matrix: int
    range: int
    transfer: int
    primaries: int
    conversion: Mapping[str, Any]

    @classmethod
    def of(cls, first: VideoFrame, size: tuple[int, int]) -> "Colours":
        """Return the colours of a video whose first frame is *first*, written in *size*.

        All tags stay as they are, with two exceptions. RGB is written as YUV of BT.709. And where the matrix is not
        told, players guess it by the size, so a video that leaves the size of BT.601 by being scaled is tagged with what it
        was. Source of the guess: mpv and libplacebo, pl_color_system_guess_ycbcr.
        """
        tags = first.color_trc, first.color_primaries
        if first.format.is_rgb:
            conversion = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
            return cls(_BT709, ColorRange.MPEG, *tags, conversion)
        matrix = first.colorspace
        if matrix == _UNSPECIFIED and not is_hd(first.width, first.height) and is_hd(*size):
            matrix = _BT601
        # 0 is none of swscale's names: the pixels are scaled as they are.
        as_is = {"src_colorspace": 0, "dst_colorspace": 0}
        return cls(matrix, first.color_range, *tags, as_is)

    def tag(self, context: Any) -> None:
        """Set the colours of an encoder."""
        context.colorspace, context.color_range = self.matrix, self.range
        context.color_trc, context.color_primaries = self.transfer, self.primaries


def is_hd(width: int, height: int) -> bool:
    """Tell whether players take a video of this size that names no matrix for one of BT.709."""
    return max(width, height) >= _HD_WIDTH or min(width, height) > _SD_HEIGHT


def hdr_options(first: VideoFrame, codec: str) -> list[str]:
    """Return the encoder's own parameters that keep the light levels of HDR10.

    Args:
        first: The input's first frame.
        codec: Name in :data:`batchup.models.codecs.CODECS`.

    Sources: the documentation of x265 (master-display, max-cll), x264 (mastering-display, cll) and SVT-AV1
    (mastering-display, content-light).
    """
    names = {
        "hevc": ("master-display", "max-cll"),
        "h264": ("mastering-display", "cll"),
        "av1": ("mastering-display", "content-light"),
    }.get(codec)
    if names is None:
        return []
    screen: Any = first.side_data.get("MASTERING_DISPLAY_METADATA")
    light: Any = first.side_data.get("CONTENT_LIGHT_LEVEL")
    options = []
    if screen is not None and (written := _screen(bytes(screen), codec)):
        options.append(f"{names[0]}={written}")
    if light is not None:
        options.append("{}={},{}".format(names[1], *struct.unpack_from("2I", bytes(light))))
    return options


def _screen(data: bytes, codec: str) -> str:
    """Write FFmpeg's AVMasteringDisplayMetadata (libavutil/mastering_display_metadata.h) as encoders take it."""
    numbers = struct.unpack_from("22i", data)
    if not (numbers[20] and numbers[21]):
        return ""
    values = [Fraction(numbers[i], numbers[i + 1] or 1) for i in range(0, 20, 2)]
    red, green, blue, white = (values[i : i + 2] for i in range(0, 8, 2))
    dark, bright = values[8:]
    if codec == "av1":
        places = ["({:.5f},{:.5f})".format(*map(float, place)) for place in (green, blue, red, white)]
        light = f"({float(bright):.4f},{float(dark):.4f})"
    else:
        places = [
            "({},{})".format(*(round(x * 50_000) for x in place)) for place in (green, blue, red, white)
        ]
        light = f"({round(bright * 10_000)},{round(dark * 10_000)})"
    return "G{}B{}R{}WP{}L{}".format(*places, light)
