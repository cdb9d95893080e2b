"""The budget is never passed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from batchup.budget import Budget
from batchup.errors import LeftError
from batchup.events import Done, Held, Seen, Submitting, encode
from batchup.history import History

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


def budget(cap, *events):
    history = History().fold(enumerate(encode(event) for event in events))
    return Budget(None if cap is None else Decimal(cap), history)


def fits(one, usd):
    try:
        with one.reserve(None if usd is None else Decimal(usd)):
            return True
    except LeftError:
        return False


SEEN = [Seen(id=task_id, model="m", output=task_id, at=AT) for task_id in (ONE, TWO, THREE)]


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
def test_what_is_charged_in_flight_and_held_leaves_the_rest(events, usd, fit):
    assert fits(budget("1.00", *SEEN, *events), usd) is fit


def test_many_that_ask_at_once_do_not_pass_it_together():
    one = budget("1.00")

    with one.reserve(Decimal("0.60")):
        assert not fits(one, "0.60")
        assert fits(one, "0.40")
    assert one.refused


def test_without_a_budget_everything_fits():
    assert fits(budget(None), None)
