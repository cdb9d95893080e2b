"""How far a budget reaches is told as the run will decide it."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from batchup import events
from batchup.coverage import UNPRICED, WAITS, Caps, cover
from batchup.history import History, State
from batchup.inputs import Skipped
from batchup.plan import Action, Plan, Step
from batchup.source import Source
from batchup.spool import Spool
from batchup.task import Task

NOW = datetime(2026, 8, 1, tzinfo=UTC)


def steps(*prices, model="fal/one", action=Action.RUN, begin=0, other=""):
    for number, price in enumerate(prices, begin):
        task = Task(
            id=f"{number:032x}",
            model=model,
            params={},
            changed={},
            source=Source(root=".", path=f"{number}.png"),
            output=f"{number}.png",
            cost_usd=None if price is None else Decimal(price),
        )
        yield Step(task=task, action=action, reason="new", other=other)


def planned(*groups):
    plan = Plan(Spool(Step), Spool(Skipped), Counter())
    for group in groups:
        for step in group:
            plan.add(step, State.PENDING)
    return plan


def covered(plan, caps, order="listed", history=None):
    waiting = cover(plan, caps, history or History(), order).waiting
    return [number for number in range(len(plan.steps)) if number not in waiting]


def run(usd, **models):
    return Caps(
        None if usd is None else Decimal(usd), {f"fal/{name}": Decimal(cap) for name, cap in models.items()}
    )


@pytest.mark.parametrize(
    ("order", "expected"), [("listed", [0]), ("largest", [0]), ("smallest", [0, 2]), ("cheapest", [0, 2])]
)
def test_one_that_does_not_fit_holds_up_the_others_unless_small_and_cheap_ones_go_first(order, expected):
    assert covered(planned(steps("3", "5", "2")), run("5"), order) == expected


def test_what_is_free_is_always_covered():
    assert covered(planned(steps("3", "5", "0")), run("5")) == [0, 2]


def test_a_budget_that_is_reached_exactly_is_not_passed():
    assert covered(planned(steps("2", "3", "0.01")), run("5")) == [0, 1]


def test_a_models_budget_holds_up_that_model_alone():
    plan = planned(steps("2", "2", "1"), steps("2", model="fal/two", begin=3))

    assert covered(plan, run(None, one="3")) == [0, 3]


def test_a_models_budget_lies_within_the_runs():
    plan = planned(steps("2", "2"), steps("2", "2", model="fal/two", begin=2))

    coverage = cover(plan, run("5", one="2"), History(), "listed")

    assert (coverage.covers, coverage.of) == (2, 4)
    assert (coverage.models["fal/one"].covers, coverage.models["fal/one"].of) == (1, 2)


def test_what_nobody_knows_the_price_of_waits_under_a_budget_and_holds_nothing_up():
    plan = planned(steps("1", None, "1"), steps(None, model="fal/two", begin=3))

    coverage = cover(plan, run("5"), History(), "listed")

    assert coverage.waiting == {1: UNPRICED, 3: UNPRICED}
    assert covered(plan, run(None, one="5")) == [0, 2, 3]


def test_what_has_the_same_contents_as_one_that_waits_waits_too():
    plan = planned(
        steps("3", "3"),
        steps("3", action=Action.FOLLOW, begin=2, other=f"{0:032x}"),
        steps("3", action=Action.FOLLOW, begin=3, other=f"{1:032x}"),
    )

    coverage = cover(plan, run("5"), History(), "listed")

    assert coverage.waiting == {1: WAITS, 3: WAITS}
    assert (coverage.covers, coverage.of, coverage.usd) == (2, 4, Decimal(3))


def test_without_a_budget_everything_is_covered():
    coverage = cover(planned(steps("3", None)), run(None), History(), "listed")

    assert (coverage.run, coverage.covers, coverage.of, coverage.waiting) == (None, 2, 2, {})


def ledger(*told):
    history = History()
    for event in told:
        history.add(events.encode(event))
    return history


def test_what_was_charged_and_what_is_reserved_counts_already():
    ids = [f"{number:032x}" for number in (7, 8)]
    history = ledger(
        *(events.Seen(id=one, model="fal/one", output=one, at=NOW) for one in ids),
        events.Submitting(id=ids[0], attempt=1, endpoint="", body={}, reserved_usd=Decimal(1), at=NOW),
        events.Result(id=ids[0], attempt=1, urls=(), charged_usd=Decimal("1.5"), at=NOW),
        events.Submitting(id=ids[1], attempt=1, endpoint="", body={}, reserved_usd=Decimal(1), at=NOW),
    )

    coverage = cover(planned(steps("1", "1", "1", begin=20)), run("4", one="4.5"), history, "listed")

    assert coverage.run.left_usd == Decimal("1.5")
    assert coverage.models["fal/one"].left_usd == Decimal(2)
    assert coverage.covers == 1


def test_a_budget_that_was_passed_long_ago_has_nothing_left_rather_than_less():
    one = f"{7:032x}"
    history = ledger(
        events.Seen(id=one, model="fal/one", output=one, at=NOW),
        events.Submitting(id=one, attempt=1, endpoint="", body={}, reserved_usd=Decimal(9), at=NOW),
    )

    coverage = cover(planned(steps("1", "0")), run("4", one="5"), history, "listed")

    assert coverage.run.left_usd == coverage.models["fal/one"].left_usd == 0
    assert coverage.covers == 1
