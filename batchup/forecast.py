"""How long a plan will take, by what earlier tasks have taken."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from batchup.experience import Experience
from batchup.manifest import Manifest
from batchup.plan import Action, Plan, provider_of
from batchup.task import Task

_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a run may go.

    Attributes:
        slots: Provider -> tasks at a time.
        per_second: Starts a second; None for any number.
        model_slots: Model -> tasks at a time, where it has a limit of its own.
        model_per_second: Model -> starts a second, likewise.
    """

    slots: Mapping[str, int]
    per_second: float | None = None
    model_slots: Mapping[str, int] = field(default_factory=dict)
    model_per_second: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest, slots: Mapping[str, int]) -> "Pace":
        """Return a manifest's, with so many *slots* for each provider."""
        limits, rate = manifest.run.limits, manifest.run.rate
        return cls(
            slots,
            rate.per_second if rate else None,
            {name: one.concurrency for name, one in limits.items() if one.concurrency is not None},
            {name: one.rate.per_second for name, one in limits.items() if one.rate is not None},
        )


@dataclass(slots=True)
class Spell:
    """The time that the tasks of one model will take.

    Attributes:
        tasks: Their number.
        unknown: Number of those of which nothing is known.
        work_s: Sum over the others, one after the other.
        longest_s: Of one of them.
        takes_s: From the first to the last, as many at a time as are allowed.
    """

    tasks: int = 0
    unknown: int = 0
    work_s: float = 0.0
    longest_s: float = 0.0
    takes_s: float = 0.0

    def add(self, expected_s: float | None) -> None:
        """Count one task."""
        self.tasks += 1
        self.unknown += expected_s is None
        self.work_s += expected_s or 0.0
        self.longest_s = max(self.longest_s, expected_s or 0.0)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The time that a run will take: what is copied, collected or fetched again is not counted.

    Attributes:
        takes_s: None where nothing is known of any task, though some are to be run.
        held_by_rate: Whether the rate is what takes so long.
        models: Model -> its tasks' time.
        slots: Provider that has something to run -> tasks at a time.
    """

    takes_s: float | None
    held_by_rate: bool
    models: Mapping[str, Spell]
    slots: Mapping[str, int]

    @property
    def unknown(self) -> int:
        """Number of tasks of which nothing is known."""
        return sum(spell.unknown for spell in self.models.values())


def expected_s(experience: Experience, task: Task) -> float | None:
    """Return how many seconds a task will take; None where nobody knows."""
    return experience.expected_s(task.model, _coarse(task.pixels))


def forecast(plan: Plan, experience: Experience, pace: Pace, without: Collection[int] = ()) -> Forecast:
    """Return how long a plan will take.

    Args:
        plan: What is to be run.
        experience: Of earlier tasks.
        pace: How fast it may go.
        without: Numbers of steps that will not be run, such as those that the budget does not cover.
    """
    spells: dict[str, Spell] = {}
    for number in plan.places(Action.RUN):
        if number not in without:
            task = plan.steps[number].task
            spells.setdefault(task.model, Spell()).add(expected_s(experience, task))
    work_s, rate_s = _bounds(spells, pace)
    knows = not spells or any(spell.tasks > spell.unknown for spell in spells.values())
    return Forecast(
        takes_s=max(work_s, rate_s) if knows else None,
        held_by_rate=knows and rate_s > work_s,
        models=spells,
        slots={name: slots for name, slots in pace.slots.items() if name in map(provider_of, spells)},
    )


def _bounds(spells: Mapping[str, Spell], pace: Pace) -> tuple[float, float]:
    """Return the least seconds that the work takes, and those that the rates take; sets each model's own."""
    all_tasks = sum(spell.tasks for spell in spells.values())
    works, rates = [0.0], [all_tasks / pace.per_second if pace.per_second else 0.0]
    totals: dict[str, float] = {}
    for model, spell in spells.items():
        provider = provider_of(model)
        slots = min(pace.slots[provider], pace.model_slots.get(model, pace.slots[provider]))
        own_rate = pace.model_per_second.get(model)
        rate_s = spell.tasks / own_rate if own_rate else 0.0
        work_s = max(spell.work_s / slots, spell.longest_s)
        spell.takes_s = max(work_s, rate_s)
        works.append(work_s)
        rates.append(rate_s)
        totals[provider] = totals.get(provider, 0.0) + spell.work_s
    works += [total_s / pace.slots[provider] for provider, total_s in totals.items()]
    return max(works), max(rates)


def _coarse(pixels: int) -> int:
    """Round to two digits: a guess is no better, and a library of a million sizes has few that differ."""
    unit = int(10 ** max(0, len(str(pixels)) - _DIGITS))
    return -(-pixels // unit) * unit
