"""Killed at a step of an upload in parts, an audit, an attach or an examination, the next one goes on."""

import os

import pytest
from anyio import to_thread

from batchup.providers.fal.storage import PART_BYTES, SINGLE_BYTES
from batchup.rehearsal import Cut, Delay, Script, answers
from tests.fal.job import MODEL, Job, fal_of, forgive, paid_once, until
from tests.library import batchup, kill, start

NEVER = Delay(600.0)
"""An answer that is still on its way when the kill comes."""

HELD = f"{MODEL}\nfal: {{settle: 50ms, resubmit_below: 0 USD}}"
DEARER = {"fal-ai/seedvr/upscale/image": "0.003"}


async def killed_at(fal, job, step, *command, nth=1):
    """Kill a command while fal has the answer to its *nth* call of a step in hand."""
    fal.script(Script(step, NEVER, nth=nth))
    wanted = fal.calls[step] + nth
    process = start(*command, cwd=job.folder)
    try:
        await until(lambda: fal.calls[step] >= wanted or process.poll() is not None)
        assert process.poll() is None, process.communicate()
    finally:
        await to_thread.run_sync(kill, process)
    forgive(fal)


async def told(job, *command):
    return await to_thread.run_sync(lambda: batchup(*command, cwd=job.folder).stdout)


async def test_an_upload_in_parts_that_is_killed_at_any_of_its_steps_is_made_whole_and_paid_once(
    tmp_path, monkeypatch
):
    job = Job(tmp_path, photos=1)
    # What follows the picture's end belongs to the file, and is sent with it.
    os.truncate(tmp_path / "photos/0.png", SINGLE_BYTES + 1)
    async with fal_of(monkeypatch) as fal:
        for step, nth in ("part", 3), ("complete", 1):
            await killed_at(fal, job, step, "run", job.file, nth=nth)
            assert fal.accepted == []

        assert await job.tasks() == {"done": 1}

        assert len(fal.accepted) == 1
        assert fal.calls["part"] >= SINGLE_BYTES // PART_BYTES
        assert await job.tasks() == {"done": 1}
        assert len(fal.accepted) == 1
        assert paid_once(fal)


async def test_an_audit_that_is_killed_has_written_nothing_and_the_next_writes_all(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nprices: {{fal/seedvr-image: 0.001 USD/MP}}")
    async with fal_of(monkeypatch, prices=DEARER) as fal:
        await job.run()
        before = job.ledger.read_bytes()

        await killed_at(fal, job, "billing", "audit", job.file)

        assert job.ledger.read_bytes() == before
        assert "written   3 submissions" in await told(job, "audit", job.file)
        assert "no difference" in await told(job, "audit", job.file)
        assert len(job.events("audited")) == len(fal.accepted) == 3


@pytest.mark.parametrize("step", ["history", "status"])
async def test_an_attach_that_is_killed_can_be_made_again_and_the_task_is_collected(
    tmp_path, monkeypatch, step
):
    job = Job(tmp_path, HELD, photos=1)
    lost = Script("submit", Cut("after")), Script("history", answers.broken(503), times=0)
    async with fal_of(monkeypatch, *lost) as fal:
        assert await job.tasks() == {"held": 1}
        attach = "ledger", "attach", job.file, "0.png", fal.accepted[0].id
        forgive(fal)
        before = job.ledger.read_bytes()

        await killed_at(fal, job, step, *attach)

        assert job.ledger.read_bytes() == before
        assert "the next run collects it" in await told(job, *attach)
        assert await job.tasks() == {"done": 1}
        assert len(fal.accepted) == 1


async def test_an_examination_that_is_killed_leaves_nothing_and_hinders_no_run(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        before = sorted(tmp_path.rglob("*")), job.ledger.read_bytes()

        await killed_at(fal, job, "token", "doctor", job.file)

        assert (sorted(tmp_path.rglob("*")), job.ledger.read_bytes()) == before
        assert await job.tasks() == {"done": 1}
        assert len(fal.accepted) == 1
