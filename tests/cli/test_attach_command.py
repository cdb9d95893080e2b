"""Attaching: a person who found the request of a held task tells the ledger, and nothing is paid again."""

import json

import pytest
from anyio import to_thread

from batchup.rehearsal import Cut, Script, answers
from tests.fal.job import MODEL, Job, fal_of, forgive

HOLD = "fal: {settle: 50ms, resubmit_below: 0 USD}"


NO_HISTORY = Script("history", answers.broken(503), times=0)


def lost(times=1):
    """Let the answers to submits be lost, while the history cannot be read."""
    return Script("submit", Cut("after"), times=times), NO_HISTORY


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path, f"{MODEL}\n{HOLD}", photos=1)


@pytest.fixture
def attach(call, job):
    """Attach while fal runs in this thread."""

    async def run(*args, json=False):
        options = ["--json"] if json else []
        return await to_thread.run_sync(lambda: call("ledger", "attach", job.file, *args, *options))

    return run


async def test_a_held_task_that_is_attached_is_collected_and_not_paid_again(job, attach, monkeypatch):
    async with fal_of(monkeypatch, *lost()) as fal:
        held = await job.tasks()

        answer = await attach("0.png", fal.accepted[0].id)
        after = await job.tasks()

    assert held == {"held": 1}
    assert (answer.status, "the next run collects it" in answer.out) == (0, True)
    assert after == {"done": 1}
    assert len(fal.accepted) == 1


async def test_the_document_tells_what_was_attached(job, attach, monkeypatch):
    async with fal_of(monkeypatch, *lost()) as fal:
        await job.run()

        told = json.loads((await attach("0.png", fal.accepted[0].id, json=True)).out)

    assert (told["input"], told["request_id"]) == ("photos/0.png", fal.accepted[0].id)
    assert told["status"] == "finished"


async def test_a_request_that_was_sent_with_something_else_is_refused(tmp_path, call, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\n{HOLD}", photos=2)
    async with fal_of(monkeypatch, *lost(2)) as fal:
        await job.run(concurrency=1)
        before = job.ledger.read_bytes()
        forgive(fal)

        (task,) = (event["id"] for event in job.events("task") if event["path"] == "0.png")
        (own,) = (event["body"] for event in job.events("submitting") if event["id"] == task)
        (other,) = (one.id for one in fal.accepted if one.body != own)
        answer = await to_thread.run_sync(lambda: call("ledger", "attach", job.file, "0.png", other))

    assert answer.status == 2
    assert "was sent with another image_url" in answer.err
    assert job.ledger.read_bytes() == before


async def test_a_request_of_another_task_is_refused(tmp_path, call, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\n{HOLD}", photos=2)
    async with fal_of(monkeypatch, *lost()):
        await job.run(concurrency=1)
        (known,) = (event["request_id"] for event in job.events("submitted"))
        (name,) = {"0.png", "1.png"} - {event["output"] for event in job.events("done")}

        answer = await to_thread.run_sync(lambda: call("ledger", "attach", job.file, name, known))

    assert answer.status == 2
    assert "another task of this ledger" in answer.err


async def test_a_task_that_is_not_held_takes_no_request(job, attach, monkeypatch):
    async with fal_of(monkeypatch) as fal:
        await job.run()

        answer = await attach("0.png", fal.accepted[0].id)

    assert answer.status == 2
    assert "nothing of it is held" in answer.err
    assert "done  fal/seedvr-image" in answer.err


async def test_of_several_held_tasks_of_a_file_one_is_chosen_by_its_id(job, attach, monkeypatch):
    job.write(f"{MODEL}\n{HOLD}\nmatrix: {{upscale_factor: [2, 3]}}")
    async with fal_of(monkeypatch, *lost(2)) as fal:
        await job.run(concurrency=1)
        first = job.events("submitting")[0]["id"]

        vague = await attach("0.png", fal.accepted[0].id)
        exact = await attach("0.png", fal.accepted[0].id, "--task", first[:8])

    assert (vague.status, exact.status) == (2, 0)
    assert "0.png has 2 held tasks; choose by --task" in vague.err
    assert first[:8] in vague.err
    assert [event["id"] for event in job.events("submitted")] == [first]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["elsewhere.png", "r"], "is no input of"),
        (["0.png", "not an id"], "is no request id of fal"),
        (["0.png", "r", "--task", "ffff"], "has no task ffff"),
    ],
    ids=["no such file", "no request id", "no such task"],
)
async def test_what_makes_no_sense_is_refused_and_nothing_is_written(job, attach, monkeypatch, args, said):
    async with fal_of(monkeypatch, *lost()):
        await job.run()
        before = job.ledger.read_bytes()

        answer = await attach(*args)

    assert answer.status == 2
    assert said in answer.err
    assert job.ledger.read_bytes() == before


async def test_without_a_key_nothing_is_attached(job, attach, monkeypatch):
    async with fal_of(monkeypatch, *lost()) as fal:
        await job.run()
        monkeypatch.delenv("FAL_KEY")

        answer = await attach("0.png", fal.accepted[0].id)

    assert answer.status == 5
    assert "https://fal.ai/dashboard/keys" in answer.err
    assert job.events("submitted") == []
