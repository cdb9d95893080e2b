"""The manifests in jobs/ for fal: one for each model, and one that sends each part of a library to the right one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from batchup import manifest
from batchup.catalogue import Catalogue
from batchup.expand import Expansion
from batchup.inputs import Skipped
from batchup.models import names
from batchup.source import Source
from batchup.task import Task
from tests.models.fal.media import NAMES, photo, video

JOBS = Path(__file__).parents[3] / "jobs"


def one(job, path, media):
    """Return the task or the reason that a job has for one input."""
    loaded = manifest.load(JOBS / f"{job}.yaml")
    expansion = Expansion(loaded, Catalogue(loaded), datetime(2026, 11, 22, tzinfo=UTC))
    (made,) = expansion.tasks(Source(root="~/library", path=path, media=media))
    return made


def test_the_models_are_found_by_their_files():
    assert {name for name in names() if name.startswith("fal/")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_has_a_manifest_that_is_ready_to_run(name):
    media = photo(800, 600) if "video" not in name else video(640, 480)

    task = one(name.removeprefix("fal/"), "2019/a.x", media)

    assert isinstance(task, Task)
    assert task.model == name
    assert task.size is not None
    assert task.cost_usd is not None


@pytest.mark.parametrize(
    ("path", "media", "model", "output"),
    [
        ("2019/beach.jpg", photo(), "fal/seedvr-image", "2019/beach-jpg.jpg"),
        ("portraits/anna.png", photo(form="PNG"), "fal/crystal", "portraits/anna-png.jpg"),
        ("2019/people/anna.jpg", photo(), "fal/crystal", "2019/people/anna-jpg.jpg"),
        ("anime/cat.png", photo(form="PNG"), "fal/esrgan", "anime/cat-png.png"),
        ("old/tape.mp4", video(720, 480), "fal/topaz-video", "old/tape-mp4.mp4"),
        ("portraits/tape.mp4", video(720, 576), "fal/topaz-video", "portraits/tape-mp4.mp4"),
    ],
)
def test_the_library_sends_each_input_to_what_suits_it(path, media, model, output):
    task = one("library-fal", path, media)

    assert isinstance(task, Task)
    assert (task.model, task.output) == (model, output)


def test_the_library_gives_anime_to_the_model_for_anime():
    task = one("library-fal", "anime/cat.png", photo(form="PNG"))

    assert isinstance(task, Task)
    assert task.params["model"] == "RealESRGAN_x4plus_anime_6B"


def test_the_library_makes_1080_lines_of_pal():
    task = one("library-fal", "tape.mp4", video(720, 576))

    assert isinstance(task, Task)
    assert task.height == 1080


@pytest.mark.parametrize(
    ("path", "media"),
    [("portraits/large.jpg", photo(6000, 4000)), ("new.mp4", video(1920, 1080))],
    ids=["photo", "video"],
)
def test_the_library_leaves_alone_what_is_large_enough(path, media):
    assert isinstance(one("library-fal", path, media), Skipped)
