"""A ledger is compacted while a run appends to it: nothing is lost, and every offset stays what it was."""

import contextlib
import random
import subprocess

import pytest
from anyio import to_thread

from batchup.events import Event, decode
from batchup.ledger import open_ledger, open_view, read_ledger
from batchup.ledger.beside import SMALL_BYTES
from tests.ledger.samples import done, ledger, orphaned, run, seen, start, stopped
from tests.library import wait_until

LARGE = SMALL_BYTES // 2900
"""Letters of an output's name that make the ledger of a thousand worn tasks a large one."""


def worn(tasks, letters=8):
    """A ledger of which all but a fifth is superseded, and what is left of it."""
    left: list[Event] = [run(), *(seen(number, "x" * letters) for number in range(tasks))]
    once: list[Event] = [
        event for number in range(tasks) for event in (orphaned(number), seen(number, "x" * letters))
    ]
    groups: list[list[Event]] = [[run()], left[1:], once[:tasks], once[tasks:], once, [stopped()]]
    return ledger(groups), [*left, stopped()]


def events(path):
    return [decode(line) for _, line in read_ledger(path)]


async def replaced(path, number):
    """Wait until the file at *path* is another one than that with inode *number*."""
    await to_thread.run_sync(wait_until, lambda: path.stat().st_ino != number)


@pytest.mark.parametrize(
    ("tasks", "letters"),
    [(200, 8), (1000, LARGE)],
    ids=["small", "by a process of its own"],
)
async def test_what_is_appended_meanwhile_is_kept_and_every_offset_stays_good(tmp_path, tasks, letters):
    path = tmp_path / "job.jsonl"
    content, left = worn(tasks, letters)
    path.write_bytes(content)
    before = path.stat().st_ino

    async with open_ledger(path) as one:
        placed = list(one.replay())
        for number in range(50):
            placed += await one.append(done(number))
        await replaced(path, before)
        placed += await one.append(done(50), done(51))
        replayed = list(one.replay())
        found = [one.read_line(offset) for offset, _ in placed]
        with open_view(path) as view:
            seen_by_others = [decode(line) for _, line in view.replay()]

    assert found == [line for _, line in placed]
    assert replayed == placed
    assert events(path) == seen_by_others == left + [done(number) for number in range(52)]
    assert path.stat().st_size < len(content) / 2


async def test_what_is_large_is_given_up_when_the_run_ends_and_tried_by_the_next(tmp_path):
    path = tmp_path / "job.jsonl"
    content, left = worn(1000, LARGE)
    path.write_bytes(content)
    before = path.stat().st_ino

    async with open_ledger(path) as one:
        await one.append(done(1))
    given_up = path.stat().st_ino == before, list(tmp_path.glob("*.new"))
    async with open_ledger(path):
        await replaced(path, before)

    assert given_up == (True, [])
    assert events(path) == [*left, done(1)]


# Opens a worn ledger and appends to it for ever, saying what is durable.
APPENDS = """
import sys, anyio
from pathlib import Path
from batchup.ledger import open_ledger
from tests.ledger.samples import done

async def main():
    async with open_ledger(Path(sys.argv[1])) as one:
        for number in range(100_000):
            await one.append(done(number))
            print(number, flush=True)

anyio.run(main)
"""


def test_killed_at_any_instant_of_it_nothing_that_was_durable_is_missing(tmp_path):
    path, chance = tmp_path / "job.jsonl", random.Random(3)
    content, left = worn(4000)
    whole = [decode(line) for line in content.splitlines() if b'"group"' not in line]
    for round_ in range(6):
        path.write_bytes(content)
        before = path.stat().st_ino
        with start(APPENDS, path) as process:
            process.stdout.readline()
            if round_ == 5:
                wait_until(lambda before=before: path.stat().st_ino != before)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0, 0.25))
            process.kill()
            durable = 1 + len(process.stdout.read().splitlines())
        found = events(path)
        is_new = path.stat().st_ino != before
        there = left if is_new else whole
        assert found[: len(there)] == there
        assert found[len(there) :][:durable] == [done(number) for number in range(durable)]
        path.unlink()
