"""How a job stands, in numbers: what ``status`` and the end of a run show."""

from decimal import Decimal
from itertools import islice
from typing import Literal

import msgspec

from batchup.events import Failed
from batchup.history import IN_FLIGHT, History, Record, State
from batchup.terminal import count

MAX_FAILURES = 10


class Tasks(msgspec.Struct, frozen=True):
    """Numbers of tasks. *total* is all but *skipped* and *orphaned*."""

    total: int
    done: int
    failed: int
    held: int
    in_flight: int
    pending: int
    skipped: int
    orphaned: int

    def words(self, last: Literal["skipped", "orphaned"]) -> str:
        """Return in words how many are done, and how many are in each other state that any is in, *last* among them."""
        parts = [f"{self.done:,} of {count(self.total, 'task')} done"]
        for word in ("failed", "held", "in_flight", "pending", last):
            number = getattr(self, word)
            parts += [f"{number:,} {word.replace('_', ' ')}"] if number else []
        return ", ".join(parts)


class Cost(msgspec.Struct, frozen=True):
    """Amounts in USD; *budget* is None where there is no cap."""

    estimated: float
    charged: float
    reserved: float
    budget: float | None


class Failure(msgspec.Struct, frozen=True):
    """A task that failed, as people know it."""

    input: str
    kind: str
    message: str


class Summary(msgspec.Struct, frozen=True):
    """The document that ``status --json`` and ``run --json`` print.

    Attributes:
        stopped: None, or why the run ended early: ``budget``, ``window``, ``limit``, ``failures``,
            ``interrupted``, ``account``, ``disk``.
        failures: Class of error -> number of failed tasks.
        failed: The first :data:`MAX_FAILURES` failed tasks.
        skipped: Reason -> number of inputs and tasks left out.
    """

    job: str
    stopped: str | None
    tasks: Tasks
    cost_usd: Cost
    failures: dict[str, int]
    failed: list[Failure]
    skipped: dict[str, int]
    elapsed_s: float


def summarise(history: History) -> Summary:
    """Return how the job of this history stands."""
    counts = history.counts()
    money = history.money
    return Summary(
        job=history.job,
        stopped=history.stopped,
        tasks=Tasks(
            total=counts.total(),
            done=counts[State.DONE],
            failed=counts[State.FAILED],
            held=counts[State.HELD],
            in_flight=sum(counts[state] for state in IN_FLIGHT),
            pending=counts[State.PENDING],
            skipped=sum(history.skipped.values()),
            orphaned=sum(1 for _ in history.orphans()),
        ),
        cost_usd=Cost(
            estimated=dollars(money.estimated),
            charged=dollars(money.charged),
            reserved=dollars(money.reserved),
            budget=None if history.budget_usd is None else dollars(history.budget_usd),
        ),
        failures=dict(history.failures().most_common()),
        failed=[_failure(history, record) for record in islice(history.failed(), MAX_FAILURES)],
        skipped=dict(sorted(history.skipped.items())),
        elapsed_s=round(history.elapsed_s, 1),
    )


def _failure(history: History, record: Record) -> Failure:
    seen, failed = history.seen(record), history.last(record)
    label = seen.label if seen else ""
    return Failure(label, record.failure, failed.message if isinstance(failed, Failed) else "")


def dollars(amount: Decimal) -> float:
    """JSON has no decimals; a millionth of a dollar is below every price."""
    return float(round(amount, 6))
