"""What durability costs, and how long a large ledger takes to open and replay."""

import os
import subprocess
import sys
import time

import anyio
import pytest

from batchup.events import encode
from batchup.ledger import disk, open_ledger
from batchup.ledger.format import GROUP_LINES
from batchup.ledger.format import encode as group_of
from tests.ledger.samples import done, ledger, run, task_id

pytestmark = pytest.mark.bench

RECORDS = 25_600
LINES = 1_000_000


async def grouped_per_second(path, waiters: int) -> float:
    """Return how many events a second are durable, appended by so many at once."""
    events = [done(number) for number in range(RECORDS)]

    async def append(one, mine):
        for event in mine:
            await one.append(event)

    async with open_ledger(path) as one:
        await one.append(run())
        began_s = time.perf_counter()
        async with anyio.create_task_group() as group:
            for first in range(waiters):
                group.start_soon(append, one, events[first::waiters])
        return RECORDS / (time.perf_counter() - began_s)


def synced_per_second(path) -> float:
    """Return how many lines a second are durable with a sync for each."""
    lines = [encode(done(number)) + b"\n" for number in range(RECORDS // 10)]
    with path.open("wb", buffering=0) as file:
        began_s = time.perf_counter()
        for line in lines:
            file.write(line)
            disk.sync(file.fileno())
        return len(lines) / (time.perf_counter() - began_s)


@pytest.mark.parametrize("waiters", [64, 256])
async def test_many_who_wait_share_a_sync_and_are_served_faster_than_by_one_each(tmp_path, waiters):
    alone = synced_per_second(tmp_path / "plain")
    grouped = await grouped_per_second(tmp_path / "job.jsonl", waiters)

    print(
        f"\ndurable events a second: {waiters} waiters {grouped:,.0f}, a sync each {alone:,.0f},"
        f" ratio {grouped / alone:.1f}"
    )
    assert grouped > 2 * alone


# In a process of its own: memory is what this process ever had at most.
REPLAY = """
import resource, sys, time, anyio
from pathlib import Path
from batchup.ledger import open_ledger

def peak_mb():
    # Of this program alone: what getrusage tells on Linux includes the process that started it.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1e3

async def main():
    before_mb = peak_mb()
    began_s = time.perf_counter()
    async with open_ledger(Path(sys.argv[1])) as one:
        opened_s = time.perf_counter()
        count = sum(1 for _ in one.replay())
        ended_s = time.perf_counter()
    print(count, opened_s - began_s, ended_s - opened_s, peak_mb() - before_mb)

anyio.run(main)
"""


def test_a_million_lines_open_and_replay_in_seconds_and_bounded_memory(tmp_path):
    path = tmp_path / "job.jsonl"
    line = encode(done(1))
    with path.open("wb") as file:
        file.write(ledger([[run()]]))
        for first in range(0, LINES, GROUP_LINES):
            numbers = range(first, min(first + GROUP_LINES, LINES))
            file.write(group_of([line.replace(task_id(1).encode(), task_id(n).encode()) for n in numbers]))

    said = subprocess.run(
        [sys.executable, "-c", REPLAY, os.fspath(path)], capture_output=True, text=True, check=True
    ).stdout.split()

    count = int(said[0])
    open_s, replay_s, memory_mb = map(float, said[1:])
    print(
        f"\n{count:,} lines, {path.stat().st_size / 1e6:.0f} MB: opened (checked whole) in {open_s:.2f} s,"
        f" replayed in {replay_s:.2f} s, {memory_mb:.0f} MB of memory"
    )
    assert count == LINES + 1
    assert memory_mb < 100
