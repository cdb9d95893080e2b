"""Cancelling: what is queued is asked to end, and nothing is recorded that is not known."""

import json
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio import to_thread

from batchup.rehearsal import Delay, Script
from tests.fal.job import Job, fal_of

SLOW = Script("task", Delay(0.7))
"""The first task takes a while; with one at a time the others wait behind it."""


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


async def submitted(job, number=3):
    """Wait until a run has submitted so many."""
    while not job.ledger.exists() or len(job.events("submitted")) < number:  # noqa: ASYNC110 - what is waited for is a file
        await anyio.sleep(0.01)


@asynccontextmanager
async def left(job, monkeypatch):
    """A fal with three requests of a run that has ended; it works on the first of them."""
    async with fal_of(monkeypatch, SLOW, concurrency=1) as fal:
        async with anyio.create_task_group() as group:
            group.start_soon(job.run)
            await submitted(job)
            group.cancel_scope.cancel()
        yield fal


async def cancel(call, job):
    return await to_thread.run_sync(lambda: call("cancel", job.file, "--json"))


async def test_what_waits_is_asked_to_end_and_what_runs_is_left_to_finish(job, call, monkeypatch):
    async with left(job, monkeypatch) as fal:
        before = job.ledger.read_bytes()
        told = json.loads((await cancel(call, job)).out)

        assert sorted(item["outcome"] for item in told["items"]) == ["requested", "requested", "running"]
        assert fal.calls["cancel"] == 2
        assert told["billed_all_the_same_usd"] == pytest.approx(96 * 72 / 1e9)
        assert len(before) == len(job.ledger.read_bytes())


async def test_the_next_run_tells_what_was_cancelled_and_collects_the_rest(job, call, monkeypatch):
    async with left(job, monkeypatch) as fal:
        await cancel(call, job)

        assert await job.tasks() == {"done": 1, "failed": 2}
        assert {event["kind"] for event in job.events("failed")} == {"client_cancelled"}
        assert len(fal.accepted) == 3


async def test_a_run_that_is_going_on_must_be_stopped_first(job, call, monkeypatch):
    async with fal_of(monkeypatch, SLOW, concurrency=1) as fal, anyio.create_task_group() as group:
        group.start_soon(job.run)
        await submitted(job)
        answer = await cancel(call, job)
        group.cancel_scope.cancel()

    assert answer.status == 4
    assert "in use by another run" in answer.err
    assert fal.calls["cancel"] == 0


async def test_where_nothing_is_in_flight_nothing_is_asked(job, call, monkeypatch):
    async with fal_of(monkeypatch) as fal:
        await job.run()

        answer = await to_thread.run_sync(lambda: call("cancel", job.file))

    assert (answer.status, answer.out) == (0, "holiday: nothing is in flight\n")
    assert fal.calls["cancel"] == 0


async def test_a_request_that_fal_does_not_know_any_more_is_told(job, call, monkeypatch):
    async with left(job, monkeypatch) as fal:
        fal.expire(*(one.id for one in fal.accepted))
        told = json.loads((await cancel(call, job)).out)

        assert [item["outcome"] for item in told["items"]] == ["gone"] * 3


async def test_a_person_is_told_what_may_be_billed_all_the_same(job, call, monkeypatch):
    async with left(job, monkeypatch):
        answer = await to_thread.run_sync(lambda: call("cancel", job.file))

        assert "runs already; left to finish" in answer.out
        assert "holiday: 3 tasks in flight, the end of 2 asked for" in answer.out
        assert "billed    up to 0.0000069 USD all the same" in answer.out


async def test_without_a_key_nothing_is_cancelled(job, call, monkeypatch):
    async with left(job, monkeypatch):
        monkeypatch.delenv("FAL_KEY")
        answer = await cancel(call, job)

        assert answer.status == 5
        assert "FAL_KEY" in answer.err
