"""Places: the two kinds of network files, and where other programs keep them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from batchup.models.superres.weights import Library


def _upscayl() -> Iterator[Path]:
    """Yield the folders that Upscayl's installers put its models in, those that there are.

    Source: Upscayl's packages for each system, as people cite them in its issues
    (https://github.com/upscayl/upscayl/issues/1140), read 2026-11.
    """
    if sys.platform == "darwin":
        apps = (Path("/Applications"), Path(os.path.expanduser("~/Applications")))  # noqa: PTH111 - never raises
        folders = [app / "Upscayl.app/Contents/Resources/models" for app in apps]
    elif sys.platform == "win32":
        homes = [os.environ.get("PROGRAMFILES"), os.environ.get("LOCALAPPDATA", "") + r"\Programs"]
        folders = [Path(home) / "Upscayl" / "resources" / "models" for home in homes if home]
    else:
        folders = [Path("/opt/Upscayl/resources/models"), Path("/usr/lib/upscayl/models")]
    yield from (folder for folder in folders if folder.is_dir())


NCNN = Library(
    extra="ncnn",
    modules=("ncnn", "numpy"),
    endings=(".param", ".bin"),
    is_pair=True,
    variable="BATCHUP_NCNN_MODELS",
    places=_upscayl,
)

TORCH = Library(
    extra="torch",
    modules=("torch", "spandrel", "safetensors"),
    endings=(".safetensors", ".pth"),
    is_pair=False,
    variable="BATCHUP_TORCH_MODELS",
    places=lambda: (),
)
