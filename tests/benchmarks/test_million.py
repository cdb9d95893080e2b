"""What a finished job of many tasks costs to be resumed: how long it takes, and how much memory each task keeps.

``BATCHUP_BENCH_FILES=1000000`` makes it a million.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from PIL import Image

from batchup.events import Done, Result, Run, Seen, Stopped, Submitted, Submitting, Uploaded, encode
from batchup.ledger.format import encode as group_of
from batchup.ledger.format import pack
from tests.benchmarks.test_plan import FILES
from tests.ledger.samples import orphaned, task_id
from tests.library import batchup, events, manifest, outputs

pytestmark = pytest.mark.bench

AT = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
NOOPS = 10_000
WORN = 250_000

HEAD = """
import contextlib, ctypes, gc, json, sys, time
from pathlib import Path
import anyio
from batchup import events
from batchup.history import History
from batchup.ledger import open_ledger, read_ledger

def memory():
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)  # what is free is not a task's
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024

path = Path(sys.argv[1])
"""

# CPU seconds, since other work on the machine is not ours; the least of four, since it slows ours down, too.
RESUME = (
    HEAD
    + """
def parsed():
    began_s = time.process_time()
    for _, line in read_ledger(path):
        events.decode(line)
    return time.process_time() - began_s

async def resumed():
    before, began_s, marks = memory(), time.process_time(), []
    history = History()

    def fold(lines):
        history.fold(lines)
        marks.append(time.process_time())

    async with open_ledger(path, fold=fold) as ledger:
        history.read_line = ledger.read_line
        took_s = time.process_time() - began_s
        half = len(marks) // 2
        return took_s, memory() - before, (marks[-1] - marks[half]) / (marks[half] - marks[0]), len(history.records)

parse_s, found = [], []
for _ in range(4):  # what reading needs at any time is there after the first, and not counted as a task's
    parse_s.append(parsed())
    found.append(anyio.run(resumed))
print(json.dumps({"parse_s": min(parse_s), "resume_s": min(one[0] for one in found), "bytes": found[0][1],
    "growth": min(one[2] for one in found), "tasks": found[0][3]}))
"""
)

# Appends while the ledger is compacted beside, and says how late an append was at most.
COMPACTS = (
    HEAD
    + """
from tests.ledger.samples import done

async def main():
    inode, began_s = path.stat().st_ino, time.monotonic()
    async with open_ledger(path) as ledger:
        opened_s, late_s, count = time.monotonic() - began_s, 0.0, 0
        while path.stat().st_ino == inode:
            start_s = time.monotonic()
            await ledger.append(done(count))
            late_s, count = max(late_s, time.monotonic() - start_s), count + 1
            await anyio.sleep(0.001)
        moved_s = time.monotonic() - began_s
    print(json.dumps({"opened_s": opened_s, "moved_s": moved_s, "late_s": late_s, "appended": count}))

anyio.run(main)
"""
)


def measured(code, path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, os.fspath(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def digest(number, salt):
    return f"{(number * 0x9E3779B97F4A7C15F39CC0605CEDC834 ^ salt) % (1 << 128):032x}"


def seen(number, model, usd):
    name = f"{number // 1000:03}/{number:06}.jpg"
    return Seen(
        id=task_id(number),
        root="photos",
        path=name,
        size_bytes=4_000_000 + number,
        mtime_ns=1_795_355_534_476_616_888 + number,
        kind="image",
        model=model,
        output=name,
        width=1600,
        height=1200,
        estimated_usd=usd,
        at=AT,
    )


def done(number, charged):
    sha256 = digest(number, 1) * 2
    return Done(
        id=task_id(number),
        output=f"{number // 1000:03}/{number:06}.jpg",
        size_bytes=5_000_000 + number,
        mtime_ns=1_795_355_534_476_616_888,
        sha256=sha256,
        width=1600,
        height=1200,
        source_sha256=sha256,
        content=digest(number, 2),
        pixels=1_920_000,
        seconds=0.136,
        charged_usd=charged,
        at=AT,
    )


def paid(number, charged):
    """Yield what a task at fal leaves in the ledger before it is done."""
    url = f"https://v3.fal.media/files/b/{digest(number, 4)}.jpg"
    request = f"{digest(number, 5)[:8]}-{digest(number, 6)}"
    queue = f"https://queue.fal.run/fal-ai/aura-sr/requests/{request}"
    one = task_id(number)
    yield Uploaded(sha256=digest(number, 1) * 2, url=url, expires_at=AT, at=AT)
    yield Submitting(
        id=one,
        attempt=1,
        endpoint="fal-ai/aura-sr",
        body={"image_url": url, "upscaling_factor": 4, "overlapping_tiles": False, "checkpoint": "v2"},
        content=digest(number, 2),
        reserved_usd=charged,
        at=AT,
    )
    ticket = {"status_url": f"{queue}/status", "response_url": queue, "cancel_url": f"{queue}/cancel"}
    yield Submitted(id=one, attempt=1, request_id=request, ticket=ticket, at=AT)
    yield Result(id=one, attempt=1, urls=(url,), charged_usd=charged, at=AT)


def finished(model):
    """Yield the events of a finished job."""
    is_paid = model.startswith("fal/")
    yield Run(format=1, job="job", manifest="m" * 64, version="1", host="h", pid=1, at=AT)
    for number in range(FILES):
        yield seen(number, model, Decimal("0.0125") if is_paid else Decimal(0))
    for number in range(FILES):
        charged = Decimal(12_500 + number % 5000).scaleb(-6) if is_paid else Decimal(0)
        if is_paid:
            yield from paid(number, charged)
        yield done(number, charged)
    yield Stopped(elapsed_s=1.0, at=AT)


def write(path, told):
    with path.open("wb") as file:
        for group in pack(map(encode, told)):
            file.write(group_of(group))


@pytest.mark.parametrize("model", ["local/lanczos", "fal/aura-sr"])
def test_a_finished_job_is_resumed_in_three_times_what_parsing_takes_and_300_bytes_a_task(tmp_path, model):
    path = tmp_path / "job.jsonl"
    write(path, finished(model))

    found = measured(RESUME, path)

    task_bytes, ratio = found["bytes"] / FILES, found["resume_s"] / found["parse_s"]
    print(
        f"\n{FILES:,} finished tasks of {model}, {path.stat().st_size / 1e6:,.0f} MB: opened, checked and folded in"
        f" {found['resume_s']:.2f} s CPU, {ratio:.2f} times what parsing takes (at most 3);"
        f" {task_bytes:.0f} bytes a task (at most 300); the second half took {found['growth']:.2f} times the first"
    )
    assert found["tasks"] == FILES
    assert ratio <= 3
    assert task_bytes <= 300
    assert found["growth"] <= 2


def test_a_million_worn_lines_are_compacted_while_the_run_appends(tmp_path):
    path = tmp_path / "job.jsonl"
    once = [seen(number, "local/lanczos", Decimal(0)) for number in range(WORN)]
    first = Run(format=1, job="job", manifest="", version="1", host="h", pid=1, at=AT)
    write(path, [first, *once, *map(orphaned, range(WORN)), *once, *map(orphaned, range(WORN)), *once])
    before = path.stat().st_size

    found = measured(COMPACTS, path)

    print(
        f"\n{5 * WORN + 1:,} lines of which {WORN + 1:,} count: open after {found['opened_s']:.1f} s, compacted from"
        f" {before / 1e6:.0f} to {path.stat().st_size / 1e6:.0f} MB after {found['moved_s']:.1f} s; meanwhile"
        f" {found['appended']:,} appends, the latest after {found['late_s'] * 1000:.0f} ms (at most 1000)"
    )
    assert found["appended"] > 100
    assert found["late_s"] <= 1
    assert path.stat().st_size < before / 2


def test_ten_thousand_tasks_that_do_nothing_cost_at_most_three_milliseconds_each(tmp_path):
    picture = Image.new("RGB", (1, 1))
    for number in range(NOOPS):
        folder = tmp_path / f"photos/{number // 1000}"
        folder.mkdir(parents=True, exist_ok=True)
        picture.putpixel((0, 0), (number >> 8, number & 255, 0))
        picture.save(folder / f"{number}.png")
    file = manifest(tmp_path, "params: {scale: 2}\nrun: {concurrency: 2}")

    batchup("run", file, cwd=tmp_path)

    took_s = events(tmp_path / "out/.batchup/holiday.jsonl", "stopped")[-1]["elapsed_s"]
    print(f"\n{NOOPS:,} pictures of one pixel: {took_s / NOOPS * 1000:.2f} ms each (at most 3)")
    assert len(outputs(tmp_path / "out")) == NOOPS
    assert took_s / NOOPS <= 0.003
