"""The official client works with a fal of our own, unchanged but for its addresses: it is fal's protocol."""

import gc
import hashlib
from typing import Any

import anyio
import fal_client
import httpx
import pytest
from anyio import to_thread

from batchup.media import verify
from batchup.rehearsal import Script, Settings, answers, open_fal
from batchup.rehearsal.settings import KEY
from tests.rehearsal.platform import INPUTS, is_video, sample

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

AURA = "fal-ai/aura-sr"
SIZES = {
    "fal-ai/aura-sr": (192, 144),
    "fal-ai/crystal-upscaler": (144, 108),
    "fal-ai/bytedance-upscaler/upscale/video": (1440, 1080),
}


@pytest.fixture(autouse=True)
def closed_connections():
    """The official client leaves its connections to the garbage collector: let it not be the next test's."""
    yield
    gc.collect()


@pytest.fixture
def aim(monkeypatch):
    """Return what sets the client's addresses, which are constants in its module."""

    def set_(fal):
        for name, url in {
            "RUN_URL_FORMAT": f"{fal.addresses['run']}/",
            "QUEUE_URL_FORMAT": f"{fal.addresses['queue']}/",
            "REST_URL": fal.addresses["rest"],
            "CDN_URL": fal.addresses["cdn"],
        }.items():
            monkeypatch.setattr(fal_client.client, name, url)
        return fal_client.AsyncClient(key=fal.settings.key)

    return set_


def the_file(result):
    found = result.get("video") or result.get("image") or result["images"][0]
    assert {"url", "content_type", "file_name", "file_size", "width", "height"} <= found.keys()
    return found


async def fetched(file, path):
    async with httpx.AsyncClient(verify=False) as http:
        answer = await http.get(file["url"])
    assert answer.status_code == 200
    assert len(answer.content) == file["file_size"]
    path.write_bytes(answer.content)
    return verify(path)


@pytest.mark.parametrize("endpoint", INPUTS)
async def test_upload_subscribe_and_download(endpoint, aim, tmp_path):
    async with open_fal(Settings(task_s=0.01)) as fal:
        client = aim(fal)
        url = await client.upload_file(sample(tmp_path, endpoint), fallback_repository=[])
        seen: list[Any] = []
        field = "video_url" if is_video(endpoint) else "image_url"

        result = await client.subscribe(
            endpoint,
            {field: url, **INPUTS[endpoint]},
            with_logs=True,
            on_queue_update=seen.append,
            interval=0.005,
        )

        file = the_file(result)
        media = await fetched(file, tmp_path / "output")
    assert (file["width"], file["height"]) == SIZES.get(endpoint, (96, 72)) == media.size
    assert isinstance(seen[-1], fal_client.Completed)
    assert seen[-1].metrics["inference_time"] > 0
    assert not fal.record.leaks


@pytest.mark.parametrize("endpoint", INPUTS)
async def test_the_synchronous_run(endpoint, aim, tmp_path):
    async with open_fal(Settings(task_s=0, outputs="blank")) as fal:
        client = aim(fal)
        url = await client.upload_file(sample(tmp_path, endpoint), fallback_repository=[])
        field = "video_url" if is_video(endpoint) else "image_url"

        result = await client.run(endpoint, {field: url, **INPUTS[endpoint]})

        media = await fetched(the_file(result), tmp_path / "output")
    assert media.size == SIZES.get(endpoint, (96, 72))
    assert fal.calls["run"] == 1
    assert not fal.calls["submit"]


@pytest.mark.parametrize("endpoint", INPUTS)
async def test_submit_status_and_result_by_request_id_alone(endpoint, aim, tmp_path):
    async with open_fal(Settings(task_s=0, outputs="blank")) as fal:
        client = aim(fal)
        url = await client.upload_file(sample(tmp_path, endpoint), fallback_repository=[])
        field = "video_url" if is_video(endpoint) else "image_url"

        handle = await client.submit(endpoint, {field: url, **INPUTS[endpoint]}, priority="low")
        result = await client.result(endpoint, handle.request_id)

        assert the_file(result)
        assert isinstance(await client.status(endpoint, handle.request_id), fal_client.Completed)
    assert fal.accepted[0].wishes.priority == "low"


@pytest.mark.parametrize("endpoint", INPUTS)
async def test_cancelling_what_is_queued(endpoint, aim):
    async with open_fal(Settings(task_s=60, concurrency=1)) as fal:
        client = aim(fal)
        await client.submit(AURA, {"image_url": PIXEL})
        handle = await client.submit(endpoint, {})
        standing = await handle.status()

        await handle.cancel()

        seen = [one async for one in handle.iter_events(interval=0.002)]
        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            await handle.get(interval=0.002)
    assert standing == fal_client.Queued(position=0)
    assert seen[-1].error_type == "client_cancelled"
    assert caught.value.status_code == 499
    assert not fal.billed_usd


async def test_cancelling_what_is_completed_or_unknown_fails(aim):
    async with open_fal(Settings(task_s=0)) as fal:
        client = aim(fal)
        handle = await client.submit(AURA, {})
        async for _ in handle.iter_events(interval=0.002):
            pass

        with pytest.raises(fal_client.FalClientHTTPError) as late:
            await handle.cancel()
        with pytest.raises(fal_client.FalClientHTTPError) as unknown:
            await client.cancel(AURA, "0f6c")
    assert (late.value.status_code, late.value.response.json()) == (400, {"status": "ALREADY_COMPLETED"})
    assert (unknown.value.status_code, unknown.value.response.json()) == (404, {"status": "NOT_FOUND"})


async def test_a_file_above_100_mb_goes_up_in_parts_and_arrives_whole(aim, tmp_path):
    file = tmp_path / "long.mp4"
    with file.open("wb") as out:
        out.write(b"begin")
        out.truncate(101 << 20)
    async with open_fal() as fal:
        client = aim(fal)

        url = await client.upload_file(file, lifecycle=fal_client.client.StorageSettings(expires_in="1h"))

        digest = hashlib.sha256()
        async with httpx.AsyncClient(verify=False) as http, http.stream("GET", url) as answer:
            async for chunk in answer.aiter_bytes():
                digest.update(chunk)
    assert fal.calls["part"] == 11
    assert not fal.calls["upload"]
    with file.open("rb") as whole:
        assert digest.hexdigest() == hashlib.file_digest(whole, "sha256").hexdigest()


async def test_one_token_serves_many_uploads_and_the_key_never_reaches_the_cdn(aim):
    async with open_fal() as fal:
        client = aim(fal)

        for number in range(3):
            await client.upload(bytes([number]), "image/png", "a.png", fallback_repository=[])

    assert fal.calls["token"] == 1
    assert fal.calls["upload"] == 3
    assert not fal.record.leaks


async def test_the_blocking_client(aim, tmp_path):
    async with open_fal(Settings(task_s=0.01)) as fal:
        aim(fal)
        client = fal_client.SyncClient(key=KEY)

        def work():
            url = client.upload_file(sample(tmp_path, AURA), fallback_repository=[])
            return client.subscribe(AURA, {"image_url": url}), client.run(AURA, {"image_url": url})

        subscribed, ran = await to_thread.run_sync(work)
    assert the_file(subscribed)["width"] == the_file(ran)["width"] == 192


async def test_a_wrong_key_is_refused_everywhere(aim):
    async with open_fal() as fal:
        aim(fal)
        client = fal_client.AsyncClient(key="wrong")

        for call in (
            client.submit(AURA, {}),
            client.run(AURA, {}),
            client.status(AURA, "x"),
            client.result(AURA, "x"),
            client.cancel(AURA, "x"),
        ):
            with pytest.raises(fal_client.FalClientHTTPError) as caught:
                await call
            assert caught.value.status_code == 401
        with pytest.raises(httpx.HTTPStatusError):
            await client.upload(b"x", "image/png", fallback_repository="fal_v3")
    assert not fal.accepted


async def test_a_model_error_reaches_the_client_with_its_detail(aim):
    async with open_fal(Settings(task_s=0)) as fal:
        client = aim(fal)

        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            await client.subscribe(AURA, {"image_url": "data:,", "upscaling_factor": 3}, interval=0.002)

    assert caught.value.status_code == 422
    assert caught.value.response.json()["detail"][0]["type"] == "one_of"
    assert caught.value.response_headers["x-fal-retryable"] == "false"


async def test_a_platform_error_has_its_type(aim):
    fault = Script("task", answers.platform_error("runner_disconnected"))
    async with open_fal(Settings(task_s=0)) as fal:
        fal.script(fault)
        client = aim(fal)

        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            await client.subscribe(AURA, {"image_url": PIXEL}, interval=0.002)

    assert (caught.value.status_code, caught.value.error_type) == (503, "runner_disconnected")


async def test_an_ingress_error_is_one_that_the_client_sends_again(aim):
    async with open_fal(Settings(task_s=0)) as fal:
        fal.script(Script("submit", answers.ingress(502)), Script("result", answers.ingress(504)))
        client = aim(fal)

        assert await client.subscribe(AURA, {"image_url": PIXEL}, interval=0.002)

    assert fal.calls["submit"] == 2
    assert fal.calls["result"] == 2
    assert len(fal.accepted) == 1


async def test_a_deadline_to_start_is_kept_and_is_no_reason_to_try_again(aim):
    async with open_fal(Settings(task_s=60, concurrency=1, time_scale=100)) as fal:
        client = aim(fal)
        await client.submit(AURA, {"image_url": PIXEL})

        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            await client.run(AURA, {"image_url": PIXEL}, start_timeout=1.5)

    assert caught.value.status_code == 504
    assert caught.value.response_headers["x-fal-request-timeout-type"] == "user"
    assert fal.calls["run"] == 1


async def test_its_own_deadline_cancels_the_request(aim):
    async with open_fal(Settings(task_s=60, concurrency=1)) as fal:
        client = aim(fal)
        await client.submit(AURA, {"image_url": PIXEL})

        with pytest.raises(fal_client.FalClientTimeoutError), anyio.fail_after(10):
            await client.subscribe(AURA, {"image_url": PIXEL}, client_timeout=1.01, interval=0.05)

    assert fal.calls["cancel"] == 1


PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
