"""A ledger's lines → Report."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime

import msgspec

from batchup.history import History
from batchup.report.advice import advice
from batchup.report.entries import Entries
from batchup.report.headline import headline
from batchup.report.model import Entry, Failures, Moments, Report, Session, Spending, Totals
from batchup.summary import summarise
from batchup.ticker import heeded
from batchup.version import __version__

EXAMPLES = 5
"""Failures of one class that are told with their message."""


def read(
    lines: Iterable[tuple[int, bytes]],
    read_line: Callable[[int], bytes],
    now: datetime,
    running: str | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Report:
    """Return what a ledger tells.

    Args:
        lines: All of the ledger's, with their offsets.
        read_line: Returns the line at an offset.
        now: Aware.
        running: Who holds the ledger's lock.
        told: Called now and then with the offset that was reached, twice from the ledger's beginning to its end.

    The report reads its entries when they are asked for: *read_line* must go on to answer as long as it is used.

    Raises:
        LedgerError: The ledger is damaged.
    """
    history, times = History(read_line), _Times()
    history.fold(times.watch(heeded(lines, told), history))
    entries, tally = Entries(history), _Tally()
    for entry in entries.heeded(told):
        tally.add(entry)
    summary = summarise(history)
    sessions = times.sessions()
    elapsed_s = round(sum((one.ended_at - one.began_at).total_seconds() for one in sessions), 1)
    return Report(
        headline=headline(summary, elapsed_s, running=running is not None, ended=history.ended),
        made_at=now,
        version=__version__,
        running=running,
        elapsed_s=elapsed_s,
        summary=summary,
        models=tuple(tally.models()),
        failures=tuple(tally.failures()),
        sessions=sessions,
        spent=times.spent,
        entries=entries,
        done_at=tally.at["done"],
        failed_at=tally.at["failed"],
    )


class _Moment(msgspec.Struct, gc=False):
    """The fields of any event that tell when something happened."""

    event: str
    at: datetime


class _Times:
    """When runs began and ended, and when money was spent.

    Attributes:
        spent: What has been charged, each submission once; what an audit has put right is a charge of its own.
    """

    def __init__(self) -> None:
        self.spent = Spending()
        self._runs: list[list[datetime]] = []
        self._decode = msgspec.json.Decoder(_Moment).decode

    def watch(self, lines: Iterable[tuple[int, bytes]], history: History) -> Iterator[tuple[int, bytes]]:
        """Pass a ledger's lines on to *history*, and see by how much each changes what was charged."""
        money = history.money
        charged = money.charged
        for offset, line in lines:
            moment = self._decode(line)
            self._add(moment)
            yield offset, line
            if money.charged is not charged:
                more, charged = money.charged - charged, money.charged
                if more:
                    self.spent.append(moment.at, float(more))

    def _add(self, moment: _Moment) -> None:
        if moment.event == "run" or not self._runs:
            self._runs.append([moment.at, moment.at])
        # What an audit finds out between two runs is part of neither.
        if moment.event != "audited" and moment.at > self._runs[-1][1]:
            self._runs[-1][1] = moment.at

    def sessions(self) -> tuple[Session, ...]:
        """Return the runs, those that did nothing left out."""
        return tuple(Session(began, ended) for began, ended in self._runs if ended > began)


@dataclass(slots=True)
class _Sum:
    """What one model has done so far; as :class:`Totals`."""

    tasks: int = 0
    done: int = 0
    failed: int = 0
    estimated_usd: float = 0.0
    charged_usd: float = 0.0
    pixels: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Failed:
    """Failures of one class so far; as :class:`Failures`."""

    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


class _Tally:
    """What all tasks come to, one after the other.

    Attributes:
        at: When tasks were done, and when they failed.
    """

    def __init__(self) -> None:
        self.at = {"done": Moments(), "failed": Moments()}
        self._models: dict[str, _Sum] = {}
        self._failed: dict[str, _Failed] = {}

    def add(self, entry: Entry) -> None:
        """Count a task."""
        one = self._models.get(entry.model)
        if one is None:
            one = self._models[entry.model] = _Sum()
        one.tasks += 1
        one.estimated_usd += entry.estimated_usd or 0.0
        one.charged_usd += entry.charged_usd
        if entry.state in self.at:
            self.at[entry.state].append(entry.at)
        if entry.state == "done":
            one.done += 1
            one.pixels += entry.width * entry.height
            one.seconds += entry.seconds
        elif entry.state == "failed":
            one.failed += 1
            self._fail(entry)

    def _fail(self, entry: Entry) -> None:
        failed = self._failed.setdefault(entry.error, _Failed())
        failed.count += 1
        if len(failed.examples) < EXAMPLES:
            failed.examples.append((entry.label, entry.message))

    def models(self) -> Iterator[Totals]:
        """Yield what each model has done."""
        return (Totals(model=model, **asdict(one)) for model, one in self._models.items())

    def failures(self) -> Iterator[Failures]:
        """Yield the failures by class, the most frequent first."""
        for kind, one in sorted(self._failed.items(), key=lambda item: -item[1].count):
            yield Failures(kind, one.count, advice(kind), tuple(one.examples))
