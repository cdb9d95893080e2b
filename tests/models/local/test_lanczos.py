"""local/lanczos as a description: what size, which ending, what is refused."""

import re

import pytest
from pydantic import ValidationError

from batchup.models import find, names
from batchup.models.local.lanczos import MODEL
from batchup.source import Media, Size


def picture(width=4000, height=3000, form="JPEG", **more):
    return Media("image", form, width, height, **{"mode": "RGB", **more})


def params(**given):
    return MODEL.params.model_validate(given)


@pytest.mark.parametrize(
    ("given", "size", "expected"),
    [
        ({}, (1001, 333), (2002, 666)),
        ({"scale": 1}, (7, 5), (7, 5)),
        ({"scale": 1.5}, (1001, 333), (1502, 500)),
        ({"scale": 1.1}, (5, 15), (6, 17)),
        ({"scale": 1.15}, (10, 30), (12, 35)),
        ({"scale": 16}, (1, 1), (16, 16)),
        ({"width": 2001}, (1001, 333), (2001, 666)),
        ({"height": 1000}, (1001, 333), (3006, 1000)),
        ({"width": 4000, "height": 500}, (1001, 333), (1503, 500)),
        ({"width": 1200, "height": 5000}, (1000, 300), (1200, 360)),
        ({"width": 2000}, (1000, 1), (2000, 2)),
        ({"megapixels": 4}, (1000, 1000), (2000, 2000)),
        ({"megapixels": "4MP"}, (1000, 250), (4000, 1000)),
        ({"megapixels": "12.5 mp"}, (1000, 1000), (3536, 3536)),
        ({"megapixels": 1}, (1000, 1000), (1000, 1000)),
    ],
)
def test_each_side_is_the_exact_product_rounded_half_up(given, size, expected):
    assert MODEL.size(params(**given), picture(*size)) == Size(*expected)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scale": 2, "width": 3000}, "scale and width exclude each other"),
        ({"scale": 2, "megapixels": 3}, "scale and megapixels exclude each other"),
        ({"megapixels": 2, "height": 3}, "megapixels and height exclude each other"),
        ({"scale": None}, "set one of width, height, megapixels"),
        ({"scale": 0.5}, "greater than or equal to 1"),
        ({"scale": 17}, "less than or equal to 16"),
        ({"scale": "2"}, "valid number"),
        ({"megapixels": "big"}, "valid number"),
        ({"megapixels": float("inf")}, "finite"),
        ({"width": 1.5}, "valid integer"),
        ({"output_format": "psd"}, "'jpeg'"),
        ({"quality": 101}, "less than or equal to 100"),
        ({"sharpen": True}, "not permitted"),
    ],
)
def test_wrong_parameters_are_named(given, said):
    with pytest.raises(ValidationError, match=said):
        params(**given)


@pytest.mark.parametrize("given", [{}, {"scale": 3}, {"width": 9000}, {"megapixels": "40MP", "quality": 80}])
def test_parameters_with_their_defaults_are_parameters_again(given):
    dumped = params(**given).model_dump()

    assert params(**dumped).model_dump() == dumped


@pytest.mark.parametrize(
    ("output_format", "form", "ending", "expected"),
    [
        (None, "JPEG", ".JPEG", ".jpeg"),
        (None, "JPEG", ".jpg", ".jpg"),
        (None, "PNG", ".jpg", ".png"),
        (None, "JPEG", ".mpo", ".jpg"),
        (None, "TIFF", ".TIFF", ".tiff"),
        (None, "HEIC", ".HEIC", ".heic"),
        (None, "JPEG2000", ".jp2", ".png"),
        (None, "GIF", "", ".gif"),
        ("jpeg", "PNG", ".png", ".jpg"),
        ("tiff", "PNG", ".png", ".tif"),
        ("avif", "JPEG", ".jpeg", ".avif"),
        (None, None, ".WebP", ".webp"),
        (None, None, ".php", ".png"),
        (None, None, "", ".png"),
    ],
)
def test_the_ending_is_that_of_the_content_in_lower_case(output_format, form, ending, expected):
    media = picture(form=form) if form else None

    assert MODEL.ext(params(output_format=output_format), media, ending) == expected


@pytest.mark.parametrize(
    ("given", "media", "said"),
    [
        ({}, Media("video", "MP4", 10, 10), "local/lanczos-video"),
        ({"width": 3999}, picture(), "already larger than the target: 4000x3000, width 3999 wanted"),
        ({"width": 5000, "height": 2000}, picture(), "already larger"),
        ({"megapixels": 11.9}, picture(), "already larger than the target: 4000x3000, 11.9 MP wanted"),
        ({}, picture(form="PNG", bits=16), "16 bits a channel"),
        ({}, picture(form="HEIC", bits=10), "10 bits a channel"),
        ({}, picture(form="PNG", bits=16, mode="RGBA"), "convert it to 8 bits"),
        ({"output_format": "jpeg"}, picture(form="TIFF", bits=16, mode="I;16B"), "png or tiff"),
        ({"output_format": "png"}, picture(form="TIFF", bits=32, mode="F"), "floating-point grey"),
        ({"output_format": "png"}, picture(mode="CMYK"), "CMYK.*tiff or jpeg"),
        ({"output_format": "png"}, picture(form="TIFF", frames=3), "3 pages, which only TIFF holds"),
        ({"output_format": "jpeg"}, picture(form="GIF", frames=3), "3 frames.*webp, png or gif"),
        ({}, picture(form="AVIF", frames=3), "3 frames"),
        ({"scale": 16}, picture(4100, 10), "65,500 pixels a side"),
        ({"scale": 5}, picture(form="WEBP"), "20000x15000 would come out, and WebP holds 16,383"),
        ({"scale": 16}, picture(form="PNG"), "1,000 megapixels"),
    ],
)
def test_what_would_be_lost_or_cannot_be_written_is_refused_with_a_reason(given, media, said):
    reason = MODEL.refuse(params(**given), media)

    assert reason is not None
    assert re.search(said, reason)


@pytest.mark.parametrize(
    ("given", "media"),
    [
        ({}, picture()),
        ({"width": 4000}, picture()),
        ({"megapixels": 12}, picture()),
        ({}, picture(form="PNG", bits=16, mode="I;16")),
        ({"output_format": "tiff"}, picture(form="PNG", bits=16, mode="I;16")),
        ({}, picture(form="TIFF", bits=32, mode="F")),
        ({}, picture(form="TIFF", frames=9)),
        ({"output_format": "webp"}, picture(640, 480, form="GIF", frames=9)),
        ({}, picture(mode="CMYK")),
    ],
)
def test_what_can_be_kept_is_taken(given, media):
    assert MODEL.refuse(params(**given), media) is None


def test_it_is_found_by_its_name():
    assert "local/lanczos" in names()
    assert find("local/lanczos") is MODEL


def test_it_costs_nothing_and_its_memory_grows_with_the_output():
    small, large = picture(1000, 1000), picture(4000, 3000)

    assert MODEL.price_usd(params(), large) == 0
    assert MODEL.memory_bytes(params(), large) > MODEL.memory_bytes(params(), small) > 0
