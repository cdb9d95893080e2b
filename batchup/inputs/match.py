"""Which inputs are meant: gitignore-style patterns, globs, and bounds on what a file is."""

import fnmatch
import mimetypes
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

from batchup.source import Source

if TYPE_CHECKING:
    from batchup.manifest import Filters, Match

BOUNDED = ("pixels", "width", "height", "duration")
"""What of a medium has a ``min_`` and a ``max_`` filter."""

_NS = 1_000_000_000


def _composed(text: str) -> str:
    """Return *text* in one normal form: a disk may hold the other one than a manifest."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


class Patterns:
    """Gitignore-style patterns; no patterns match nothing. Unicode's normal forms are the same to them."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Compile *patterns*.

        Raises:
            ValueError: One is no pattern; said to a person.
        """
        try:
            self._spec = GitIgnoreSpec.from_lines(map(_composed, patterns)) if patterns else None
        except (ValueError, re.error) as error:
            raise ValueError(f"no patterns: {', '.join(patterns)}: {error}") from error

    def __bool__(self) -> bool:
        return self._spec is not None

    def match(self, path: str) -> bool:
        """Return whether *path*, below a root and with ``/`` at its end if it is a folder, is meant."""
        return self._spec is not None and self._spec.match_file(_composed(path))


class Glob:
    """A path with ``*``, ``?``, ``[...]`` and ``**``, matched name by name while a tree is walked.

    A state is the set of parts that may come next. What it matches is a file, or a folder with all below it.
    """

    DONE = -1
    """In a state: the path so far, or a folder above, has matched."""

    def __init__(self, parts: Sequence[str]) -> None:
        self._parts = [
            None if part == "**" else re.compile(fnmatch.translate(_composed(part))).match for part in parts
        ]
        self.start = self._open({0})

    def _open(self, states: set[int]) -> frozenset[int]:
        """Add what follows a ``**``, which may stand for no folder at all."""
        reached = set(states)
        for at, part in enumerate(self._parts):
            if at in reached and part is None and at + 1 < len(self._parts):
                reached.add(at + 1)
        return frozenset(reached)

    def step(self, states: frozenset[int], name: str) -> frozenset[int]:
        """Return the state below *name*; empty where nothing can match any more."""
        if self.DONE in states:
            return states
        reached, name = set(), _composed(name)
        last = len(self._parts) - 1
        for at in states:
            part = self._parts[at]
            if part is None:
                reached.add(self.DONE if at == last else at)
            elif part(name):
                reached.add(self.DONE if at == last else at + 1)
        return self._open(reached)


def is_magic(part: str) -> bool:
    """Return whether a part of a path is a pattern."""
    return any(character in part for character in "*?[")


def misfit(filters: "Filters", source: Source, now: datetime) -> str | None:
    """Return the name of a filter that *source* does not pass, or None.

    What is not known yet passes: of a file that was not probed, everything about its contents; of a URL, everything
    but ``kind``, which its ending may tell.

    Args:
        filters: All that are given must hold.
        source: A file, probed or not, or a URL.
        now: Aware; where an age counts from.
    """
    if not source.url:
        if filters.min_size is not None and source.size_bytes < filters.min_size:
            return "min_size"
        if filters.max_size is not None and source.size_bytes > filters.max_size:
            return "max_size"
        if filters.newer_than is not None:
            cutoff = filters.newer_than.cutoff(now)
            if source.mtime_ns / _NS <= cutoff.timestamp():
                return "newer_than"
    if filters.kind is not None and (kind := _kind(source)) is not None and kind != filters.kind:
        return "kind"
    return _bounds(filters, source)


def _kind(source: Source) -> str | None:
    """Return whether a source is an image or a video; None where nobody knows."""
    if source.media is not None:
        return source.media.kind
    if not source.url:
        return None
    kind = (mimetypes.guess_type(source.path)[0] or "").partition("/")[0]
    return kind if kind in {"image", "video"} else None


def _bounds(filters: "Filters", source: Source) -> str | None:
    media = source.media
    if media is None:
        return None
    for name in BOUNDED:
        low, high = getattr(filters, f"min_{name}"), getattr(filters, f"max_{name}")
        if low is None and high is None:
            continue
        value = {"pixels": media.size.pixels, "duration": media.duration_s}.get(name)
        if value is None:
            value = media.width if name == "width" else media.height
        if low is not None and value < low:
            return f"min_{name}"
        if high is not None and value > high:
            return f"max_{name}"
    return None


def matches(match: "Match", source: Source, now: datetime | None = None) -> bool:
    """Return whether a rule's ``match`` fits *source*: all that it gives must hold.

    Of a URL nothing is known but its path and perhaps its kind, so a rule that asks for more does not fit it.

    Args:
        match: Patterns and filters.
        source: A probed file, or a URL.
        now: Aware; where an age counts from. This moment, if it is not given.
    """
    if match.path and not compiled(match.path).match(source.path):
        return False
    filters = match.filters
    if source.media is None and not _decidable(filters, source):
        return False
    return misfit(filters, source, now or datetime.now(UTC)) is None


def _decidable(filters: "Filters", source: Source) -> bool:
    """Return whether all that *filters* ask is known of a source that was not read."""
    asked = {name for name, value in filters if value is not None}
    return not asked or (asked == {"kind"} and _kind(source) is not None)


@lru_cache(maxsize=256)
def compiled(patterns: tuple[str, ...]) -> Patterns:
    """Return :class:`Patterns`, made once."""
    return Patterns(patterns)
