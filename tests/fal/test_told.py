"""What `batchup run` tells of its limits: on standard error, to `notify:`, to the program of `on_finish:`."""

import json
import re
from functools import partial

import pytest
from anyio import to_thread

from batchup.rehearsal import Script, answers
from tests.fal.job import DEAR, MODEL, Job, fal_of, forgive
from tests.hook import open_hook
from tests.library import batchup

REJECTED = answers.model_error("content_policy_violation")
BROKEN = answers.model_error("image_load_error")

MOMENT = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d{4} "


async def started(job, *options, status=0):
    """Run the command line while fal answers from this thread."""
    call = partial(batchup, "run", job.file, *options, cwd=job.folder, status=status)
    return await to_thread.run_sync(call)


async def test_whoever_asks_for_more_is_told_each_event_and_how_many_the_account_takes_at_once(
    tmp_path, monkeypatch
):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 8}}", photos=16)
    async with fal_of(monkeypatch, accept_in_flight=4, task_s=0.15) as fal:
        told = (await started(job, "-v")).stderr

        assert (len(fal.accepted), fal.account.peak) == (16, 4)
    story = [
        r"run holiday begins: batchup \S+, process \d+",
        r"2 at once from now on: with \d under way one more was refused",
        r"3 at once: nothing was refused lately",
        r"4 at once: nothing was refused lately",
        r"run ends after \S+ s",
    ]
    found = [re.search(f"{MOMENT}{line}$", told, re.MULTILINE) for line in story]
    assert all(found), told
    assert [one.start() for one in found] == sorted(one.start() for one in found)
    assert re.search(
        rf"{MOMENT}task \w+ photos/\d+\.png again in \S+ s \(rate_limited\): .*HTTP 429", told, re.MULTILINE
    )
    for line in (
        r"uploaded \w{8}, kept until \S+ \S+ UTC",
        r"task \w+ photos/\d+\.png submission 1 to fal-ai/\S+, at most \S+ USD",
        r"task \w+ photos/\d+\.png accepted as request \S+",
        r"task \w+ photos/\d+\.png finished(, charged \S+ USD)?",
    ):
        assert len(re.findall(f"{MOMENT}{line}$", told, re.MULTILINE)) >= 16, line
    ended = re.findall(
        rf"{MOMENT}task \w+ photos/(\d+)\.png done in \S+ s: \1\.png 96x72$", told, re.MULTILINE
    )
    assert sorted(map(int, ended)) == list(range(16))


async def test_only_what_failed_in_the_class_that_is_named_runs_again(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 1}}", photos=5)
    faults = [Script("task", REJECTED, times=2), Script("task", BROKEN, nth=3, times=2)]
    async with fal_of(monkeypatch, *faults) as fal:
        await started(job, status=1)
        failed = {event["id"]: event["kind"] for event in job.events("failed")}
        assert sorted(failed.values()) == ["content_policy_violation"] * 2 + ["image_load_error"] * 2
        forgive(fal)
        before = len(fal.accepted)

        await started(job, "--retry-failed", "--class", "image_load_error", status=1)

        assert len(fal.accepted) - before == 2
        again = {event["id"] for event in job.events("submitting")[before:]}
        assert again == {task for task, kind in failed.items() if kind == "image_load_error"}
        assert len(job.outputs()) == 3


@pytest.mark.parametrize(
    ("text", "option", "why", "done", "said"),
    [
        (
            f"{DEAR}\nrun: {{budget: 0.16 USD}}",
            "",
            "budget",
            2,
            ["stopped by the budget", "Cost: 0.16 USD, of a"],
        ),
        (MODEL, "--limit=2", "limit", 2, ["stopped by --limit", "Next: for the rest: "]),
        (
            f"{MODEL}\nrun: {{concurrency: 1, stop_after: 2}}",
            "",
            "failures",
            0,
            ["stopped by too many failures in a row", "--retry-failed"],
        ),
    ],
    ids=["budget", "--limit", "stop_after"],
)
async def test_the_page_and_the_program_are_told_which_limit_stopped_a_run_and_how_far_it_came(
    tmp_path, monkeypatch, *, text, option, why, done, said
):
    faults = [Script("task", REJECTED, times=0)] if why == "failures" else []
    async with open_hook() as hook, fal_of(monkeypatch, *faults) as fal:
        hooks = f"notify: ['{hook.address}']\non_finish: [sh, -c, 'cat > told.json']"
        job = Job(tmp_path, f"{text}\n{hooks}", photos=5)

        shown = await started(job, *option.split(), "--json", "--allow-programs", status=3)

        failed = len(fal.accepted) - done
    assert failed in ({2, 3} if why == "failures" else {0})  # one was on its way already
    told = json.loads((tmp_path / "told.json").read_text())
    assert told == json.loads(shown.stdout)
    assert told["stopped"] == why
    tasks = told["tasks"]
    assert (tasks["done"], tasks["failed"], tasks["pending"]) == (done, failed, 5 - done - failed)
    (heard,) = hook.heard
    assert (heard["title"], heard["type"]) == (f"holiday: {said[0]}", "warning")
    count = (
        f"{done} of 5 tasks done, {f'{failed} failed, ' if failed else ''}{5 - done - failed} pending, after"
    )
    assert count in heard["message"]
    assert said[1] in heard["message"]
