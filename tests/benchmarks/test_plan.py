"""What a plan of many small files costs, against a bare walk over them."""

import os
import random
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.benchmarks.measure import measured

FILES = int(os.environ.get("BATCHUP_BENCH_FILES", "100000"))

WALK = """
import os
for folder, _, names in os.walk({root!r}):
    for name in names:
        path = os.path.join(folder, name)
        os.stat(path)
        with open(path, "rb") as file:
            file.read(64)
"""

PLAN = """
from datetime import UTC, datetime
from pathlib import Path
from batchup.history import History
from batchup.manifest import load
from batchup.plan import Choice
from batchup.survey import survey
plan = survey(load(Path({manifest!r})), History(), Choice(), datetime.now(UTC))
assert len(plan.steps) == {files}, len(plan.steps)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    rng = random.Random(1)
    kinds = []
    for _ in range(500):
        data, size = BytesIO(), (rng.randrange(8, 40), rng.randrange(8, 40))
        Image.frombytes("RGB", size, rng.randbytes(size[0] * size[1] * 3)).save(
            data, rng.choice(["JPEG", "PNG"])
        )
        kinds.append(data.getvalue())
    for number in range(FILES):
        path = folder / f"photos/{number // 1000:03}/{number:06}.jpg"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        # Bytes behind the end keep the contents of all apart, and their sizes as they happen to be.
        path.write_bytes(kinds[number % len(kinds)] + rng.randbytes(rng.randrange(8, 2000)))
    (folder / "job.yaml").write_text(
        "version: 1\nname: job\nmodel: local/lanczos\ninputs: [{path: photos}]\noutput: {dir: out}\n"
    )
    return folder


@pytest.mark.bench
def test_a_plan_takes_at_most_twelve_bare_walks_and_a_kilobyte_a_task(library: Path):
    manifest = str(library / "job.yaml")
    walk, plan, few = [], [], measured(PLAN.format(manifest=manifest, files=FILES).split("plan =")[0])
    for _ in range(2):
        walk.append(measured(WALK.format(root=str(library / "photos"))))
        plan.append(measured(PLAN.format(manifest=manifest, files=FILES)))
    bare_s, plan_s = (min(run["cpu_s"] for run in runs) for runs in (walk, plan))
    task_bytes = (min(run["peak_bytes"] for run in plan) - few["peak_bytes"]) / FILES

    print(f"\nplan of {FILES:,} files: {plan_s:.2f} s CPU, {plan_s / FILES * 1e6:.0f} us a file")
    print(f"bare walk: {bare_s:.2f} s CPU; ratio {plan_s / bare_s:.1f} (at most 12)")
    print(f"memory: {task_bytes:.0f} bytes a task (at most 1,000)")
    assert plan_s / bare_s <= 12
    assert task_bytes <= 1000
