import struct
import subprocess
import sys
import wave
import zlib
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pillow_heif
import pytest
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from batchup.errors import RejectedError
from batchup.media import open_image, probe, sniff, verify
from batchup.providers.local.picture import chunks
from batchup.source import Media, Size

SIDEWAYS = 6


def picture(mode="RGB", size=(64, 48)):
    noise = np.random.default_rng(7).integers(0, 255, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(noise).convert(mode)


def saved(path, image=None, **options):
    (image or picture()).save(path, **options)
    return path


def film(path, *, codec="libx264", frames=20, turn=0, form=None, options=None):
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        stream = container.add_stream(codec, rate=10, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = Fraction(1, 10)
        if turn:
            stream.set_display_rotation(turn)
        noise = np.random.default_rng(7).integers(0, 255, (frames, 48, 64, 3), np.uint8)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(noise[number], format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def frames(count):
    return [picture("RGB").point(lambda v, n=number: v // (n + 1)) for number in range(count)]


def bomb(path, side=60_000):
    """A PNG of 3.6 gigapixels in 100 bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(
    ("ending", "name", "mode"),
    [
        (".jpg", "JPEG", "RGB"),
        (".jpg", "JPEG", "L"),
        (".jpg", "JPEG", "CMYK"),
        (".png", "PNG", "RGB"),
        (".png", "PNG", "RGBA"),
        (".png", "PNG", "LA"),
        (".png", "PNG", "P"),
        (".png", "PNG", "1"),
        (".png", "PNG", "L"),
        (".gif", "GIF", "P"),
        (".webp", "WEBP", "RGB"),
        (".webp", "WEBP", "RGBA"),
        (".tif", "TIFF", "RGB"),
        (".tif", "TIFF", "L"),
        (".tif", "TIFF", "CMYK"),
        (".bmp", "BMP", "RGB"),
        (".avif", "AVIF", "RGB"),
        (".jp2", "JPEG2000", "RGB"),
        (".j2k", "JPEG2000", "L"),
    ],
)
def test_the_header_tells_what_pillow_decodes(tmp_path, ending, name, mode):
    path = saved(tmp_path / f"a{ending}", picture(mode))

    media = probe(path)

    assert media is not None
    assert media.kind == "image"
    assert media.format == name
    assert media.size == Size(64, 48)
    assert media.frames == 1
    with Image.open(path) as image:
        assert media.mode == image.mode
    assert verify(path) == media


def test_a_lossless_webp_is_read(tmp_path):
    opaque = saved(tmp_path / "opaque.webp", picture(), lossless=True)
    clear = saved(tmp_path / "clear.webp", Image.new("RGBA", (64, 48), (9, 9, 9, 90)), lossless=True)

    assert probe(opaque) == Media("image", "WEBP", 64, 48, mode="RGB")
    assert probe(clear) == Media("image", "WEBP", 64, 48, mode="RGBA")


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_a_picture_that_lies_on_its_side_is_measured_upright(tmp_path, ending):
    path = saved(tmp_path / f"a{ending}", exif=exif(SIDEWAYS))

    media = probe(path)

    assert media is not None
    assert media.size == Size(48, 64)
    assert media.orientation == SIDEWAYS


def test_an_orientation_that_does_not_exist_is_upright(tmp_path):
    media = probe(saved(tmp_path / "a.jpg", exif=exif(9)))

    assert media == Media("image", "JPEG", 64, 48, mode="RGB")


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_an_animation_tells_its_frames_and_seconds(tmp_path, ending):
    first, *rest = frames(5)
    path = saved(tmp_path / f"a{ending}", first, save_all=True, append_images=rest, duration=120)

    media = probe(path)

    assert media is not None
    assert media.kind == "image"
    assert media.frames == 5
    assert media.duration_s == pytest.approx(0.6)
    assert verify(path) == media


def test_the_pages_of_a_tiff_are_frames(tmp_path):
    first, *rest = frames(3)
    path = saved(tmp_path / "a.tif", first, save_all=True, append_images=rest)

    assert probe(path) == Media("image", "TIFF", 64, 48, frames=3, mode="RGB")


def sixteen_bits(path):
    rows = b"".join(b"\0" + bytes(64 * 6) for _ in range(48))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


def test_sixteen_bits_of_colour_are_seen_where_pillow_reads_eight(tmp_path):
    media = probe(sixteen_bits(tmp_path / "a.png"))

    assert media == Media("image", "PNG", 64, 48, mode="RGB", bits=16)


@pytest.mark.parametrize("ending", [".png", ".tif", ".jp2"])
def test_sixteen_bits_of_grey_are_seen(tmp_path, ending):
    grey = Image.fromarray(np.full((48, 64), 40_000, np.uint16))

    media = probe(saved(tmp_path / f"a{ending}", grey))

    assert media is not None
    assert (media.mode, media.bits) == ("I;16", 16)


def test_a_png_named_jpg_is_a_png(tmp_path):
    path = tmp_path / "holiday.jpg"
    picture().save(path, format="PNG")

    media = probe(path)

    assert media is not None
    assert media.format == "PNG"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"no picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"BM or not to be, that is the question",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"G" * 100,
        b"#!/bin/sh\n" + bytes(600),
    ],
    ids=["empty", "one byte", "text", "svg", "pdf", "a text that begins like BMP", "wav", "G's", "script"],
)
def test_what_is_no_media_is_none(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)

    assert probe(path) is None
    with pytest.raises(RejectedError) as raised:
        verify(path)
    assert raised.value.kind == "not_media"


@pytest.mark.parametrize("ending", [".jpg", ".png", ".gif", ".webp", ".tif", ".bmp", ".avif", ".jp2"])
def test_a_header_that_is_cut_is_an_error_and_never_a_crash(tmp_path, ending):
    whole = saved(tmp_path / f"whole{ending}").read_bytes()
    path = tmp_path / f"cut{ending}"

    for length in range(1, min(len(whole), 1200), 13):
        path.write_bytes(whole[:length])
        try:
            media = probe(path)
        except RejectedError as error:
            assert error.kind == "media_unreadable"  # noqa: PT017 - either way is right, by where it is cut
        else:
            assert media is None or media.size == (64, 48)


def test_the_message_about_a_cut_header_names_the_format(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(tmp_path / "b.png").read_bytes()[:20])

    with pytest.raises(
        RejectedError, match="it begins like a PNG but cannot be read: it ends within its header"
    ):
        probe(path)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".gif", ".webp", ".tif", ".bmp", ".avif", ".jp2"])
def test_a_picture_cut_behind_its_header_is_found_by_decoding(tmp_path, ending):
    options = {"compression": "tiff_lzw"} if ending == ".tif" else {}
    whole = saved(tmp_path / f"whole{ending}", picture(size=(200, 150)), **options).read_bytes()
    path = tmp_path / f"cut{ending}"
    path.write_bytes(whole[: len(whole) * 3 // 4])

    with pytest.raises(RejectedError) as raised:
        verify(path)

    assert raised.value.kind in {"image_truncated", "image_damaged", "media_unreadable"}


def test_a_png_whose_second_half_is_zeros_is_found_though_it_decodes(tmp_path):
    path = saved(tmp_path / "a.png", picture(size=(200, 150)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))

    with pytest.raises(RejectedError, match="the image is damaged"):
        verify(path)


def test_what_a_program_left_behind_the_end_of_a_png_is_no_damage(tmp_path):
    path = saved(tmp_path / "a.png", picture(size=(200, 150)))
    whole = path.read_bytes()
    # As screenshot programs did that cut a picture and wrote it over the larger one.
    torn = struct.pack(">I", 8) + b"IDAT" + bytes(12)
    path.write_bytes(whole + torn)

    assert verify(path) == probe(path)
    with path.open("rb") as file:
        assert [name for name, _ in chunks.png(file)][-1] == b"IEND"


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_cut_photo_says_that_it_is_cut(tmp_path, ending):
    whole = saved(tmp_path / f"whole{ending}", picture(size=(200, 150))).read_bytes()
    path = tmp_path / f"cut{ending}"
    path.write_bytes(whole[: len(whole) // 2])

    assert probe(path) is not None
    with pytest.raises(RejectedError, match="the image is cut") as raised:
        verify(path)
    assert raised.value.kind == "image_truncated"


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_an_animation_cut_after_its_first_frame_is_found(tmp_path, ending):
    first, *rest = frames(5)
    whole = saved(tmp_path / f"a{ending}", first, save_all=True, append_images=rest).read_bytes()
    path = tmp_path / f"cut{ending}"
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(RejectedError):
        verify(path)


def test_a_bomb_is_only_measured(tmp_path):
    code = (
        "import resource, sys; from batchup.media import probe; "
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); print(probe(sys.argv[1]).size.pixels)"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, bomb(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("3600000000\n", "")


def test_a_scan_beyond_pillows_limit_is_decoded_without_a_warning(tmp_path):
    path = saved(tmp_path / "a.png", Image.new("1", (20_000, 10_000)))

    media = verify(path)

    assert media.size.pixels == 200_000_000


def test_a_bomb_of_a_gif_is_only_measured(tmp_path):
    path = tmp_path / "a.gif"
    control = b"!\xf9\x04\x08\x00\x00\x00\x00"
    path.write_bytes(b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + control + b";")

    media = probe(path)

    assert media is not None
    assert media.size == Size(65_535, 65_535)


@pytest.mark.parametrize("ending", [".NEF", ".dng", ".cr2", ".arw"])
def test_a_camera_raw_is_refused_rather_than_its_thumbnail_taken(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    picture().save(path, format="TIFF")

    with pytest.raises(RejectedError, match="camera raw") as raised:
        probe(path)

    assert raised.value.kind == "raw_unsupported"


def test_a_dng_is_known_whatever_its_ending(tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[50706] = 1
    tags[50706] = b"\x01\x04\x00\x00"
    path = saved(tmp_path / "a.tif", tiffinfo=tags)

    with pytest.raises(RejectedError, match="camera raw"):
        probe(path)


def test_heic_is_read_with_the_extra_and_named_without(tmp_path):
    path = tmp_path / "a.heic"
    pillow_heif.from_pillow(picture()).save(path)

    media = probe(path)

    assert media == Media("image", "HEIC", 64, 48, mode="RGB")
    assert verify(path) == media
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from batchup.media import probe\n"
        "try: probe(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error.kind, error)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "RejectedError heic_unsupported HEIC needs the extra: pip install 'batchup[heic]'\n"


def test_a_name_that_is_no_utf8_is_read(tmp_path):
    name = bytes(tmp_path) + b"/caf\xe9 \n'\".png"
    saved(tmp_path / "a.png").rename(name.decode(errors="surrogateescape"))

    media = probe(name.decode(errors="surrogateescape"))

    assert media is not None


def test_pillows_warnings_about_metadata_are_not_shown(tmp_path):
    path = saved(tmp_path / "a.jpg", exif=exif(1).tobytes()[:-4] + b"\xff\xff\xff\xff")

    assert verify(path).format == "JPEG"


def test_an_image_is_opened_lazily_by_its_own_plugin(tmp_path):
    with open_image(str(bomb(tmp_path / "a.png")), "PNG") as image:
        assert image.size == (60_000, 60_000)


def test_text_in_a_png_does_not_hide_its_orientation(tmp_path):
    info = PngInfo()
    info.add_text("Title", "a" * 100_000, zip=True)

    media = probe(saved(tmp_path / "a.png", pnginfo=info, exif=exif(SIDEWAYS)))

    assert media is not None
    assert media.orientation == SIDEWAYS


@pytest.mark.parametrize(
    ("ending", "name", "codec", "form"),
    [
        (".mp4", "MP4", "libx264", None),
        (".mov", "MOV", "libx264", None),
        (".3gp", "3GP", "mpeg4", None),
        (".mkv", "MKV", "libx264", None),
        (".webm", "WEBM", "libvpx", None),
        (".avi", "AVI", "mpeg4", None),
        (".ts", "TS", "libx264", "mpegts"),
        (".mpg", "MPEG", "mpeg2video", "mpeg"),
        (".flv", "FLV", "flv", None),
        (".wmv", "WMV", "wmv2", "asf"),
    ],
)
def test_a_video_is_probed_by_its_header_and_found_whole(tmp_path, ending, name, codec, form):
    path = film(tmp_path / f"a{ending}", codec=codec, form=form)

    media = probe(path)

    assert media is not None
    assert (media.kind, media.format) == ("video", name)
    assert media.size == Size(64, 48)
    assert media.mode == "yuv420p"
    assert media.frames in {0, 20}
    assert media.duration_s == pytest.approx(2.0, abs=0.2)
    assert verify(path) == media


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(("turn", "size"), [(90, (48, 64)), (-90, (48, 64)), (180, (64, 48))])
def test_a_video_that_is_shown_turned_is_measured_as_shown(tmp_path, ending, turn, size):
    media = probe(film(tmp_path / f"a{ending}", turn=turn))

    assert media is not None
    assert media.size == size


@pytest.mark.parametrize(
    ("ending", "options"),
    [(".mp4", {"movflags": "faststart"}), (".mkv", {}), (".avi", {}), (".webm", {}), (".flv", {})],
    ids=["mp4 with its index first", "mkv", "avi", "webm", "flv"],
)
@pytest.mark.parametrize("part", [0.4, 0.8])
def test_a_video_that_is_cut_is_found(tmp_path, ending, options, part):
    codec = {".avi": "mpeg4", ".webm": "libvpx", ".flv": "flv"}.get(ending, "libx264")
    whole = film(tmp_path / f"whole{ending}", codec=codec, options=options, frames=60).read_bytes()
    path = tmp_path / f"cut{ending}"
    path.write_bytes(whole[: int(len(whole) * part)])

    assert probe(path) is not None
    with pytest.raises(RejectedError, match="the video is cut") as raised:
        verify(path)
    assert raised.value.kind == "video_truncated"


def test_a_video_without_its_index_says_so(tmp_path):
    whole = film(tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(RejectedError, match=r"like an MP4 .* its index .* is missing") as raised:
        probe(path)
    assert raised.value.kind == "media_unreadable"


def test_sound_alone_is_no_media(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(800))

    assert probe(path) is None
    assert probe(tmp_path / "a.wav") is None


def test_a_video_is_read_under_any_name(tmp_path, monkeypatch):
    film(tmp_path / "a.mp4").rename(Path(tmp_path / "concat:a\n'\udcff.mp4"))
    monkeypatch.chdir(tmp_path)

    media = probe("concat:a\n'\udcff.mp4")

    assert media is not None
    assert media.format == "MP4"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypcrx \0\0\0\0crx isom", "RAW"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "MOV"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "MOV"),
        (b"\0\0\0\x14ftyp3gp5\0\0\0\03gp5", "3GP"),
        (b"\0\0\0\x14ftypM4V \0\0\0\0M4V ", "MP4"),
        (b"\xff\x0a", "JXL"),
        (b"OggS\0\x02", "OGV"),
        ((b"\0\0\0\0\x47" + bytes(187)) * 3, "TS"),
    ],
)
def test_the_first_bytes_tell_the_format(head, name):
    assert sniff(head) == name


def test_a_format_that_nothing_here_reads_is_named(tmp_path):
    path = tmp_path / "a.jxl"
    path.write_bytes(b"\xff\x0a" + bytes(50))

    with pytest.raises(RejectedError, match="JPEG XL") as raised:
        probe(path)
    assert raised.value.kind == "format_unsupported"


def test_a_folder_where_a_file_should_be_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="directory"):
        probe(tmp_path)


def test_every_byte_of_a_jpeg_counts_although_it_is_decoded_small(tmp_path):
    buffer = BytesIO()
    picture(size=(400, 300)).save(buffer, "JPEG", progressive=True)
    path = tmp_path / "a.jpg"
    path.write_bytes(buffer.getvalue()[: -len(buffer.getvalue()) // 10])

    with pytest.raises(RejectedError):
        verify(path)


@pytest.mark.parametrize(
    "ending", [".jpg", ".png", ".gif", ".webp", ".tif", ".bmp", ".avif", ".jp2", ".mp4", ".mkv"]
)
def test_a_header_with_wrong_bytes_is_refused_or_read_but_never_a_crash(tmp_path, ending):
    sound = tmp_path / f"sound{ending}"
    whole = (film if ending in {".mp4", ".mkv"} else saved)(sound).read_bytes()
    path = tmp_path / f"wrong{ending}"
    random = np.random.default_rng(3)

    for _ in range(60):
        wrong = bytearray(whole)
        for place in random.integers(4, min(len(whole), 400), 3):
            wrong[place] = random.integers(0, 256)
        path.write_bytes(wrong)
        try:
            probe(path)
        except RejectedError as error:
            assert str(error)  # noqa: PT017 - either way is right


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_an_animation_that_lacks_its_last_byte_is_cut(tmp_path, ending):
    first, *rest = frames(3)
    whole = saved(tmp_path / f"a{ending}", first, save_all=True, append_images=rest).read_bytes()
    path = tmp_path / f"cut{ending}"
    path.write_bytes(whole[:-1])

    with pytest.raises(RejectedError, match="the file ends before it does"):
        verify(path)


def test_a_video_cut_between_two_packets_is_found_by_its_seconds(tmp_path):
    whole = film(tmp_path / "whole.flv", codec="flv", frames=60).read_bytes()
    at = 13
    while at < len(whole) * 0.6:
        at += 15 + int.from_bytes(whole[at + 1 : at + 4], "big")
    path = tmp_path / "cut.flv"
    path.write_bytes(whole[:at])

    with pytest.raises(RejectedError, match=r"of 6\.0 seconds are there"):
        verify(path)


def test_a_song_with_a_cover_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=44_100)
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_image(picture())))
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.rate = 44_100
        container.mux(sound.encode(frame))
        container.mux(sound.encode())

    assert probe(path) is None
