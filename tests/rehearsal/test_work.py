"""Outputs have the size and format that an endpoint gives; bodies are validated; what is billed is what was made."""

import base64
import json
from decimal import Decimal
from typing import Any

import av
import pytest

from batchup.media import verify
from batchup.rehearsal import Custom, Delay, Script, Settings, answers
from tests.rehearsal.platform import BLANK, INPUTS, is_video, opened, photo, sample, sha256
from tests.videos import make_video

AURA, ESRGAN, CRYSTAL = "fal-ai/aura-sr", "fal-ai/esrgan", "fal-ai/crystal-upscaler"
SEEDVR, SEEDVR_VIDEO = "fal-ai/seedvr/upscale/image", "fal-ai/seedvr/upscale/video"
TOPAZ, TOPAZ_VIDEO = "fal-ai/topaz/upscale/image", "fal-ai/topaz/upscale/video"
BYTEDANCE = "fal-ai/bytedance-upscaler/upscale/video"


def data(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def the_file(result):
    return result.get("video") or result.get("image") or result["images"][0]


PICTURES: dict[str, tuple[str, dict[str, Any], tuple[int, int], str, str]] = {
    "aura is PNG": (AURA, {}, (192, 144), "PNG", "image/png"),
    "seedvr is JPEG": (SEEDVR, {}, (96, 72), "JPEG", "image/jpeg"),
    "seedvr by a broken factor": (SEEDVR, {"upscale_factor": 1.5}, (72, 54), "JPEG", "image/jpeg"),
    "seedvr to a short side": (
        SEEDVR,
        {"upscale_mode": "target", "target_resolution": "720p", "output_format": "webp"},
        (960, 720),
        "WEBP",
        "image/webp",
    ),
    "esrgan is PNG": (ESRGAN, {"scale": 3}, (144, 108), "PNG", "image/png"),
    "esrgan as JPEG": (ESRGAN, {"output_format": "jpeg"}, (96, 72), "JPEG", "image/jpeg"),
    "topaz as PNG": (TOPAZ, {"upscale_factor": 4, "output_format": "png"}, (192, 144), "PNG", "image/png"),
    "crystal is JPEG": (CRYSTAL, {"scale_factor": 5}, (240, 180), "JPEG", "image/jpeg"),
    "crystal of today": (
        "clarityai/crystal-upscaler",
        {"creativity": 1, "output_format": "jpg"},
        (96, 72),
        "JPEG",
        "image/jpeg",
    ),
}


@pytest.mark.parametrize("outputs", ["real", "blank"])
@pytest.mark.parametrize("case", PICTURES)
async def test_a_picture_comes_out_in_its_size_and_format(case, outputs, tmp_path):
    endpoint, params, size, form, media_type = PICTURES[case]
    async with opened(task_s=0, outputs=outputs) as client:
        url = await client.upload(photo(tmp_path / "a.png").read_bytes())

        _, result, _ = await client.outcome(endpoint, {"image_url": url, **params})

        file = the_file(result)
        content = await client.download(file["url"])
        (tmp_path / "out").write_bytes(content)
        media = verify(tmp_path / "out")
    assert (media.size, media.format) == (size, form)
    assert (file["width"], file["height"], file["content_type"]) == (*size, media_type)
    assert file["file_size"] == len(content)


VIDEOS: dict[str, tuple[str, dict[str, Any], tuple[int, int], str]] = {
    "seedvr": (SEEDVR_VIDEO, {}, (96, 72), "MP4"),
    "seedvr as WebM": (SEEDVR_VIDEO, {"output_format": "VP9 (.webm)"}, (96, 72), "WEBM"),
    "seedvr as ProRes": (SEEDVR_VIDEO, {"output_format": "PRORES4444 (.mov)"}, (96, 72), "MOV"),
    "seedvr as GIF": (SEEDVR_VIDEO, {"output_format": "GIF (.gif)", "upscale_factor": 1}, (48, 36), "GIF"),
    "bytedance": (BYTEDANCE, {"target_resolution": "2k"}, (1920, 1440), "MP4"),
    "topaz in even numbers": (TOPAZ_VIDEO, {"upscale_factor": 1.1}, (54, 40), "MP4"),
}


@pytest.mark.parametrize("outputs", ["real", "blank"])
@pytest.mark.parametrize("case", VIDEOS)
async def test_a_video_comes_out_in_its_size_format_and_duration(case, outputs, tmp_path):
    endpoint, params, size, form = VIDEOS[case]
    clip = make_video(tmp_path / "clip.mp4", seconds=0.4, size=(48, 36))
    async with opened(task_s=0, outputs=outputs) as client:
        url = await client.upload(clip.read_bytes(), "clip.mp4")

        _, result, _ = await client.outcome(endpoint, {"video_url": url, **params})

        (tmp_path / "out").write_bytes(await client.download(result["video"]["url"]))
        media = verify(tmp_path / "out")
    assert (media.size, media.format) == (size, form)
    assert media.duration_s == pytest.approx(0.4, abs=0.09)
    if outputs == "real":
        assert media.frames in {0, 10}


async def test_a_real_video_keeps_its_sound_and_stands_upright(tmp_path):
    clip = make_video(tmp_path / "clip.mp4", seconds=0.4, size=(48, 36), rotation=90)
    async with opened(task_s=0) as client:
        url = await client.upload(clip.read_bytes(), "clip.mp4")

        _, result, _ = await client.outcome(TOPAZ_VIDEO, {"video_url": url})

        (tmp_path / "out").write_bytes(await client.download(result["video"]["url"]))
    with av.open(str(tmp_path / "out")) as out:
        assert (out.streams.video[0].width, out.streams.video[0].height) == (72, 96)
        assert out.streams.audio[0].codec_context.name == "aac"


async def test_a_real_picture_is_the_input_enlarged(tmp_path):
    from PIL import Image, ImageChops, ImageStat

    source = photo(tmp_path / "a.png")
    async with opened(task_s=0) as client:
        url = await client.upload(source.read_bytes())

        _, result, _ = await client.outcome(ESRGAN, {"image_url": url})

        (tmp_path / "out.png").write_bytes(await client.download(result["image"]["url"]))
    with Image.open(source) as before, Image.open(tmp_path / "out.png") as after:
        difference = ImageChops.difference(before, after.resize(before.size))
    assert max(ImageStat.Stat(difference).mean) < 12


async def test_the_orientation_of_a_photo_is_not_looked_at(tmp_path):
    source = photo(
        tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    )
    async with opened(**BLANK) as client:
        url = await client.upload(source.read_bytes())

        _, result, _ = await client.outcome(ESRGAN, {"image_url": url})

    assert (result["image"]["width"], result["image"]["height"]) == (96, 72)


async def test_answers_may_hold_nothing_but_the_address(tmp_path):
    async with opened(**BLANK, details=False, billable_units=False) as client:
        url = await client.upload(photo(tmp_path / "a.png").read_bytes())

        _, result, _ = await client.outcome(CRYSTAL, {"image_url": url})

    assert [list(file) for file in result["images"]] == [["url"]]


MEGAPIXELS = Decimal(96 * 72) / 1_000_000
BILLS: dict[str, tuple[str, dict[str, Any], Decimal | None, Decimal | None]] = {
    "aura is free": (AURA, {}, None, Decimal(0)),
    "seedvr by megapixels": (SEEDVR, {}, MEGAPIXELS, MEGAPIXELS * Decimal("0.001")),
    "esrgan by compute seconds": (ESRGAN, {}, None, None),
    "topaz by steps": (TOPAZ, {}, Decimal(1), Decimal("0.08")),
    "crystal by megapixels": (CRYSTAL, {}, MEGAPIXELS, MEGAPIXELS * Decimal("0.016")),
    "seedvr-video by megapixels of every frame": (
        SEEDVR_VIDEO,
        {},
        MEGAPIXELS * 10,
        MEGAPIXELS * 10 * Decimal("0.001"),
    ),
    "bytedance by seconds": (BYTEDANCE, {}, Decimal("0.4"), Decimal("0.4") * Decimal("0.0072")),
    "bytedance 4K at 60 fps by pro": (
        BYTEDANCE,
        {"target_resolution": "4k", "target_fps": "60fps", "enhancement_tier": "pro"},
        Decimal("0.4") * 80,
        Decimal("0.4") * 80 * Decimal("0.0072"),
    ),
    "topaz-video by seconds": (TOPAZ_VIDEO, {}, Decimal("0.4"), Decimal("0.4") * Decimal("0.01")),
    "topaz-video at 60 fps": (
        TOPAZ_VIDEO,
        {"target_fps": 60},
        Decimal("0.8"),
        Decimal("0.8") * Decimal("0.01"),
    ),
}


@pytest.mark.parametrize("case", BILLS)
async def test_what_is_billed_is_what_was_made(case, tmp_path):
    endpoint, params, units, cost = BILLS[case]
    async with opened(outputs="blank", task_s=0.02) as client:
        field = "video_url" if is_video(endpoint) else "image_url"
        url = await client.upload(sample(tmp_path, endpoint).read_bytes())

        ticket = await client.submit(endpoint, {field: url, **params})
        await client.completed(ticket)
        async with client.http.get(ticket["response_url"], headers=client.key) as answer:
            told = Decimal(answer.headers["X-Fal-Billable-Units"])

        job = client.fal.accepted[0]
    assert told == job.units
    assert job.units == (units if units is not None else round(Decimal(str(job.compute_s)), 3))
    assert job.cost_usd == client.fal.billed_usd
    assert cost is None or job.cost_usd == cost


async def test_the_compute_seconds_are_the_platforms_own():
    async with opened(**{**BLANK, "task_s": 60.0}, time_scale=2000, foreign=(100, 100)) as client:
        _, _, standing = await client.outcome(ESRGAN, {"image_url": "https://example.com/a.png"})

        assert 60 <= standing["metrics"]["inference_time"] < 600
        assert client.fal.billed_usd >= Decimal(60) * Decimal("0.000575")


async def test_the_same_contents_billed_twice_are_counted_whatever_their_address(tmp_path):
    async with opened(**BLANK) as client:
        content = photo(tmp_path / "a.png").read_bytes()
        one, two = await client.upload(content), await client.upload(content)

        for body in ({"image_url": one}, {"image_url": two}, {"image_url": two, "scale": 4}):
            await client.outcome(ESRGAN, body)

        assert sorted(client.fal.inputs_billed.values()) == [1, 2]
        assert client.fal.accepted[0].input_sha256 == sha256(content)
        assert client.fal.state()["billed_twice"] == 1


WRONG = {
    "no object": (AURA, [], "dict_type", ["body"]),
    "no input": (AURA, {}, "missing", ["body", "image_url"]),
    "an input that is no text": (AURA, {"image_url": 3}, "string_type", ["body", "image_url"]),
    "a factor that there is not": (AURA, {"upscaling_factor": 2}, "one_of", ["body", "upscaling_factor"]),
    "an unknown parameter": (AURA, {"scale": 2}, "extra_forbidden", ["body", "scale"]),
    "above its range": (SEEDVR, {"upscale_factor": 11}, "less_than_equal", ["body", "upscale_factor"]),
    "below its range": (TOPAZ, {"upscale_factor": 0.5}, "greater_than_equal", ["body", "upscale_factor"]),
    "text for a number": (ESRGAN, {"scale": "2"}, "float_type", ["body", "scale"]),
    "a number for yes or no": (ESRGAN, {"face": 1}, "bool_type", ["body", "face"]),
    "a broken number": (ESRGAN, {"tile": 0.5}, "int_type", ["body", "tile"]),
    "a format of another model": (SEEDVR, {"output_format": "jpeg"}, "one_of", ["body", "output_format"]),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_body_that_the_endpoint_does_not_take_ends_with_422(case):
    endpoint, params, kind, loc = WRONG[case]
    body = {"image_url": "data:,", **params} if isinstance(params, dict) and params else params
    async with opened(**BLANK) as client:
        status, result, standing = await client.outcome(endpoint, body)

        assert status == 422
        assert [(one["type"], one["loc"]) for one in result["detail"]] == [(kind, loc)]
        assert standing["error_type"] == kind
        assert not client.fal.billed_usd


async def test_every_fault_of_a_body_is_told_at_once():
    async with opened(**BLANK) as client:
        _, result, _ = await client.outcome(ESRGAN, {"image_url": "data:,", "scale": 99, "model": "x"})

    assert len(result["detail"]) == 2


@pytest.mark.parametrize("endpoint", INPUTS)
async def test_every_endpoint_takes_its_defaults(endpoint):
    async with opened(**BLANK, foreign=(64, 48), foreign_s=1.0) as client:
        field = "video_url" if is_video(endpoint) else "image_url"

        status, _, _ = await client.outcome(endpoint, {field: "https://example.com/a"})

    assert status == 200


UNREADABLE = {
    "an address that is not on this machine": (AURA, "https://example.com/a.png", "file_download_error"),
    "a port where nobody is": (AURA, "http://127.0.0.1:9/a.png", "file_download_error"),
    "a file of the disk": (AURA, "file:///etc/passwd", "file_download_error"),
    "no address": (AURA, "", "file_download_error"),
    "data that is not base64": (AURA, "data:image/png;base64,!", "file_download_error"),
    "no picture": (AURA, data(b"hello"), "image_load_error"),
    "no video": (TOPAZ_VIDEO, data(b"hello"), "unsupported_video_format"),
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_an_input_that_cannot_be_read_ends_with_422(case):
    endpoint, url, kind = UNREADABLE[case]
    field = "video_url" if is_video(endpoint) else "image_url"
    async with opened(**BLANK) as client:
        status, result, _ = await client.outcome(endpoint, {field: url})

    assert (status, result["detail"][0]["type"]) == (422, kind)


async def test_a_truncated_picture_is_found_by_the_work_and_may_be_billed(tmp_path):
    content = photo(tmp_path / "a.jpg", (200, 200)).read_bytes()[:-900]
    async with opened(task_s=0, bills_rejected=True) as client:
        url = await client.upload(content)

        status, result, _ = await client.outcome(TOPAZ, {"image_url": url})

        assert (status, result["detail"][0]["type"]) == (422, "image_load_error")
        assert client.fal.billed_usd == Decimal("0.08")


async def test_a_video_for_an_image_model_and_the_reverse_are_refused(tmp_path):
    async with opened(**BLANK) as client:
        clip = await client.upload(sample(tmp_path, TOPAZ_VIDEO).read_bytes())
        picture = await client.upload(photo(tmp_path / "a.png").read_bytes())

        _, one, _ = await client.outcome(TOPAZ, {"image_url": clip})
        _, two, _ = await client.outcome(TOPAZ_VIDEO, {"video_url": picture})

    assert one["detail"][0]["type"] == "image_load_error"
    assert two["detail"][0]["type"] == "unsupported_video_format"


async def test_an_output_beyond_the_models_limit_is_refused(tmp_path):
    async with opened(**BLANK) as client:
        url = await client.upload(photo(tmp_path / "a.png", (1001, 10)).read_bytes())

        _, result, _ = await client.outcome(SEEDVR, {"image_url": url, "upscale_factor": 10})

    assert result["detail"][0]["type"] == "image_too_large"
    assert result["detail"][0]["ctx"] == {"max_width": 10_000, "max_height": 10_000}


async def test_inputs_come_by_data_address_and_from_another_server_on_this_machine(tmp_path):
    content = photo(tmp_path / "a.png").read_bytes()
    async with opened(**BLANK) as other, opened(**BLANK) as client:
        url = await other.upload(content)

        for address in (data(content), url):
            status, _, _ = await client.outcome(ESRGAN, {"image_url": address})
            assert status == 200

        assert [job.input_sha256 for job in client.fal.accepted] == [sha256(content)] * 2
        assert other.fal.calls["download"] == 1


async def test_an_endpoint_of_ones_own_takes_anything_and_answers_where_it_was_told(tmp_path):
    custom = Custom("me/mine", output="results.0.url", factor="times", unit_usd="0.5", unit="output")
    async with opened(**BLANK, custom=(custom,)) as client:
        url = await client.upload(photo(tmp_path / "a.png").read_bytes())

        _, result, _ = await client.outcome("me/mine", {"image_url": url, "times": 3, "prompt": "x"})

        assert (result["results"][0]["width"], result["results"][0]["height"]) == (144, 108)
        assert client.fal.billed_usd == Decimal("0.5")


async def test_a_task_may_take_longer_and_fail_and_only_once():
    async with opened(**BLANK, foreign=(8, 8)) as client:
        client.fal.script(Script("task", Delay(0.1)), Script("task", answers.broken(500), nth=2))

        ends = [(await client.outcome(AURA, {"image_url": "https://example.com/a"}))[::2] for _ in range(3)]

    assert [status for status, _ in ends] == [200, 500, 200]
    assert ends[0][1]["metrics"]["inference_time"] >= 0.1


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"time_scale": 0}, {"task_s": -1}, {"task_spread": 2}])
def test_settings_out_of_range_are_refused_in_words(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_settings_pass_through_json():
    import msgspec

    settings = Settings(task_s=2, custom=(Custom("me/mine"),))

    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings
    assert json.loads(msgspec.json.encode(settings))["task_s"] == 2
