import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchup.errors import LedgerError
from batchup.events import Done, Seen, decode, encode
from batchup.history import History
from batchup.ledger import open_ledger, read_ledger
from batchup.ledger.compact import Superseded, compact, superseded
from batchup.ledger.format import pack
from tests.ledger.samples import (
    audited,
    done,
    failed,
    held,
    ledger,
    orphaned,
    result,
    retried,
    run,
    seen,
    start,
    stopped,
    submitted,
    submitting,
    uploaded,
)


def kept(events):
    flags = superseded(map(encode, events))
    return [event for event, flag in zip(events, flags, strict=True) if not flag]


@pytest.mark.parametrize(
    ("events", "left"),
    [
        pytest.param([seen(1), done(1)], [seen(1), done(1)], id="nothing to drop"),
        pytest.param([seen(1), orphaned(1), seen(1)], [seen(1)], id="back again"),
        pytest.param([seen(1), seen(2), seen(1)], [seen(2), seen(1)], id="other tasks are other tasks"),
        pytest.param([seen(1), orphaned(1), orphaned(1)], [seen(1), orphaned(1)], id="orphaned stays"),
        pytest.param(
            [seen(1, "a.jpg"), seen(1, "b.jpg"), seen(1, "b.jpg")],
            [seen(1, "a.jpg"), seen(1, "b.jpg")],
            id="no output's name is forgotten",
        ),
        pytest.param([retried(1, 1), retried(1, 2)], [retried(1, 2)], id="the last retry counts attempts"),
        pytest.param([retried(1), failed(1), done(1)], [done(1)], id="done at last"),
        pytest.param([failed(1), failed(1, 2)], [failed(1, 2)], id="failed again"),
        pytest.param([done(1), failed(1)], [done(1), failed(1)], id="done keeps its output"),
        pytest.param([done(1), done(1)], [done(1)], id="done again for nothing"),
        pytest.param([done(1, "0.02"), done(1)], [done(1, "0.02"), done(1)], id="an amount"),
        pytest.param([done(1, None), done(1)], [done(1, None), done(1)], id="an unknown amount"),
        pytest.param(
            [
                submitting(1),
                submitted(1),
                failed(1),
                submitting(1, 2),
                submitted(1, 2),
                result(1, 2),
                done(1),
            ],
            [
                submitting(1),
                submitted(1),
                failed(1),
                submitting(1, 2),
                submitted(1, 2),
                result(1, 2),
                done(1),
            ],
            id="what became of every request",
        ),
        pytest.param(
            [submitting(1), retried(1), submitting(1, 2), retried(1, 2), done(1), done(1)],
            [submitting(1), retried(1), submitting(1, 2), retried(1, 2), done(1), done(1)],
            id="what became of every reservation",
        ),
        pytest.param([held(1), done(1)], [held(1), done(1)], id="a held one"),
        pytest.param(
            [submitting(1), failed(1), audited(1), audited(1, 1, "0"), done(1), done(1)],
            [submitting(1), failed(1), audited(1), audited(1, 1, "0"), done(1), done(1)],
            id="what the bill told",
        ),
        pytest.param([uploaded("a", "1"), uploaded("a", "2")], [uploaded("a", "2")], id="uploaded anew"),
        pytest.param(
            [run("1"), stopped("limit"), run("2"), stopped(), run("3"), stopped("budget")],
            [run("1"), run("3"), stopped("budget")],
            id="the first and the last run",
        ),
    ],
)
def test_only_what_says_nothing_any_more_is_superseded(events, left):
    assert kept(events) == left


def test_lines_of_a_kind_that_is_not_known_are_kept():
    lines = [b'{"event":"later","id":"1"}', b'{"event":"later","id":"1"}', b"[]"]

    assert not any(superseded(lines))


TASK = st.integers(0, 3)
ATTEMPT = st.integers(1, 3)
EVENT = st.one_of(
    st.builds(seen, TASK, st.sampled_from(["a", "b"])),
    st.builds(orphaned, TASK),
    st.builds(retried, TASK, ATTEMPT),
    st.builds(failed, TASK, ATTEMPT),
    st.builds(submitting, TASK, ATTEMPT),
    st.builds(submitted, TASK, ATTEMPT),
    st.builds(result, TASK, ATTEMPT),
    st.builds(held, TASK),
    st.builds(audited, TASK, ATTEMPT, st.sampled_from(["0", "0.05"])),
    st.builds(done, TASK, st.sampled_from(["0", "0.02", None])),
    st.builds(uploaded, st.sampled_from(["a", "b"])),
    st.builds(stopped, st.sampled_from([None, "limit"])),
    st.builds(run, st.sampled_from(["x", "y"])),
)


def amounts(events):
    """Return every request id and every amount, in order."""
    fields = "request_id", "charged_usd", "reserved_usd"
    found = [(event, field, getattr(event, field, None)) for event in events for field in fields]
    return [(event.id, field, value) for event, field, value in found if value not in {None, Decimal(0)}]


def known(events):
    """Return what a run knows after *events*: states, money, names."""
    events = list(events)
    history = History().fold((number, encode(event)) for number, event in enumerate(events))
    names = {event.output for event in events if isinstance(event, Seen | Done)}
    claims = {name: events[history.claims.of(name)].id for name in names}
    states = {key: (record.state, record.failure, record.orphaned) for key, record in history.records.items()}
    return states, history.money, claims, history.stopped, history.ended, history.job


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENT, max_size=40))
def test_compaction_changes_nothing_that_a_run_knows_and_forgets_no_money(events):
    # Whatever happens to a task, it is seen before.
    events = [run("first"), *map(seen, range(4)), *events]

    left = kept(events)

    assert known(left) == known(events)
    assert amounts(left) == amounts(events)
    assert kept(left) == left


def worn(count):
    """A ledger most of whose lines are superseded."""
    again = [event for number in range(count) for event in (orphaned(number), seen(number))]
    return [[run()], [seen(number) for number in range(count)], again, again, [stopped()]]


async def test_a_worn_ledger_is_compacted_while_it_is_open(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(ledger(worn(100)))

    async with open_ledger(path) as one:
        await one.append(done(5))

    lines = [decode(line) for _, line in read_ledger(path)]
    assert lines == [run(), *(seen(number) for number in range(100)), stopped(), done(5)]


async def test_a_ledger_with_little_to_drop_is_left_as_it_is(tmp_path):
    path = tmp_path / "job.jsonl"
    content = ledger([[run()], [seen(1), seen(2), seen(3)], [orphaned(1), seen(1)]])
    path.write_bytes(content)

    async with open_ledger(path):
        pass

    assert path.read_bytes() == content


def test_compacting_twice_is_compacting_once(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(ledger(worn(100)))

    first = compact(path)
    once = path.read_bytes()
    second = compact(path)

    assert (first.lines_before, first.lines_after) == (502, 102)
    assert (first.bytes_before, first.bytes_after) == (len(ledger(worn(100))), len(once))
    assert (second.lines_before, second.lines_after) == (102, 102)
    assert path.read_bytes() == once


def test_a_compacted_ledger_is_still_behind_its_link(tmp_path):
    path, link = tmp_path / "job.jsonl", tmp_path / "link"
    path.write_bytes(ledger(worn(10)))
    link.symlink_to(path)

    compact(link)

    assert link.is_symlink()
    assert sum(1 for _ in read_ledger(path)) == 12


def test_a_damaged_ledger_is_not_compacted(tmp_path):
    path = tmp_path / "job.jsonl"
    content = ledger(worn(10)).replace(b'"task"', b'"tusk"', 1)
    path.write_bytes(content)

    with pytest.raises(LedgerError, match="line 3 is damaged"):
        compact(path)

    assert path.read_bytes() == content


async def test_a_ledger_in_use_is_not_compacted(tmp_path):
    path = tmp_path / "job.jsonl"
    async with open_ledger(path) as one:
        await one.append(run())

        with pytest.raises(LedgerError, match="in use"):
            compact(path)


async def test_where_there_is_no_room_to_compact_a_run_goes_on_without(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(ledger(worn(100)))

    with start(OPENED_UNDER_A_LIMIT, path) as process:
        said = process.stdout.read()

    assert said == b"502\n"


OPENED_UNDER_A_LIMIT = """
import resource, sys, anyio
from pathlib import Path
from batchup.ledger import open_ledger

resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

async def main():
    async with open_ledger(Path(sys.argv[1])) as one:
        print(sum(1 for _ in one.replay()))

anyio.run(main)
"""


def test_a_sixteenth_of_the_tasks_tells_whether_a_large_ledger_is_worn():
    share = {}
    for count in 1, 2:
        lines = [encode(event) for group in worn(4000)[: count + 1] for event in group]
        fold = Superseded(sampled=True)
        for group in pack(lines):
            fold.add(group)
        share[count] = fold.is_most

    assert share == {1: False, 2: True}


def test_the_lines_are_plain_json(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(ledger(worn(3)))
    compact(path)

    assert all("event" in json.loads(line) for line in path.read_text().splitlines())
