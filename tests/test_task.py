"""What a task will write."""

import pytest

from batchup.source import Media, Source
from batchup.task import Task


def task(media, width=200, height=100):
    return Task("0a" * 16, "m", {}, {}, Source("", "x", media=media), "x", width, height)


@pytest.mark.parametrize(
    ("media", "frames"),
    [
        (Media("image", "PNG", 20, 10), 1),
        (Media("image", "GIF", 20, 10, frames=7, duration_s=0.7), 7),
        (Media("video", "MP4", 20, 10, frames=250, duration_s=10.0), 250),
        (Media("video", "WEBM", 20, 10, frames=0, duration_s=2.5), 75),
        (Media("video", "WEBM", 20, 10, frames=0), 1),
        (None, 1),
    ],
    ids=["photo", "animation", "video", "video that does not say", "video of unknown length", "URL"],
)
def test_a_task_writes_as_many_frames_as_it_reads(media, frames):
    assert task(media).frames == frames
    assert task(media).pixels == 200 * 100 * frames


def test_where_only_the_work_tells_the_size_the_pixels_are_unknown():
    assert task(None, 0, 0).pixels == 0
