"""Books: what each task is expected to cost, has cost, and may cost."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

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
    """Adds up what is told of each task. Tasks are known by their id (16 bytes), submissions by task and number.

    Attributes:
        money: The sums.
    """

    def __init__(self) -> None:
        self.money = Money()
        self._models: dict[str, Money] = {}
        self._estimates: dict[bytes, Decimal] = {}
        self._reserved: dict[bytes, Decimal] = {}
        self._kept: dict[tuple[bytes, int], Decimal] = {}
        # Most tasks have one submission that is charged; what others were charged lies apart.
        self._charged: dict[bytes, tuple[int, Decimal]] = {}
        self._earlier: dict[tuple[bytes, int], Decimal] = {}
        self._billed: set[tuple[bytes, int]] = set()

    def money_of(self, model: str) -> Money:
        """Return what was charged and is reserved for one model's tasks."""
        return self._models.get(model) or Money()

    def estimate(self, key: bytes, amount: str | None, *, add: bool = False) -> None:
        """Count, or no longer count, a task's estimate. Most are 0 and leave no trace."""
        if not add:
            old = self._estimates.pop(key, _NOTHING)
            if old.is_nan():
                self.money.unpriced -= 1
            else:
                self.money.estimated -= old
        elif amount is None:
            self._estimates[key] = Decimal("NaN")
            self.money.unpriced += 1
        elif amount != "0":
            self._estimates[key] = Decimal(amount)
            self.money.estimated += Decimal(amount)

    def charge(self, model: str, key: bytes, attempt: int, amount: Decimal) -> None:
        """Count what one submission cost once, though both its result and its end may tell it.

        What the account's bill has said of it stays.
        """
        if (key, attempt) not in self._billed:
            self._set_charged(model, key, attempt, amount)

    def bill(self, model: str, key: bytes, attempt: int, amount: Decimal) -> None:
        """Count what the account's bill says that one submission cost, in place of what was known."""
        self._set_charged(model, key, attempt, amount)
        if amount:
            self._billed.add((key, attempt))

    def remember(self, model: str, amount: Decimal) -> None:
        """Count what a submission cost whose task was forgotten."""
        self.money.charged += amount
        self._money(model).charged += amount

    def reserve(self, model: str, key: bytes, amount: Decimal) -> None:
        """Have so much in reserve for a task, in place of what was."""
        old = self._reserved.pop(key, None)
        if amount:
            self._reserved[key] = amount
        if amount or old:
            self._count_reserved(model, amount - (old or _NOTHING))

    def keep(self, key: bytes, attempt: int) -> None:
        """Leave what is reserved for a task reserved for this submission, whatever becomes of the task.

        Nobody knows whether it was paid.
        """
        amount = self._reserved.pop(key, _NOTHING)
        if amount:
            self._kept[key, attempt] = self._kept.get((key, attempt), _NOTHING) + amount

    def let_go(self, model: str, key: bytes, attempt: int) -> bool:
        """Reserve no longer what was kept for one submission; return whether anything was."""
        amount = self._kept.pop((key, attempt), _NOTHING)
        self._count_reserved(model, -amount)
        return bool(amount)

    def reservations(self) -> Iterator[tuple[bytes, int | None, Decimal]]:
        """Yield all that is reserved: task, submission (None for the task's latest), and amount."""
        for (key, attempt), amount in self._kept.items():
            yield key, attempt, amount
        for key, amount in self._reserved.items():
            yield key, None, amount

    def _count_reserved(self, model: str, more: Decimal) -> None:
        if more:
            self.money.reserved += more
            self._money(model).reserved += more

    def _set_charged(self, model: str, key: bytes, attempt: int, amount: Decimal) -> None:
        latest, known = self._charged.get(key, (attempt, _NOTHING))
        if latest == attempt:
            self._charged[key] = attempt, amount
        elif latest < attempt:
            self._earlier[key, latest] = known
            known = self._earlier.pop((key, attempt), _NOTHING)
            self._charged[key] = attempt, amount
        else:
            known = self._earlier.get((key, attempt), _NOTHING)
            self._earlier[key, attempt] = amount
        more = amount - known
        if more:
            self.money.charged += more
            self._money(model).charged += more

    def _money(self, model: str) -> Money:
        found = self._models.get(model)
        if found is None:
            found = self._models[model] = Money()
        return found
