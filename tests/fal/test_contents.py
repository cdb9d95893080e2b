"""Identical contents are paid once, in one run and over many, and uploaded once."""

import os
import shutil

import pytest

from batchup.rehearsal import Damaged, Script, answers
from tests.fal.job import DEAR, LOSSY, MODEL, Job, fal_of, forgive, paid_once
from tests.library import size


def copies(job, *names):
    for name in names:
        shutil.copy(job.folder / "photos/0.png", job.folder / "photos" / name)


async def test_identical_contents_are_paid_once_and_written_to_every_name(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=2)
    copies(job, "copy.png", "again.png")
    async with fal_of(monkeypatch) as fal:
        assert await job.tasks() == {"done": 4}

        assert len(fal.accepted) == fal.calls["upload"] == 2
        assert {size(file) for file in job.outputs().values()} == {(96, 72)}
        assert job.outputs()["copy.png"].read_bytes() == job.outputs()["0.png"].read_bytes()


async def test_a_file_that_is_copied_touched_or_moved_later_is_not_paid_again(tmp_path, monkeypatch):
    job = Job(tmp_path)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        copies(job, "copy.png")
        os.utime(tmp_path / "photos/1.png", (1e9, 1e9))
        (tmp_path / "photos/2.png").rename(tmp_path / "photos/moved.png")

        assert await job.tasks() == {"done": 4, "orphaned": 2}

        assert len(fal.accepted) == fal.calls["upload"] == 3
        assert set(job.outputs()) == {"0.png", "1.png", "2.png", "copy.png", "moved.png"}


async def test_a_moved_file_whose_output_was_deleted_is_fetched_again_and_not_paid(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        (tmp_path / "photos/0.png").rename(tmp_path / "photos/moved.png")
        (job.out / "0.png").unlink()

        assert await job.tasks() == {"done": 1, "orphaned": 1}

        assert len(fal.accepted) == 1
        assert set(job.outputs()) == {"moved.png"}


@pytest.mark.parametrize("gone", [["copy.png"], ["0.png", "copy.png"]], ids=["the copy", "both"])
async def test_a_copy_that_was_deleted_is_made_again_for_nothing(tmp_path, monkeypatch, gone):
    job = Job(tmp_path, photos=1)
    copies(job, "copy.png")
    async with fal_of(monkeypatch) as fal:
        outcome = await job.run()
        for name in gone:
            (job.out / name).unlink()

        again = await job.run()

        assert again.summary.tasks.done == 2
        assert set(job.outputs()) == {"0.png", "copy.png"}
        assert len(fal.accepted) == 1
        assert again.summary.cost_usd == outcome.summary.cost_usd


async def test_what_lies_on_the_storage_is_used_again_while_it_lives(tmp_path, monkeypatch):
    job = Job(tmp_path)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        job.write("model: fal/crystal")

        assert (await job.tasks())["done"] == 3

        assert (len(fal.accepted), fal.calls["upload"]) == (6, 3)


async def test_what_has_left_the_storage_is_uploaded_anew(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nfal: {{keep_inputs: 1h}}")
    async with fal_of(monkeypatch) as fal:
        await job.run()
        job.write("model: fal/crystal\nfal: {keep_inputs: 1d}")

        assert (await job.tasks())["done"] == 3

        assert (len(fal.accepted), fal.calls["upload"]) == (6, 6)


async def test_two_models_share_one_upload(tmp_path, monkeypatch):
    job = Job(tmp_path, "matrix: {model: [fal/crystal, fal/aura-sr]}\nmodel: fal/crystal")
    async with fal_of(monkeypatch) as fal:
        assert await job.tasks() == {"done": 6}

        assert (len(fal.accepted), fal.calls["upload"]) == (6, 3)


async def test_who_has_the_same_contents_as_one_that_fails_fails_with_it_and_names_it(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    copies(job, "copy.png")
    async with fal_of(monkeypatch, Script("task", answers.model_error("content_policy_violation"))) as fal:
        assert await job.tasks() == {"failed": 2}

        assert len(fal.accepted) == 1
        assert "0.png" in job.events("failed")[1]["message"]


async def test_who_has_the_same_contents_as_one_that_is_held_is_held_with_it(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{DEAR}\n{LOSSY}", photos=1)
    copies(job, "copy.png")
    scripts = [Script("submit", answers.broken(500, acted=True)), Script("history", answers.gone(), times=0)]
    async with fal_of(monkeypatch, *scripts) as fal:
        summary = (await job.run()).summary
        assert (summary.tasks.held, summary.cost_usd.reserved) == (2, 0.08)
        assert "0.png" in job.events("held")[1]["message"]
        assert await job.tasks() == {"held": 2}
        assert len(job.events("held")) == 2

        assert await job.tasks(resubmit_held=True) == {"done": 2}
        assert len(fal.accepted) == 2


async def test_what_was_held_with_another_is_done_with_it_once_that_is_found(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{DEAR}\n{LOSSY}", photos=1)
    copies(job, "copy.png")
    scripts = [Script("submit", answers.broken(500, acted=True)), Script("history", answers.gone(), times=0)]
    async with fal_of(monkeypatch, *scripts) as fal:
        await job.run()
        forgive(fal)

        await job.run()
        assert await job.tasks() == {"done": 2}

        assert len(fal.accepted) == 1


async def test_an_output_that_came_damaged_is_fetched_for_its_copies_too_and_not_paid(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    copies(job, "copy.png")
    async with fal_of(monkeypatch, Script("download", Damaged(), times=2), outputs="real") as fal:
        assert await job.tasks() == {"done": 1, "failed": 1}
        assert len(fal.accepted) == 1

        assert await job.tasks(retry_failed=True) == {"done": 2}
        assert len(fal.accepted) == 1
        assert paid_once(fal)


@pytest.mark.parametrize("name", ["moved.png", "0.png"], ids=["moved", "touched"])
async def test_a_file_that_moves_while_its_work_is_under_way_takes_that_along(tmp_path, monkeypatch, name):
    job = Job(tmp_path, f"{MODEL}\ntimeouts: {{task: 50ms}}", photos=1)
    async with fal_of(monkeypatch, task_s=0.4) as fal:
        assert await job.tasks() == {"in_flight": 1}
        (tmp_path / "photos/0.png").rename(tmp_path / "photos" / name)
        os.utime(tmp_path / "photos" / name, (1e9, 1e9))
        job.write(MODEL)

        outcome = await job.run()

        assert (outcome.summary.tasks.done, outcome.summary.tasks.orphaned) == (1, 1)
        assert outcome.summary.cost_usd.reserved == 0
        assert outcome.summary.cost_usd.charged == float(round(fal.billed_usd, 6))
        assert len(fal.accepted) == 1
        assert set(job.outputs()) == {name}
