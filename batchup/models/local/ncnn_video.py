"""ncnn for videos on this machine: every frame by a network of the user's own."""

from typing import ClassVar

from batchup.models.superres import ncnn, video
from batchup.models.superres.params import Engine


class NcnnVideoParams(video.VideoParams):
    """A network of ncnn, and how the video is written."""

    engine: ClassVar[Engine] = ncnn.ENGINE


MODEL = video.model(
    NcnnVideoParams,
    work="batchup.providers.local.superres.ncnn:upscale_video",
    summary="As local/ncnn, frame by frame; keeps sound, subtitles, timing, rotation and colours.",
)
