"""What comes out of fal's models: its size, its ending; and what they do not take."""

import pytest

from batchup.source import Size
from tests.models.fal.media import IMAGES, MODELS, NAMES, VIDEOS, params, photo, video

SIZES = [
    ("aura-sr", {}, (1200, 800), (4800, 3200)),
    ("aura-sr", {}, (333, 1001), (1332, 4004)),
    ("seedvr-image", {}, (1200, 800), (2400, 1600)),
    ("seedvr-image", {"upscale_factor": 1.5}, (333, 1001), (500, 1502)),
    ("seedvr-image", {"upscale_factor": 1.1}, (5, 15), (6, 17)),
    ("seedvr-image", {"upscale_factor": 10}, (1, 1), (10, 10)),
    ("seedvr-image", {"upscale_mode": "target"}, (1200, 800), (1620, 1080)),
    ("seedvr-image", {"upscale_mode": "target"}, (800, 1200), (1080, 1620)),
    ("seedvr-image", {"upscale_mode": "target", "target_resolution": "2160p"}, (1001, 1000), (2162, 2160)),
    ("seedvr-image", {"upscale_mode": "target", "upscale_factor": 9}, (700, 700), (1080, 1080)),
    ("seedvr-image", {"target_resolution": "2160p"}, (100, 50), (200, 100)),
    ("esrgan", {}, (1201, 801), (2402, 1602)),
    ("esrgan", {"scale": 3.5}, (801, 1201), (2804, 4204)),
    ("esrgan", {"model": "RealESRGAN_x4plus"}, (10, 10), (20, 20)),
    ("topaz-image", {}, (1200, 800), (2400, 1600)),
    ("topaz-image", {"upscale_factor": 4}, (801, 1201), (3204, 4804)),
    ("crystal", {}, (801, 1201), (1602, 2402)),
    ("crystal", {"scale_factor": 200}, (3, 2), (600, 400)),
    ("seedvr-video", {}, (1280, 720), (2560, 1440)),
    ("seedvr-video", {"upscale_factor": 1.5}, (641, 359), (962, 540)),
    ("seedvr-video", {"upscale_mode": "target"}, (1280, 720), (1920, 1080)),
    ("seedvr-video", {"upscale_mode": "target"}, (720, 1280), (1080, 1920)),
    ("seedvr-video", {"upscale_mode": "target"}, (853, 480), (1920, 1080)),
    ("seedvr-video", {"upscale_factor": 1}, (853, 481), (854, 482)),
    ("bytedance-video", {}, (1280, 720), (1920, 1080)),
    ("bytedance-video", {}, (480, 853), (1080, 1920)),
    ("bytedance-video", {"target_resolution": "2k"}, (1280, 720), (2560, 1440)),
    ("bytedance-video", {"target_resolution": "4k"}, (1280, 720), (3840, 2160)),
    ("topaz-video", {}, (720, 576), (1440, 1152)),
    ("topaz-video", {"upscale_factor": 1.25}, (719, 575), (900, 720)),
]


@pytest.mark.parametrize(("name", "given", "before", "after"), SIZES)
def test_the_size_that_comes_out_is_known_beforehand(name, given, before, after):
    name = f"fal/{name}"
    media = photo(*before) if name in IMAGES else video(*before)

    assert MODELS[name].size(params(name, **given), media) == Size(*after)


@pytest.mark.parametrize("name", IMAGES)
def test_a_photo_that_is_turned_when_shown_comes_out_upright(name):
    # A probe gives the upright size, whatever the orientation.
    turned, upright = photo(800, 1200, orientation=6), photo(800, 1200)

    assert MODELS[name].size(params(name), turned) == MODELS[name].size(params(name), upright)


@pytest.mark.parametrize("name", VIDEOS)
def test_nothing_comes_out_of_a_size_that_is_unknown(name):
    assert MODELS[name].size(params(name), video(0, 0)) is None


@pytest.mark.parametrize("name", VIDEOS)
def test_the_sides_of_a_video_are_even(name):
    sizes = [MODELS[name].size(params(name), video(side, side + 17)) for side in range(100, 140)]

    assert not [side for size in sizes for side in size or () if side % 2]


@pytest.mark.parametrize(
    ("name", "given", "ending"),
    [
        ("aura-sr", {}, ".png"),
        ("seedvr-image", {}, ".jpg"),
        ("seedvr-image", {"output_format": "png"}, ".png"),
        ("seedvr-image", {"output_format": "webp"}, ".webp"),
        ("esrgan", {}, ".png"),
        ("esrgan", {"output_format": "jpeg"}, ".jpg"),
        ("topaz-image", {}, ".jpg"),
        ("topaz-image", {"output_format": "png"}, ".png"),
        ("crystal", {}, ".jpg"),
        ("crystal", {"output_format": "png"}, ".png"),
        ("seedvr-video", {}, ".mp4"),
        ("seedvr-video", {"output_format": "VP9 (.webm)"}, ".webm"),
        ("seedvr-video", {"output_format": "PRORES4444 (.mov)"}, ".mov"),
        ("seedvr-video", {"output_format": "GIF (.gif)"}, ".gif"),
        ("bytedance-video", {}, ".mp4"),
        ("topaz-video", {"H264_output": True}, ".mp4"),
    ],
)
def test_the_ending_is_that_of_the_format_that_comes_out(name, given, ending):
    name = f"fal/{name}"
    chosen = params(name, **given)

    # Whatever went in, and for a URL that nobody has read.
    assert MODELS[name].ext(chosen, None, ".TIFF") == ending
    assert MODELS[name].ext(chosen, photo(form="PNG"), ".png") == ending


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize(
    ("media", "said"),
    [
        (video(), "it is a video, and this model takes images"),
        (photo(form="TIFF"), "it is TIFF, and fal takes JPEG, PNG, WEBP, GIF and AVIF; convert it first"),
        (photo(form="HEIC"), "it is HEIC"),
        (photo(form="BMP"), "it is BMP"),
        (photo(form="JPEG2000"), "it is JPEG2000"),
        (photo(form="GIF", frames=12, mode="P"), "it has 12 frames, and only one would come back"),
        (photo(form="PNG", mode="I;16", bits=16), "it has 16 bits a channel, and 8 would come back"),
        (photo(form="AVIF", bits=10), "it has 10 bits"),
    ],
    ids=["video", "tiff", "heic", "bmp", "jpeg2000", "animation", "deep-png", "deep-avif"],
)
def test_what_no_image_model_takes_is_said_before_it_is_uploaded(name, media, said):
    assert (MODELS[name].refuse(params(name), media) or "").startswith(said)


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize(
    ("media", "said"),
    [
        (photo(), "it is an image, and this model takes videos"),
        (photo(form="GIF", frames=12), "it is an image, and this model takes videos"),
        (video(form="AVI"), "it is AVI, and fal takes MP4, MOV and WEBM; convert it first"),
        (video(form="MKV"), "it is MKV"),
        (video(form="MPEG"), "it is MPEG"),
        (video(form="3GP"), "it is 3GP"),
    ],
    ids=["photo", "gif", "avi", "mkv", "mpeg", "3gp"],
)
def test_what_no_video_model_takes_is_said_before_it_is_uploaded(name, media, said):
    assert (MODELS[name].refuse(params(name), media) or "").startswith(said)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "MP4", "MOV", "WEBM"])
def test_what_fal_takes_is_taken(name, form):
    media = video(form=form) if form in {"MP4", "MOV", "WEBM"} else photo(form=form)

    refusal = MODELS[name].refuse(params(name), media)

    assert (refusal is None) is (media.kind == MODELS[name].kind)


@pytest.mark.parametrize(
    ("name", "given", "media", "said"),
    [
        ("seedvr-image", {}, photo(5000, 3000), None),
        (
            "seedvr-image",
            {},
            photo(3000, 5001),
            "6000x10002 would come out, and 10,000 pixels a side are the most that this model makes; lower the factor",
        ),
        ("seedvr-image", {"upscale_factor": 10}, photo(1001, 10), "10010x100 would come out"),
        ("seedvr-image", {"upscale_mode": "target", "upscale_factor": 10}, photo(5001, 1000), None),
        ("seedvr-image", {"upscale_mode": "target"}, photo(20_000, 1000), "21600x1080 would come out"),
        ("seedvr-image", {"upscale_mode": "target"}, photo(1920, 1080), None),
        (
            "seedvr-image",
            {"upscale_mode": "target"},
            photo(1920, 1081),
            "it is already larger than the target: 1081 lines, 1080 wanted",
        ),
        ("seedvr-image", {"target_resolution": "720p"}, photo(1920, 1081), None),
        ("topaz-image", {"upscale_factor": 4}, photo(8000, 4000), None),
        (
            "topaz-image",
            {"upscale_factor": 4},
            photo(8000, 4001),
            "32000x16004 would come out, and 512 megapixels are the most",
        ),
        (
            "topaz-image",
            {"upscale_factor": 4},
            photo(20_000, 10),
            "80000x40 would come out, and JPEG holds 65,500",
        ),
        ("topaz-image", {"upscale_factor": 4, "output_format": "png"}, photo(20_000, 10), None),
        (
            "esrgan",
            {"scale": 8, "output_format": "jpeg"},
            photo(9000, 10),
            "72000x80 would come out, and JPEG",
        ),
        ("esrgan", {"scale": 8}, photo(9000, 10), None),
        ("crystal", {"scale_factor": 200}, photo(400, 10), "80000x2000 would come out, and JPEG"),
        ("crystal", {"scale_factor": 200, "output_format": "png"}, photo(400, 10), None),
        (
            "seedvr-video",
            {"upscale_mode": "target", "target_resolution": "720p"},
            video(1920, 1080),
            "it is already",
        ),
        ("seedvr-video", {"upscale_mode": "target"}, video(1080, 1920), None),
        ("seedvr-video", {"upscale_factor": 10}, video(1920, 1080), None),
        (
            "bytedance-video",
            {},
            video(3840, 2160),
            "it is already larger than the target: 2160 lines, 1080 wanted",
        ),
        ("bytedance-video", {"target_resolution": "4k"}, video(3840, 2160), None),
        ("aura-sr", {}, photo(30_000, 20_000), None),
    ],
)
def test_what_is_beyond_a_model_is_said_before_it_is_uploaded(name, given, media, said):
    name = f"fal/{name}"

    refusal = MODELS[name].refuse(params(name, **given), media)

    assert refusal is None if said is None else (refusal or "").startswith(said)
