"""local/ncnn: what a network makes of pictures, and that nothing else of them is lost."""

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from batchup.errors import RejectedError
from batchup.media import probe
from batchup.models.local.ncnn import MODEL, NcnnParams
from tests.networks import ncnn_network
from tests.providers.local.pictures import photo, pixels, shown
from tests.providers.local.superres.nets import work_on

engine = pytest.importorskip("batchup.providers.local.superres.ncnn", reason="needs the extra ncnn")

ORIENTATION, MAKE = 0x0112, 0x010F


@pytest.fixture
def plain(tmp_path):
    """A network that repeats pixels, and the parameters that name it."""
    ncnn_network(tmp_path, "plain", strength=0)
    return {"weights": "plain", "models_dir": ".", "device": "cpu"}


def enlarge(source, params: dict[str, Any], *, told=None, **more):
    work = work_on(MODEL, source, params, **more)
    engine.upscale(work, (told if told is not None else []).append, lambda _: None)
    output = source.with_name(f"out{work.ext}")
    source.with_name(f"{source.name}.part").rename(output)
    return output


def repeated(image, by=2):
    return np.asarray(image.convert("RGBA"), dtype=np.int16).repeat(by, 0).repeat(by, 1)


def test_the_picture_is_what_the_network_makes_of_it(tmp_path):
    ncnn_network(tmp_path, "net", seed=3)
    photo(60, 44).save(tmp_path / "a.png")
    params: dict[str, Any] = {"weights": "net", "models_dir": ".", "device": "cpu"}

    whole = pixels(enlarge(tmp_path / "a.png", params))
    tiled = pixels(enlarge(tmp_path / "a.png", {**params, "tile": 32}))

    network = engine._LOADED.get(NcnnParams(**params).settled(tmp_path))
    padded = np.pad(np.asarray(photo(60, 44)), ((8, 8), (8, 8), (0, 0)), mode="symmetric")
    raw = network.run(np.ascontiguousarray(padded.transpose(2, 0, 1), dtype=np.float32) / 255)
    expected = np.clip(raw[:, 16:-16, 16:-16].transpose(1, 2, 0) * 255, 0, 255)
    assert np.abs(whole[..., :3] - expected).max() <= 1
    assert np.abs(tiled - whole).max() <= 1
    assert np.abs(whole - repeated(photo(60, 44))).max() > 10


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA", "LA"])
def test_every_mode_of_eight_bits_keeps_its_colours(tmp_path, plain, mode):
    image = photo(mode="RGB").convert(mode)
    image.save(tmp_path / "a.png")

    output = enlarge(tmp_path / "a.png", plain)

    assert np.abs(pixels(output) - repeated(image)).max() <= 1


@pytest.mark.parametrize("orientation", [1, 6, 7])
@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif"])
def test_metadata_profile_and_orientation_come_through(tmp_path, plain, ending, orientation):
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = orientation, "Seller & Co"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo(40, 30).save(tmp_path / f"a{ending}", exif=exif, icc_profile=profile, dpi=(300, 300))

    output = enlarge(tmp_path / f"a{ending}", plain)

    with shown(output) as image:
        assert image.size == ((60, 80) if orientation > 4 else (80, 60))
        assert image.info["icc_profile"] == profile
        assert image.getexif()[MAKE] == "Seller & Co"
        assert image.getexif().get(ORIENTATION, 1) == 1
        assert round(image.info["dpi"][0]) == 300


def test_metadata_is_left_out_where_nobody_wants_it(tmp_path, plain):
    exif = Image.Exif()
    exif[MAKE] = "Seller & Co"
    photo().save(tmp_path / "a.jpg", exif=exif)

    output = enlarge(tmp_path / "a.jpg", plain, keep_metadata=False)

    with shown(output) as image:
        assert not image.getexif()


def test_transparency_is_enlarged_too_and_hidden_colours_make_no_edge(tmp_path):
    ncnn_network(tmp_path, "net", seed=3)
    hidden = np.zeros((40, 40, 4), np.uint8)
    hidden[...] = (0, 255, 0, 0)
    hidden[10:30, 10:30] = (200, 120, 80, 255)
    filled = hidden.copy()
    filled[..., :3] = (200, 120, 80)
    params = {"weights": "net", "models_dir": ".", "device": "cpu"}
    made = []
    for name, picture in (("hidden", hidden), ("filled", filled)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
        made.append(pixels(enlarge(tmp_path / f"{name}.png", params)))

    visible = made[0][..., 3] > 0
    assert np.abs(made[0] - made[1])[visible].max() <= 1
    assert (made[0][26:54, 26:54, 3] == 255).all()
    assert (made[0][:12, :, 3] == 0).all()


def test_an_opaque_alpha_channel_stays_opaque(tmp_path, plain):
    photo(mode="RGBA").save(tmp_path / "a.png")

    output = enlarge(tmp_path / "a.png", plain)

    with shown(output) as image:
        assert image.mode == "RGBA"
    assert (pixels(output)[..., 3] == 255).all()


@pytest.mark.parametrize(("scale", "size"), [(3, (120, 90)), (1.5, (60, 45)), (4, (160, 120))])
def test_another_factor_than_the_networks_own_is_resampled(tmp_path, plain, scale, size):
    photo(40, 30).save(tmp_path / "a.png")

    output = enlarge(tmp_path / "a.png", {**plain, "scale": scale})

    with shown(output) as image:
        assert image.size == size
        expected = photo(80, 60).resize(size, Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(image, dtype=int) - np.asarray(expected, dtype=int)).mean() < 6


def test_an_animation_keeps_its_frames_and_times(tmp_path, plain):
    frames = [photo(seed=seed) for seed in range(3)]
    frames[0].save(
        tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=[40, 80, 120], lossless=True
    )

    output = enlarge(tmp_path / "a.webp", plain)

    with shown(output) as image:
        assert image.n_frames == 3
        for frame, wanted in enumerate(frames):
            image.seek(frame)
            image.load()
            assert image.info["duration"] == (40, 80, 120)[frame]
            assert np.abs(np.asarray(image.convert("RGBA"), dtype=int) - repeated(wanted)).max() <= 1


def test_every_page_of_a_tiff_is_enlarged(tmp_path, plain):
    pages = [photo(40, 30), photo(20, 50, seed=2)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])

    output = enlarge(tmp_path / "a.tif", plain)

    with shown(output) as image:
        assert image.n_frames == 2
        image.seek(1)
        assert image.size == (40, 100)


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("I;16", "it has 16 bits a channel, and networks work with 8"),
        ("CMYK", "it has printing colours (CMYK), and networks know red, green and blue"),
    ],
)
def test_what_no_network_has_seen_is_refused_before_anything_runs(tmp_path, plain, mode, why):
    source = tmp_path / "a.tif"
    (Image.new("I;16", (9, 9)) if mode == "I;16" else photo(mode=mode)).save(source)
    media = probe(source)
    assert media is not None

    assert str(MODEL.refuse(MODEL.params(**plain), media)).startswith(why)


def test_it_is_said_what_it_runs_on_before_it_begins(tmp_path, plain):
    said: list[str | float] = []
    photo().save(tmp_path / "a.png")

    engine.upscale(work_on(MODEL, tmp_path / "a.png", plain), said.append, said.append)

    assert str(said[0]).startswith("plain on the processor, ")


def test_progress_is_told_tile_by_tile(tmp_path, plain):
    told: list[float] = []
    photo(100, 90).save(tmp_path / "a.png")

    enlarge(tmp_path / "a.png", {**plain, "tile": 32}, told=told)

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 12


def test_several_networks_stay_loaded(tmp_path):
    for name in ("one", "two"):
        ncnn_network(tmp_path, name, seed=len(name) + ord(name[0]))
    one, two = (
        NcnnParams(weights=name, models_dir=".", device="cpu").settled(tmp_path) for name in ("one", "two")
    )

    first = engine._LOADED.get(one)
    other = engine._LOADED.get(two)

    assert engine._LOADED.get(one) is first is not other


def test_weights_that_changed_after_the_plan_are_an_error_of_the_task(tmp_path, plain):
    photo().save(tmp_path / "a.png")
    ncnn_network(tmp_path, "mine", seed=98)
    work = work_on(MODEL, tmp_path / "a.png", {**plain, "weights": "mine"})
    ncnn_network(tmp_path, "mine", seed=99)

    with pytest.raises(RejectedError, match="has changed since the job was planned") as error:
        engine.upscale(work, lambda _: None, lambda _: None)

    assert error.value.kind == "weights_changed"


def test_a_gpu_that_is_not_there_is_told(tmp_path, plain):
    photo().save(tmp_path / "a.png")

    with pytest.raises(RejectedError, match="there is no GPU 99") as error:
        engine.upscale(
            work_on(MODEL, tmp_path / "a.png", {**plain, "device": 99}), lambda _: None, lambda _: None
        )

    assert error.value.kind == "no_device"
