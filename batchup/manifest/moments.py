"""Moments as people write them: a date or an age for ``newer_than``, hours and days for ``run.window``."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from batchup.manifest.quantities import duration
from batchup.manifest.wording import found, meant

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS_PATTERN = r"\d{1,2}:\d{2} ?- ?\d{1,2}:\d{2}"
DATE_PATTERN = r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?)?"

_HOURS = re.compile(r"(\d{1,2}):(\d{2}) ?- ?(\d{1,2}):(\d{2})", re.ASCII)
_DATE = re.compile(DATE_PATTERN, re.ASCII)
_FULL_DAY = "24:00"


@dataclass(frozen=True, slots=True)
class Newer:
    """A bound on a file's age: a moment, or an age counted back from when the run begins.

    Attributes:
        at: Aware; None where *age_s* is given.
        age_s: Seconds; None where *at* is given.
    """

    at: datetime | None = None
    age_s: float | None = None

    def cutoff(self, now: datetime) -> datetime:
        """Return the moment that files must be newer than.

        Args:
            now: Aware.
        """
        if self.at is not None:
            return self.at
        try:
            return now - timedelta(seconds=self.age_s or 0.0)
        except OverflowError:
            # Older than the calendar: everything is newer.
            return datetime.min.replace(tzinfo=now.tzinfo)


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a day, from *start* to *end* on a wall clock; over midnight where *end* is not after *start*.

    Both 00:00 is the whole day.
    """

    start: time
    end: time

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def newer(value: Any) -> Newer:
    """Return a date (``2019-01-01``, with or without a time, local unless it names a zone) or an age (``30d``).

    Raises:
        ValueError: It is neither; said to a person.
    """
    text = value.strip() if isinstance(value, str) else ""
    if _DATE.fullmatch(text):
        try:
            return Newer(at=datetime.fromisoformat(text).astimezone())
        except (ValueError, OverflowError, OSError) as error:
            raise ValueError(
                f"{found(value)} is not in the calendar; write a date such as 2019-01-01"
            ) from error
    try:
        return Newer(age_s=duration(value))
    except ValueError as error:
        raise ValueError(f"{found(value)} is no date or age; write 2019-01-01 or 30d") from error


def hours(value: Any) -> Hours:
    """Return ``22:00-07:00``; ``24:00`` may stand at the end.

    Raises:
        ValueError: There are no such hours; said to a person.
    """
    match = _HOURS.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{found(value)} are no hours; write 22:00-07:00")
    try:
        start = time(int(match[1]), int(match[2]))
        end = time() if f"{match[3]}:{match[4]}" == _FULL_DAY else time(int(match[3]), int(match[4]))
    except ValueError as error:
        raise ValueError(f"{found(value)}: hours go from 00:00 to 23:59; write 22:00-07:00") from error
    if start == end and (start != time() or match[3] != "24"):
        raise ValueError(
            f"{found(value)} begins when it ends; write 22:00-07:00, or 00:00-24:00 for whole days"
        )
    return Hours(start, end)


def days(value: Any) -> tuple[int, ...]:
    """Return days of the week from Monday, 0, sorted: ``mon-fri``, ``[sat, sun]``, ``mon, wed-fri``.

    Raises:
        ValueError: One is no day; said to a person.
    """
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, tuple | list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{found(value)} are no days; write mon-fri, or a list such as [sat, sun]")
    return tuple(sorted({day for word in words for day in _range(word.strip())}))


def zone(value: Any) -> str:
    """Return *value*, the name of a time zone that this machine knows.

    Raises:
        ValueError: It does not; said to a person.
    """
    if isinstance(value, str):
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):
            near = meant(value, available_timezones()) if value else ""
            hint = near if "did you mean" in near else "; write one such as Europe/Berlin"
            raise ValueError(f"{found(value)} is no time zone known here{hint}") from None
        return value
    raise ValueError(f"{found(value)} is no time zone; write one such as Europe/Berlin")


def _range(word: str) -> Iterator[int]:
    """Yield the days of ``mon`` or ``fri-mon``; a range may run over Sunday."""
    ends = [_day(name.strip(), word) for name in word.split("-", 1)]
    for step in range((ends[-1] - ends[0]) % len(DAYS) + 1):
        yield (ends[0] + step) % len(DAYS)


def _day(name: str, word: str) -> int:
    for number, day in enumerate(DAYS):
        if name.casefold() == day:
            return number
    raise ValueError(
        f"{found(word)} is no day of the week; write {', '.join(DAYS)}, or a range such as mon-fri"
    )
