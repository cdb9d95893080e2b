"""Which files a gallery shows, and of which of them something is to be made."""

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from batchup.keys import Keys
from batchup.report.model import Entry, Tasks
from batchup.report.picture import shows
from batchup.report.places import Places
from batchup.report.thumbnails import KEY_BYTES, Made, key

TICK_EVERY = 1000

_BEFORE, _AFTER = range(2)


@dataclass(frozen=True, slots=True)
class Pictures:
    """The files of one entry: paths and keys, None for what is not there."""

    before: str | None = None
    after: str | None = None
    before_key: str | None = None
    after_key: str | None = None

    @property
    def thumb(self) -> str | None:
        """Key of what stands for the task: its output, else its input."""
        return self.after_key or self.before_key


def look(entries: Iterable[Entry], places: Places) -> Iterator[tuple[Entry, Pictures]]:
    """Yield each entry with the files that there are of it."""
    known: tuple[str | None, str | None] = None, None
    for entry in entries:
        before, after = places.before(entry), places.after(entry)
        if before != known[0]:  # the tasks of one input follow one another
            known = before, None if before is None else key(before)
        before_key = known[1]
        after_key = None if after is None else key(after)
        yield (
            entry,
            Pictures(before if before_key else None, after if after_key else None, before_key, after_key),
        )


class Wanted:
    """Of which files something is to be made: some thirty bytes each, since there are many."""

    def __init__(self, entries: Tasks, places: Places, tick: Callable[[int], None] = lambda _: None) -> None:
        """Look for the files of all *entries*; *tick* is called now and then with how many were looked at."""
        self._entries, self._places = entries, places
        self._keys = Keys(KEY_BYTES)
        # Of each key: whose file it is, and which.
        self._owners = array("I")
        self._stands = bytearray()  # whether a thumbnail of it stands for a task
        shown: tuple[str | None, bool] = None, True
        for place, (_, files) in enumerate(look(entries, places)):
            if place % TICK_EVERY == 0:
                tick(place)
            if files.thumb:
                self._add(files.thumb, place, _AFTER if files.after_key else _BEFORE, stands=True)
            if files.after_key and files.before_key and files.before:
                if files.before_key != shown[0]:
                    shown = files.before_key, shows(files.before)
                if not shown[1]:
                    self._add(files.before_key, place, _BEFORE, stands=False)

    def _add(self, name: str, place: int, side: int, *, stands: bool) -> None:
        number = self._keys.add(bytes.fromhex(name))
        if number == len(self._owners):
            self._owners.append(2 * place + side)
            self._stands.append(False)
        self._stands[number] |= stands

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return (self._keys[number].hex() for number in range(len(self)))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._keys.find(bytes.fromhex(name)) >= 0

    def __getitem__(self, name: str) -> str:
        """Return the path of the file with this key; raises KeyError if there is none."""
        number = self._keys.find(bytes.fromhex(name))
        if number < 0:
            raise KeyError(name)
        place, side = divmod(self._owners[number], 2)
        entry = self._entries[place]
        path = self._places.after(entry) if side == _AFTER else self._places.before(entry)
        if path is None:
            raise KeyError(name)
        return path

    def thumbs(self, made: Made) -> Iterator[str]:
        """Yield the keys of the thumbnails, of those that were *made*, that stand for tasks."""
        return (name for name, stands in zip(self, self._stands, strict=True) if stands and name in made)
