"""Output names: a template and a task give a path below ``output.dir``; what a name may not be."""

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from batchup.manifest.template import Part
from batchup.sidecar import ENDING
from batchup.source import Source
from batchup.task import Scalar

MAX_NAME_BYTES = 255
"""What one name may hold on ext4, APFS, NTFS (there: UTF-16 units) and most others."""

MAX_PATH_BYTES = 4095
"""PATH_MAX of Linux without its NUL."""

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


class About(NamedTuple):
    """What a name can be made of, beside its source.

    Attributes:
        ext: Of the output, with its dot.
        number: Number of the task, from 1, in the order in which the manifest makes them.
        width: Of the output in pixels, 0 where unknown; likewise *height*.
        sha256: Takes the content hash of the input, called only where the template asks for it.
    """

    model: str
    params: Mapping[str, Scalar]
    ext: str
    number: int
    width: int
    height: int
    sha256: Callable[[], str]


class UnnameableError(ValueError):
    """The template gives no name for this task; the text says why."""


def safe(value: object) -> str:
    """Return *value* as it may stand inside a name: ``fal/aura-sr`` is ``fal-aura-sr``, 2.0 is ``2``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return _UNSAFE.sub("-", str(value))


def render(parts: Iterable[Part], source: Source, about: About) -> str:
    """Return the name that a template's parts give, as a path text below ``output.dir``.

    Values that come from a path (``dir``, ``stem``, ``root``, ``source_ext``) are kept to the letter: a disk held
    them before. In all others what is unsafe in a name becomes ``-``.

    Raises:
        UnnameableError: A field has no value here, or the name leaves the folder or is none that a disk can hold.
    """
    text = "".join(_value(part.text, source, about) if part.field else part.text for part in parts)
    name = posixpath.normpath(text)
    fault = unfit(name)
    if fault:
        raise UnnameableError(fault)
    return name


def _value(field: str, source: Source, about: About) -> str:
    if field in _FIELDS:
        return _FIELDS[field](source, about)
    if field.startswith("row."):
        if field[4:] not in source.row:
            raise UnnameableError(f"{{{field}}}: the list has no column {field[4:]!r} for this input")
        return safe(source.row[field[4:]])
    if field not in about.params:
        raise UnnameableError(f"{{{field}}}: {about.model} has no such parameter")
    return safe(about.params[field])


def _root(source: Source) -> str:
    if source.url:
        return safe(urlsplit(source.url).hostname or "")
    return posixpath.basename(source.base) or "-"


def _known(field: str, pixels: int) -> str:
    if not pixels:
        raise UnnameableError(f"{{{field}}} is not known before the work is done")
    return str(pixels)


_FIELDS: Mapping[str, Callable[[Source, About], str]] = {
    "root": lambda source, _: _root(source),
    # "." rather than nothing, so that "{dir}/{stem}" of a file at the top is no absolute path.
    "dir": lambda source, _: posixpath.dirname(source.path) or ".",
    "stem": lambda source, _: posixpath.splitext(posixpath.basename(source.path))[0],
    "source_ext": lambda source, _: posixpath.splitext(source.path)[1].removeprefix("."),
    "ext": lambda _, about: about.ext,
    "model": lambda _, about: safe(about.model),
    "index": lambda _, about: str(about.number),
    "hash": lambda _, about: about.sha256()[:8],
    "width": lambda _, about: _known("width", about.width),
    "height": lambda _, about: _known("height", about.height),
}


def unfit(name: str) -> str | None:
    """Return why *name* cannot be a name below the output folder, None if it can."""
    if name == ".." or name.startswith(("/", "../")):
        return f"{name!r} leaves the output folder"
    if name in {".", ""} or name.endswith("/"):
        return "the name is empty"
    if name.startswith(".batchup/") or name.endswith(ENDING):
        return f"{name!r} is a name that is kept for ledgers and sidecars"
    if len(name.encode()) > MAX_PATH_BYTES:
        return f"the path has {len(name.encode()):,} bytes; a disk holds {MAX_PATH_BYTES:,}"
    for part in name.split("/"):
        # A path text writes an undecodable byte as three.
        size = len(part.encode()) - 2 * part.count("\0") if not part.isascii() or "\0" in part else len(part)
        if size > MAX_NAME_BYTES:
            return f"{part[:40]!r}... has {size} bytes; a name may have {MAX_NAME_BYTES}"
    return None


def folded(name: str) -> str:
    """Return what *name* is on a disk that ignores case and Unicode form: equal for names that would collide."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
