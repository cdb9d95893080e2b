import pytest
from pydantic import ValidationError

from batchup.models import find
from batchup.models.local.lanczos_video import MODEL, LanczosVideo
from batchup.source import Media, Size

HD = Media("video", "MP4", 1920, 1080, 250, 10.0, "yuv420p")


def test_it_is_found_by_its_file():
    assert find("local/lanczos-video") is MODEL


@pytest.mark.parametrize(
    ("params", "size", "expected"),
    [
        ({}, (1920, 1080), (3840, 2160)),
        ({"scale": 1}, (1920, 1080), (1920, 1080)),
        ({"scale": 1.1}, (1280, 720), (1408, 792)),
        ({"scale": 1.5}, (854, 480), (1282, 720)),
        ({"scale": 1}, (853, 479), (854, 480)),
        ({"height": 2160}, (1920, 1080), (3840, 2160)),
        ({"height": 1920}, (720, 1280), (1080, 1920)),
        ({"height": 721}, (1280, 480), (1922, 722)),
    ],
)
def test_a_video_comes_out_in_even_numbers_and_in_proportion(params, size, expected):
    media = Media("video", "MP4", *size)

    assert MODEL.size(LanczosVideo(**params), media) == Size(*expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"scale": 2, "height": 1080}, "exclude each other"),
        ({"scale": None}, "set one of them"),
        ({"scale": 0.5}, "greater than or equal to 1"),
        ({"scale": 17}, "less than or equal to 16"),
        ({"height": 0}, "greater than or equal to 2"),
        ({"codec": "divx"}, "'h264'"),
        ({"quality": "best"}, "'high'"),
        ({"crf": 64}, "less than or equal to 63"),
        ({"fps": 60}, "Extra inputs"),
    ],
)
def test_wrong_parameters_are_faults(params, message):
    with pytest.raises(ValidationError, match=message):
        LanczosVideo(**params)


def test_its_own_parameters_as_json_are_its_parameters_again():
    params = LanczosVideo(height=1080)

    assert LanczosVideo(**params.model_dump()) == params


@pytest.mark.parametrize(
    ("params", "media", "reason"),
    [
        ({}, HD, None),
        ({"height": 1080}, HD, None),
        ({"height": 720}, HD, "already larger than the target: 1080 pixels high, height 720 wanted"),
        ({"scale": 16}, HD, "30720x17280"),
        ({}, Media("video", "MKV", 0, 0), "size is unknown"),
        ({}, Media("image", "JPEG", 64, 64), "use local/lanczos"),
        ({"codec": "vp9"}, Media("video", "MP4", 64, 64, mode="yuv420p10le", bits=10), "codec h264, hevc"),
        ({}, Media("video", "MP4", 64, 64, mode="yuva420p"), "transparency"),
        ({}, Media("video", "MOV", 64, 64, mode="rgb24"), None),
    ],
)
def test_what_it_cannot_take_is_refused_with_a_reason(params, media, reason):
    said = MODEL.refuse(LanczosVideo(**params), media)

    assert (said is None) if reason is None else (said is not None and reason in said)


@pytest.mark.parametrize(
    ("params", "bits", "scale", "peak_mb"),
    # Measured on 960x540 with PyAV 18.1 and eight threads: resource.getrusage of a process that did nothing else.
    [
        ({"codec": "h264"}, 8, 2, 442),
        ({"codec": "h264"}, 8, 4, 1_408),
        ({"codec": "h264"}, 8, 8, 2_339),
        ({"codec": "h264"}, 10, 4, 2_973),
        ({"codec": "hevc"}, 8, 2, 691),
        ({"codec": "hevc"}, 10, 4, 3_449),
        ({"codec": "hevc"}, 10, 8, 6_722),
        ({"codec": "av1"}, 10, 2, 1_155),
        ({"codec": "av1"}, 10, 4, 3_953),
        ({"codec": "vp9"}, 8, 2, 356),
        ({"codec": "vp9"}, 8, 4, 1_029),
        ({"codec": "prores"}, 8, 2, 111),
    ],
)
def test_the_memory_that_is_reserved_is_above_what_was_measured(params, bits, scale, peak_mb):
    media = Media("video", "MKV", 960, 540, 150, 6.0, "yuv420p" if bits == 8 else "yuv420p10le", bits)

    estimate_mb = MODEL.memory_bytes(LanczosVideo(scale=scale, **params), media) / 2**20

    assert peak_mb < estimate_mb < 2 * peak_mb + 350


def test_ten_bits_take_more_memory_than_eight():
    deep = Media("video", "MP4", 1920, 1080, 250, 10.0, "yuv420p10le", 10)

    assert MODEL.memory_bytes(LanczosVideo(), deep) > 1.5 * MODEL.memory_bytes(LanczosVideo(), HD)


@pytest.mark.parametrize(
    ("params", "media", "ending", "expected"),
    [
        ({}, HD, ".MP4", ".mp4"),
        ({}, None, ".webm", ".webm"),
        ({"codec": "prores"}, HD, ".mp4", ".mov"),
    ],
)
def test_the_ending_is_the_containers_own_where_it_can_be(params, media, ending, expected):
    assert MODEL.ext(LanczosVideo(**params), media, ending) == expected
