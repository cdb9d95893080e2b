"""What takes long says how far it is, and hears that it is to end."""

import sys
from io import StringIO

import pytest

from batchup.clock import SystemClock
from batchup.errors import Interrupted
from batchup.history import History
from batchup.ledger import open_ledger, read_ledger
from batchup.ticker import HEEDED_LINES, LINE_EVERY_S, SHOWN_EVERY_S, Ticker, heeded, reading
from tests.ledger.samples import RUN, ledger, seen


class Screen(StringIO):
    """Takes what is written, as a terminal would."""

    def isatty(self):
        return True


class Hand(SystemClock):
    """A clock that is wound by hand."""

    at_s = 1000.0

    def now_s(self):
        return self.at_s


@pytest.fixture
def stderr(monkeypatch):
    def put(stream):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return put


@pytest.fixture
def grown(tmp_path):
    """A ledger that is read in several pieces."""
    path = tmp_path / "job.jsonl"
    path.write_bytes(ledger([[RUN], [seen(number) for number in range(2 * HEEDED_LINES)]]))
    return path


def test_on_a_terminal_one_line_is_said_at_once_replaced_now_and_then_and_taken_away(stderr):
    screen, clock = stderr(Screen()), Hand()
    ticker = Ticker(show=True, clock=clock)

    for number in range(3):
        ticker.tick(f"{number} inputs found")
    clock.at_s += SHOWN_EVERY_S
    ticker.tick("3 inputs found")
    ticker.clear()
    ticker.clear()

    assert screen.getvalue() == "\r0 inputs found …\x1b[K\r3 inputs found …\x1b[K\r\x1b[K"


def test_elsewhere_a_line_comes_every_ten_seconds_and_what_is_over_before_says_nothing(stderr):
    log, clock = stderr(StringIO()), Hand()
    ticker = Ticker(show=True, clock=clock)

    for second in range(25):
        ticker.tick(f"at {second} s")
        clock.at_s += 1
    ticker.clear()

    assert LINE_EVERY_S == 10
    assert log.getvalue() == "at 10 s\nat 20 s\n"


def test_quiet_says_nothing(stderr):
    screen = stderr(Screen())
    ticker = Ticker(show=False, clock=Hand())

    ticker.tick("1 input found")
    ticker.clear()

    assert not screen.getvalue()


def test_reading_a_ledger_tells_its_part_from_the_first_moment_on(grown):
    said: list[str] = []

    history = History().fold(heeded(read_ledger(grown), reading(grown, said.append)))

    assert said == ["reading the ledger: 0%", "reading the ledger: 46%", "reading the ledger: 92%"]
    assert len(history.records) == 2 * HEEDED_LINES


async def test_a_signal_ends_the_reading_of_a_ledger_and_the_lock_is_free(grown):
    def told(offset):
        if offset:
            raise Interrupted(2)

    history, before = History(), grown.read_bytes()
    with pytest.raises(Interrupted):
        async with open_ledger(grown, fold=lambda lines: history.fold(heeded(lines, told))):
            pass

    async with open_ledger(grown, fold=History().fold):
        pass
    assert len(history.records) < 2 * HEEDED_LINES
    assert grown.read_bytes() == before
