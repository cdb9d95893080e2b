"""A network that is lost pauses the run, fails nothing, and costs nothing."""

import os

import anyio
import pytest

from batchup.manifest import load
from batchup.progress import Progress
from batchup.rehearsal import Cut, Elsewhere, Script
from batchup.rehearsal.tempo import Tempo
from batchup.run import Options, run
from tests.fal.job import DEAR, LOSSY, MODEL, Job, fal_of, paid_once

SPEED = 30.0
GONE_S = 60.0


class Witness(Progress):
    """Remembers what a person is told."""

    def __init__(self):
        super().__init__(show=False)
        self.told = []

    def waiting(self, why):
        self.told.append(why)


async def until(job, number):
    """Wait until so many tasks are done."""
    while not job.ledger.exists() or len(job.events("done")) < number:  # noqa: ASYNC110 - a file wakes nobody
        await anyio.sleep(0.01)


async def test_a_network_that_is_gone_for_a_minute_fails_nothing_and_is_told_in_one_line(
    tmp_path, monkeypatch
):
    text = f"{MODEL}\nrun: {{concurrency: 4}}\nretry: {{attempts: 2, initial: 1s, max: 2s}}"
    job = Job(tmp_path, text, photos=16)
    clock, witness, outcomes = Tempo(SPEED), Witness(), []

    async def execute():
        outcomes.append(await run(load(job.file), Options(), witness, clock))

    async with fal_of(monkeypatch, clock=clock, task_s=5.0) as fal:
        async with anyio.create_task_group() as group:
            group.start_soon(execute)
            await until(job, 4)
            async with fal.unplugged():
                await anyio.sleep(GONE_S / SPEED)

        tasks = outcomes[0].summary.tasks
        assert (tasks.done, tasks.failed, tasks.held) == (16, 0, 0)
        assert len(fal.accepted) == 16
        assert paid_once(fal)
    assert len(witness.told) == 2
    assert witness.told[0].startswith("waiting for the network: ")
    assert witness.told[1] == ""


@pytest.mark.parametrize("text", [MODEL, DEAR], ids=["cheap", "dear"])
async def test_a_submission_whose_answer_was_lost_with_the_network_is_looked_for_when_it_is_back(
    tmp_path, monkeypatch, text
):
    job = Job(tmp_path, f"{text}\n{LOSSY}", photos=1)
    async with fal_of(monkeypatch, Script("submit", Cut("after"))) as fal:
        async with anyio.create_task_group() as group:
            group.start_soon(job.run)
            while not fal.accepted:  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.001)
            async with fal.unplugged():
                await anyio.sleep(0.8)  # more than fal.settle

        assert len(fal.accepted) == 1
        assert len(job.outputs()) == 1


async def test_a_run_that_waits_for_the_network_can_be_stopped_and_nothing_is_lost(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 2}}", photos=8)
    async with fal_of(monkeypatch, task_s=0.3) as fal:
        async with anyio.create_task_group() as group:
            group.start_soon(job.run)
            await until(job, 2)
            async with fal.unplugged():
                await anyio.sleep(0.3)
                os.kill(os.getpid(), 2)
                await anyio.sleep(0.3)

        assert await job.tasks() == {"done": 8}
        assert paid_once(fal)


async def test_a_host_that_alone_cannot_be_reached_is_no_outage_and_holds_up_nothing_else(
    tmp_path, monkeypatch
):
    job = Job(tmp_path, f"{MODEL}\nretry: {{attempts: 2, initial: 1ms, max: 2ms}}", photos=3)
    async with fal_of(monkeypatch, Script("result", Elsewhere("http://127.0.0.1:9"), times=1)) as fal:
        assert await job.tasks() == {"done": 2, "failed": 1}

        assert len(fal.accepted) == 3
