"""What a report tells, as frozen values. All texts are as the ledger has them: whoever shows them makes them harmless."""

from array import array
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from batchup.source import Source
from batchup.summary import Summary
from batchup.task import Scalar


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One task of the job.

    Attributes:
        state: ``pending``, ``done``, ``failed``, ``held`` or ``in flight``.
        root: Of the input, as the manifest writes it; likewise *path* below it, and *url*. Path texts, as *output*.
        params: Those that differ from the model's defaults.
        output: Below the manifest's ``output.dir``.
        kind: ``image`` or ``video``; empty where nobody has looked.
        width: Of the output, in pixels; as expected until it is done; 0 where unknown. Likewise *height*.
        size_bytes: Of the output; 0 until it is done.
        estimated_usd: None where it is unknown.
        charged_usd: By all attempts.
        error: Class of the error, where it failed.
        message: What was said then, or when it was held.
        seconds: That the attempt took.
        at: When its state was made.
    """

    id: str
    state: str
    root: str
    path: str
    url: str
    model: str
    params: Mapping[str, Scalar]
    output: str
    kind: str
    width: int
    height: int
    size_bytes: int
    estimated_usd: float | None
    charged_usd: float
    attempts: int
    error: str
    message: str
    seconds: float
    unexpected_size: bool
    at: datetime

    @property
    def label(self) -> str:
        """How people know the input: its URL, or its root and path."""
        return Source(root=self.root, path=self.path, url=self.url).label

    @property
    def folder(self) -> str:
        """The folder of the label; of a URL its host."""
        if self.url:
            return self.url.split("/")[2] if self.url.count("/") > 1 else self.url
        return self.label.rpartition("/")[0]


class Session(msgspec.Struct, frozen=True):
    """One run, from its beginning to its end, or to the last that was heard of it."""

    began_at: datetime
    ended_at: datetime


class Spent(msgspec.Struct, frozen=True):
    """An amount that was charged, and when that was known."""

    at: datetime
    usd: float


class Moments:
    """Moments in the order in which they were told, to the microsecond, at eight bytes each."""

    def __init__(self) -> None:
        self._seconds = array("d")

    def __len__(self) -> int:
        return len(self._seconds)

    def append(self, at: datetime) -> None:
        """Add an aware moment."""
        self._seconds.append(at.timestamp())

    def __iter__(self) -> Iterator[datetime]:
        return (datetime.fromtimestamp(seconds, UTC) for seconds in self._seconds)


class Spending:
    """All charges in order, at sixteen bytes each."""

    def __init__(self) -> None:
        self._at, self._usd = Moments(), array("d")

    def __len__(self) -> int:
        return len(self._usd)

    def append(self, at: datetime, usd: float) -> None:
        """Add a charge."""
        self._at.append(at)
        self._usd.append(usd)

    def __iter__(self) -> Iterator[Spent]:
        return map(Spent, self._at, self._usd)


class Tasks(Sized, Protocol):
    """Entries that are read when they are asked for."""

    def __iter__(self) -> Iterator[Entry]: ...
    def __getitem__(self, place: int, /) -> Entry: ...
    def foremost(self, most: int) -> "Tasks":
        """Return no more than so many, those that a person would look at first."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What one model has done.

    Attributes:
        pixels: Of all its outputs, one frame of each.
        seconds: That its done tasks took, together.
    """

    model: str
    tasks: int
    done: int
    failed: int
    estimated_usd: float
    charged_usd: float
    pixels: int
    seconds: float


class Failures(msgspec.Struct, frozen=True):
    """Tasks that failed for the same reason.

    Attributes:
        kind: Class of the error.
        count: Of tasks.
        advice: What to do about them, a sentence or two.
        examples: The first of them: input and message.
    """

    kind: str
    count: int
    advice: str
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that a report tells.

    Attributes:
        headline: What happened, in a sentence.
        made_at: When this was told.
        running: Who is running it now; None if nobody is.
        elapsed_s: That all runs took together.
        sessions: All runs, in order.
        spent: All charges, in order.
        failures: The most frequent first.
        entries: All tasks of the job but orphans, as they were first seen.
        done_at: When those that are done were, as listed; *failed_at* likewise.
    """

    headline: str
    made_at: datetime
    version: str
    running: str | None
    elapsed_s: float
    summary: Summary
    models: tuple[Totals, ...]
    failures: tuple[Failures, ...]
    sessions: tuple[Session, ...]
    spent: Spending
    entries: Tasks
    done_at: Moments
    failed_at: Moments
