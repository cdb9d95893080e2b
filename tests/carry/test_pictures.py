import io
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from batchup import media
from batchup.carry import Carrying, carry
from tests.carry.disk import file_size_limit
from tests.providers.local.pictures import photo

ORIENTATION, MAKE, XRES, EXIF_IFD, GPS_IFD = 0x0112, 0x010F, 0x011A, 0x8769, 0x8825
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="Sea"/></x:xmpmeta>'
)
IPTC = b"8BIM\x04\x04\0\0\0\0\0\x0e\x1c\x02\x78\0\x09Harbour 1"
REMOTE = "made by a model"
OUTPUTS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 90, "comment": REMOTE},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {"description": REMOTE, "compression": "tiff_lzw"},
}


@cache  # it holds the time at which it was made
def profile(space="RGB") -> bytes:
    """Display P3: sRGB's curve would do, but its colours must differ, so that nothing takes it for sRGB."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    icc[16:20] = space.encode().ljust(4)
    at = icc.index(b"rXYZ")
    (place,) = struct.unpack_from(">I", icc, at + 4)
    struct.pack_into(">3i", icc, place + 8, round(0.5151 * 65536), round(0.2412 * 65536), -69)
    return bytes(icc)


def exif_of(image: Image.Image) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "Maker"
    exif.get_ifd(EXIF_IFD)[0xA002], exif.get_ifd(EXIF_IFD)[0xA003] = image.size
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (48.0, 8.0, 14.0)})
    return exif


def with_thumbnail(block: bytes) -> bytes:
    """Put a second directory with a picture behind *block*."""
    small = io.BytesIO()
    photo(8, 6).save(small, "JPEG")
    tiff = bytearray(block.removeprefix(b"Exif\0\0"))
    order = "<" if tiff[:2] == b"II" else ">"
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, first)
    at = len(tiff) + len(tiff) % 2
    struct.pack_into(f"{order}I", tiff, first + 2 + 12 * count, at)
    directory = struct.pack(f"{order}H", 2)
    directory += struct.pack(f"{order}HHII", 0x201, 4, 1, at + 30)
    directory += struct.pack(f"{order}HHII", 0x202, 4, 1, len(small.getvalue()))
    return bytes(tiff.ljust(at, b"\0")) + directory + bytes(4) + small.getvalue()


def make_source(path: Path, form="JPEG", icc=None) -> Path:
    """A photo on its side with everything that a camera and an archive write into it."""
    image = photo(30, 40)
    block = b"Exif\0\0" + with_thumbnail(exif_of(image).tobytes())
    icc = profile() if icc is None else icc
    if form == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
        texts.add_text("Author", "Ada")
        image.save(path, form, exif=block, pnginfo=texts, icc_profile=icc, dpi=(300, 300))
    elif form == "JPEG":
        iptc = b"\xff\xed" + struct.pack(">H", len(IPTC) + 16) + b"Photoshop 3.0\0" + IPTC
        image.save(
            path, form, exif=block, xmp=XMP, icc_profile=icc, dpi=(300, 300), extra=iptc, comment=b"Ahoi"
        )
    elif form == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[ORIENTATION], tags[MAKE], tags[700] = 6, "Maker", XMP
        image.save(path, form, tiffinfo=tags, icc_profile=icc, dpi=(300, 300))
    else:
        image.save(path, form, exif=block, xmp=XMP, icc_profile=icc)
    return path


def make_output(path: Path, form: str, mode="RGB", **more) -> Path:
    options = dict(OUTPUTS[form])
    if form == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Software", REMOTE)
        options["pnginfo"] = texts
    photo(160, 120, mode).save(path, form, **(options | more))
    return path


def carried(source, part, *, keep=True):
    """Carry, and see that no pixel and nothing of how it is shown has changed."""
    before, found = decoded(part), media.probe(part)

    result = carry(Carrying(str(source), str(part), keep_metadata=keep, kind="image"))

    assert np.array_equal(decoded(part), before)
    assert media.verify(part) == found
    assert [file.name for file in part.parent.iterdir() if file.suffix == ".carried"] == []
    return result.notes


def decoded(path):
    with Image.open(path) as image:
        frames = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            frames.append(np.asarray(image.convert("RGBA")))
        return np.stack(frames)


def opened(path):
    with Image.open(path) as image:
        image.load()
        return image, image.getexif()


@pytest.mark.parametrize("form", OUTPUTS)
@pytest.mark.parametrize("origin", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_an_output_gets_all_that_its_input_says(tmp_path, origin, form):
    source, part = make_source(tmp_path / "source", origin), make_output(tmp_path / "a.part", form)

    notes = carried(source, part)

    image, exif = opened(part)
    assert notes == ()
    assert exif[MAKE] == "Maker"
    assert exif.get(ORIENTATION, 1) == 1
    assert b"Sea" in bytes(image.info.get("xmp") or exif.get(700))
    assert image.info["icc_profile"] == profile()
    if origin in {"JPEG", "PNG"}:
        assert exif.get_ifd(GPS_IFD)[2] == (48.0, 8.0, 14.0)
        assert [exif.get_ifd(EXIF_IFD)[tag] for tag in (0xA002, 0xA003)] == [160, 120]
    if origin in {"JPEG", "PNG", "TIFF"} and form != "WEBP":
        assert [round(value) for value in image.info["dpi"]] == [300, 300]


@pytest.mark.parametrize("form", OUTPUTS)
def test_no_stale_thumbnail_and_no_stale_orientation_come_along(tmp_path, form):
    source, part = make_source(tmp_path / "source"), make_output(tmp_path / "a.part", form)
    thumbnail = io.BytesIO()
    photo(8, 6).save(thumbnail, "JPEG")
    assert thumbnail.getvalue() in source.read_bytes()

    carried(source, part)

    assert thumbnail.getvalue() not in part.read_bytes()
    assert b'tiff:Orientation="1"' in part.read_bytes()


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "stripped"])
@pytest.mark.parametrize("form", OUTPUTS)
def test_carrying_twice_gives_the_same_file(tmp_path, form, keep):
    source, part = make_source(tmp_path / "source"), make_output(tmp_path / "a.part", form)
    carried(source, part, keep=keep)
    once = part.read_bytes()

    carried(source, part, keep=keep)

    assert part.read_bytes() == once


@pytest.mark.parametrize("form", OUTPUTS)
def test_stripped_outputs_have_profile_and_resolution_only(tmp_path, form):
    source, part = make_source(tmp_path / "source"), make_output(tmp_path / "a.part", form)
    if form == "TIFF":
        assert REMOTE in str(opened(part)[1][270])

    carried(source, part, keep=False)

    image, exif = opened(part)
    assert image.info["icc_profile"] == profile()
    assert not {MAKE, GPS_IFD, EXIF_IFD, 270, 700} & set(exif)
    assert "xmp" not in image.info
    if form != "TIFF":  # where what was written stays in the file, but belongs to nothing
        assert REMOTE.encode() not in part.read_bytes()
    if form != "WEBP":
        assert [round(value) for value in image.info["dpi"]] == [300, 300]


def test_iptc_and_comments_go_from_jpeg_to_jpeg(tmp_path):
    source, part = make_source(tmp_path / "source"), make_output(tmp_path / "a.part", "JPEG")

    carried(source, part)

    assert b"Photoshop 3.0\0" + IPTC in part.read_bytes()
    assert opened(part)[0].info["comment"] == b"Ahoi"


def test_texts_go_from_png_to_png_beside_the_models_own(tmp_path):
    source, part = make_source(tmp_path / "source", "PNG"), make_output(tmp_path / "a.part", "PNG")

    carried(source, part)

    texts = opened(part)[0].info
    assert (texts["Author"], texts["Software"]) == ("Ada", REMOTE)


def test_what_exiftool_writes_behind_a_pngs_pixels_is_found(tmp_path):
    source, part = make_source(tmp_path / "source", "PNG"), make_output(tmp_path / "a.part", "JPEG")
    data = source.read_bytes()
    blocks, at = [], 8
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        blocks.append((name, data[at : at + 12 + length]))
        at += 12 + length
    late = {b"eXIf", b"iTXt"}
    blocks.sort(key=lambda block: (block[0] in late) + 2 * (block[0] == b"IEND"))
    source.write_bytes(data[:8] + b"".join(block for _, block in blocks))

    carried(source, part)

    image, exif = opened(part)
    assert exif[MAKE] == "Maker"
    assert b"Sea" in image.info["xmp"]


@pytest.mark.parametrize("form", OUTPUTS)
def test_an_output_with_a_profile_keeps_it(tmp_path, form):
    own = profile() + b"own"
    source, part = make_source(tmp_path / "source"), make_output(tmp_path / "a.part", form, icc_profile=own)

    carried(source, part)

    assert opened(part)[0].info["icc_profile"] == own


@pytest.mark.parametrize(("space", "mode"), [("GRAY", "RGB"), ("CMYK", "RGB"), ("RGB", "L")])
def test_a_profile_of_other_colours_is_left_out(tmp_path, space, mode):
    source = make_source(tmp_path / "source", icc=profile(space))
    part = make_output(tmp_path / "a.part", "PNG", mode)

    carried(source, part)

    assert "icc_profile" not in opened(part)[0].info


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_moving_output_keeps_moving(tmp_path, form):
    source, part = make_source(tmp_path / "source"), tmp_path / "a.part"
    first, *others = [photo(32, 24, seed=seed) for seed in range(4)]
    first.save(part, form, save_all=True, append_images=others, duration=120, lossless=True)

    carried(source, part)

    image, exif = opened(part)
    assert exif[MAKE] == "Maker"
    assert image.n_frames == 4


@pytest.mark.parametrize("options", [{}, {"lossless": True}], ids=["lossy", "lossless"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_plain_webp_of_any_kind_becomes_an_extended_one(tmp_path, mode, options):
    source, part = make_source(tmp_path / "source", "PNG"), tmp_path / "a.part"
    image = photo(33, 25)
    if mode == "RGBA":
        image.putalpha(photo(33, 25, "L"))
    image.save(part, "WEBP", **options)

    carried(source, part)

    assert part.read_bytes()[12:16] == b"VP8X"
    assert opened(part)[0].mode == mode


def test_a_progressive_jpeg_of_printing_colours_stays_one(tmp_path):
    source = make_source(tmp_path / "source")
    part = make_output(tmp_path / "a.part", "JPEG", "CMYK", progressive=True)

    carried(source, part)

    image, exif = opened(part)
    assert (image.mode, exif[MAKE]) == ("CMYK", "Maker")
    assert "icc_profile" not in image.info


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "stripped"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_an_output_that_is_stored_turned_is_shown_as_before(tmp_path, form, keep):
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 8, REMOTE
    source, part = make_source(tmp_path / "source"), make_output(tmp_path / "a.part", form, exif=exif)

    notes = carried(source, part, keep=keep)

    assert opened(part)[1][ORIENTATION] == 8
    assert bool(notes) == keep
    assert (REMOTE.encode() in part.read_bytes()) == keep


def test_exif_that_no_jpeg_can_hold_is_left_out_with_a_note(tmp_path):
    source, part = tmp_path / "source", make_output(tmp_path / "a.part", "JPEG")
    exif = exif_of(photo())
    exif.get_ifd(EXIF_IFD)[0x927C] = bytes(70_000)
    photo().save(source, "PNG", exif=exif, dpi=(300, 300))

    (note,) = carried(source, part)

    assert note == "the input's EXIF is larger than a JPEG holds, and is left out"
    assert opened(part)[0].info["dpi"] == (300, 300)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "No such file"),
        (b"no picture", "it is no image"),
        (b"\xff\xd8\xff\xe1\x40\0Exif\0\0", "cannot be read"),
    ],
    ids=["gone", "foreign", "cut"],
)
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "stripped"])
def test_an_input_that_cannot_be_read_costs_nothing_but_its_metadata(tmp_path, data, said, keep):
    source, part = tmp_path / "source", make_output(tmp_path / "a.part", "PNG")
    if data is not None:
        source.write_bytes(data)

    (note,) = carried(source, part, keep=keep)

    assert said in note
    assert ("Software" in opened(part)[0].info) == keep


def test_without_an_input_at_hand_an_output_is_stripped_all_the_same(tmp_path):
    part = make_output(tmp_path / "a.part", "JPEG")

    notes = carried("", part, keep=False)

    assert notes == ()
    assert REMOTE.encode() not in part.read_bytes()


@pytest.mark.parametrize("form", OUTPUTS)
def test_an_output_that_is_cut_anywhere_is_never_made_worse(tmp_path, form):
    source, whole = make_source(tmp_path / "source"), make_output(tmp_path / "a.part", form).read_bytes()
    part = tmp_path / "b.part"

    for length in range(0, min(len(whole), 1500), 23):
        part.write_bytes(whole[:length])
        carry(Carrying(str(source), str(part), keep_metadata=True, kind="image"))

        assert part.stat().st_size >= length
        assert not (tmp_path / "b.carried").exists()


def test_a_format_that_holds_no_metadata_is_left_as_it_is(tmp_path):
    source, part = make_source(tmp_path / "source"), tmp_path / "a.part"
    photo().save(part, "GIF")
    before = part.read_bytes()

    (note,) = carried(source, part)

    assert note.startswith("GIF files are left as the model made them")
    assert part.read_bytes() == before


def test_a_disk_that_refuses_is_an_error_and_the_output_stays(tmp_path):
    source, part = make_source(tmp_path / "source"), make_output(tmp_path / "a.part", "PNG")
    before = part.read_bytes()

    with file_size_limit(len(before)), pytest.raises(OSError, match="File too large"):
        carry(Carrying(str(source), str(part), keep_metadata=True, kind="image"))

    assert part.read_bytes() == before
    assert not (tmp_path / "a.carried").exists()
