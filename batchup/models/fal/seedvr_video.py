"""SeedVR2 for videos: steady from frame to frame, billed by the pixels of all of them.

Source: https://fal.ai/models/fal-ai/seedvr/upscale/video/api, read 2026-11-22.
"""

from typing import Literal

from pydantic import Field

from batchup.models import endings, refusals
from batchup.models.base import FalModel, Params
from batchup.models.billing import video_megapixels
from batchup.models.prices import price_of
from batchup.models.scaling import EVEN, by_factor, to_short_side
from batchup.source import Media, Size


class SeedvrVideo(Params):
    """What the endpoint takes, by its own names."""

    upscale_mode: Literal["factor", "target"] = "factor"
    """Whether `upscale_factor` or `target_resolution` says the size."""
    upscale_factor: float = Field(2, ge=1, le=10)
    """Factor for both sides, 1 to 10; with upscale_mode factor."""
    target_resolution: Literal["1080p", "720p", "1440p", "2160p"] = "1080p"
    """Length of the short side; with upscale_mode target."""
    noise_scale: float = Field(0.1, ge=0, le=1)
    """Noise that generation starts from, 0 to 1: more invents more."""
    output_format: Literal["X264 (.mp4)", "VP9 (.webm)", "PRORES4444 (.mov)", "GIF (.gif)"] = "X264 (.mp4)"
    """Codec and container that come out."""
    output_quality: Literal["high", "low", "medium", "maximum"] = "high"
    """Of the encoder: higher is larger."""
    output_write_mode: Literal["balanced", "fast", "small"] = "balanced"
    """Whether the encoder saves time or space."""
    seed: int | None = None
    """The same seed gives the same video; random by default."""


def size_of(params: SeedvrVideo, media: Media) -> Size:
    """Return the size that comes out."""
    if params.upscale_mode == "factor":
        return by_factor(media.size, params.upscale_factor, EVEN)
    return to_short_side(media.size, _target_px(params), EVEN)


def refusal(params: SeedvrVideo, media: Media) -> str | None:
    """Return why *media* cannot be taken, or None."""
    if unfit := refusals.no_video(media):
        return unfit
    return refusals.above_target(media, _target_px(params)) if params.upscale_mode == "target" else None


def _target_px(params: SeedvrVideo) -> int:
    return int(params.target_resolution.removesuffix("p"))


MODEL = FalModel(
    name="fal/seedvr-video",
    kind="video",
    params=SeedvrVideo,
    summary="SeedVR2 for videos: steady from frame to frame; cheap for short clips.",
    app="fal-ai/seedvr/upscale/video",
    input="video_url",
    output="video",
    size_of=size_of,
    ext_of=lambda params, _media, _ending: endings.of_video(params.output_format),
    refusal=refusal,
    price=price_of("fal/seedvr-video"),
    quantity=video_megapixels,
)
