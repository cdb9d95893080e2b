"""The platform API knows the history, the bill and the prices, with a lag if it has one."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import anyio
import pytest

from tests.rehearsal.platform import BLANK, opened

AURA, TOPAZ = "fal-ai/aura-sr", "fal-ai/topaz/upscale/image"
HERE = {**BLANK, "foreign": (64, 48)}
BODY = {"image_url": "https://example.com/a.png"}


async def history(client, **query):
    url = client.url("api", "/v1/models/requests/by-endpoint")
    return await client.get(f"{url}?{urlencode({'endpoint_id': AURA, **query}, doseq=True)}")


async def test_the_history_knows_a_request_and_on_demand_its_payloads():
    async with opened(**HERE) as client:
        _, result, _ = await client.outcome(AURA, BODY)

        _, plain = await history(client)
        _, whole = await history(client, expand="payloads")

    job = client.fal.accepted[0]
    (item,) = plain["items"]
    assert (item["request_id"], item["endpoint_id"], item["status_code"]) == (job.id, AURA, 200)
    assert datetime.fromisoformat(item["sent_at"]) == job.sent_at
    assert item["sent_at"] <= item["started_at"] <= item["ended_at"]
    assert "json_input" not in item
    assert (whole["items"][0]["json_input"], whole["items"][0]["json_output"]) == (BODY, result)


async def test_the_history_has_pages():
    async with opened(**HERE) as client:
        tickets = [await client.submit(AURA, BODY) for _ in range(5)]
        seen, cursor = [], None
        while True:
            _, page = await history(client, limit=2, **({"cursor": cursor} if cursor else {}))
            seen += [item["request_id"] for item in page["items"]]
            cursor = page["next_cursor"]
            assert page["has_more"] == (cursor is not None)
            if not cursor:
                break

    assert seen == [ticket["request_id"] for ticket in reversed(tickets)]


async def test_the_history_tells_endpoints_times_and_ids_apart():
    async with opened(**HERE) as client:
        one, two = await client.submit(AURA, BODY), await client.submit(TOPAZ, BODY)
        now = datetime.now(UTC)

        async def ids(**query):
            return {item["request_id"] for item in (await history(client, **query))[1]["items"]}

        assert await ids() == {one["request_id"]}
        assert await ids(endpoint_id=f"{AURA},{TOPAZ}") == {one["request_id"], two["request_id"]}
        assert await ids(endpoint_id=[AURA, TOPAZ]) == {one["request_id"], two["request_id"]}
        assert await ids(request_id="other") == set()
        assert await ids(end=(now - timedelta(minutes=1)).isoformat()) == set()
        assert await ids(start=(now + timedelta(minutes=1)).isoformat()) == set()
        assert await ids(start=(now - timedelta(minutes=1)).isoformat()) == {one["request_id"]}


@pytest.mark.parametrize(
    "query", [{"limit": 101}, {"limit": "x"}, {"start": "soon"}, {"cursor": "?"}, {"endpoint_id": ""}]
)
async def test_a_question_that_makes_no_sense_is_refused(query):
    async with opened() as client:
        status, _ = await history(client, **query)

    assert status == 400


async def test_the_history_may_lag():
    async with opened(**HERE, history_lag_s=100, time_scale=250) as client:
        await client.submit(AURA, BODY)

        assert (await history(client))[1]["items"] == []
        await anyio.sleep(0.42)
        assert len((await history(client))[1]["items"]) == 1


async def test_the_history_may_know_only_what_has_ended():
    async with opened(**{**HERE, "task_s": 60.0}, history_shows="ended") as client:
        await client.submit(AURA, BODY)

        assert (await history(client))[1]["items"] == []


async def test_without_payload_storage_the_history_has_no_payloads():
    async with opened(**HERE) as client:
        await client.submit(AURA, BODY, **{"X-Fal-Store-IO": "0"})

        _, found = await history(client, expand="payloads")

    assert found["items"][0]["json_input"] is None


async def test_the_bill_has_what_was_billed_and_nothing_else():
    async with opened(**HERE) as client:
        await client.outcome(TOPAZ, BODY)
        await client.outcome(TOPAZ, {"image_url": "nonsense", "model": "none"})

        _, found = await client.get(client.url("api", "/v1/models/billing-events"))
        _, other = await client.get(client.url("api", "/v1/models/billing-events?request_id=other"))

    (event,) = found["billing_events"]
    assert event["request_id"] == client.fal.accepted[0].id
    assert (event["cost_total"], event["output_units"], event["unit_price"]) == (0.08, 1, 0.08)
    assert other["billing_events"] == []


async def test_prices_are_the_tables_or_todays():
    async with opened(prices={AURA: "0.5"}) as client:
        url = client.url("api", f"/v1/models/pricing?endpoint_id={AURA}&endpoint_id={TOPAZ}")

        _, found = await client.get(url)
        missing, _ = await client.get(client.url("api", "/v1/models/pricing?endpoint_id=fal-ai/nothing"))

    assert {one["endpoint_id"]: one["unit_price"] for one in found["prices"]} == {AURA: 0.5, TOPAZ: 0.08}
    assert missing == 404


@pytest.mark.parametrize(
    "path", ["/v1/models/requests/by-endpoint", "/v1/models/billing-events", "/v1/models/pricing"]
)
async def test_the_platform_api_wants_the_key(path):
    async with opened() as client, client.http.get(client.url("api", path)) as answer:
        assert answer.status == 401
