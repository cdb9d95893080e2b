"""The video codecs that are written: which files and which pixels they hold, and what they need."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Quality = Literal["high", "medium", "low"]

MUXERS: Mapping[str, str] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".3gp": "3gp",
    ".3g2": "3g2",
    ".mkv": "matroska",
    ".webm": "webm",
}
"""Endings that are written, with the name of FFmpeg's muxer. Matroska is for whatever has no better place: it
holds nearly every kind of sound and subtitle, so no track is lost."""

_MP4_FAMILY = frozenset({".mp4", ".m4v", ".mov", ".3gp", ".3g2"})
_FORMATS = {"MP4": ".mp4", "M4V": ".m4v", "MOV": ".mov", "3GP": ".3gp", "3G2": ".3g2", "WEBM": ".webm"}
_LOOKAHEAD_PIXELS = 350_000_000


class Unencodable(ValueError):  # noqa: N818 - it is about the video, not about a fault of the program
    """No codec that may be used keeps what this video has. The text says what it has and what to do."""


class Pixels(NamedTuple):
    """What has to be kept of a pixel format, whatever its exact layout.

    Attributes:
        bits: Bits a channel.
        chroma: Resolution of the colours: 420, 422 or 444. RGB is 444, grey is 420.
        alpha: With transparency.
    """

    bits: int = 8
    chroma: int = 420
    alpha: bool = False

    @property
    def pix_fmt(self) -> str:
        """FFmpeg's name of the planar YUV format with these properties."""
        depth = "" if self.bits == 8 else f"{self.bits}le"  # noqa: PLR2004 - a byte
        return f"yuv{'a' if self.alpha else ''}{self.chroma}p{depth}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One codec, as the encoder in the PyAV wheel writes it.

    Attributes:
        name: As manifests write it.
        encoder: FFmpeg's name of the encoder.
        endings: Files that may hold it, with their dots.
        pixels: What it can keep.
        crf: Constant rate factor of each quality, lower is better; empty where there is none.
        options: Options of the encoder that do not depend on the video.
        own: Name of the option that takes the encoder's own parameters as ``a=1:b=2``.
        frame_bytes: Peak memory per pixel of 8 bits in 4:2:0, without what is looked ahead.
        ahead_bytes: The same for each frame that is looked ahead.
        deep: Times as much memory with more than 8 bits.
    """

    name: str
    encoder: str
    endings: frozenset[str]
    pixels: tuple[Pixels, ...]
    crf: Mapping[Quality, int]
    options: Mapping[str, str]
    own: str = ""
    frame_bytes: float
    ahead_bytes: float = 0
    deep: float = 1

    def keeping(self, wanted: Pixels) -> Pixels | None:
        """Return the smallest pixels that lose nothing of *wanted*, or None if this codec has none."""
        enough = [
            has
            for has in self.pixels
            if has.bits >= wanted.bits and has.chroma >= wanted.chroma and has.alpha == wanted.alpha
        ]
        return min(enough, default=None)


# frame_bytes, ahead_bytes and deep were measured with PyAV 18.1, eight threads, on 960x540 scaled by 2, 4 and 8, and give
# a tenth to a third more than the highest peaks. What each encoder takes is from `av.codec.Codec(name, "w").video_formats`; which files hold a codec
# from FFmpeg 8.1, libavformat/movenc.c and matroskaenc.c. VP9 is built for 8 bits only.
CODECS: Mapping[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec(
            name="h264",
            encoder="libx264",
            endings=_MP4_FAMILY | {".mkv"},
            pixels=tuple(Pixels(bits, chroma) for bits in (8, 10) for chroma in (420, 422, 444)),
            crf={"high": 17, "medium": 21, "low": 26},
            options={"preset": "medium"},
            own="x264-params",
            frame_bytes=90,
            ahead_bytes=3.8,
            deep=2,
        ),
        Codec(
            name="hevc",
            encoder="libx265",
            endings=frozenset({".mp4", ".m4v", ".mov", ".mkv"}),
            pixels=tuple(Pixels(bits, chroma) for bits in (8, 10, 12) for chroma in (420, 422, 444)),
            crf={"high": 18, "medium": 22, "low": 27},
            options={"preset": "fast"},
            own="x265-params",
            frame_bytes=180,
            ahead_bytes=5,
            deep=1.7,
        ),
        Codec(
            name="vp9",
            encoder="libvpx-vp9",
            endings=frozenset({".webm", ".mkv", ".mp4", ".m4v"}),
            pixels=(Pixels(), Pixels(chroma=422), Pixels(chroma=444), Pixels(alpha=True)),
            crf={"high": 22, "medium": 30, "low": 38},
            # b=0 makes crf the only goal; cpu-used 4 is three times as fast as 1 for a few percent of size.
            options={"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1", "g": "240"},
            frame_bytes=190,
        ),
        Codec(
            name="av1",
            encoder="libsvtav1",
            endings=frozenset({".webm", ".mkv", ".mp4", ".m4v"}),
            pixels=(Pixels(), Pixels(10)),
            crf={"high": 22, "medium": 30, "low": 40},
            options={"preset": "8"},
            own="svtav1-params",
            frame_bytes=600,
            deep=1.1,
        ),
        Codec(
            name="prores",
            encoder="prores_aw",
            endings=frozenset({".mov", ".mkv"}),
            pixels=(Pixels(10, 422), Pixels(10, 444), Pixels(10, 444, alpha=True)),
            crf={},
            options={},
            frame_bytes=100,
        ),
    )
}


def pixels_of(mode: str, bits: int) -> Pixels:
    """Return what has to be kept of FFmpeg's pixel format *mode* with *bits* a channel."""
    alpha = mode.startswith(("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya", "ayuv", "vuya"))
    if mode.startswith(("gray", "ya", "mono", "nv12", "nv21", "p01")) or "420" in mode or "410" in mode:
        chroma = 420
    elif (
        mode.startswith(("yuyv", "uyvy", "yvyu", "nv16", "nv20", "p21", "y21"))
        or "422" in mode
        or "411" in mode
    ):
        chroma = 422
    else:
        chroma = 444
    return Pixels(bits, chroma, alpha)


def encoding(codec: str, ending: str, wanted: Pixels) -> tuple[Codec, Pixels]:
    """Return the codec that is written, and its pixels.

    Args:
        codec: A name of :data:`CODECS`, or ``auto``: VP9 in WebM and H.264 elsewhere, unless the video has more
            than 8 bits a channel (AV1, HEVC) or transparency (VP9, ProRes).
        ending: Ending of the file that is written, with its dot.
        wanted: What has to be kept.

    Raises:
        Unencodable: There is none.
    """
    chosen = CODECS[_auto(ending, wanted) if codec == "auto" else codec]
    if ending not in chosen.endings:
        raise Unencodable(
            f"{ending} cannot hold {chosen.name}; it goes into {_listed(sorted(chosen.endings))}"
        )
    kept = chosen.keeping(wanted)
    if kept is None:
        has = f"{wanted.bits} bits a channel, colours in {wanted.chroma}"
        has += ", transparency" if wanted.alpha else ""
        able = [
            other.name for other in CODECS.values() if other.keeping(wanted) and other.name != chosen.name
        ]
        advice = f"; codec {_listed(able)} can" if able else ", nor can any other codec"
        raise Unencodable(f"the video has {has}; {chosen.name} cannot keep that{advice}")
    return chosen, kept


def _auto(ending: str, wanted: Pixels) -> str:
    plain = wanted.bits <= 8  # noqa: PLR2004 - a byte
    if ending == ".webm":
        return "vp9" if plain or wanted.alpha else "av1"
    if wanted.alpha and ending == ".mkv":
        return "vp9" if CODECS["vp9"].keeping(wanted) else "prores"
    if wanted.alpha and ending == ".mov":
        return "prores"
    # H.264 with 10 bits plays almost nowhere, HEVC with 10 bits almost everywhere.
    return "h264" if plain else "hevc"


def ending_for(codec: str, format_name: str, ending: str) -> str:
    """Return the ending of the file that is written, with its dot, in lower case.

    It is the input's own container where that can be written and holds the codec. Otherwise it is the nearest that
    holds the codec and every usual track: ``.mov`` and ``.mp4`` stand in for each other, ``.mkv`` for all else.

    Args:
        codec: A name of :data:`CODECS`, or ``auto``.
        format_name: The input's container in upper case, as in :attr:`batchup.source.Media.format`; empty if unknown.
        ending: The input's own ending with its dot, as written.
    """
    own = _own_ending(format_name, ending.lower())
    if codec == "auto" or own in CODECS[codec].endings:
        return own
    if own in _MP4_FAMILY:
        return ".mp4" if ".mp4" in CODECS[codec].endings else ".mov"
    return ".mkv"


def _own_ending(format_name: str, ending: str) -> str:
    if not format_name:
        return ending if ending in MUXERS else ".mp4"
    usual = _FORMATS.get(format_name, ".mkv")
    if usual in _MP4_FAMILY and ending in _MP4_FAMILY:
        return ending
    # Every WebM file is a Matroska file, but not the other way round.
    return ".mkv" if ending == ".mkv" else usual


def lookahead(size_pixels: int) -> int:
    """Return how many frames x264 and x265 look ahead: 40, fewer above 4K, where each takes 30 MB and more."""
    return max(10, min(40, _LOOKAHEAD_PIXELS // max(1, size_pixels)))


def options(codec: Codec, quality: Quality, crf: int | None, size_pixels: int) -> dict[str, str]:
    """Return the encoder's options for frames of *size_pixels*; *crf* takes the place of *quality*."""
    chosen = dict(codec.options)
    if codec.crf:
        chosen["crf"] = str(codec.crf[quality] if crf is None else crf)
    if codec.ahead_bytes:
        chosen[codec.own] = f"rc-lookahead={lookahead(size_pixels)}"
    return chosen


def memory_bytes(codec: Codec, kept: Pixels, size_pixels: int) -> int:
    """Return the estimated peak memory of encoding frames of *size_pixels*, in bytes."""
    deep = codec.deep if kept.bits > 8 else 1  # noqa: PLR2004 - a byte
    chroma = {420: 1.0, 422: 1.25, 444: 1.7}[kept.chroma] * (1.5 if kept.alpha else 1)
    ahead = codec.ahead_bytes * lookahead(size_pixels)
    return round((codec.frame_bytes + ahead) * deep * chroma * size_pixels)


def _listed(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
