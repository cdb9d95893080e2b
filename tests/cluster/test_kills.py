"""Workers that die at any instant cost nothing but time."""

import contextlib
import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from anyio import to_thread

from batchup.rehearsal import Delay, Script
from tests.cluster.machines import another_worker, cluster, job, kill_one, kill_scheduler
from tests.fal.job import DEAR, Job, fal_of, paid_once
from tests.library import events, kill, outputs, photo, start, wait_until

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds processes to kill by /proc"
)

PAID = "model: fal/seedvr-image\nparams: {output_format: png}\nfal: {settle: 1s}"


def killed_while(process, nannies, kills, rng, progress):
    """Kill workers now and then until *process* ends, each after some *progress*; return how often."""
    killed = before = 0
    assert process.stderr
    next(line for line in process.stderr if "to run" in line)
    while killed < kills:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=rng.uniform(0.0, 0.3))
            break
        if (now := progress()) > before:
            one_died = kill_one(nannies, rng)
            killed, before = killed + one_died, now if one_died else before
    return killed


def ended(process):
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, out + err
    assert "Traceback" not in err
    return err


async def paid_through(tmp_path, monkeypatch, *, photos, kills, seed):
    rng = random.Random(seed)
    async with fal_of(monkeypatch, Script("submit", Delay(0.8), times=0), task_s=0.1) as fal:

        def run():
            with cluster(tmp_path / "workers", nanny=True) as (planned, nannies):
                text = f"{PAID}\nrun: {{concurrency: 6, cluster: '{planned.address}'}}"
                one = Job(tmp_path, text, photos=photos)
                process = start("run", one.file, cwd=tmp_path)
                killed = killed_while(process, nannies, kills, rng, lambda: len(fal.accepted))
                return one, killed, ended(process)

        one, killed, _ = await to_thread.run_sync(run)

        assert killed >= kills // 2, "too few photos: most kills met a job that was done"
        assert len(one.outputs()) == photos
        submissions = Counter(event["id"] for event in one.events("submitting"))
        assert len(fal.accepted) <= sum(submissions.values()), "an attempt was started twice"
        assert paid_once(fal)
        lost = Counter(event["kind"] for event in one.events("retried"))
        return killed, len(fal.accepted), submissions.total(), lost


async def test_workers_killed_while_they_submit_lose_nothing_and_nothing_is_paid_twice(tmp_path, monkeypatch):
    await paid_through(tmp_path, monkeypatch, photos=12, kills=2, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_eight_kills_in_48_paid_tasks(tmp_path, monkeypatch, seed):
    print(await paid_through(tmp_path, monkeypatch, photos=48, kills=8, seed=seed))


def free_through(tmp_path, *, photos, kills, seed):
    rng = random.Random(seed)
    for number in range(photos):
        photo(tmp_path / f"photos/{number:02}.png", size=(500, 400), seed=number)
    with cluster(tmp_path / "workers", nanny=True) as (planned, nannies):
        process = start("run", job(tmp_path, planned.address, "params: {scale: 4}"), cwd=tmp_path)
        ledger = tmp_path / "out/.batchup/holiday.jsonl"
        killed = killed_while(process, nannies, kills, rng, lambda: len(events(ledger, "done")))
        ended(process)

    done = Counter(event["id"] for event in events(ledger, "done"))
    assert killed >= kills // 2, "too few photos: most kills met a job that was done"
    assert len(done) == len(outputs(tmp_path / "out")) == photos
    assert set(done.values()) == {1}
    left = [path for path in (tmp_path / "out").rglob("*") if "part" in path.name or "cluster" in path.name]
    assert not left


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_eight_kills_in_48_free_tasks(tmp_path, seed):
    free_through(tmp_path, photos=48, kills=8, seed=seed)


def test_free_work_of_killed_workers_is_done_by_others(tmp_path):
    free_through(tmp_path, photos=10, kills=2, seed=3)


async def test_a_killed_coordinator_leaves_nothing_that_is_paid_twice(tmp_path, monkeypatch):
    async with fal_of(monkeypatch, Script("submit", Delay(0.5), times=0), task_s=0.1) as fal:

        def run():
            with cluster(tmp_path / "workers") as (planned, _):
                text = f"{PAID}\nrun: {{concurrency: 6, cluster: '{planned.address}'}}"
                one = Job(tmp_path, text, photos=10)
                process = start("run", one.file, cwd=tmp_path)
                wait_until(lambda: len(fal.accepted) >= 2)
                kill(process)
                ended(start("run", one.file, cwd=tmp_path))
                return one

        one = await to_thread.run_sync(run)

        assert len(one.outputs()) == 10
        assert paid_once(fal)
        assert len(fal.accepted) == 10


async def test_paid_work_waits_for_a_worker_and_what_was_never_sent_is_not_doubted(tmp_path, monkeypatch):
    async with fal_of(monkeypatch, task_s=0.4) as fal:

        def run():
            with cluster(tmp_path / "workers", 1) as (planned, (worker,)):
                text = f"{DEAR}\nrun: {{concurrency: 2, cluster: '{planned.address}'}}"
                one = Job(tmp_path, text, photos=6)
                process = start("run", one.file, cwd=tmp_path)
                wait_until(lambda: len(fal.accepted) == 2 and len(one.events("submitted")) == 2)
                worker.kill()
                assert process.stderr
                next(line for line in process.stderr if "waits for another" in line)
                with another_worker(tmp_path / "another", planned):
                    ended(process)
                return one

        one = await to_thread.run_sync(run)

        assert len(one.outputs()) == 6
        assert len(fal.accepted) == 6
        assert not one.events("held")


def test_a_run_whose_scheduler_dies_ends_and_the_next_goes_on(tmp_path):
    for number in range(12):
        photo(tmp_path / f"photos/{number:02}.png", size=(500, 400), seed=number)
    ledger = tmp_path / "out/.batchup/holiday.jsonl"
    with cluster(tmp_path / "workers") as (planned, _):
        process = start("run", job(tmp_path, planned.address, "params: {scale: 4}"), cwd=tmp_path)
        wait_until(lambda: ledger.exists() and events(ledger, "done"))
        kill_scheduler(planned)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 5, out + err
    assert "scheduler at tcp://127.0.0.1" in err
    assert "is gone; start it and run again" in err
    ended(start("run", job(tmp_path, "", "params: {scale: 4}\nrun: {}"), cwd=tmp_path))
    assert len(outputs(tmp_path / "out")) == 12
