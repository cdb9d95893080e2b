"""Unread: why a manifest cannot be read, and which file may have been meant."""

import os
import re
import shlex
from difflib import get_close_matches
from pathlib import Path

from batchup.terminal import program

ENDINGS = (".yaml", ".yml")
"""Of a manifest's name, as people choose it; none is asked for."""


def why(path: Path, error: OSError) -> str:
    """Return what a person is told of a manifest at *path* that *error* keeps from being read."""
    if isinstance(error, FileNotFoundError):
        near = _near(path)
        return f"there is no such file{f'; did you mean {near}?' if near else ''}"
    if isinstance(error, IsADirectoryError):
        return f"is a folder, and no manifest; {_instead(path)}"
    return f"cannot be read: {error.strerror}"


def _near(path: Path) -> Path | None:
    """Return the manifest beside *path* whose name is nearest."""
    try:
        names = sorted(name for name in os.listdir(path.parent) if name.lower().endswith(ENDINGS))  # noqa: PTH208 - only names
    except OSError:
        return None
    exact = [name for name in names if os.path.splitext(name)[0] in {path.name, path.stem}]  # noqa: PTH122 - a name
    near = exact or get_close_matches(path.name, names, n=1)
    return path.with_name(near[0]) if near else None


def _instead(folder: Path) -> str:
    """Return what leads from a folder to a manifest: the one called so, or the command that writes it."""
    name = Path(os.path.abspath(folder)).name  # noqa: PTH100 - resolve() would follow links
    stems = dict.fromkeys((name, job_name(name)))
    for file in (
        place / f"{stem}{ending}"
        for place in (folder.parent, Path(), folder)
        for stem in stems
        for ending in ENDINGS
    ):
        if file.is_file():
            return f"did you mean {file}?"
    return f"{program()} init {shlex.quote(str(folder))} writes one for it"


def job_name(name: str) -> str:
    """Return a folder's *name* as a manifest's ``name`` may be, and its file: letters, digits, ``-``, ``_`` and ``.``."""
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    cut = re.sub("-+", "-", plain).encode()[:100].decode(errors="ignore")
    return cut.strip("-.") or "photos"
