"""What the path of an input means: a file, a folder or a glob, and which root its files are known below."""

import os
import posixpath
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from batchup.inputs.match import Glob, Patterns, is_magic
from batchup.inputs.walk import Root
from batchup.source import to_text

Resolve = Callable[[str], Path]
"""A path as a manifest writes it → absolute, with ``~`` and ``${NAME}`` expanded."""


class MissingError(ValueError):
    """A path does not exist, or cannot be looked at; said to a person."""


class Place(NamedTuple):
    """Where an input's files are.

    Attributes:
        root: What they are known below.
        path: A file or folder below it, as ``os`` takes it; empty for the root itself.
        is_folder: Whether all below *path* is meant.
    """

    root: Root
    path: str
    is_folder: bool


class Picks(NamedTuple):
    """The patterns of one input item."""

    include: Patterns
    exclude: Patterns


def locate(text: str, resolve: Resolve, picks: Picks) -> Place:
    """Return where the files of a ``path:`` are.

    The root is the folder itself, the folder of a file, or the part of a glob before its first pattern; its text is
    the manifest's, so that a home that moved is the same input. A name that exists is no glob, whatever it holds.

    Raises:
        MissingError: It does not exist, or cannot be read.
    """
    full, plain = str(resolve(text)), posixpath.normpath(text)
    status = _status(full)
    if status is not None:
        return _exact(plain, full, status, picks)
    base, parts = _split(full)
    if not parts:
        raise MissingError(f'"{text}" does not exist{_nearest(full)}')
    if _status(base) is None:
        raise MissingError(f'"{text}": the folder {to_text(base)} does not exist{_nearest(base)}')
    _look_into(base)
    above = "/".join(plain.split("/")[: -len(parts)])
    shown = above or ("/" if plain.startswith("/") else ".")
    return Place(Root(shown, base, picks.include, picks.exclude, Glob(parts)), "", is_folder=True)


def entry(text: str, listed: str, folder: str, resolve: Resolve, picks: Picks) -> Place:
    """Return where the files of a path in a list are.

    What lies below the list's folder is known below that; anything else below its own folder, so that the task of an
    absolute path is the same from every list.

    Args:
        text: As the list holds it. ``~`` and ``${NAME}`` are expanded where nothing has that very name.
        listed: The list, as the manifest writes it.
        folder: The list's folder, absolute.
        resolve: Expands, as for the manifest's own paths.
        picks: The item's patterns.

    Raises:
        MissingError: It does not exist, or cannot be read.
        ManifestError: A variable in it is not set.
    """
    full, aloof = _join(folder, text), posixpath.isabs(text)
    status = _status(full)
    if status is None and (text.startswith("~") or "${" in text):
        aloof = aloof or text.startswith(("~", "${"))
        full = str(resolve(text if aloof else full))
        status = _status(full)
    if status is None:
        raise MissingError(f'"{to_text(text)}" does not exist{_nearest(full)}')
    above = posixpath.dirname(posixpath.normpath(listed)) or "."
    below = posixpath.relpath(full, folder)
    if aloof or below.partition("/")[0] == "..":
        shown = posixpath.normpath(text) if aloof else _join(above, text)
        return _exact(to_text(shown), full, status, picks)
    is_folder = stat.S_ISDIR(status.st_mode)
    if is_folder:
        _look_into(full)
    return Place(Root(above, folder, *picks), "" if below == "." else below, is_folder)


def _join(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))


def _exact(plain: str, full: str, status: os.stat_result, picks: Picks) -> Place:
    """Return the place of a file or folder that exists, known by the path text *plain*."""
    if stat.S_ISDIR(status.st_mode):
        _look_into(full)
        return Place(Root(plain, full, *picks), "", is_folder=True)
    base, name = posixpath.split(full)
    return Place(Root(posixpath.dirname(plain) or ".", base, *picks), name, is_folder=False)


def _status(full: str) -> os.stat_result | None:
    """Return what the system knows of a path; None if nothing is there.

    Raises:
        MissingError: The system will not say, or no file can have that name.
    """
    try:
        return os.stat(full)  # noqa: PTH116 - a string is what there is
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        raise MissingError(f"{full!a} is no name that a file can have") from None
    except OSError as error:
        raise MissingError(f'"{to_text(full)}" cannot be read: {error.strerror}') from None


def _look_into(full: str) -> None:
    """Open a folder that an input names. One below it that cannot be read is counted; the input itself is an error.

    Raises:
        MissingError: It cannot be read.
    """
    try:
        os.scandir(full).close()
    except OSError as error:
        raise MissingError(f'the folder "{to_text(full)}" cannot be read: {error.strerror}') from None


def _split(full: str) -> tuple[str, list[str]]:
    """Return the folder before a glob's first pattern, and the parts from there; no parts if it is no glob."""
    parts = full.split("/")
    for number, part in enumerate(parts):
        above = "/".join(parts[:number])
        if is_magic(part) and not os.path.lexists(f"{above}/{part}"):
            return above or "/", parts[number:]
    return full, []


def _nearest(full: str) -> str:
    """Return the end of a sentence on a missing path: how much of it there is, if not all but the end."""
    folder = above = posixpath.dirname(full)
    while not os.path.isdir(above):  # noqa: PTH112 - a string is what there is
        above = posixpath.dirname(above)
    return "" if above == folder else f"; of its folders only {to_text(above)} is there"
