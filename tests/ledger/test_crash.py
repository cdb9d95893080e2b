"""Real processes, killed for real."""

import random

import pytest

from batchup.events import Seen, decode
from batchup.ledger import open_ledger, read_ledger
from batchup.ledger.compact import compact
from tests.ledger.samples import RUN, done, ledger, run, seen, start, stopped, task_id

# Tells every event that it was told is durable.
WRITER = """
import os, sys, anyio
from pathlib import Path
from batchup.ledger import open_ledger
from tests.ledger.samples import run, seen, task_id

async def append(one, first):
    for number in range(first, first + 100_000):
        await one.append(seen(number))
        os.write(1, f"{task_id(number)}\\n".encode())

async def main():
    async with open_ledger(Path(sys.argv[1])) as one:
        await one.append(run())
        async with anyio.create_task_group() as group:
            for worker in range(16):
                group.start_soon(append, one, (int(sys.argv[2]) * 16 + worker) * 100_000)

anyio.run(main)
"""


async def test_killed_while_it_appends_a_ledger_has_every_event_that_was_acknowledged(tmp_path):
    path = tmp_path / "job.jsonl"
    chance = random.Random(1)
    acknowledged: set[str] = set()
    for round_ in range(6):
        with start(WRITER, path, str(round_)) as process:
            for _ in range(chance.randrange(1, 400)):
                acknowledged.add(process.stdout.readline().decode().strip())
            process.kill()
            acknowledged.update(line.decode() for line in process.stdout.read().splitlines(keepends=False))

        async with open_ledger(path) as one:
            events = [decode(line) for _, line in one.replay()]

        # The pipe may have been cut within a line; the ledger never is.
        told = {one for one in acknowledged if len(one) == len(task_id(0))}
        assert told <= {event.id for event in events if isinstance(event, Seen)}


# Puts an old ledger there, says so, and compacts it, for ever.
COMPACTOR = """
import os, sys
from pathlib import Path
from batchup.ledger.compact import compact

path, old = Path(sys.argv[1]), Path(sys.argv[1] + ".old").read_bytes()
while True:
    copy = path.with_name("copy")
    copy.write_bytes(old)
    copy.replace(path)
    os.write(1, b".")
    compact(path)
"""


def test_killed_while_it_compacts_a_ledger_is_the_old_one_or_the_new_one(tmp_path):
    path = tmp_path / "job.jsonl"
    old = ledger([[RUN], [seen(number % 50, output="x" * 200) for number in range(12_000)]])
    path.write_bytes(old)
    compact(path)
    new = path.read_bytes()
    assert len(new) < len(old)
    (tmp_path / "job.jsonl.old").write_bytes(old)
    chance = random.Random(2)
    for _ in range(6):
        with start(COMPACTOR, path) as process:
            process.stdout.read(chance.randrange(1, 8))
            process.kill()

        assert path.read_bytes() in {old, new}
        list(read_ledger(path))


async def test_what_a_compaction_has_left_when_it_was_killed_is_cleared_away(tmp_path):
    path = tmp_path / "job.jsonl"
    path.write_bytes(ledger([[run()], [seen(1), done(1)], [stopped()]]))
    (tmp_path / "job.jsonl.new").write_bytes(b"half")

    async with open_ledger(path):
        pass

    assert {one.name for one in tmp_path.iterdir()} == {"job.jsonl", "job.jsonl.lock"}


@pytest.mark.parametrize("signal", ["kill", "terminate"])
async def test_a_lock_is_freed_with_its_process(tmp_path, signal):
    path = tmp_path / "job.jsonl"
    with start(WRITER, path, "0") as process:
        process.stdout.readline()
        getattr(process, signal)()
        process.stdout.read()

    async with open_ledger(path) as one:
        assert sum(1 for _ in one.replay()) > 1
