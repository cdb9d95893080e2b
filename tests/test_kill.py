"""Killed at any instant, a job loses nothing and does nothing twice."""

import contextlib
import hashlib
import random
import subprocess
from collections import Counter

import pytest
from PIL import Image

from tests.library import alive, batchup, children, events, kill, manifest, outputs, photo, start, wait_until


def check(out, seen):
    """Assert that what the ledger calls done is there, whole, and the very file it was."""
    ledger = out / ".batchup/holiday.jsonl"
    for event in events(ledger, "done") if ledger.exists() else []:
        file = out / event["output"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == event["sha256"]
        assert seen.setdefault(event["id"], file.stat().st_ino) == file.stat().st_ino
    for file in outputs(out).values() if out.exists() else []:
        with Image.open(file) as picture:
            picture.load()
            assert picture.size == (1600, 1200)


def written(out):
    """Return how much the ledger holds, in bytes."""
    ledger = out / ".batchup/holiday.jsonl"
    return ledger.stat().st_size if ledger.exists() else 0


def killed_often(tmp_path, kills, photos, seed):
    rng = random.Random(seed)
    for number in range(photos):
        photo(tmp_path / f"photos/{number % 3}/{number:03}.png", size=(400, 300), seed=number)
    file, out = manifest(tmp_path, "params: {scale: 4}"), tmp_path / "out"
    seen: dict[str, int] = {}
    unfinished = 0

    for number in range(kills):
        before = written(out)
        process = start("run", file, cwd=tmp_path)
        # Every other one in the midst of the work, however long the start takes; the others also before.
        if number % 2:
            wait_until(lambda p=process, then=before: written(out) != then or p.poll() is not None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=rng.uniform(0.05, 0.4))
        kill(process)
        check(out, seen)
        unfinished += len(seen) < photos
    batchup("run", file, cwd=tmp_path)

    check(out, seen)
    assert unfinished >= kills // 2, "too few photos: most kills met a job that was done"
    done = Counter(event["id"] for event in events(out / ".batchup/holiday.jsonl", "done"))
    assert len(done) == len(outputs(out)) == photos
    assert set(done.values()) == {1}
    assert not list(out.rglob("*.part"))


def test_killed_twenty_times_at_any_instant_everything_is_done_once_and_nothing_is_half(tmp_path):
    killed_often(tmp_path, kills=20, photos=60, seed=7)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_killed_a_hundred_times_at_any_instant(tmp_path, seed):
    killed_often(tmp_path, kills=100, photos=500, seed=seed)


def test_workers_die_with_a_run_that_is_killed(tmp_path):
    for number in range(40):
        photo(tmp_path / f"photos/{number:03}.png", seed=number, size=(300, 300))
    process = start("run", manifest(tmp_path, "params: {scale: 8}"), cwd=tmp_path)
    wait_until(lambda: children(process.pid))
    workers = children(process.pid)

    kill(process)

    wait_until(lambda: not any(map(alive, workers)))


def test_leftovers_of_a_killed_run_are_gone_after_the_next(tmp_path):
    photo(tmp_path / "photos/a.png")
    file = manifest(tmp_path)
    batchup("run", file, cwd=tmp_path)
    task_id = events(tmp_path / "out/.batchup/holiday.jsonl", "done")[0]["id"]
    (tmp_path / "out/a.png").unlink()
    part = tmp_path / f"out/.{task_id[:16]}.part"
    part.write_bytes(b"half")

    batchup("run", file, cwd=tmp_path)

    assert not part.exists()
    assert list(outputs(tmp_path / "out")) == ["a.png"]
