"""Transparency is not paid for and lost."""

import pytest
from PIL import Image

from tests.fal.job import Job, fal_of
from tests.library import batchup

JPEG = "model: fal/seedvr-image"
PNG = "model: fal/seedvr-image\nparams: {output_format: png}"


def picture(folder, alpha, mode="RGBA"):
    image = Image.new("RGBA", (32, 24), (200, 40, 40, 255))
    image.putpixel((3, 3), (200, 40, 40, alpha))
    (folder / "photos").mkdir(exist_ok=True)
    image.convert(mode).save(folder / "photos/logo.png")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
async def test_what_is_transparent_is_not_sent_where_a_jpeg_would_come_back(tmp_path, monkeypatch, mode):
    picture(tmp_path, 0, mode)
    job = Job(tmp_path, JPEG, photos=0)
    async with fal_of(monkeypatch) as fal:
        assert await job.tasks() == {"failed": 1}

        assert fal.calls["upload"] == len(fal.accepted) == 0
        [failed] = job.events("failed")
        assert failed["kind"] == "transparency_lost"
        assert "output_format (png)" in failed["message"]


@pytest.mark.parametrize(("text", "alpha"), [(JPEG, 255), (PNG, 0)], ids=["an opaque one", "into a PNG"])
async def test_what_loses_nothing_is_sent(tmp_path, monkeypatch, text, alpha):
    picture(tmp_path, alpha)
    async with fal_of(monkeypatch) as fal:
        assert await Job(tmp_path, text, photos=0).tasks() == {"done": 1}

        assert len(fal.accepted) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            JPEG,
            "warning: photos/logo.png and 1 more may have transparency, which the output's format cannot hold",
        ),
        (PNG, ""),
        ("model: local/lanczos", ""),
    ],
    ids=["fal, into JPEG", "fal, into PNG", "local"],
)
def test_a_plan_warns_of_transparency_that_may_be_lost(tmp_path, text, told):
    picture(tmp_path, 255)
    (tmp_path / "photos/logo.png").rename(tmp_path / "photos/other.png")
    picture(tmp_path, 0)
    job = Job(tmp_path, text, photos=2)

    done = batchup("plan", job.file, cwd=tmp_path)

    assert done.stderr.startswith(told)
    assert bool(done.stderr) is bool(told)
