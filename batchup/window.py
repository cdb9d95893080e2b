"""The hours in which work may start: from a clock on the wall to moments, and back to words.

A time of day stands for the first moment at which its clock shows that time or a later one. Where the clock is put
forward over an opening's start or end, that is the moment of the change. Where it is put back and shows a time twice,
the first of the two counts: an opening goes on through the repeated hour or does not come back in it, but is never cut
in two. The night of the change is an hour shorter or longer by that.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from math import ceil, inf
from zoneinfo import ZoneInfo

from batchup.manifest import Window as Section
from batchup.manifest.moments import DAYS
from batchup.manifest.quantities import format_duration

NEVER = datetime(9999, 12, 30, tzinfo=UTC)
"""When a window closes that is always open. Every zone can still show it."""

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Openings on some days of the week. One over midnight belongs to the day on which it begins.

    Openings that follow each other without a gap are one: whole days from Monday to Friday close on Saturday.

    Attributes:
        start: On a wall clock.
        end: Likewise; on the next day where it is not after *start*.
        days: From Monday, 0. At least one.
        zone: Of the clock; None is the machine's own, as its C library knows it: with the rules of ``TZ`` or
            ``/etc/localtime``, also where those have no name, and in every year.
    """

    start: time
    end: time
    days: tuple[int, ...]
    zone: ZoneInfo | None = None

    @classmethod
    def of(cls, section: Section) -> "Window":
        """Return what a manifest's ``run.window`` means."""
        zone = ZoneInfo(section.zone) if section.zone else None
        return cls(section.hours.start, section.hours.end, section.days, zone)

    def closes(self, at: datetime) -> datetime | None:
        """Return the end, in UTC, of the opening that *at* is in, ``NEVER`` where it has none; None while closed.

        Args:
            at: Aware. An opening's first moment is in it, its end is not.
        """
        if self._always:
            return NEVER
        start, end = self._next(at)
        return end if start <= at else None

    def opens(self, at: datetime) -> datetime:
        """Return the first moment from *at* on, in UTC, at which the window is open: *at* itself if it is.

        Args:
            at: Aware.
        """
        start = at if self._always else self._next(at)[0]
        return max(start, at).astimezone(UTC)

    @property
    def longest_s(self) -> float:
        """Seconds that the longest opening lasts in a week without changes of the clock; ``inf`` if it never ends."""
        if self._always:
            return inf
        if self.start != self.end:
            start, end = (timedelta(hours=one.hour, minutes=one.minute) for one in (self.start, self.end))
            return ((end - start) % DAY).total_seconds()
        in_a_row = (next(n for n in count(1) if (day + n) % 7 not in self.days) for day in self.days)
        return max(in_a_row) * DAY.total_seconds()

    def line(self, at: datetime) -> str:
        """Return how the window stands at *at*, for a person.

        ``the window is closed until Tue 22:00 (in 3h12m)``: by the window's own clock, which is named if the manifest
        names it.

        Args:
            at: Aware.
        """
        end = self.closes(at)
        if end == NEVER:
            return "the window is always open"
        if end is not None:
            return f"the window is open until {self._moment_text(end, at)} (for {_rounded(end - at)})"
        start = self.opens(at)
        return f"the window is closed until {self._moment_text(start, at)} (in {_rounded(start - at)})"

    def __str__(self) -> str:
        end = "24:00" if self.end == time() else f"{self.end:%H:%M}"
        days = "" if len(self.days) == len(DAYS) else f" {_days_text(self.days)}"
        return f"{self.start:%H:%M}-{end}{days} {self.zone or 'local time'}"

    @property
    def _always(self) -> bool:
        return self.start == self.end and len(self.days) == len(DAYS)

    def _next(self, at: datetime) -> tuple[datetime, datetime]:
        """Return start and end of the first opening that ends after *at*; the start may be cut where it is long past."""
        openings = self._openings(self._shown(at).date() - DAY)
        return next((start, end) for start, end in openings if end > at)

    def _openings(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """Yield start and end of all openings that begin on *day* or later."""
        whole: tuple[datetime, datetime] | None = None
        for start, end in self._single(day):
            if whole is not None and whole[1] == start:
                whole = whole[0], end
            else:
                if whole is not None:
                    yield whole
                whole = start, end

    def _single(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """Yield each day's own opening, from *day* on."""
        last = timedelta(0) if self.start < self.end else DAY
        for today in (day + DAY * number for number in count()):
            if today.weekday() in self.days:
                start = self._moment(datetime.combine(today, self.start))
                end = self._moment(datetime.combine(today + last, self.end))
                # The clock may be put forward over the whole of it.
                if start < end:
                    yield start, end

    def _moment(self, shown: datetime) -> datetime:
        """Return the first moment, in UTC, at which the wall clock shows *shown* (naive) or later."""
        readings = (shown.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        first, last = sorted(readings)  # the machine's own clock and zoneinfo do not agree which is which
        if self._shown(first) == shown:
            return first
        # The clock is put forward over it, between what its new rules and its old ones make of it.
        # https://peps.python.org/pep-0495/#conversion-from-naive-to-aware, read 2026-11
        seconds = range(int((last - first).total_seconds()))
        skipped_s = bisect_left(seconds, shown, key=lambda s: self._shown(first + timedelta(seconds=s)))
        return first + timedelta(seconds=skipped_s)

    def _shown(self, at: datetime) -> datetime:
        """Return what the wall clock shows at *at*, naive."""
        return at.astimezone(self.zone).replace(tzinfo=None)

    def _moment_text(self, moment: datetime, at: datetime) -> str:
        shown = self._shown(moment)
        # A week ahead the day's name says today.
        far = shown.date() - self._shown(at).date() >= 7 * DAY
        month = f" {shown:%Y-%m-%d}" if far else ""
        zone = f" {self.zone}" if self.zone else ""
        return f"{DAYS[shown.weekday()].capitalize()}{month} {shown:%H:%M}{zone}"


def _rounded(length: timedelta) -> str:
    """Return *length* in whole minutes, rounded up: nobody comes back too early."""
    return format_duration(ceil(length.total_seconds() / 60) * 60)


def _days_text(days: tuple[int, ...]) -> str:
    """Return *days*, sorted, as a manifest may say them: ``mon-fri``, ``mon, wed-fri``."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs)
