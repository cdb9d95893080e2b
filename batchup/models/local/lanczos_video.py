"""Lanczos for videos: sharp and faithful, invents nothing, on this machine."""

from fractions import Fraction
from math import floor
from typing import Any, Literal

from pydantic import Field, model_validator

from batchup.models import codecs
from batchup.models.base import LocalModel, Params
from batchup.source import Media, Size

MAX_SIDE_PX = 16_384
"""What x264, libvpx and SVT-AV1 take at most."""

_BASE_BYTES = 150_000_000
_DECODER_BYTES_PER_PIXEL = 60
"""Reference frames of the decoder: 16 of H.264, and some that are on their way."""


class LanczosVideo(Params):
    """How a video is scaled and written. Sound, subtitles and chapters are copied as they are."""

    scale: float | None = Field(default=2, ge=1, le=16)
    """Factor for both sides, 1 to 16. Not together with `height`."""
    height: int | None = Field(default=None, ge=2, le=MAX_SIDE_PX)
    """Height in pixels of what comes out, the right way up and rounded to an even number; in place of `scale`."""
    codec: Literal["auto", "h264", "hevc", "vp9", "av1", "prores"] = "auto"
    """`auto` is vp9 in WebM and h264 elsewhere; more than 8 bits a channel are av1 or hevc, transparency vp9 or prores."""
    quality: Literal["high", "medium", "low"] = "high"
    """`high` shows no loss, `low` is for sending; prores has one quality."""
    crf: int | None = Field(default=None, ge=0, le=63)
    """The encoder's own rate factor instead of `quality`: lower is better and larger."""
    drop_tracks: bool = False
    """Leave out sound and subtitles that the output's format cannot hold, instead of refusing the video."""

    @model_validator(mode="before")
    @classmethod
    def _one_way_to_say_the_size(cls, data: Any) -> Any:
        """A height takes the place of the default factor; two ways to say the size are a fault."""
        if not isinstance(data, dict):
            return data
        if data.get("height") is None:
            if "scale" in data and data["scale"] is None:
                raise ValueError("scale is empty and there is no height; set one of them")
            return data
        if data.get("scale") is not None:
            raise ValueError("scale and height exclude each other; leave one out")
        return {**data, "scale": None}


def size_of(params: LanczosVideo, media: Media) -> Size | None:
    """Return the upright size that comes out, in even numbers, as colours of half resolution need."""
    if not (media.width and media.height):
        return None
    # The number that a person wrote: 1.1 is eleven tenths.
    factor = Fraction(repr(params.scale)) if params.height is None else Fraction(params.height, media.height)
    return Size(_even(media.width * factor), _even(media.height * factor))


def ext_of(params: LanczosVideo, media: Media | None, ending: str) -> str:
    """Return the ending of what comes out: the input's own where it can be written, ``.mkv`` or ``.mp4`` if not."""
    return codecs.ending_for(params.codec, media.format if media else "", ending)


def refusal(params: LanczosVideo, media: Media) -> str | None:
    """Return why *media* cannot be taken, or None."""
    if media.kind != "video":
        return "it is an image; use local/lanczos"
    size = size_of(params, media)
    if size is None:
        return "its size is unknown"
    if params.height is not None and media.height > params.height:
        return (
            f"it is already larger than the target: {media.height} pixels high, height {params.height} wanted"
        )
    if max(size) > MAX_SIDE_PX:
        return f"it would be {size.width}x{size.height}; a video has at most {MAX_SIDE_PX} pixels a side"
    try:
        _encoding(params, media)
    except codecs.Unencodable as error:
        return str(error)
    return None


def memory_bytes(params: LanczosVideo, media: Media) -> int:
    """Return the estimated peak memory in bytes: the decoder's frames, and the encoder's at the new size."""
    size = size_of(params, media) or Size(0, 0)
    try:
        codec, kept = _encoding(params, media)
    except codecs.Unencodable:
        return _BASE_BYTES
    wide = 2 if media.bits > 8 else 1  # noqa: PLR2004 - a byte
    decoder = media.size.pixels * _DECODER_BYTES_PER_PIXEL * wide
    return _BASE_BYTES + decoder + codecs.memory_bytes(codec, kept, size.pixels)


def _encoding(params: LanczosVideo, media: Media) -> tuple[codecs.Codec, codecs.Pixels]:
    ending = ext_of(params, media, "")
    return codecs.encoding(params.codec, ending, codecs.pixels_of(media.mode or "yuv420p", media.bits))


def _even(length: Fraction) -> int:
    """Return the nearest even number, the larger one of two: what is not scaled never shrinks."""
    return max(2, 2 * floor(length / 2 + Fraction(1, 2)))


MODEL = LocalModel(
    name="local/lanczos-video",
    kind="video",
    params=LanczosVideo,
    summary="Scales videos with a Lanczos filter; keeps sound, subtitles, timing, rotation and colours.",
    work="batchup.providers.local.video:upscale",
    size_of=size_of,
    ext_of=ext_of,
    refusal=refusal,
    memory_bytes=memory_bytes,
)
