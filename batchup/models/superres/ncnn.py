"""The engine ncnn: networks as ``.param`` and ``.bin``, as Upscayl and realesrgan-ncnn-vulkan keep them."""

from functools import lru_cache
from math import isqrt
from pathlib import Path

from batchup.models.superres import binary, graph
from batchup.models.superres.params import Engine, NetworkParams
from batchup.models.superres.places import NCNN
from batchup.models.superres.weights import Files, WeightsError

_LEAST_OVERLAP_PX, _WHOLE_OVERLAP_PX, _USUAL_OVERLAP_PX = 8, 32, 16
"""A network that looks no further than the second is given all that it sees, so that tiles change nothing. One that looks
further is given the third: what is beyond counts for too little to be seen (Real-ESRGAN's own programs take 10)."""

LEAST_TILE_PX, MOST_TILE_PX = 64, 256
"""Of the processor: larger ones leave its caches and are slower."""
_TILE_BYTES = 210_000_000
"""Of a tile's blobs on the processor: 128 pixels of Real-ESRGAN's x4plus."""

# Measured on the processor, ncnn 1.0.20261020, 2026-11: x4plus' size with a tile of 128 pixels took 1,677 MB, a compact one
# of 64 channels with 512 pixels 940 MB.
_PROCESS_BYTES = 100_000_000
_WEIGHTS, _BLOBS = 12, 6
"""How many times its file a network takes, whose convolutions are transformed; and a tile's blobs, with their workspace."""
_UNKNOWN_BYTES = 2_000_000_000


def read(files: Files) -> graph.Graph:
    """Return what the files say of their network, both checked.

    Raises:
        WeightsError: They are broken, or no network that upscales.
    """
    try:
        return _read(*files.paths, files.sha256)
    except graph.GraphError as error:
        raise WeightsError(f"{files.folder}: {error}") from error
    except OSError as error:
        raise WeightsError(f"{error.filename} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=16)
def _read(text: Path, numbers: Path, sha256: str | None) -> graph.Graph:  # noqa: ARG001 - the hash is what makes it a key
    found = graph.read(text)
    binary.check(found, numbers)
    return found


def overlap_px(found: graph.Graph) -> int:
    """Return how far a tile is to look beyond its middle."""
    if found.radius_px <= _WHOLE_OVERLAP_PX:
        return max(_LEAST_OVERLAP_PX, found.radius_px)
    return _USUAL_OVERLAP_PX


def tile_px(found: graph.Graph, allowed_bytes: int = _TILE_BYTES, most_px: int = MOST_TILE_PX) -> int:
    """Return the side of a tile's middle whose blobs, with all that the tile sees, take *allowed_bytes* at most."""
    side = isqrt(allowed_bytes // max(1, found.tile_bytes)) - 2 * overlap_px(found)
    return min(most_px, max(LEAST_TILE_PX, side))


def memory_bytes(params: NetworkParams) -> int:
    """Return what a worker takes with the network and one tile."""
    text, numbers = (Path(params.models_dir or "", params.weights + ending) for ending in NCNN.endings)
    try:
        found, stored_bytes = _read(text, numbers, params.sha256), numbers.stat().st_size
    except (
        OSError,
        graph.GraphError,
    ):  # it changed, or lies elsewhere on this machine: the work itself will say so
        return _UNKNOWN_BYTES
    side = (params.tile or tile_px(found)) + 2 * overlap_px(found)
    return _PROCESS_BYTES + _WEIGHTS * stored_bytes + _BLOBS * found.tile_bytes * side**2


ENGINE = Engine("ncnn", NCNN, lambda files: read(files).scale, memory_bytes)
