"""An audit: the ledger against the account's bill."""

import json

import pytest
from anyio import to_thread

from batchup.rehearsal import Script, answers
from tests.fal.job import MODEL, Job, fal_of

NO_BILL = Script("billing", answers.broken(503), times=0)
NO_HISTORY = Script("history", answers.broken(503), times=0)


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "one")


@pytest.fixture
def audit(call, job):
    """Audit a job while fal runs in this thread; return the document."""

    async def run(status=0):
        answer = await to_thread.run_sync(lambda: call("audit", job.file, "--json"))
        assert answer.status == status, answer.err
        return json.loads(answer.out)

    return run


async def test_an_audit_finds_each_request_on_the_bill(job, audit, call, monkeypatch):
    async with fal_of(monkeypatch) as fal:
        await job.run()

        told = await audit()
        text = (await to_thread.run_sync(lambda: call("audit", job.file))).out

    assert {item["request_id"] for item in told["items"]} == {one.id for one in fal.accepted}
    assert {item["input"] for item in told["items"]} == {f"photos/{number}.png" for number in range(3)}
    assert told["cost_usd"]["ledger"] == told["cost_usd"]["billed"] == pytest.approx(float(fal.billed_usd))
    assert (told["cost_usd"]["difference"], told["unknown"]) == (0, [])
    assert "no difference" in text


async def test_what_was_charged_more_than_the_ledger_says_is_shown_task_by_task(
    job, call, audit, monkeypatch
):
    async with fal_of(monkeypatch, prices={"fal-ai/seedvr/upscale/image": "0.003"}):
        job.write(f"{MODEL}\nprices: {{fal/seedvr-image: 0.001 USD/MP}}")
        await job.run()

        told = await audit()
        text = (await to_thread.run_sync(lambda: call("audit", job.file))).out

    usd = 96 * 72 / 1e9
    assert [item["difference_usd"] for item in told["items"]] == [pytest.approx(2 * usd)] * 3
    assert told["cost_usd"]["difference"] == pytest.approx(6 * usd)
    assert text.count("photos/") == 3
    assert "+0.000014 USD" in text
    assert "more than the ledger says" in text


async def test_requests_that_the_ledger_does_not_know_are_told(job, audit, tmp_path, monkeypatch):
    other = Job(tmp_path / "other", photos=2)
    async with fal_of(monkeypatch) as fal:
        await job.run()
        await other.run()

        told = await audit()

    strangers = {one.id for one in fal.accepted} - {item["request_id"] for item in told["items"]}
    assert {one["request_id"] for one in told["unknown"]} == strangers
    assert len(strangers) == 2
    assert all(one["billed_usd"] for one in told["unknown"])


async def test_what_is_not_on_the_bill_yet_is_no_difference(job, audit, monkeypatch):
    async with fal_of(monkeypatch, history_lag_s=1000.0):
        await job.run()

        told = await audit()

    assert [item["billed_usd"] for item in told["items"]] == [None] * 3
    assert told["cost_usd"]["difference"] == 0


async def test_a_history_that_cannot_be_read_leaves_the_comparison(job, audit, monkeypatch):
    async with fal_of(monkeypatch, NO_HISTORY):
        await job.run()

        told = await audit()

    assert (told["unknown"], len(told["items"])) == (None, 3)


async def test_a_bill_that_cannot_be_read_ends_with_5_and_says_so(job, call, monkeypatch):
    async with fal_of(monkeypatch, NO_BILL):
        await job.run()

        answer = await to_thread.run_sync(lambda: call("audit", job.file))

    assert (answer.status, answer.out) == (5, "")
    assert "billing events cannot be read" in answer.err


async def test_synchronous_calls_are_counted_as_what_cannot_be_compared(job, audit, monkeypatch):
    async with fal_of(monkeypatch):
        job.write(f"{MODEL}\nfal: {{mode: sync}}")
        await job.run()

        told = await audit()

    assert (told["requests"], told["synchronous"]) == (0, 3)


@pytest.mark.parametrize("command", ["audit", "cancel"])
def test_without_a_ledger_there_is_nothing_to_ask_about(call, job, command):
    answer = call(command, job.file)

    assert answer.status == 4
    assert "no ledger" in answer.err
    assert not job.out.exists()


async def test_without_a_key_nothing_is_compared(job, call, monkeypatch):
    async with fal_of(monkeypatch):
        await job.run()
    monkeypatch.delenv("FAL_KEY")

    answer = await to_thread.run_sync(lambda: call("audit", job.file))

    assert answer.status == 5
    assert "FAL_KEY" in answer.err
    assert "https://fal.ai/dashboard/keys" in answer.err
