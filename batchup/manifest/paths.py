"""Paths as a manifest writes them: ``~`` and ``${NAME}`` are expanded, everything else is taken as it stands."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from batchup.errors import Fault
from batchup.manifest.syntax import Document, Loc
from batchup.manifest.wording import found, nearest
from batchup.secrecy import is_secret

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return *text* with ``~`` and ``${NAME}`` expanded. ``$NAME`` without braces is left as it is.

    Raises:
        ValueError: A variable is not set, is one of ``FAL_*`` (keys stay out of paths, and so out of ledgers and
            reports), or is not written as ``${NAME}``; said to a person.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not match[0].endswith("}") or not _NAME.fullmatch(name):
            raise ValueError(f"{found(match[0])} is no variable; write ${{NAME}}")
        if is_secret(name):
            raise ValueError(f"${{{name}}} cannot stand in a path: FAL_* variables hold keys")
        if name not in environ:
            near = nearest(name, [known for known in environ if not is_secret(known)])
            raise ValueError(f"the variable {name} is not set" + (f"; did you mean {near}?" if near else ""))
        return environ[name]

    return _VARIABLE.sub(value, os.path.expanduser(text))  # noqa: PTH111 - Path would drop a trailing slash and ./


def absolute(text: str, folder: Path) -> Path:
    """Return *text* expanded, relative to *folder*, without ``.`` and ``..``. The disk is not asked.

    Raises:
        ValueError: As :func:`expand`.
    """
    return Path(os.path.normpath(folder / expand(text, os.environ)))


def faults(document: Document) -> Iterator[Fault]:
    """Yield a fault for every path in *document* that cannot be expanded."""
    for loc in _places(document.value):
        value: Any = document.value
        for part in loc:
            value = value.get(part) if isinstance(value, dict) else value[part]
        if isinstance(value, str):
            try:
                expand(value, os.environ)
            except ValueError as error:
                yield document.fault(loc, str(error))


def _places(top: Mapping[str, Any]) -> Iterator[Loc]:
    """Yield where paths may stand."""
    yield ("ledger",)
    if isinstance(top.get("output"), dict):
        yield ("output", "dir")
    inputs = top.get("inputs")
    for number, item in enumerate(inputs if isinstance(inputs, tuple) else ()):
        if isinstance(item, dict):
            yield ("inputs", number, "path")
            yield ("inputs", number, "list")
