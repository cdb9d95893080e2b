"""A ledger forgets what the manifest no longer makes, but never what it cost."""

import json
import shutil
from decimal import Decimal

import pytest

from batchup.cli import main
from batchup.history import History
from batchup.ledger import open_view
from batchup.ledger.compact import compact
from tests.fal.job import Job, fal_of

DEARER = "model: fal/seedvr-image\nparams: {output_format: png, upscale_factor: 4}"


def prune(job, capsys, status=0):
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["ledger", "prune", str(job.file), "--json"])
    said = capsys.readouterr()
    assert end.value.code == status, said.err
    return json.loads(said.out)


def history(job):
    with open_view(job.ledger) as view:
        return History(view.read_line).fold(view.replay())


async def test_orphans_are_forgotten_and_what_they_cost_and_their_requests_are_not(
    tmp_path, monkeypatch, capsys
):
    job = Job(tmp_path, photos=3)
    async with fal_of(monkeypatch):
        await job.run()
        (tmp_path / "photos/0.png").unlink()
        assert await job.tasks() == {"done": 2, "orphaned": 1}
        before, ids = history(job), [event["request_id"] for event in job.events("submitted")]

        said = prune(job, capsys)
        after = history(job)

        assert (said["forgotten"], Decimal(said["kept_usd"])) == (1, before.money.charged / 3)
        assert after.money.charged == before.money.charged
        assert after.money_of("fal/seedvr-image") == before.money_of("fal/seedvr-image")
        assert all(one in after.requests for one in ids)
        assert await job.tasks() == {"done": 2}
        compact(job.ledger)
        assert history(job).money.charged == before.money.charged


async def test_a_task_that_comes_back_is_paid_for_anew_and_both_count(tmp_path, monkeypatch, capsys):
    job = Job(tmp_path, photos=2)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        once = history(job).money.charged / 2
        (tmp_path / "photos/0.png").rename(tmp_path / "away.png")
        await job.run()
        prune(job, capsys)
        (job.out / "0.png").unlink()
        (tmp_path / "away.png").rename(tmp_path / "photos/0.png")

        assert await job.tasks() == {"done": 2}

        assert len(fal.accepted) == 3
        assert history(job).money.charged == 3 * once
        (tmp_path / "photos/0.png").unlink()
        await job.run()
        prune(job, capsys)
        assert history(job).money.charged == 3 * once


async def test_an_orphan_that_a_copy_was_made_from_stays(tmp_path, monkeypatch, capsys):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        shutil.copy(tmp_path / "photos/0.png", tmp_path / "photos/copy.png")
        await job.run()
        (tmp_path / "photos/0.png").unlink()
        assert await job.tasks() == {"done": 1, "orphaned": 1}

        said = prune(job, capsys)
        for file in job.outputs().values():
            file.unlink()

        assert (said["forgotten"], said["needed"]) == (0, 1)
        assert await job.tasks() == {"done": 1, "orphaned": 1}
        assert len(fal.accepted) == 1


async def test_an_orphan_whose_name_a_pending_task_takes_over_stays(tmp_path, monkeypatch, capsys):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch):
        await job.run()
        job.write(DEARER)
        assert await job.tasks(limit=0) == {"pending": 1, "orphaned": 1}

        assert prune(job, capsys)["needed"] == 1


async def test_a_ledger_without_orphans_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch):
        await job.run()
    before = job.ledger.read_bytes()

    assert prune(job, capsys)["forgotten"] == 0
    assert job.ledger.read_bytes() == before
