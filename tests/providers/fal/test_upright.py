import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from batchup.errors import RejectedError
from batchup.media import probe
from batchup.providers.fal.upright import FUNCTION, Turned, Upright, memory_bytes, upright
from batchup.providers.local.pool import open_pool
from tests.providers.local.pictures import photo, shown

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def turned(path, orientation, image=None, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera"
    (image or photo()).save(path, exif=exif, icc_profile=ICC, **options)
    return path


def turn(source):
    output = source.with_name("copy.part")
    return upright(Turned(str(source), str(output))), output


def as_shown(path):
    """What a viewer shows that obeys EXIF."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGBA"), dtype=np.int16)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("name", "options", "most"),
    [
        ("a.jpg", {"quality": 95, "subsampling": 0}, 24),
        ("a.png", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.webp", {"quality": 95}, 30),
        ("a.tif", {}, 0),
        ("a.avif", {"quality": 90}, 0),
    ],
    ids=["jpeg", "png", "lossless webp", "webp", "tiff", "avif"],
)
def test_the_copy_shows_the_same_picture_with_no_orientation(tmp_path, name, options, most, orientation):
    source = turned(tmp_path / name, orientation, **options)

    _, output = turn(source)

    with Image.open(output) as image:
        assert image.getexif().get(0x0112, 1) == 1
        stored = np.asarray(image.convert("RGBA"), dtype=np.int16)
    assert np.abs(stored - as_shown(source)).max() <= most
    media = probe(source)
    assert media is not None
    assert media.size == (stored.shape[1], stored.shape[0])


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.jpg", "image/jpeg"), ("a.png", "image/png"), ("a.webp", "image/webp"), ("a.tif", "image/png")],
)
def test_profile_and_exif_go_with_it(tmp_path, name, content_type):
    made, output = turn(turned(tmp_path / name, 6))

    with shown(output) as copy:
        assert made.content_type == content_type == copy.get_format_mimetype()
        assert copy.info["icc_profile"] == ICC
        assert copy.getexif()[0x010F] == "Camera"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_of_any_kind_loses_nothing(tmp_path, mode):
    image = photo(mode="L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50)
    source = turned(tmp_path / "a.png", 6, image)

    _, output = turn(source)

    with Image.open(source) as before, Image.open(output) as after:
        expected = before.transpose(Image.Transpose.ROTATE_270)
        if mode == "I;16":
            assert after.mode == mode
            assert np.array_equal(np.asarray(after), np.asarray(expected))
        else:
            assert np.array_equal(np.asarray(after.convert("RGBA")), np.asarray(expected.convert("RGBA")))


@pytest.mark.parametrize(("name", "content_type"), [("a.jpg", "image/jpeg"), ("a.tif", "image/tiff")])
def test_printing_colours_stay_what_they_are(tmp_path, name, content_type):
    made, output = turn(turned(tmp_path / name, 3, photo(mode="CMYK")))

    assert made.content_type == content_type
    with shown(output) as copy:
        assert copy.mode == "CMYK"


def test_exif_too_large_for_its_format_is_left_out(tmp_path):
    source = turned(tmp_path / "a.jpg", 6)
    with Image.open(source) as image:
        image.load()
        exif = image.getexif()
        exif[0x9286] = b"x" * 60_000
        exif[0x010E] = "y" * 5_400
        image.save(source, exif=exif, xmp=b"")

    made, _ = turn(source)

    assert made.content_type == "image/jpeg"


def test_a_moving_picture_is_refused_rather_than_stopped(tmp_path):
    frames = [photo(seed=1), photo(seed=2)]
    source = turned(tmp_path / "a.webp", 6, frames[0], save_all=True, append_images=frames[1:])

    with pytest.raises(RejectedError) as met:
        turn(source)

    assert met.value.kind == "animation_unsupported"


@pytest.mark.parametrize(("content", "kind"), [(b"nothing", "not_media"), (None, "image_truncated")])
def test_a_file_that_cannot_be_read_fails_alone(tmp_path, content, kind):
    source = turned(tmp_path / "a.jpg", 6, photo(400, 300))
    source.write_bytes(content or source.read_bytes()[:-3000])

    with pytest.raises(RejectedError) as met:
        turn(source)

    assert met.value.kind == kind


async def test_a_pool_turns_it_in_a_process_of_its_own(tmp_path):
    source, output = turned(tmp_path / "a.jpg", 6), tmp_path / "copy.part"
    media = probe(source)
    assert media is not None

    async with open_pool(1, 1 << 30) as pool:
        made = await pool.call(FUNCTION, Turned(str(source), str(output)), memory_bytes=memory_bytes(media))

    assert Upright(**made) == Upright("image/jpeg")
    assert probe(output).size == (30, 40)
