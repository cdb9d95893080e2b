"""What a person sees of a run: on a terminal, which is a real one, and where there is none."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import anyio
import pyte
import pytest

from batchup.events import Done, Failed, Seen, encode
from batchup.figures import Figures, Pace
from batchup.history import History
from batchup.manifest import load
from batchup.plan import Choice
from batchup.progress import MAX_TOLD, Progress
from batchup.shutdown import Shutdown
from batchup.survey import survey
from batchup.terminal import display_width
from tests.library import BATCHUP, batchup, manifest, photo

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROWS = 12
CLAIM = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes a terminal the one whose Ctrl-C reaches what is run on it."""


class Terminal:
    """A pseudo-terminal with somebody who looks at it."""

    def __init__(self, columns):
        self.raw = b""
        self._screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._master, self.slave = pty.openpty()
        self.stderr = os.fdopen(self.slave, "w", encoding="utf-8")
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))

    def lines(self):
        """Return what stands there once all that was written has come through."""
        os.write(self.slave, b"\0")
        while not self.take().endswith(b"\0"):
            pass
        return self._lines()

    def take(self):
        data = os.read(self._master, 65536)
        self.raw += data
        self._stream.feed(data)
        return data

    def follow(self, process, until):
        """Look until something is there, or the process has ended."""
        while not until("\n".join(self._lines())) and process.poll() is None:
            if select.select([self._master], [], [], 0.05)[0]:
                self.take()

    def type(self, keys):
        os.write(self._master, keys)

    def close(self):
        self.stderr.close()
        os.close(self._master)

    def _lines(self):
        return [line.rstrip() for line in self._screen.display if line.strip()]


@pytest.fixture
def terminal():
    opened = []

    def open_terminal(columns=80):
        opened.append(Terminal(columns))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


@pytest.fixture
def start(monkeypatch):
    """Start the command line on a terminal, as a shell does: Ctrl-C reaches it and all its children."""
    monkeypatch.setenv("TERM", "xterm")
    started = []

    def start_on(screen, *args, cwd):
        command = [sys.executable, "-IS", "-c", CLAIM, *BATCHUP, *map(str, args)]
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=screen.slave,
            stdout=screen.slave,
            stderr=screen.slave,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start_on
    for process in started:
        process.kill()
        process.wait()


class Wound:
    """A clock that goes on when it is slept by, or wound."""

    def __init__(self):
        self.at_s = 1000.0
        self.naps = 0

    def now_s(self):
        return self.at_s

    def utc(self):
        return NOW

    async def sleep(self, seconds):
        await anyio.lowlevel.checkpoint()
        if not self.naps:
            await anyio.sleep_forever()
        self.naps -= 1
        self.at_s += seconds


@pytest.fixture
def job(tmp_path):
    """A plan of forty photos, nothing of which is done, and what is known of them."""
    for number in range(40):
        photo(tmp_path / f"photos/{number:03}.png", seed=number, size=(4, 4))
    plan = survey(load(manifest(tmp_path)), History(), Choice(), NOW)
    history = History()
    history.job = "holiday"
    for step in plan.steps:
        seen = Seen(id=step.task.id, model=step.task.model, output=step.task.output, at=NOW)
        history.add(encode(seen))
    return plan, history


@pytest.fixture
def shown(job, monkeypatch, terminal):  # noqa: ARG001 - a bar is taken down before its terminal is
    """Return a beginner of progress on any standard error."""
    monkeypatch.setenv("TERM", "xterm")

    begun = []

    def begin(stderr, **options):
        monkeypatch.setattr(sys, "stderr", stderr)
        begun.append(Progress(clock=Wound(), **options))
        begun[-1].begin(*job)
        return begun[-1]

    yield begin
    for progress in begun:
        if progress._bar is not None:
            progress._bar.close()


def done(step):
    return Done(
        id=step.task.id, output="x.png", size_bytes=1, mtime_ns=1, sha256="00", width=18, height=18, at=NOW
    )


def failed(step, message="the image is cut"):
    return Failed(id=step.task.id, attempt=1, kind="image_truncated", message=message, at=NOW)


async def look(progress, naps=1):
    """Let the progress tick some times."""
    progress._clock.naps = naps
    async with anyio.create_task_group() as group:
        group.start_soon(progress._tick)
        while progress._clock.naps:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()


# On a terminal


async def test_the_bar_tells_total_done_failed_in_flight_rate_and_what_is_left(shown, terminal, job):
    screen = terminal()
    progress = shown(screen.stderr)
    steps = list(job[0].steps)
    for step in steps[:12]:
        progress.started(step)
    for step in steps[:9]:
        progress.heard(done(step))
    progress.heard(failed(steps[9]))
    progress._clock.at_s += 5

    await look(progress)

    bar = screen.lines()[-1]
    assert bar.startswith("holiday   25% |")
    assert bar.endswith("|  9/40  1 failed  2 in flight    1.9/s     16s left")


async def test_a_failure_stands_above_the_bar_and_is_told_once(shown, terminal, job):
    screen = terminal()
    progress = shown(screen.stderr)
    step = next(iter(job[0].steps))
    progress.started(step)

    progress.heard(failed(step))
    progress.ended(step)
    await look(progress, naps=3)

    assert len(screen.lines()) == 2
    assert screen.lines()[0] == f"failed: {step.task.source.label}: the image is cut"
    assert "1 failed" in screen.lines()[1]


async def test_the_bar_keeps_its_place_while_numbers_grow(shown, terminal, job):
    screen = terminal()
    progress = shown(screen.stderr)
    edges = set()

    for step in job[0].steps:
        progress.started(step)
        progress.advanced(step, 0.5)
        await look(progress, naps=5)
        progress.heard(done(step))
        await look(progress, naps=5)
        edges.add(tuple(place for place, letter in enumerate(screen.lines()[-1]) if letter == "|"))

    # The last picture leaves none in flight: as many columns as "1 in flight".
    assert len(edges) == 1


@pytest.mark.parametrize("columns", [20, 40, 60, 79, 80, 200])
async def test_the_bar_fits_into_any_terminal_and_never_takes_more_than_80_columns(shown, terminal, columns):
    screen = terminal(columns)

    progress = shown(screen.stderr)
    await look(progress, naps=3)

    assert len(screen.lines()) == 1
    assert len(screen.lines()[0]) <= min(columns, 80) - 3
    assert "0%" in screen.lines()[0]


async def test_a_terminal_that_tells_no_size_gets_80_columns(shown, terminal):
    screen = terminal()
    fcntl.ioctl(screen.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))

    shown(screen.stderr)

    assert len(screen.lines()) == 1
    assert "0/40" in screen.lines()[0]


async def test_more_failures_than_a_screen_holds_are_only_counted(shown, terminal, job):
    screen = terminal()
    progress = shown(screen.stderr)

    for step in job[0].steps:
        progress.started(step)
        progress.heard(failed(step))
    await look(progress)

    assert "40 failed" in screen.lines()[-1]
    assert screen.raw.count(b"failed: ") == MAX_TOLD
    assert screen.raw.count(b"only counted") == 1


async def test_asked_to_stop_the_bar_tells_how_many_are_waited_for_and_how_long(shown, terminal, job):
    screen = terminal()
    progress = shown(screen.stderr)
    progress.started(next(iter(job[0].steps)))
    shutdown = Shutdown(progress.stopping)

    shutdown.drain(signal.SIGINT)
    progress._clock.at_s += 75
    await look(progress)

    assert screen.lines()[:2] == [
        "stopping: starting nothing more, waiting for 1 in flight",
        "Ctrl-C again leaves them at once; nothing that is done is lost",
    ]
    assert "1 in flight" in screen.lines()[2]
    assert screen.lines()[2].endswith("waited 1m16s")


async def test_without_colours_none_is_written(shown, terminal):
    screen, coloured = terminal(), terminal()

    for stream, color in ((screen.stderr, False), (coloured.stderr, True)):
        await look(shown(stream, color=color))
    screen.lines(), coloured.lines()

    assert not re.search(rb"\x1b\[[0-9;]*m", screen.raw)
    assert re.search(rb"\x1b\[[0-9;]*m", coloured.raw)


def test_at_the_end_the_summary_stands_where_the_bar_was(tmp_path, terminal, start):
    for number in range(12):
        photo(tmp_path / f"photos/{number}.png", seed=number)
    (tmp_path / "photos/\x1b[2Jcut.png").write_bytes((tmp_path / "photos/0.png").read_bytes()[:90])
    screen = terminal()

    process = start(screen, "run", manifest(tmp_path), cwd=tmp_path)
    screen.follow(process, lambda text: "ledger" in text and "next" in text)

    lines = screen.lines()
    assert process.wait(20) == 1
    assert screen.raw.count(rb"failed: photos/\x1b[2Jcut.png: ") == 1
    assert any(line.startswith("holiday: 12 of 13 tasks done, 1 failed (in ") for line in lines)
    assert not any("|" in line for line in lines)
    assert b"/13  " in screen.raw
    assert b"\x1b[2J" not in screen.raw


def test_ctrl_c_on_a_terminal_leaves_no_trace_of_the_key_and_ends_with_the_summary(tmp_path, terminal, start):
    for number in range(40):
        photo(tmp_path / f"photos/{number}.png", seed=number, size=(300, 300))
    screen = terminal()
    process = start(screen, "run", manifest(tmp_path, "params: {scale: 8}"), cwd=tmp_path)
    screen.follow(process, lambda text: re.search(r"[1-9]/40 ", text))

    screen.type(b"\x03")
    screen.follow(process, lambda text: "next" in text)

    lines = screen.lines()
    assert process.wait(20) == 130
    assert b"^C" in screen.raw
    assert not any("^C" in line or "|" in line for line in lines)
    assert lines[0].startswith("stopping: starting nothing more, waiting for ")
    assert any("pending" in line and "interrupted" in line for line in lines)


@pytest.mark.parametrize(
    "command", [["plan"], ["explain", "001.png"], ["status"], ["run"]], ids=lambda c: c[0]
)
def test_what_comes_before_an_answer_is_told_from_the_first_moment_and_taken_away(
    tmp_path, terminal, start, command
):
    photo(tmp_path / "photos/001.png", size=(4, 4))
    file = manifest(tmp_path)
    batchup("run", file, cwd=tmp_path)
    screen = terminal()

    asked = start(screen, command[0], file, *command[1:], cwd=tmp_path)
    screen.follow(asked, lambda _: False)

    lines = screen.lines()
    assert screen.raw.startswith(b"\rreading the ledger: 0% \xe2\x80\xa6")
    assert not any("…" in line and "reading" in line for line in lines)


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_the_environment_can_ask_for_less(tmp_path, terminal, start, monkeypatch, variable):
    photo(tmp_path / "photos/a.png")
    screen = terminal()
    monkeypatch.setenv(variable, "dumb")

    process = start(screen, "run", manifest(tmp_path), cwd=tmp_path)
    screen.follow(process, lambda text: "ledger" in text)

    assert "holiday: 1 of 1 task done" in "\n".join(screen.lines())
    assert not re.search(rb"\x1b\[[0-9;]*m", screen.raw)
    assert (b"\x1b" in screen.raw) == (variable == "NO_COLOR")


# Elsewhere


async def test_elsewhere_a_line_comes_every_ten_seconds_and_nothing_moves(shown, tmp_path, job):
    file = tmp_path / "stderr"
    with file.open("w") as stderr:
        progress = shown(stderr)
        steps = list(job[0].steps)
        progress.started(steps[0])
        progress.heard(done(steps[0]))

        await look(progress, naps=3)

    assert progress._clock.at_s == 1030
    assert file.read_text().splitlines() == [
        "holiday: 40 tasks, 0 done before, 40 to run",
        "holiday: 2%, 1 of 40 done, 0 failed, 0 in flight, 6.0/min, 6m30s left",
        "holiday: 2%, 1 of 40 done, 0 failed, 0 in flight, 3.0/min, 13m left",
        "holiday: 2%, 1 of 40 done, 0 failed, 0 in flight, 2.0/min, 20m left",
    ]


def test_elsewhere_names_are_escaped_and_each_failure_is_one_line(tmp_path):
    (tmp_path / "photos").mkdir()
    whole = photo(tmp_path / "a.png", size=(200, 200)).read_bytes()
    (tmp_path / "photos/a\r\x1b[1A\nb.png").write_bytes(whole[:90])

    told = batchup("run", manifest(tmp_path), cwd=tmp_path, status=1).stderr

    assert told.startswith("holiday: 1 task, 0 done before, 1 to run\n")
    assert told.count("failed: photos/a\\r\\x1b[1A\\nb.png: ") == 1
    assert told.count("\n") == 2
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", told)


def test_quiet_says_nothing_but_what_failed(tmp_path):
    photo(tmp_path / "photos/a.png")
    (tmp_path / "photos/cut.png").write_bytes((tmp_path / "photos/a.png").read_bytes()[:90])

    ran = batchup("run", manifest(tmp_path), "-q", cwd=tmp_path, status=1)

    assert ran.stdout == ""
    assert ran.stderr == "failed: photos/cut.png: the image is cut: image file is truncated\n"


def test_the_summary_shortens_the_home_folder(tmp_path, monkeypatch):
    photo(tmp_path / "Pictures/photos/a.png")
    file = manifest(tmp_path / "Pictures")

    monkeypatch.setenv("HOME", str(tmp_path))
    below = batchup("run", file, cwd=tmp_path).stdout
    monkeypatch.setenv("HOME", "/")
    above = batchup("status", file, cwd=tmp_path).stdout

    assert "  outputs   ~/Pictures/out\n  ledger    ~/Pictures/out/.batchup/holiday.jsonl\n" in below
    assert f"  outputs   {tmp_path}/Pictures/out\n" in above


# Numbers


def figures(**changed):
    usual = Figures(job="holiday", total=3000, done=1392, failed=1, in_flight=2, part=0.46)
    return replace(usual, **changed)


@pytest.mark.parametrize(
    ("per_s", "left_s", "words"),
    [
        (None, None, ""),
        (545.3, 2.3, "545/s, 3s left"),
        (1234.0, 0.1, "1,234/s, 1s left"),
        (1.26, 59.5, "1.3/s, 1m left"),
        (0.5, 599, "30/min, 9m59s left"),
        (0.05, 754, "3.0/min, 13m left"),
        (0.001, 86400 * 3.3, "3.6/h, 3d7h left"),
        (0.0001, 1e6, "0.4/h, 11d13h left"),
    ],
)
def test_rates_and_times_are_told_in_units_that_can_be_read(per_s, left_s, words):
    line = figures(per_s=per_s, left_s=left_s).line()

    assert line.removeprefix("holiday: 46%, 1,392 of 3,000 done, 1 failed, 2 in flight").lstrip(", ") == words


@pytest.mark.parametrize("columns", range(25, 78))
def test_where_columns_are_few_the_least_useful_words_go_first(columns):
    left, right = figures(per_s=545.3, left_s=3).sides(columns)

    assert display_width(left + right) + len(" || ") <= columns - 6
    assert "46%" in left
    assert "1,392/3,000" in right
    if columns >= 60:
        assert "left" in right


def test_the_last_task_alone_makes_it_100_percent():
    assert "99%" in figures(part=0.9999).line()
    assert "100%" in figures(part=1.0).line()


def test_the_pace_forgets_how_fast_it_began():
    pace = Pace(0.0)
    for second in range(1, 11):
        pace.measure(second, second * 1000)
    assert pace.per_s == 1000

    for second in range(11, 61):
        pace.measure(second, 10_000 + (second - 10) * 2)

    assert pace.per_s == pytest.approx(2)


def test_the_pace_is_not_moved_by_one_quick_second():
    pace = Pace(0.0)

    for second in range(1, 61):
        pace.measure(second, second * 10 + (100 if second == 60 else 0))

    assert pace.per_s == pytest.approx(13, abs=1)


def test_the_pace_of_slow_work_is_measured_over_several_tasks():
    pace = Pace(0.0)

    for second in range(1, 3600):
        pace.measure(second, second // 120)

    assert pace.per_s == pytest.approx(1 / 120, rel=0.1)


def test_what_was_spent_of_the_budget_is_told_and_kept_where_columns_are_few():
    figures = Figures(
        "night", 100, 40, 1, 8, 0.4, 2.0, 30.0, spent_usd=Decimal("12.4712"), budget_usd=Decimal(25)
    )

    assert "12.47/25.00 USD" in figures.sides(60)[1]
    assert "12.47/25.00 USD" in figures.line()
    assert "USD" not in Figures("free", 100, 40, 1, 8, 0.4, 2.0, 30.0).line()


@pytest.mark.parametrize("columns", [40, 60, 77, 120])
def test_the_bar_of_a_paused_run_says_why_instead_of_how_fast(columns):
    why = "the window is closed until Tue 22:00 (in 3h12m)"
    figures = Figures("night", 100, 40, 1, 0, 0.4, 2.0, 30.0, why=why)

    left, right = figures.sides(columns)

    assert right.split("  ")[-1][:3] == "the"
    assert "/s" not in right
    assert len(left) + len(right) + 4 + 8 <= columns
