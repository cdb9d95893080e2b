"""A run that was killed in the middle: whoever tells of it tells the same of what is half done."""

import json
from collections import Counter
from decimal import Decimal

import pytest

from batchup.events import Held, Result, Stopped, Submitted, Submitting
from batchup.history import History
from batchup.inputs import Skipped
from batchup.ledger import open_view
from batchup.manifest import load
from batchup.messages import ending
from batchup.metrics import Metrics
from batchup.plan import Plan, Step
from batchup.report.headline import headline
from batchup.spool import Spool
from batchup.summary import summarise
from tests.cli.conftest import call
from tests.dashboard.visitor import visiting
from tests.report.job import MODELS, PRICE, Story, report, written

__all__ = ["call"]

MODEL = MODELS[0]
STATES = {"done": 1, "failed": 1, "held": 1, "in_flight": 3, "pending": 2}
SENTENCE = "1 of 8 tasks done, 1 failed, 1 held, 3 in flight, 2 pending"


@pytest.fixture
def job(tmp_path):
    """A job whose first run met its budget, and whose second was killed with tasks in every state that there is."""
    story = Story()
    story.run(budget_usd=Decimal(2))
    tasks = iter([story.task(f"{number}.jpg", MODEL, f"{number}.png") for number in range(8)])
    story.done(next(tasks), "0.png")
    story.add(Stopped, why="budget", elapsed_s=60.0)
    story.run(budget_usd=Decimal(2))
    story.failed(next(tasks), "refused", "no")
    story.add(Held, id=next(tasks), attempt=1, message="the answer was lost", reserved_usd=PRICE)
    for half in (0, 1, 2):
        task = next(tasks)
        story.add(Submitting, id=task, attempt=1, endpoint="e", body={}, reserved_usd=PRICE)
        if half:
            story.add(Submitted, id=task, attempt=1, request_id=f"r-{task}")
        if half == 2:
            story.add(Result, id=task, attempt=1, urls=("u",), charged_usd=PRICE)
    return written(tmp_path, story.events)


@pytest.fixture
def history(job):
    with open_view(load(job.manifest).ledger_path) as view:
        yield History(view.read_line).fold(view.replay())


def test_by_status_and_nothing_that_the_run_before_had_said(call, job):
    told = json.loads(call("status", job.manifest, "--json").out)
    text = call("status", job.manifest).out

    assert {name: told["tasks"][name] for name in STATES} == STATES
    assert told["stopped"] is None
    assert told["cost_usd"] == {"estimated": 0.16, "charged": 0.04, "reserved": 0.06, "budget": 2.0}
    assert f"{SENTENCE} (the last run was cut short)" in text
    assert "0.040 USD charged, 0.16 USD estimated, 0.060 USD reserved, budget 2.00 USD" in text


def test_by_the_reports_first_sentence(history):
    summary = summarise(history)

    assert headline(summary, 1.0, running=False, ended=history.ended) == (
        "The last run was cut short: 1 of 8 tasks is done, 1 failed, 1 held, 3 in flight, 2 still to do, for 0.040 USD."
    )
    assert headline(summary, 1.0, running=True, ended=False) == (
        "A run is going on: 1 of 8 tasks is done so far, 5 to come, for 0.040 USD."
    ), "what is held waits for a person"


async def test_by_the_reports_page(browser, job):
    report(job)
    page = await browser.open(job.page.as_uri())

    counts = await page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.counts dl > div')].map((one) => [one.className, one.lastChild.textContent]))"
    )
    await page.click("[data-state='in flight']")
    await page.until("document.getElementById('told').textContent === '3 of 8 tasks'")
    await page.until("document.querySelectorAll('.card').length === 3")
    states = await page.evaluate("[...document.querySelectorAll('.card .state')].map((s) => s.textContent)")
    facts = await page.evaluate("document.querySelector('.cost').innerText")

    assert {name: int(counts[name.replace("_", "-")]) for name in STATES} == STATES
    assert states == ["in flight"] * 3
    assert "0.040 USD charged" in facts
    assert "0.060 USD" in facts.partition("reserved")[2]
    assert page.errors == []


async def test_by_the_dashboard(job):
    async with visiting(job.manifest) as visitor:
        told = await visitor.told()

    assert {name: told["counts"][name] for name in STATES} == STATES
    assert "was cut short" in told["stand"]["why"]
    assert [len(told[name]) for name in ("flight", "held", "failures", "queue", "fresh")] == [3, 1, 1, 2, 1]
    assert told["held"][0]["risk"] == "0.02"
    money = {name: Decimal(told["money"][name]) for name in ("charged", "reserved", "estimated")}
    assert money == {"charged": 2 * PRICE, "reserved": 3 * PRICE, "estimated": 8 * PRICE}


def test_by_the_metrics_of_the_run_that_goes_on(history):
    metrics = Metrics()

    metrics.begin(Plan(Spool(Step), Spool(Skipped), Counter()), history)

    sample = metrics.registry.get_sample_value
    assert {state: sample("batchup_tasks", {"model": MODEL, "state": state}) for state in STATES} == STATES
    assert sample("batchup_reserved_usd", {"model": MODEL}) == pytest.approx(float(3 * PRICE))
    assert sample("batchup_job_charged_usd") == pytest.approx(float(2 * PRICE))


def test_by_a_message(job, history):
    message = ending(load(job.manifest), summarise(history))

    assert SENTENCE in message.body
    assert "Cost: 0.040 USD, 0.060 USD reserved, of a budget of 2.00 USD" in message.body
