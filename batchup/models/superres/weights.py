"""Weights: the files of a network, found by name or path, and known by their contents."""

import difflib
import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_LISTED = 12


class WeightsError(ValueError):
    """The weights cannot be used, said as the rest of a sentence about the parameter ``weights``."""


@dataclass(frozen=True, slots=True)
class Library:
    """A kind of network files, and what runs them.

    Attributes:
        extra: The extra of batchup that is needed.
        modules: What that installs.
        endings: Of the files, with their dots; all of them belong together where *is_pair*.
        is_pair: Whether a network has a file with each ending.
        variable: Of the environment: folders to look in.
        places: Folders that other programs keep such files in.
    """

    extra: str
    modules: tuple[str, ...]
    endings: tuple[str, ...]
    is_pair: bool
    variable: str
    places: Callable[[], Iterable[Path]]


@dataclass(frozen=True, slots=True)
class Files:
    """A network that was found.

    Attributes:
        name: What it is called, without its folder and ending.
        folder: Absolute.
        paths: Its files.
    """

    name: str
    folder: Path
    paths: tuple[Path, ...]

    @property
    def sha256(self) -> str:
        """Of the contents of its files, one after the other. Taken anew only where one has changed.

        Raises:
            WeightsError: One cannot be read.
        """
        try:
            stats = [(str(path), path.stat()) for path in self.paths]
            return _sha256(tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in stats))
        except OSError as error:
            raise WeightsError(f"{error.filename} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=256)
def _sha256(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _, _ in files:
        with open(path, "rb") as file:  # noqa: PTH123 - as hashlib is shown with it
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def check_installed(library: Library, model: str) -> None:
    """See that what runs these networks is there; imports nothing.

    Raises:
        WeightsError: It is not.
    """
    if any(importlib.util.find_spec(module) is None for module in library.modules):
        raise WeightsError(
            f"{model} needs a part that is not installed; pip install 'batchup[{library.extra}]'"
        )


def find(library: Library, weights: str, models_dir: str | None, base: Path) -> Files:
    """Return the network that a person calls *weights*.

    Args:
        library: Of which kind.
        weights: A name, or a path with or without an ending.
        models_dir: Where to look for a name; None for the environment's folders and the well-known ones.
        base: What relative paths start from.

    Raises:
        WeightsError: There is none, or it is not whole.
    """
    path = Path(os.path.expanduser(weights))  # noqa: PTH111 - Path's raises where there is no home
    if len(path.parts) > 1 or weights.startswith("~"):
        folders: Sequence[Path] = [Path(os.path.abspath(base / path)).parent]  # noqa: PTH100 - links stay as written
    else:
        folders = _folders(library, models_dir, base)
    for folder in folders:
        found = _in(library, folder, path.name)
        if found is not None:
            return found
    raise WeightsError(_missing(library, path.name, folders))


def _folders(library: Library, models_dir: str | None, base: Path) -> Sequence[Path]:
    if models_dir:
        return [Path(os.path.abspath(base / os.path.expanduser(models_dir)))]  # noqa: PTH100, PTH111 - as above
    own = os.environ.get(library.variable, "")
    return [*(Path(one).absolute() for one in own.split(os.pathsep) if one), *library.places()]


def _in(library: Library, folder: Path, name: str) -> Files | None:
    """Return the network called *name* in *folder*, None where none of its files is there."""
    ending = next((one for one in library.endings if name.lower().endswith(one)), "")
    stem = name[: len(name) - len(ending)]
    if not library.is_pair:
        wanted = [name] if ending else [stem + one for one in library.endings]
        there = [folder / one for one in wanted if (folder / one).is_file()]
        if len(there) > 1:
            names = " and ".join(path.name for path in there)
            raise WeightsError(f"{folder} has {names}; write the one that is meant, with its ending")
        return Files(stem, folder, tuple(there)) if there else None
    paths = tuple(folder / (stem + one) for one in library.endings)
    lacking = [path.name for path in paths if not path.is_file()]
    if len(lacking) == len(paths):
        return None
    if lacking:
        raise WeightsError(f"{folder} has no {lacking[0]}, and a network is both")
    return Files(stem, folder, paths)


def names(library: Library, folders: Iterable[Path]) -> list[str]:
    """Return what networks lie in *folders*, sorted."""
    return sorted(set(_names(library, folders)), key=str.casefold)


def _names(library: Library, folders: Iterable[Path]) -> Iterator[str]:
    ends = library.endings[:1] if library.is_pair else library.endings
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                files = [entry.name for entry in entries if entry.is_file()]
        except OSError:
            continue
        yield from (file[: -len(end)] for file in files for end in ends if file.lower().endswith(end))


def _missing(library: Library, name: str, folders: Sequence[Path]) -> str:
    if not folders:
        return f'"{name}": no folder of networks is known; set models_dir, or {library.variable}'
    known = names(library, folders)
    where = ", ".join(map(str, folders))
    if not known:
        return (
            f'there is no network "{name}" in {where}, nor any other; set models_dir, or {library.variable}'
        )
    forms = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(Path(name).stem.casefold(), forms, n=3)
    hint = f"; did you mean {' or '.join(forms[one] for one in near)}?" if near else ""
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f'there is no network "{name}" in {where}{hint} (there: {", ".join(known[:_LISTED])}{more})'


def reopen(library: Library, name: str, folder: str, sha256: str) -> Files:
    """Return the network that was settled on before, perhaps on another machine.

    Args:
        library: Of which kind.
        name: As :attr:`Files.name` had it.
        folder: Where it was; elsewhere the environment's folders and the well-known ones are looked through.
        sha256: As :attr:`Files.sha256` had it.

    Raises:
        WeightsError: It is not there any more, or another one is.
    """
    others: list[Files] = []
    for place in [Path(folder), *_folders(library, None, Path("/"))]:
        for ending in ("",) if library.is_pair else library.endings:
            found = _in(library, place, name + ending)
            if found is not None and found.sha256 == sha256:
                return found
            others += [found] if found is not None else []
    if others:
        raise WeightsError(f"{others[0].paths[-1]} has changed since the job was planned; run again")
    raise WeightsError(f'the network "{name}" is gone from {folder}')
