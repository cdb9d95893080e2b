"""The manifest: one YAML file that says what to read, what to do with it, where to put it, and within which limits.

Importing this package imports pydantic, so whoever must start quickly imports it late.
"""

import hashlib
import os
from pathlib import Path

from pydantic import ValidationError

from batchup.errors import Fault, ManifestError
from batchup.manifest import mistakes, paths, syntax, unread
from batchup.manifest.choices import Choices
from batchup.manifest.inputs import Filters, Input, ListInput, Match, PathInput, Rule, UrlInput
from batchup.manifest.job import Manifest, Origin
from batchup.manifest.moments import Hours, Newer
from batchup.manifest.quantities import Price, Rate
from batchup.manifest.schema import schema
from batchup.manifest.sections import (
    Endpoint,
    Fal,
    Limits,
    Matrix,
    ModelChoice,
    Output,
    Retry,
    Run,
    Timeouts,
    Window,
)

__all__ = [
    "Endpoint",
    "Fal",
    "Filters",
    "Hours",
    "Input",
    "Limits",
    "ListInput",
    "Manifest",
    "Match",
    "Matrix",
    "ModelChoice",
    "Newer",
    "Output",
    "PathInput",
    "Price",
    "Rate",
    "Retry",
    "Rule",
    "Run",
    "Timeouts",
    "UrlInput",
    "Window",
    "load",
    "parse",
    "schema",
]


def load(path: Path) -> Manifest:
    """Read and check the manifest at *path*. Blocks, for as long as a file takes to read.

    Raises:
        ManifestError: It cannot be read, or something in it is wrong; holds every fault.
    """
    try:
        with path.open("rb") as file:
            data = file.read(syntax.MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError([Fault(str(path), 0, 0, unread.why(path, error))]) from error
    except ValueError as error:
        raise ManifestError([Fault(str(path), 0, 0, "is no name that a file can have")]) from error
    return parse(data, str(path), Path(os.path.abspath(path)).parent)  # noqa: PTH100 - resolve() would follow links


def parse(data: bytes, file: str, folder: Path) -> Manifest:
    """Check a manifest that has been read.

    Args:
        data: The file's bytes.
        file: Its name, as faults show it.
        folder: What its paths are relative to.

    Raises:
        ManifestError: Something in it is wrong; holds every fault, in the order of the file.
    """
    document = syntax.read(data, file)
    faults = [*document.faults]
    origin = Origin(document, Path(os.path.abspath(folder)), hashlib.sha256(data).hexdigest())  # noqa: PTH100 - as above
    manifest = None
    try:
        manifest = Manifest.model_validate(document.value, context=origin)
    except ValidationError as error:
        faults += mistakes.faults(document, error)
    faults += Choices(document).faults()
    faults += paths.faults(document)
    if faults or manifest is None:
        raise ManifestError(sorted(set(faults), key=lambda fault: (fault.line, fault.column, fault.message)))
    return manifest
