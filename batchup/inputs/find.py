"""From input items to sources: everything that is named is checked first, then all of it is one lazy stream."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from batchup import media
from batchup.errors import Fault, Faults, ManifestError, RejectedError
from batchup.inputs import left, lists, urls
from batchup.inputs.left import Skipped
from batchup.inputs.match import compiled, misfit
from batchup.inputs.roots import MissingError, Picks, Place, Resolve, entry, locate
from batchup.inputs.seen import Seen
from batchup.inputs.walk import Avoid, File, Root, Walk
from batchup.source import Media, Source, to_text

if TYPE_CHECKING:
    from batchup.manifest import Filters, Input, ListInput, PathInput, UrlInput

MAX_FAULTS = 100
"""How many faults are told; of the others only the number."""

FaultAt = Callable[[Sequence[str | int], str], Fault]
"""A place in the manifest and a sentence → a fault."""

Stream = Iterator[Source | Skipped]
_NO_ROW: Mapping[str, str] = {}


class _Item(NamedTuple):
    """An input item that was checked.

    Attributes:
        loc: Its place in the manifest.
        stream: Begins to read it.
    """

    loc: tuple[str | int, ...]
    stream: Callable[[], Stream]


class Found(Iterator[Source | Skipped]):
    """The sources of a manifest in the order listed, and what is left out among them. To be iterated once.

    Attributes:
        warnings: Items that exist and gave nothing, as faults; complete at the end.
    """

    def __init__(self, items: Sequence[_Item], fault: FaultAt) -> None:
        self.warnings: list[Fault] = []
        self._fault = fault
        self._stream = self._all(items)

    def __next__(self) -> Source | Skipped:
        return next(self._stream)

    def _all(self, items: Sequence[_Item]) -> Stream:
        for item in items:
            sources = skipped = 0
            for found in item.stream():
                if isinstance(found, Source) or found.reason == left.TWICE:
                    sources += 1
                else:
                    skipped += 1
                yield found
            if not sources:
                what = f"nothing in it is an input; {skipped} left out" if skipped else "nothing is there"
                self.warnings.append(self._fault(item.loc, what))


def find(  # noqa: PLR0913 - each is a thing of its own
    inputs: Sequence["Input"],
    *,
    resolve: Resolve,
    fault: FaultAt,
    output_dir: Path,
    ledger: Path,
    now: datetime,
    own: Callable[[Path], bool] = lambda _: False,
) -> Found:
    """Check that everything which *inputs* name is there, and return the stream of it.

    Order: the items as listed; folders depth first, names by code points. Memory is bounded: 16 bytes a file, and the
    names of the folders that are open. The same file reached twice, by items that overlap or by symlinks, comes once, under
    its own name rather than a link's within one item; hard links are files of their own. Files are probed as they come.

    Args:
        inputs: As the manifest has them.
        resolve: See :data:`Resolve`.
        fault: See :data:`FaultAt`.
        output_dir: Absolute. Below an input it is left out as a whole; above one, *own* tells.
        ledger: Absolute.
        now: Aware; where ages in filters count from.
        own: Whether a file below *output_dir* is an output of this job.

    Raises:
        ManifestError: Paths are missing, lists have faults, URLs are refused: all of them at once.
    """
    avoid = Avoid(os.path.realpath(output_dir), os.path.realpath(ledger), own)
    finder = _Finder(resolve, fault, avoid, now)
    items = [item for number, given in enumerate(inputs) for item in finder.check(number, given)]
    finder.faults.tell()
    return Found(items, fault)


@dataclass(slots=True)
class _Finder:
    """Checks items, then reads them."""

    resolve: Resolve
    fault: FaultAt
    avoid: Avoid
    now: datetime
    faults: Faults = field(default_factory=partial(Faults, MAX_FAULTS))
    seen: Seen = field(default_factory=Seen)

    def check(self, number: int, given: "Input") -> Iterable[_Item]:
        """Yield the item, unless there is a fault in it."""
        from batchup.manifest import ListInput, PathInput

        if isinstance(given, PathInput):
            return self._check_path(("inputs", number, "path"), given)
        if isinstance(given, ListInput):
            return self._check_list(("inputs", number, "list"), given)
        return self._check_urls(("inputs", number, "url"), given)

    def _check_path(self, loc: tuple[str | int, ...], given: "PathInput") -> Iterator[_Item]:
        try:
            place = locate(given.path, self.resolve, _picks(given))
        except MissingError as error:
            self.faults.add(self.fault(loc, str(error)))
            return
        yield _Item(loc, partial(self._place, place, _asked(given.filters), _NO_ROW))

    def _check_urls(self, loc: tuple[str | int, ...], given: "UrlInput") -> Iterator[_Item]:
        for number, url in enumerate(given.urls):
            message = urls.fault(url, allow_private=given.allow_private)
            if message is not None:
                self.faults.add(self.fault((*loc, number), message))
        yield _Item(loc, partial(self._urls, given))

    def _check_list(self, loc: tuple[str | int, ...], given: "ListInput") -> Iterator[_Item]:
        file = self.resolve(given.list)
        if file.suffix.lower() not in lists.ENDINGS:
            message = f'"{given.list}" is no list; its name must end in {", ".join(lists.ENDINGS)}'
            self.faults.add(self.fault(loc, message))
            return
        try:
            for item in lists.read(file):
                fault = item if isinstance(item, Fault) else self._misfortune(item, given, file)
                if fault is not None:
                    self.faults.add(fault)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            self.faults.add(self.fault(loc, f'"{given.list}": {why}'))
            return
        yield _Item(loc, partial(self._list, given, file))

    def _misfortune(self, item: lists.Entry, given: "ListInput", file: Path) -> Fault | None:
        """Return what is wrong with one entry of a list."""
        if item.url:
            message = urls.fault(item.url, allow_private=given.allow_private)
        else:
            message = None
            try:
                self._entry(item, given, file)
            except MissingError as error:
                message = str(error)
            except ManifestError as error:
                message = error.faults[0].message
        return Fault(str(file), item.line, item.column, message) if message is not None else None

    def _entry(self, item: lists.Entry, given: "ListInput", file: Path) -> Place:
        return entry(item.path, given.list, str(file.parent), self.resolve, _picks(given))

    def _list(self, given: "ListInput", file: Path) -> Stream:
        filters, picks = _asked(given.filters), _picks(given)
        for item in lists.read(file):
            if isinstance(item, Fault):  # it was changed after it was checked
                yield Skipped(given.list, left.UNREADABLE, str(item))
            elif item.url:
                source = urls.source(item.url, item.row, allow_private=given.allow_private)
                yield self._url(source, filters, picks)
            else:
                try:
                    place = self._entry(item, given, file)
                except (MissingError, ManifestError) as error:
                    yield Skipped(to_text(item.path), left.UNREADABLE, str(error))
                    continue
                yield from self._place(place, filters, item.row)

    def _urls(self, given: "UrlInput") -> Stream:
        filters = _asked(given.filters)
        for url in given.urls:
            source = urls.source(url, _NO_ROW, allow_private=given.allow_private)
            yield self._url(source, filters, _EVERYTHING)

    def _url(self, source: Source, filters: "Filters | None", picks: Picks) -> Source | Skipped:
        url, path = source.url, urls.path_of(source.url)
        if picks.exclude.match(path):
            return Skipped(url, left.EXCLUDED)
        if picks.include and not picks.include.match(path):
            return Skipped(url, left.NOT_INCLUDED)
        if url in self.seen:
            return Skipped(url, left.TWICE)
        reason = misfit(filters, source, self.now) if filters else None
        if reason is not None:
            return Skipped(url, f"filter: {reason}")
        self.seen.add(url)
        return source

    def _place(self, place: Place, filters: "Filters | None", row: Mapping[str, str]) -> Stream:
        walk = Walk(place.root, self.avoid)
        for file in walk.below(place.path) if place.is_folder else (walk.file(place.path),):
            yield file if isinstance(file, Skipped) else self._source(place.root, file, filters, row)

    def _source(
        self, root: Root, file: File, filters: "Filters | None", row: Mapping[str, str]
    ) -> Source | Skipped:
        """Return what a file is; nothing of it is read before its name, size and age have passed."""
        status = file.status
        place = (root.text, to_text(file.path), to_text(root.base))
        source = Source(*place, "", status.st_size, status.st_mtime_ns, None, row)
        unwanted = self._unwanted(root, file, filters, source)
        if unwanted is not None:
            return unwanted
        found = _probe(root, file)
        if isinstance(found, Skipped):
            return found
        source = Source(*place, "", status.st_size, status.st_mtime_ns, found, row)
        reason = misfit(filters, source, self.now) if filters else None
        if reason is not None:
            return Skipped(root.label(file.path), f"filter: {reason}")
        self.seen.add(file.real)
        return source

    def _unwanted(self, root: Root, file: File, filters: "Filters | None", source: Source) -> Skipped | None:
        """Return why a file need not be read."""
        if file.real in self.seen:
            what = f"a link to {to_text(file.real)}" if file.real != file.full else "it is an earlier input"
            return Skipped(root.label(file.path), left.TWICE, what)
        if source.size_bytes == 0:
            return Skipped(root.label(file.path), left.NO_MEDIA, "the file is empty")
        reason = misfit(filters, source, self.now) if filters else None
        return Skipped(root.label(file.path), f"filter: {reason}") if reason is not None else None


def _probe(root: Root, file: File) -> Media | Skipped:
    try:
        found = media.probe(file.full)
    except RejectedError as error:
        return left.rejected(root.label(file.path), error)
    except OSError as error:
        return left.unreadable(root.label(file.path), error)
    return found if found is not None else Skipped(root.label(file.path), left.NO_MEDIA)


def _picks(given: "PathInput | ListInput") -> Picks:
    return Picks(compiled(given.include), compiled(given.exclude))


_EVERYTHING = Picks(compiled(()), compiled(()))


def _asked(filters: "Filters") -> "Filters | None":
    """Return *filters*, or None where they ask for nothing."""
    return filters if any(value is not None for _, value in filters) else None
