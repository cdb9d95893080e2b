"""Videos: what a network for them is told beside the network itself, and the model that this makes."""

from typing import Literal

from pydantic import Field

from batchup.models.base import LocalModel
from batchup.models.local.lanczos_video import MODEL as LANCZOS
from batchup.models.local.lanczos_video import LanczosVideo
from batchup.models.superres.beside import USUAL_SCALE, beside
from batchup.models.superres.params import NetworkParams
from batchup.source import Media

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

    def refusal(params: VideoParams, media: Media) -> str | None:
        if media.kind != "video":
            return f"it is an image; use local/{params.engine.name}"
        return LANCZOS.refuse(params.plain, media)

    return beside(LANCZOS, params, refusal=refusal, pixel_bytes=_PIXEL_BYTES, work=work, summary=summary)
