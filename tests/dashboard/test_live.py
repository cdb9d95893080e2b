"""The page of a run that goes on: what it shows is what happens, and what it asks for is done."""

import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio import to_thread

from batchup import control
from batchup.ledger.index import state_folder
from batchup.rehearsal import Cut, Script, answers
from tests.dashboard.visitor import visiting
from tests.fal.job import DEAR, LOSSY, MODEL, Job, fal_of, forgive
from tests.library import alive, children, kill, manifest, photo, start, wait_until

ON_LINUX = pytest.mark.skipif(not Path("/proc/self").exists(), reason="children are found in /proc")


def stage(name):
    return lambda sections: sections.get("stand", {}).get("stage") == name


@pytest.fixture
def ended(tmp_path):
    """A job that one run has brought to its end."""
    file = manifest(tmp_path)
    photo(tmp_path / "photos/a.png")
    subprocess.run([sys.executable, "-m", "batchup", "run", file, "-q"], check=True, cwd=tmp_path)
    return file


async def test_without_a_run_the_ledger_is_shown_and_every_command_says_why_it_does_nothing(ended):
    async with visiting(ended) as visitor:
        told = await visitor.told()

        assert (told["counts"]["done"], told["stand"]["stage"]) == (1, "none")
        assert f"batchup run {ended}" in told["stand"]["why"]
        for do in ("pause", "resume", "drain", "detach", "concurrency", "rate", "budget"):
            assert "No run is going on" in await visitor.do(do)


async def test_before_the_first_run_there_is_nothing_and_it_is_noticed_when_it_begins(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 1}}", photos=6)
    async with (
        fal_of(monkeypatch, task_s=0.2),
        visiting(job.file) as visitor,
        anyio.create_task_group() as group,
    ):
        told = await visitor.told()
        assert "No run has begun yet" in told["stand"]["why"]

        group.start_soon(job.run)
        told = await visitor.told(lambda told: told.get("flight") and told["stand"]["stage"] == "run")

        assert told["jobs"][0]["running"]
        assert told["counts"]["total"] == 6
        assert told["flight"][0]["input"].startswith("photos/")
        await visitor.do("drain")


async def test_a_run_is_paused_resumed_changed_and_drained(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 1, budget: 3 USD}}", photos=20)
    async with (
        fal_of(monkeypatch, task_s=0.1),
        visiting(job.file) as visitor,
        anyio.create_task_group() as group,
    ):
        group.start_soon(job.run)
        await visitor.told(stage("run"))

        assert await visitor.do("pause") == ""
        told = await visitor.told(lambda told: stage("paused")(told) and not told["flight"])
        assert (told["stand"]["why"], told["money"]["budget"]) == ("paused", "3")
        assert await visitor.do("concurrency", value="7") == ""
        assert await visitor.do("rate", value="90/min") == ""
        assert await visitor.do("budget", value="4.5 USD") == ""
        told = await visitor.told(stage("paused"))
        assert (told["stand"]["concurrency"], told["stand"]["rate"]) == (7, "90/min")
        assert told["money"]["budget"] == "4.5"
        assert "no number" in await visitor.do("concurrency", value="a lot")
        assert await visitor.do("drain") == ""
    assert len(job.outputs()) < 20


async def test_a_failed_task_is_tried_again_for_the_price_that_was_shown_and_for_no_other(
    tmp_path, monkeypatch
):
    job = Job(tmp_path, f"{DEAR}\nrun: {{concurrency: 1}}\nretry: {{attempts: 1}}", photos=8)
    failure = answers.model_error("content_policy_violation")
    async with (
        fal_of(monkeypatch, Script("task", failure), task_s=0.15) as fal,
        visiting(job.file) as visitor,
    ):
        async with anyio.create_task_group() as group:
            group.start_soon(job.run)
            told = await visitor.told(lambda told: told.get("failures"))
            forgive(fal)
            [failed] = told["failures"][-1:]

            assert "another" in await visitor.do("retry", task=failed["id"], price="0.01")
            assert "no such task" in await visitor.do("retry", task="0" * 32, price="0.08")
            assert await visitor.do("retry", task=failed["id"], price=failed["price"]) == ""
        assert failed["price"] == "0.08"
        moments = await visitor.get(f"story/{visitor.key}/{failed['id']}")
        assert b"content_policy_violation" in moments[1]
    assert len(job.outputs()) > 0


async def test_a_held_task_is_submitted_again_only_when_its_price_was_agreed_to(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{DEAR}\n{LOSSY}\nrun: {{concurrency: 1}}", photos=5)
    lost = Script("submit", Cut("after")), Script("history", answers.forbidden(), times=0)
    async with fal_of(monkeypatch, *lost, task_s=0.15) as fal, visiting(job.file) as visitor:
        async with anyio.create_task_group() as group:
            group.start_soon(job.run)
            told = await visitor.told(lambda told: told.get("held"))
            [held] = told["held"]

            assert "another" in await visitor.do("release", task=held["id"], price="")
            assert await visitor.do("release", task=held["id"], price=held["price"]) == ""
        assert (held["price"], held["risk"]) == ("0.08", "0.08")
        assert len(fal.accepted) == 6
    assert len(job.outputs()) == 5


async def test_runs_on_this_machine_are_listed_together_and_each_can_be_watched(tmp_path, monkeypatch):
    one = Job(tmp_path / "one", f"{MODEL}\nrun: {{concurrency: 1}}", photos=10)
    other = Job(tmp_path / "other", f"{MODEL}\nrun: {{concurrency: 1}}", photos=5)
    async with (
        fal_of(monkeypatch, task_s=0.2),
        visiting(one.file) as visitor,
        anyio.create_task_group() as group,
    ):
        group.start_soon(one.run)
        group.start_soon(other.run)
        told = await visitor.told(lambda told: sum(card["running"] for card in told.get("jobs", [])) == 2)
        second = told["jobs"][1]

        seen = await visitor.told(lambda told: told.get("flight"), job=second["key"])
        assert (second["manifest"], seen["counts"]["total"]) == (str(other.file), 5)
        assert await visitor.do("drain", job=second["key"]) == ""
        assert await visitor.do("drain") == ""


@ON_LINUX
def test_the_page_of_a_run_is_a_process_of_its_own_that_ends_with_it(tmp_path):
    for number in range(3):
        photo(tmp_path / f"photos/{number}.png", seed=number)
    file = manifest(tmp_path)

    run = start("run", file, "--dashboard", cwd=tmp_path)
    said = next(line for line in run.stderr if "dashboard: " in line)
    page = children(run.pid)[0]
    out, _ = run.communicate(timeout=30)

    assert "http://127.0.0.1:" in said
    assert "?token=" in said
    assert run.returncode == 0
    assert "3 of 3 tasks done" in out
    wait_until(lambda: not alive(page))


@ON_LINUX
def test_a_page_ends_when_its_run_is_killed_but_not_by_its_ctrl_c(tmp_path):
    file = manifest(tmp_path, "model: local/lanczos\nparams: {scale: 8}")
    photo(tmp_path / "photos/a.png", (2000, 1500))
    run = start("run", file, "--dashboard", cwd=tmp_path)
    next(line for line in run.stderr if "dashboard: " in line)
    [page] = children(run.pid)[:1]

    os.kill(page, signal.SIGINT)
    assert alive(page)
    kill(run)

    wait_until(lambda: not alive(page))


async def test_a_page_that_was_closed_is_no_error(ended, caplog):
    async with visiting(ended) as visitor:
        await visitor.told()

    assert caplog.messages == []


async def test_while_nobody_looks_no_run_is_asked_for(ended):
    folder = state_folder() / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as run:
        run.settimeout(0.3)
        told = control.Announced("x", 1, "m", "l", datetime.now(UTC), run.getsockname()[1], "t")
        (folder / "1.json").write_bytes(msgspec.json.encode(told))
        async with visiting(ended) as visitor:
            with pytest.raises(TimeoutError):
                await to_thread.run_sync(run.accept)

            await visitor.told()
            (await to_thread.run_sync(run.accept))[0].close()
