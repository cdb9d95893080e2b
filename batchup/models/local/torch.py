"""torch on this machine: networks of the user's own as ``.pth`` and ``.safetensors``, by spandrel.

Source: https://github.com/chaiNNer-org/spandrel, read 2026-11.
"""

from typing import ClassVar

from pydantic import Field

from batchup.models.superres import picture, torch
from batchup.models.superres.params import Engine


class TorchParams(picture.PictureParams):
    """A network of torch, and the format that comes out."""

    engine: ClassVar[Engine] = torch.ENGINE

    weights: str = Field("RealESRGAN_x4plus", min_length=1)
    """The network: its name in the folder of networks, or a path to its file, relative to the manifest."""


MODEL = picture.model(
    TorchParams,
    work="batchup.providers.local.superres.torch:upscale",
    summary="Your own .pth/.safetensors networks on this machine: CUDA in half precision, or processor.",
)
