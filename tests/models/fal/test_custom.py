"""Endpoints of fal that a manifest declares itself."""

import pytest

from batchup.manifest import Endpoint
from batchup.models.custom import custom
from batchup.source import Size
from batchup.task import Recipe
from tests.models.fal.media import photo, usd, video

URL = "https://v3.fal.media/files/a/in.jpg"


def declared(**more):
    return Endpoint.model_validate(
        {
            "endpoint": "fal-ai/clarity-upscaler",
            "kind": "image",
            "input": "image_url",
            "output": "image.url",
            "price": "0.03 USD/MP",
            "factor": "upscale_factor",
            **more,
        }
    )


def model(**more):
    return custom("fal/clarity", declared(**more))


def params(**given):
    return model().params.model_validate(given)


def test_it_is_known_by_its_endpoint():
    clarity = model()

    assert (clarity.name, clarity.kind, clarity.app) == ("fal/clarity", "image", "fal-ai/clarity-upscaler")
    assert clarity.endpoint == "fal-ai/clarity-upscaler"
    assert Recipe("fal/x", {}, clarity.endpoint).content_id("0") != Recipe("fal/x", {}, "a/b").content_id("0")


def test_whatever_its_user_sets_is_sent():
    given = params(upscale_factor=2.0, prompt="sharp", creativity=0.35, tiled=True, seed=None)

    assert model().body(given, URL) == {
        "upscale_factor": 2,
        "prompt": "sharp",
        "creativity": 0.35,
        "tiled": True,
        "image_url": URL,
    }


@pytest.mark.parametrize(
    ("factor", "given", "size"),
    [
        ("upscale_factor", {"upscale_factor": 3}, Size(3600, 2400)),
        ("upscale_factor", {"upscale_factor": 1.5}, Size(1800, 1200)),
        ("upscale_factor", {}, None),
        ("upscale_factor", {"upscale_factor": "2x"}, None),
        ("upscale_factor", {"upscale_factor": True}, None),
        ("upscale_factor", {"upscale_factor": 0}, None),
        (4, {}, Size(4800, 3200)),
        (1.1, {}, Size(1320, 880)),
        (None, {"upscale_factor": 3}, None),
    ],
)
def test_its_size_is_known_where_its_factor_is(factor, given, size):
    assert model(factor=factor).size(params(**given), photo()) == size


@pytest.mark.parametrize(
    ("kind", "price", "media", "expected"),
    [
        ("image", "0.03 USD/MP", photo(), "0.1152"),
        ("image", "0.05 USD/output", photo(), "0.05"),
        ("image", "0.05 USD/output", None, "0.05"),
        ("image", "0.001 USD/s", photo(), "0.00768"),
        ("image", "0.03 USD/MP", None, None),
        ("image", None, photo(), None),
        ("image", "0 USD/s", None, "0"),
        ("video", "0.02 USD/s", video(), "0.2"),
        ("video", "0.001 USD/MP", video(), "0.9216"),
        ("video", "0.5 USD/output", video(), "0.5"),
    ],
)
def test_its_price_is_the_one_that_is_declared(kind, price, media, expected):
    one = model(kind=kind, price=price)

    cost = one.price_usd(params(upscale_factor=2), media)

    assert cost == (usd(expected) if expected else None)


def test_without_a_factor_a_price_per_megapixel_says_nothing_beforehand_but_does_after():
    one = model(factor=None)

    assert one.price_usd(params(), photo()) is None
    assert one.charged_usd(params(), photo(), Size(2000, 1000)) == usd("0.06")


def test_without_a_price_nobody_knows_what_was_billed_until_one_is_stated():
    one = model(price=None)

    assert one.charged_usd(params(), photo(), Size(9, 9), usd("3")) is None
    assert one.price_note == "unknown"
    assert one.repriced(usd("0.04")).price_usd(params(), photo()) == usd("0.04")


@pytest.mark.parametrize(
    ("output", "answer"),
    [
        ("image.url", {"image": {"url": URL, "width": 9}}),
        ("image", {"image": {"url": URL, "width": 9}}),
        ("images.0.url", {"images": [{"url": URL, "width": 9}]}),
        ("images[0].url", {"images": [{"url": URL, "width": 9}]}),
        ("data.result.file", {"data": {"result": {"file": {"url": URL, "width": 9}}}}),
    ],
)
def test_the_file_is_found_where_it_is_declared(output, answer):
    assert model(output=output).file(answer) == {"url": URL, "width": 9}


@pytest.mark.parametrize("output", ["url", "outputs.0"])
def test_a_url_alone_is_a_file_too(output):
    assert model(output=output).file({"url": URL, "outputs": [URL]}) == {"url": URL}


@pytest.mark.parametrize(
    ("kind", "given", "ending"),
    [
        ("image", {}, ".png"),
        ("image", {"output_format": "jpeg"}, ".jpg"),
        ("image", {"output_format": "webp"}, ".webp"),
        ("image", {"output_format": "psd"}, ".png"),
        ("image", {"output_format": 3}, ".png"),
        ("video", {}, ".mp4"),
        ("video", {"output_format": "webm"}, ".webm"),
        ("video", {"output_format": "VP9 (.webm)"}, ".webm"),
        ("video", {"output_format": "h.265"}, ".mp4"),
        ("video", {"output_format": "../x"}, ".mp4"),
    ],
)
def test_its_ending_is_that_of_its_output_format_where_it_has_one(kind, given, ending):
    assert model(kind=kind).ext(params(**given), None, ".tiff") == ending


@pytest.mark.parametrize(
    ("kind", "media"), [("image", video()), ("video", photo()), ("image", photo(form="TIFF"))]
)
def test_what_fal_does_not_take_is_refused(kind, media):
    assert model(kind=kind).refuse(params(), media)


@pytest.mark.parametrize(("kind", "media"), [("image", photo()), ("video", video())])
def test_what_fal_takes_is_taken(kind, media):
    assert model(kind=kind).refuse(params(), media) is None
