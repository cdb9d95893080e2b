"""The queue waits, counts, forgets, and says so as the platform does."""

import json
import time

import aiohttp
import anyio
import pytest

from batchup.rehearsal import Cut, Script
from tests.rehearsal.platform import BLANK, INPUTS, opened

AURA = "fal-ai/aura-sr"
HERE = {**BLANK, "foreign": (64, 48)}
BODY = {"image_url": "https://example.com/a.png"}


@pytest.mark.parametrize("endpoint", INPUTS)
async def test_the_addresses_of_a_request_name_owner_and_app_only(endpoint):
    async with opened(**BLANK) as client:
        ticket = await client.submit(endpoint, {})

    app = "/".join(endpoint.split("/")[:2])
    here = f"{client.fal.addresses['queue']}/{app}/requests/{ticket['request_id']}"
    assert (ticket["status_url"], ticket["response_url"]) == (f"{here}/status", here)
    assert ticket["cancel_url"] == f"{here}/cancel"


async def test_no_more_run_at_once_than_the_account_may_and_the_rest_has_a_place():
    async with opened(**{**HERE, "task_s": 60.0}, concurrency=2) as client:
        tickets = [await client.submit(AURA, BODY) for _ in range(5)]
        await anyio.wait_all_tasks_blocked()

        standings = [(await client.get(ticket["status_url"]))[1] for ticket in tickets]

        assert [one["status"] for one in standings] == ["IN_PROGRESS"] * 2 + ["IN_QUEUE"] * 3
        assert [one.get("queue_position") for one in standings[2:]] == [0, 1, 2]
        assert client.fal.peak_running == 2
        assert client.fal.account.peak == 5


async def test_slots_are_given_back_once_each():
    async with opened(**{**HERE, "task_s": 0.01}, concurrency=2) as client:
        tickets = [await client.submit(AURA, BODY) for _ in range(12)]
        async with client.http.put(tickets[-2]["cancel_url"], headers=client.key):
            await client.completed(tickets[-1])
        for ticket in [await client.submit(AURA, BODY) for _ in range(6)]:
            await client.completed(ticket)
        ran = [job for job in client.fal.accepted if job.started_at]

    at_once = [sum(one.started_at <= job.started_at < one.ended_at for one in ran) for job in ran]
    assert max(at_once) == 2
    assert len(ran) == 17


async def test_low_priority_waits_for_all_of_normal():
    async with opened(**{**HERE, "task_s": 0.02}, concurrency=1) as client:
        await client.submit(AURA, BODY)
        low = await client.submit(AURA, BODY, **{"X-Fal-Queue-Priority": "low"})
        normal = await client.submit(AURA, BODY)

        assert (await client.get(low["status_url"]))[1]["queue_position"] >= 1
        await client.completed(low)

        ended = {job.id: job.ended_s for job in client.fal.accepted}
    assert ended[normal["request_id"]] < ended[low["request_id"]]


async def test_a_result_asked_for_too_early_is_no_result():
    async with opened(**{**HERE, "task_s": 60.0}) as client:
        ticket = await client.submit(AURA, BODY)

        status, found = await client.get(ticket["response_url"])

    assert (status, found) == (400, {"detail": "Request is still in progress"})


async def test_the_stream_tells_every_standing_until_the_end():
    async with opened(**{**HERE, "task_s": 0.02}, concurrency=1) as client:
        await client.submit(AURA, BODY)
        ticket = await client.submit(AURA, BODY)

        async with client.http.get(f"{ticket['status_url']}/stream", headers=client.key) as answer:
            text = await answer.text()

    events = [json.loads(line.removeprefix("data: ")) for line in text.split("\n\n") if line]
    assert [event["status"] for event in events] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]


async def test_whoever_leaves_a_stream_disturbs_nobody():
    async with opened(**{**HERE, "task_s": 0.05}) as client:
        ticket = await client.submit(AURA, BODY)

        async with client.http.get(f"{ticket['status_url']}/stream", headers=client.key) as answer:
            await answer.content.readany()

        assert (await client.completed(ticket))["status"] == "COMPLETED"
        await anyio.sleep(0.02)


async def test_logs_come_only_when_asked_for():
    async with opened(**HERE) as client:
        ticket = await client.submit(AURA, BODY)
        plain = await client.completed(ticket)

        _, logged = await client.get(f"{ticket['status_url']}?logs=1")

    assert plain["logs"] is None
    assert logged["logs"][0]["message"]


@pytest.mark.parametrize(("stops", "status", "billed"), [(False, 200, 1), (True, 499, 0)])
async def test_what_is_cancelled_while_it_runs_may_be_billed_all_the_same(stops, status, billed):
    async with opened(**{**HERE, "task_s": 0.1}, stops_cancelled=stops) as client:
        ticket = await client.submit("fal-ai/topaz/upscale/image", BODY)
        while client.fal.accepted[0].state == "IN_QUEUE":
            await client.fal.accepted[0].change()

        async with client.http.put(ticket["cancel_url"], headers=client.key) as answer:
            assert (answer.status, await answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
        await client.completed(ticket)

        assert (await client.get(ticket["response_url"]))[0] == status
        assert sum(client.fal.inputs_billed.values()) == billed


async def test_a_request_is_unknown_under_another_app_and_after_its_time():
    async with opened(**HERE, time_scale=100, result_ttl_s=50) as client:
        ticket = await client.submit(AURA, BODY)
        await client.completed(ticket)
        elsewhere = ticket["status_url"].replace("aura-sr", "esrgan")

        assert (await client.get(elsewhere))[0] == 404
        assert (await client.get(ticket["response_url"]))[0] == 200
        await anyio.sleep(0.52)
        assert (await client.get(ticket["response_url"]))[0] == 404
        assert (await client.get(ticket["status_url"]))[0] == 404


@pytest.mark.parametrize(("headers", "known"), [({}, 200), ({"X-Fal-Store-IO": "0"}, 404)])
async def test_without_payload_storage_a_result_is_kept_for_an_hour(headers, known):
    async with opened(**HERE, time_scale=3600 * 20) as client:
        ticket = await client.submit(AURA, BODY, **headers)
        await client.completed(ticket)
        await anyio.sleep(0.06)

        assert (await client.get(ticket["response_url"]))[0] == known


async def test_a_request_can_be_made_to_expire():
    async with opened(**HERE) as client:
        ticket = await client.submit(AURA, BODY)
        result = (await client.get((await client.completed(ticket))["response_url"]))[1]

        client.fal.expire(ticket["request_id"])
        client.fal.expire_file(result["image"]["url"])

        assert (await client.get(ticket["status_url"]))[0] == 404
        async with client.http.get(result["image"]["url"]) as answer:
            assert answer.status == 404


async def test_submits_beyond_the_limit_in_flight_are_answered_429():
    async with opened(**{**HERE, "task_s": 60.0}, accept_in_flight=2, retry_after_s=7) as client:
        for _ in range(2):
            await client.submit(AURA, BODY)

        async with client.http.post(client.url("queue", f"/{AURA}"), json=BODY, headers=client.key) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert len(client.fal.accepted) == 2


async def test_calls_beyond_the_rate_are_answered_429_and_the_rate_is_known():
    async with opened(**HERE, calls_per_s=5) as client:
        ticket = await client.submit(AURA, BODY)

        found = [(await client.get(ticket["status_url"]))[0] for _ in range(8)]

        assert found.count(429) == 4
        assert client.fal.record.rate("status") == 8
        assert client.fal.record.rate() == 9


async def test_an_account_without_credit_is_locked():
    async with opened(**HERE, balance_usd="0.10") as client:
        for _ in range(2):
            await client.outcome("fal-ai/topaz/upscale/image", BODY)

        async with client.http.post(client.url("queue", f"/{AURA}"), json=BODY, headers=client.key) as answer:
            assert answer.status == 403
            assert (await answer.json())["detail"].startswith("User is locked. Reason: Exhausted balance")
        assert len(client.fal.accepted) == 2


async def test_an_unknown_endpoint_is_not_accepted():
    async with opened() as client:
        async with client.http.post(
            client.url("queue", "/fal-ai/nothing"), json={}, headers=client.key
        ) as answer:
            assert answer.status == 404
        assert client.fal.accepted == []


async def test_a_body_that_is_no_json_is_a_bad_request():
    async with opened() as client:
        url = client.url("queue", f"/{AURA}")
        async with client.http.post(url, data=b"{", headers=client.key) as answer:
            assert answer.status == 400
            assert (await answer.json())["error_type"] == "bad_request"
        assert client.fal.accepted == []


async def test_a_run_that_is_cut_has_been_paid():
    async with opened(**HERE) as client:
        client.fal.script(Script("run", Cut("after")))

        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.http.post(
                client.url("run", "/fal-ai/topaz/upscale/image"), json=BODY, headers=client.key
            )

        assert sum(client.fal.inputs_billed.values()) == 1


async def test_what_a_submit_wished_for_is_known():
    headers = {
        "X-Fal-Request-Timeout": "30",
        "X-Fal-Object-Lifecycle-Preference": '{"expiration_duration_seconds": 3600}',
        "X-Fal-Store-IO": "0",
    }
    async with opened(**HERE) as client:
        await client.submit(AURA, BODY, **headers)

        wishes = client.fal.accepted[0].wishes

    assert (wishes.start_within_s, wishes.file_lifetime_s, wishes.stored) == (30, 3600, False)


async def test_time_passes_as_fast_as_it_was_told_to():
    began = time.monotonic()
    async with opened(**{**HERE, "task_s": 60.0}, time_scale=600) as client:
        await client.outcome(AURA, BODY)

    assert 0.1 <= time.monotonic() - began < 2


async def test_a_thousand_requests_take_little_time():
    async with opened(**{**HERE, "task_s": 0.0}, concurrency=64) as client:
        began = time.monotonic()

        for _ in range(1000):
            await client.submit(AURA, BODY)

        assert time.monotonic() - began < 10
        assert len(client.fal.accepted) == 1000
