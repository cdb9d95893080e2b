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

import msgspec
import pytest
from PIL import Image

from batchup.digest import sha256
from batchup.providers.fal.storage import PART_BYTES
from batchup.rehearsal import Cut, Faults, Script
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
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody who uses it compiles it again and again
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], env=environment, stdout=subprocess.DEVNULL, cwd=ROOT
    )
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Spent(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss * 1024, server.state()["calls"])


def photos(folder, count):
    """Write tiny pictures, no two of them alike."""
    rng = random.Random(3)
    folder.mkdir()
    for number in range(count):
        Image.frombytes("RGB", (8, 8), rng.randbytes(192)).save(folder / f"{number:05}.png")
    return folder


def test_a_thousand_tasks_cost_little_more_than_a_loop_that_keeps_no_record(tmp_path):
    folder = photos(tmp_path / "photos", TASKS)
    # Set up like this the platform is never what is waited for, but for a task's own 0.2 s.
    settings = {"task_s": 0.2, "outputs": "blank", "concurrency": IN_FLIGHT}
    text = f"model: fal/aura-sr\nrun: {{concurrency: {IN_FLIGHT}}}"
    runs: dict[str, list[Spent]] = {"bare": [], "batchup": [], "official": []}
    for number in range(ROUNDS):
        for name, found in runs.items():
            if name == "official" and number:
                continue  # it takes long, and nothing is compared with it
            out = tmp_path / f"{name}-{number}"
            loop = ["-m", "tests.benchmarks.loops", name, folder, out]
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


# Tasks vary by a fifth, as those of a platform do.
@pytest.mark.parametrize(
    ("task_s", "tasks", "time_scale"),
    [(0.2, 640, 1), (5, 192, 1), (60, 192, 12)],
    ids=["0.2 s", "5 s", "60 s, twelve times as fast"],
)
def test_a_task_costs_at_most_three_status_calls_however_long_it_takes(tmp_path, task_s, tasks, time_scale):
    photos(tmp_path / "photos", tasks)
    settings = {"task_s": task_s, "task_spread": 0.2, "time_scale": time_scale}
    file = manifest(tmp_path, f"model: fal/aura-sr\nrun: {{concurrency: {IN_FLIGHT}}}")

    with serving(**settings, outputs="blank", concurrency=IN_FLIGHT) as server:
        found = spent(["-m", "batchup", "run", file], server)

    each = found.calls["status"] / tasks
    ideal_s = task_s / time_scale * tasks / IN_FLIGHT
    print(
        f"\n{tasks} tasks of {task_s} s: {each:.2f} status calls a task (at most 3), {found.wall_s:.1f} s",
        end="",
    )
    print(f" where the tasks alone take {ideal_s:.1f}")
    assert found.calls["submit"] == tasks
    assert each <= 3


TRANSFER = """
import hashlib, json, os, resource, sys, anyio
from pathlib import Path
from batchup.clock import SystemClock
from batchup.errors import TransientError
from batchup.providers.fal.api import open_api
from batchup.providers.fal.settings import Settings
from batchup.providers.fal.storage import Storage
from batchup.retry import RetryPolicy
from batchup.transport import open_transport

def peak_mb():
    # Of this program alone: what getrusage tells on Linux includes the process that started it.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1e3

async def upload(file):
    async with open_api(Settings.from_environment(os.environ), connect_s=30, clock=SystemClock()) as api:
        storage = Storage(api, retry=RetryPolicy(4, 0.1, 1.0), clock=SystemClock())
        return (await storage.upload(file, content_type="video/mp4", keep_s=3600)).url

async def download(url, file):
    async with open_transport() as transport:
        first, told, cuts = 0.0, [], 0
        while True:
            try:
                await transport.download(url, file, allow_private=True, tell=told.append)
                return [cuts, first]
            except TransientError:
                cuts, first = cuts + 1, max(told)
                told.clear()

way, file, *url = sys.argv[1:]
said = anyio.run(upload, Path(file)) if way == "upload" else anyio.run(download, url[0], Path(file))
print(json.dumps([said, peak_mb()]))
"""


def transferred(server, *args):
    """Run a transfer in a process of its own; return what it said, its peak memory in MB, and its seconds."""
    began_s = time.monotonic()
    environment = {**os.environ, **server.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", TRANSFER, *map(str, args)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return *json.loads(done.stdout), time.monotonic() - began_s


def test_a_gigabyte_goes_up_and_comes_down_in_little_memory_and_goes_on_after_a_cut(tmp_path):
    large, back, size = tmp_path / "large", tmp_path / "back", 1_000_000_000
    with large.open("wb") as file:
        file.truncate(size)
        file.seek(size // 2)
        file.write(b"the middle")
    cuts = Faults((Script("part", Cut("reading"), nth=40), Script("download", Cut("during", at=0.6))))

    with serving(faults=msgspec.to_builtins(cuts)) as server:
        url, up_mb, up_s = transferred(server, "upload", large)
        parts = server.state()["calls"]["part"]
        (count, first), down_mb, down_s = transferred(server, "download", back, url)

    print(
        f"\n1 GB up: {up_mb:.0f} MB of memory (under 80), {up_s:.1f} s, {parts} parts sent, one of them twice"
    )
    print(f"1 GB down: {down_mb:.0f} MB of memory (under 80), {down_s:.1f} s, gone on at {first:.0%}")
    assert up_mb < 80
    assert down_mb < 80
    assert parts == -(-size // PART_BYTES) + 1
    assert (count, first > 0.5) == (1, True)
    assert sha256(back) == sha256(large)
