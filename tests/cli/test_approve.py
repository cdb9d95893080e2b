"""A sample first, a question with its price, and the rest only if that is approved; its end is announced once."""

import os
import pty
import re
import sys
from urllib.parse import urlencode
from urllib.request import urlopen

import anyio
import pytest
from anyio import to_thread

from batchup.approval import open_approval
from batchup.cli.approve import _answer
from tests.cli.typist import Typist
from tests.fal.job import DEAR, Job, fal_of
from tests.hook import open_hook
from tests.library import batchup, manifest, outputs, photo, start
from tests.test_finish import script

NOTE = "import sys; open('note.json', 'a').write(sys.stdin.read())"


@pytest.fixture
def job(tmp_path):
    for number in range(6):
        photo(tmp_path / f"photos/{number}.png", seed=number)
    return manifest(tmp_path, "params: {scale: 2}")


def answered(process, answer):
    """Answer the question that a command asks, as a browser would; return the token."""
    line = next(line for line in process.stderr if "token=" in line)
    address, token = re.search(r"http://\S+", line).group().split("?token=")
    with urlopen(address, data=urlencode({"token": token, "answer": answer}).encode()) as reply:
        assert reply.status == 200
    return token


@pytest.mark.parametrize(
    ("answer", "status", "done", "title"),
    [("yes", 0, 6, "finished, 6 tasks done"), ("no", 3, 2, "stopped by --limit")],
)
async def test_the_page_decides_about_the_rest_and_the_end_of_the_command_alone_is_announced(
    tmp_path, job, answer, status, done, title
):
    script(tmp_path, NOTE)
    async with open_hook() as hook:
        manifest(tmp_path, f"params: {{scale: 2}}\nnotify: [{hook.address}]\non_finish: [./after.py]")
        process = start("run", job, "--sample", "2", "--approve", "--allow-programs", cwd=tmp_path)
        page = tmp_path / "out/.batchup/holiday.html"

        with process:
            token = await to_thread.run_sync(answered, process, answer)
            await to_thread.run_sync(process.communicate)

        assert process.returncode == status
        assert len(outputs(tmp_path / "out")) == done
        assert token not in page.read_text()
        assert hook.titles == [f"holiday: {title}"]
        assert re.findall('"done": ?([0-9]+)', (tmp_path / "note.json").read_text()) == [str(done)]


async def test_the_price_of_the_rest_is_shown_and_asked_about_again_when_it_has_become_dearer(
    tmp_path, monkeypatch
):
    job = Job(tmp_path, DEAR, photos=3)
    # What would open the report writes down its address instead.
    opened = script(tmp_path, "import sys; open('opened', 'w').write(sys.argv[1])", "browser.py")
    monkeypatch.setenv("BROWSER", f"{opened} %s")
    report = tmp_path / "out/.batchup/holiday.html"
    async with fal_of(monkeypatch) as fal:

        def attend():
            with Typist("run", job.file, "--sample", 1, "--approve", cwd=tmp_path) as person:
                person.until("1 task to run for 0.080 USD")
                person.until("Go on?")
                person.type("y\n")
                asked = person.until("The rest: 2 tasks for 0.16 USD. Go on? [y/N] ")
                assert "to answer in the browser: http://127.0.0.1:" in asked
                assert "The rest: 2 tasks for 0.16 USD. Go on?" in report.read_text()
                photo(tmp_path / "photos/late.png", seed=99)
                person.type("y\n")
                person.until("by now the rest is more than that")
                person.until("The rest: 3 tasks for 0.24 USD. Go on? [y/N] ")
                assert len(fal.accepted) == 1
                person.type("y\n")
                assert person.end() == 0
                assert person.shown.count("Go on?") == 3

        await to_thread.run_sync(attend)
    assert (tmp_path / "opened").read_text() == report.as_uri()
    assert len(job.outputs()) == len(fal.accepted) == 4


async def test_the_question_about_the_rest_says_what_the_budget_covers_of_it(tmp_path, monkeypatch):
    job = Job(tmp_path, DEAR, photos=4)
    monkeypatch.setenv("BROWSER", "true")
    async with fal_of(monkeypatch):

        def attend():
            with Typist(
                "run", job.file, "--sample", 1, "--approve", "--budget", "0.3 USD", cwd=tmp_path
            ) as person:
                person.until("Go on?")
                person.type("y\n")
                person.until(
                    "The rest: 3 tasks for 0.24 USD; the budget covers 2 of them, for 0.16 USD. Go on? [y/N]"
                )
                person.type("n\n")
                assert person.end() == 3

        await to_thread.run_sync(attend)


@pytest.mark.parametrize(
    ("typed", "said"),
    [("y\n", True), ("Yes\n", True), ("n\n", False), ("\n", False), ("what\n", False), ("\x04", False)],
    ids=["y", "Yes", "n", "Enter alone", "something else", "Ctrl-D"],
)
async def test_on_a_terminal_nothing_but_yes_is_a_yes(monkeypatch, capsys, typed, said):
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    async with open_approval("Go on?") as approval:
        with os.fdopen(theirs) as terminal, monkeypatch.context() as patch, anyio.fail_after(5):
            patch.setattr(sys, "stdin", terminal)
            assert await _answer(approval, "Go on?", on_terminal=True) is said
    os.close(ours)
    assert "Go on? [y/N] " in capsys.readouterr().err


def test_a_script_approves_beforehand_and_gets_one_document(job):
    done = batchup("run", job, "--sample", "2", "--approve", "--yes", "--json", cwd=job.parent)

    assert '"done": 6' in done.stdout.replace('"done":6', '"done": 6')
    assert done.stdout.count('"job"') == 1


def test_a_quiet_terminal_is_not_told_either_how_far_the_search_for_the_rest_has_come(job):
    with Typist("run", job, "--sample", 2, "--approve", "--yes", "--quiet", cwd=job.parent) as person:
        assert person.end() == 0

        assert person.shown == ""


def test_there_is_nothing_to_approve_without_a_sample(job):
    done = batchup("run", job, "--approve", cwd=job.parent, status=2)

    assert "--approve goes with --sample N" in done.stderr


async def test_the_rest_is_asked_about_at_the_price_that_fal_asks_today(tmp_path, monkeypatch):
    job = Job(tmp_path, DEAR, photos=3)
    monkeypatch.setenv("BROWSER", "true")
    async with fal_of(monkeypatch, prices={"fal-ai/topaz/upscale/image": "0.2"}) as fal:

        def attend():
            with Typist("run", job.file, "--sample", 1, "--approve", cwd=tmp_path) as person:
                person.until("1 task to run for 0.20 USD")
                person.until("Go on?")
                person.type("y\n")
                person.until("The rest: 2 tasks for 0.40 USD. Go on? [y/N] ")
                person.type("y\n")
                assert person.end() == 0

        await to_thread.run_sync(attend)

        assert len(fal.accepted) == 3
