"""Every fault is, on the wire, what it says it is."""

import asyncio
import email.utils
import hashlib
import json
import time

import aiohttp
import anyio
import pytest

from batchup.rehearsal import (
    Chance,
    Cut,
    Damaged,
    Delay,
    Elsewhere,
    Faults,
    Redirect,
    Resized,
    Script,
    Settings,
    Slow,
    answers,
    open_fal,
    rough,
)
from batchup.rehearsal.faults import Dice
from batchup.rehearsal.settings import KEY
from tests.rehearsal.platform import BLANK, opened, photo

AURA = "fal-ai/aura-sr"


class Raw:
    """One TCP connection, and the bytes on it."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, url):
        host, _, port = url.removeprefix("http://").partition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def say(self, method, path, body=b"", *, part=1.0, **headers):
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body[: int(len(body) * part)])
        await self.writer.drain()

    async def hear(self):
        """Return all that comes until the other side ends the connection."""
        with anyio.fail_after(5):
            return await self.reader.read()

    async def close(self):
        self.writer.close()


async def until(true):
    with anyio.fail_after(5):
        while not true():  # noqa: ASYNC110 - what happens in the server sets no event
            await anyio.sleep(0.001)


async def read(client, url, into):
    async with client.http.get(url, headers={} if "/files/" in url else client.key) as answer:
        async for chunk in answer.content.iter_any():
            into += chunk


async def submitted(fal, body=b'{"image_url": "data:,"}'):
    connection = await Raw.to(fal.addresses["queue"])
    await connection.say("POST", f"/{AURA}", body, Authorization=f"Key {KEY}")
    return connection


@pytest.mark.parametrize("when", ["reading", "before"])
async def test_a_cut_before_a_submit_takes_effect_accepts_nothing(when):
    async with open_fal() as fal:
        fal.script(Script("submit", Cut(when)))

        connection = await submitted(fal)

        assert await connection.hear() == b""
        await connection.close()
    assert fal.accepted == []


async def test_a_cut_after_a_submit_has_accepted_it_and_sends_not_a_byte():
    async with open_fal() as fal:
        fal.script(Script("submit", Cut("after")))

        connection = await submitted(fal)

        assert await connection.hear() == b""
        await connection.close()
        assert len(fal.accepted) == 1


async def test_a_cut_during_an_answer_sends_its_head_and_a_part_of_its_body():
    async with open_fal() as fal:
        fal.script(Script("submit", Cut("during", at=0.5)))

        connection = await submitted(fal)

        head, _, body = (await connection.hear()).partition(b"\r\n\r\n")
        await connection.close()
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert head.startswith(b"HTTP/1.1 200")
        assert len(body) == length // 2
        assert len(fal.accepted) == 1


async def test_a_cut_while_closing_sends_the_whole_answer_and_then_ends_without_having_said_so():
    async with open_fal() as fal:
        fal.script(Script("submit", Cut("closing")))

        connection = await submitted(fal)

        head, _, body = (await connection.hear()).partition(b"\r\n\r\n")
        await connection.close()
        assert json.loads(body)["request_id"] == fal.accepted[0].id
        assert b"connection: close" not in head.lower()


@pytest.mark.parametrize("when", ["before", "after", "during"])
async def test_a_cut_may_be_a_reset(when):
    async with open_fal() as fal:
        fal.script(Script("submit", Cut(when, reset=True)))

        connection = await submitted(fal)

        with pytest.raises(ConnectionResetError):
            await connection.hear()
        await connection.close()


async def test_without_a_fault_the_connection_stays_open_for_the_next_call():
    async with opened(**BLANK) as client:
        connector = client.http.connector

        await client.submit(AURA, {})
        await client.submit(AURA, {})

        assert len(connector._conns) == 1


async def test_an_upload_cut_while_it_is_read_leaves_nothing():
    async with opened() as client:
        client.fal.script(Script("upload", Cut("reading", at=0.3)))

        with pytest.raises(aiohttp.ClientError):
            await client.upload(bytes(900_000))

        assert list(client.fal._store.folder.iterdir()) == []
        assert await client.upload(bytes(900_000))


async def test_a_connection_that_the_sender_ends_leaves_no_half_of_a_file():
    async with opened() as client:
        token = await client.token()
        connection = await Raw.to(client.fal.addresses["cdn"])
        await connection.say("POST", "/files/upload", bytes(100_000), part=0.5, **token)
        await until(lambda: list(client.fal._store.folder.iterdir()))

        await connection.close()

        await until(lambda: not list(client.fal._store.folder.iterdir()))


async def test_a_download_cut_during_its_body_can_be_continued():
    content = bytes(range(256)) * 4000
    async with opened() as client:
        url = await client.upload(content)
        client.fal.script(Script("download", Cut("during", at=0.25)))
        came = bytearray()

        with pytest.raises(aiohttp.ClientPayloadError):
            await read(client, url, came)
        rest = await client.download(url, Range=f"bytes={len(came)}-")

        assert len(came) == len(content) // 4
        assert came + rest == content


async def test_a_damaged_download_has_the_right_length_and_another_second_half():
    content = b"x" * 1_000_001
    async with opened() as client:
        url = await client.upload(content)
        client.fal.script(Script("download", Damaged(), times=2))

        whole = await client.download(url)
        rest = await client.download(url, Range="bytes=499999-")

    assert whole == b"x" * 500_000 + bytes(500_001)
    assert rest == b"x" + bytes(500_001)


@pytest.mark.parametrize("step", ["upload", "download"])
async def test_a_slow_body_takes_its_time(step):
    content = bytes(20_000)
    async with opened() as client:
        url = await client.upload(content)
        client.fal.script(Script(step, Slow(100_000)))
        began = time.monotonic()

        assert await (client.upload(content) if step == "upload" else client.download(url))

        assert 0.15 < time.monotonic() - began < 2


async def test_a_delay_answers_late_what_has_happened_at_once():
    async with opened(**BLANK) as client:
        client.fal.script(Script("submit", Delay(0.5)))
        began = time.monotonic()

        async with anyio.create_task_group() as group:
            group.start_soon(client.submit, AURA, {})
            await until(lambda: client.fal.accepted)
            accepted_s = time.monotonic() - began

        assert accepted_s < 0.5
        assert time.monotonic() - began >= 0.5


async def test_a_redirect_leads_away_and_does_nothing():
    async with open_fal() as fal, aiohttp.ClientSession(headers={"Authorization": f"Key {KEY}"}) as http:
        fal.script(Script("submit", Redirect("http://127.0.0.1:9/elsewhere")))

        async with http.post(f"{fal.addresses['queue']}/{AURA}", json={}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (307, "http://127.0.0.1:9/elsewhere")

        assert fal.accepted == []


async def test_addresses_in_an_answer_can_be_moved_elsewhere():
    async with opened(**BLANK) as client:
        client.fal.script(Script("submit", Elsewhere("http://127.0.0.1:9")))

        ticket = await client.submit(AURA, {})

    assert ticket["status_url"] == f"http://127.0.0.1:9/{AURA}/requests/{ticket['request_id']}/status"


async def test_an_output_of_another_size_is_what_it_says(tmp_path):
    async with opened(task_s=0) as client:
        client.fal.script(Script("task", Resized(0.5)))
        url = await client.upload(photo(tmp_path / "a.png").read_bytes())

        _, result, _ = await client.outcome(AURA, {"image_url": url})

    assert (result["image"]["width"], result["image"]["height"]) == (96, 72)


@pytest.mark.parametrize(("form", "seconds"), [("seconds", 3), ("seconds", 0.5), ("date", 30)])
async def test_a_429_tells_when_to_come_again_in_either_form(form, seconds):
    async with open_fal() as fal, aiohttp.ClientSession(headers={"Authorization": f"Key {KEY}"}) as http:
        fal.script(Script("submit", answers.too_many(seconds, form)))

        async with http.post(f"{fal.addresses['queue']}/{AURA}", json={}) as answer:
            told = answer.headers["Retry-After"]
            assert answer.status == 429

    if form == "seconds":
        assert float(told) == seconds
    else:
        assert 25 < email.utils.parsedate_to_datetime(told).timestamp() - time.time() < 32
    assert fal.accepted == []


ANSWERS = {
    "429 without a time": (answers.too_many(), 429, "application/json", True, None),
    "500 in JSON": (answers.broken(), 500, "application/json", True, None),
    "502 of the ingress": (answers.ingress(502), 502, "text/html", False, None),
    "503 of the ingress": (answers.ingress(503), 503, "text/html", False, None),
    "504 of the ingress": (answers.ingress(504), 504, "text/html", False, None),
    "wrong key": (answers.wrong_key(), 401, "application/json", True, None),
    "locked": (answers.locked(), 403, "application/json", True, None),
    "forbidden": (answers.forbidden(), 403, "application/json", True, None),
    "gone": (answers.gone(), 404, "application/json", True, None),
    **{
        kind: (answers.model_error(kind), status, "application/json", True, "true")
        for kind, status in answers.MODEL_TRANSIENT.items()
    },
    **{
        kind: (answers.model_error(kind), 422, "application/json", True, "false")
        for kind in answers.MODEL_FOR_GOOD
    },
    **{
        kind: (answers.platform_error(kind), status, "application/json", True, None)
        for kind, status in answers.PLATFORM.items()
    },
}


@pytest.mark.parametrize("step", ["submit", "status", "result"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_every_error_of_the_table_can_answer_every_call(name, step):
    fault, status, media_type, traced, retryable = ANSWERS[name]
    async with opened(**BLANK) as client:
        ticket = await client.submit(AURA, {})
        client.fal.script(Script(step, fault))
        url = {"status": ticket["status_url"], "result": ticket["response_url"]}.get(
            step, client.url("queue", f"/{AURA}")
        )

        async with client.http.request(
            "POST" if step == "submit" else "GET", url, json={}, headers=client.key
        ) as answer:
            text = await answer.text()

        assert answer.status == status
        assert answer.content_type == media_type
        assert ("X-Fal-Request-Id" in answer.headers) == traced
        assert answer.headers.get("X-Fal-Retryable") == retryable
        assert text == fault.body
        assert len(client.fal.accepted) == 1


@pytest.mark.parametrize("name", [*answers.MODEL_TRANSIENT, *answers.MODEL_FOR_GOOD, *answers.PLATFORM])
async def test_every_error_can_be_the_end_of_a_request_itself(name):
    fault, status, *_ = ANSWERS[name]
    async with opened(**BLANK, foreign=(8, 8)) as client:
        client.fal.script(Script("task", fault))

        ended, body, standing = await client.outcome(AURA, {"image_url": "https://example.com/a.jpg"})

        assert (ended, body) == (status, json.loads(fault.body))
        assert standing["error"] == f"Invalid status code: {status}"
        assert standing["error_type"] == name
        assert client.fal.billed_usd == 0


async def test_an_error_may_be_said_of_a_submit_that_was_accepted_all_the_same():
    async with open_fal() as fal, aiohttp.ClientSession(headers={"Authorization": f"Key {KEY}"}) as http:
        fal.script(Script("submit", answers.broken(500, acted=True)))

        async with http.post(f"{fal.addresses['queue']}/{AURA}", json={}) as answer:
            assert answer.status == 500

        assert len(fal.accepted) == 1


async def test_a_stream_of_standings_can_be_cut():
    async with opened(task_s=60, foreign=(8, 8), outputs="blank") as client:
        ticket = await client.submit(AURA, {"image_url": "https://example.com/a.jpg"})
        client.fal.script(Script("stream", Cut("during")))

        with pytest.raises(aiohttp.ClientPayloadError):
            await read(client, f"{ticket['status_url']}/stream", came := bytearray())

    assert came.startswith(b'data: {"status": "IN_')


def throws(dice, count=200, step="status", endpoint=""):
    return [dice.throw(step, endpoint) for _ in range(count)]


def test_a_script_meets_exactly_the_calls_it_names():
    dice = Dice(Faults((Script("status", Cut(), nth=3), Script("status", Delay(1), nth=5, times=2))), 0)

    found = throws(dice, 8)

    assert found == [None, None, Cut(), None, Delay(1), Delay(1), None, None]


def test_a_script_without_an_end_meets_every_call_from_its_first():
    dice = Dice(Faults((Script("status", Cut(), nth=2, times=0),)), 0)

    assert throws(dice, 50) == [None] + [Cut()] * 49


def test_a_script_for_one_endpoint_counts_that_ones_calls():
    dice = Dice(Faults((Script("submit", Cut(), nth=2, endpoint="b"),)), 0)

    found = [dice.throw("submit", endpoint) for endpoint in "abab"]

    assert found == [None, None, None, Cut()]


async def test_a_script_for_one_endpoint_meets_the_calls_about_its_requests():
    async with opened(**BLANK) as client:
        client.fal.script(Script("status", answers.gone(), times=0, endpoint="fal-ai/esrgan"))

        found = [
            (await client.get((await client.submit(endpoint, {}))["status_url"]))[0]
            for endpoint in (AURA, "fal-ai/esrgan")
        ]

    assert found[0] != 404
    assert found[1] == 404


def test_chances_are_the_same_for_the_same_seed_whatever_other_steps_do():
    faults = Faults(chances=(Chance("status", Cut(), 0.3), Chance("result", Delay(1), 0.3)))
    one, two, other = Dice(faults, 1), Dice(faults, 1), Dice(faults, 2)
    throws(two, 57, "result")

    first, second, third = throws(one), throws(two), throws(other)

    assert first == second
    assert first != third
    assert 30 < sum(found is not None for found in first) < 90


def test_a_rough_night_has_every_kind_of_fault_and_no_more_than_was_asked_for():
    dice = Dice(rough(0.2), 0)

    found = throws(dice, 2000)

    assert len({str(one) for one in found if one}) == 6
    assert 300 < sum(one is not None for one in found) < 500


async def test_a_script_can_come_from_another_process():
    async with opened(**BLANK) as client:
        scripts = [{"type": "Script", "step": "submit", "fault": {"type": "Answer", "status": 503}}]

        async with client.http.post(client.url("api", "/_rehearsal/scripts"), json=scripts) as answer:
            assert answer.status == 200
        async with client.http.post(client.url("queue", f"/{AURA}"), json={}, headers=client.key) as answer:
            assert answer.status == 503


async def test_an_error_in_the_block_comes_out_as_it_is():
    with pytest.raises(LookupError):
        async with open_fal(Settings(task_s=60)):
            raise LookupError


async def test_the_folder_is_gone_with_the_server():
    async with opened() as client:
        await client.upload(b"content")
        folder = client.fal._store.folder
        assert hashlib.sha256(next(folder.iterdir()).read_bytes()) is not None

    assert not folder.exists()
