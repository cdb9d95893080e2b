"""A watch spends nothing that nobody has agreed to."""

import signal
from contextlib import contextmanager

import anyio
from anyio import to_thread

from tests.fal.job import DEAR, MODEL, Job, fal_of
from tests.library import kill, photo, start


@contextmanager
def watched(job, *options):
    process = start("watch", job.file, "--settle", "200ms", *options, cwd=job.folder)
    try:
        yield process
    finally:
        if process.poll() is None:
            kill(process)


async def until(true):
    with anyio.fail_after(20):
        while not true():  # noqa: ASYNC110 - another process is waited for
            await anyio.sleep(0.02)


async def end(process):
    process.send_signal(signal.SIGINT)
    _, err = await to_thread.run_sync(process.communicate)
    return err


async def line(process, part):
    """Return once the watch has said *part*."""
    with anyio.fail_after(20):
        while part not in (await to_thread.run_sync(process.stderr.readline, abandon_on_cancel=True)):
            pass


def done(job):
    return len(job.events("done")) if job.ledger.exists() else 0


async def test_new_paid_work_needs_a_budget_or_yes(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch) as fal:
        with watched(job) as process:
            await line(process, "paid work needs a cap")
            assert fal.accepted == []
            job.write(f"{MODEL}\nrun: {{budget: 1 USD}}")
            await until(lambda: done(job) == 1)
            await end(process)
        assert len(fal.accepted) == 1


async def test_what_is_done_is_not_paid_for_again_while_new_work_goes_on(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=2)
    async with fal_of(monkeypatch) as fal:
        with watched(job, "--budget", "1 USD") as process:
            await until(lambda: done(job) == 2)
            photo(tmp_path / "photos/0.png", seed=77)
            await line(process, "1 input done before would be paid for again")
            photo(tmp_path / "photos/new.png", seed=78)
            await until(lambda: done(job) == 3)
            await anyio.sleep(0.5)
            await end(process)
        assert len(fal.accepted) == 3
        with watched(job, "--budget", "1 USD", "--yes") as process:
            await until(lambda: done(job) == 4)
            await end(process)


async def test_the_budget_holds_over_many_runs(tmp_path, monkeypatch):
    job = Job(tmp_path, DEAR, photos=1)
    async with fal_of(monkeypatch) as fal:
        with watched(job, "--budget", "0.10 USD") as process:
            await until(lambda: done(job) == 1 and job.events("stopped"))
            photo(tmp_path / "photos/more.png", seed=5)
            await until(lambda: len(job.events("stopped")) == 2)
            await end(process)
        assert len(fal.accepted) == 1
        assert [event.get("why") for event in job.events("stopped")] == [None, "budget"]
