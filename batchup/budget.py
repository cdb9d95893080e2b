"""The budget: claimed before anything is begun, reserved before a submission, settled by what was charged, never passed."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from enum import Enum

from batchup.bell import Bell
from batchup.books import Money
from batchup.errors import PostponedError
from batchup.events import Done, Event, Result
from batchup.history import History
from batchup.task import Task

Price = Callable[[Task], Decimal | None]
"""Tells what a task is expected to cost, in USD; None where nobody knows."""


class Fit(Enum):
    """Whether something is covered."""

    YES = "yes"
    NOT_BY_MODEL = "not by its model's budget"
    NOT_BY_RUN = "not by the run's budget"


class Budget:
    """Caps on what is charged, in flight, unconfirmed and held, over all runs of a ledger.

    What was begun in this run and is not yet in the ledger counts as well: it is claimed. Nothing is awaited between
    the look and the claim, so that however many ask at once, they never pass a cap together.

    Attributes:
        cap_usd: For the whole job; None where there is none.
        caps_usd: For single models.
        refused: Whether a task was left because it did not fit.
        live: Number of paid steps under way: as long as there are any, more may come to fit.
    """

    def __init__(
        self,
        cap_usd: Decimal | None,
        history: History,
        caps_usd: Mapping[str, Decimal] | None = None,
        *,
        price: Price = lambda task: task.cost_usd,
        bell: Bell | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take the caps.

        Args:
            cap_usd: For the whole job; None for none.
            history: Of the job, as it goes on.
            caps_usd: Model -> cap, within that.
            price: See :data:`Price`.
            bell: Rung when more may have come to fit.
            tell: Called with a sentence when a cap turns out to be passed, because an estimate was wrong.
        """
        self.cap_usd = cap_usd
        self.caps_usd = caps_usd or {}
        self.refused = False
        self.live = 0
        self._price, self._bell, self._tell = price, bell, tell
        self._passed: set[str] = set()
        self._history = history
        self._claims: dict[str, Decimal] = {}
        self._claimed: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._firm: dict[str, tuple[str, Decimal]] = {}  # claims that are just becoming reservations

    def price_usd(self, task: Task) -> Decimal | None:
        """Return what a task is expected to cost as things stand."""
        return self._price(task)

    def fit(self, task: Task) -> Fit:
        """Return whether a task that has claimed nothing is covered now."""
        price_usd = self._price(task)
        if price_usd == 0:
            return Fit.YES
        all_usd = sum(self._claimed.values(), Decimal(0)) if self.cap_usd is not None else Decimal(0)
        return self._fit(task.model, price_usd, self._claimed[task.model], all_usd)

    def _fit_alone(self, task: Task) -> Fit:
        """Return whether what a task has claimed is still covered, if no other claim counts."""
        own_usd = sum((usd for model, usd in self._firm.values() if model == task.model), Decimal(0))
        all_usd = sum((usd for _, usd in self._firm.values()), Decimal(0))
        return self._fit(task.model, self._claims[task.id], own_usd, all_usd)

    def _fit(self, model: str, price_usd: Decimal | None, claimed_usd: Decimal, all_usd: Decimal) -> Fit:
        """Return whether a price is covered beside what is claimed, of the model and of all."""
        cap_usd = self.caps_usd.get(model)
        if cap_usd is not None:
            money = self._history.money_of(model)
            if price_usd is None or money.charged + money.reserved + claimed_usd + price_usd > cap_usd:
                return Fit.NOT_BY_MODEL
        if self.cap_usd is not None:
            money = self._history.money
            if price_usd is None or money.charged + money.reserved + all_usd + price_usd > self.cap_usd:
                return Fit.NOT_BY_RUN
        return Fit.YES

    def claim(self, task: Task) -> Fit:
        """Claim a task's price before it is begun, if it is covered. Once, until it is dropped or reserved."""
        fit = self.fit(task)
        if fit is Fit.YES:
            self._claim(task)
        return fit

    def _claim(self, task: Task) -> None:
        price_usd = self._price(task)
        if price_usd:
            self._claims[task.id] = price_usd
            self._claimed[task.model] += price_usd

    def drop(self, task: Task) -> None:
        """Give up what a task has claimed and not reserved. May be called again."""
        price_usd = self._claims.pop(task.id, None)
        if price_usd is not None:
            self._claimed[task.model] -= price_usd
            self._ring()

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Count a paid step as under way while the block lasts."""
        self.live += 1
        try:
            yield
        finally:
            self.live -= 1
            self._ring()

    @contextmanager
    def reserve(self, task: Task) -> Iterator[Decimal | None]:
        """Give the price to reserve, while the block makes its reservation durable; from then on the history counts it.

        Raises:
            PostponedError: It is not covered, or has no price. The task stays pending.
        """
        # What was claimed may fit no more: another has cost more than was estimated, or a person has lowered the cap.
        fit = self.claim(task) if task.id not in self._claims else self._fit_alone(task)
        if fit is not Fit.YES:
            raise PostponedError("the budget does not cover it", kind="budget")
        price_usd = self._claims.get(task.id, self._price(task))
        if price_usd:
            self._firm[task.id] = task.model, price_usd
        try:
            yield price_usd
        finally:
            self._firm.pop(task.id, None)
            self.drop(task)

    def heard(self, event: Event) -> None:
        """Take in an event that has become durable: what it cost may be more than was reserved."""
        if isinstance(event, Result | Done) and event.charged_usd:
            record = self._history.get(event.id)
            model = record.model if record else ""
            self._check("the budget", "", self.cap_usd, self._history.money)
            self._check(
                f"the budget for {model}", model, self.caps_usd.get(model), self._history.money_of(model)
            )

    def _check(self, whose: str, key: str, cap_usd: Decimal | None, money: Money) -> None:
        taken_usd = money.charged + money.reserved
        if cap_usd is not None and taken_usd > cap_usd and key not in self._passed:
            self._passed.add(key)
            self._tell(
                f"{whose} of {cap_usd} USD is passed by {taken_usd - cap_usd:.4f} USD: something cost more than was "
                "estimated; nothing more is begun that costs anything"
            )

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell.ring()
