"""ncnn on this machine: networks of the user's own, as Upscayl and realesrgan-ncnn-vulkan keep them.

Source: https://github.com/xinntao/Real-ESRGAN-ncnn-vulkan, read 2026-11.
"""

from typing import ClassVar

from batchup.models.superres import ncnn, picture
from batchup.models.superres.params import Engine


class NcnnParams(picture.PictureParams):
    """A network of ncnn, and the format that comes out."""

    engine: ClassVar[Engine] = ncnn.ENGINE


MODEL = picture.model(
    NcnnParams,
    work="batchup.providers.local.superres.ncnn:upscale",
    summary="Your own .param/.bin networks (Upscayl's, Real-ESRGAN's) on this machine: Vulkan GPU, or processor.",
)
