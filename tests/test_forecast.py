"""How long a plan will take is told from what earlier tasks have taken."""

from collections import Counter

import pytest

from batchup.experience import Experience
from batchup.forecast import Pace, forecast
from batchup.history import State
from batchup.inputs import Skipped
from batchup.plan import Action, Plan, Step
from batchup.source import Source
from batchup.spool import Spool
from batchup.task import Task


def planned(*tasks, action=Action.RUN):
    """Return a plan of so many tasks of each model, 1000 pixels each."""
    plan = Plan(Spool(Step), Spool(Skipped), Counter())
    for model, number in tasks:
        for _ in range(number):
            source = Source(root=".", path=f"{len(plan.steps)}.png")
            task = Task(
                id=f"{len(plan.steps):032x}", model=model, params={}, changed={}, source=source, output="",
                width=50, height=20,
            )  # fmt: skip
            plan.add(Step(task=task, action=action, reason="new"), State.PENDING)
    return plan


def experience(**seconds):
    known = Experience()
    for model, taken_s in seconds.items():
        known.learn(f"fal/{model}", 1000, taken_s, None)
    return known


SLOTS = {"fal": 4, "local": 2}


@pytest.mark.parametrize(
    ("pace", "expected_s"),
    [
        (Pace(SLOTS), 50),
        (Pace(SLOTS, model_slots={"fal/one": 2}), 100),
        (Pace(SLOTS, model_slots={"fal/one": 9}), 50),
        (Pace(SLOTS, per_second=0.1), 200),
        (Pace(SLOTS, model_per_second={"fal/one": 0.25}), 80),
    ],
    ids=[
        "as many as there are slots",
        "fewer of a model",
        "no more than the run's",
        "a slow rate",
        "a model's rate",
    ],
)
def test_twenty_tasks_of_ten_seconds_take(pace, expected_s):
    seen = forecast(planned(("fal/one", 20)), experience(one=10.0), pace)

    assert seen.takes_s == pytest.approx(expected_s)
    assert seen.held_by_rate == (pace.per_second is not None or bool(pace.model_per_second))


def test_models_of_one_provider_share_its_slots():
    seen = forecast(planned(("fal/one", 4), ("fal/two", 4)), experience(one=10.0, two=20.0), Pace(SLOTS))

    assert seen.takes_s == pytest.approx(30)
    assert seen.models["fal/one"].takes_s == pytest.approx(10)


def test_one_long_task_takes_its_time_however_many_run_beside_it():
    seen = forecast(planned(("fal/one", 1), ("fal/two", 4)), experience(one=100.0, two=1.0), Pace(SLOTS))

    assert seen.takes_s == pytest.approx(100)


def test_what_nobody_has_run_yet_is_unknown_and_is_told_apart():
    seen = forecast(planned(("fal/one", 4), ("local/lanczos", 3)), experience(one=10.0), Pace(SLOTS))

    assert seen.takes_s == pytest.approx(10)
    assert seen.unknown == 3


def test_nothing_learned_is_no_time_of_zero():
    assert forecast(planned(("fal/one", 4)), Experience(), Pace(SLOTS)).takes_s is None


def test_nothing_to_run_takes_no_time():
    assert forecast(planned(("fal/one", 4), action=Action.KEEP), Experience(), Pace(SLOTS)).takes_s == 0


def test_what_waits_for_the_budget_takes_no_time():
    seen = forecast(planned(("fal/one", 20)), experience(one=10.0), Pace(SLOTS), without={*range(8, 20)})

    assert seen.takes_s == pytest.approx(20)
    assert seen.models["fal/one"].tasks == 8
