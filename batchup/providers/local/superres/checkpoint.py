"""A file of weights, as torch reads it: safely, and only as what spandrel knows.

Run as ``python -m batchup.providers.local.superres.checkpoint FILE`` it prints one line of JSON: ``{"scale": 4}``, or
``{"fault": "..."}`` for a file that cannot be used.

Source: https://pytorch.org/docs/stable/notes/serialization.html (weights_only), https://github.com/chaiNNer-org/spandrel,
read 2026-11.
"""

import json
import re
import sys
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from batchup.models.superres.weights import WeightsError
from batchup.providers.local.superres import spandrel

_PROGRAM = re.compile(r"GLOBAL ([\w.]+)")
"""So torch says what a file wants to call."""


def load(path: Path) -> "spandrel.ImageModelDescriptor[Any]":
    """Return the network of a file, on the processor.

    Raises:
        WeightsError: It is broken, holds anything but numbers, or is no network that upscales pictures.
        OSError: It cannot be read.
    """
    state = _state(path)
    try:
        found = spandrel.ModelLoader(device="cpu").load_from_state_dict(
            spandrel.canonicalize_state_dict(state)
        )
    except spandrel.UnsupportedModelError as error:
        raise WeightsError("it is of no architecture that spandrel knows") from error
    # An architecture's own code reads sizes out of whatever the file holds, and raises anything where they do not fit.
    except Exception as error:
        raise WeightsError(f"its weights do not fit together: {error}") from error
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise WeightsError(f"it is a network for another purpose ({found.architecture.name})")
    if found.input_channels not in {1, 3} or found.output_channels != found.input_channels:
        channels = f"{found.input_channels} channels and gives {found.output_channels}"
        raise WeightsError(f"it takes {channels}; a picture has 3")
    return found.eval()


def _state(path: Path) -> dict[str, Any]:
    try:
        if path.suffix.lower() == ".safetensors":
            return dict(load_file(path, device="cpu"))
        # weights_only: a pickle may hold programs; only numbers are taken from it.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except SafetensorError as error:
        raise WeightsError(f"it is broken: {error}") from error
    # A damaged or hostile pickle makes torch raise nearly anything: UnpicklingError, RuntimeError, EOFError, KeyError.
    except Exception as error:
        raise WeightsError(_fault(error)) from error
    if not isinstance(state, dict):
        raise WeightsError(f"it holds a {type(state).__name__}, and weights are a mapping")
    return state


def _fault(error: Exception) -> str:
    """Return what torch's words about a file come to; its advice is to read it unsafely."""
    if program := _PROGRAM.search(str(error)):
        return f"it holds more than numbers: {program[1]}, which is not run; ask for a .safetensors"
    if isinstance(error, UnpicklingError):
        return "it is broken, or holds more than numbers, and is not read"
    said = (str(error).strip() or "it ends too early").splitlines()[0].partition(". ")[0]
    return f"it is broken, or no network: {type(error).__name__}: {said[:120]}"


def main() -> None:
    """Say what the file is that the command line names."""
    try:
        said: dict[str, Any] = {"scale": load(Path(sys.argv[1])).scale}
    except WeightsError as error:
        said = {"fault": str(error)}
    except OSError as error:
        said = {"fault": f"it cannot be read: {error.strerror or error}"}
    print(json.dumps(said))  # noqa: T201 - it is what this program is for


if __name__ == "__main__":
    main()
