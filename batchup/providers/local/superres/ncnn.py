"""Networks by ncnn, on a GPU by Vulkan or on the processor: the work of ``local/ncnn`` and ``local/ncnn-video``.

Source: https://github.com/Tencent/ncnn/wiki/use-ncnn-with-python-pybind11-binding and Real-ESRGAN-ncnn-vulkan, read 2026-11.
"""

import ncnn
import numpy as np

from batchup.errors import RejectedError
from batchup.models.local.ncnn import MODEL, NcnnParams
from batchup.models.local.ncnn_video import NcnnVideoParams
from batchup.models.superres import ncnn as engine
from batchup.models.superres.graph import Graph
from batchup.models.superres.weights import Files, WeightsError
from batchup.processors import cores
from batchup.providers.local.superres import picture, video
from batchup.providers.local.superres.loaded import Loaded
from batchup.providers.local.superres.tiles import LEAST_PX, OutOfMemory, Planes

_GPU_PART = 0.04
_GPU_TILE_PX = 512
_OUT_OF_MEMORY = -100
"""What ncnn answers. Source: net.cpp of ncnn."""
_PROCESSOR_TYPE = 3
"""Of a Vulkan device that is the processor in disguise. Source: gpu.h of ncnn."""
_TRY_PX = 32


class NcnnNetwork:
    """A network of ncnn: see :class:`batchup.providers.local.superres.tiles.Network`.

    Args:
        files: Its own.
        device: ``auto``, ``cpu`` or a GPU's number.

    Attributes:
        device: What it runs on, for a person.

    Raises:
        RejectedError: It cannot be run (``weights_unusable``), or there is no such device (``no_device``).
    """

    def __init__(self, files: Files, device: str | int) -> None:
        graph = _graph(files)
        gpu = _gpu(device)
        self.scale = graph.scale
        self.overlap_px = engine.overlap_px(graph)
        self.tile_px = _tile_px(graph, gpu)
        threads = cores()
        self.device = (
            f"{files.name} on {_gpu_name(gpu)} by Vulkan"
            if gpu is not None
            else f"{files.name} on the processor, {threads} threads{'' if device == 'cpu' else ': no Vulkan GPU was found'}"
        )
        self._names = graph.source, graph.result
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        self._net.opt.use_vulkan_compute = gpu is not None
        if gpu is not None:
            self._net.set_vulkan_device(gpu)
        text, numbers = files.paths
        if self._net.load_param(str(text)) != 0 or self._net.load_model(str(numbers)) != 0:
            raise _unusable(files, "ncnn cannot load it")
        self._try(files)

    def run(self, planes: Planes) -> Planes:
        """See :meth:`batchup.providers.local.superres.tiles.Network.run`."""
        source, result = self._names
        with self._net.create_extractor() as extractor:
            extractor.input(source, ncnn.Mat(planes))
            status, made = extractor.extract(result)
            if status == _OUT_OF_MEMORY:
                raise OutOfMemory(self.device)
            if status != 0:
                raise RejectedError(f"the network failed: ncnn answered {status}", kind="network_failed")
            return np.array(made)

    def _try(self, files: Files) -> None:
        """See that it does what its text says, before a picture relies on it."""
        made = self.run(np.full((3, _TRY_PX, _TRY_PX), 0.5, np.float32))
        wanted = (3, _TRY_PX * self.scale, _TRY_PX * self.scale)
        if made.shape != wanted:
            raise _unusable(files, f"it gives {made.shape} where {wanted} was expected")


_LOADED = Loaded(NcnnNetwork)

upscale = picture.upscaler(_LOADED, NcnnParams, MODEL)
upscale_video = video.upscaler(_LOADED, NcnnVideoParams)


def _graph(files: Files) -> Graph:
    try:
        return engine.read(files)
    except WeightsError as error:
        raise RejectedError(str(error), kind="weights_unusable") from error


def _unusable(files: Files, why: str) -> RejectedError:
    return RejectedError(f"{files.paths[0]}: {why}", kind="weights_unusable")


def _gpu(device: str | int) -> int | None:
    """Return the number of the GPU that is meant, None for the processor."""
    if device == "cpu":
        return None
    count = ncnn.get_gpu_count()
    if isinstance(device, int):
        if not 0 <= device < count:
            raise RejectedError(
                f"there is no GPU {device}: Vulkan has {count}; `device: auto` takes what there is",
                kind="no_device",
            )
        return device
    if not count:
        return None
    best: int = ncnn.get_default_gpu_index()
    return None if ncnn.get_gpu_info(best).type() == _PROCESSOR_TYPE else best


def _gpu_name(gpu: int) -> str:
    name = getattr(ncnn.get_gpu_info(gpu), "device_name", None)  # it is not in every version
    return str(name()) if name else f"GPU {gpu}"


def _tile_px(graph: Graph, gpu: int | None) -> int:
    if gpu is None:
        return engine.tile_px(graph)
    heap_mb = getattr(ncnn.get_gpu_device(gpu), "get_heap_budget", None)  # it is not in every version
    return (
        engine.tile_px(graph, int(heap_mb() * 1_000_000 * _GPU_PART), _GPU_TILE_PX)
        if heap_mb
        else LEAST_PX * 2
    )
