"""The manifests in jobs/ and the sample library that the demo runs over."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

import av
import numpy as np
import pytest
from PIL import ExifTags, Image

from batchup import manifest, media
from batchup.progress import Progress
from batchup.rehearsal.stage import Wishes, rehearse
from batchup.source import Size
from tests.library import photo
from tests.videos import make_video

JOBS = Path(__file__).parent.parent / "jobs"
MANIFESTS = sorted(JOBS.glob("*.yaml"))

# Name -> format, upright size, Pillow's or ffmpeg's mode, frames, bits a channel, orientation.
MEDIA = {
    "mountains.jpg": ("JPEG", Size(1800, 1200), "RGB", 1, 8, 1),
    "lighthouse.jpg": ("JPEG", Size(1000, 1500), "RGB", 1, 8, 6),
    "sunset.jpg": ("JPEG", Size(1800, 1200), "RGB", 1, 8, 1),
    "forest.jpg": ("JPEG", Size(1800, 1200), "L", 1, 8, 1),
    "northern lights.webp": ("WEBP", Size(1500, 1000), "RGB", 1, 8, 1),
    "balloon.png": ("PNG", Size(1000, 1000), "RGBA", 1, 8, 1),
    "moon.png": ("PNG", Size(800, 800), "I;16", 1, 16, 1),
    "fractal.png": ("PNG", Size(1200, 900), "P", 1, 8, 1),
    "map.tif": ("TIFF", Size(1200, 960), "RGB", 1, 8, 1),
    "spiral.gif": ("GIF", Size(240, 240), "P", 12, 8, 1),
    "orbits.webp": ("WEBP", Size(240, 240), "RGBA", 24, 8, 1),
    "2019 Sommer/Zürich – See.jpg": ("JPEG", Size(1800, 1200), "RGB", 1, 8, 1),  # noqa: RUF001 - meant: not ASCII
    "phone backup/IMG_2041.jpg": ("JPEG", Size(1800, 1200), "RGB", 1, 8, 1),
    "icons/star.png": ("PNG", Size(48, 48), "RGBA", 1, 8, 1),
    "icons/sun.png": ("PNG", Size(48, 48), "RGBA", 1, 8, 1),
    "one day.mp4": ("MP4", Size(320, 180), "yuv420p", 75, 8, 1),
}
LEFT_OUT = {"notes.txt", ".thumbnail.jpg"}


def fill(folder: Path) -> str:
    """Run the script as the Makefile does, and return what it says."""
    command = [sys.executable, str(JOBS / "samples.py"), str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone") / "demo" / "photos"
    fill(folder)
    return folder


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_manifest_that_is_shipped_is_right(path):
    job = manifest.load(path)

    assert job.name == path.stem


PAID = {
    "aura-sr": {"fal/aura-sr"},
    "bytedance-video": {"fal/bytedance-video"},
    "crystal": {"fal/crystal"},
    "esrgan": {"fal/esrgan"},
    "library-fal": {"fal/crystal", "fal/esrgan", "fal/seedvr-image", "fal/topaz-video"},
    "seedvr-image": {"fal/seedvr-image"},
    "seedvr-video": {"fal/seedvr-video"},
    "topaz-image": {"fal/topaz-image"},
    "topaz-video": {"fal/topaz-video"},
}
"""Manifest -> the models that it sends a mixed folder through."""


def stocked(name: str) -> manifest.Manifest:
    """Return a manifest of jobs/, with something of everything in the folder that it reads."""
    job = manifest.load(JOBS / f"{name}.yaml")
    (folder,) = (Path(item.path).expanduser() for item in job.inputs)
    for number, below in enumerate(("", "portraits", "anime")):
        photo(folder / below / "photo.jpg", seed=number)
    make_video(folder / "clip.mp4", seconds=0.3, size=(48, 36))
    # It may be noon: when it works and how much at once is not the question here.
    return job.model_copy(update={"run": job.run.model_copy(update={"window": None, "limits": {}})})


@pytest.mark.parametrize("name", PAID)
async def test_every_manifest_for_fal_runs_as_it_is_over_a_mixed_folder(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    job = stocked(name)

    outcome, night, _ = await rehearse(job, Wishes(speed=100, blank=True), Progress(show=False))

    assert outcome.summary is not None
    tasks = outcome.summary.tasks
    assert set(outcome.plan.models) == PAID[name]
    assert tasks.done == tasks.total == night.accepted > 0
    assert outcome.summary.stopped is None


def test_the_demo_makes_two_of_each_picture_and_one_of_each_icon_and_video(library):
    jobs = library.parent.parent / "jobs"
    jobs.mkdir()
    demo = shutil.copy(JOBS / "demo.yaml", jobs)
    command = [sys.executable, "-m", "batchup", "plan", "--json", str(demo)]

    plan = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)

    singles = {
        "icons/star.png": "icons/star-8x.png",
        "icons/sun.png": "icons/sun-8x.png",
        "one day.mp4": "one day-2x.mp4",
    }
    pictures = [PurePosixPath(name) for name in MEDIA if name not in singles]
    twice = {str(path.with_stem(f"{path.stem}-{scale}x")) for path in pictures for scale in (2, 4)}
    assert {item["output"] for item in plan["items"] if item["output"]} == twice | set(singles.values())
    assert plan["tasks"]["to_run"] == plan["tasks"]["total"] == 2 * len(pictures) + len(singles)
    assert plan["tasks"]["skipped"] == len(LEFT_OUT)


def test_the_library_holds_these_files_and_no_others(library):
    assert files(library).keys() == MEDIA.keys() | LEFT_OUT


@pytest.mark.parametrize("name", MEDIA)
def test_each_sample_is_what_it_claims_to_be(library, name):
    found = media.verify(library / name)

    assert MEDIA[name] == (
        found.format,
        found.size,
        found.mode,
        found.frames,
        found.bits,
        found.orientation,
    )


def test_the_photos_carry_what_a_camera_writes(library):
    with Image.open(library / "mountains.jpg") as picture:
        exif = picture.getexif()
        details, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)

    assert exif[ExifTags.Base.Model] == "Imaginary 35"
    assert details[ExifTags.Base.DateTimeOriginal] == "2019:08:03 19:42:00"
    assert place[ExifTags.GPS.GPSLatitude] == (46, 33, pytest.approx(34.92))
    assert place[ExifTags.GPS.GPSLongitude] == (8, 33, pytest.approx(39.96))


def test_one_photo_has_a_colour_profile_and_the_scan_its_resolution(library):
    with Image.open(library / "sunset.jpg") as picture, Image.open(library / "map.tif") as scan:
        assert picture.info["icc_profile"][36:40] == b"acsp"
        assert scan.info["dpi"] == (300, 300)


def test_the_pictures_with_transparency_are_partly_transparent(library):
    with Image.open(library / "balloon.png") as picture:
        assert picture.getchannel("A").getextrema() == (0, 255)


def test_one_photo_lies_there_twice_under_two_names(library):
    copy = library / "phone backup" / "IMG_2041.jpg"

    assert copy.read_bytes() == (library / "mountains.jpg").read_bytes()


def test_the_video_has_three_seconds_of_picture_and_of_sound_that_can_be_heard(library):
    with av.open(str(library / "one day.mp4")) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        seconds = [float((s.duration or 0) * (s.time_base or 0)) for s in (picture, sound)]
        loudest = max(np.abs(frame.to_ndarray()).max() for frame in container.decode(sound))

    assert (picture.codec_context.name, sound.codec_context.name) == ("h264", "aac")
    assert seconds == pytest.approx([3, 3], abs=0.1)
    assert loudest > 0.1


def test_every_sample_is_older_than_the_program(library):
    newest = max(path.stat().st_mtime for path in files(library).values())

    assert newest < 1_700_000_000  # November 2023


def test_making_them_again_elsewhere_gives_the_same_bytes_and_dates(library, tmp_path):
    said = fill(tmp_path / "new" / "folder")

    again = files(tmp_path / "new" / "folder")
    assert f"{len(again)} sample files made" in said
    for name, path in files(library).items():
        assert path.read_bytes() == again[name].read_bytes(), name
        assert path.stat().st_mtime_ns == again[name].stat().st_mtime_ns, name


def test_a_second_call_leaves_alone_what_is_there_and_makes_what_is_missing(library, tmp_path):
    for name in MEDIA.keys() | LEFT_OUT:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(library / name)
    (tmp_path / "balloon.png").unlink()
    (tmp_path / "moon.png").unlink()
    (tmp_path / "moon.png").write_text("somebody's own")
    os.utime(tmp_path / "moon.png", ns=(1, 1))
    before = {name: path.stat() for name, path in files(tmp_path).items()}

    said = fill(tmp_path)

    assert "1 sample files made, 17 there already" in said
    after = files(tmp_path)
    assert (tmp_path / "balloon.png").read_bytes() == (library / "balloon.png").read_bytes()
    assert {name: after[name].stat() for name in before} == before
    assert "made" not in fill(tmp_path)


def test_a_call_without_a_folder_says_how_to_call_it():
    ran = subprocess.run(
        [sys.executable, str(JOBS / "samples.py")], check=False, capture_output=True, text=True, timeout=60
    )

    assert ran.returncode == 1
    assert ran.stderr == "usage: python jobs/samples.py FOLDER\n"
