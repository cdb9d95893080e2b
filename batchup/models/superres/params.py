"""The parameters that all networks have in common, and how a person's words become the files that are meant."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from batchup.models.base import Params
from batchup.models.superres import weights as files
from batchup.models.superres.weights import Files, Library, WeightsError


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs one kind of network files.

    Attributes:
        name: ``ncnn``, as in the models' names.
        library: Its files.
        scale: Returns how much larger a network makes each side. It raises :class:`WeightsError` for what is broken.
        memory_bytes: Returns what the engine takes with a task's network and one tile, leaning high.
    """

    name: str
    library: Library
    scale: Callable[[Files], int]
    memory_bytes: Callable[["NetworkParams"], int]


class NetworkParams(Params):
    """Which network, and how it is run."""

    apart: ClassVar[frozenset[str]] = frozenset({"models_dir", "tile", "device"})
    engine: ClassVar[Engine]

    weights: str = Field("realesrgan-x4plus", min_length=1)
    """The network: its name in the folder of networks, or a path to its file, relative to the manifest."""

    models_dir: str | None = Field(None, min_length=1)
    """Folder of networks. By default those in BATCHUP_NCNN_MODELS or BATCHUP_TORCH_MODELS, and Upscayl's."""

    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    """Of the network's files, one after the other: what it must be. By default any; it is part of what makes a task."""

    scale: float | None = Field(None, ge=1, le=16)
    """Factor for both sides. By default the network's own; from that to another one, Lanczos resamples."""

    tile: int | None = Field(None, ge=32, le=8192)
    """Side of the squares that a picture is cut into, in pixels; smaller ones need less memory. By default it fits."""

    device: Literal["auto", "cpu"] | Annotated[int, Field(ge=0)] = "auto"
    """`auto` is the first GPU, the processor where there is none; a number is one of several GPUs, from 0."""

    def settled(self, folder: Path) -> Self:
        """Return the same with the network found: its name, its folder, its contents and its factor.

        Raises:
            WeightsError: It is not there, broken, or another one than *sha256* says; or the engine is not installed.
        """
        engine = self.engine
        files.check_installed(engine.library, f"local/{engine.name}")
        found = files.find(engine.library, self.weights, self.models_dir, folder)
        if self.sha256 and self.sha256 != found.sha256:
            raise WeightsError(f"{found.paths[0]} is another one than sha256 says: it is {found.sha256}")
        own = engine.scale(found)
        known: dict[str, Any] = {
            "weights": found.name,
            "models_dir": str(found.folder),
            "sha256": found.sha256,
            "scale": self.scale if self.scale is not None else float(own),
        }
        return self.model_copy(update=known)

    @property
    def home(self) -> str:
        """The device, which one task at a time may use."""
        return f"{self.engine.name}:{self.device}"
