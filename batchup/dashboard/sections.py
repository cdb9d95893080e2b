"""Sections: what the page shows of a job at one moment, each a value of its own, so that only what changed is sent.

All texts are made harmless here. Moments are seconds since 1970, since a browser counts on from them.
"""

from datetime import datetime
from decimal import Decimal
from itertools import islice

import msgspec

from batchup import events, summary
from batchup.control import Live
from batchup.dashboard.board import Board, Tasks
from batchup.dashboard.pictures import Stage
from batchup.history import Record, State
from batchup.report.advice import advice
from batchup.source import Source
from batchup.terminal import escape

MOST_FAILURES = 30
MOST_FRESH = 8
MOST_WAITING = 8
MOST_FLYING = 16

MOVED_S = 3.0
"""A start that is told so much earlier or later is another; less is only the way the message took."""


class Money(msgspec.Struct, frozen=True):
    """Amounts in USD as decimals; *budget* is None where there is no cap."""

    estimated: str
    charged: str
    reserved: str
    budget: str | None


class Pace(msgspec.Struct, frozen=True):
    """How fast it goes: tasks a second, seconds to the end; None while nobody can tell."""

    per_s: float | None
    left_s: float | None


class Stand(msgspec.Struct, frozen=True):
    """Whether a run is going on, and what it does.

    Attributes:
        stage: As :attr:`batchup.control.Live.stage`; ``none`` where no run can be asked.
        why: What it waits for; where there is none, why the buttons do nothing.
        began_at: Of the last run; None before the first.
        waiting: Tasks that this run will still begin.
    """

    stage: str
    why: str
    began_at: float | None
    pid: int = 0
    concurrency: int = 0
    allowed: int = 0
    rate: str = ""
    refused: int = 0
    waiting: int = 0


class Model(msgspec.Struct, frozen=True):
    """What has become of one model's tasks."""

    model: str
    total: int
    done: int
    failed: int
    held: int
    in_flight: int


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task as a list shows it.

    Attributes:
        at: When it came there.
        part: How much of it is done, 0.0 to 1.0.
        kind: Class of the error.
        media: ``image`` or ``video``; empty where nobody knows.
        before: Whether there is a thumbnail of the input; likewise *after* of the output.
        price: What it costs to submit it once more, in USD; empty where nobody knows.
        risk: What an earlier submission may have cost already.
    """

    id: str
    input: str
    model: str
    at: float = 0.0
    part: float = 0.0
    kind: str = ""
    message: str = ""
    advice: str = ""
    media: str = ""
    before: Stage = ""
    after: Stage = ""
    size: str = ""
    seconds: float = 0.0
    price: str = ""
    risk: str = ""


class Sections(msgspec.Struct, frozen=True):
    """Everything about one job."""

    stand: Stand
    counts: summary.Tasks
    money: Money
    pace: Pace
    models: tuple[Model, ...]
    flight: tuple[Item, ...]
    queue: tuple[Item, ...]
    failures: tuple[Item, ...]
    held: tuple[Item, ...]
    fresh: tuple[Item, ...]


class Teller:
    """Makes sections of a board; remembers what does not change."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._items: dict[tuple[State, str, int], Item] = {}
        self._starts: dict[str, float] = {}

    def tell(self, live: Live | None, why_not: str, now: datetime) -> Sections:
        """Return how things stand.

        Args:
            live: What the run says; None where none can be asked.
            why_not: Why, then.
            now: Aware.
        """
        board, before = self._board, self._items
        self._items = {}
        counts = self._counts(live)
        return Sections(
            stand=self._stand(live, why_not),
            counts=counts,
            money=self._money(live),
            pace=self._pace(live, now),
            models=self._models(),
            flight=self._flight(live, now, before),
            queue=self._queue(live, before),
            failures=self._list(board.latest(State.FAILED, MOST_FAILURES), State.FAILED, before),
            held=self._list(board.latest(State.HELD, MOST_FAILURES), State.HELD, before),
            fresh=self._list(board.latest(State.DONE, MOST_FRESH), State.DONE, before),
        )

    def _counts(self, live: Live | None) -> summary.Tasks:
        board, number = self._board, self._board.number
        # What is prepared, and all that is done on this machine, is under way before the ledger tells of it.
        begun = sum(board.waits(one.id) for one in live.in_flight) if live else 0
        return summary.Tasks(
            total=board.total,
            done=number(State.DONE),
            failed=number(State.FAILED),
            held=number(State.HELD),
            in_flight=number(State.SUBMITTED) + begun,
            pending=number(State.PENDING) - begun,
            skipped=sum(board.history.skipped.values()),
            orphaned=len(board.history.records) - board.total,
        )

    def _stand(self, live: Live | None, why_not: str) -> Stand:
        began = self._board.began_at
        began_at = None if began is None else began.timestamp()
        if live is None:
            return Stand("none", escape(why_not), began_at)
        return Stand(
            live.stage,
            escape(live.why),
            began_at,
            live.pid,
            live.concurrency,
            live.allowed,
            live.rate,
            live.refused,
            live.waiting,
        )

    def _money(self, live: Live | None) -> Money:
        money, budget = self._board.history.money, self._board.history.budget_usd
        cap = (None if budget is None else amount(budget)) if live is None else live.budget_usd
        return Money(amount(money.estimated), amount(money.charged), amount(money.reserved), cap)

    def _pace(self, live: Live | None, now: datetime) -> Pace:
        if live is None or live.stage != "run":
            return Pace(None, None)
        per_s = self._board.per_s(now)
        if not per_s:
            return Pace(None, None)
        left = live.waiting + len(live.in_flight)
        # Two digits are what one reads, and what does not change all the time.
        return Pace(float(f"{per_s:.2g}"), float(f"{left / per_s:.2g}"))

    def _models(self) -> tuple[Model, ...]:
        models = self._board.models
        names = dict.fromkeys(name for name, _ in models)
        return tuple(
            Model(
                escape(name),
                sum(models[name, state] for state in State),
                models[name, State.DONE],
                models[name, State.FAILED],
                models[name, State.HELD],
                models[name, State.SUBMITTED],
            )
            for name in names
        )

    def _flight(self, live: Live | None, now: datetime, before: "_Items") -> tuple[Item, ...]:
        if live is None:
            return self._list(self._board.latest(State.SUBMITTED, MOST_FLYING), State.SUBMITTED, before)
        starts: dict[str, float] = {}
        items = []
        for one in live.in_flight[:MOST_FLYING]:
            at = now.timestamp() - one.since_s
            known = self._starts.get(one.id)
            starts[one.id] = known if known is not None and abs(known - at) < MOVED_S else round(at, 1)
            part = round(one.part, 2)
            is_ahead = not one.model.startswith("local/") and self._board.waits(one.id)
            words = "being prepared" if is_ahead else ""
            items.append(
                Item(one.id, escape(one.input), escape(one.model), starts[one.id], part, message=words)
            )
        self._starts = starts
        return tuple(items)

    def _queue(self, live: Live | None, before: "_Items") -> tuple[Item, ...]:
        begun = {one.id for one in live.in_flight} if live else set()
        waiting = (one for one in self._board.next(MOST_WAITING + len(begun)) if one[0] not in begun)
        return self._list(islice(waiting, MOST_WAITING), State.PENDING, before)

    def _list(self, tasks: Tasks, state: State, before: "_Items") -> tuple[Item, ...]:
        return tuple(self._item(task_id, record, state, before) for task_id, record in tasks)

    def _item(self, task_id: str, record: Record, state: State, before: "_Items") -> Item:
        key = state, task_id, record.last
        item = before.get(key) or self._read(task_id, record)
        self._items[key] = item
        return item

    def _read(self, task_id: str, record: Record) -> Item:
        """Read an item from the ledger."""
        history = self._board.history
        seen, last = history.seen(record), history.last(record)
        source = Source(root=seen.root, path=seen.path, url=seen.url) if seen else Source("", task_id)
        told = last if isinstance(last, events.Failed | events.Held) else None
        done = last if isinstance(last, events.Done) else None
        price = seen.estimated_usd if seen else None
        return Item(
            id=task_id,
            input=escape(source.label),
            model=escape(record.model),
            at=last.at.timestamp() if last else 0.0,
            kind=escape(record.failure),
            message=escape(told.message) if told else "",
            advice=_advice(record.failure),
            media=seen.kind if seen else "",
            size=f"{done.width}x{done.height}" if done else "",
            seconds=round(done.seconds, 2) if done else 0.0,
            price="" if price is None else amount(price),
            risk=amount(told.reserved_usd) if told and told.reserved_usd else "",
        )


_Items = dict[tuple[State, str, int], Item]


def _advice(kind: str) -> str:
    """Return what to do about a failure; nothing where there is nothing to say but that one may look at it."""
    found = advice(kind) if kind else ""
    return "" if found == advice("") else found


def amount(usd: Decimal) -> str:
    """Return dollars as the page's script takes them: all digits that count, no exponent."""
    return f"{usd.normalize():f}"
