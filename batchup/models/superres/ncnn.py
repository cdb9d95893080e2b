"""The engine ncnn: networks as ``.param`` and ``.bin``, as Upscayl and realesrgan-ncnn-vulkan keep them."""

from functools import lru_cache
from pathlib import Path

from batchup.models.superres import binary, graph
from batchup.models.superres.params import Engine
from batchup.models.superres.places import NCNN
from batchup.models.superres.weights import Files, WeightsError

PROCESS_BYTES = 900_000_000
"""Of a worker with a network of 64 channels and a tile."""


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
def _read(text: Path, numbers: Path, sha256: str) -> graph.Graph:  # noqa: ARG001 - the hash is what makes it a key
    found = graph.read(text)
    binary.check(found, numbers)
    return found


ENGINE = Engine("ncnn", NCNN, lambda files: read(files).scale)
