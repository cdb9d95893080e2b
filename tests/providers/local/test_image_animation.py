"""Animations keep every frame, its timing, and what is transparent in it."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from batchup.errors import RejectedError
from batchup.providers.local.picture import animation, apng, gif, webp
from batchup.providers.local.picture.metadata import Metadata
from batchup.source import Size
from tests.providers.local.pictures import enlarge, photo, shown

DELAYS = [100, 30, 30, 2500, 0, 70]
SIZE = Size(40, 30)


def frames():
    """Six frames, two pairs of which are alike, which Pillow's own writers would merge."""
    one, two, three = (photo(*SIZE, seed=seed) for seed in (1, 2, 3))
    return [one, one, two, two, three, one]


def holes(image, offset):
    image = image.convert("RGBA")
    image.paste((0, 0, 0, 0), (offset, 5, offset + 12, 25))
    return image


def write(path, images, plays=0, *, default_image=False):
    """Write an animation with every frame whole."""
    patches = [
        animation.Patch(image, 0, 0, Fraction(delay, 1000))
        for image, delay in zip(images, DELAYS, strict=False)
    ]
    how = animation.Timing(len(images), plays, default_image)
    form = {".gif": None, ".webp": "WEBP", ".png": "PNG"}[path.suffix]

    def save(image, file, _first=False):  # noqa: FBT002 - as the writers call it
        image.save(file, form, **({"lossless": True} if form == "WEBP" else {}))

    with path.open("wb") as file:
        if path.suffix == ".gif":
            gif.write(file, SIZE, how, patches, [gif.comment(b"made by hand")])
        elif path.suffix == ".webp":
            webp.write(file, SIZE, how, patches, Metadata(), save)
        else:
            apng.write(file, how, patches, save)


def seen(path):
    """Return frames as arrays, their delays in ms, and the loop."""
    with shown(path) as image:
        pictures, delays = [], []
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            pictures.append(np.asarray(image.convert("RGBA"), dtype=np.int16))
            delays.append(image.info.get("duration", 0))
        return pictures, delays, image.info.get("loop")


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_every_frame_and_its_timing_come_through(tmp_path, ending):
    source = tmp_path / f"a{ending}"
    write(source, frames())
    before, delays, loop = seen(source)
    assert len(before) == 6
    assert delays == DELAYS

    after, new_delays, new_loop = seen(enlarge(source))

    assert (len(after), new_delays, new_loop) == (6, delays, loop)
    for small, large in zip(before, after, strict=True):
        expected = Image.fromarray(small.astype(np.uint8)).resize((80, 60), Image.Resampling.LANCZOS)
        assert np.abs(large - np.asarray(expected)).mean() < 6


@pytest.mark.parametrize("wanted", ["gif", "webp", "png"])
@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_what_is_transparent_in_a_frame_is_transparent_in_the_enlarged_one(tmp_path, ending, wanted):
    source = tmp_path / f"a{ending}"
    write(source, [holes(image, 4 * index) for index, image in enumerate(frames())])
    before, delays, _ = seen(source)

    after, new_delays, _ = seen(enlarge(source, {"output_format": wanted}))

    assert new_delays == delays
    for small, large in zip(before, after, strict=True):
        there = small[::, ::, 3].repeat(2, axis=0).repeat(2, axis=1) > 127
        assert ((large[..., 3] > 127) != there).mean() < 0.02
        visible = large[..., 3] > 200
        twice = small.repeat(2, axis=0).repeat(2, axis=1)
        assert np.abs(large[visible] - twice[visible])[:, :3].mean() < 12


@pytest.mark.parametrize("wanted", ["gif", "webp", "png"])
@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_it_is_shown_as_often_as_before(tmp_path, ending, wanted, plays):
    source = tmp_path / f"a{ending}"
    write(source, frames()[:3], plays)

    output = enlarge(source, {"output_format": wanted})

    with shown(output) as image:
        found = animation.timing(image, {"gif": "GIF"}.get(wanted, wanted.upper()))
    assert found.plays == plays


def test_pillows_own_animations_with_partial_frames_come_out_whole(tmp_path):
    source = tmp_path / "a.gif"
    background = photo(*SIZE)
    moved = []
    for step in range(5):
        image = background.copy()
        image.paste((255, 0, 0), (6 * step, 8, 6 * step + 5, 14))
        moved.append(image)
    moved[0].save(source, save_all=True, append_images=moved[1:], duration=[40, 50, 60, 70, 80], loop=0)
    before, delays, _ = seen(source)

    after, new_delays, _ = seen(enlarge(source, {"scale": 3}))

    assert new_delays == delays
    for small, large in zip(before, after, strict=True):
        red = (small[..., 0] > 200) & (small[..., 1] < 60)
        large_red = (large[..., 0] > 200) & (large[..., 1] < 60)
        assert abs(int(large_red.sum()) - 9 * int(red.sum())) < 150


def test_only_what_changes_is_written(tmp_path):
    source = tmp_path / "a.png"
    still = photo(*SIZE)
    dotted = still.copy()
    dotted.paste((255, 255, 255), (20, 10, 24, 14))
    write(source, [still, dotted, still, still])

    output = enlarge(source, {"scale": 4})

    sizes = [part[4:12] for name, part in chunks(output) if name == b"fcTL"]
    widths = [int.from_bytes(size[:4], "big") for size in sizes]
    assert widths[0] == 160
    assert all(width < 60 for width in widths[1:])
    assert widths[3] == 1


def chunks(path):
    from batchup.providers.local.picture import chunks as pieces

    with path.open("rb") as file:
        yield from pieces.png(file)


def test_the_default_image_of_an_apng_stays_outside_the_animation(tmp_path):
    source = tmp_path / "a.png"
    write(source, frames()[:4], default_image=True)

    output = enlarge(source)

    with shown(source) as before, shown(output) as after:
        assert after.default_image
        assert after.n_frames == before.n_frames
    assert len([name for name, _ in chunks(output) if name == b"fcTL"]) == 3


@pytest.mark.parametrize(("keep", "count"), [(True, 1), (False, 0)], ids=["keep", "strip"])
def test_comments_of_a_gif_are_metadata(tmp_path, keep, count):
    source = tmp_path / "a.gif"
    write(source, frames())

    assert enlarge(source, keep_metadata=keep).read_bytes().count(b"made by hand") == count


def test_an_animated_webp_keeps_its_metadata(tmp_path):
    source = tmp_path / "a.webp"
    exif = Image.Exif()
    exif[0x010E] = "moving"
    first, *others = frames()[::2]
    first.save(source, save_all=True, append_images=others, exif=exif, icc_profile=b"P" * 200, xmp=b"<x/>")

    with shown(enlarge(source)) as image:
        assert image.getexif()[0x010E] == "moving"
        assert image.info["icc_profile"] == b"P" * 200
        assert image.info["xmp"] == b"<x/>"


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_an_animation_that_is_cut_is_rejected_and_not_shortened(tmp_path, ending, part):
    source = tmp_path / f"a{ending}"
    write(source, frames())
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * part)])

    with pytest.raises(RejectedError) as caught:
        enlarge(source)

    assert caught.value.kind in {"image_truncated", "image_damaged", "media_unreadable"}


def test_a_still_gif_stays_a_still(tmp_path):
    source = tmp_path / "a.gif"
    photo().save(source, comment=b"one")

    output = enlarge(source)

    with shown(output) as image:
        assert image.n_frames == 1
        assert image.info["comment"] == b"one"


def test_frames_are_told_one_by_one(tmp_path):
    source = tmp_path / "a.webp"
    write(source, frames())
    told: list[float] = []

    enlarge(source, told=told)

    assert told[:6] == [index / 6 for index in range(1, 7)]
    assert all(earlier <= later for earlier, later in pairwise(told))


def test_a_frame_of_a_lossless_webp_is_exact(tmp_path):
    source = tmp_path / "a.webp"
    write(source, frames())

    after, _, _ = seen(enlarge(source))

    for image, large in zip(frames(), after, strict=True):
        expected = np.asarray(image.resize((80, 60), Image.Resampling.LANCZOS).convert("RGBA"))
        assert (large == expected).all()
