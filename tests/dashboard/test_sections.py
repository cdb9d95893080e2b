"""What the page shows is what the ledger says, and what the run says."""

from datetime import timedelta

import msgspec
import pytest

from batchup.control import Flying, Live
from batchup.dashboard.board import Board
from batchup.dashboard.sections import Teller
from batchup.events import Orphaned
from batchup.history import History
from batchup.ledger import open_view
from batchup.summary import summarise
from tests.ledger.samples import AT, done, failed, ledger, retried, run, seen, submitting, task_id
from tests.report.job import EVIL, MODELS

LIVE = Live("holiday", 7, "run", "", 4, 4, "", None, [], 0, 0)


@pytest.fixture
def board_of(tmp_path):
    """Return the board of a ledger that holds these events, or of a ledger's file."""

    def make(*events, path=None):
        if path is None:
            path = tmp_path / "job.jsonl"
            path.write_bytes(ledger([list(events)]))
        data = path.read_bytes()
        board = Board(lambda offset: data[offset:].partition(b"\n")[0])
        with open_view(path) as view:
            for offset, line in view.replay():
                board.add(offset, line)
        return board

    return make


@pytest.fixture
def told(board_of):
    def tell(*events, live=None, path=None, now=AT):
        return Teller(board_of(*events, path=path)).tell(live, "no run", now)

    return tell


def test_counts_and_amounts_are_those_of_status(job, told):
    path = job.folder / "out/.batchup/library.jsonl"
    with open_view(path) as view:
        summary = summarise(History(view.read_line).fold(view.replay()))

    sections = told(path=path)

    assert msgspec.to_builtins(sections.counts) == msgspec.to_builtins(summary.tasks)
    assert float(sections.money.charged) == summary.cost_usd.charged
    assert float(sections.money.reserved) == summary.cost_usd.reserved
    assert float(sections.money.budget) == summary.cost_usd.budget


def test_a_failure_has_its_message_and_what_to_do_and_a_held_task_its_price_and_its_risk(job, told):
    sections = told(path=job.folder / "out/.batchup/library.jsonl")

    latest = sections.failures[0]
    assert (latest.input, latest.kind, latest.message) == (
        "photos/bad/cut.jpg",
        "image_truncated",
        "the image is cut",
    )
    assert "Replace it" in latest.advice
    assert [(one.input, one.price, one.risk) for one in sections.held] == [
        ("photos/held.jpg", "0.02", "0.02")
    ]


def test_names_and_messages_hold_nothing_that_acts(job, told):
    sections = told(path=job.folder / "out/.batchup/library.jsonl")

    texts = msgspec.json.encode(sections).decode()
    assert not any(character in texts for character in "\u202e\x1b\n")
    evil = next(one for one in sections.fresh if "script" in one.input)
    assert evil.input == "photos/" + EVIL.encode("unicode_escape").decode()


def test_models_are_told_apart(job, told):
    sections = told(path=job.folder / "out/.batchup/library.jsonl")

    numbers = {one.model: (one.total, one.done, one.failed, one.held) for one in sections.models}
    assert numbers[MODELS[0]] == (8 + 2 + 7 + 2, 10, 7, 1)
    assert sum(one.total for one in sections.models) == sections.counts.total


def test_a_task_that_is_tried_again_has_not_failed_and_an_orphan_is_no_task(told):
    sections = told(
        run(), seen(1), seen(2), submitting(1), failed(1), submitting(1, 2), Orphaned(id=task_id(2), at=AT)
    )

    assert sections.failures == ()
    assert [one.id for one in sections.flight] == [task_id(1)]
    assert (sections.counts.total, sections.counts.orphaned, sections.counts.pending) == (1, 1, 0)


def test_what_has_just_come_out_is_told_once_the_latest_first(told):
    sections = told(run(), *map(seen, range(1, 4)), done(1), done(2), done(3), done(1))

    assert [one.id for one in sections.fresh] == [task_id(1), task_id(3), task_id(2)]


def test_what_the_run_prepares_is_in_flight_and_no_longer_waits(told):
    flying = [
        Flying(task_id(1), "a.jpg", "fal/x", 2.0, 0.0),
        Flying(task_id(2), "b.jpg", "fal/x", 9.0, 0.5),
    ]
    live = msgspec.structs.replace(LIVE, in_flight=flying, waiting=1)

    sections = told(run(), *map(seen, range(1, 4)), submitting(2), live=live)

    assert (sections.counts.in_flight, sections.counts.pending) == (2, 1)
    assert [one.id for one in sections.queue] == [task_id(3)]
    assert [(one.message, one.part) for one in sections.flight] == [("being prepared", 0.0), ("", 0.5)]


def test_a_start_stays_where_it_was_told_first(board_of):
    teller = Teller(board_of(run(), seen(1)))
    at = [Flying(task_id(1), "a", "local/x", since_s, 0.0) for since_s in (2.0, 3.1)]

    first = teller.tell(msgspec.structs.replace(LIVE, in_flight=at[:1]), "", AT)
    then = teller.tell(msgspec.structs.replace(LIVE, in_flight=at[1:]), "", AT + timedelta(seconds=1))

    assert first.flight == then.flight


@pytest.mark.parametrize(
    ("ends_s", "now_s", "per_s"),
    [
        ([], 60, None),
        ([10], 20, 0.05),
        ([*range(1, 101)], 100, 31 / 31),
        ([100, 200, 300], 400, 3 / 400),
        ([*range(0, 1000, 50)], 1000, 10 / 550),
    ],
    ids=["nothing yet", "one", "one a second", "few and slow", "the last ten"],
)
def test_the_rate_is_that_of_half_a_minute_or_of_ten_tasks_whichever_is_longer(
    board_of, ends_s, now_s, per_s
):
    ends = [msgspec.structs.replace(done(1), at=AT + timedelta(seconds=end)) for end in ends_s]
    board = board_of(run(), seen(1), *ends)

    found = board.per_s(AT + timedelta(seconds=now_s))

    assert found == (None if per_s is None else pytest.approx(per_s, rel=0.05))


def test_a_paused_run_has_no_rate_and_no_end(told):
    live = msgspec.structs.replace(LIVE, stage="paused", why="paused")

    sections = told(run(), seen(1), done(1), live=live, now=AT + timedelta(seconds=5))

    assert (sections.pace.per_s, sections.pace.left_s) == (None, None)
    assert sections.stand.stage == "paused"


def test_what_is_tried_again_for_free_stays_where_it_is(told):
    again = msgspec.structs.replace(retried(1), step="fetch")

    assert told(run(), seen(1), submitting(1), again).counts.in_flight == 1
