"""A report of 10,000 tasks in a real browser: how soon it is there, and how smoothly it scrolls."""

import random
import time
from datetime import UTC, datetime
from io import BytesIO

import pytest
from PIL import Image

from batchup.ledger import open_view
from batchup.manifest import load
from batchup.report import read, write
from tests.browser import browser, chromium
from tests.report.job import MODELS, Story, written

__all__ = ["browser", "chromium"]

pytestmark = pytest.mark.bench

TASKS = 10_000
OPEN_S = 2.0
FRAME_MS = 50.0
"""A frame that takes longer is seen to be late."""

SHOWN = """new Promise((resolve) => {
  const look = () => {
    const images = [...document.querySelectorAll('.card img')].slice(0, 12);
    if (images.length === 12 && images.every((one) => one.complete && one.naturalWidth)) {
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
    } else setTimeout(look, 5);
  };
  document.getElementById('gallery').scrollIntoView();
  look();
})"""
"""Milliseconds from the start of the navigation until the first pictures of the gallery are painted."""

SCROLL = """new Promise((resolve) => {
  const late = [];
  let last = performance.now(), left = 240;
  const frame = (now) => {
    late.push(now - last);
    last = now;
    scrollBy({top: 120, behavior: 'instant'});
    if (left--) requestAnimationFrame(frame); else resolve(late.slice(2).sort((a, b) => a - b));
  };
  requestAnimationFrame(frame);
})"""
"""Milliseconds of each frame while 29,000 pixels go by, 7,000 a second."""


@pytest.fixture(scope="module", params=["within", "beside"])
def report(request, tmp_path_factory):
    """Write a finished job of 10,000 tasks and its report; thumbnails of noise are heavy enough to lie beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    rng = random.Random(1)
    story = Story()
    story.run()
    edge = 320 if request.param == "beside" else 64
    kinds = []
    for _ in range(50):
        data = BytesIO()
        small = Image.frombytes("RGB", (edge // 4, edge // 4), rng.randbytes(edge * edge * 3 // 16))
        small.resize((edge, edge), Image.Resampling.BICUBIC).save(data, "JPEG", quality=70)
        kinds.append(data.getvalue())
    for number in range(TASKS):
        name = f"{number // 500:02}/{number:05}.jpg"
        for top in ("photos", "out"):
            path = folder / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(kinds[number % len(kinds)])
        story.done(story.task(name, MODELS[number % 3], name), name)
    return written(folder, story.events)


async def test_ten_thousand_tasks_open_in_two_seconds_and_scroll_smoothly(report, browser):
    manifest = load(report.manifest)
    took = []
    for _ in range(2):
        began_s = time.monotonic()
        with open_view(manifest.ledger_path) as view:
            told = read(view.replay(), view.read_line, datetime.now(UTC))
            done = write(told, manifest, report.page)
        took.append(time.monotonic() - began_s)
    opened, frames = [], []
    for _ in range(3):
        page = await browser.open(report.page.as_uri())
        opened.append(await page.evaluate(SHOWN) / 1000)
        frames.append(await page.evaluate(SCROLL))
        assert page.errors == []
        await page.call("Page.close")
    late = [sum(one > FRAME_MS for one in each) / len(each) for each in frames]
    middle = frames[-1][len(frames[-1]) // 2]

    where = "beside the page" if done.beside else "within"
    print(
        f"\nreport of {TASKS:,} tasks, thumbnails {where}: made in {took[0]:.1f} s, again in {took[1]:.1f} s"
    )
    print(
        f"page of {done.size_bytes / 1e6:.1f} MB: first pictures after {min(opened):.2f} to {max(opened):.2f} s"
    )
    print(f"scrolling: {middle:.0f} ms a frame, {min(late):.1%} of frames later than {FRAME_MS:.0f} ms")
    assert min(opened) <= OPEN_S
    assert min(late) <= 0.05
