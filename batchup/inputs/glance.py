"""Glance: the files that inputs name, by name, size and time alone; nothing of them is read."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from batchup.errors import Fault, ManifestError
from batchup.inputs import lists
from batchup.inputs.match import compiled
from batchup.inputs.roots import MissingError, Picks, Place, Resolve, entry, locate
from batchup.inputs.walk import Avoid, File, Walk

if TYPE_CHECKING:
    from batchup.manifest import Input, ListInput, PathInput


class Sighting(NamedTuple):
    """A file as it is now.

    Attributes:
        name: Absolute, as ``os`` takes it; as :attr:`batchup.source.Source.name`.
        changed_ns: The latest moment that the disk knows of a change, by the disk's clock.
    """

    name: str
    size_bytes: int
    mtime_ns: int
    changed_ns: int


class Glance(NamedTuple):
    """What there is.

    Attributes:
        missing: Numbers of the input items whose path does not exist.
        folders: Absolute, where files of the others are, or come to be.
        files: All of them; lazy, to be iterated once.
    """

    missing: frozenset[int]
    folders: tuple[Path, ...]
    files: Iterator[Sighting]


def glance(inputs: Sequence["Input"], *, resolve: Resolve, output_dir: Path, ledger: Path) -> Glance:
    """Look at what *inputs* name. Blocks; what cannot be read is left out, and for a run to tell.

    Args:
        inputs: As the manifest has them.
        resolve: See :data:`~batchup.inputs.roots.Resolve`.
        output_dir: Absolute; left out where it is below an input.
        ledger: Absolute; likewise.
    """
    from batchup.manifest import ListInput, PathInput

    avoid = Avoid(os.path.realpath(output_dir), os.path.realpath(ledger), lambda _: False)
    places: list[Place] = []
    listed: list[ListInput] = []
    missing: set[int] = set()
    for number, given in enumerate(inputs):
        if isinstance(given, PathInput):
            try:
                places.append(locate(given.path, resolve, _picks(given)))
            except MissingError:
                missing.add(number)
        elif isinstance(given, ListInput):
            if resolve(given.list).is_file():
                listed.append(given)
            else:
                missing.add(number)
    folders = (*map(_folder, places), *(resolve(given.list).parent for given in listed))
    return Glance(frozenset(missing), tuple(dict.fromkeys(folders)), _files(places, listed, resolve, avoid))


def _files(
    places: list[Place], listed: list["ListInput"], resolve: Resolve, avoid: Avoid
) -> Iterator[Sighting]:
    for place in places:
        yield from _below(place, avoid)
    for given in listed:
        file = resolve(given.list)
        yield from _sighted(file)
        for place in _entries(given, file, resolve):
            yield from _below(place, avoid)


def _entries(given: "ListInput", file: Path, resolve: Resolve) -> Iterator[Place]:
    located = partial(entry, listed=given.list, folder=str(file.parent), resolve=resolve, picks=_picks(given))
    try:
        for item in lists.read(file):
            if isinstance(item, Fault) or item.url:
                continue
            try:
                yield located(item.path)
            except (MissingError, ManifestError):
                continue
    except (OSError, ValueError, KeyError):  # it is changed right now, or no list: a run tells
        return


def _below(place: Place, avoid: Avoid) -> Iterator[Sighting]:
    walk = Walk(place.root, avoid)
    for file in walk.below(place.path) if place.is_folder else (walk.file(place.path),):
        if isinstance(file, File):
            yield _sighting(file.full, file.status)


def _sighted(file: Path) -> Iterator[Sighting]:
    try:
        yield _sighting(str(file), file.stat())
    except OSError:
        return


def _sighting(name: str, status: os.stat_result) -> Sighting:
    return Sighting(name, status.st_size, status.st_mtime_ns, max(status.st_mtime_ns, status.st_ctime_ns))


def _folder(place: Place) -> Path:
    full = Path(place.root.base, place.path)
    return full if place.is_folder else full.parent


def _picks(given: "PathInput | ListInput") -> Picks:
    return Picks(compiled(given.include), compiled(given.exclude))
