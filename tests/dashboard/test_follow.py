"""A ledger is followed line by line, whatever becomes of its file."""

import pytest

from batchup import events
from batchup.dashboard.follow import Follower
from batchup.errors import LedgerError
from tests.ledger.samples import done, ledger, run, seen


@pytest.fixture
def follower(tmp_path):
    found = Follower(tmp_path / "job.jsonl")
    yield found
    found.close()


def news(follower):
    """Return whether the ledger was replaced, and what it has more."""
    turned = follower.turned()
    return turned, [events.decode(line) for _, line in follower.lines()]


def test_where_there_is_no_ledger_yet_nothing_is_told_and_its_beginning_is_noticed(follower):
    assert news(follower) == (False, [])

    follower.path.write_bytes(ledger([[run()]]))

    assert news(follower) == (True, [run()])
    assert news(follower) == (False, [])


def test_what_is_appended_is_told_once_however_a_write_is_cut(follower):
    first, whole = ledger([[run()]]), ledger([[run()], [seen(1), done(1)]])
    follower.path.write_bytes(first)
    assert news(follower)[1] == [run()]

    with follower.path.open("ab") as file:
        for byte in whole[len(first) : -1]:
            file.write(bytes([byte]))
            file.flush()
            assert news(follower) == (False, [])
        file.write(whole[-1:])

    assert news(follower) == (False, [seen(1), done(1)])


def test_each_line_can_be_read_again_by_its_offset(follower):
    follower.path.write_bytes(ledger([[run()], [seen(1)], [seen(2), done(1)]]))
    follower.turned()

    for offset, line in list(follower.lines()):
        assert follower.read_line(offset) == line


@pytest.mark.parametrize("number", [1, 9], ids=["shorter", "longer again"])
def test_a_ledger_that_was_compacted_is_read_anew(follower, number):
    follower.path.write_bytes(ledger([[run()], [seen(1)], [seen(1), done(1)]]))
    news(follower)

    events = [run(), *map(done, range(1, number + 1))]
    new = follower.path.with_suffix(".new")
    new.write_bytes(ledger([events]))
    new.replace(follower.path)

    assert news(follower) == (True, events)


def test_a_ledger_that_is_gone_is_forgotten(follower):
    follower.path.write_bytes(ledger([[run()]]))
    news(follower)

    follower.path.unlink()

    assert news(follower) == (True, [])
    assert news(follower) == (False, [])


def test_a_torn_tail_that_the_next_run_drops_is_never_missed(follower):
    whole = ledger([[run()]])
    follower.path.write_bytes(whole + ledger([[run()], [seen(1)]])[len(whole) : -20])
    assert news(follower)[1] == [run()]

    with follower.path.open("r+b") as file:
        file.truncate(len(whole))
    assert news(follower) == (False, [])
    with follower.path.open("ab") as file:
        file.write(ledger([[run()], [seen(2)]])[len(whole) :])

    assert news(follower) == (False, [seen(2)])


def test_a_damaged_line_is_told_by_its_number_and_what_was_before_it_stays(follower):
    data = ledger([[run()], [seen(1)], [seen(2)]])
    follower.path.write_bytes(data.replace(b"lanczos", b"lanczoz", 1))

    assert news(follower)[1] == [run()]
    with pytest.raises(LedgerError, match="line 3 is damaged"):
        news(follower)


def test_a_file_that_is_no_ledger_is_refused(follower):
    follower.path.write_text("my diary")

    with pytest.raises(LedgerError, match="no batchup ledger"):
        follower.turned()
