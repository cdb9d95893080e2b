"""Topaz for videos: old and poor footage, with models against noise and compression.

Source: https://fal.ai/models/fal-ai/topaz/upscale/video/api, read 2026-11-22. It says "Price doubles for 60fps output".
"""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from batchup.models import endings, refusals
from batchup.models.base import FalModel, Params
from batchup.models.billing import duration_s
from batchup.models.prices import UnitPrice, price_of
from batchup.models.scaling import EVEN, by_factor
from batchup.source import Media, Size

_PLAIN_FPS = 31
"""Frames a second at the plain price: 30, and what a rounded duration makes of them."""


class TopazVideo(Params):
    """What the endpoint takes, by its own names; what has no default is the endpoint's choice."""

    upscale_factor: float = Field(2, ge=1, le=4)
    """Factor for both sides, 1 to 4."""
    face_enhancement: bool = True
    """Whether faces are restored on top."""
    face_enhancement_strength: float = Field(0.8, ge=0, le=1)
    """How sharp faces become against the rest, 0 to 1."""
    model: (
        Literal[
            "Proteus",
            "Artemis HQ",
            "Artemis MQ",
            "Artemis LQ",
            "Nyx",
            "Nyx Fast",
            "Nyx XL",
            "Nyx HF",
            "Gaia HQ",
            "Gaia CG",
        ]
        | None
    ) = None
    """Proteus for most, Artemis to denoise and sharpen, Nyx against noise, Gaia for animation."""
    target_fps: int | None = Field(None, ge=16, le=60)
    """Frames a second that come out, 16 to 60; by default the video's own. 60 cost twice as much."""
    compression: float | None = Field(None, ge=0, le=1)
    """Removes traces of compression, 0 to 1."""
    noise: float | None = Field(None, ge=0, le=1)
    """Removes noise, 0 to 1."""
    halo: float | None = Field(None, ge=0, le=1)
    """Removes halos, 0 to 1."""
    grain: float | None = Field(None, ge=0, le=0.1)
    """Adds film grain, 0 to 0.1."""
    recover_detail: float | None = Field(None, ge=0, le=1)
    """How much of the original detail is kept, 0 to 1."""
    H264_output: bool | None = None
    """H.264 for old players; the endpoint's own is H.265."""


def size_of(params: TopazVideo, media: Media) -> Size:
    """Return the size that comes out."""
    return by_factor(media.size, params.upscale_factor, EVEN)


def refusal(_params: TopazVideo, media: Media) -> str | None:
    """Return why *media* cannot be taken, or None."""
    return refusals.no_video(media)


def seconds(price: UnitPrice, params: TopazVideo, media: Media | None, size: Size | None) -> Decimal | None:
    """Seconds of video, by the steps of the output's height, and more for more frames a second."""
    duration = duration_s(media)
    if media is None or duration is None or size is None:
        return None
    units = price.step(Decimal(size.height)) * duration
    fps = params.target_fps or media.frames / duration
    if fps < _PLAIN_FPS:
        return units
    # Nothing is published for what lies in between: the dearer one.
    return units * price.times["60fps"]


MODEL = FalModel(
    name="fal/topaz-video",
    kind="video",
    params=TopazVideo,
    summary="Topaz for videos: for old and poor footage; restores faces.",
    app="fal-ai/topaz/upscale/video",
    input="video_url",
    output="video",
    size_of=size_of,
    ext_of=lambda _params, _media, _ending: endings.MP4,
    refusal=refusal,
    price=price_of("fal/topaz-video"),
    quantity=seconds,
)
