"""Networks by torch, on a GPU or on the processor: the work of ``local/torch`` and ``local/torch-video``."""

from typing import Any

import numpy as np
import torch

from batchup.errors import RejectedError
from batchup.models.local.torch import MODEL, TorchParams
from batchup.models.local.torch_video import TorchVideoParams
from batchup.models.superres.weights import Files, WeightsError
from batchup.processors import cores
from batchup.providers.local.superres import checkpoint, picture, spandrel, video
from batchup.providers.local.superres.loaded import Loaded
from batchup.providers.local.superres.tiles import OutOfMemory, Planes

_OVERLAP_PX = 24
_PROCESSOR_TILE_PX, _GPU_TILE_PX = 192, 512
_UNTILED_PX = 1 << 20
"""Of networks whose every pixel depends on the whole picture."""


class TorchNetwork:
    """A network of torch: see :class:`batchup.providers.local.superres.tiles.Network`.

    Args:
        files: Its own.
        device: ``auto``, ``cpu`` or a GPU's number.

    Attributes:
        device: What it runs on, for a person.

    Raises:
        RejectedError: It cannot be run (``weights_unusable``), or there is no such device (``no_device``).
    """

    def __init__(self, files: Files, device: str | int) -> None:
        try:
            model = checkpoint.load(files.paths[0])
        except (WeightsError, OSError) as error:
            raise RejectedError(f"{files.paths[0]}: {error}", kind="weights_unusable") from error
        self._place = _place(device)
        self._kind = _kind(model, self._place)
        self._model = model.to(self._place, dtype=self._kind)
        self.scale = model.scale
        self.overlap_px = _OVERLAP_PX
        self.tile_px = _tile_px(model, self._place)
        self.device = f"{files.name} ({model.architecture.name}) on {_name(self._place, self._kind)}"

    def run(self, planes: Planes) -> Planes:
        """See :meth:`batchup.providers.local.superres.tiles.Network.run`."""
        try:
            made = self._made(planes)
            if self._kind != torch.float32 and not np.isfinite(made).all():
                # Half precision ends at 65,504, and some networks go beyond it within.
                self._kind = torch.float32
                self._model = self._model.float()
                made = self._made(planes)
        except torch.cuda.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory(self.device) from error
        return made

    def _made(self, planes: Planes) -> Planes:
        given = torch.from_numpy(planes).to(self._place, self._kind)
        if self._model.input_channels == 1:
            large = torch.cat([self._model(plane[None, None])[0] for plane in given])
        else:
            large = self._model(given[None])[0]
        made: Planes = large.float().cpu().numpy()
        return made


_LOADED = Loaded(TorchNetwork)

upscale = picture.upscaler(_LOADED, TorchParams, MODEL)
upscale_video = video.upscaler(_LOADED, TorchVideoParams)


def _place(device: str | int) -> torch.device:
    if device == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if isinstance(device, int):
        if not 0 <= device < count:
            raise RejectedError(
                f"there is no GPU {device}: CUDA has {count}; `device: auto` takes what there is",
                kind="no_device",
            )
        return torch.device("cuda", device)
    if count:
        return torch.device("cuda", 0)
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _kind(model: "spandrel.ImageModelDescriptor[Any]", place: torch.device) -> torch.dtype:
    """Return half precision where the network is known to bear it, and the device gains by it."""
    if place.type != "cuda":
        return torch.float32
    if model.supports_half:
        return torch.float16
    return torch.bfloat16 if model.supports_bfloat16 and torch.cuda.is_bf16_supported() else torch.float32


def _tile_px(model: "spandrel.ImageModelDescriptor[Any]", place: torch.device) -> int:
    if model.tiling is not spandrel.ModelTiling.SUPPORTED:
        return _UNTILED_PX
    return _PROCESSOR_TILE_PX if place.type == "cpu" else _GPU_TILE_PX


def _name(place: torch.device, kind: torch.dtype) -> str:
    if place.type == "cpu":
        return f"the processor, {cores()} threads"
    precision = str(kind).removeprefix("torch.")
    return f"{torch.cuda.get_device_name(place) if place.type == 'cuda' else 'the GPU (Metal)'}, {precision}"
