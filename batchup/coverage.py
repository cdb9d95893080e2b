"""How far the budgets reach: which tasks of a plan they cover, in the order in which the run will ask them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from batchup.history import History
from batchup.manifest import Manifest
from batchup.order import jumps
from batchup.plan import Action, Plan, Step

WAITS = "waits for the budget"
UNPRICED = "waits: its price is unknown, and there is a budget"


@dataclass(frozen=True, slots=True)
class Caps:
    """Caps in USD on what a job may cost, over all its runs.

    Attributes:
        run_usd: For all; None where there is none.
        models_usd: For single models.
    """

    run_usd: Decimal | None = None
    models_usd: Mapping[str, Decimal] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest, cap_usd: Decimal | None = None) -> "Caps":
        """Return those of a manifest, *cap_usd* in place of the run's if it is given."""
        limits = manifest.run.limits.items()
        models_usd = {name: one.budget_usd for name, one in limits if one.budget_usd is not None}
        return cls(manifest.run.budget_usd if cap_usd is None else cap_usd, models_usd)


@dataclass(frozen=True, slots=True)
class Cover:
    """How far one cap reaches.

    Attributes:
        left_usd: What is neither charged, nor in flight, unconfirmed or held.
        covers: Number of tasks to run under it that will be run.
        of: Number of tasks to run under it.
    """

    cap_usd: Decimal
    left_usd: Decimal
    covers: int
    of: int


class Waiting(Mapping[int, str]):
    """Numbers of steps that wait, and why: a byte for each step of the plan."""

    _WHY = ("", WAITS, UNPRICED)

    def __init__(self, steps: int = 0) -> None:
        self._marks = bytearray(steps)

    def mark(self, number: int, why: str) -> None:
        """Let a step wait."""
        self._marks[number] = self._WHY.index(why)

    def __getitem__(self, number: int) -> str:
        if number not in self:
            raise KeyError(number)
        return self._WHY[self._marks[number]]

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and 0 <= number < len(self._marks) and bool(self._marks[number])

    def __iter__(self) -> Iterator[int]:
        return (number for number, mark in enumerate(self._marks) if mark)

    def __len__(self) -> int:
        return len(self._marks) - self._marks.count(0)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far all caps reach together.

    Attributes:
        run: The run's cap; None where there is none.
        models: Those of single models.
        covers: Number of tasks to run that will be run.
        of: Number of tasks to run.
        waiting: Number of each step that is not covered, and why.
        usd: Price of what is covered, as far as it is known.
    """

    run: Cover | None = None
    models: Mapping[str, Cover] = field(default_factory=dict)
    covers: int = 0
    of: int = 0
    waiting: Mapping[int, str] = field(default_factory=Waiting)
    usd: Decimal = Decimal(0)


def cover(plan: Plan, caps: Caps, history: History, order: str) -> Coverage:
    """Return which tasks of *plan* the caps cover: as the run decides it, if each is charged what is expected.

    Args:
        plan: What is to be run.
        caps: On all that the job costs.
        history: What has been charged and is reserved.
        order: ``run.order``: where a small or cheap task goes first, one that fits goes ahead of one that does not.
    """
    if caps.run_usd is None and not caps.models_usd:
        return Coverage(covers=plan.to_run, of=plan.to_run, usd=plan.to_pay_usd)
    purse, waiting = _Purse(caps, history, jumps(order)), Waiting(len(plan.steps))
    missed: Counter[str] = Counter()
    ids: set[str] = set()

    def wait(number: int, step: Step, why: str) -> None:
        waiting.mark(number, why)
        missed[step.task.model] += 1
        if plan.actions[Action.FOLLOW]:
            ids.add(step.task.id)

    for number in plan.places(Action.RUN):
        step = plan.steps[number]
        task = step.task
        if not purse.take(task.model, task.cost_usd):
            wait(number, step, UNPRICED if task.cost_usd is None else WAITS)
    for number in plan.places(Action.FOLLOW) if ids else ():
        step = plan.steps[number]
        if step.other in ids:
            wait(number, step, WAITS)
    covers = plan.to_run - len(waiting)
    tasks = {model: plan.models.get(model, (0, 0))[0] for model in caps.models_usd}
    return Coverage(
        run=purse.run(covers, plan.to_run),
        models={model: purse.model(model, of - missed[model], of) for model, of in tasks.items()},
        covers=covers,
        of=plan.to_run,
        waiting=waiting,
        usd=purse.taken_usd,
    )


class _Purse:
    """What is left under each cap, while one task after the other takes its price."""

    def __init__(self, caps: Caps, history: History, jumps: bool) -> None:  # noqa: FBT001 - called once, above
        self._caps, self._jumps = caps, jumps
        money = history.money
        spent_usd = money.charged + money.reserved
        self._begin_usd = None if caps.run_usd is None else max(Decimal(0), caps.run_usd - spent_usd)
        self._left_usd = self._begin_usd
        self._begins_usd: dict[str, Decimal] = {}
        for model, cap_usd in caps.models_usd.items():
            own = history.money_of(model)
            self._begins_usd[model] = max(Decimal(0), cap_usd - own.charged - own.reserved)
        self._lefts_usd = dict(self._begins_usd)
        self._is_blocked = False
        self._blocked: set[str] = set()
        self.taken_usd = Decimal(0)

    def take(self, model: str, usd: Decimal | None) -> bool:
        """Take a task's price, if it is covered. To be asked in the run's order."""
        if usd is None:
            return self._left_usd is None and model not in self._lefts_usd
        if usd == 0:
            return True
        if self._is_blocked or model in self._blocked:
            return False
        if model in self._lefts_usd and usd > self._lefts_usd[model]:
            if not self._jumps:
                self._blocked.add(model)
            return False
        if self._left_usd is not None and usd > self._left_usd:
            # What comes later may be cheaper, but the order was asked for.
            self._is_blocked = not self._jumps
            return False
        self.taken_usd += usd
        if self._left_usd is not None:
            self._left_usd -= usd
        if model in self._lefts_usd:
            self._lefts_usd[model] -= usd
        return True

    def run(self, covers: int, of: int) -> Cover | None:
        """Return how far the run's cap reaches."""
        if self._caps.run_usd is None or self._begin_usd is None:
            return None
        return Cover(self._caps.run_usd, self._begin_usd, covers, of)

    def model(self, model: str, covers: int, of: int) -> Cover:
        """Return how far one model's cap reaches, within the run's."""
        return Cover(self._caps.models_usd[model], self._begins_usd[model], covers, of)
