"""Thumbnails: made once, of whatever there is, and kept."""

import os

import pytest
from PIL import Image

from batchup.report import thumbnails
from batchup.report.picture import EDGE_PX, Job, make, weigh
from tests.library import photo, size
from tests.videos import make_video


@pytest.fixture
def made(tmp_path):
    """Have thumbnails made of files, and return how many were."""

    def make_all(*paths):
        counts = [0]
        wanted = {str(thumbnails.key(str(path))): str(path) for path in paths}
        thumbnails.make_all(wanted, tmp_path / "cache", lambda done, _: counts.append(done))
        return counts[-1]

    return make_all


def rgb(picture, place):
    found = picture.convert("RGB").getpixel(place)
    assert isinstance(found, tuple)
    return found


def thumb(tmp_path, path):
    return tmp_path / "cache" / f"{thumbnails.key(str(path))}.webp"


def test_a_thumbnail_is_made_once_and_again_when_its_file_has_changed(tmp_path, made):
    one, two = photo(tmp_path / "a.png", (600, 400)), photo(tmp_path / "b.jpg", (640, 480))

    first, again = made(one, two), made(one, two)
    photo(one, (400, 600))
    after = made(one, two)

    assert (first, again, after) == (2, 0, 1)
    assert size(thumb(tmp_path, one))[1] == size(thumb(tmp_path, two))[0] == EDGE_PX
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_many_are_made_some_at_a_time_and_all_of_them_counted(tmp_path, made, monkeypatch):
    monkeypatch.setattr(thumbnails, "_AT_ONCE", 2)
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_text("no picture")

    assert made(*tmp_path.glob("*.jpg")) == 5


def test_what_is_no_picture_or_cut_or_gone_has_none_and_stops_nobody(tmp_path, made):
    whole = photo(tmp_path / "whole.png", (600, 400))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:400])
    (tmp_path / "text.jpg").write_text("no picture")

    ended = made(tmp_path / "cut.png", tmp_path / "text.jpg", whole)

    assert ended == 3
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [thumb(tmp_path, whole).name]
    assert thumbnails.key(str(tmp_path / "gone.png")) is None


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "I;16"), ("b.tif", "CMYK"), ("c.png", "P"), ("d.png", "LA"), ("e.gif", "L"), ("f.tif", "F")],
    ids=lambda value: value,
)
def test_a_picture_of_any_mode_gets_one(tmp_path, name, mode):
    grey = Image.linear_gradient("L").resize((640, 320))
    picture = (
        grey.convert("I").point(lambda v: v * 257).convert("I;16") if mode == "I;16" else grey.convert(mode)
    )
    picture.save(tmp_path / name)

    assert make(Job(str(tmp_path / name), str(tmp_path / "thumb")))

    with Image.open(tmp_path / "thumb.webp") as small:
        middle, _, _ = rgb(small, (10, 80))
        assert small.size == (EDGE_PX, EDGE_PX // 2)
        assert abs(middle - 128) < 12


def test_a_photo_taken_upright_is_shown_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (640, 320)).save(tmp_path / "a.jpg", exif=exif)

    make(Job(str(tmp_path / "a.jpg"), str(tmp_path / "thumb")))

    assert size(tmp_path / "thumb.webp") == (EDGE_PX // 2, EDGE_PX)


def test_a_video_shows_a_frame_the_way_a_player_turns_it(tmp_path):
    make_video(tmp_path / "a.mp4", size=(64, 48), audio=False, rotation=90)

    make(Job(str(tmp_path / "a.mp4"), str(tmp_path / "thumb")))

    with Image.open(tmp_path / "thumb.webp") as small:
        assert small.size == (48, 64)
        # Turned counter-clockwise, the green quarter of the top right stands at the top left.
        red, green, blue = rgb(small, (5, 5))
        assert green > red
        assert green > blue


@pytest.mark.parametrize("name", ["a.tif", "a.heic", "a.jp2"])
def test_what_no_browser_shows_gets_a_large_preview_too(tmp_path, name):
    if name == "a.heic":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.register_heif_opener()
    Image.linear_gradient("L").convert("RGB").resize((3000, 1500)).save(tmp_path / name)

    make(Job(str(tmp_path / name), str(tmp_path / "thumb")))

    assert size(tmp_path / "thumb.jpg") == (2560, 1280)
    assert size(tmp_path / "thumb.webp") == (EDGE_PX, EDGE_PX // 2)


def test_a_huge_jpeg_weighs_what_is_decoded_of_it_and_a_huge_png_all(tmp_path):
    for name in ("a.jpg", "a.png"):
        Image.new("L", (8000, 8000)).save(tmp_path / name)

    jpeg, png = (weigh(Job(str(tmp_path / name), "")) for name in ("a.jpg", "a.png"))

    assert png >= 8000 * 8000 * 4
    assert jpeg < png / 30


def test_a_folder_that_cannot_be_made_is_told(tmp_path, made):
    (tmp_path / "cache").write_text("")

    with pytest.raises(Exception, match="cannot write"):
        made(photo(tmp_path / "a.png"))


def test_a_file_that_kills_its_worker_is_the_only_one_without(tmp_path, monkeypatch):
    photos = [photo(tmp_path / f"{number:02}.png", seed=number) for number in range(20)]
    cache = tmp_path / "cache"
    cache.mkdir()
    # Python reads this as each worker starts: it dies when it opens the fourth photo, as by a broken codec.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if '--multiprocessing-fork' in sys.argv:\n"
        "    sys.addaudithook(lambda event, args: event == 'open' and str(args[0]).endswith('03.png') and os._exit(9))\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    ended = []

    jobs = (Job(str(path), str(cache / path.stem)) for path in photos)
    thumbnails._run(jobs, len(photos), lambda done, _: ended.append(done))

    assert sorted(file.stem for file in cache.glob("*.webp")) == [
        path.stem for path in photos if path.stem != "03"
    ]
    assert ended[-1] == 20
