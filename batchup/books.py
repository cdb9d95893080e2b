"""Books: what each task is expected to cost, has cost, and may cost."""

from decimal import Decimal

import msgspec


class Money(msgspec.Struct):
    """Amounts in USD over the whole ledger.

    Attributes:
        estimated: Of all tasks of the job, as far as known.
        charged: Known to have been billed, by every run.
        reserved: In flight, unconfirmed or held.
        unpriced: Number of the job's tasks without a price.
    """

    estimated: Decimal = Decimal(0)
    charged: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)
    unpriced: int = 0


class Books:
    """Adds up what is told of each task. Tasks are known by their id (16 bytes).

    Attributes:
        money: The sums.
    """

    def __init__(self) -> None:
        self.money = Money()
        self._estimates: dict[bytes, Decimal] = {}
        self._reserved: dict[bytes, Decimal] = {}
        self._charged: dict[bytes, tuple[int, Decimal]] = {}

    def estimate(self, key: bytes, amount: str | None, *, add: bool = False) -> None:
        """Count, or no longer count, a task's estimate. Most are 0 and leave no trace."""
        if not add:
            old = self._estimates.pop(key, Decimal(0))
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

    def charge(self, key: bytes, attempt: int, amount: Decimal) -> None:
        """Count what one submission cost once, though both its result and its end may tell it."""
        known_attempt, known = self._charged.get(key, (attempt, Decimal(0)))
        self.money.charged += amount - (known if known_attempt == attempt else 0)
        self._charged[key] = (attempt, amount)

    def reserve(self, key: bytes, amount: Decimal) -> None:
        """Have so much in reserve for a task, in place of what was."""
        self.money.reserved += amount - self._reserved.pop(key, Decimal(0))
        if amount:
            self._reserved[key] = amount

    def keep(self, key: bytes) -> None:
        """Leave what is reserved for a task reserved, whatever becomes of it: nobody knows whether it was paid."""
        self._reserved.pop(key, None)
