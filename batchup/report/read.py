"""A ledger's lines → Report."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal

import msgspec

from batchup import events
from batchup.bill import Charges
from batchup.history import IN_FLIGHT, History, Record
from batchup.report.advice import advice
from batchup.report.headline import headline
from batchup.report.model import Entry, Failures, Report, Session, Spent, Totals
from batchup.summary import summarise
from batchup.ticker import heeded
from batchup.version import __version__

TICK_EVERY = 1000

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

    Raises:
        LedgerError: The ledger is damaged.
    """
    charges, times = Charges(), _Times()
    history = History(read_line).fold(times.watch(charges.watch(heeded(lines, told))))
    entries = tuple(_entries(history, charges, told))
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
        models=tuple(_totals(entries)),
        failures=tuple(_failures(entries)),
        sessions=sessions,
        spent=tuple(times.spent),
        entries=entries,
    )


class _Moment(msgspec.Struct, gc=False):
    """The fields of any event that tell when something happened, and what it cost."""

    event: str
    at: datetime
    id: str = ""
    attempt: int = 1
    charged_usd: str | None = None


class _Times:
    """When runs began and ended, and when money was spent.

    Attributes:
        spent: What has been charged, each submission once; what an audit has put right is a charge of its own.
    """

    def __init__(self) -> None:
        self.spent: list[Spent] = []
        self._runs: list[list[datetime]] = []
        self._known: dict[tuple[str, int], Decimal] = {}
        self._decode = msgspec.json.Decoder(_Moment).decode

    def watch(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Pass a ledger's lines on."""
        for offset, line in lines:
            self._add(self._decode(line))
            yield offset, line

    def _add(self, moment: _Moment) -> None:
        if moment.event == "run" or not self._runs:
            self._runs.append([moment.at, moment.at])
        # What an audit finds out between two runs is part of neither.
        if moment.event != "audited":
            self._runs[-1][1] = max(self._runs[-1][1], moment.at)
        if moment.charged_usd is not None and moment.event in {"result", "done", "audited"}:
            known = self._known.get((moment.id, moment.attempt), Decimal(0))
            usd = Decimal(moment.charged_usd)
            # A done line repeats what its result has told, and may know less.
            if usd != known and (usd or moment.event == "audited"):
                self._known[moment.id, moment.attempt] = usd
                self.spent.append(Spent(moment.at, float(usd - known)))

    def sessions(self) -> tuple[Session, ...]:
        """Return the runs, those that did nothing left out."""
        return tuple(Session(began, ended) for began, ended in self._runs if ended > began)


def _entries(history: History, charges: Charges, told: Callable[[int], None]) -> Iterator[Entry]:
    for number, (key, record) in enumerate(history.records.items()):
        if number % TICK_EVERY == 0:
            told(record.seen)
        seen = None if record.orphaned else history.seen(record)
        if seen is not None:
            usd = float(charges.of(key.hex()))
            yield _entry(record, seen, history.last(record), usd)


def _entry(record: Record, seen: events.Seen, last: events.AnyEvent | None, charged_usd: float) -> Entry:
    done = last if isinstance(last, events.Done) else None
    told = last if isinstance(last, events.Failed | events.Held) else None
    return Entry(
        id=seen.id,
        state="in flight" if record.state in IN_FLIGHT else record.state.name.lower(),
        root=seen.root,
        path=seen.path,
        url=seen.url,
        model=seen.model,
        params=seen.params,
        output=done.output if done else seen.output,
        kind=seen.kind,
        width=done.width if done else seen.width,
        height=done.height if done else seen.height,
        size_bytes=done.size_bytes if done else 0,
        estimated_usd=None if seen.estimated_usd is None else float(seen.estimated_usd),
        charged_usd=charged_usd,
        attempts=record.attempts,
        error=record.failure,
        message=told.message if told else "",
        seconds=round(done.seconds, 3) if done else 0.0,
        unexpected_size=done.unexpected_size if done else False,
        at=(last or seen).at,
    )


def _totals(entries: tuple[Entry, ...]) -> Iterator[Totals]:
    by_model: dict[str, list[Entry]] = {}
    for entry in entries:
        by_model.setdefault(entry.model, []).append(entry)
    for model, all_ in by_model.items():
        done = [entry for entry in all_ if entry.state == "done"]
        yield Totals(
            model=model,
            tasks=len(all_),
            done=len(done),
            failed=sum(entry.state == "failed" for entry in all_),
            estimated_usd=sum(entry.estimated_usd or 0.0 for entry in all_),
            charged_usd=sum(entry.charged_usd for entry in all_),
            pixels=sum(entry.width * entry.height for entry in done),
            seconds=sum(entry.seconds for entry in done),
        )


def _failures(entries: tuple[Entry, ...]) -> Iterator[Failures]:
    failed = [entry for entry in entries if entry.state == "failed"]
    for kind, number in Counter(entry.error for entry in failed).most_common():
        those = [(entry.label, entry.message) for entry in failed if entry.error == kind]
        yield Failures(kind, number, advice(kind), tuple(those[:EXAMPLES]))
