"""Books: what each task is expected to cost, has cost, and may cost."""

from array import array
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from batchup.amounts import Amounts

_NOTHING = Decimal(0)


class Money(msgspec.Struct):
    """Amounts in USD over the whole ledger.

    Attributes:
        estimated: Of all tasks of the job, as far as known. Not told of single models.
        charged: Known to have been billed, by every run.
        reserved: In flight, unconfirmed or held.
        unpriced: Number of the job's tasks without a price. Not told of single models.
    """

    estimated: Decimal = _NOTHING
    charged: Decimal = _NOTHING
    reserved: Decimal = _NOTHING
    unpriced: int = 0


class Books:
    """Adds up what is told of each task. Tasks are known by their number, submissions by task and attempt.

    What most tasks have lies in columns, what few have in dicts.

    Attributes:
        money: The sums.
    """

    def __init__(self) -> None:
        self.money = Money()
        self._models: dict[str, Money] = {}
        self._estimates = Amounts()
        self._reserved: dict[int, Decimal] = {}
        self._kept: dict[tuple[int, int], Decimal] = {}
        # Most tasks have one submission that is charged; what others were charged lies apart.
        self._charged = Amounts()
        self._latest = array("I")
        self._earlier: dict[tuple[int, int], Decimal] = {}
        self._billed: set[tuple[int, int]] = set()

    def money_of(self, model: str) -> Money:
        """Return what was charged and is reserved for one model's tasks."""
        return self._models.get(model) or Money()

    def charged(self, task: int) -> Decimal:
        """Return what all submissions of a task were charged."""
        latest, usd = self._charge_of(task)
        if not self._earlier:
            return usd
        return sum((self._earlier.get((task, attempt), _NOTHING) for attempt in range(latest)), usd)

    def estimate(self, task: int, amount: str | None) -> None:
        """Count a task's estimate, which has none so far; None where there is no price."""
        if amount is None:
            self._estimates[task] = Decimal("NaN")
            self.money.unpriced += 1
        elif amount != "0":
            self._estimates[task] = usd = Decimal(amount)
            self.money.estimated += usd

    def forget_estimate(self, task: int) -> None:
        """No longer count a task's estimate."""
        old = self._estimates[task]
        if old.is_nan():
            self.money.unpriced -= 1
        else:
            self.money.estimated -= old
        self._estimates[task] = _NOTHING

    def charge(self, model: str, task: int, attempt: int, amount: Decimal) -> None:
        """Count what one submission cost once, though both its result and its end may tell it.

        What the account's bill has said of it stays.
        """
        if (task, attempt) not in self._billed:
            self._set_charged(model, task, attempt, amount)

    def bill(self, model: str, task: int, attempt: int, amount: Decimal) -> None:
        """Count what the account's bill says that one submission cost, in place of what was known."""
        self._set_charged(model, task, attempt, amount)
        if amount:
            self._billed.add((task, attempt))

    def reserves(self, task: int) -> bool:
        """Return whether anything is in reserve for a task, apart from what is kept."""
        return task in self._reserved

    def remember(self, model: str, amount: Decimal) -> None:
        """Count what a submission cost whose task was forgotten."""
        self.money.charged += amount
        self._money(model).charged += amount

    def reserve(self, model: str, task: int, amount: Decimal) -> None:
        """Have so much in reserve for a task, in place of what was."""
        old = self._reserved.pop(task, None)
        if amount:
            self._reserved[task] = amount
        if amount or old:
            self._count_reserved(model, amount - (old or _NOTHING))

    def keep(self, task: int, attempt: int) -> None:
        """Leave what is reserved for a task reserved for this submission, whatever becomes of the task.

        Nobody knows whether it was paid.
        """
        amount = self._reserved.pop(task, _NOTHING)
        if amount:
            self._kept[task, attempt] = self._kept.get((task, attempt), _NOTHING) + amount

    def let_go(self, model: str, task: int, attempt: int) -> bool:
        """Reserve no longer what was kept for one submission; return whether anything was."""
        amount = self._kept.pop((task, attempt), _NOTHING)
        self._count_reserved(model, -amount)
        return bool(amount)

    def reservations(self) -> Iterator[tuple[int, int | None, Decimal]]:
        """Yield all that is reserved: task, submission (None for the task's latest), and amount."""
        for (task, attempt), amount in self._kept.items():
            yield task, attempt, amount
        for task, amount in self._reserved.items():
            yield task, None, amount

    def _count_reserved(self, model: str, more: Decimal) -> None:
        if more:
            self.money.reserved += more
            self._money(model).reserved += more

    def _set_charged(self, model: str, task: int, attempt: int, amount: Decimal) -> None:
        latest, known = self._charge_of(task)
        if latest < attempt:
            if known:
                self._earlier[task, latest] = known
            known = self._earlier.pop((task, attempt), _NOTHING)
        elif latest > attempt:
            known = self._earlier.get((task, attempt), _NOTHING)
        if latest > attempt:
            self._earlier[task, attempt] = amount
        elif latest < attempt or amount != known:
            self._latest[task], self._charged[task] = attempt, amount
        more = amount - known
        if more:
            self.money.charged += more
            self._money(model).charged += more

    def _charge_of(self, task: int) -> tuple[int, Decimal]:
        """Return the latest submission that was charged, and how much; attempt 0 where there is none."""
        if task >= len(self._latest):
            self._latest.frombytes(bytes(self._latest.itemsize * (task + 1 - len(self._latest))))
        return self._latest[task], self._charged[task]

    def _money(self, model: str) -> Money:
        found = self._models.get(model)
        if found is None:
            found = self._models[model] = Money()
        return found
