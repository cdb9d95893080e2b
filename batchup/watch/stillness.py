"""Stillness: which files have not changed for a while, so that nobody is writing them any more. Pure."""

from collections.abc import Iterable

from batchup.inputs.glance import Sighting
from batchup.source import Source

OLD_S = 86_400.0
"""A file that nobody has touched for a day is still, whatever the clocks of its disk and of this machine differ by."""


class Stillness:
    """Remembers how files were when they were seen last.

    Clocks are not compared: the disk of a network may have another time than this machine, so that a younger file is
    still once it was seen unchanged for *settle_s* by this machine's own clock.

    Args:
        settle_s: How long a file must not have changed, in seconds.
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._still: set[int] = set()
        self._growing: dict[str, tuple[int, float]] = {}

    @property
    def due_s(self) -> float | None:
        """When the next file may be still, by the clock that never goes back; None where none is waited for."""
        return min((since_s + self._settle_s for _, since_s in self._growing.values()), default=None)

    @property
    def growing(self) -> int:
        """Number of files that are waited for."""
        return len(self._growing)

    def look(self, files: Iterable[Sighting], now_s: float, utc_ns: int) -> int:
        """Take in all files as they are now, and return how many have become still since the last look.

        Args:
            files: Every one of them: what is missing is forgotten.
            now_s: By the clock that never goes back.
            utc_ns: By the clock on the wall, since 1970.
        """
        still: set[int] = set()
        growing: dict[str, tuple[int, float]] = {}
        fresh = 0
        for file in files:
            key = hash((file.name, file.size_bytes, file.mtime_ns))
            known, since_s = self._growing.get(file.name, (None, now_s))
            since_s = since_s if known == key else now_s
            if key in self._still:
                still.add(key)
            elif utc_ns - file.changed_ns > OLD_S * 1e9 or now_s - since_s >= self._settle_s:
                still.add(key)
                fresh += 1
            else:
                growing[file.name] = key, since_s
        self._still, self._growing = still, growing
        return fresh

    def has(self, source: Source) -> bool:
        """Return whether an input was still, as it is now, when it was looked at last."""
        return bool(source.url) or hash((source.name, source.size_bytes, source.mtime_ns)) in self._still
