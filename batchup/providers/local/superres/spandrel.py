"""spandrel, also where the torchvision beside it is of another build than torch.

Of torchvision, spandrel takes two functions in plain Python. But torchvision also has a compiled part, which only fits the
torch it was built with: CUDA's does not load beside a torch for the processor, or for another version, and then torchvision
cannot be imported at all ("operator torchvision::nms does not exist"). Operators of these names are all that the import asks
for, and nothing here calls them.

Source: torchvision 0.28.0, ``_meta_registrations.py``, and spandrel 0.4.2, tried 2026-11-22.
"""

import importlib
import re

import torch

_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")
_DECLARED = torch.library.Library("torchvision", "FRAGMENT")
"""What declares the operators: they are gone when it is."""


def _import_torchvision() -> None:
    """Import torchvision, its compiled part or not.

    Raises:
        ImportError: It is not installed.
        RuntimeError: It cannot be imported for another reason.
    """
    declared: set[str] = set()
    while True:
        try:
            importlib.import_module("torchvision")
        except RuntimeError as error:
            missing = _MISSING.search(str(error))
            if missing is None or missing[1] in declared:
                raise
            _DECLARED.define(f"{missing[1]}() -> ()")
            declared.add(missing[1])
        else:
            return


_import_torchvision()

from spandrel import (  # noqa: E402 - it imports torchvision
    ImageModelDescriptor,
    ModelLoader,
    ModelTiling,
    UnsupportedModelError,
    canonicalize_state_dict,
)

__all__ = [
    "ImageModelDescriptor",
    "ModelLoader",
    "ModelTiling",
    "UnsupportedModelError",
    "canonicalize_state_dict",
]
