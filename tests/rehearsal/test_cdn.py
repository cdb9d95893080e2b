"""The CDN keeps what it is given, gives back any part of it, and never sees the key."""

import aiohttp
import anyio
import pytest

from batchup.rehearsal import Cut, Script, answers
from tests.rehearsal.platform import BLANK, opened, photo

CONTENT = bytes(range(256)) * 100


async def test_a_file_comes_back_as_it_went_up():
    async with opened() as client:
        url = await client.upload(CONTENT, "my photo.png", **{"Content-Type": "image/png"})

        async with client.http.get(url) as answer:
            assert (answer.status, answer.content_type) == (200, "image/png")
            assert answer.headers["Accept-Ranges"] == "bytes"
            assert answer.headers["ETag"]
            assert answer.content_length == len(CONTENT)
            assert await answer.read() == CONTENT
        async with client.http.head(url) as answer:
            assert answer.content_length == len(CONTENT)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, None),
        ("bytes=100-199", 100, 200),
        ("bytes=25000-", 25000, None),
        ("bytes=-10", len(CONTENT) - 10, None),
        ("bytes=25590-99999", 25590, None),
    ],
)
async def test_a_range_gives_just_that_part(asked, start, end):
    async with opened() as client:
        url = await client.upload(CONTENT)

        async with client.http.get(url, headers={"Range": asked}) as answer:
            assert answer.status == 206
            part = await answer.read()
            told = answer.headers["Content-Range"]

    assert part == CONTENT[start:end]
    assert told == f"bytes {start}-{start + len(part) - 1}/{len(CONTENT)}"


async def test_a_range_beyond_the_end_is_refused():
    async with opened() as client:
        url = await client.upload(CONTENT)

        async with client.http.get(url, headers={"Range": f"bytes={len(CONTENT)}-"}) as answer:
            assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


async def test_the_rest_of_another_version_is_not_given():
    async with opened() as client:
        url = await client.upload(CONTENT)
        async with client.http.get(url) as answer:
            etag = answer.headers["ETag"]

        async with client.http.get(url, headers={"Range": "bytes=9-", "If-Range": etag}) as answer:
            assert answer.status == 206
        async with client.http.get(url, headers={"Range": "bytes=9-", "If-Range": '"other"'}) as answer:
            assert (answer.status, await answer.read()) == (200, CONTENT)


async def test_an_upload_lives_as_long_as_it_was_told(tmp_path):
    async with opened(**BLANK, time_scale=250) as client:
        content = photo(tmp_path / "a.png").read_bytes()
        url = await client.upload(
            content, **{"X-Fal-Object-Lifecycle": '{"expiration_duration_seconds": 100}'}
        )

        assert (await client.outcome("fal-ai/esrgan", {"image_url": url}))[0] == 200
        await anyio.sleep(0.42)

        async with client.http.get(url) as answer:
            assert answer.status == 404
        status, result, _ = await client.outcome("fal-ai/esrgan", {"image_url": url})
        assert (status, result["detail"][0]["type"]) == (422, "file_download_error")


async def test_an_output_lives_as_long_as_its_request_asked():
    async with opened(**BLANK, foreign=(8, 8), time_scale=250) as client:
        lifecycle = {"X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 100}'}
        _, result, _ = await client.outcome(
            "fal-ai/esrgan", {"image_url": "https://example.com/a"}, **lifecycle
        )

        assert await client.download(result["image"]["url"])
        await anyio.sleep(0.42)

        async with client.http.get(result["image"]["url"]) as answer:
            assert answer.status == 404


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Key rehearsal:not-a-secret"])
async def test_an_upload_needs_a_token(authorization):
    async with opened() as client:
        headers = {"Authorization": authorization}
        async with client.http.post(client.url("cdn", "/files/upload"), data=b"x", headers=headers) as answer:
            assert answer.status == 401

        assert len(client.fal.record.leaks) == ("Key" in authorization)


async def test_a_token_ends():
    async with opened(time_scale=250, token_ttl_s=100) as client:
        token = await client.token()
        await anyio.sleep(0.42)

        async with client.http.post(client.url("cdn", "/files/upload"), data=b"x", headers=token) as answer:
            assert answer.status == 401


async def test_the_key_at_a_download_is_refused_and_remembered():
    async with opened() as client:
        url = await client.upload(CONTENT)

        async with client.http.get(url, headers=client.key) as answer:
            assert answer.status == 403

        assert [call.step for call in client.fal.record.leaks] == ["download"]
        assert client.fal.log[-1].headers["Authorization"] == client.key["Authorization"]


async def test_the_key_in_an_address_is_a_leak_anywhere():
    async with opened() as client:
        await client.http.get(client.url("api", f"/v1/models/pricing?key={client.fal.settings.key}"))

        assert len(client.fal.record.leaks) == 1


@pytest.mark.parametrize("shared", [False, True])
async def test_the_cdn_may_share_the_queues_origin(shared, tmp_path):
    async with opened(**BLANK, cdn_shares_origin=shared) as client:
        async with client.http.post(
            client.url("rest", "/storage/auth/token?storage_type=fal-cdn-v3"), json={}, headers=client.key
        ) as answer:
            base = (await answer.json())["base_url"]
        headers = await client.token()
        content = photo(tmp_path / "a.png").read_bytes()

        async with client.http.post(f"{base}/files/upload", data=content, headers=headers) as answer:
            url = (await answer.json())["access_url"]

        assert url.startswith(client.fal.addresses["queue" if shared else "cdn"])
        assert (await client.outcome("fal-ai/esrgan", {"image_url": url}))[0] == 200


class Parts:
    """An upload in parts, step by step."""

    def __init__(self, client, headers, url, upload):
        self.client, self.headers, self.url, self.upload = client, headers, url, upload

    @classmethod
    async def begin(cls, client):
        headers = {**await client.token(), "X-Fal-File-Name": "a.bin"}
        async with client.http.post(client.url("cdn", "/files/upload/multipart"), headers=headers) as answer:
            found = await answer.json()
        return cls(client, headers, found["access_url"], found["uploadId"])

    async def put(self, number, content):
        url = f"{self.url}/multipart/{self.upload}/{number}"
        async with self.client.http.put(url, data=content, headers=self.headers) as answer:
            return answer.status, answer.headers.get("ETag")

    async def complete(self, *parts):
        body = {"parts": [{"partNumber": number, "etag": etag} for number, etag in parts]}
        url = f"{self.url}/multipart/{self.upload}/complete"
        async with self.client.http.post(url, json=body, headers=self.headers) as answer:
            return answer.status


async def test_parts_become_one_file_and_one_that_failed_is_sent_again_alone():
    async with opened() as client:
        client.fal.script(Script("part", answers.broken(503), nth=2))
        parts = await Parts.begin(client)

        one, failed, two = await parts.put(1, b"a" * 1000), await parts.put(2, b"b"), await parts.put(2, b"b")

        assert failed[0] == 503
        assert await parts.complete((1, one[1]), (2, two[1])) == 200
        assert await client.download(parts.url) == b"a" * 1000 + b"b"
        assert list(client.fal._store.folder.iterdir()) == [
            client.fal._store.find(parts.url.split("/")[-2]).path
        ]


async def test_a_part_that_is_missing_or_another_one_is_noticed():
    async with opened() as client:
        parts = await Parts.begin(client)
        _, old = await parts.put(1, b"old")
        _, new = await parts.put(1, b"new")

        assert await parts.complete((1, old)) == 400
        assert await parts.complete((1, new), (2, new)) == 400
        assert await parts.complete((1, new), (1, new)) == 400
        assert await parts.complete() == 400
        assert await parts.complete((1, new)) == 200
        assert await client.download(parts.url) == b"new"
        assert await parts.complete((1, new)) == 404


async def test_parts_listed_out_of_order_are_taken_and_counted():
    async with opened() as client:
        parts = await Parts.begin(client)
        (_, one), (_, two) = await parts.put(1, b"1"), await parts.put(2, b"2")

        assert await parts.complete((2, two), (1, one)) == 200

        assert await client.download(parts.url) == b"12"
        assert client.fal.record.disorderly == 1


async def test_a_completion_whose_answer_was_lost_has_happened():
    async with opened() as client:
        client.fal.script(Script("complete", Cut("after")))
        parts = await Parts.begin(client)
        _, etag = await parts.put(1, CONTENT)

        with pytest.raises(aiohttp.ServerDisconnectedError):
            await parts.complete((1, etag))

        assert await client.download(parts.url) == CONTENT
