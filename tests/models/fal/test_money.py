"""What fal's models cost: by the table, by a manifest, by the live price, and by what was billed."""

from decimal import Decimal

import pytest

from batchup.models.prices import price_of
from batchup.source import Size
from tests.models.fal.media import IMAGES, MODELS, NAMES, VIDEOS, params, photo, usd, video

IMAGE_PRICES = [
    # name, parameters, size that goes in, units, USD
    ("aura-sr", {}, (1000, 500), "16", "0"),
    ("seedvr-image", {}, (1200, 800), "3.84", "0.00384"),
    ("seedvr-image", {}, (801, 1201), "3.848004", "0.003848004"),
    ("seedvr-image", {"upscale_mode": "target"}, (800, 1200), "1.7496", "0.0017496"),
    ("seedvr-image", {"upscale_factor": 10}, (1, 1), "0.0001", "0.0000001"),
    ("esrgan", {}, (1000, 500), "4", "0.0023"),
    ("esrgan", {"scale": 4}, (999, 333), "10.645344", "0.0061210728"),
    ("topaz-image", {}, (1000, 1000), "1", "0.08"),
    ("topaz-image", {}, (3000, 2000), "1", "0.08"),
    ("topaz-image", {}, (2000, 3001), "2", "0.16"),
    ("topaz-image", {}, (4000, 3000), "2", "0.16"),
    ("topaz-image", {}, (4000, 3001), "4", "0.32"),
    ("topaz-image", {}, (6000, 4000), "4", "0.32"),
    ("topaz-image", {"upscale_factor": 4}, (5000, 3800), "10.5", "0.84"),
    ("topaz-image", {}, (6000, 4001), "4.0008", "0.320064"),
    ("topaz-image", {"upscale_factor": 4}, (8000, 4000), "17", "1.36"),
    ("crystal", {}, (1200, 800), "3.84", "0.06144"),
    ("crystal", {"scale_factor": 1.5}, (801, 1201), "2.166004", "0.034656064"),
]
VIDEO_PRICES = [
    # name, parameters, what goes in, units, USD
    ("seedvr-video", {"upscale_factor": 1.5}, video(1280, 720, 121, 4.033), "250.9056", "0.2509056"),
    ("seedvr-video", {"upscale_factor": 1.5}, video(720, 1280, 121, 4.033), "250.9056", "0.2509056"),
    ("seedvr-video", {}, video(641, 359, 1, 0.04), "0.920476", "0.000920476"),
    ("bytedance-video", {}, video(1280, 720, 250, 10.0), "10", "0.072"),
    ("bytedance-video", {}, video(1280, 720, 0, 12.5), "12.5", "0.09"),
    ("bytedance-video", {"target_resolution": "2k"}, video(720, 1280, 250, 10.0), "20", "0.144"),
    ("bytedance-video", {"target_resolution": "4k"}, video(1280, 720, 250, 10.0), "40", "0.288"),
    ("bytedance-video", {"target_fps": "60fps"}, video(1280, 720, 250, 10.0), "20", "0.144"),
    ("bytedance-video", {"enhancement_tier": "pro"}, video(1280, 720, 250, 10.0), "100", "0.72"),
    ("bytedance-video", {"enhancement_tier": "fast"}, video(1280, 720, 250, 10.0), "10", "0.072"),
    (
        "bytedance-video",
        {"target_resolution": "4k", "target_fps": "60fps", "enhancement_tier": "pro"},
        video(1280, 720, 75, 2.5),
        "200",
        "1.44",
    ),
    ("topaz-video", {}, video(640, 360, 250, 10.0), "10", "0.1"),
    ("topaz-video", {}, video(640, 361, 250, 10.0), "20", "0.2"),
    ("topaz-video", {}, video(960, 540, 300, 10.01), "20.02", "0.2002"),
    ("topaz-video", {}, video(960, 541, 250, 10.0), "80", "0.8"),
    ("topaz-video", {}, video(540, 960, 250, 10.0), "80", "0.8"),
    ("topaz-video", {"upscale_factor": 1}, video(3840, 2160, 250, 10.0), "80", "0.8"),
    ("topaz-video", {}, video(640, 360, 0, 10.0), "10", "0.1"),
    ("topaz-video", {"target_fps": 60}, video(640, 360, 250, 10.0), "20", "0.2"),
    ("topaz-video", {}, video(640, 360, 600, 10.0), "20", "0.2"),
    ("topaz-video", {"target_fps": 30}, video(640, 360, 600, 10.0), "10", "0.1"),
]


@pytest.mark.parametrize(("name", "given", "size", "units", "price"), IMAGE_PRICES)
def test_an_image_is_priced_by_what_comes_out(name, given, size, units, price):
    model, chosen = MODELS[f"fal/{name}"], params(f"fal/{name}", **given)

    assert model.units(chosen, photo(*size)) == usd(units)
    assert model.price_usd(chosen, photo(*size)) == usd(price)


@pytest.mark.parametrize(("name", "given", "media", "units", "price"), VIDEO_PRICES)
def test_a_video_is_priced_by_its_length_and_what_comes_out(name, given, media, units, price):
    model, chosen = MODELS[f"fal/{name}"], params(f"fal/{name}", **given)

    assert model.units(chosen, media) == usd(units)
    assert model.price_usd(chosen, media) == usd(price)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "fal/aura-sr"])
def test_the_price_of_a_url_is_unknown(name):
    assert MODELS[name].units(params(name), None) is None
    assert MODELS[name].price_usd(params(name), None) is None


def test_what_is_free_is_free_even_if_nobody_has_seen_it():
    assert MODELS["fal/aura-sr"].price_usd(params("fal/aura-sr"), None) == 0


@pytest.mark.parametrize("name", VIDEOS)
def test_the_price_of_a_video_of_unknown_length_is_unknown(name):
    assert MODELS[name].price_usd(params(name), video(frames=0, duration_s=0)) is None


@pytest.mark.parametrize("name", ["fal/seedvr-video", "fal/topaz-video"])
def test_the_price_of_a_video_of_unknown_size_is_unknown(name):
    assert MODELS[name].price_usd(params(name), video(0, 0)) is None


def test_a_video_without_a_number_of_frames_is_taken_for_30_a_second():
    media = video(960, 540, frames=0, duration_s=2.5, form="WEBM")

    assert MODELS["fal/seedvr-video"].units(params("fal/seedvr-video"), media) == usd("155.52")


@pytest.mark.parametrize("name", NAMES)
def test_another_price_of_the_unit_takes_the_place_of_the_one_that_was_read(name):
    model, media = MODELS[name], photo() if name in IMAGES else video()
    chosen = params(name)

    live = model.repriced(usd("0.5"))

    assert live.price_usd(chosen, media) == model.units(chosen, media) * usd("0.5")
    assert model.repriced(Decimal(0)).price_usd(chosen, media) == 0


@pytest.mark.parametrize(
    ("name", "billable", "unit", "expected"),
    [
        ("seedvr-image", "3.9", None, "0.0039"),
        ("seedvr-image", "3.9", "0.002", "0.0078"),
        ("esrgan", "1.25", None, "0.00071875"),
        ("aura-sr", "30", None, "0"),
        ("topaz-image", "2", None, "0.16"),
        ("topaz-video", "20", None, "0.2"),
    ],
)
def test_what_fal_says_it_billed_is_what_was_charged(name, billable, unit, expected):
    name = f"fal/{name}"
    model = MODELS[name].repriced(usd(unit)) if unit else MODELS[name]

    charged = model.charged_usd(params(name), None, Size(9, 9), usd(billable))

    assert charged == usd(expected)


@pytest.mark.parametrize(
    ("name", "media", "size", "expected"),
    [
        ("seedvr-image", photo(), (2000, 1000), "0.002"),
        ("seedvr-image", None, (2000, 1000), "0.002"),
        ("crystal", None, (2000, 1000), "0.032"),
        ("esrgan", None, (2000, 1000), "0.0023"),
        ("topaz-image", photo(), (6000, 4001), "0.16"),
        ("seedvr-video", video(frames=121), (1920, 1080), "0.2509056"),
        ("seedvr-video", None, (1920, 1080), None),
        ("topaz-video", video(), (1280, 720), "0.1"),
        ("topaz-video", video(), (1282, 722), "0.2"),
        ("bytedance-video", video(), (1280, 720), "0.072"),
        ("bytedance-video", None, (1280, 720), None),
    ],
)
def test_without_that_the_output_itself_tells_what_was_charged(name, media, size, expected):
    name = f"fal/{name}"

    charged = MODELS[name].charged_usd(params(name), media, Size(*size))

    assert charged == (usd(expected) if expected else None)


@pytest.mark.parametrize(
    ("name", "stated", "media", "expected"),
    [
        ("seedvr-image", ("0.002", "MP"), photo(), "0.00768"),
        ("seedvr-image", ("0.05", "output"), photo(), "0.05"),
        ("esrgan", ("0.001", "s"), photo(), "0.00768"),
        ("esrgan", ("0.001", "MP"), photo(), "0.00384"),
        ("topaz-image", ("0.1", "output"), photo(4000, 3000), "0.2"),
        ("topaz-image", ("0.01", "MP"), photo(4000, 3000), "0.48"),
        ("topaz-video", ("0.02", "s"), video(960, 540), "0.4"),
        ("topaz-video", ("0.002", "MP"), video(960, 540), "1.0368"),
        ("bytedance-video", ("0.5", "output"), video(), "0.5"),
        ("seedvr-video", ("0.03", "s"), video(), "0.3"),
    ],
)
def test_a_manifest_may_state_another_price(name, stated, media, expected):
    name, (amount, per) = f"fal/{name}", stated
    model = MODELS[name].repriced(usd(amount), per)

    assert model.price_usd(params(name), media) == usd(expected)
    assert model.price_note.endswith(", from the manifest")


READ = price_of("fal/crystal").read


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("aura-sr", "free"),
        ("seedvr-image", "0.001 USD per output megapixel"),
        ("esrgan", "0.000575 USD per compute second"),
        (
            "topaz-image",
            "0.08 USD per output to 24 MP, 0.16 to 48 MP, 0.32 to 96 MP, rising to 1.36 at 512 MP",
        ),
        ("crystal", "0.016 USD per output megapixel"),
        ("seedvr-video", "0.001 USD per megapixel of video (width x height x frames of the output)"),
        (
            "bytedance-video",
            "0.0072 USD per second of video, 2 times with 2k, 4 times with 4k, 2 times with 60fps, 10 times with pro",
        ),
        (
            "topaz-video",
            "0.01 USD per second of video to 720 p, 0.02 to 1080 p, 0.08 above, 2 times with 60fps",
        ),
    ],
)
def test_the_price_is_said_with_its_date(name, note):
    assert MODELS[f"fal/{name}"].price_note == f"{note}, read {READ}"


@pytest.mark.parametrize("megapixels", range(97, 512, 23))
def test_between_its_known_steps_topaz_becomes_dearer_along_a_straight_line(megapixels):
    units = price_of("fal/topaz-image").step(Decimal(megapixels))

    exact = 4 + Decimal(13) * (megapixels - 96) / 416
    assert 0 <= units - exact <= Decimal("0.0001")
