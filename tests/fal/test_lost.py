"""Submissions whose answer was lost: found, submitted again where that is cheap, held where it is dear."""

from decimal import Decimal
from typing import Any

import pytest

from batchup.rehearsal import Chance, Cut, Elsewhere, Faults, Script, answers
from tests.fal.job import DEAR, LOSSY, MODEL, Job, fal_of, forgive, paid_once

LOST = Cut("after")
TENTH = Faults(chances=(Chance("submit", LOST, 0.1),))
NO_HISTORY: dict[str, Any] = {
    "403": answers.forbidden(),
    "401": answers.wrong_key(),
    "404": answers.gone(),
    "500": answers.broken(500),
    "cut": Cut("before"),
}


async def test_with_a_history_every_tenth_lost_answer_is_found_and_nothing_is_paid_twice(
    tmp_path, monkeypatch
):
    job = Job(tmp_path, f"{MODEL}\n{LOSSY}\nrun: {{concurrency: 16}}", photos=60)
    async with fal_of(monkeypatch, faults=TENTH, seed=3) as fal:
        assert await job.tasks() == {"done": 60}

        lost = fal.record.faults["submit Cut"]
        assert lost >= 4
        assert len(fal.accepted) == fal.calls["submit"] == 60
        assert paid_once(fal)


@pytest.mark.parametrize("why", ["403", "500"])
async def test_without_a_history_every_tenth_lost_answer_is_paid_again_where_that_is_cheap(
    tmp_path, monkeypatch, why
):
    job = Job(tmp_path, f"{MODEL}\n{LOSSY}\nrun: {{concurrency: 16}}", photos=40)
    async with fal_of(monkeypatch, Script("history", NO_HISTORY[why], times=0), faults=TENTH, seed=3) as fal:
        summary = (await job.run()).summary

        lost = fal.record.faults["submit Cut"]
        assert lost >= 3
        assert summary.tasks.done == summary.tasks.total == 40
        assert len(fal.accepted) == 40 + lost
        # What may have been paid twice is told.
        told_usd = summary.cost_usd.charged + summary.cost_usd.reserved
        assert told_usd == pytest.approx(float(fal.billed_usd), abs=2e-6)


@pytest.mark.parametrize("why", ["403", "500"])
async def test_without_a_history_every_tenth_lost_answer_is_held_where_that_is_dear(
    tmp_path, monkeypatch, why
):
    job = Job(tmp_path, f"{DEAR}\n{LOSSY}\nrun: {{concurrency: 16}}", photos=40)
    async with fal_of(monkeypatch, Script("history", NO_HISTORY[why], times=0), faults=TENTH, seed=3) as fal:
        summary = (await job.run()).summary

        lost = fal.record.faults["submit Cut"]
        assert lost >= 3
        assert (summary.tasks.done, summary.tasks.held) == (40 - lost, lost)
        assert summary.cost_usd.reserved == pytest.approx(lost * 0.08)
        assert len(fal.accepted) == 40
        assert paid_once(fal)


async def test_a_history_that_lags_is_asked_again_until_it_knows(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nfal: {{settle: 1s}}")
    async with fal_of(monkeypatch, Script("submit", LOST, times=3), history_lag_s=0.4) as fal:
        assert await job.tasks() == {"done": 3}

        assert len(fal.accepted) == 3


async def test_a_history_that_fails_for_a_moment_is_asked_again(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nfal: {{settle: 1s}}")
    async with fal_of(
        monkeypatch, Script("submit", LOST, times=3), Script("history", answers.broken(503))
    ) as fal:
        assert await job.tasks() == {"done": 3}

        assert len(fal.accepted) == 3


@pytest.mark.parametrize("why", NO_HISTORY)
async def test_without_a_history_what_is_cheap_is_submitted_again(tmp_path, monkeypatch, why):
    job = Job(tmp_path, f"{MODEL}\n{LOSSY}")
    async with fal_of(
        monkeypatch, Script("submit", LOST, times=2), Script("history", NO_HISTORY[why], times=0)
    ) as fal:
        outcome = await job.run()

        assert outcome.summary.tasks.done == 3
        assert outcome.summary.stopped is None, "a platform API that refuses never stops a run"
        assert len(fal.accepted) == 5
        # Nobody knows that the first ones were billed; they may have been.
        cost = outcome.summary.cost_usd
        assert round(Decimal(str(cost.charged + cost.reserved)) - fal.billed_usd, 6) == 0


@pytest.mark.parametrize("why", NO_HISTORY)
async def test_without_a_history_what_is_dear_is_held_until_a_person_decides(tmp_path, monkeypatch, why):
    job = Job(tmp_path, f"{DEAR}\n{LOSSY}", photos=2)
    async with fal_of(
        monkeypatch, Script("submit", LOST), Script("history", NO_HISTORY[why], times=0)
    ) as fal:
        summary = (await job.run()).summary
        assert (summary.tasks.done, summary.tasks.held) == (1, 1)
        assert summary.cost_usd.reserved == 0.08
        assert len(fal.accepted) == 2

        assert await job.tasks() == {"done": 1, "held": 1}
        assert len(fal.accepted) == 2

        assert await job.tasks(resubmit_held=True) == {"done": 2}
        assert len(fal.accepted) == 3


@pytest.mark.parametrize(
    ("below", "tasks", "accepted"),
    [("0.08 USD", {"held": 1}, 1), ("0.081 USD", {"done": 1}, 2), ("0 USD", {"held": 1}, 1)],
)
async def test_the_manifest_says_what_is_dear(tmp_path, monkeypatch, below, tasks, accepted):
    job = Job(tmp_path, f"{DEAR}\nfal: {{settle: 100ms, resubmit_below: {below}}}", photos=1)
    async with fal_of(
        monkeypatch, Script("submit", LOST), Script("history", answers.forbidden(), times=0)
    ) as fal:
        assert await job.tasks() == tasks

        assert len(fal.accepted) == accepted


async def test_what_is_held_is_looked_for_in_every_later_run(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{DEAR}\nfal: {{settle: 100ms}}", photos=2)
    async with fal_of(
        monkeypatch, Script("submit", LOST, times=2), Script("history", answers.forbidden(), times=0)
    ) as fal:
        assert await job.tasks() == {"held": 2}

        forgive(fal)
        assert await job.tasks() == {"done": 2}

        assert len(fal.accepted) == 2


async def test_what_is_free_is_submitted_again_though_nothing_else_may_be(tmp_path, monkeypatch):
    job = Job(tmp_path, f"model: fal/aura-sr\n{LOSSY}", photos=1)
    async with fal_of(
        monkeypatch, Script("submit", LOST), Script("history", answers.forbidden(), times=0)
    ) as fal:
        assert await job.tasks() == {"done": 1}

        assert len(fal.accepted) == 2


@pytest.mark.parametrize("acted", [True, False], ids=["accepted", "not accepted"])
async def test_a_submit_that_a_server_error_answers_is_looked_for_first(tmp_path, monkeypatch, acted):
    job = Job(tmp_path, f"{MODEL}\n{LOSSY}", photos=1)
    async with fal_of(monkeypatch, Script("submit", answers.broken(500, acted=acted))) as fal:
        assert await job.tasks() == {"done": 1}

        assert (len(fal.accepted), fal.calls["submit"]) == ((1, 1) if acted else (1, 2))


async def test_a_submit_whose_answer_names_a_foreign_address_is_found_at_the_right_one(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\n{LOSSY}", photos=1)
    async with fal_of(monkeypatch, Script("submit", Elsewhere("http://127.0.0.1:9"))) as fal:
        assert await job.tasks() == {"done": 1}

        assert len(fal.accepted) == 1


async def test_a_synchronous_call_that_is_cut_is_found_or_held(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{DEAR}\nfal: {{mode: sync, settle: 200ms}}", photos=2)
    async with fal_of(monkeypatch, Script("run", LOST)) as fal:
        assert await job.tasks() == {"done": 2}

        assert len(fal.accepted) == fal.calls["run"] == 2


@pytest.mark.parametrize(
    ("text", "tasks", "accepted"),
    [(MODEL, {"done": 2}, 3), (DEAR, {"done": 1, "held": 1}, 2)],
    ids=["cheap", "dear"],
)
async def test_a_synchronous_call_that_is_cut_and_cannot_be_looked_for_is_unconfirmed(
    tmp_path, monkeypatch, text, tasks, accepted
):
    job = Job(tmp_path, f"{text}\nfal: {{mode: sync, settle: 200ms}}", photos=2)
    scripts = [Script("run", LOST), Script("history", answers.forbidden(), times=0)]
    async with fal_of(monkeypatch, *scripts) as fal:
        assert await job.tasks() == tasks

        assert len(fal.accepted) == fal.calls["run"] == accepted


@pytest.mark.parametrize("step", ["status", "result"])
async def test_a_request_that_fal_has_forgotten_is_taken_from_the_history(tmp_path, monkeypatch, step):
    job = Job(tmp_path, photos=1)
    async with fal_of(monkeypatch, Script(step, answers.gone())) as fal:
        assert await job.tasks() == {"done": 1}

        assert len(fal.accepted) == 1


@pytest.mark.parametrize(
    ("text", "tasks"), [(MODEL, {"done": 1}), (DEAR, {"held": 1})], ids=["cheap", "dear"]
)
async def test_a_request_that_nobody_knows_any_more_is_unconfirmed(tmp_path, monkeypatch, text, tasks):
    job = Job(tmp_path, text, photos=1)
    async with fal_of(
        monkeypatch, Script("status", answers.gone()), Script("history", answers.forbidden(), times=0)
    ) as fal:
        assert await job.tasks() == tasks

        assert len(fal.accepted) == (2 if "done" in tasks else 1)
