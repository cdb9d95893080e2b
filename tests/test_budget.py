"""The budget is never passed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from batchup.budget import Budget, Fit
from batchup.errors import PostponedError
from batchup.events import Done, Held, Seen, Submitting, encode
from batchup.history import History
from batchup.source import Source
from batchup.task import Task

AT = datetime(2026, 11, 22, tzinfo=UTC)
ONE, TWO, THREE = "01" * 16, "02" * 16, "03" * 16


def submitting(task_id, usd):
    return Submitting(id=task_id, attempt=1, endpoint="e", body={}, reserved_usd=Decimal(usd), at=AT)


def done(task_id, usd):
    return Done(
        id=task_id,
        output="x",
        size_bytes=1,
        mtime_ns=1,
        sha256="",
        width=1,
        height=1,
        charged_usd=Decimal(usd),
        at=AT,
    )


def task(task_id, usd, model="fal/one"):
    cost_usd = None if usd is None else Decimal(usd)
    source = Source("photos", "x.jpg")
    return Task(task_id, model, {}, {}, source, task_id, cost_usd=cost_usd)


def budget(cap, *events, caps=None):
    history = History().fold(enumerate(encode(event) for event in events))
    caps_usd = {model: Decimal(usd) for model, usd in (caps or {}).items()}
    return Budget(None if cap is None else Decimal(cap), history, caps_usd)


SEEN = [Seen(id=task_id, model="fal/one", output=task_id, at=AT) for task_id in (ONE, TWO, THREE)]
NEW = "0a" * 16
OTHER = "0b" * 16


@pytest.mark.parametrize(
    ("events", "usd", "fit"),
    [
        ([], "1.00", True),
        ([], "1.01", False),
        ([submitting(ONE, "0.60")], "0.40", True),
        ([submitting(ONE, "0.60")], "0.41", False),
        ([submitting(ONE, "0.60"), done(ONE, "0.90")], "0.11", False),
        ([submitting(ONE, "0.60"), done(ONE, "0.10")], "0.90", True),
        (
            [
                submitting(ONE, "0.60"),
                Held(id=ONE, attempt=1, message="", reserved_usd=Decimal("0.60"), at=AT),
            ],
            "0.41",
            False,
        ),
        ([done(ONE, "5.00")], "0", True),
        ([], None, False),
    ],
    ids=["all", "more", "beside", "too much beside", "overrun", "cheaper", "held", "free", "unpriced"],
)
@pytest.mark.parametrize("whose", ["the run's", "the model's"])
def test_what_is_charged_in_flight_and_held_leaves_the_rest(events, usd, fit, whose):
    caps = {"fal/one": "1.00"} if whose == "the model's" else None
    one = budget(None if caps else "1.00", *SEEN, *events, caps=caps)

    found = one.claim(task(NEW, usd))

    assert found is (Fit.YES if fit else Fit.NOT_BY_MODEL if caps else Fit.NOT_BY_RUN)


def test_many_that_ask_at_once_do_not_pass_it_together():
    one = budget("1.00")

    assert one.claim(task(ONE, "0.60")) is Fit.YES
    assert one.claim(task(TWO, "0.60")) is Fit.NOT_BY_RUN
    assert one.claim(task(THREE, "0.40")) is Fit.YES


def test_what_is_claimed_and_not_spent_is_there_again():
    one, first = budget("1.00"), task(ONE, "0.60")
    one.claim(first)

    one.drop(first)
    one.drop(first)

    assert one.claim(task(TWO, "1.00")) is Fit.YES


def test_a_claim_makes_room_for_its_own_reservation_and_nobody_elses():
    one, first = budget("1.00"), task(ONE, "0.60")
    one.claim(first)

    with one.reserve(first) as reserved_usd:
        assert reserved_usd == Decimal("0.60")
    with pytest.raises(PostponedError), one.reserve(task(TWO, "1.01")):
        pass


@pytest.mark.parametrize("whose", ["the run's", "the model's"])
def test_what_was_claimed_is_not_reserved_once_another_has_cost_more_than_was_estimated(whose):
    caps = {"fal/one": "1.00"} if whose == "the model's" else None
    history = History().fold(enumerate(map(encode, [*SEEN, submitting(TWO, "0.40")])))
    one = Budget(
        None if caps else Decimal("1.00"), history, {m: Decimal(usd) for m, usd in (caps or {}).items()}
    )
    one.claim(task(ONE, "0.60"))

    history.add(encode(done(TWO, "0.50")))

    with pytest.raises(PostponedError), one.reserve(task(ONE, "0.60")):
        pass


def test_what_was_claimed_before_a_person_lowered_the_cap_is_reserved_only_as_far_as_it_fits():
    one, first, second = budget("9.00"), task(ONE, "0.60"), task(TWO, "0.60")
    one.claim(first)
    one.claim(second)

    one.cap_usd = Decimal("1.00")

    with one.reserve(first), pytest.raises(PostponedError), one.reserve(second):
        pass


def test_one_models_budget_leaves_the_others_alone():
    one = budget("9.00", caps={"fal/one": "1.00"})

    assert one.claim(task(ONE, "1.00")) is Fit.YES
    assert one.claim(task(TWO, "0.01")) is Fit.NOT_BY_MODEL
    assert one.claim(task(OTHER, "5.00", model="fal/other")) is Fit.YES


def test_without_a_budget_everything_fits():
    assert budget(None).claim(task(ONE, None)) is Fit.YES


def test_a_cap_that_is_passed_because_an_estimate_was_wrong_is_told_once():
    told: list[str] = []
    events = [*SEEN, submitting(ONE, "0.60"), done(ONE, "1.30")]
    history = History().fold(enumerate(encode(event) for event in events))
    one = Budget(Decimal("1.00"), history, tell=told.append)

    one.heard(events[-1])
    one.heard(events[-1])

    [sentence] = told
    assert sentence.startswith("the budget of 1.00 USD is passed by 0.3000 USD")
    assert one.claim(task(TWO, "0.01")) is Fit.NOT_BY_RUN
