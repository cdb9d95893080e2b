"""A ledger → what the report tells, and its drawings."""

from datetime import UTC, timedelta
from decimal import Decimal

import pytest

from batchup.events import Audited, Held, Orphaned, Result, Retried, Stopped, encode
from batchup.report.advice import advice
from batchup.report.chart import HEIGHT, charts
from batchup.report.read import read
from tests.ledger.samples import task_id
from tests.report.job import BEGAN, MODELS, PRICE, Story


def told(story, **more):
    lines = [encode(event) for event in story.events]
    return read(enumerate(lines), lines.__getitem__, story.at, **more)


@pytest.fixture
def story():
    begun = Story()
    begun.run()
    return begun


def four(story, done=0, failed=0):
    tasks = [story.task(f"{number}.jpg", MODELS[0], f"{number}.png") for number in range(4)]
    for task in tasks[:done]:
        story.done(task, "x.png")
    for task in tasks[done : done + failed]:
        story.failed(task, "refused", "no")


@pytest.mark.parametrize(
    ("done", "failed", "end", "sentence"),
    [
        (4, 0, {"why": None}, "All 4 tasks are done in 7m, for 0.080 USD."),
        (1, 1, {"why": None}, "1 of 4 tasks is done, 1 failed, 2 still to do, for 0.020 USD."),
        (2, 0, {"why": "budget"}, "The budget stopped the last run: 2 of 4 tasks are done, 2 still to do, for 0.040 USD."),
        (2, 0, None, "The last run was cut short: 2 of 4 tasks are done, 2 still to do, for 0.040 USD."),
    ],
    ids=["all", "some failed", "stopped", "cut short"],
)  # fmt: skip
def test_a_sentence_tells_what_happened(story, done, failed, end, sentence):
    four(story, done, failed)
    if end:
        story.add(Stopped, **end)

    assert told(story).headline == sentence


def test_a_sentence_tells_that_a_run_is_going_on(story):
    four(story, 1, 1)

    said = told(story, running="process 7 on h").headline

    assert said == "A run is going on: 1 of 4 tasks is done so far, 2 to come, for 0.020 USD."


def test_each_submission_is_spent_once_and_an_audit_puts_it_right(story):
    four(story, 2)
    story.add(Audited, id=task_id(1), attempt=1, charged_usd=Decimal("0.05"))

    report = told(story)

    assert [one.usd for one in report.spent] == pytest.approx([0.02, 0.02, 0.03])
    assert sum(one.usd for one in report.spent) == pytest.approx(report.summary.cost_usd.charged)
    assert report.entries[0].charged_usd == pytest.approx(0.05)


def test_a_task_has_cost_what_all_its_submissions_have(story):
    task = story.task("a.jpg", MODELS[0], "a.png")
    story.add(Result, id=task, attempt=1, urls=("u",), charged_usd=PRICE)
    story.add(Retried, id=task, attempt=1, kind="result_expired", message="", wait_s=1.0)
    story.add(Result, id=task, attempt=2, urls=("u",), charged_usd=PRICE)
    story.done(story.task("b.jpg", MODELS[0], "b.png"), "b.png")

    report = told(story)

    assert [entry.charged_usd for entry in report.entries] == [float(2 * PRICE), float(PRICE)]
    assert len(report.spent) == 3


@pytest.mark.parametrize(
    ("most", "left"),
    [(9, "012345"), (4, "0125"), (3, "125"), (2, "12")],
    ids=["all", "then the last that were done", "what failed and is held", "the last of these"],
)
def test_where_not_all_are_shown_those_that_a_person_would_look_at_first_are(story, most, left):
    tasks = [story.task(f"{number}.jpg", MODELS[0], f"{number}.png") for number in range(6)]
    story.failed(tasks[5], "refused", "no")
    for number in (3, 0):
        story.done(tasks[number], "x.png")
    story.add(Held, id=tasks[1], attempt=1, message="", reserved_usd=PRICE)
    story.failed(tasks[2], "refused", "no")

    some = told(story).entries.foremost(most)

    assert "".join(entry.path[0] for entry in some) == left
    assert len(some) == len(left)


def test_the_time_between_runs_is_not_the_runs(story):
    four(story, 1)
    story.add(Stopped, why="window")
    first_s = (story.at - BEGAN).total_seconds() - 20
    story.at += timedelta(hours=10)
    story.run()
    story.add(Stopped, why=None)

    report = told(story)

    assert report.elapsed_s == first_s + 20
    assert len(report.sessions) == 2


def test_orphans_are_counted_and_not_shown(story):
    four(story, 1)
    story.add(Orphaned, id=task_id(4))

    report = told(story)

    assert len(report.entries) == 3
    assert report.summary.tasks.orphaned == 1


def test_models_are_summed_up(story):
    four(story, 2, 1)

    (model,) = told(story).models

    assert (model.tasks, model.done, model.failed) == (4, 2, 1)
    assert model.charged_usd == pytest.approx(float(2 * PRICE))
    assert model.pixels == 2 * 96 * 72


def test_charts_grow_to_what_was_reached_and_say_it(story):
    four(story, 3, 1)

    tasks, money = charts(told(story), UTC)

    heights = [float(point.split()[1]) for point in tasks.curves[0].line[1:].split("L")]
    assert heights == sorted(heights, reverse=True)
    assert 0 < heights[-1] < heights[0] < HEIGHT
    assert tasks.description.startswith("3 done and 1 failed in ")
    assert money.description == "0.060 USD charged, 0.080 USD estimated for all."
    assert [tick.text for tick in money.limits] == ["estimate"]
    assert tasks.moments[0].text == "3 Nov 22:00"


def test_a_job_that_has_not_begun_has_no_charts(story):
    four(story)

    assert charts(told(story), UTC) == ()


@pytest.mark.parametrize("kind", ["image_truncated", "server_error", "something_new", "raw_unsupported", ""])
def test_there_is_something_to_do_about_every_class(kind):
    assert advice(kind).endswith((".", ";"))
