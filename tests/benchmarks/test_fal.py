"""What fal's tasks cost this machine: beside loops that keep no record, in calls, and in memory."""

import json
import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from PIL import Image

from tests.benchmarks.loops import IN_FLIGHT
from tests.library import manifest, outputs

pytestmark = pytest.mark.bench

TASKS = int(os.environ.get("BATCHUP_BENCH_TASKS", "1000"))
ROUNDS = int(os.environ.get("BATCHUP_BENCH_ROUNDS", "3"))
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Server:
    """A fal of our own in another process."""

    environment: dict[str, str]
    state_url: str

    def state(self) -> dict[str, Any]:
        with urlopen(self.state_url) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@contextmanager
def serving(**settings):
    command = [sys.executable, "-m", "batchup.rehearsal", "--settings", json.dumps(settings)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        yield Server({**ready["environment"], "BENCH_CDN_URL": ready["cdn_url"]}, ready["state_url"])
    finally:
        process.terminate()
        process.communicate()


@dataclass(frozen=True)
class Spent:
    """What a client took: its own CPU and that of its worker processes, and the time until it had ended."""

    cpu_s: float
    wall_s: float
    peak_bytes: int
    calls: dict[str, int]


def spent(command, server) -> Spent:
    """Run a client to its end, alone with *server*."""
    began_s = time.monotonic()
    environment = {**os.environ, **server.environment, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], env=environment, stdout=subprocess.DEVNULL, cwd=ROOT
    )
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Spent(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss * 1024, server.state()["calls"])


@pytest.fixture
def photos(tmp_path):
    """Tiny pictures, no two of them alike."""
    folder, rng = tmp_path / "photos", random.Random(3)
    folder.mkdir()
    for number in range(TASKS):
        Image.frombytes("RGB", (8, 8), rng.randbytes(192)).save(folder / f"{number:05}.png")
    return folder


def test_a_thousand_tasks_cost_little_more_than_a_loop_that_keeps_no_record(photos, tmp_path):
    # Set up like this the platform is never what is waited for, but for a task's own 0.2 s.
    settings = {"task_s": 0.2, "outputs": "blank", "concurrency": IN_FLIGHT}
    text = f"model: fal/aura-sr\nrun: {{concurrency: {IN_FLIGHT}}}"
    runs: dict[str, list[Spent]] = {"bare": [], "batchup": [], "official": []}
    for number in range(ROUNDS):
        for name, found in runs.items():
            if name == "official" and number:
                continue  # it takes long, and nothing is compared with it
            out = tmp_path / f"{name}-{number}"
            loop = ["-m", "tests.benchmarks.loops", name, photos, out]
            file = manifest(tmp_path, text, name=f"job-{number}", output=f"{{dir: batchup-{number}}}")
            with serving(**settings) as server:
                found.append(spent(["-m", "batchup", "run", file] if name == "batchup" else loop, server))
            assert len(outputs(out)) == TASKS

    best = {
        name: (min(one.cpu_s for one in all_), min(one.wall_s for one in all_)) for name, all_ in runs.items()
    }
    print(f"\n{TASKS:,} tasks of 0.2 s, {IN_FLIGHT} in flight, the best of {ROUNDS}:")
    for name, (cpu_s, wall_s) in best.items():
        calls = runs[name][0].calls
        print(
            f"  {name:9} {cpu_s:5.2f} s CPU ({cpu_s / best['bare'][0]:4.2f})  {wall_s:5.2f} s wall"
            f" ({wall_s / best['bare'][1]:4.2f})  {calls['status'] / TASKS:4.1f} status calls a task"
        )
    assert best["batchup"][0] <= 1.5 * best["bare"][0]
    assert best["batchup"][1] <= 1.15 * best["bare"][1]
