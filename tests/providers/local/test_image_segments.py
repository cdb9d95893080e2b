"""What only one format has, and what cannot go into another: it is kept there, or refused, and never silently lost."""

import struct
from io import BytesIO

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from batchup.errors import RejectedError
from batchup.providers.local.picture import ifd
from tests.providers.local.pictures import enlarge, photo, shown

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RESOURCES = b"8BIM\x04\x04\0\0\0\0\0\x0a\x1c\x02\x05\0\x05title"


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def test_a_jpeg_keeps_iptc_comments_and_other_segments(tmp_path):
    source = tmp_path / "a.jpg"
    long_resources = RESOURCES + b"8BIM\x0f\xa0\0\0\0\1\x11\x70" + bytes(70_000)
    photoshop = b"Photoshop 3.0\0"
    parts = [
        segment(0xED, photoshop + long_resources[:60_000]),
        segment(0xED, photoshop + long_resources[60_000:]),
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"g" * 32 + bytes(8) + b"<more/>"),
        segment(0xE4, b"maker's own"),
        segment(0xEB, b"JP\0\1 signed provenance"),
        segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0 gain map"),
        segment(0xFE, b"first"),
        segment(0xFE, b"caf\xe9"),
    ]
    photo().save(source, "JPEG", extra=b"".join(parts))

    output = enlarge(source)

    with shown(output) as image:
        segments = image.applist
    kept = [data for name, data in segments if name == "APP13"]
    assert b"".join(data.removeprefix(photoshop) for data in kept) == long_resources
    assert [data for name, data in segments if name == "COM"] == [b"first", b"caf\xe9"]
    assert ("APP4", b"maker's own") in segments
    assert any(data.endswith(b"<more/>") for _, data in segments)
    assert not any(b"provenance" in data or b"gain map" in data for _, data in segments)


def test_iptc_goes_from_jpeg_to_tiff_and_back(tmp_path):
    source = tmp_path / "a.jpg"
    photo().save(source, "JPEG", extra=segment(0xED, b"Photoshop 3.0\0" + RESOURCES))

    tiff = enlarge(source, {"output_format": "tiff"})
    jpeg = enlarge(tiff, {"output_format": "jpeg"})

    with tiff.open("rb") as file:
        assert ifd.directories(file)[0][34377].data == RESOURCES
    assert b"Photoshop 3.0\0" + RESOURCES in jpeg.read_bytes()


@pytest.mark.parametrize("keep", [True, False], ids=["keep", "strip"])
def test_a_png_keeps_texts_and_colour_chunks(tmp_path, keep):
    source = tmp_path / "a.png"
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "plain")
    info.add_text("Long", "packed " * 50, zip=True)
    info.add_itxt("Titel", "schön", "de", "Title")
    info.add(b"gAMA", struct.pack(">I", 100_000))
    info.add(b"cHRM", struct.pack(">8I", *range(30_000, 30_008)))
    photo().save(source, pnginfo=info, dpi=(72, 144))

    output = enlarge(source, keep_metadata=keep)

    with shown(output) as image:
        image.load()
        expected = {"Title": "plain", "Long": "packed " * 50, "Titel": "schön"} if keep else {}
        assert image.text == expected
        assert image.info["gamma"] == 1.0
        assert image.info["chromaticity"][0] == 0.3
        assert image.info["dpi"] == pytest.approx((72, 144), abs=0.02)


def test_colours_that_only_png_can_tell_are_not_lost(tmp_path):
    source = tmp_path / "a.png"
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", struct.pack(">I", 100_000))
    photo().save(source, pnginfo=info)

    with pytest.raises(RejectedError, match="gamma or cICP that only PNG holds") as caught:
        enlarge(source, {"output_format": "jpeg"})

    assert caught.value.kind == "colours_unsupported"


def test_a_profile_is_not_lost_in_a_format_without_one(tmp_path):
    source = tmp_path / "a.jpg"
    photo().save(source, icc_profile=PROFILE)

    with pytest.raises(RejectedError, match="colour profile, which BMP cannot hold") as caught:
        enlarge(source, {"output_format": "bmp"})

    assert caught.value.kind == "profile_unsupported"


def test_metadata_that_a_jpeg_has_no_room_for_is_not_lost(tmp_path):
    source = tmp_path / "a.webp"
    photo().save(source, xmp=b"<x/>" + b" " * 70_000)

    with pytest.raises(RejectedError, match="its XMP has 70,004 bytes") as caught:
        enlarge(source, {"output_format": "jpeg"})

    assert caught.value.kind == "metadata_too_large"


@pytest.mark.parametrize(
    ("ending", "options", "dpi"),
    [
        (".jpg", {"dpi": (300, 300)}, (300, 300)),
        (".png", {"dpi": (300, 300)}, (300, 300)),
        (".tif", {"dpi": (300.5, 150)}, (300.5, 150)),
        (".bmp", {"dpi": (96, 96)}, (96, 96)),
    ],
)
def test_the_resolution_is_kept(tmp_path, ending, options, dpi):
    source = tmp_path / f"a{ending}"
    photo().save(source, **options)

    output = enlarge(source)

    with shown(output) as image:
        assert image.info["dpi"] == pytest.approx(dpi, abs=0.05)


def test_private_tags_of_a_tiff_keep_their_types_and_bytes(tmp_path):
    source = tmp_path / "a.tif"
    private = {
        65_000: ifd.Entry(12, struct.pack("<2d", 1.5, -2.5)),
        65_001: ifd.Entry(10, struct.pack("<2i", -1, 3)),
        65_002: ifd.Entry(1, b"abcde"),
        42_112: ifd.Entry(2, b"<GDALMetadata/>\0"),
    }
    Image.frombytes("I;16B", (8, 8), bytes(128)).save(source)
    with source.open("r+b") as file:
        ifd.append(file, [{**ifd.directories(file)[0], **private}])

    output = enlarge(source)

    with output.open("rb") as file:
        (found,) = ifd.directories(file)
    assert {tag: found[tag] for tag in private} == private


def mpo(kind):
    """A JPEG with a second one behind it, whose index says what the second one is."""
    buffer = BytesIO()
    photo().save(buffer, "MPO", save_all=True, append_images=[photo(seed=2)])
    data = bytearray(buffer.getvalue())
    second = data.index(b"MPF\0") + 4 + 8 + 2 + 3 * 12 + 4 + 16
    assert data[second : second + 4] == bytes(4)
    struct.pack_into("<I", data, second, kind)
    return bytes(data)


def test_a_jpeg_with_a_preview_or_gain_map_behind_it_keeps_its_picture_alone(tmp_path):
    source = tmp_path / "a.jpg"
    source.write_bytes(mpo(0x010001))

    output = enlarge(source)

    assert b"MPF\0" not in output.read_bytes()
    with shown(output) as image:
        assert image.format == "JPEG"


def test_the_views_of_a_stereo_picture_are_not_reduced_to_one(tmp_path):
    source = tmp_path / "a.mpo"
    source.write_bytes(mpo(0x020002))

    with pytest.raises(RejectedError, match="holds 2 views") as caught:
        enlarge(source)

    assert caught.value.kind == "several_views"
