"""Whether limits hold and are used to the full: over HTTP, on the machine's own clock, by the real command line."""

import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from batchup.rehearsal import Settings, open_fal
from tests.benchmarks.test_fal import photos
from tests.library import events, manifest, outputs

pytestmark = pytest.mark.bench

ROOT = Path(__file__).parents[2]

START_S = 2.0
"""What a run may take besides its tasks: to start, and to write what came last."""


@asynccontextmanager
async def running(folder, text, tasks, **settings):
    """Run a job against a fal of our own in this process; yield that, the process, and when it was started."""
    photos(folder / "photos", tasks)
    file = manifest(folder, f"model: fal/aura-sr\n{text}")
    async with open_fal(Settings(outputs="blank", **settings)) as fal:
        environment = {**os.environ, **fal.environment(), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "batchup", "run", str(file)]
        process = await anyio.open_process(command, env=environment, cwd=ROOT, stdout=None, stderr=None)
        try:
            yield fal, process, time.monotonic()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def most_in(moments, span_s):
    """Return the most of *moments*, sorted, that lie in any span of so many seconds."""
    return max(sum(first <= moment < first + span_s for moment in moments) for first in moments)


async def test_25_a_second_are_never_passed_and_used_to_the_full(tmp_path):
    text = "run: {rate: 25/s, concurrency: 40}"
    async with running(tmp_path, text, 150, task_s=0.5, concurrency=40) as (fal, process, _):
        assert await process.wait() == 0
        moments = [call.at_s for call in fal.log if call.step == "submit"]

    most, mean = most_in(moments, 1.0), 149 / (moments[-1] - moments[0])
    print(f"\n150 tasks at 25/s: {mean:.2f} a second (at least 23.75), at most {most} in any second (27)")
    assert len(moments) == 150
    assert mean >= 0.95 * 25
    assert most <= 25 + 2.5


@pytest.mark.parametrize("task_s", [1, 10], ids=["1 s", "10 s"])
async def test_an_account_of_ten_is_found_and_used_within_a_minute_with_few_refusals(tmp_path, task_s):
    tasks = 60 // task_s * 10 + 60
    settings = {"task_s": task_s, "accept_in_flight": 10, "concurrency": 10}
    async with running(tmp_path, "run: {concurrency: 40}", tasks, **settings) as (fal, _, _):
        await anyio.sleep(60 + START_S)
        end_s = time.monotonic()
        taken_s = end_s - fal.accepted[0].sent_s
        used_s = sum((one.ended_s or end_s) - one.sent_s for one in fal.accepted) / taken_s
        submits, refused, peak = (
            fal.calls["submit"],
            fal.calls["submit"] - len(fal.accepted),
            fal.account.peak,
        )

    print(
        f"\nten at once, 40 asked for, tasks of {task_s} s: {used_s / 10:.3f} of the account's capacity used in the"
        f" first minute (at least 0.9), {refused} of {submits} submits refused, {refused / submits:.2%} (under 2 %)"
    )
    assert peak == 10
    assert used_s >= 0.9 * 10
    assert refused < 0.02 * submits


@pytest.mark.parametrize(("task_s", "slots"), [(1.0, 20), (2.0, 25)], ids=["20 slots", "25 slots"])
async def test_500_tasks_take_hardly_longer_than_their_slots_do_and_never_use_one_more(
    tmp_path, task_s, slots
):
    settings = {"task_s": task_s, "concurrency": 100}
    text = f"run: {{concurrency: {slots}}}"
    async with running(tmp_path, text, 500, **settings) as (fal, process, began_s):
        assert await process.wait() == 0
        wall_s, peak = time.monotonic() - began_s, fal.account.peak
        spent_s = fal.accepted[-1].ended_s - fal.accepted[0].sent_s

    ideal_s = 500 * task_s / slots
    took_s = events(tmp_path / "out/.batchup/holiday.jsonl", "stopped")[-1]["elapsed_s"]
    print(
        f"\n500 tasks of {task_s:g} s, {slots} at a time: {spent_s:.2f} s from the first submit to the last end,"
        f" {spent_s / ideal_s:.3f} of the ideal {ideal_s:g} (at most 1.05); the run {took_s:.1f} s, the process"
        f" {wall_s:.1f}; at most {peak} at once"
    )
    assert len(outputs(tmp_path / "out")) == 500
    assert peak == slots
    assert spent_s <= 1.05 * ideal_s
    assert wall_s <= 1.05 * ideal_s + START_S
