"""A run that is stopped or killed leaves every request to be collected, and pays for nothing twice."""

import contextlib
import random
import signal
import subprocess
from collections import Counter

import pytest
from anyio import to_thread

from batchup.rehearsal import Delay, Script, rough
from tests.fal.job import MODEL, Job, fal_of, forgive, paid_once, until
from tests.library import kill, size, start


async def in_thread(call, *args):
    return await to_thread.run_sync(call, *args)


async def test_the_first_signal_collects_what_is_in_flight_and_submits_nothing_more(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 3}}", photos=12)
    async with fal_of(monkeypatch, task_s=0.5) as fal:
        process = start("run", job.file, cwd=tmp_path)
        await until(lambda: len(fal.accepted) >= 3)
        process.send_signal(signal.SIGINT)
        out, err = await in_thread(process.communicate)

        assert process.returncode == 130, out + err
        assert len(job.outputs()) == len(fal.accepted) <= 4
        assert await job.tasks() == {"done": 12}
        assert len(fal.accepted) == 12
        assert paid_once(fal)


async def test_the_second_signal_leaves_at_once_and_the_next_run_collects(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 3}}", photos=6)
    async with fal_of(monkeypatch, task_s=1.5) as fal:
        process = start("run", job.file, cwd=tmp_path)
        await until(lambda: len(job.events("submitted") if job.ledger.exists() else []) >= 3)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        await in_thread(lambda: next(line for line in process.stderr if "stopping" in line))
        process.send_signal(signal.SIGINT)
        await in_thread(process.communicate)

        assert process.returncode == 130
        assert not job.outputs()
        assert fal.calls["cancel"] == 0

        assert await job.tasks() == {"done": 6}
        assert len(fal.accepted) == 6


async def test_a_drained_run_leaves_what_was_only_about_to_be_submitted(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 2}}", photos=10)
    async with fal_of(monkeypatch, task_s=0.4) as fal:
        process = start("run", job.file, cwd=tmp_path)
        await until(lambda: fal.calls["upload"] >= 8)
        process.send_signal(signal.SIGTERM)
        await in_thread(process.communicate)

        assert process.returncode == 143
        assert len(fal.accepted) <= 4
        assert len(job.events("submitting")) == len(fal.accepted)


async def killed_often(job, monkeypatch, *, kills, photos, seed):
    rng = random.Random(seed)
    settings = {"faults": rough(0.08), "task_s": 0.15, "task_spread": 0.8, "seed": seed, "outputs": "blank"}
    async with fal_of(monkeypatch, **settings) as fal:
        unfinished = 0
        for _ in range(kills):
            before = len(job.outputs()) if job.out.exists() else 0
            process = start("run", job.file, cwd=job.folder)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await in_thread(lambda process=process: process.wait(timeout=rng.uniform(0.3, 1.2)))
            await in_thread(kill, process)
            unfinished += before < photos
        assert unfinished >= kills * 2 // 3, "too few photos: most kills met a job that was done"

        forgive(fal)
        tasks = await job.tasks()
        while "failed" in tasks or "in_flight" in tasks:  # by bad luck alone, and never paid again
            tasks = await job.tasks(retry_failed=True)

        assert tasks == {"done": photos}
        assert len(job.outputs()) == photos
        assert {size(file) for file in job.outputs().values()} == {(96, 72)}
        assert set(Counter(event["id"] for event in job.events("done")).values()) == {1}
        assert paid_once(fal)
        assert len(fal.inputs_billed) == photos
        assert not list(job.out.rglob("*.part"))


ROUGH = f"""{MODEL}
run: {{concurrency: 4}}
fal: {{settle: 3s}}
retry: {{attempts: 8, initial: 10ms, max: 40ms}}"""


async def test_killed_at_any_instant_of_a_rough_night_every_task_is_done_once_and_paid_once(
    tmp_path, monkeypatch
):
    await killed_often(Job(tmp_path, ROUGH, photos=60), monkeypatch, kills=7, photos=60, seed=11)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_killed_thirty_times_in_a_rough_night(tmp_path, monkeypatch, seed):
    await killed_often(Job(tmp_path, ROUGH, photos=250), monkeypatch, kills=30, photos=250, seed=seed)


@pytest.mark.parametrize("step", ["submit", "status", "download"])
async def test_killed_while_an_answer_is_on_its_way_it_pays_once(tmp_path, monkeypatch, step):
    job = Job(tmp_path, f"{MODEL}\nfal: {{settle: 2s}}", photos=2)
    async with fal_of(monkeypatch, Script(step, Delay(30.0), times=2)) as fal:
        process = start("run", job.file, cwd=tmp_path)
        await until(lambda: fal.calls[step] >= 2)
        await in_thread(kill, process)
        forgive(fal)

        assert await job.tasks() == {"done": 2}
        assert len(fal.accepted) == 2
