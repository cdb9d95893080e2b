"""Every model of fal, from a manifest to an output of the right size and format, at the price that was said."""

from decimal import Decimal

import av
import pytest
from PIL import Image

from batchup.rehearsal.endpoints import Custom
from tests.fal.job import MODEL, TINY, Job, fal_of, paid_once
from tests.library import photo, size
from tests.videos import make_video

IMAGES = {
    "aura-sr": ("", (192, 144), "PNG"),
    "seedvr-image": ("", (96, 72), "JPEG"),
    "seedvr-image to 720p": (
        "params: {upscale_mode: target, target_resolution: 720p, output_format: webp}",
        (960, 720),
        "WEBP",
    ),
    "esrgan": ("params: {scale: 3, output_format: jpeg}", (144, 108), "JPEG"),
    "topaz-image": ("params: {upscale_factor: 1.5, output_format: png}", (72, 54), "PNG"),
    "crystal": ("params: {scale_factor: 4, output_format: jpg}", (192, 144), "JPEG"),
}
"""Model (and a word on how) -> manifest, size of the output, its format."""

VIDEOS = {
    "seedvr-video": ("", (96, 72), "mp4"),
    "seedvr-video to webm": ('params: {output_format: "VP9 (.webm)"}', (96, 72), "webm"),
    "bytedance-video": ("", (1440, 1080), "mp4"),
    "topaz-video": ("", (96, 72), "mp4"),
}


def charged(outcome):
    return Decimal(str(outcome.summary.cost_usd.charged))


def costs(job):
    done = job.events("done")
    return [(event.get("estimated_usd", "0"), event.get("charged_usd", "0")) for event in done]


@pytest.mark.parametrize("name", IMAGES)
async def test_an_image_model_gives_the_size_the_format_and_the_price_that_were_said(
    tmp_path, monkeypatch, name
):
    text, expected, form = IMAGES[name]
    job = Job(tmp_path, f"model: fal/{name.split()[0]}\n{text}", photos=1)
    async with fal_of(monkeypatch, outputs="real") as fal:
        outcome = await job.run()

        (file,) = job.outputs().values()
        with Image.open(file) as picture:
            assert (picture.format, picture.size) == (form, expected)
        [(estimated, paid)] = costs(job)
        assert Decimal(paid) == fal.billed_usd
        assert round(charged(outcome) - fal.billed_usd, 6) == 0
        if "esrgan" not in name:  # only the work tells its seconds
            assert Decimal(estimated) == Decimal(paid)
        assert "unexpected_size" not in job.events("done")[0]


@pytest.mark.parametrize("name", VIDEOS)
async def test_a_video_model_gives_the_size_the_container_and_the_price_that_were_said(
    tmp_path, monkeypatch, name
):
    text, expected, form = VIDEOS[name]
    (tmp_path / "photos").mkdir()
    make_video(tmp_path / "photos/clip.mp4", seconds=0.4, size=TINY, audio=False)
    job = Job(tmp_path, f"model: fal/{name.split()[0]}\n{text}", photos=0)
    async with fal_of(monkeypatch, outputs="real") as fal:
        await job.run()

        (file,) = job.outputs().values()
        with av.open(str(file)) as video:
            assert form in video.format.name
            stream = video.streams.video[0]
            assert (stream.width, stream.height) == expected
        [(estimated, paid)] = costs(job)
        assert Decimal(estimated) == Decimal(paid) == fal.billed_usd > 0


async def test_without_billable_units_the_output_itself_tells_what_it_cost(tmp_path, monkeypatch):
    job = Job(tmp_path)
    async with fal_of(monkeypatch, billable_units=False) as fal:
        await job.run()

        assert sum(Decimal(paid) for _, paid in costs(job)) == fal.billed_usd > 0


async def test_what_is_free_costs_nothing_in_any_figure(tmp_path, monkeypatch):
    job = Job(tmp_path, "model: fal/aura-sr")
    async with fal_of(monkeypatch) as fal:
        outcome = await job.run()

        cost = outcome.summary.cost_usd
        assert (cost.estimated, cost.charged, cost.reserved) == (0, 0, 0)
        assert len(fal.accepted) == 3


async def test_an_endpoint_of_the_users_own_works_as_it_is_declared(tmp_path, monkeypatch):
    own = Custom(id="me/my-app/big", output="images.0.url", factor="by", unit_usd="0.03", unit="MP")
    text = (
        "models: {mine: {endpoint: me/my-app/big, kind: image, input: image_url, output: 'images[0].url',"
        " price: 0.03 USD/MP, factor: by}}\nmodel: fal/mine\nparams: {by: 3, mood: calm}"
    )
    job = Job(tmp_path, text, photos=2)
    async with fal_of(monkeypatch, custom=(own,)) as fal:
        assert await job.tasks() == {"done": 2}

        assert {size(file) for file in job.outputs().values()} == {(144, 108)}
        assert {(job.body["by"], job.body["mood"]) for job in fal.accepted} == {(3, "calm")}
        assert all(estimated == paid for estimated, paid in costs(job))
        assert sum(Decimal(paid) for _, paid in costs(job)) == fal.billed_usd > 0


async def test_a_price_of_the_manifest_takes_the_place_of_the_tables(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nprices: {{fal/seedvr-image: 1 USD/MP}}", photos=1)
    async with fal_of(monkeypatch, prices={"fal-ai/seedvr/upscale/image": "1"}) as fal:
        await job.run()

        assert [*costs(job)[0], str(fal.billed_usd)] == ["0.006912"] * 3


async def test_a_synchronous_call_gives_the_same_without_the_queue(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nfal: {{mode: sync}}")
    async with fal_of(monkeypatch, task_s=0.05) as fal:
        assert await job.tasks() == {"done": 3}

        assert {size(file) for file in job.outputs().values()} == {(96, 72)}
        assert (fal.calls["run"], fal.calls["submit"], fal.calls["status"]) == (3, 0, 0)
        assert paid_once(fal)


async def test_an_input_that_is_a_url_is_handed_on_as_it_is(tmp_path, monkeypatch):
    url = "https://photos.example/a%20b.png?token=1"
    job = Job(tmp_path, f"{MODEL}\ninputs: [{{url: '{url}'}}]", photos=0)
    async with fal_of(monkeypatch, foreign=TINY) as fal:
        assert await job.tasks() == {"done": 1}

        assert [one.body["image_url"] for one in fal.accepted] == [url]
        assert fal.calls["upload"] == 0
        assert [size(file) for file in job.outputs().values()] == [(96, 72)]
        assert [paid for _, paid in costs(job)] == [str(fal.billed_usd)]


async def test_what_a_model_cannot_take_is_found_before_anything_is_uploaded(tmp_path, monkeypatch):
    job = Job(tmp_path, photos=1)
    photo(tmp_path / "photos/long.png", size=(9000, 10), seed=1)
    make_video(tmp_path / "photos/clip.mp4", seconds=0.2, size=TINY, audio=False)
    async with fal_of(monkeypatch) as fal:
        assert await job.tasks() == {"done": 1, "skipped": 2}

        assert fal.calls["upload"] == fal.calls["submit"] == 1
