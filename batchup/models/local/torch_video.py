"""torch for videos on this machine: every frame by a network of the user's own."""

from typing import ClassVar

from pydantic import Field

from batchup.models.superres import torch, video
from batchup.models.superres.params import Engine


class TorchVideoParams(video.VideoParams):
    """A network of torch, and how the video is written."""

    engine: ClassVar[Engine] = torch.ENGINE

    weights: str = Field("RealESRGAN_x4plus", min_length=1)
    """The network: its name in the folder of networks, or a path to its file, relative to the manifest."""


MODEL = video.model(
    TorchVideoParams,
    work="batchup.providers.local.superres.torch:upscale_video",
    summary="As local/torch, frame by frame; keeps sound, subtitles, timing, rotation and colours.",
)
