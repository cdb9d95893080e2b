"""What was paid for is fetched again, never bought again."""

import pytest

from batchup.rehearsal import Cut, Damaged, Resized, Script, answers
from tests.fal.job import Job, fal_of
from tests.library import size


def urls(job):
    return [url for event in job.events("result") for url in event["urls"]]


def cut_in_half(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("harm", [lambda file: file.unlink(), cut_in_half], ids=["deleted", "damaged"])
async def test_an_output_that_is_gone_or_broken_is_fetched_again_for_nothing(tmp_path, monkeypatch, harm):
    job = Job(tmp_path)
    async with fal_of(monkeypatch) as fal:
        before = (await job.run()).summary
        calls = fal.calls.copy()
        harm(job.out / "1.png")

        after = (await job.run()).summary

        assert after.tasks.done == 3
        assert {size(file) for file in job.outputs().values()} == {(96, 72)}
        assert fal.calls - calls == {"download": 1}
        assert after.cost_usd == before.cost_usd


async def test_a_result_that_has_expired_is_lost_and_run_again_only_by_name(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=2)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        for url in urls(job):
            fal.expire_file(url)
        (job.out / "1.png").unlink()

        outcome = await job.run()
        assert outcome.summary.failures == {"result_expired": 1}
        assert await job.tasks(retry_failed=True) == {"done": 1, "failed": 1}
        assert len(fal.accepted) == 2

        assert await job.tasks(redo=("1.png",)) == {"done": 2}
        assert len(fal.accepted) == 3


async def test_an_output_that_was_retouched_is_left_alone_until_a_person_wants_it_back(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=2)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        whole = (job.out / "0.png").read_bytes()
        (job.out / "0.png").write_bytes((tmp_path / "photos/1.png").read_bytes())
        await job.run()
        assert size(job.out / "0.png") == (48, 36)

        await job.run(restore=True)

        assert (job.out / "0.png").read_bytes() == whole
        assert len(fal.accepted) == 2


async def test_an_output_that_comes_damaged_once_is_downloaded_again(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch, Script("download", Damaged()), outputs="real") as fal:
        assert await job.tasks() == {"done": 1}

        assert (len(fal.accepted), fal.calls["download"]) == (1, 2)


async def test_an_output_that_stays_damaged_fails_and_is_never_paid_again_by_itself(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch, Script("download", Damaged(), times=4), outputs="real") as fal:
        first = (await job.run()).summary
        assert first.failures == {"output_damaged": 1}
        assert first.cost_usd.charged == float(round(fal.billed_usd, 6)) > 0

        assert await job.tasks(retry_failed=True) == {"failed": 1}
        assert await job.tasks(retry_failed=True) == {"done": 1}
        assert len(fal.accepted) == 1


async def test_a_download_that_breaks_is_taken_up_again(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch, Script("download", Cut("during"), times=3), outputs="real") as fal:
        assert await job.tasks() == {"done": 1}

        assert (len(fal.accepted), fal.calls["download"]) == (1, 4)


async def test_an_output_that_cannot_be_fetched_today_is_fetched_by_a_later_run(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch, Script("download", answers.broken(503), times=5)) as fal:
        assert await job.tasks() == {"failed": 1}

        assert await job.tasks(retry_failed=True) == {"done": 1}
        assert len(fal.accepted) == 1


async def test_an_output_of_another_size_is_kept_and_marked(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=2)
    async with fal_of(monkeypatch, Script("task", Resized(1.5))) as fal:
        assert await job.tasks() == {"done": 2}

        assert sorted(size(file) for file in job.outputs().values()) == [(96, 72), (144, 108)]
        assert sum(event.get("unexpected_size", False) for event in job.events("done")) == 1
        assert await job.tasks() == {"done": 2}
        assert len(fal.accepted) == 2


async def test_an_answer_without_an_output_fails_and_what_it_may_cost_stays_reserved(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch, Script("result", answers.said({"image": {"url": "http://["}}))) as fal:
        summary = (await job.run()).summary

        assert summary.failures == {"answer_unusable": 1}
        assert summary.cost_usd.reserved == float(round(fal.billed_usd, 6))
