"""State is the fold of events."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from batchup.events import (
    Audited,
    Done,
    Failed,
    Held,
    Orphaned,
    Result,
    Retried,
    Run,
    Seen,
    Stopped,
    Submitted,
    Submitting,
    encode,
)
from batchup.history import History, State

AT = datetime(2026, 11, 22, tzinfo=UTC)
ONE, TWO = "01" * 16, "02" * 16


def seen(task_id=ONE, estimated="0.10", model="m", **more):
    return Seen(id=task_id, model=model, output="x", estimated_usd=Decimal(estimated), at=AT, **more)


def submitting(attempt=1, task_id=ONE):
    return Submitting(id=task_id, attempt=attempt, endpoint="e", body={}, reserved_usd=Decimal("0.10"), at=AT)


def done(task_id=ONE, charged="0.12", attempt=1, **more):
    return Done(
        id=task_id,
        output="x",
        size_bytes=1,
        mtime_ns=1,
        sha256="",
        width=1,
        height=1,
        attempt=attempt,
        charged_usd=Decimal(charged),
        at=AT,
        **more,
    )


def audited(charged, attempt=1, request_id=""):
    return Audited(id=ONE, attempt=attempt, request_id=request_id, charged_usd=Decimal(charged), at=AT)


def failed(task_id=ONE, kind="x"):
    return Failed(id=task_id, attempt=1, kind=kind, message="", at=AT)


SUBMITTED = Submitted(id=ONE, attempt=1, request_id="r", at=AT)
RESULT = Result(id=ONE, attempt=1, urls=("u",), charged_usd=Decimal("0.12"), at=AT)
HELD = Held(id=ONE, attempt=1, message="", reserved_usd=Decimal("0.10"), at=AT)
REJECTED = Failed(id=ONE, attempt=1, kind="x", message="", reserved_usd=Decimal("0.10"), at=AT)
LOST = Retried(id=ONE, attempt=1, kind="unconfirmed", message="", wait_s=1, at=AT)
RUN = Run(format=1, job="j", manifest="", version="", host="", pid=1, at=AT)
RETRIED = Retried(id=ONE, attempt=1, kind="x", message="", wait_s=1, at=AT)


def folded(*events):
    return History().fold((number, encode(event)) for number, event in enumerate(events))


@pytest.mark.parametrize(
    ("events", "state", "reserved", "charged"),
    [
        ([], State.PENDING, "0", "0"),
        ([submitting()], State.SUBMITTING, "0.10", "0"),
        ([submitting(), SUBMITTED], State.SUBMITTED, "0.10", "0"),
        ([submitting(), SUBMITTED, RESULT], State.COMPLETED, "0", "0.12"),
        ([submitting(), SUBMITTED, RESULT, done()], State.DONE, "0", "0.12"),
        ([submitting(), HELD], State.HELD, "0.10", "0"),
        ([submitting(), failed()], State.FAILED, "0", "0"),
        ([submitting(), RETRIED], State.PENDING, "0", "0"),
        ([done(), submitting(2), done(attempt=2)], State.DONE, "0", "0.24"),
        ([submitting(), SUBMITTED, REJECTED], State.FAILED, "0.10", "0"),
        ([submitting(), LOST, submitting(2), done(attempt=2)], State.DONE, "0.10", "0.12"),
        ([submitting(), HELD, submitting(2), done(attempt=2)], State.DONE, "0.10", "0.12"),
        ([submitting(), SUBMITTED, REJECTED, submitting(2), done(attempt=2)], State.DONE, "0.10", "0.12"),
    ],
    ids=[
        *("new", "submitting", "submitted", "completed", "done", "held", "failed", "retried", "redone"),
        *("rejected", "lost", "held and submitted again", "rejected and submitted again"),
    ],
)
def test_a_tasks_state_and_money_follow_from_its_events(events, state, reserved, charged):
    history = folded(seen(), *events)

    assert history.get(ONE).state is state
    assert history.money.reserved == Decimal(reserved)
    assert history.money.charged == Decimal(charged)
    assert history.money.estimated == Decimal("0.10")


def test_an_orphan_is_outside_the_total_and_its_estimate_too_but_what_it_cost_stays():
    history = folded(seen(), done(), seen(TWO), Orphaned(id=ONE, at=AT))

    assert history.counts() == {State.PENDING: 1}
    assert history.money.estimated == Decimal("0.10")
    assert history.money.charged == Decimal("0.12")
    assert [task_id for task_id, _ in history.orphans()] == [ONE]


def test_an_orphan_that_comes_back_is_as_done_as_it_was():
    history = folded(seen(), done(), Orphaned(id=ONE, at=AT), seen())

    assert history.counts() == {State.DONE: 1}


def test_a_task_named_anew_is_counted_once():
    history = folded(seen(), seen(estimated="0.30"))

    assert history.counts().total() == 1
    assert history.money.estimated == Decimal("0.30")


def test_failures_are_counted_by_class_until_they_are_done():
    history = folded(seen(), failed(kind="a"), seen(TWO), failed(TWO, kind="b"), done(TWO))

    assert history.failures() == {"a": 1}


def test_contents_lead_to_the_task_that_is_done_with_them():
    content = "0a" * 16

    history = folded(seen(content=content), seen(TWO), done(TWO, content=content), failed())

    assert history.twin(content) == TWO


def test_the_last_run_tells_what_it_left_out_and_why_it_ended():
    run = Run(format=1, job="j", manifest="", version="", host="", pid=1, skipped={"hidden": 2}, at=AT)

    history = folded(
        run, Stopped(why="limit", elapsed_s=2.5, at=AT), run, seen(), Stopped(elapsed_s=1, at=AT)
    )

    assert (history.job, history.skipped, history.stopped, history.elapsed_s) == ("j", {"hidden": 2}, None, 1)


@pytest.mark.parametrize(
    ("events", "reserved", "charged"),
    [
        ([submitting(), SUBMITTED, REJECTED, audited("0")], "0", "0"),
        ([submitting(), SUBMITTED, REJECTED, audited("0.08")], "0", "0.08"),
        ([submitting(), HELD, audited("0.08")], "0", "0.08"),
        ([submitting(), LOST, audited("0")], "0", "0"),
        ([submitting(), LOST, submitting(2), audited("0.08")], "0.10", "0.08"),
        ([submitting(), LOST, submitting(2), done(attempt=2), audited("0.08")], "0", "0.20"),
        ([submitting(), HELD, submitting(2), audited("0")], "0.10", "0"),
        ([submitting(), SUBMITTED, RESULT, done(), audited("0.30")], "0", "0.30"),
        ([submitting(), SUBMITTED, RESULT, done(), audited("0.30"), done()], "0", "0.30"),
        ([done(), submitting(2), done(attempt=2), audited("0.30"), audited("0.10", 2)], "0", "0.40"),
        ([submitting(), HELD, audited("0"), SUBMITTED, RESULT, done()], "0", "0.12"),
    ],
    ids=[
        *("rejected, not billed", "rejected, billed", "held, billed", "lost, not billed"),
        *("lost, billed, another in flight", "lost, billed, done by another", "held, another in flight"),
        *("done, dearer", "done, dearer, healed", "two submissions", "held, found after all"),
    ],
)
def test_what_the_bill_told_counts_and_leaves_nothing_of_that_submission_reserved(events, reserved, charged):
    history = folded(seen(), *events)

    assert history.money.reserved == Decimal(reserved)
    assert history.money.charged == Decimal(charged)
    assert (history.money_of("m").reserved, history.money_of("m").charged) == (
        history.money.reserved,
        history.money.charged,
    )


def test_an_audit_leaves_a_tasks_state_as_it_is():
    history = folded(seen(), submitting(), SUBMITTED, REJECTED, audited("0"))

    assert history.get(ONE).state is State.FAILED
    assert history.failures() == {"x": 1}


def test_a_request_that_an_audit_found_is_accounted_for_unless_its_task_waits_to_collect_it():
    settled = folded(seen(), submitting(), LOST, audited("0.08", request_id="a"))
    held = folded(seen(), submitting(), HELD, audited("0.08", request_id="a"))

    assert "a" in settled.requests
    assert "a" not in held.requests


def test_each_model_has_its_own_sums():
    history = folded(
        seen(model="a"), submitting(), SUBMITTED, RESULT, seen(TWO, model="b"), submitting(task_id=TWO)
    )

    assert (history.money_of("a").charged, history.money_of("a").reserved) == (Decimal("0.12"), 0)
    assert (history.money_of("b").charged, history.money_of("b").reserved) == (0, Decimal("0.10"))
    assert history.money_of("never heard of").charged == 0


def test_a_million_tasks_share_the_name_of_their_model():
    history = folded(seen(model="fal/crystal"), seen(TWO, model="fal/crystal"))

    assert history.get(ONE).model == "fal/crystal"
    assert history.get(ONE).model is history.get(TWO).model


@pytest.mark.parametrize(
    ("events", "learned"),
    [
        ([done(seconds=3.0, charged="0")], 3.0),
        ([failed(), done(seconds=3.0, charged="0")], 3.0),
        ([submitting(), SUBMITTED, RESULT, done(seconds=3.0)], 3.0),
        ([done(seconds=3.0, charged="0", copied_from=TWO)], None),
        ([submitting(), SUBMITTED, RUN, RESULT, done(seconds=3.0)], None),
        ([submitting(), SUBMITTED, RESULT, RUN, done(seconds=3.0)], None),
        ([submitting(), SUBMITTED, RESULT, done(seconds=3.0), done(seconds=0.1)], 3.0),
        ([submitting(), HELD, SUBMITTED, RESULT, done(seconds=0.1), RUN, done(seconds=0.1)], 0.1),
    ],
    ids=["local", "retried", "fal", "copied", "resumed", "collected", "healed", "held and found"],
)
def test_only_what_one_run_did_from_beginning_to_end_tells_how_long_a_task_takes(events, learned):
    history = folded(seen(), *events)

    assert history.experience.expected_s("m", 1) == learned
