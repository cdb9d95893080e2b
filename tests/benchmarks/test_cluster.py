"""What a cluster costs, and what it brings."""

import os
import re
import time

import anyio
import pytest

from batchup.cluster.connection import open_engine
from batchup.cluster.engine import Errand
from tests.cluster.machines import cluster, job, wanted
from tests.library import batchup, outputs, photo

pytestmark = pytest.mark.bench

TASKS = int(os.environ.get("BATCHUP_BENCH_CLUSTER_TASKS", "10000"))
AT_ONCE = 16
PHOTOS = 16
ROUNDS = 2


def took_s(folder, workers, round_):
    """Return how long *workers* take for the photos, by the run's own clock: what a machine with more takes to start is
    not theirs.
    """
    out = folder / f"out-{workers}-{round_}"
    with cluster(folder / "scratch", workers) as (planned, _):
        file = job(
            folder,
            planned.address,
            "params: {scale: 6}",
            name=f"by-{workers}-{round_}",
            output=f"{{dir: {out.name}}}",
        )
        batchup("run", file, "--limit", 4, cwd=folder, status=3)  # their processes start
        done = batchup("run", file, "--json", cwd=folder)
    assert len(outputs(out)) == PHOTOS
    return float(re.search(r'"elapsed_s": ([0-9.]+)', done.stdout).group(1))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_two_workers_take_at_most_three_fifths_of_the_time_of_one(tmp_path):
    for number in range(PHOTOS):
        photo(tmp_path / f"photos/{number:02}.png", size=(800, 600), seed=number)

    one_s = min(took_s(tmp_path, 1, round_) for round_ in range(ROUNDS))
    two_s = min(took_s(tmp_path, 2, round_) for round_ in range(ROUNDS))

    print(f"\nlocal work by one worker {one_s:.1f} s, by two {two_s:.1f} s: {two_s / one_s:.2f}")
    assert two_s <= 0.6 * one_s


async def test_a_task_costs_at_most_three_milliseconds(tmp_path):
    photo(tmp_path / "photos/a.png")
    with cluster(tmp_path / "scratch") as (planned, _):
        async with open_engine(wanted(tmp_path, planned)) as engine:
            left = iter(range(TASKS))

            async def ask():
                for _ in left:
                    await engine.do(Errand("nothing", "", lambda _places: (), kind="transfer"))

            begun_s = time.monotonic()
            async with anyio.create_task_group() as group:
                for _ in range(AT_ONCE):
                    group.start_soon(ask)
            each_ms = (time.monotonic() - begun_s) / TASKS * 1000

    print(f"\n{TASKS} tasks of nothing: {each_ms:.2f} ms each")
    assert each_ms <= 3
