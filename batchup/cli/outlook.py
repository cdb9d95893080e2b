"""What a plan will cost and take: within its budgets, at its pace, in its hours."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from batchup.coverage import Caps, Coverage, cover
from batchup.forecast import Forecast, Pace, forecast
from batchup.history import History
from batchup.manifest import Manifest
from batchup.manifest.quantities import format_guess, format_usd
from batchup.plan import Plan, provider_of
from batchup.provision import slots_of
from batchup.terminal import count
from batchup.window import Window

WORTH_TELLING_S = 10.0
"""How long a run must be expected to take, in seconds, that a person is told before it begins."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected of a plan.

    Attributes:
        window: In which hours work is begun, and how that stands now; empty where it may begin at any time.
        rate: The run's limit on how often something is begun, as it was written; empty where there is none.
    """

    coverage: Coverage
    forecast: Forecast
    window: str
    rate: str


def look_ahead(
    plan: Plan,
    manifest: Manifest,
    history: History,
    now: datetime,
    *,
    concurrency: int | None = None,
    cap_usd: Decimal | None = None,
) -> Outlook:
    """Return what is to be expected of *plan*.

    Args:
        plan: What is to be run.
        manifest: That it was made from.
        history: Likewise.
        now: Aware.
        concurrency: Tasks at a time, instead of the manifest's.
        cap_usd: The budget, instead of the manifest's.
    """
    asked = manifest.run
    coverage = cover(plan, Caps.of(manifest, cap_usd), history, asked.order)
    slots = {
        name: concurrency or asked.concurrency or slots_of(name) for name in map(provider_of, plan.models)
    }
    window = Window.of(asked.window) if asked.window else None
    return Outlook(
        coverage=coverage,
        forecast=forecast(plan, history.experience, Pace.of(manifest, slots), coverage.waiting),
        window=f"{window}: {window.line(now)}" if window else "",
        rate=str(asked.rate or ""),
    )


def budget_lines(coverage: Coverage) -> Iterator[str]:
    """Yield how far each budget reaches, as sentences."""
    if coverage.run is not None:
        run = coverage.run
        left = f" ({format_usd(run.left_usd)} of it left)" if run.left_usd != run.cap_usd else ""
        yield f"the budget of {run.cap_usd:f} USD{left} covers {run.covers:,} of {count(run.of, 'task')}"
    for model, one in sorted(coverage.models.items()):
        yield f"the budget of {one.cap_usd:f} USD for {model} covers {one.covers:,} of {count(one.of, 'task')}"


def foretold(outlook: Outlook, *, asks: bool) -> Iterator[str]:
    """Yield what a person is told before a run begins: which budget does not cover all, and how long it will take.

    Args:
        outlook: Of the run.
        asks: Whether somebody may look on, and be asked.
    """
    coverage = outlook.coverage
    if coverage.covers < coverage.of:
        yield from (f"{line}; the rest waits" for line in budget_lines(coverage))
    if asks and (outlook.forecast.takes_s or 0.0) >= WORTH_TELLING_S:
        yield f"it will take {time_line(outlook)}"


def time_line(outlook: Outlook) -> str:
    """Return how long it will take, as far as anybody knows; empty where nothing is to be run."""
    seen = outlook.forecast
    if not seen.models:
        return ""
    names = ", ".join(sorted(model for model, spell in seen.models.items() if spell.unknown == spell.tasks))
    if seen.takes_s is None:
        return f"unknown: nothing was run with {names} yet"
    pace = ", ".join(
        f"{slots} at a time" + (f" ({name})" if len(seen.slots) > 1 else "")
        for name, slots in sorted(seen.slots.items())
    )
    why = f"held by the rate of {outlook.rate}" if seen.held_by_rate and outlook.rate else f"at {pace}"
    more = f", and {count(seen.unknown, 'task')} of unknown length ({names})" if seen.unknown else ""
    return f"about {format_guess(seen.takes_s)} {why}{more}"
