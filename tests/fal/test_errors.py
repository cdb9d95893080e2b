"""Every error of fal's table, wherever it comes, leads to the right one of retry, fail, stop and hold."""

import msgspec
import pytest

from batchup.rehearsal import Script, answers
from tests.fal.job import LOSSY, MODEL, Job, fal_of, forgive, paid_once

MODELS_PASS = {kind: answers.model_error(kind) for kind in answers.MODEL_TRANSIENT}
MODELS_STAY = {kind: answers.model_error(kind) for kind in answers.MODEL_FOR_GOOD}
PLATFORM_STAYS = {
    kind: answers.platform_error(kind) for kind in ("client_disconnected", "client_cancelled", "bad_request")
}
PLATFORM_PASSES = {
    kind: answers.platform_error(kind) for kind in answers.PLATFORM if kind not in PLATFORM_STAYS
}
INGRESS = {f"ingress {status}": answers.ingress(status) for status in (502, 503, 504)}
WAITS = {
    "429": answers.too_many(),
    "429 with seconds": answers.too_many(0.01),
    "429 with a date": answers.too_many(0.0, form="date"),
}
LATE = {"request_timeout": answers.not_started()}


def said(answer, **headers):
    return msgspec.structs.replace(
        answer, headers={**answer.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
    )


# The header decides first, then the type, then the status; the words never do.
HEADER_PASSES = {
    "422 that may pass": said(answers.model_error("file_download_error"), X_Fal_Retryable="true"),
    "400 that may pass": said(answers.platform_error("bad_request"), X_Fal_Needs_Retry="1"),
}
HEADER_STAYS = {
    "internal_error": said(answers.platform_error("internal_error"), X_Fal_Retryable="false"),
    "generation_timeout": said(answers.model_error("generation_timeout"), X_Fal_Retryable="false"),
}


def scripts(step, faults):
    """Let every call but one meet one of *faults*, in turn."""
    return [Script(step, fault, nth=number) for number, fault in enumerate(faults.values(), 1)]


def job_of(tmp_path, photos, text=""):
    return Job(
        tmp_path, f"{MODEL}\n{LOSSY}\nretry: {{attempts: 60, initial: 1ms, max: 5ms}}\n{text}", photos=photos
    )


RETRIED_AT_SUBMIT = {**MODELS_PASS, **PLATFORM_PASSES, **INGRESS, **HEADER_PASSES, **WAITS}


async def test_a_submit_that_was_refused_for_now_is_sent_again(tmp_path, monkeypatch):
    job = job_of(tmp_path, 6)
    async with fal_of(monkeypatch, *scripts("submit", RETRIED_AT_SUBMIT)) as fal:
        assert await job.tasks() == {"done": 6}

        assert len(fal.accepted) == 6
        assert fal.calls["submit"] == 6 + len(RETRIED_AT_SUBMIT)
        assert {event.get("attempt", 1) for event in job.events("done")} == {1}


FAILED_AT_SUBMIT = {
    **MODELS_STAY,
    **PLATFORM_STAYS,
    **HEADER_STAYS,
    **LATE,
    "forbidden": answers.forbidden(),
    "not_found": answers.gone(),
}


async def test_a_submit_that_was_refused_for_good_fails_its_task_alone(tmp_path, monkeypatch):
    job = job_of(tmp_path, len(FAILED_AT_SUBMIT) + 1)
    async with fal_of(monkeypatch, *scripts("submit", FAILED_AT_SUBMIT)) as fal:
        summary = (await job.run()).summary

        assert (summary.tasks.failed, summary.tasks.done) == (len(FAILED_AT_SUBMIT), 1)
        assert summary.failures == dict.fromkeys(FAILED_AT_SUBMIT, 1)
        assert len(fal.accepted) == 1
        assert summary.stopped is None
        assert summary.cost_usd.reserved == 0


FAILED_RUNS_THAT_PASS = {
    **MODELS_PASS,
    **PLATFORM_PASSES,
    **HEADER_PASSES,
    "500 without a type": answers.broken(500),
}


async def test_a_request_that_ran_and_failed_for_now_is_submitted_anew(tmp_path, monkeypatch):
    job = job_of(tmp_path, 6)
    async with fal_of(monkeypatch, *scripts("task", FAILED_RUNS_THAT_PASS)) as fal:
        assert await job.tasks() == {"done": 6}

        assert len(fal.accepted) == 6 + len(FAILED_RUNS_THAT_PASS)
        assert paid_once(fal)
        assert sum(event.get("attempt", 1) for event in job.events("done")) == len(fal.accepted)


FAILED_RUNS_THAT_STAY = {**MODELS_STAY, **PLATFORM_STAYS, **HEADER_STAYS, **LATE}


async def test_a_request_that_ran_and_failed_for_good_fails_its_task_alone(tmp_path, monkeypatch):
    job = job_of(tmp_path, len(FAILED_RUNS_THAT_STAY) + 1)
    async with fal_of(monkeypatch, *scripts("task", FAILED_RUNS_THAT_STAY)) as fal:
        summary = (await job.run()).summary

        assert summary.failures == dict.fromkeys(FAILED_RUNS_THAT_STAY, 1)
        assert summary.tasks.done == 1
        assert len(fal.accepted) == len(FAILED_RUNS_THAT_STAY) + 1
        assert {event["attempt"] for event in job.events("failed")} == {1}
        # Only a 422 may be billed all the same.
        may_cost = {event["kind"] for event in job.events("failed") if "reserved_usd" in event}
        assert may_cost == {kind for kind, fault in FAILED_RUNS_THAT_STAY.items() if fault.status == 422}
        assert summary.cost_usd.reserved == pytest.approx(len(may_cost) * 0.000006912, abs=1e-6)


async def test_attempts_are_counted_and_end(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nretry: {{attempts: 3, initial: 1ms}}", photos=1)
    fault = answers.model_error("internal_server_error")
    async with fal_of(monkeypatch, Script("task", fault, times=3)) as fal:
        assert await job.tasks() == {"failed": 1}
        assert len(fal.accepted) == 3
        assert [(event["attempt"], event["may_retry"]) for event in job.events("failed")] == [(3, True)]

        assert await job.tasks(retry_failed=True) == {"done": 1}
        assert job.events("done")[0]["attempt"] == 4


SYNCHRONOUS = f"{MODEL}\nfal: {{mode: sync, settle: 300ms}}\nretry: {{attempts: 60, initial: 1ms, max: 5ms}}"


async def test_a_synchronous_call_that_fails_for_now_is_made_again(tmp_path, monkeypatch):
    job = Job(tmp_path, SYNCHRONOUS, photos=6)
    faults = {**MODELS_PASS, **INGRESS, **WAITS}
    async with fal_of(monkeypatch, *scripts("run", faults)) as fal:
        assert await job.tasks() == {"done": 6}

        assert (len(fal.accepted), fal.calls["run"]) == (6, 6 + len(faults))
        assert paid_once(fal)


async def test_a_synchronous_call_that_fails_for_good_fails_its_task_alone(tmp_path, monkeypatch):
    faults = {**MODELS_STAY, "forbidden": answers.forbidden()}
    job = Job(tmp_path, SYNCHRONOUS, photos=len(faults) + 1)
    async with fal_of(monkeypatch, *scripts("run", faults)):
        summary = (await job.run()).summary

        assert (summary.failures, summary.tasks.done) == (dict.fromkeys(faults, 1), 1)


@pytest.mark.parametrize("refusal", [answers.wrong_key(), answers.locked()], ids=["wrong key", "locked"])
async def test_an_account_that_is_refused_at_a_synchronous_call_stops_the_run(tmp_path, monkeypatch, refusal):
    job = Job(tmp_path, SYNCHRONOUS, photos=6)
    async with fal_of(monkeypatch, Script("run", refusal, times=0)) as fal:
        outcome = await job.run(concurrency=1)

        assert (outcome.summary.stopped, outcome.summary.tasks.pending) == ("account", 6)
        assert fal.calls["run"] == 1

        forgive(fal)
        assert await job.tasks() == {"done": 6}


RESULTS_THAT_PASS = {**MODELS_PASS, **PLATFORM_PASSES, **INGRESS, **WAITS, "500": answers.broken(500)}


async def test_a_result_that_could_not_be_fetched_is_fetched_again_and_nothing_submitted(
    tmp_path, monkeypatch
):
    job = job_of(tmp_path, 6)
    async with fal_of(monkeypatch, *scripts("result", RESULTS_THAT_PASS)) as fal:
        assert await job.tasks() == {"done": 6}

        assert len(fal.accepted) == fal.calls["submit"] == 6


@pytest.mark.parametrize("kind", ["generation_timeout", "runner_disconnected", "ingress 502", "429", "500"])
async def test_a_status_that_could_not_be_asked_for_is_asked_for_again(tmp_path, monkeypatch, kind):
    job = job_of(tmp_path, 2)
    async with fal_of(monkeypatch, Script("status", RESULTS_THAT_PASS[kind])) as fal:
        assert await job.tasks() == {"done": 2}

        assert len(fal.accepted) == fal.calls["submit"] == 2


STAYS_AT_A_LOOK = {**MODELS_STAY, "client_cancelled": PLATFORM_STAYS["client_cancelled"]}


async def test_a_result_that_is_a_failure_for_good_fails_its_task_alone(tmp_path, monkeypatch):
    job = job_of(tmp_path, len(STAYS_AT_A_LOOK) + 1)
    async with fal_of(monkeypatch, *scripts("result", STAYS_AT_A_LOOK)) as fal:
        summary = (await job.run()).summary

        assert summary.failures == dict.fromkeys(STAYS_AT_A_LOOK, 1)
        assert fal.calls["submit"] == len(STAYS_AT_A_LOOK) + 1


@pytest.mark.parametrize("refusal", [answers.wrong_key(), answers.locked()], ids=["wrong key", "locked"])
@pytest.mark.parametrize(
    ("step", "left"),
    [("token", "pending"), ("submit", "pending"), ("status", "in_flight"), ("result", "in_flight")],
)
async def test_an_account_that_is_refused_stops_the_run_and_the_next_goes_on(
    tmp_path, monkeypatch, refusal, step, left
):
    job = job_of(tmp_path, 20)
    async with fal_of(monkeypatch, Script(step, refusal, times=0)) as fal:
        outcome = await job.run(concurrency=2)

        tasks = outcome.summary.tasks
        assert outcome.summary.stopped == "account"
        assert "https://fal.ai/dashboard" in outcome.fatal
        assert tasks.failed == tasks.done == tasks.held == 0
        assert getattr(tasks, left) > 0
        assert tasks.pending >= 18
        assert fal.calls["submit"] <= 2, "nothing is dispatched once the account is refused"
        assert {event["attempt"] for event in job.events("retried") if "step" not in event} <= {0}

        forgive(fal)
        assert await job.tasks() == {"done": 20}
        assert len(fal.accepted) == 20
