"""Walking folders: depth first, names in order, every file once, no loop, nothing hidden."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from batchup.inputs import left
from batchup.inputs.left import Skipped
from batchup.inputs.match import Glob, Patterns
from batchup.inputs.seen import Seen
from batchup.sidecar import ENDING
from batchup.source import to_text

_SYSTEM = frozenset(
    {
        ".ds_store",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "icon\r",
        "$recycle.bin",
        "system volume information",
        "@eadir",
        "#recycle",
        "__macosx",
        "lost+found",
    }
)


@dataclass(frozen=True, slots=True)
class Avoid:
    """What belongs to the job itself.

    Attributes:
        output_dir: Its real path; need not exist.
        ledger: Its real path.
        own: Whether a file below *output_dir* is an output of this job.
    """

    output_dir: str
    ledger: str
    own: Callable[[Path], bool]


@dataclass(frozen=True, slots=True)
class Root:
    """Where files are looked for.

    Attributes:
        text: As :attr:`batchup.source.Source.root`.
        base: The folder, absolute, as ``os`` takes it.
        include: Patterns of what to take; everything if there are none.
        exclude: Patterns of what to leave out.
        glob: What the path below must match.
    """

    text: str
    base: str
    include: Patterns
    exclude: Patterns
    glob: Glob | None = None

    def label(self, path: str) -> str:
        """Return how people know what lies at *path* below this root."""
        below = to_text(path)
        if self.text in {"", "."}:
            return below
        return f"{self.text.rstrip('/')}/{below}"


class File(NamedTuple):
    """A file that was found.

    Attributes:
        path: Below its root, as ``os`` takes it.
        full: Absolute.
        real: Without symlinks; what makes it the same file.
    """

    path: str
    full: str
    real: str
    status: os.stat_result


class _Folder(NamedTuple):
    """A folder on the way down.

    Attributes:
        path: Below the root, with ``/`` at its end; empty for the root.
        full: With ``/`` at its end, as *real*.
        key: Device and inode.
        names: Names that remain, the next one last.
        links: Those of them that are symlinks.
        folders: Those that are folders.
        states: Of the root's glob.
        linked: A symlink was followed on the way here.
    """

    path: str
    full: str
    real: str
    key: tuple[int, int]
    names: list[str]
    links: frozenset[str]
    folders: frozenset[str]
    states: frozenset[int]
    linked: bool


@dataclass(slots=True)
class Walk:
    """One walk below a root. To be iterated once."""

    root: Root
    avoid: Avoid
    _linked: Seen = field(default_factory=Seen)
    _prefix: str = ""
    _real: str = ""

    def below(self, path: str = "") -> Iterator[File | Skipped]:
        """Yield the files below the folder *path* of the root; ``""`` is the root itself.

        The folder is taken whatever its name. Nothing raises: what cannot be read is left out.
        """
        self._prefix = f"{path}/" if path else ""
        full = os.path.join(self.root.base, path)  # noqa: PTH118 - names may hold what pathlib normalises
        self._real = os.path.realpath(full)
        first = self._enter(self._prefix, full, self._real, self._states(), linked=False)
        if isinstance(first, Skipped):
            yield first
            return
        stack = [first]
        while stack:
            folder = stack[-1]
            if not folder.names:
                stack.pop()
                continue
            found = self._next(folder, folder.names.pop(), stack)
            if isinstance(found, _Folder):
                stack.append(found)
            elif found is not None:
                yield found

    def file(self, path: str) -> File | Skipped:
        """Return the one file at *path* below the root, whatever its name."""
        full = os.path.join(self.root.base, path)  # noqa: PTH118 - names may hold what pathlib normalises
        return self._unpicked(path) or self._file(path, full, os.path.realpath(full))

    def _next(self, folder: _Folder, name: str, stack: list[_Folder]) -> File | Skipped | _Folder | None:
        """Return what *name* in *folder* is; None if the glob does not mean it."""
        states = folder.states
        if self.root.glob is not None and Glob.DONE not in states:
            states = self.root.glob.step(states, name)
        is_folder = name in folder.folders
        if not states or (not is_folder and Glob.DONE not in states):
            return None
        path = folder.path + name
        reason = _unwanted(name)
        if reason is not None:
            return Skipped(self.root.label(f"{path}/" if is_folder else path), reason)
        full = folder.full + name
        is_link = name in folder.links
        real = os.path.realpath(full) if is_link else folder.real + name
        if is_folder:
            return self._descend(path, full, real, states, stack, is_link=is_link)
        found = self._unpicked(path) or self._file(path, full, real)
        itself = self._itself(real) if (is_link or folder.linked) and isinstance(found, File) else ""
        if itself:
            return Skipped(self.root.label(path), left.TWICE, f"a link to {self.root.label(itself)}")
        return found

    def _states(self) -> frozenset[int]:
        return self.root.glob.start if self.root.glob else frozenset({Glob.DONE})

    def _itself(self, real: str) -> str:
        """Return the path below the root at which this walk comes by the file *real*, without a link; empty if it does not.

        Whichever of the two comes first, the output is named after the file and not after a link to it.
        """
        above = f"{self._real.rstrip('/')}/"
        if not real.startswith(above):
            return ""
        names, path, states = real.removeprefix(above).split("/"), self._prefix, self._states()
        for number, name in enumerate(names, 1):
            if self.root.glob is not None and Glob.DONE not in states:
                states = self.root.glob.step(states, name)
            if not states or _unwanted(name):
                return ""
            path += name
            if number < len(names):
                path += "/"
                if (
                    self.root.exclude.match(path)
                    or above + path.removeprefix(self._prefix) == f"{self.avoid.output_dir}/"
                ):
                    return ""
        return path if Glob.DONE in states and self._unpicked(path) is None else ""

    def _descend(
        self, path: str, full: str, real: str, states: frozenset[int], stack: list[_Folder], *, is_link: bool
    ) -> Skipped | _Folder:
        """Enter a folder below another one, unless it is to be left out as a whole."""
        label = self.root.label(f"{path}/")
        if self.root.exclude.match(f"{path}/"):
            return Skipped(label, left.EXCLUDED)
        if real == self.avoid.output_dir:
            return Skipped(label, left.IN_OUTPUT)
        linked = is_link or stack[-1].linked
        folder = self._enter(f"{path}/", full, real, states, linked=linked)
        if isinstance(folder, Skipped) or not linked:
            return folder
        if any(folder.key == above.key for above in stack):
            return Skipped(label, left.LOOP, f"it leads back to {to_text(real)}")
        # Folders that link to one another have more ways through them than anybody can walk.
        if folder.key in self._linked:
            return Skipped(label, left.TWICE, f"another link led to {to_text(real)}")
        self._linked.add(folder.key)
        return folder

    def _enter(
        self, path: str, full: str, real: str, states: frozenset[int], *, linked: bool
    ) -> _Folder | Skipped:
        """Read the names in a folder. Only they are held: a folder may have a million."""
        names, links, folders = [], set(), set()
        try:
            status = os.stat(full)  # noqa: PTH116 - a string is what there is
            with os.scandir(full) as entries:
                for entry in entries:
                    names.append(entry.name)
                    if entry.is_symlink():
                        links.add(entry.name)
                    if _is_folder(entry):
                        folders.add(entry.name)
        except OSError as error:
            return left.unreadable(self.root.label(path), error)
        names.sort(reverse=True)
        key = (status.st_dev, status.st_ino)
        full, real = f"{full.rstrip('/')}/", f"{real.rstrip('/')}/"
        return _Folder(path, full, real, key, names, frozenset(links), frozenset(folders), states, linked)

    def _unpicked(self, path: str) -> Skipped | None:
        """Return the file at *path* as left out, if the patterns say so."""
        if self.root.exclude.match(path):
            return Skipped(self.root.label(path), left.EXCLUDED)
        if self.root.include and not self.root.include.match(path):
            return Skipped(self.root.label(path), left.NOT_INCLUDED)
        return None

    def _file(self, path: str, full: str, real: str) -> File | Skipped:
        avoid = self.avoid
        if real == avoid.ledger:
            return Skipped(self.root.label(path), left.LEDGER)
        try:
            status = os.stat(full)  # noqa: PTH116 - a string is what there is
        except FileNotFoundError:
            return Skipped(self.root.label(path), left.BROKEN_LINK, f"it leads to {to_text(real)}")
        except OSError as error:
            return left.unreadable(self.root.label(path), error)
        if not stat.S_ISREG(status.st_mode):
            return Skipped(self.root.label(path), left.NO_MEDIA, "no file, but a pipe, socket or device")
        if real.startswith(f"{avoid.output_dir}/") and avoid.own(Path(full)):
            return Skipped(self.root.label(path), left.OWN_OUTPUT)
        return File(path, full, real, status)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symlink to itself: what is wrong with it is told when its turn comes
        return False


def _unwanted(name: str) -> str | None:
    """Return why a file or folder of this name is nobody's picture."""
    if name.startswith("._") or name.lower() in _SYSTEM:
        return left.SYSTEM
    if name.endswith(ENDING):
        return left.SIDECAR
    return left.HIDDEN if name[0] == "." else None
