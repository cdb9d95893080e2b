import hashlib
import json
import os
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest
from aiohttp import web

from batchup.errors import FatalError, RejectedError, TransientError
from batchup.providers.fal.answers import Answer
from batchup.providers.fal.api import open_api
from batchup.providers.fal.storage import PART_BYTES, SINGLE_BYTES, Storage, Stored
from batchup.providers.fal.tokens import Tokens
from batchup.retry import RetryPolicy
from tests.providers.fal.servers import KEY, Clock, serving, settings, speaking


class Fal:
    """A storage that keeps what it gets, and fails where it is told: ``faults[path]`` are handlers, used up in turn."""

    def __init__(self, **faults):
        self.faults = {"token": [], "upload": [], "multipart": [], "part": [], "complete": [], **faults}
        self.asked: list[str] = []
        self.keys: list[str] = []
        self.tokens = 0
        self.files: list[tuple[dict[str, str], bytes]] = []
        self.parts: dict[int, str] = {}
        self.completed: list[dict[str, object]] = []
        self.life_s = 3600.0
        self.base = ""
        self.access = ""

    async def __call__(self, request):
        step = self._step(request.path)
        self.asked.append(step if step != "part" else request.path.rsplit("/", 1)[1])
        self.keys.append(request.headers["Authorization"])
        if self.faults[step] and (fault := self.faults[step].pop(0)):
            return await fault(request)
        if step != "token" and request.headers["Authorization"] != f"Bearer token-{self.tokens}":
            return web.Response(status=401)
        return await getattr(self, f"_{step}")(request)

    @staticmethod
    def _step(path):
        if path == "/storage/auth/token":
            return "token"
        if path.endswith("/complete"):
            return "complete"
        if "/multipart/" in path:
            return "part"
        return path.rsplit("/", 1)[1]

    async def _token(self, request):
        assert request.query == {"storage_type": "fal-cdn-v3"}
        assert await request.json() == {}
        self.tokens += 1
        base = self.base or f"http://{request.host}/cdn"
        expires = (Clock().utc() + timedelta(seconds=self.life_s)).isoformat().replace("+00:00", "Z")
        body = {
            "token": f"token-{self.tokens}",
            "token_type": "Bearer",
            "base_url": base,
            "expires_at": expires,
        }
        return web.json_response(body, headers={"Date": "Sun, 08 Nov 2026 12:00:00 GMT"})

    async def _upload(self, request):
        self.files.append((dict(request.headers), await request.read()))
        url = self.access or f"http://{request.host}/cdn/files/{len(self.files)}.png"
        return web.json_response({"access_url": url})

    async def _multipart(self, request):
        self.files.append((dict(request.headers), b""))
        return web.json_response(
            {"access_url": f"http://{request.host}/cdn/files/big.mp4", "uploadId": "a/b"}
        )

    async def _part(self, request):
        digest, size = hashlib.sha256(), 0
        async for chunk in request.content.iter_any():
            digest.update(chunk)
            size += len(chunk)
        self.parts[int(request.path.rsplit("/", 1)[1])] = digest.hexdigest()
        return web.Response(headers={"ETag": f'"{size}"'})

    async def _complete(self, request):
        self.completed.append(await request.json())
        return web.json_response({})


async def refuse(_request, status=401, **headers):
    return web.Response(
        status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


async def busy(request):
    return await refuse(request, 429, Retry_After="7")


async def failing(request):
    return await refuse(request, 503)


async def cut(request):
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def storage(fal, *, attempts=5, clock=None, stall_s=5.0, connect_s=5.0):
    # What is refused before its body has come is not waited for.
    async with (
        serving(fal, lingering_time=0.1) as server,
        open_api(settings(server), connect_s=connect_s, clock=clock or Clock()) as api,
    ):
        retry = RetryPolicy(attempts=attempts, uniform=lambda _, high: high)
        yield Storage(api, retry=retry, clock=clock or Clock(), stall_s=stall_s)


def picture(tmp_path, size=1000):
    file = tmp_path / "grandma's diary\n.png"
    file.write_bytes(os.urandom(size))
    return file


def sparse(tmp_path, size):
    """A file of *size* bytes that takes hardly any room, with something different in each part of it."""
    file = tmp_path / "film.mp4"
    with file.open("wb") as out:
        out.truncate(size)
        for start in range(0, size, PART_BYTES):
            out.seek(start)
            out.write(start.to_bytes(8, "big"))
    return file


async def bring(store, file, **options):
    return await store.upload(file, **{"content_type": "image/png", "keep_s": 86400.0, **options})


async def test_a_file_is_uploaded_by_token_with_its_life_and_without_its_name(tmp_path):
    fal, file = Fal(), picture(tmp_path, 300_000)

    async with storage(fal) as store:
        found = await bring(store, file)

    [(headers, body)] = fal.files
    assert body == file.read_bytes()
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Length"] == "300000"
    assert headers["X-Fal-File-Name"] == "input.png"
    assert json.loads(headers["X-Fal-Object-Lifecycle"]) == {"expiration_duration_seconds": 86400}
    assert found.url.endswith("/cdn/files/1.png")
    assert found.expires_at == Clock().utc() + timedelta(days=1)


async def test_an_empty_file_is_uploaded_as_one(tmp_path):
    fal = Fal()

    async with storage(fal) as store:
        await bring(store, picture(tmp_path, 0))

    assert fal.files[0][1] == b""


async def test_the_key_goes_for_tokens_only_even_where_the_cdn_shares_their_origin(tmp_path):
    fal = Fal()

    async with storage(fal) as store:
        await bring(store, picture(tmp_path))
        await bring(store, sparse(tmp_path, SINGLE_BYTES + 1))

    assert fal.asked[:3] == ["token", "upload", "multipart"]
    assert [KEY in key for key in fal.keys] == [step == "token" for step in fal.asked]


async def test_one_token_serves_many_uploads_and_is_renewed_before_it_ends(tmp_path):
    fal, clock, file = Fal(), Clock(), picture(tmp_path)

    async with storage(fal, clock=clock) as store:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(bring, store, file)
        assert fal.tokens == 1
        clock.seconds = 3539
        await bring(store, file)
        assert fal.tokens == 1
        clock.seconds = 3541
        await bring(store, file)
        assert fal.tokens == 2

    assert len(fal.files) == 12


async def test_a_token_that_is_refused_is_renewed_once(tmp_path):
    fal = Fal(upload=[refuse])

    async with storage(fal) as store:
        await bring(store, picture(tmp_path))

    assert fal.asked == ["token", "upload", "token", "upload"]


async def test_a_new_token_that_is_refused_too_fails_the_upload(tmp_path):
    fal = Fal(upload=[refuse, refuse])

    async with storage(fal) as store:
        with pytest.raises(RejectedError):
            await bring(store, picture(tmp_path))

    assert fal.asked == ["token", "upload", "token", "upload"]


@pytest.mark.parametrize("fault", [cut, failing], ids=["cut", "503"])
async def test_what_fails_is_sent_again_as_the_policy_says(tmp_path, fault):
    fal, clock, file = Fal(upload=[fault, fault], token=[fault]), Clock(), picture(tmp_path, 300_000)

    async with storage(fal, clock=clock) as store:
        await bring(store, file)

    assert [body for _, body in fal.files] == [file.read_bytes()]
    assert clock.slept == [1.0, 2.0, 4.0]


async def test_what_fails_too_often_is_left_to_the_caller(tmp_path):
    fal = Fal(upload=[failing] * 5)

    async with storage(fal, attempts=3) as store:
        with pytest.raises(TransientError) as met:
            await bring(store, picture(tmp_path))

    assert fal.asked.count("upload") == 3
    assert "/cdn/files/upload: the server failed (HTTP 503)" in str(met.value)


async def test_to_be_told_to_wait_counts_for_nothing(tmp_path):
    fal, clock = Fal(upload=[busy] * 9), Clock()

    async with storage(fal, clock=clock, attempts=2) as store:
        await bring(store, picture(tmp_path))

    assert len(fal.files) == 1
    assert clock.slept[:2] == [7.0, 7.0]


async def test_a_large_file_goes_in_parts_and_a_failed_part_is_sent_again_alone(tmp_path):
    fal, file = Fal(part=[None, cut, None, failing, refuse]), sparse(tmp_path, SINGLE_BYTES + 1)

    async with storage(fal) as store:
        found = await bring(store, file, content_type="video/mp4", keep_s=60.0)

    sizes = [PART_BYTES] * 9 + [SINGLE_BYTES + 1 - 9 * PART_BYTES]
    with file.open("rb") as whole:
        assert fal.parts == {
            n: hashlib.sha256(whole.read(size)).hexdigest() for n, size in enumerate(sizes, 1)
        }
    assert fal.completed == [
        {"parts": [{"partNumber": n, "etag": f'"{size}"'} for n, size in enumerate(sizes, 1)]}
    ]
    assert found.url.endswith("/cdn/files/big.mp4")
    [(headers, _)] = fal.files
    assert headers["X-Fal-File-Name"] == "input.mp4"
    assert json.loads(headers["X-Fal-Object-Lifecycle"]) == {"expiration_duration_seconds": 60}
    sent = [step for step in fal.asked if step.isdigit()]
    assert sent == ["1", "2", "2", "3", "3", "3", *map(str, range(4, 11))]


async def test_parts_that_cannot_be_completed_are_uploaded_anew(tmp_path):
    async def unknown(request):
        return await refuse(request, 404)

    fal = Fal(complete=[cut, unknown])

    async with storage(fal) as store:
        with pytest.raises(TransientError) as met:
            await bring(store, sparse(tmp_path, SINGLE_BYTES + 1))

    assert met.value.kind == "upload_incomplete"


async def test_a_server_that_takes_nothing_more_is_given_up(tmp_path):
    async def talk(_number, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/token" in head:
            await reader.readexactly(2)
            port = writer.get_extra_info("sockname")[1]
            body = {"token": "t", "token_type": "Bearer", "base_url": f"http://127.0.0.1:{port}"}
            content = json.dumps({**body, "expires_at": "2100-01-01T00:00:00Z"})
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n{content}".encode())
        await anyio.sleep_forever()

    async with (
        speaking(talk) as server,
        open_api(settings(server), connect_s=0.1, clock=Clock()) as api,
    ):
        store = Storage(api, retry=RetryPolicy(attempts=1), clock=Clock(), stall_s=0.3)
        with anyio.fail_after(5), pytest.raises(TransientError) as met:
            await bring(store, sparse(tmp_path, SINGLE_BYTES))

    assert met.value.kind == "no_answer"


async def test_an_upload_may_take_any_time_as_long_as_it_moves(tmp_path):
    async def slow(request):
        size = 0
        while chunk := await request.content.read(1 << 20):
            size += len(chunk)
            await anyio.sleep(0.02)
        return web.json_response({"access_url": f"http://{request.host}/{size}"})

    fal, size = Fal(upload=[slow]), 40 << 20
    begun = anyio.current_time()

    async with storage(fal, stall_s=0.4, connect_s=0.2) as store:
        found = await bring(store, sparse(tmp_path, size))

    assert found.url.endswith(f"/{size}")
    assert anyio.current_time() - begun > 0.8


async def test_a_file_that_changes_meanwhile_fails_alone(tmp_path):
    file = sparse(tmp_path, 40 << 20)

    async def shorten(request):
        os.truncate(file, 1000)
        await request.read()
        return web.Response()

    fal = Fal(upload=[shorten])

    async with storage(fal) as store:
        with pytest.raises(RejectedError) as met:
            await bring(store, file)

    assert met.value.kind == "source_changed"
    assert fal.asked == ["token", "upload"]
    assert fal.files == []


async def test_a_file_that_is_not_there_is_an_error_of_the_disk(tmp_path):
    fal = Fal()

    async with storage(fal) as store:
        with pytest.raises(FileNotFoundError):
            await bring(store, tmp_path / "gone.png")

    assert fal.asked == []


@pytest.mark.parametrize(
    "base", ["http://192.0.2.1/cdn", "ftp://127.0.0.1", "http://a:b@127.0.0.1", "nonsense"]
)
async def test_nothing_is_uploaded_where_others_may_read_it(tmp_path, base):
    fal = Fal()
    fal.base = base

    async with storage(fal) as store:
        with pytest.raises(RejectedError):
            await bring(store, picture(tmp_path))

    assert fal.asked == ["token"]


async def test_a_real_service_may_not_name_this_machine():
    body = {
        "token": "t",
        "token_type": "Bearer",
        "base_url": "http://127.0.0.1:1/cdn",
        "expires_at": "2100-01-01",
    }

    async def fetch():
        return Answer(200, {}, json.dumps(body).encode())

    with pytest.raises(RejectedError) as met:
        await Tokens(fetch, Clock(), loopback=False).current()

    assert met.value.kind == "storage_unsafe"


@pytest.mark.parametrize(
    ("status", "body"), [(401, {}), (403, {"detail": "User is locked. Reason: Exhausted balance."})]
)
async def test_no_token_for_this_account_stops_the_run(tmp_path, status, body):
    async def locked(_):
        return web.json_response(body, status=status)

    fal = Fal(token=[locked])
    async with storage(fal) as store:
        with pytest.raises(FatalError):
            await bring(store, picture(tmp_path))

    assert fal.asked == ["token"]


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'{"token": 1}', b'{"token": "a\\nb", "token_type": "B", "base_url": "https://a", "expires_at": ""}'],
)  # fmt: skip
async def test_an_answer_that_is_no_token_is_asked_for_again(tmp_path, body):
    async def odd(_):
        return web.Response(body=body)

    fal = Fal(token=[odd])
    async with storage(fal) as store:
        await bring(store, picture(tmp_path))

    assert fal.asked == ["token", "token", "upload"]


async def test_contents_that_several_want_at_once_are_uploaded_once(tmp_path):
    fal, file = Fal(), picture(tmp_path)
    found: list[Stored] = []

    async with storage(fal) as store:

        async def want():
            found.append(await store.once("abc", lambda: bring(store, file)))

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(want)

    assert len(fal.files) == 1
    assert len(set(found)) == 1
    assert len(found) == 10


async def test_when_the_first_of_several_fails_or_gives_up_the_next_one_uploads(tmp_path):
    fal, file = Fal(), picture(tmp_path)
    calls: list[str] = []
    async with storage(fal) as store:
        begun = anyio.Event()

        async def for_ever():
            calls.append("cancelled")
            begun.set()
            await anyio.sleep_forever()
            raise AssertionError

        async def fails():
            calls.append("fails")
            raise TransientError("no", kind="no")

        async def works():
            calls.append("works")
            return await bring(store, file)

        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()

            async def first():
                with scope:
                    await store.once("abc", for_ever)

            async def second():
                with pytest.raises(TransientError):
                    await store.once("abc", fails)

            group.start_soon(first)
            await begun.wait()
            group.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(store.once, "abc", works)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()

    assert calls == ["cancelled", "fails", "works"]
    assert len(fal.files) == 1


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("image/jpeg", "input.jpg"),
        ("image/webp", "input.webp"),
        ("video/quicktime", "input.mov"),
        ("video/x-matroska", "input.mkv"),
        ("application/octet-stream", "input.bin"),
    ],
)
async def test_the_name_that_is_told_is_the_kind_of_file(tmp_path, content_type, name):
    fal = Fal()

    async with storage(fal) as store:
        await bring(store, picture(tmp_path), content_type=content_type)

    assert fal.files[0][0]["X-Fal-File-Name"] == name
