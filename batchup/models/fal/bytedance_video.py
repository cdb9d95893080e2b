"""Bytedance's video upscaler: to 1080p, 2K or 4K, billed by the second.

Source: https://fal.ai/models/fal-ai/bytedance-upscaler/upscale/video/api, read 2026-11-22.
"""

from decimal import Decimal
from typing import Literal

from batchup.models import endings, refusals
from batchup.models.base import FalModel, Params
from batchup.models.billing import duration_s
from batchup.models.prices import UnitPrice, price_of
from batchup.models.scaling import EVEN, to_short_side
from batchup.source import Media, Size

TARGETS_PX = {"1080p": 1080, "2k": 1440, "4k": 2160}
"""Short sides."""


class BytedanceVideo(Params):
    """What the endpoint takes, by its own names; what is left out is the endpoint's choice."""

    target_resolution: Literal["1080p", "2k", "4k"] | None = None
    """Length of the short side: 1080, 1440 or 2160 pixels; the endpoint's own 1080p by default."""
    target_fps: Literal["30fps", "60fps"] | None = None
    """Frames a second that come out; the endpoint's own 30fps by default. 60fps cost twice as much."""
    enhancement_tier: Literal["standard", "fast", "pro"] | None = None
    """How much work is done; the endpoint's own standard by default. pro costs ten times as much."""


def size_of(params: BytedanceVideo, media: Media) -> Size:
    """Return the size that comes out."""
    return to_short_side(media.size, _target_px(params), EVEN)


def refusal(params: BytedanceVideo, media: Media) -> str | None:
    """Return why *media* cannot be taken, or None."""
    return refusals.no_video(media) or refusals.above_target(media, _target_px(params))


def seconds(
    price: UnitPrice, params: BytedanceVideo, media: Media | None, _size: Size | None
) -> Decimal | None:
    """Seconds of video, as many times as the choices make each of them dearer."""
    units = duration_s(media)
    if units is None:
        return None
    for choice in (params.target_resolution, params.target_fps, params.enhancement_tier):
        units *= price.times.get(choice or "", 1)
    return units


def _target_px(params: BytedanceVideo) -> int:
    return TARGETS_PX[params.target_resolution or "1080p"]


MODEL = FalModel(
    name="fal/bytedance-video",
    kind="video",
    params=BytedanceVideo,
    summary="Bytedance's upscaler: to 1080p, 2K or 4K, at 30 or 60 frames a second.",
    app="fal-ai/bytedance-upscaler/upscale/video",
    input="video_url",
    output="video",
    size_of=size_of,
    ext_of=lambda _params, _media, _ending: endings.MP4,
    refusal=refusal,
    price=price_of("fal/bytedance-video"),
    quantity=seconds,
)
