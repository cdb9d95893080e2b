"""What a picture's file holds besides its pixels comes through local/lanczos, and what is no longer true does not."""

import struct
from io import BytesIO

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from batchup.providers.local.picture import exif, ifd, xmp
from tests.providers.local.pictures import enlarge, photo, shown

ORIENTATION, DESCRIPTION, EXIF_IFD, GPS_IFD, MAKER_NOTE = 0x0112, 0x010E, 0x8769, 0x8825, 0x927C
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NOTE = b"MAKER\0" + bytes(range(256))
PACKET = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>'
    b'<rdf:Description tiff:Orientation="6" exif:PixelXDimension="40" dc:title="T"/>'
    b"<tiff:ImageLength>30</tiff:ImageLength></rdf:RDF></x:xmpmeta>"
)
RESOURCES = b"8BIM\x04\x04\0\0\0\0\0\x0a\x1c\x02\x05\0\x05title"


def exif_block(order="<", orientation=6, thumbnail=b""):
    """EXIF with a maker note, GPS and a thumbnail, in either byte order."""
    below = {
        MAKER_NOTE: ifd.Entry(7, NOTE),
        0xA002: ifd.Entry(3, b"\x28\0"),
        0xA003: ifd.Entry(3, b"\x1e\0"),
    }
    gps = {1: ifd.Entry(2, b"N\0"), 2: ifd.Entry(5, struct.pack("<6I", 48, 1, 8, 1, 30, 1))}
    first = {
        DESCRIPTION: ifd.Entry(2, b"by the sea\0"),
        ORIENTATION: ifd.Entry(3, struct.pack("<H", orientation)),
        EXIF_IFD: ifd.Entry(4, b"", below),
        GPS_IFD: ifd.Entry(4, b"", gps),
    }
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    if not thumbnail:
        return head + ifd.packed(first, 8, order)
    second_at = 8 + len(ifd.packed(first, 8, order))
    block = head + ifd.packed(first, 8, order, following=second_at)
    size = len(ifd.packed({0x201: ifd.number(0), 0x202: ifd.number(0)}, second_at, order))
    second = {0x201: ifd.number(second_at + size), 0x202: ifd.number(len(thumbnail))}
    return block + ifd.packed(second, second_at, order) + thumbnail


def thumbnail():
    buffer = BytesIO()
    photo(16, 12).save(buffer, "JPEG")
    return buffer.getvalue()


def tags(path):
    with shown(path) as image:
        image.load()
        found = image.getexif()
        return dict(found), found.get_ifd(EXIF_IFD), found.get_ifd(GPS_IFD), dict(image.info)


def check_exif(path):
    first, below, gps, _ = tags(path)
    assert first[DESCRIPTION] == "by the sea"
    assert first.get(ORIENTATION, 1) == 1
    assert below[MAKER_NOTE] == NOTE
    assert gps[1].rstrip("\0") == "N"
    assert [float(part) for part in gps[2]] == [48.0, 8.0, 30.0]
    with shown(path) as image:
        assert (below[0xA002], below[0xA003]) == image.size


def save_everything(path):
    """Save a sideways 40x30 picture (upright 30x40) with all that its format holds."""
    options = {"exif": exif.PREFIX + exif_block(), "icc_profile": PROFILE}
    if path.suffix == ".heic":
        image = photo(64, 48)
        image.info["icc_profile"] = PROFILE
    else:
        image = photo(40, 30)
    if path.suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", PACKET.decode())
        options["pnginfo"] = info
    else:
        options["xmp"] = PACKET
    if path.suffix in {".jpg", ".png"}:
        options["dpi"] = (300, 300)
    if path.suffix == ".tif":
        image.save(path, compression="tiff_lzw", dpi=(300, 300), icc_profile=PROFILE)
        with path.open("r+b") as file:
            parsed = ifd.parsed(exif_block())
            page = {**ifd.directories(file)[0], **parsed, 700: ifd.Entry(1, PACKET)}
            ifd.append(file, [{**page, 34377: ifd.Entry(7, RESOURCES)}])
    else:
        image.save(path, **options)


def check_everything(path):
    check_exif(path)
    _, _, _, info = tags(path)
    assert info["icc_profile"] == PROFILE
    packet = info["xmp"]
    packet = packet if isinstance(packet, bytes) else packet.encode()
    with shown(path) as image:
        width, height = image.size
    assert b'tiff:Orientation="1"' in packet or b"tiff:Orientation" not in packet  # pillow_heif takes it out
    assert b'exif:PixelXDimension="%d"' % width in packet
    assert b"<tiff:ImageLength>%d<" % height in packet
    assert b'dc:title="T"' in packet


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic"])
def test_exif_xmp_and_icc_profile_come_through(tmp_path, ending):
    source = tmp_path / f"a{ending}"
    save_everything(source)

    output = enlarge(source)

    check_everything(output)


@pytest.mark.parametrize("wanted", ["jpeg", "png", "webp", "tiff", "avif", "heic"])
@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif"])
def test_exif_xmp_and_icc_profile_change_formats(tmp_path, ending, wanted):
    source = tmp_path / f"a{ending}"
    save_everything(source)

    output = enlarge(source, {"output_format": wanted})

    check_everything(output)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".avif", ".heic"])
def test_stripping_leaves_colours_resolution_and_the_right_way_up(tmp_path, ending):
    source = tmp_path / f"a{ending}"
    save_everything(source)

    output = enlarge(source, keep_metadata=False)

    first, below, gps, info = tags(output)
    assert info["icc_profile"] == PROFILE
    assert DESCRIPTION not in first
    assert not below
    assert not gps
    assert not info.get("xmp")
    assert 700 not in first
    assert 34377 not in first
    data = output.read_bytes()
    assert NOTE not in data
    assert b"by the sea" not in data
    if ending in {".jpg", ".png", ".tif"}:
        assert info["dpi"] == pytest.approx((300, 300), abs=0.01)
    with shown(output) as image:
        assert image.width < image.height or ending == ".heic"


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
def test_exif_is_changed_in_place_and_its_thumbnail_taken_out(order):
    block = exif_block(order, thumbnail=thumbnail())

    fitted = exif.fitted(exif.PREFIX + block, 123, 70_000)

    assert fitted.index(NOTE) == block.index(NOTE)
    assert thumbnail() not in fitted
    found = Image.Exif()
    found.load(fitted)
    assert found[ORIENTATION] == 1
    assert found.get_ifd(EXIF_IFD)[0xA002] == 123
    assert found.get_ifd(EXIF_IFD)[0xA003] == 70_000
    assert not found.get_ifd(1)


@pytest.mark.parametrize("cut", range(0, 520, 7))
def test_a_damaged_exif_block_breaks_nothing(cut):
    block = exif_block(thumbnail=thumbnail())

    assert len(exif.fitted(block[:cut], 10, 10)) <= cut
    ifd.parsed(block[:cut])


def test_exif_that_points_at_itself_ends():
    block = bytearray(b"II*\0\x08\0\0\0" + ifd.packed({EXIF_IFD: ifd.number(8)}, 8, "<", following=8))

    assert exif.fitted(bytes(block), 10, 10)
    assert ifd.parsed(bytes(block)) == {}


def test_xmp_is_changed_as_attribute_and_as_element():
    packet = b"<tiff:Orientation>8</tiff:Orientation> tiff:Orientation='3' exif:PixelYDimension = \"5\""

    assert (
        xmp.fitted(packet, 7, 9)
        == b"<tiff:Orientation>1</tiff:Orientation> tiff:Orientation='1' exif:PixelYDimension = \"9\""
    )
