import json

import pytest

from batchup.errors import LedgerError
from batchup.events import Run, decode
from batchup.ledger import open_ledger, read_ledger
from batchup.ledger.repair import repair, verify
from batchup.ledger.view import events
from tests.ledger.samples import AT, RUN, done, ledger, orphaned, run, seen, small

GROUPS = small()
EVENTS = [event for group in GROUPS for event in group]
DATA = ledger(GROUPS)


def damage(*numbers):
    """Return the small ledger with these lines changed."""
    lines = DATA.split(b"\n")
    for number in numbers:
        lines[number - 1] = lines[number - 1].replace(b"e", b"#", 1)
    return b"\n".join(lines)


def lines_of(path):
    return [decode(line) for _, line in read_ledger(path)]


def test_a_whole_ledger_is_reported_whole(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(DATA)

    report = verify(path)

    assert report.is_whole
    assert (report.lines, report.groups, report.size_bytes) == (len(EVENTS), len(GROUPS), len(DATA))
    assert report.kinds == {
        "run": 1,
        "task": 8,
        "orphaned": 18,
        "retried": 1,
        "failed": 1,
        "stopped": 1,
    }


@pytest.mark.parametrize(
    "numbers", [(1,), (2,), (3,), (11,), (4, 6), (3, 11, 13), (1, 2, 3), (5, 19, 24)], ids=str
)
def test_every_damaged_line_is_reported(tmp_path, numbers):
    path = tmp_path / "job.jsonl"
    path.write_bytes(damage(*numbers))

    assert verify(path).damaged == numbers
    assert path.read_bytes() == damage(*numbers)


@pytest.mark.parametrize("cut", [1, 20, len(ledger(GROUPS[-1:])) - 1])
def test_a_torn_tail_is_reported_by_its_size(tmp_path, cut):
    path = tmp_path / "job.jsonl"
    path.write_bytes(DATA[:-cut])

    report = verify(path)

    assert report.torn_bytes == len(ledger(GROUPS[-1:])) - cut
    assert (report.damaged, report.lines) == ((), len(EVENTS) - 1)


@pytest.mark.parametrize(
    ("numbers", "lost"),
    [
        pytest.param((3,), [1], id="an event"),
        pytest.param((2,), [], id="checksums"),
        pytest.param((11,), [], id="checksums of many"),
        pytest.param((4, 6, 11), [2, 4], id="events and their checksums"),
    ],
)
async def test_a_repaired_ledger_has_all_but_the_damaged_lines_and_goes_on(tmp_path, numbers, lost):
    path = tmp_path / "job.jsonl"
    path.write_bytes(damage(*numbers))
    left = [event for index, event in enumerate(EVENTS) if index not in lost]

    report, kept = repair(path, AT)

    assert report.damaged == numbers
    assert kept == tmp_path / "job.jsonl.damaged-20261103T120000Z"
    assert kept
    assert kept.read_bytes() == damage(*numbers)
    assert lines_of(path) == left
    assert verify(path).is_whole
    async with open_ledger(path) as one:
        await one.append(done(1))
    assert lines_of(path)[-1] == done(1)


def test_a_whole_ledger_is_not_repaired(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(DATA)

    report, kept = repair(path, AT)

    assert report.is_whole
    assert kept is None
    assert path.read_bytes() == DATA


def test_a_torn_tail_is_repaired_away(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(DATA[:-1])

    _, kept = repair(path, AT)

    assert kept is not None
    assert lines_of(path) == EVENTS[:-1]


@pytest.mark.parametrize("position", range(0, 40, 3))
def test_a_ledger_that_has_lost_its_first_line_opens_after_a_repair(tmp_path, position):
    path = tmp_path / "job.jsonl"
    path.write_bytes(DATA[:position] + b"#" + DATA[position + 1 :])
    with pytest.raises(LedgerError, match="line 1 is damaged"):
        lines_of(path)

    report, _ = repair(path, AT)

    first, *rest = lines_of(path)
    assert report.damaged == (1,)
    assert isinstance(first, Run)
    assert (first.job, first.version) == ("", "repaired")
    assert rest == EVENTS[1:]


def test_the_next_run_stands_in_for_a_lost_first_line(tmp_path):
    path = tmp_path / "job.jsonl"
    data = ledger([[RUN], [seen(1)], [run("holiday")], [orphaned(1)]])
    path.write_bytes(b"#" + data[1:])

    repair(path, AT)

    assert lines_of(path) == [run("holiday"), seen(1), run("holiday"), orphaned(1)]


def test_two_repairs_in_one_second_keep_both_files(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(damage(3))
    _, first = repair(path, AT)
    path.write_bytes(damage(4))
    _, second = repair(path, AT)

    assert first
    assert second
    assert first.read_bytes() == damage(3)
    assert second.read_bytes() == damage(4)


@pytest.mark.parametrize("look_after", [verify, lambda path: repair(path, AT)], ids=["verify", "repair"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"a note\n" * 9, "no batchup ledger", id="foreign"),
        pytest.param(b'{"event":"run","format":2,"job":"x"}\n', "format 2", id="newer"),
        pytest.param(None, "no ledger here", id="missing"),
    ],
)
def test_what_is_no_ledger_is_refused_untouched(tmp_path, look_after, content, said):
    path = tmp_path / "notes.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(LedgerError, match=said):
        look_after(path)

    assert {one: one.read_bytes() for one in tmp_path.iterdir()} == ({path: content} if content else {})


async def test_a_ledger_in_use_is_verified_but_not_repaired(tmp_path):
    path = tmp_path / "job.jsonl"
    async with open_ledger(path) as one:
        await one.append(RUN)

        assert verify(path).is_whole
        with pytest.raises(LedgerError, match="in use"):
            repair(path, AT)


def test_events_are_exported_as_they_stand(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(DATA)

    exported = list(events(path))

    stored = [json.loads(line) for line in DATA.splitlines()]
    assert exported == [one for one in stored if one["event"] != "group"]
