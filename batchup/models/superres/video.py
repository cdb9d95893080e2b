"""Videos: what a network for them is told beside the network itself, and the model that this makes."""

from typing import Any, Literal

from pydantic import Field

from batchup.models.base import LocalModel
from batchup.models.local.lanczos_video import MODEL as LANCZOS
from batchup.models.local.lanczos_video import LanczosVideo
from batchup.models.superres.params import NetworkParams
from batchup.models.superres.picture import USUAL_SCALE
from batchup.source import Media, Size

_PIXEL_BYTES = 24
"""Of the network's own output: two frames of up to four channels of 16 bits, and one on its way to the encoder."""


class VideoParams(NetworkParams):
    """Which network, how it is run, and how its videos are written. Sound, subtitles and chapters are copied."""

    codec: Literal["auto", "h264", "hevc", "vp9", "av1", "prores"] = "auto"
    """`auto` is vp9 in WebM and h264 elsewhere; more than 8 bits a channel are av1 or hevc, transparency vp9 or prores."""
    quality: Literal["high", "medium", "low"] = "high"
    """`high` shows no loss, `low` is for sending; prores has one quality."""
    crf: int | None = Field(default=None, ge=0, le=63)
    """The encoder's own rate factor instead of `quality`: lower is better and larger."""
    drop_tracks: bool = False
    """Leave out sound and subtitles that the output's format cannot hold, instead of refusing the video."""

    @property
    def plain(self) -> LanczosVideo:
        """The same output by other means: its size and codec have the same rules."""
        return LanczosVideo(
            scale=self.scale or USUAL_SCALE,
            codec=self.codec,
            quality=self.quality,
            crf=self.crf,
            drop_tracks=self.drop_tracks,
        )


def model(params: type[VideoParams], *, work: str, summary: str) -> LocalModel:
    """Return the model that enlarges videos by the networks of *params*. See ``picture.model``."""
    name = f"local/{params.engine.name}"

    def refusal(params: VideoParams, media: Media) -> str | None:
        return f"it is an image; use {name}" if media.kind != "video" else LANCZOS.refuse(params.plain, media)

    def memory_bytes(params: VideoParams, media: Media) -> int:
        largest = max(params.scale or 1.0, USUAL_SCALE) ** 2 * media.size.pixels
        own = params.engine.memory_bytes(params)
        return own + LANCZOS.memory_bytes(params.plain, media) + int(_PIXEL_BYTES * largest)

    return LocalModel(
        name=f"{name}-video",
        kind="video",
        params=params,
        summary=summary,
        work=work,
        size_of=_size,
        ext_of=lambda params, media, ending: LANCZOS.ext(params.plain, media, ending),
        refusal=refusal,
        memory_bytes=memory_bytes,
        home=_home,
    )


def _size(params: VideoParams, media: Media) -> Size | None:
    return LANCZOS.size(params.plain, media) if params.scale is not None else None


def _home(params: Any) -> str:
    return str(params.home)
