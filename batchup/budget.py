"""The budget: reserved before a submission, settled by what was charged, never passed."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from batchup.errors import LeftError
from batchup.history import History


class Budget:
    """A cap on what is charged, in flight, unconfirmed and held, over all runs of a ledger.

    Attributes:
        cap_usd: None where there is none.
        refused: Whether a task did not fit any more.
    """

    def __init__(self, cap_usd: Decimal | None, history: History) -> None:
        self.cap_usd = cap_usd
        self.refused = False
        self._history = history
        self._asked_usd = Decimal(0)

    def fits(self, price_usd: Decimal | None) -> bool:
        """Return whether a price is covered now."""
        if self.cap_usd is None or price_usd == 0:
            return True
        money = self._history.money
        taken_usd = money.charged + money.reserved + self._asked_usd
        fits = price_usd is not None and taken_usd + price_usd <= self.cap_usd
        self.refused |= not fits
        return fits

    @contextmanager
    def reserve(self, price_usd: Decimal | None) -> Iterator[None]:
        """Hold a price while the block makes its reservation durable; from then on the history counts it.

        Nothing is awaited between the look and the hold, so that however many ask at once, they never pass the cap
        together.

        Raises:
            LeftError: It does not fit, or has no price. The task stays pending.
        """
        if not self.fits(price_usd):
            raise LeftError("the budget does not cover it", kind="budget")
        held_usd = price_usd or Decimal(0)
        self._asked_usd += held_usd
        try:
            yield
        finally:
            self._asked_usd -= held_usd
