"""What a ledger says was asked for, and what it cost."""

from decimal import Decimal

import pytest

from batchup.bill import Bill, requests
from batchup.events import Audited, Retried, Submitting, encode
from tests.ledger.samples import AT, audited, done, failed, held, result, seen, submitted, submitting, task_id

LOST = Retried(id=task_id(1), attempt=1, kind="unconfirmed", message="", wait_s=1, at=AT)
REJECTED = failed(1).__class__(
    id=task_id(1), attempt=1, kind="k", message="", reserved_usd=Decimal("0.03"), at=AT
)
FOUND = Audited(id=task_id(1), attempt=1, request_id="s", charged_usd=Decimal("0.05"), at=AT)


def read(*events):
    """Return of each request its id, what it was charged, what is reserved, and whether it is in flight."""
    found = requests(enumerate(map(encode, [seen(1), *events])))
    return [(one.request_id, str(one.charged_usd), str(one.reserved_usd), one.in_flight) for one in found]


@pytest.mark.parametrize(
    ("events", "known"),
    [
        ([submitting(1)], []),
        ([submitting(1), submitted(1)], [("r-1-1", "0", "0", True)]),
        ([submitting(1), submitted(1), result(1)], [("r-1-1", "0.02", "0", True)]),
        ([submitting(1), submitted(1), result(1), done(1)], [("r-1-1", "0.02", "0", False)]),
        ([submitting(1), failed(1)], []),
        ([submitting(1), submitted(1), REJECTED], [("r-1-1", "0", "0.03", False)]),
        ([submitting(1), held(1)], [("", "0", "0.03", False)]),
        (
            [submitting(1), LOST, submitting(1, 2), submitted(1, 2)],
            [("", "0", "0.03", False), ("r-1-2", "0", "0", True)],
        ),
        ([submitting(1), LOST, audited(1, 1, "0")], []),
        ([submitting(1), LOST, FOUND], [("s", "0.05", "0", False)]),
        (
            [submitting(1), submitted(1), result(1), done(1), FOUND, done(1, "0.02")],
            [("s", "0.05", "0", False)],
        ),
    ],
    ids=[
        *("about to be sent", "in flight", "finished", "done", "refused", "rejected", "held", "lost"),
        *("never accepted", "found again", "the bill counts"),
    ],
)
def test_a_request_is_what_was_accepted_or_may_have_been(events, known):
    assert read(*events) == known


def test_a_request_that_became_another_tasks_is_counted_once_with_what_was_sent():
    sent = Submitting(id=task_id(1), attempt=1, endpoint="e", body={"scale": 2}, at=AT)
    adopted = Submitting(id=task_id(2), attempt=1, endpoint="", body={}, at=AT)
    mine = submitted(1).__class__(id=task_id(2), attempt=1, request_id="r-1-1", at=AT)

    found = requests(enumerate(map(encode, [seen(1), seen(2), sent, submitted(1), adopted, mine, result(2)])))

    assert [(one.task, one.endpoint, one.charged_usd) for one in found] == [
        (task_id(2), "e", Decimal("0.02"))
    ]
    assert Bill.of(found, {"r-1-1": Decimal("0.02")}).difference_usd == 0
