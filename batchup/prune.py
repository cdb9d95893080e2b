"""Prune: makes a ledger forget its orphans, but never what they cost."""

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from batchup import events
from batchup.bill import Charges
from batchup.history import IN_FLIGHT, History, State
from batchup.ledger import disk
from batchup.ledger.disk import explained
from batchup.ledger.format import encode, pack
from batchup.ledger.lock import locked
from batchup.ledger.view import check, open_view, opened, read_ledger
from batchup.task import ID_BYTES

_ENDED = frozenset(State) - IN_FLIGHT - {State.HELD}


class Pruned(msgspec.Struct, frozen=True):
    """What pruning did.

    Attributes:
        forgotten: Number of tasks.
        kept_usd: What they cost; that stays in the books.
        unsettled: Orphans that stay since they are in flight or held, or may have been charged more than is known.
        needed: Orphans that stay since the job's own tasks rest on what they wrote or paid.
    """

    forgotten: int = 0
    kept_usd: Decimal = Decimal(0)
    unsettled: int = 0
    needed: int = 0


def prune(path: Path, now: datetime) -> Pruned:
    """Forget the orphans of the ledger *path*: the tasks that the manifest no longer made when it was run last. Blocks.

    What they cost, and their requests' ids, stay. Whenever the machine stops, the ledger is the old one or the whole
    new one.

    Raises:
        LedgerError: It is in use, damaged, missing or some other file.
        FatalError: There is no room for the new one; the old one stays.
    """
    real = Path(os.path.realpath(path))
    with opened(real) as file:
        check(path, file)
    with locked(real), explained(path):
        with open_view(real) as view:
            history = History(view.read_line).fold(view.replay())
            candidates = {task for task, _ in history.orphans()}
            ended = candidates & _ended(history)
            gone = ended - _needed(history, ended)
        if not gone:
            return Pruned(unsettled=len(candidates - ended), needed=len(ended))
        memory = _Memory(gone, now)
        disk.replace(real, map(encode, pack(memory.without(read_ledger(real)))))
    return Pruned(len(gone), memory.kept_usd, len(candidates - ended), len(ended - gone))


def _ended(history: History) -> set[str]:
    """Return the orphans of which everything is known that will ever be."""
    unsettled = {task for task, _, _ in history.unsettled()}
    return {task for task, one in history.orphans() if one.state in _ENDED and task not in unsettled}


def _needed(history: History, ended: set[str]) -> set[str]:
    """Return those of *ended* that the others rest on.

    An output that was copied is fetched again by what its original paid for, and a name that an orphan's output has
    is known to be this job's own until the task that has the name now is done.
    """
    names: set[str] = set()
    origins: list[str] = []
    for key, record in history.records.items():
        if key.hex() in ended:
            continue
        done = history.done(record) if record.state is State.DONE else None
        seen = None if done else history.seen(record)
        if done is not None and done.copied_from:
            origins.append(done.copied_from)
        elif seen is not None:
            names.add(seen.output)
    needed = {task for task in ended if (done := _done(history, task)) and done.output in names}
    origins += needed
    while origins:
        task = origins.pop()
        if task in ended:
            needed.add(task)
            done = _done(history, task)
            if done is not None and done.copied_from not in {"", *needed}:
                origins.append(done.copied_from)
    return needed


def _done(history: History, task: str) -> events.Done | None:
    record = history.get(task)
    return None if record is None else history.done(record)


class _Memory:
    """What is remembered of tasks that are forgotten.

    Attributes:
        kept_usd: What they cost; known once all lines were read.
    """

    def __init__(self, gone: set[str], now: datetime) -> None:
        self.kept_usd = Decimal(0)
        self._gone, self._now = gone, now
        self._charges = Charges()
        self._models: dict[str, str] = {}
        self._requests: dict[tuple[str, int], str] = {}

    def without(self, lines: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
        """Yield all lines but those of the forgotten, and then what those cost."""
        for _, line in lines:
            event = events.decode(line)
            if getattr(event, "id", "") in self._gone:
                self._take(event)
            else:
                yield line
        yield from map(events.encode, self._costs())

    def _take(self, event: events.AnyEvent) -> None:
        self._charges.add(event)
        if isinstance(event, events.Seen):
            self._models[event.id] = event.model
        elif isinstance(event, events.Submitted | events.Audited) and event.request_id:
            self._requests[event.id, event.attempt] = event.request_id
        elif isinstance(event, events.Result | events.Done) and event.charged_usd:
            self._requests.setdefault((event.id, event.attempt), "")

    def _costs(self) -> Iterator[events.Audited]:
        for (task, attempt), request_id in self._requests.items():
            charged_usd = self._charges.of(task, attempt)
            self.kept_usd += charged_usd
            # An id that is nobody's: the task itself may come back, and is paid for anew then.
            name = f"{task}\n{attempt}\n{self._now.isoformat()}".encode()
            yield events.Audited(
                id=hashlib.sha256(name).hexdigest()[: 2 * ID_BYTES],
                attempt=attempt,
                request_id=request_id,
                charged_usd=charged_usd,
                model=self._models.get(task, ""),
                at=self._now,
            )
