"""What local work makes of two cores, and what it leaves to the event loop."""

import os
import time

import anyio
import pytest
from PIL import Image

from batchup.manifest import load
from batchup.progress import Progress
from batchup.run import Options, run
from tests.library import batchup, manifest, outputs

LARGE = (4000, 3000)


@pytest.fixture
def four_photos(tmp_path):
    for number in range(4):
        picture = Image.effect_noise((1000, 750), 60 + number).resize(LARGE).convert("RGB")
        (tmp_path / "photos").mkdir(exist_ok=True)
        picture.save(tmp_path / f"photos/{number}.jpg", quality=92)
    return tmp_path


def run_s(folder, workers, name):
    file = manifest(folder, f"run: {{concurrency: {workers}}}", name=name, output=f"{{dir: {name}}}")
    start_s = time.monotonic()
    batchup("run", file, cwd=folder)
    elapsed_s = time.monotonic() - start_s
    assert len(outputs(folder / name)) == 4
    return elapsed_s


@pytest.mark.bench
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one core")
def test_four_large_photos_take_at_most_three_fifths_of_one_workers_time_on_two(four_photos):
    one, two = [], []
    for round_ in range(3):
        one.append(run_s(four_photos, 1, f"one-{round_}"))
        two.append(run_s(four_photos, 2, f"two-{round_}"))
    ratio = min(two) / min(one)

    print(
        f"\nfour 12 MP photos x2: one worker {min(one):.2f} s, two {min(two):.2f} s, ratio {ratio:.2f} (at most 0.6)"
    )
    assert ratio <= 0.6


class Watched(Progress):
    """Measures how late the event loop is while a run goes on."""

    def __init__(self):
        super().__init__(show=False)
        self.latest_s = 0.0

    async def _tick(self):
        while True:
            start_s = time.monotonic()
            await anyio.sleep(0.002)
            self.latest_s = max(self.latest_s, time.monotonic() - start_s - 0.002)


@pytest.mark.bench
async def test_the_event_loop_is_never_blocked_for_more_than_50_ms(four_photos):
    late = []
    for round_ in range(3):
        reporter = Watched()
        file = manifest(four_photos, name=f"loop-{round_}", output=f"{{dir: loop-{round_}}}")
        outcome = await run(load(file), Options(), reporter)
        assert outcome.summary
        assert outcome.summary.tasks.done == 4
        late.append(reporter.latest_s)

    print(
        f"\nthe event loop was at most {min(late) * 1000:.0f} ms late in the best of three runs, {max(late) * 1000:.0f} in the worst (at most 50)"
    )
    assert min(late) <= 0.05
