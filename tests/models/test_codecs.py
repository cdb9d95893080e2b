import av
import pytest

from batchup.models.codecs import (
    CODECS,
    MUXERS,
    Pixels,
    Unencodable,
    encoding,
    ending_for,
    lookahead,
    pixels_of,
)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_every_codec_is_in_the_wheel_with_all_its_pixels(codec):
    encoder = av.codec.Codec(codec.encoder, "w")

    formats = {form.name for form in encoder.video_formats or []}

    assert {pixels.pix_fmt for pixels in codec.pixels} <= formats
    assert codec.endings <= set(MUXERS)


@pytest.mark.parametrize(
    ("mode", "bits", "pixels"),
    [
        ("yuv420p", 8, Pixels()),
        ("yuvj422p", 8, Pixels(8, 422)),
        ("yuv444p12le", 12, Pixels(12, 444)),
        ("yuva420p", 8, Pixels(8, 420, alpha=True)),
        ("yuva444p10le", 10, Pixels(10, 444, alpha=True)),
        ("nv12", 8, Pixels()),
        ("p010le", 10, Pixels(10)),
        ("yuyv422", 8, Pixels(8, 422)),
        ("yuv411p", 8, Pixels(8, 422)),
        ("yuv410p", 8, Pixels()),
        ("gray", 8, Pixels()),
        ("rgb24", 8, Pixels(8, 444)),
        ("bgra", 8, Pixels(8, 444, alpha=True)),
        ("bgr0", 8, Pixels(8, 444)),
        ("gbrp10le", 10, Pixels(10, 444)),
        ("pal8", 8, Pixels(8, 444)),
    ],
)
def test_a_pixel_format_tells_what_has_to_be_kept(mode, bits, pixels):
    assert pixels_of(mode, bits) == pixels


@pytest.mark.parametrize(
    ("ending", "wanted", "name", "pix_fmt"),
    [
        (".mp4", Pixels(), "h264", "yuv420p"),
        (".mkv", Pixels(8, 444), "h264", "yuv444p"),
        (".mov", Pixels(10), "hevc", "yuv420p10le"),
        (".mp4", Pixels(9, 422), "hevc", "yuv422p10le"),
        (".mov", Pixels(8, 444, alpha=True), "prores", "yuva444p10le"),
        (".mkv", Pixels(8, 420, alpha=True), "vp9", "yuva420p"),
        (".webm", Pixels(), "vp9", "yuv420p"),
        (".webm", Pixels(10), "av1", "yuv420p10le"),
        (".webm", Pixels(8, 420, alpha=True), "vp9", "yuva420p"),
    ],
)
def test_the_automatic_codec_keeps_bits_colours_and_transparency(ending, wanted, name, pix_fmt):
    codec, kept = encoding("auto", ending, wanted)

    assert (codec.name, kept.pix_fmt) == (name, pix_fmt)


@pytest.mark.parametrize(
    ("codec", "ending", "wanted", "message"),
    [
        (
            "h264",
            ".mp4",
            Pixels(12),
            "12 bits a channel, colours in 420; h264 cannot keep that; codec hevc can",
        ),
        ("vp9", ".webm", Pixels(10), "vp9 cannot keep that; codec h264, hevc, av1 or prores can"),
        (
            "auto",
            ".mp4",
            Pixels(8, 420, alpha=True),
            "transparency; h264 cannot keep that; codec vp9 or prores can",
        ),
        ("prores", ".mov", Pixels(12, 444, alpha=True), "prores cannot keep that, nor can any other codec"),
        (
            "h264",
            ".webm",
            Pixels(),
            ".webm cannot hold h264; it goes into .3g2, .3gp, .m4v, .mkv, .mov or .mp4",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words(codec, ending, wanted, message):
    with pytest.raises(Unencodable) as caught:
        encoding(codec, ending, wanted)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("codec", "format_name", "own", "expected"),
    [
        ("auto", "MP4", ".MP4", ".mp4"),
        ("auto", "MP4", ".m4v", ".m4v"),
        ("auto", "MOV", ".mov", ".mov"),
        ("auto", "MOV", ".qt", ".mov"),
        ("auto", "MP4", ".avi", ".mp4"),
        ("auto", "MKV", ".webm", ".mkv"),
        ("auto", "WEBM", ".webm", ".webm"),
        ("auto", "WEBM", ".mkv", ".mkv"),
        ("auto", "AVI", ".avi", ".mkv"),
        ("auto", "TS", ".mts", ".mkv"),
        ("auto", "3GP", ".3gp", ".3gp"),
        ("auto", "", ".webm", ".webm"),
        ("auto", "", "", ".mp4"),
        ("h264", "WEBM", ".webm", ".mkv"),
        ("prores", "MP4", ".mp4", ".mov"),
        ("prores", "WEBM", ".webm", ".mkv"),
        ("av1", "MOV", ".mov", ".mp4"),
        ("hevc", "3GP", ".3gp", ".mp4"),
    ],
)
def test_a_video_keeps_its_container_where_that_holds_the_codec(codec, format_name, own, expected):
    assert ending_for(codec, format_name, own) == expected


@pytest.mark.parametrize(
    ("size", "frames"), [((64, 48), 40), ((3840, 2160), 40), ((7680, 4320), 10), ((16384, 16384), 10)]
)
def test_encoders_look_ahead_less_where_frames_are_huge(size, frames):
    assert lookahead(size[0] * size[1]) == frames
