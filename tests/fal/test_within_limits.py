"""The limits of a manifest hold over real HTTP: rate, places, budgets, circuits, the window, whatever is killed."""

import contextlib
import random
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import pytest
from anyio import to_thread

from batchup.clock import SystemClock
from batchup.manifest import load
from batchup.progress import Progress
from batchup.rehearsal import Script, answers
from batchup.rehearsal.tempo import Tempo
from batchup.run import Options, run
from tests.fal.job import MODEL, Job, fal_of, forgive, paid_once
from tests.library import batchup, kill, photo, start

DEAR_USD = Decimal("0.08")
"""What one task of Topaz costs, however small."""

TWO_MODELS = """model: fal/seedvr-image
params: {output_format: png}
rules: [{match: {path: "dear/**"}, model: fal/topaz-image, params: {output_format: png}}]"""


class Wall(SystemClock):
    """The machine's clocks, of which the one on the wall can be set."""

    def __init__(self, at):
        self.ahead = at - datetime.now(UTC)

    def utc(self):
        return super().utc() + self.ahead


def most_in(moments, span_s):
    """Return the most of *moments*, sorted, that lie in any span of so many seconds."""
    return max(sum(first <= moment < first + span_s for moment in moments) for first in moments)


async def test_a_rate_is_never_passed_and_used_to_the_full(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{rate: 25/s, concurrency: 20}}", photos=70)
    clock = Tempo(2.0)
    async with fal_of(monkeypatch, clock=clock, task_s=0.1) as fal:
        await run(load(job.file), Options(), Progress(show=False), clock)

        sent = [datetime.fromisoformat(event["at"]).timestamp() for event in job.events("submitting")]
        assert len(sent) == len(fal.accepted) == 70
        assert 69 / (sent[-1] - sent[0]) >= 0.9 * 25
        # In no second more than the rate and its burst; what comes later than its turn falls into a shorter span.
        assert most_in(sent, 0.9) <= 25 + 2
        # The ledger's write comes between the turn and the request.
        assert fal.record.rate("submit", window_s=0.8 / clock.speed) <= 25 + 2


async def test_a_model_has_limits_of_its_own_and_leaves_the_others_theirs(tmp_path, monkeypatch):
    text = f"{TWO_MODELS}\nrun: {{concurrency: 6, limits: {{fal/topaz-image: {{concurrency: 1}}}}}}"
    job = Job(tmp_path, text, photos=12)
    for number in range(6):
        photo(tmp_path / f"photos/dear/{number}.png", seed=100 + number)
    async with fal_of(monkeypatch, task_s=0.1) as fal:
        assert await job.tasks() == {"done": 18}

        dear = [one for one in fal.accepted if "topaz" in one.endpoint.id]
        assert len(dear) == 6
        # One at a time takes six times a tenth of a second; the others did not wait for that.
        last_cheap = max(n for n, one in enumerate(fal.accepted) if "topaz" not in one.endpoint.id)
        assert sum("topaz" in one.endpoint.id for one in fal.accepted[last_cheap:]) >= 2


async def test_a_models_own_budget_ends_that_model_and_no_other(tmp_path, monkeypatch):
    text = f"{TWO_MODELS}\nrun: {{limits: {{fal/topaz-image: {{budget: 0.16 USD}}}}}}"
    job = Job(tmp_path, text, photos=3)
    for number in range(4):
        photo(tmp_path / f"photos/dear/{number}.png", seed=100 + number)
    async with fal_of(monkeypatch) as fal:
        outcome = await job.run()

        assert (outcome.summary.tasks.done, outcome.summary.tasks.pending) == (5, 2)
        assert outcome.summary.stopped == "budget"
        assert sum("topaz" in one.endpoint.id for one in fal.accepted) == 2


async def test_a_model_that_fails_in_a_row_is_paused_and_its_tasks_stay_pending(tmp_path, monkeypatch):
    text = f"{TWO_MODELS}\nrun: {{concurrency: 1, stop_after: 3}}\nretry: {{attempts: 1}}"
    job = Job(tmp_path, text, photos=4)
    for number in range(9):
        photo(tmp_path / f"photos/dear/{number}.png", seed=100 + number)
    failure = answers.model_error("content_policy_violation")
    async with fal_of(
        monkeypatch, Script("task", failure, times=99, endpoint="fal-ai/topaz/upscale/image")
    ) as fal:
        outcome = await job.run()

        tasks = outcome.summary.tasks
        assert tasks.done == 4
        assert 3 <= tasks.failed <= 4  # one was on its way already
        assert outcome.summary.stopped == "failures"
        forgive(fal)
        assert await job.tasks() == {"done": 4 + tasks.pending, "failed": tasks.failed}
        assert await job.tasks(retry_failed=True) == {"done": 13}


def spent_usd(fal):
    return sum((one.cost_usd for one in fal.accepted), Decimal(0))


async def test_forty_workers_and_a_budget_for_ten_bill_ten(tmp_path, monkeypatch):
    text = f"model: fal/topaz-image\nrun: {{concurrency: 40, budget: {10 * DEAR_USD} USD}}"
    job = Job(tmp_path, text, photos=60)
    async with fal_of(monkeypatch, task_s=0.02) as fal:
        outcome = await job.run()

        assert len(fal.accepted) == outcome.summary.tasks.done == 10
        assert (outcome.summary.stopped, outcome.summary.tasks.failed) == ("budget", 0)
        assert await job.tasks() == {"done": 10, "pending": 50}
        assert len(fal.accepted) == 10


async def killed_within_a_budget(job, monkeypatch, *, tasks, kills, seed):
    rng = random.Random(seed)
    async with fal_of(monkeypatch, task_s=0.1, task_spread=0.8, seed=seed) as fal:
        for _ in range(kills):
            process = start("run", job.file, cwd=job.folder)
            with contextlib.suppress(subprocess.TimeoutExpired):
                await to_thread.run_sync(process.wait, rng.uniform(0.4, 1.0))
            await to_thread.run_sync(kill, process)
            assert spent_usd(fal) <= tasks * DEAR_USD
        left = await job.tasks()

        assert spent_usd(fal) <= tasks * DEAR_USD
        assert paid_once(fal)
        assert left["done"] + left.get("held", 0) == tasks
        assert left["pending"] == len(list((job.folder / "photos").iterdir())) - tasks


def budgeted(tmp_path, *, tasks, photos):
    budget = f"run: {{concurrency: 40, budget: {tasks * DEAR_USD} USD}}"
    return Job(tmp_path, f"model: fal/topaz-image\nfal: {{settle: 1s}}\n{budget}", photos=photos)


async def test_killed_and_resumed_at_random_a_budget_for_k_tasks_never_bills_one_more(tmp_path, monkeypatch):
    job = budgeted(tmp_path, tasks=30, photos=80)
    await killed_within_a_budget(job, monkeypatch, tasks=30, kills=3, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_killed_twenty_times_a_budget_for_k_tasks_never_bills_one_more(tmp_path, monkeypatch, seed):
    # No two of so many are alike; beyond 256 they would be, and paid once.
    job = budgeted(tmp_path, tasks=180, photos=250)
    await killed_within_a_budget(job, monkeypatch, tasks=180, kills=20, seed=seed)


async def test_outside_the_window_what_is_paid_is_collected_and_nothing_new_is_begun(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 2}}", photos=4)
    async with fal_of(monkeypatch, task_s=0.5) as fal:
        process = start("run", job.file, cwd=tmp_path)
        with anyio.fail_after(20):
            while len(fal.accepted) < 2:  # noqa: ASYNC110 - another process gets there
                await anyio.sleep(0.01)
        await to_thread.run_sync(kill, process)
        job.write(f"{MODEL}\nrun: {{window: {{hours: '22:00-07:00', zone: UTC}}}}")

        noon = Wall(datetime(2026, 11, 22, 12, tzinfo=UTC))
        outcome = await run(load(job.file), Options(no_wait=True), Progress(show=False), noon)

        tasks = outcome.summary.tasks
        assert (tasks.done, tasks.pending, outcome.summary.stopped) == (2, 2, "window")
        assert len(fal.accepted) == 2
        ignored = await run(load(job.file), Options(ignore_window=True), Progress(show=False), noon)
        assert ignored.summary.tasks.done == 4


async def test_a_run_sleeps_till_its_window_opens_and_then_goes_on_by_itself(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{window: {{hours: '22:00-07:00', zone: UTC}}}}", photos=2)
    evening = Wall(datetime(2026, 11, 22, 21, 59, 59, tzinfo=UTC))
    async with fal_of(monkeypatch) as fal:
        outcome = await run(load(job.file), Options(), Progress(show=False), evening)

        assert outcome.summary.tasks.done == 2
        assert len(fal.accepted) == 2
        first = datetime.fromisoformat(job.events("submitting")[0]["at"])
        assert timedelta(0) <= first - datetime(2026, 11, 22, 22, tzinfo=UTC) < timedelta(seconds=20)


async def test_the_command_line_ends_with_3_outside_the_window_if_it_may_not_wait(tmp_path, monkeypatch):
    now = datetime.now(UTC)
    closed = f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=3):%H:%M}"
    job = Job(tmp_path, f"{MODEL}\nrun: {{window: {{hours: '{closed}', zone: UTC}}}}", photos=1)
    async with fal_of(monkeypatch) as fal:
        done = await to_thread.run_sync(lambda: batchup("run", job.file, "--no-wait", cwd=tmp_path, status=3))

        assert not fal.accepted
        assert "window" in done.stdout
