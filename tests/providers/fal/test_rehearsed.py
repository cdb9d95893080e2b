"""What is particular to fal, against a fal of our own."""

import hashlib
from contextlib import asynccontextmanager

import anyio
import pytest

from batchup import rehearsal
from batchup.clock import SystemClock
from batchup.errors import AnswerLostError, FatalError
from batchup.providers.fal.answers import failed_request, failure
from batchup.providers.fal.api import open_api
from batchup.providers.fal.settings import Settings
from batchup.providers.fal.storage import PART_BYTES, SINGLE_BYTES, Storage
from batchup.rehearsal import Cut, Script, open_fal
from batchup.retry import RetryPolicy
from batchup.transport import open_transport
from tests.rehearsal.platform import photo

QUICK = RetryPolicy(attempts=8, initial_s=0.01, max_s=0.05)


@asynccontextmanager
async def fal_and_api(*scripts, **options):
    async with open_fal(rehearsal.Settings(outputs="blank", task_s=0.0, **options)) as fal:
        fal.script(*scripts)
        settings = Settings.from_environment(fal.environment())
        async with open_api(settings, connect_s=5, clock=SystemClock()) as api:
            yield fal, api, Storage(api, retry=QUICK, clock=SystemClock(), stall_s=5)


async def completed(api, ticket):
    while True:
        status = (await api.ask("queue", "GET", ticket["status_url"])).json()
        if status["status"] == "COMPLETED":
            return status


async def digest(url, folder):
    async with open_transport() as transport:
        await transport.download(url, folder / "back", allow_private=True)
    return hashlib.sha256((folder / "back").read_bytes()).hexdigest()


@pytest.mark.parametrize("shared", [False, True], ids=["a CDN of its own", "a CDN at the queue's origin"])
async def test_a_picture_goes_through_the_queue(tmp_path, shared):
    file = photo(tmp_path / "photo.png")
    async with fal_and_api(cdn_shares_origin=shared) as (fal, api, storage):
        upload = await storage.upload(file, content_type="image/png", keep_s=3600)
        body = {
            "image_url": upload.url,
            "upscaling_factor": 4,
            "checkpoint": "v2",
            "overlapping_tiles": False,
        }

        ticket = (await api.ask("queue", "POST", "fal-ai/aura-sr", body=body)).json()
        with anyio.fail_after(5):
            status = await completed(api, ticket)
        result = await api.ask("queue", "GET", ticket["response_url"])

        assert failed_request(status) is None
        assert failure("result", result) is None
        assert result.json()["image"]["width"] == 192
        assert await digest(upload.url, tmp_path) == hashlib.sha256(file.read_bytes()).hexdigest()
        assert fal.record.leaks == []
        assert fal.state()["billed_twice"] == 0


async def test_a_large_file_arrives_whole_through_cuts(tmp_path):
    file = tmp_path / "film.mp4"
    with file.open("wb") as out:
        out.truncate(SINGLE_BYTES + 1)
        for start in range(0, SINGLE_BYTES, PART_BYTES):
            out.seek(start)
            out.write(start.to_bytes(8, "big"))
    scripts = [
        Script("part", Cut("reading"), nth=2),
        Script("part", Cut("after", reset=True), nth=5),
        Script("part", Cut("before"), nth=12),
        Script("multipart", Cut("before")),
        Script("token", Cut("during")),
    ]
    async with fal_and_api(*scripts) as (fal, _, storage):
        upload = await storage.upload(file, content_type="video/mp4", keep_s=3600)

        with file.open("rb") as whole:
            assert await digest(upload.url, tmp_path) == hashlib.file_digest(whole, "sha256").hexdigest()
        assert fal.record.leaks == []
        assert fal.record.disorderly == 0
        # aiohttp itself sends a part again that was cut before any of it was read.
        assert 12 <= fal.calls["part"] <= 14


@pytest.mark.parametrize("when", ["reading", "before", "after", "during"])
async def test_a_submit_that_is_cut_may_have_been_accepted_and_is_sent_once(tmp_path, when):
    async with fal_and_api(Script("submit", Cut(when))) as (fal, api, storage):
        upload = await storage.upload(photo(tmp_path / "a.png"), content_type="image/png", keep_s=3600)

        with pytest.raises(AnswerLostError):
            (await api.ask("queue", "POST", "fal-ai/aura-sr", body={"image_url": upload.url})).json()

        assert fal.calls["submit"] == 1


async def test_a_wrong_key_is_the_accounts(tmp_path):
    async with fal_and_api() as (fal, _, _):
        settings = Settings.from_environment({**fal.environment(), "FAL_KEY": "not:the-key"})
        async with open_api(settings, connect_s=5, clock=SystemClock()) as api:
            answer = await api.ask("queue", "POST", "fal-ai/aura-sr", body={})
            assert isinstance(failure("submit", answer), FatalError)
            with pytest.raises(FatalError):
                await Storage(api, retry=QUICK, clock=SystemClock()).upload(
                    photo(tmp_path / "a.png"), content_type="image/png", keep_s=3600
                )
