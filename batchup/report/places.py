"""Where the pictures of a report lie on this machine, and how a page names them."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from batchup.errors import ManifestError
from batchup.manifest import Manifest
from batchup.report.model import Entry
from batchup.source import to_path


class Places:
    """Looks up the files of entries. What is not there has no place."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._out = str(manifest.output_dir)
        self._roots: dict[str, str | None] = {}

    def before(self, entry: Entry) -> str | None:
        """Return the input's path as ``os`` functions take it; None for a URL, which nobody keeps."""
        root = None if entry.url else self._root(entry.root)
        return None if root is None else f"{root}/{to_path(entry.path)}"

    def after(self, entry: Entry) -> str | None:
        """Return the output's path; None where there is none yet."""
        return f"{self._out}/{to_path(entry.output)}" if entry.state == "done" else None

    def _root(self, root: str) -> str | None:
        if root not in self._roots:
            try:
                self._roots[root] = str(self._manifest.resolve(to_path(root)))
            except ManifestError:  # a variable that an earlier run had
                self._roots[root] = None
        return self._roots[root]


def address(path: str, folder: Path, known: Mapping[str, str]) -> str:
    """Return the relative address by which a page in *folder* names a file.

    Args:
        path: Absolute, as ``os`` functions take it; bytes that are no UTF-8 come through.
        folder: Absolute.
        known: Folder -> its address, where it was asked before; filled by the caller.
    """
    parent, name = os.path.split(path)
    base = known.get(parent) or folder_address(parent, folder)
    return base + quote(os.fsencode(name), safe="")


def folder_address(parent: str, folder: Path) -> str:
    """Return the relative address of a folder, with a slash at its end."""
    relative = os.path.relpath(parent, folder)
    return "" if relative == "." else quote(os.fsencode(relative)) + "/"
