"""What fal asks to wait for is waited for, by everyone, and counts for nothing."""

import pytest

from batchup.rehearsal import Delay, Script, answers
from tests.fal.job import MODEL, Job, fal_of
from tests.library import photo


def calls(fal, step):
    return [call.at_s for call in fal.log if call.step == step]


@pytest.mark.parametrize("step", ["token", "upload", "submit", "status", "result", "download"])
async def test_being_told_to_wait_uses_up_no_attempt(tmp_path, monkeypatch, step):
    job = Job(tmp_path, f"{MODEL}\nretry: {{attempts: 1, initial: 1ms, max: 2ms}}")
    async with fal_of(monkeypatch, Script(step, answers.too_many(0.01), times=4)) as fal:
        assert await job.tasks() == {"done": 3}

        assert len(fal.accepted) == 3


@pytest.mark.parametrize(("wait_s", "form"), [(0.4, "seconds"), (1.5, "date")], ids=["seconds", "date"])
async def test_a_retry_after_holds_back_every_submit(tmp_path, monkeypatch, wait_s, form):
    job = Job(tmp_path, photos=6)
    async with fal_of(monkeypatch, Script("submit", answers.too_many(wait_s, form))) as fal:
        assert await job.tasks(concurrency=2) == {"done": 6}

        first, *later = calls(fal, "submit")
        # One was on its way at the same moment; a date is cut to whole seconds.
        assert sum(at - first > 0.35 for at in later) >= len(later) - 1 == 5


async def test_an_account_that_takes_few_at_once_gets_few_at_once(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 12}}", photos=24)
    async with fal_of(monkeypatch, accept_in_flight=3, task_s=0.02) as fal:
        assert await job.tasks() == {"done": 24}

        assert (len(fal.accepted), fal.account.peak) == (24, 3)
        assert fal.calls["submit"] < 24 * 4


async def test_no_more_are_under_way_than_the_manifest_allows(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 2}}", photos=8)
    async with fal_of(monkeypatch, task_s=0.03) as fal:
        assert await job.tasks() == {"done": 8}

        assert fal.account.peak == 2


async def test_a_deadline_leaves_the_request_alone_and_keeps_its_place(tmp_path, monkeypatch):
    text = f"{MODEL}\nrun: {{concurrency: 1}}\ntimeouts: {{task: 100ms}}"
    job = Job(tmp_path, text)
    async with fal_of(monkeypatch, task_s=0.5) as fal:
        summary = (await job.run()).summary
        assert (summary.tasks.in_flight, summary.tasks.pending) == (1, 2)
        assert summary.cost_usd.reserved > 0
        assert (len(fal.accepted), fal.calls["cancel"]) == (1, 0)

        job.write(MODEL)
        assert await job.tasks() == {"done": 3}
        assert (len(fal.accepted), fal.calls["cancel"]) == (3, 0)


async def test_what_is_complete_is_collected_before_anything_new_is_submitted(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\ntimeouts: {{task: 50ms}}", photos=2)
    async with fal_of(monkeypatch, task_s=0.3) as fal:
        assert await job.tasks() == {"in_flight": 2}
        for one in fal.accepted:
            await one.end()
        for number in range(2, 5):
            photo(tmp_path / f"photos/{number}.png", seed=number)
        job.write(MODEL)
        fal.script(Script("status", Delay(0.3), times=2))
        before = len(fal.log)

        assert await job.tasks() == {"done": 5}

        steps = [call.step for call in fal.log[before:] if call.step in {"result", "submit"}]
        assert steps[:2] == ["result", "result"]
        assert len(fal.accepted) == 5
