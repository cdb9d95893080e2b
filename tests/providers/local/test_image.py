"""What local/lanczos makes of the pixels."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from batchup.errors import RejectedError
from batchup.providers.local.picture import ifd
from tests.providers.local.pictures import enlarge, photo, pixels, shown

LANCZOS = Image.Resampling.LANCZOS
ORIENTATION = 0x0112


def deep(width=40, height=30):
    """16-bit grey with hard edges, next to which a careless Lanczos wraps around."""
    values = (np.arange(width * height).reshape(height, width) * 17 % 65_536).astype(np.uint16)
    values[5:12, 5:12] = 65_535
    values[15:22, 15:22] = 0
    return values


@pytest.mark.parametrize("ending", [".png", ".tif", ".webp", ".bmp"])
def test_without_loss_the_result_is_that_of_the_library(tmp_path, ending):
    source = tmp_path / f"a{ending}"
    photo().save(source, lossless=True)

    output = enlarge(source, {"scale": 2.5})

    expected = np.asarray(photo().resize((100, 75), LANCZOS).convert("RGBA"))
    assert (pixels(output) == expected).all()


@pytest.mark.parametrize(
    ("ending", "tolerance"), [(".jpg", 2), (".webp", 3), (".avif", 3), (".heic", 4), (".gif", 6)]
)
def test_with_loss_the_result_looks_like_that_of_the_library(tmp_path, ending, tolerance):
    source = tmp_path / f"a{ending}"
    photo(96, 64).save(source)
    with shown(source) as image:
        expected = np.asarray(image.convert("RGB").resize((192, 128), LANCZOS), dtype=np.int16)

    output = enlarge(source)

    assert np.abs(pixels(output)[..., :3] - expected).mean() < tolerance


def test_a_gradient_stays_where_it_is_without_a_shift_of_half_a_pixel(tmp_path):
    source = tmp_path / "a.png"
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (60, 1))
    Image.fromarray(ramp).save(source)

    output = enlarge(source, {"scale": 4})

    with shown(output) as image:
        row = np.asarray(image, dtype=float)[120, 16:-16]
    centres = (np.arange(16, 224) + 0.5) / 4 - 0.5
    assert np.abs(row - centres * 4).max() <= 0.75


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_the_picture_stands_upright_and_the_tag_says_so(tmp_path, ending, orientation):
    turned, upright = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    lossy = ending in {".jpg", ".webp", ".avif"}
    options: dict[str, Any] = {"quality": 100} if lossy else {}
    photo().save(turned, exif=exif, **options)
    with shown(turned) as image:
        from PIL import ImageOps

        image.load()
        # Pillow turns a TIFF while it loads it.
        (image if ending == ".tif" else ImageOps.exif_transpose(image)).save(upright, **options, exif=b"")

    output = enlarge(turned, {"quality": 100})

    assert np.abs(pixels(output) - pixels(enlarge(upright, {"quality": 100}))).mean() < 3
    with shown(output) as image:
        assert image.getexif().get(ORIENTATION, 1) == 1


@pytest.mark.parametrize(
    ("mode", "ending", "expected"),
    [
        ("1", ".png", "L"),
        ("1", ".tif", "L"),
        ("L", ".png", "L"),
        ("L", ".jpg", "L"),
        ("L", ".tif", "L"),
        ("L", ".bmp", "L"),
        ("L", ".gif", "L"),
        ("LA", ".png", "LA"),
        ("P", ".png", "RGB"),
        ("P", ".bmp", "RGB"),
        ("RGBA", ".png", "RGBA"),
        ("RGBA", ".tif", "RGBA"),
        ("RGBA", ".webp", "RGBA"),
        ("RGBA", ".avif", "RGBA"),
        ("CMYK", ".jpg", "CMYK"),
        ("CMYK", ".tif", "CMYK"),
        ("LAB", ".tif", "LAB"),
        ("YCbCr", ".tif", "RGB"),
        ("I", ".tif", "I"),
        ("F", ".tif", "F"),
    ],
)
def test_the_kind_of_pixels_is_kept_where_lanczos_can_work_in_it(tmp_path, mode, ending, expected):
    source = tmp_path / f"a{ending}"
    image = photo().convert("L").convert(mode) if mode in {"I", "F"} else photo().convert("RGBA")
    if mode == "RGBA":
        image.putalpha(photo(mode="L"))
    elif mode == "LAB":
        image = Image.merge("LAB", photo().split())
    elif mode not in {"I", "F"}:
        image = image.convert("RGB").convert(mode)
    image.save(source)

    output = enlarge(source)

    with shown(output) as image:
        assert image.mode == expected


@pytest.mark.parametrize("form", ["1", "P"])
def test_black_and_white_and_palettes_are_interpolated_and_not_repeated(tmp_path, form):
    source = tmp_path / "a.png"
    image = photo(64, 64).quantize(8) if form == "P" else photo(64, 64).convert("1", dither=Image.Dither.NONE)
    image.save(source)

    output = enlarge(source, {"scale": 4})

    with shown(output) as large:
        colours = large.convert("RGB").getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 20


def test_a_palette_of_greys_stays_grey(tmp_path):
    source = tmp_path / "a.png"
    image = photo(mode="L").convert("P")
    image.save(source)

    with shown(enlarge(source)) as large:
        assert large.mode == "L"


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bits_of_grey_stay_exact(tmp_path, ending, mode):
    source = tmp_path / f"a{ending}"
    data = deep().astype(">u2" if mode == "I;16B" else "<u2").tobytes()
    Image.frombytes(mode, (40, 30), data).save(source)

    output = enlarge(source)

    exact = np.asarray(Image.fromarray(deep().astype(np.float32)).resize((80, 60), LANCZOS))
    with shown(output) as image:
        assert image.mode.startswith("I;16")
        found = np.asarray(image).astype(float)
    assert np.abs(found - np.clip(exact, 0, 65_535)).max() <= 2


@pytest.mark.parametrize("mode", ["I", "F"])
def test_floating_point_and_32_bits_of_grey_stay_exact_in_a_tiff(tmp_path, mode):
    source = tmp_path / "a.tif"
    values = (deep().astype(np.float32) * 3.7 - 1000).astype(np.int32 if mode == "I" else np.float32)
    Image.fromarray(values).save(source)

    output = enlarge(source)

    exact = np.asarray(Image.fromarray(values.astype(np.float32)).resize((80, 60), LANCZOS))
    with shown(output) as image:
        assert np.abs(np.asarray(image) - exact).max() <= 2


@pytest.mark.parametrize(("mode", "ending"), [("RGBA", ".png"), ("RGBA", ".tif"), ("LA", ".png")])
def test_what_is_invisible_does_not_darken_what_is_visible(tmp_path, mode, ending):
    source = tmp_path / f"a{ending}"
    white = (255, 255, 255, 255) if mode == "RGBA" else (255, 255)
    image = Image.new(mode, (16, 16), 0)
    image.paste(white, (4, 4, 12, 12))
    image.save(source)

    output = pixels(enlarge(source))

    visible = output[..., 3] > 20
    assert visible.any()
    assert output[visible][:, :3].min() >= 250


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_transparent_colour_becomes_an_alpha_channel(tmp_path, mode):
    source = tmp_path / "a.png"
    image = Image.new("RGB", (16, 16), (255, 255, 255))
    image.paste((10, 10, 10), (0, 0, 8, 16))
    key = {"L": 10, "RGB": (10, 10, 10), "P": 0}[mode]
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    key = image.getpixel((0, 0)) if mode == "P" else key
    image.save(source, transparency=key)

    output = pixels(enlarge(source))

    assert output[16, 2, 3] == 0
    assert tuple(output[16, 30]) == (255, 255, 255, 255)
    assert output[output[..., 3] > 20][:, :3].min() >= 250


def test_transparency_is_not_lost_in_a_format_without_it(tmp_path):
    source = tmp_path / "a.png"
    Image.new("RGBA", (8, 8), (1, 2, 3, 100)).save(source)

    with pytest.raises(
        RejectedError, match="transparency, which JPEG cannot hold; set output_format"
    ) as caught:
        enlarge(source, {"output_format": "jpeg"})

    assert caught.value.kind == "transparency_unsupported"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_alpha_channel_in_which_all_is_opaque_may_go(tmp_path, mode):
    source = tmp_path / "a.png"
    photo().convert(mode).save(source)

    with shown(enlarge(source, {"output_format": "jpeg"})) as image:
        assert image.mode == mode[:-1]


@pytest.mark.parametrize("adobe", [True, False], ids=["inverted", "plain"])
def test_printing_colours_keep_their_values(tmp_path, adobe):
    source = tmp_path / ("a.jpg" if adobe else "a.tif")
    inks = Image.merge("CMYK", [photo(mode="L", seed=seed) for seed in range(4)])
    if adobe:
        inks.save(source, quality=100)
    else:
        inks.save(source)

    output = enlarge(source, {"quality": 100})

    with shown(output) as image:
        found = np.asarray(image, dtype=np.int16)
    assert np.abs(found - np.asarray(inks.resize((80, 60), LANCZOS))).mean() < 2


@pytest.mark.parametrize(("subsampling", "progressive"), [(0, False), (1, True), (2, False)])
def test_a_jpeg_keeps_its_subsampling_and_its_passes(tmp_path, subsampling, progressive):
    source = tmp_path / "a.jpg"
    photo(64, 48).save(source, subsampling=subsampling, progressive=progressive)

    with shown(enlarge(source)) as image:
        from PIL import JpegImagePlugin

        assert JpegImagePlugin.get_sampling(image) == subsampling
        assert bool(image.info.get("progressive")) == progressive


def test_quality_is_a_parameter(tmp_path):
    source = tmp_path / "a.jpg"
    photo(200, 100).save(source)

    coarse = enlarge(source, {"quality": 20}).stat().st_size
    fine = enlarge(source, {"quality": 100}).stat().st_size

    assert coarse < fine / 2


def test_a_lossless_webp_stays_lossless(tmp_path):
    source = tmp_path / "a.webp"
    photo().save(source, lossless=True)

    assert b"VP8L" in enlarge(source).read_bytes()[:40]


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "jpeg"])
def test_a_tiff_keeps_its_compression(tmp_path, compression):
    source = tmp_path / "a.tif"
    photo(64, 48).save(source, compression=compression)

    with shown(enlarge(source)) as image:
        assert image.info["compression"] == (compression or "raw")


def test_every_page_of_a_tiff_is_enlarged_with_its_own_size_mode_and_tags(tmp_path):
    source = tmp_path / "a.tif"
    first, second, third = photo(40, 30), photo(20, 50, "L", seed=2), Image.fromarray(deep(10, 10))
    first.save(source, save_all=True, append_images=[second, third], compression="tiff_lzw")
    with source.open("r+b") as file:
        pages = ifd.directories(file)
        titles = [{270: ifd.Entry(2, b"page %d\0" % number)} for number in (1, 2, 3)]
        ifd.append(file, [{**page, **title} for page, title in zip(pages, titles, strict=True)])

    output = enlarge(source, {"width": 100})

    with shown(output) as image:
        found = []
        for index in range(image.n_frames):
            image.seek(index)
            image.load()
            found.append((image.size, image.mode, image.getexif()[270]))
            if index < 2:
                expected = (first, second)[index].resize(image.size, LANCZOS)
                assert (np.asarray(image) == np.asarray(expected)).all()
    assert found == [
        ((100, 75), "RGB", "page 1"),
        ((50, 125), "L", "page 2"),
        ((25, 25), "I;16", "page 3"),
    ]


def test_a_thumbnail_in_a_tiff_is_no_page(tmp_path):
    source = tmp_path / "a.tif"
    photo().save(source, save_all=True, append_images=[photo(8, 6)])
    with source.open("r+b") as file:
        first, second = ifd.directories(file)
        ifd.append(file, [first, {**second, 254: ifd.number(1)}])

    with shown(enlarge(source)) as image:
        assert image.n_frames == 1
