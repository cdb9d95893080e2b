"""What the account's bill makes clear, and what stays in doubt."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from batchup.bill import Request
from batchup.providers.fal.platform import Past
from batchup.verdict import FINAL, Told, found_again, verdicts

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD = NOW - 2 * FINAL
JUST_NOW = NOW - timedelta(minutes=10)
BODY = {"image_url": "https://fal.example/a.png", "scale": 2}
OTHER = {"image_url": "https://fal.example/b.png", "scale": 2}
USD = Decimal("0.08")


def request(request_id="r", sent_at=OLD, task="0a" * 16, **more):
    known = {"charged_usd": Decimal(0), "reserved_usd": USD, **more}
    return Request(
        request_id=request_id, endpoint="e", task=task, input="a.png", attempt=1, sent_at=sent_at, **known
    )


def lost(sent_at=OLD, **more):
    return request("", sent_at, lost=BODY, **more)


def past(request_id="s", at=OLD, body=OTHER):
    return Past(request_id, "e", sent_at=at, json_input=body)


def clear(one, charges=None, pasts=None):
    """Return what is to be written of one submission: the request id if it is new, and the amount."""
    told = Told(charges or {}, None if pasts is None else {"e": pasts})
    return [(audited.request_id, audited.charged_usd) for audited in verdicts([one], told, NOW)]


@pytest.mark.parametrize(
    ("one", "charges", "written"),
    [
        (request(), {"r": USD}, USD),
        (request(), {"r": Decimal(0)}, 0),
        (request(sent_at=JUST_NOW), {"r": USD}, USD),
        (request(), {}, 0),
        (request(sent_at=JUST_NOW), {}, None),
        (request(in_flight=True), {"r": USD}, None),
        (request(reserved_usd=Decimal(0), charged_usd=USD), {"r": USD}, None),
        (request(reserved_usd=Decimal(0), charged_usd=USD), {"r": USD + Decimal("1e-12")}, None),
        (request(reserved_usd=Decimal(0), charged_usd=USD), {"r": 2 * USD}, 2 * USD),
        (request(reserved_usd=Decimal(0), charged_usd=USD), {}, None),
        (request(""), {}, None),
    ],
    ids=[
        *("reserved, billed", "reserved, billed as nothing", "billed already", "on no bill"),
        *("not yet on the bill", "in flight", "as the ledger has it", "a binary fraction", "dearer"),
        *("done, on no bill", "synchronous"),
    ],
)
def test_an_amount_is_written_where_the_bill_is_clear_and_says_something_new(one, charges, written):
    assert clear(one, charges) == ([] if written is None else [("", written)])


@pytest.mark.parametrize(
    ("one", "charges", "pasts", "written"),
    [
        (lost(), {"s": USD}, [past(body=BODY)], ("s", USD)),
        (lost(), {}, [past(body=BODY)], ("s", 0)),
        (lost(JUST_NOW), {}, [past(body=BODY, at=JUST_NOW)], None),
        (lost(), {}, [past()], ("", 0)),
        (lost(JUST_NOW), {}, [past(at=JUST_NOW)], None),
        (lost(), {}, [past(body=None)], None),
        (lost(), {}, [past(body=None, at=OLD - timedelta(minutes=6))], ("", 0)),
        (lost(), {}, [past(body=BODY, at=OLD + timedelta(minutes=9))], None),
        (lost(), {}, [], None),
        (lost(), {}, None, None),
    ],
    ids=[
        *("billed", "on no bill", "not yet on the bill", "never accepted", "not in the history yet"),
        *("the history does not say what was sent", "long before", "long after: it reaches not so far back"),
        *("an empty history", "no history"),
    ],
)
def test_a_lost_submission_is_settled_only_where_the_history_shows_what_became_of_it(
    one, charges, pasts, written
):
    assert clear(one, charges, pasts) == ([] if written is None else [written])


def test_of_several_with_the_same_body_each_gets_its_own():
    sent = [lost(OLD + timedelta(minutes=n), task=f"{n:032x}") for n in (1, 2)]
    pasts = [past(f"s{n}", OLD + timedelta(minutes=n), BODY) for n in (2, 1)]

    found = found_again(sent, Told(pasts={"e": pasts}))

    assert found == {(f"{1:032x}", 1): "s1", (f"{2:032x}", 1): "s2"}


def test_one_request_is_never_two_submissions():
    sent = [lost(task=f"{n:032x}") for n in (1, 2)]
    told = Told({"s": USD}, {"e": [past(body=BODY)]})

    written = verdicts(sent, told, NOW)

    assert [(one.request_id, one.charged_usd) for one in written] == [("s", USD), ("", 0)]


def test_what_is_known_to_the_ledger_is_no_lost_submission():
    known = request("s", reserved_usd=Decimal(0), charged_usd=USD, task="0b" * 16)

    assert found_again([lost(), known], Told(pasts={"e": [past(body=BODY)]})) == {}


def test_a_known_request_whose_body_was_not_kept_leaves_no_doubt_about_another():
    known = request("s", reserved_usd=Decimal(0), charged_usd=USD, task="0b" * 16)
    told = Told({"s": USD}, {"e": [past(body=None)]})

    assert [one.charged_usd for one in verdicts([lost(), known], told, NOW)] == [0]
