"""Another process of the same user asks a run how it stands, and steers it."""

import os
import stat
from datetime import datetime
from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio import to_thread

from batchup import control
from batchup.cli.run import end_status
from batchup.control import Command, ask
from batchup.rehearsal import Cut, Script, answers
from tests.fal.job import MODEL, Job, fal_of, forgive


def announcements():
    return Path(os.environ["XDG_STATE_HOME"]) / "batchup/runs"


async def announced():
    """Wait until a run can be asked."""
    with anyio.fail_after(20):
        while True:
            found = await to_thread.run_sync(control.runs)
            if found:
                return found[0]
            await anyio.sleep(0.02)


async def until(run, true):
    """Ask *run* how it stands until that is *true*."""
    with anyio.fail_after(20):
        while True:
            live = (await ask(run, Command("state"))).live
            if live is not None and true(live):
                return live
            await anyio.sleep(0.02)


async def tried_again(run, job):
    """Wait until a task has failed, ask for it to be tried again, and return what was asked and answered."""
    with anyio.fail_after(20):
        while not job.ledger.exists() or not job.events("failed"):  # noqa: ASYNC110 - a file wakes nobody
            await anyio.sleep(0.02)
        again = Command("retry", task=job.events("failed")[0]["id"])
        # The line can be read a little before it is durable, and counts.
        while (reply := await ask(run, again)).error == "this task has not failed":  # noqa: ASYNC110 - likewise
            await anyio.sleep(0.01)
    return again, reply


async def test_a_run_tells_how_it_stands(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 2, rate: 50/s, budget: 9 USD}}", photos=6)
    async with fal_of(monkeypatch, task_s=0.3), anyio.create_task_group() as group:
        group.start_soon(job.run)
        run = await announced()
        live = await until(run, lambda live: len(live.in_flight) >= 2)

        assert (run.job, run.pid, run.ledger) == ("holiday", os.getpid(), str(job.ledger))
        assert (live.stage, live.concurrency, live.rate, live.budget_usd) == ("run", 2, "50/s", "9")
        assert live.in_flight[0].input.startswith("photos/")
        assert live.in_flight[0].model == "fal/seedvr-image"


async def test_a_paused_run_begins_nothing_until_it_may_go_on(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 1}}", photos=8)
    async with fal_of(monkeypatch, task_s=0.1) as fal, anyio.create_task_group() as group:
        group.start_soon(job.run)
        run = await announced()
        await until(run, lambda live: live.in_flight)
        await ask(run, Command("pause"))
        live = await until(run, lambda live: not live.in_flight)
        before = len(fal.accepted)
        await anyio.sleep(0.4)

        assert (live.stage, live.why) == ("paused", "paused")
        assert len(fal.accepted) == before < 8
        await ask(run, Command("resume"))
    assert len(job.outputs()) == 8


async def test_more_at_once_another_rate_and_another_budget_count_from_then_on(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 1, budget: 0.002 USD}}", photos=12)
    async with fal_of(monkeypatch, task_s=0.2) as fal, anyio.create_task_group() as group:
        group.start_soon(job.run)
        run = await announced()
        await until(run, lambda live: live.in_flight)
        await ask(run, Command("budget", "5 USD"))
        await ask(run, Command("rate", "1000/s"))
        reply = await ask(run, Command("concurrency", "6"))

        assert reply.live is not None
        assert (reply.live.concurrency, reply.live.budget_usd, reply.live.rate) == (6, "5", "1000/s")
    assert len(job.outputs()) == 12
    assert 2 <= fal.account.peak <= 6


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (Command("concurrency", "many"), "no number of tasks"),
        (Command("concurrency", "0"), "no number of tasks"),
        (Command("rate", "fast"), "write 10/s"),
        (Command("budget", "lots"), "USD"),
        (Command("retry", task="00" * 16), "has not failed"),
        (Command("release", task="no id"), "is not held"),
    ],
    ids=lambda value: value.do if isinstance(value, Command) else None,
)
async def test_what_cannot_be_done_is_said_and_changes_nothing(tmp_path, monkeypatch, command, words):
    job = Job(tmp_path, photos=3)
    async with fal_of(monkeypatch, task_s=0.2), anyio.create_task_group() as group:
        group.start_soon(job.run)
        run = await announced()

        assert words in (await ask(run, command)).error
    assert len(job.outputs()) == 3


async def test_a_failed_task_is_tried_again_while_the_run_goes_on(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 1}}\nretry: {{attempts: 1}}", photos=8)
    failure = answers.model_error("content_policy_violation")
    async with fal_of(monkeypatch, Script("task", failure), task_s=0.15) as fal:
        async with anyio.create_task_group() as group:
            group.start_soon(job.run)
            run = await announced()
            _, reply = await tried_again(run, job)
            forgive(fal)

            assert reply.error == ""
        assert len(job.outputs()) == 8


async def test_a_failed_task_that_is_tried_again_twice_is_run_once(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 1}}\nretry: {{attempts: 1}}", photos=4)
    failure = answers.model_error("content_policy_violation")
    async with fal_of(monkeypatch, Script("task", failure), task_s=0.15) as fal:
        async with anyio.create_task_group() as group:
            group.start_soon(job.run)
            run = await announced()
            again, reply = await tried_again(run, job)

            assert reply.error == ""
            assert "waits for its turn" in (await ask(run, again)).error
        assert len(job.outputs()) == 4
        assert len(fal.accepted) == 5


async def test_a_task_whose_second_turn_is_still_to_come_gets_no_third(tmp_path, monkeypatch):
    asked = "concurrency: 1, stop_after: 99"
    job = Job(tmp_path, f"{MODEL}\nrun: {{{asked}}}\nretry: {{attempts: 1}}", photos=20)
    failure = answers.model_error("content_policy_violation")
    async with fal_of(monkeypatch, Script("task", failure, times=20)) as fal:
        await job.run(concurrency=20)
        forgive(fal)
        # More than are prepared ahead, and so slow that the last one waits.
        job.write(f"{MODEL}\nrun: {{{asked}, rate: 6/min}}\nretry: {{attempts: 1}}")
        async with anyio.create_task_group() as group:
            group.start_soon(partial(job.run, retry_failed=True))
            run = await announced()
            reply = await ask(run, Command("retry", task=job.events("task")[-1]["id"]))
            await ask(run, Command("rate", "1000/s"))

        assert "waits for its turn" in reply.error
        assert len(job.outputs()) == 20
        assert len(fal.accepted) == 40


async def test_what_is_given_back_after_a_lost_submission_keeps_that_ones_number_and_reservation(
    tmp_path, monkeypatch
):
    job = Job(tmp_path, f"{MODEL}\nfal: {{settle: 1s}}", photos=1)
    no_history = Script("history", answers.broken(500), times=0)
    async with fal_of(monkeypatch, Script("submit", Cut("after")), no_history) as fal:
        async with anyio.create_task_group() as group:
            group.start_soon(job.run)
            run = await announced()
            await until(run, lambda _: fal.accepted)
            await ask(run, Command("pause"))
            await until(run, lambda live: not live.in_flight)
            await ask(run, Command("resume"))

        assert [event["attempt"] for event in job.events("submitting")] == [1, 2]
        assert len(fal.accepted) == 2
        summary = (await job.run()).summary
        told_usd = summary.cost_usd.charged + summary.cost_usd.reserved
        assert told_usd == pytest.approx(float(fal.billed_usd), abs=2e-6)


async def test_a_drain_from_elsewhere_ends_the_run_as_a_signal_would(tmp_path, monkeypatch):
    job, outcomes = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 1}}", photos=8), []

    async def execute():
        outcomes.append(await job.run())

    async with fal_of(monkeypatch, task_s=0.1) as fal, anyio.create_task_group() as group:
        group.start_soon(execute)
        run = await announced()
        await until(run, lambda _: fal.accepted)
        await ask(run, Command("drain"))
    assert 1 <= len(job.outputs()) < 8
    assert [end_status(outcome) for outcome in outcomes] == [130]


async def test_nobody_without_the_token_is_answered(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=4)
    async with fal_of(monkeypatch, task_s=0.3), anyio.create_task_group() as group:
        group.start_soon(job.run)
        run = await announced()
        stranger = msgspec.structs.replace(run, token="0" * len(run.token))

        assert await ask(stranger, Command("drain")) == control.Reply("the run has ended")
        [file] = list(announcements().iterdir())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(job.outputs()) == 4
    assert control.runs() == []


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"\xff\xfe\n", b'{"token": 1}\n', b"x" * 2_000_000], ids=len
)
async def test_nonsense_harms_no_run(tmp_path, monkeypatch, line):
    job = Job(tmp_path, photos=3)
    async with fal_of(monkeypatch, task_s=0.3), anyio.create_task_group() as group:
        group.start_soon(job.run)
        run = await announced()
        async with await anyio.connect_tcp("127.0.0.1", run.port) as stream:
            try:
                await stream.send(line)
                await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
    assert len(job.outputs()) == 3


def test_the_file_of_a_killed_run_is_cleared_away():
    folder = announcements()
    folder.mkdir(parents=True)
    left = control.Announced(
        "x", 1, "m", "l", msgspec.json.decode(b'"2026-11-22T00:00:00Z"', type=datetime), 9, "t"
    )
    (folder / "1-9.json").write_bytes(msgspec.json.encode(left))

    assert control.runs() == []
    assert not list(folder.iterdir())
