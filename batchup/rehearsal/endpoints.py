"""Endpoints: the eight upscalers as the platform runs them, and a user's own.

Written from the platform's pages, not from :mod:`batchup.models`: this is the other side, and the two check each other.
Source: https://fal.ai/models, the API pages of the eight, read 2026-11.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor, inf
from typing import Any, Literal

import msgspec

from batchup.rehearsal import prices
from batchup.rehearsal.prices import Price
from batchup.rehearsal.rules import Choice, Flag, Number, Rule
from batchup.source import Kind, Size

Resize = Callable[[Mapping[str, Any], Size], Size]

SHORT_SIDES = {"720p": 720, "1080p": 1080, "1440p": 1440, "2160p": 2160, "2k": 1440, "4k": 2160}
"""What a target resolution makes of the short side, in pixels."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint.

    Attributes:
        id: As requests name it.
        kind: What it takes and gives.
        input: The parameter that holds the input's address.
        output: Where the answer holds the output's address, such as ``images.0.url``.
        resize: What size comes out; of a video it is made even.
        price: What it bills.
        rules: Its other parameters.
        closed: Whether other parameters than those are refused.
        format: What comes out where the body does not name an ``output_format``.
        max_side_px: Inputs whose output were longer are refused; 0 is no limit.
        extra: What else the answer holds.
    """

    id: str
    kind: Kind
    input: str
    output: str
    resize: Resize
    price: Price
    rules: Mapping[str, Rule] = field(default_factory=dict)
    closed: bool = True
    format: str = "png"
    max_side_px: int = 0
    extra: tuple[Literal["seed", "duration", "timings"], ...] = ()

    @property
    def app(self) -> str:
        """Owner and app, without the path: all that status, result and cancel use."""
        return "/".join(self.id.split("/")[:2])

    def size(self, params: Mapping[str, Any], source: Size) -> Size:
        """Return the size that comes out."""
        size = self.resize(params, source)
        if self.kind == "image":
            return size
        # Colours of half resolution need even sides.
        return Size(size.width + size.width % 2, size.height + size.height % 2)


def scaled(size: Size, factor: Fraction) -> Size:
    """Return *size* times *factor*, to the nearest pixel."""
    half = Fraction(1, 2)
    return Size(max(1, floor(size.width * factor + half)), max(1, floor(size.height * factor + half)))


def _by(name: str) -> Resize:
    return lambda params, size: scaled(size, Fraction(str(params[name])))


def _to(name: str) -> Resize:
    return lambda params, size: scaled(size, Fraction(SHORT_SIDES[params[name]], min(size)))


def _seedvr(params: Mapping[str, Any], size: Size) -> Size:
    by = _to("target_resolution") if params["upscale_mode"] == "target" else _by("upscale_factor")
    return by(params, size)


_SEED = Number(-inf, inf, whole=True)
_SEEDVR: Mapping[str, Rule] = {
    "upscale_mode": Choice(("factor", "target"), "factor"),
    "upscale_factor": Number(1, 10, 2),
    "target_resolution": Choice(("720p", "1080p", "1440p", "2160p"), "1080p"),
    "noise_scale": Number(0, 1, 0.1),
    "seed": _SEED,
}
_TOPAZ_MODELS = (
    *("Standard V2", "Low Resolution V2", "CGI", "High Fidelity V2", "Text Refine", "Recovery", "Redefine"),
    *("Recovery V2", "Standard MAX", "Wonder", "Wonder 3"),
)
_TOPAZ_VIDEO_MODELS = (
    *(
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
    ),
)
_ESRGAN_MODELS = (
    *("RealESRGAN_x4plus", "RealESRGAN_x2plus", "RealESRGAN_x4plus_anime_6B", "RealESRGAN_x4_v3"),
    *("RealESRGAN_x4_wdn_v3", "RealESRGAN_x4_anime_v3"),
)
_PART = Number(0, 1)


def _crystal(owner: str) -> Endpoint:
    return Endpoint(
        f"{owner}/crystal-upscaler",
        "image",
        "image_url",
        "images.0.url",
        _by("scale_factor"),
        prices.per_megapixel("0.016"),
        {
            "scale_factor": Number(1, 200, 2),
            "creativity": Number(0, 10),
            "output_format": Choice(("jpg", "png"), "jpg"),
        },
    )


_EIGHT = (
    Endpoint(
        "fal-ai/aura-sr",
        "image",
        "image_url",
        "image.url",
        _by("upscaling_factor"),
        prices.per_compute_second("0"),
        {
            "upscaling_factor": Choice((4,), 4),
            "overlapping_tiles": Flag(False),
            "checkpoint": Choice(("v1", "v2"), "v1"),
        },
        extra=("timings",),
    ),
    Endpoint(
        "fal-ai/seedvr/upscale/image",
        "image",
        "image_url",
        "image.url",
        _seedvr,
        prices.per_megapixel("0.001"),
        {**_SEEDVR, "output_format": Choice(("jpg", "png", "webp"), "jpg")},
        max_side_px=10_000,
        extra=("seed",),
    ),
    Endpoint(
        "fal-ai/esrgan",
        "image",
        "image_url",
        "image.url",
        _by("scale"),
        prices.per_compute_second("0.000575"),
        {
            "scale": Number(1, 8, 2),
            "model": Choice(_ESRGAN_MODELS, "RealESRGAN_x4plus"),
            "face": Flag(False),
            "tile": Number(0, inf, 0, whole=True),
            "output_format": Choice(("png", "jpeg"), "png"),
        },
    ),
    Endpoint(
        "fal-ai/topaz/upscale/image",
        "image",
        "image_url",
        "image.url",
        _by("upscale_factor"),
        prices.TOPAZ_IMAGE,
        {
            "model": Choice(_TOPAZ_MODELS, "Standard V2"),
            "upscale_factor": Number(1, 4, 2),
            "subject_detection": Choice(("All", "Foreground", "Background"), "All"),
            "face_enhancement": Flag(True),
            "face_enhancement_strength": Number(0, 1, 0.8),
            "face_enhancement_creativity": Number(0, 1, 0),
            "output_format": Choice(("jpeg", "png"), "jpeg"),
        },
    ),
    _crystal("fal-ai"),
    _crystal("clarityai"),
    Endpoint(
        "fal-ai/seedvr/upscale/video",
        "video",
        "video_url",
        "video.url",
        _seedvr,
        prices.per_megapixel("0.001"),
        {
            **_SEEDVR,
            "output_format": Choice(
                ("X264 (.mp4)", "VP9 (.webm)", "PRORES4444 (.mov)", "GIF (.gif)"), "X264 (.mp4)"
            ),
            "output_quality": Choice(("low", "medium", "high", "maximum"), "high"),
            "output_write_mode": Choice(("fast", "balanced", "small"), "balanced"),
        },
        extra=("seed",),
    ),
    Endpoint(
        "fal-ai/bytedance-upscaler/upscale/video",
        "video",
        "video_url",
        "video.url",
        _to("target_resolution"),
        prices.BYTEDANCE,
        {
            "target_resolution": Choice(("1080p", "2k", "4k"), "1080p"),
            "target_fps": Choice(("30fps", "60fps"), "30fps"),
            "enhancement_tier": Choice(("fast", "standard", "pro"), "standard"),
        },
        extra=("duration",),
    ),
    Endpoint(
        "fal-ai/topaz/upscale/video",
        "video",
        "video_url",
        "video.url",
        _by("upscale_factor"),
        prices.TOPAZ_VIDEO,
        {
            "upscale_factor": Number(1, 4, 2),
            "face_enhancement": Flag(True),
            "face_enhancement_strength": Number(0, 1, 0.8),
            "model": Choice(_TOPAZ_VIDEO_MODELS),
            "target_fps": Number(16, 60, whole=True),
            "H264_output": Flag(),
            **dict.fromkeys(("compression", "noise", "halo", "recover_detail"), _PART),
            "grain": Number(0, 0.1),
        },
    ),
)
EIGHT: Mapping[str, Endpoint] = {endpoint.id: endpoint for endpoint in _EIGHT}
"""Endpoint -> its description. Nine: one of the eight is published under two owners."""

_UNITS = {"MP": prices.per_megapixel, "s": prices.per_second, "output": prices.per_output}


class Custom(msgspec.Struct, frozen=True):
    """A user's own endpoint, which takes whatever it is sent.

    Attributes:
        id: As requests name it.
        kind: What it takes and gives.
        input: The parameter that holds the input's address.
        output: Where the answer holds the output's address, such as ``image.url``.
        factor: The number by which it scales, or the parameter that holds it.
        unit_usd: Price of one unit in USD.
        unit: ``MP`` of output, ``s`` (of a video's output, of the work on an image), or each ``output``.
    """

    id: str
    kind: Kind = "image"
    input: str = "image_url"
    output: str = "image.url"
    factor: str | float = 2
    unit_usd: str = "0"
    unit: Literal["MP", "s", "output"] = "output"

    def endpoint(self) -> Endpoint:
        """Return it as the others are described."""
        by_time = self.kind == "image" and self.unit == "s"
        price = (prices.per_compute_second if by_time else _UNITS[self.unit])(self.unit_usd)
        return Endpoint(self.id, self.kind, self.input, self.output, self._resize, price, closed=False)

    def _resize(self, params: Mapping[str, Any], size: Size) -> Size:
        factor = params.get(self.factor, 2) if isinstance(self.factor, str) else self.factor
        return scaled(size, Fraction(str(factor)))
