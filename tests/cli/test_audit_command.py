"""An audit: the ledger against the account's bill."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from anyio import to_thread

from batchup.bill import requests
from batchup.cli.audit import _written
from batchup.history import History
from batchup.ledger import open_ledger, open_view, read_ledger
from batchup.ledger.format import encode, pack
from batchup.manifest import load
from batchup.rehearsal import Cut, Script, answers
from batchup.summary import summarise
from batchup.verdict import Told
from tests.fal.job import DEAR, LOSSY, MODEL, Job, fal_of, forgive

NO_BILL = Script("billing", answers.broken(503), times=0)
NO_HISTORY = Script("history", answers.broken(503), times=0)
TRIPLE = {"fal-ai/seedvr/upscale/image": "0.003"}
CHEAP = f"{MODEL}\nprices: {{fal/seedvr-image: 0.001 USD/MP}}"


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


@pytest.fixture
def audited(call, job):
    """Audit a job while fal runs in this thread; return what a person is shown."""

    async def run(*options):
        answer = await to_thread.run_sync(lambda: call("audit", job.file, *options))
        assert answer.status == 0, answer.err
        return answer.out

    return run


async def told(job):
    """Return how a job stands."""
    with open_view(job.ledger) as view:
        return msgspec.to_builtins(summarise(History(view.read_line).fold(view.replay())))


def age(ledger):
    """Let everything in a ledger have happened two days earlier."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    before = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%d")
    lines = [
        line.replace(f'"at":"{day}'.encode(), f'"at":"{before}'.encode()) for _, line in read_ledger(ledger)
    ]
    ledger.write_bytes(b"".join(map(encode, pack(lines))))


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


async def test_what_was_charged_more_than_the_ledger_says_is_shown_task_by_task(job, audited, monkeypatch):
    async with fal_of(monkeypatch, prices=TRIPLE):
        job.write(CHEAP)
        await job.run()

        text = await audited("--all")

    assert text.count("photos/") == 3
    assert "+0.000014 USD" in text
    assert "0.000041 USD more than the ledger says" in text
    assert "written   3 submissions at 0.000062 USD, as the bill has it" in text


async def test_the_bills_amount_is_written_where_the_ledgers_is_another(job, audit, monkeypatch):
    async with fal_of(monkeypatch, prices=TRIPLE) as fal:
        job.write(CHEAP)
        await job.run()

        first, second = await audit(), await audit()
        status = await told(job)
        healed = job.outputs()["0.png"]
        healed.unlink()
        await job.run()
        third = await audit()

    usd = 96 * 72 / 1e9
    assert [item["difference_usd"] for item in first["items"]] == [pytest.approx(2 * usd)] * 3
    assert first["cost_usd"]["difference"] == pytest.approx(6 * usd)
    assert [one["charged_usd"] for one in first["written"]] == [pytest.approx(3 * usd)] * 3
    assert healed.exists()
    assert len(job.events("audited")) == 3
    assert [(one["cost_usd"]["difference"], one["written"]) for one in (second, third)] == [(0, [])] * 2
    assert status["cost_usd"]["charged"] == pytest.approx(float(fal.billed_usd), abs=1e-6)


@pytest.mark.parametrize("bills", [True, False], ids=["billed", "not billed"])
async def test_a_rejected_requests_reservation_ends_with_what_the_bill_says(job, audit, monkeypatch, bills):
    broken = Script("task", answers.model_error("content_policy_violation"))
    async with fal_of(monkeypatch, broken, bills_rejected=bills):
        await job.run()
        before = await told(job)
        if not bills:
            age(job.ledger)

        found = await audit()
        after = await told(job)

    assert before["cost_usd"]["reserved"] > 0
    assert len(found["written"]) == 1
    assert after["cost_usd"]["reserved"] == found["cost_usd"]["reserved"] == 0
    assert after["tasks"]["failed"] == 1
    more = after["cost_usd"]["charged"] - before["cost_usd"]["charged"]
    assert more == pytest.approx(found["written"][0]["charged_usd"], abs=1e-6)
    assert bool(found["written"][0]["charged_usd"]) is bills


async def test_what_may_still_come_onto_the_bill_stays_reserved(job, audit, audited, monkeypatch):
    broken = Script("task", answers.model_error("content_policy_violation"))
    async with fal_of(monkeypatch, broken):
        await job.run()

        found, text = await audit(), await audited()

    assert (found["written"], job.events("audited")) == ([], [])
    assert found["cost_usd"]["reserved"] > 0
    assert "reserved  1 submission" in text


async def test_a_lost_submission_is_found_on_the_bill_by_its_body(job, audit, monkeypatch):
    job.write(f"{MODEL}\n{LOSSY}")
    async with fal_of(monkeypatch, Script("submit", Cut("after")), NO_HISTORY) as fal:
        await job.run()
        before = await told(job)
        forgive(fal)

        found = await audit()
        after = await told(job)

    lost = {one.id for one in fal.accepted} - {one["request_id"] for one in job.events("submitted")}
    assert before["tasks"]["done"] == 3
    assert before["cost_usd"]["reserved"] > 0
    assert [one["request_id"] for one in found["written"]] == list(lost)
    assert found["unknown"] == []
    assert after["cost_usd"]["reserved"] == 0
    assert after["cost_usd"]["charged"] == pytest.approx(float(fal.billed_usd), abs=1e-6)


async def test_a_held_one_that_was_found_on_the_bill_is_still_collected_and_charged_once(
    job, audit, monkeypatch
):
    job.write(f"{DEAR}\n{LOSSY}")
    async with fal_of(monkeypatch, Script("submit", Cut("after")), NO_HISTORY) as fal:
        await job.run()
        forgive(fal)

        await audit()
        between = await told(job)
        await job.run()
        after = await told(job)

    assert (between["tasks"]["held"], between["cost_usd"]["reserved"]) == (1, 0)
    assert after["tasks"]["done"] == len(fal.accepted) == 3
    assert between["cost_usd"]["charged"] == after["cost_usd"]["charged"] == pytest.approx(0.24)


async def test_while_a_run_is_going_on_an_audit_compares_and_writes_nothing(job, audit, call, monkeypatch):
    async with fal_of(monkeypatch, prices=TRIPLE):
        job.write(CHEAP)
        await job.run()
        size_bytes = job.ledger.stat().st_size

        async with open_ledger(job.ledger):
            answer = await to_thread.run_sync(lambda: call("audit", job.file))
            found = await audit(4)

    assert answer.status == 4
    assert "more than the ledger says" in answer.out
    assert "nothing was written: " in answer.err
    assert "in use by another run" in answer.err
    assert len(found["items"]) == 3
    assert found["written"] == []
    assert job.ledger.stat().st_size == size_bytes


async def test_what_changed_while_the_account_was_asked_is_not_written_again(job, audit, monkeypatch):
    async with fal_of(monkeypatch, prices=TRIPLE) as fal:
        job.write(CHEAP)
        await job.run()
        before = requests(read_ledger(job.ledger))
        await audit()

        told = Told({one.id: one.cost_usd for one in fal.accepted})
        written, refused = await _written(load(job.file), before, told)

    assert (written, refused) == ([], None)
    assert len(job.events("audited")) == 3


async def test_where_there_is_nothing_to_write_a_run_is_no_obstacle(job, audit, monkeypatch):
    async with fal_of(monkeypatch):
        await job.run()

        async with open_ledger(job.ledger):
            assert len((await audit())["items"]) == 3


async def test_an_audited_ledger_is_whole_exported_and_compacted_with_what_the_bill_told(
    job, audit, call, monkeypatch
):
    async with fal_of(monkeypatch, prices=TRIPLE) as fal:
        job.write(CHEAP)
        await job.run()
        await audit()

    whole = call("ledger", "verify", job.ledger)
    call("ledger", "compact", job.ledger)
    rows = json.loads(call("ledger", "export", job.ledger, "--json").out)
    story = json.loads(call("explain", job.file, "photos/0.png", "--json").out)

    assert whole.status == 0
    assert "audited   3" in whole.out
    assert sum(row["charged_usd"] for row in rows) == pytest.approx(float(fal.billed_usd))
    assert story["tasks"][0]["charged_usd"] == pytest.approx(3 * 96 * 72 / 1e9)


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
