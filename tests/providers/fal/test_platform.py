from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import anyio
import pytest
from aiohttp import web

from batchup.clock import SystemClock
from batchup.providers.fal.api import open_api
from batchup.providers.fal.platform import IDS_AT_ONCE, PATIENCE, SKEW, Platform, PlatformUnavailable
from batchup.providers.fal.queue import Queue
from batchup.providers.fal.settings import Settings
from batchup.rehearsal import Cut, Script, answers, open_fal
from batchup.rehearsal import Settings as Fal
from tests.providers.fal.servers import Clock, serving, settings

ENDPOINT = "fal-ai/seedvr/upscale/image"
NOW = datetime(2026, 11, 8, 12, tzinfo=UTC)


def body(number):
    return {"image_url": f"https://example.com/{number}.jpg", "upscale_factor": 2, "noise_scale": 0.1}


@asynccontextmanager
async def rehearsed(*scripts, **options):
    """Yield a fal of our own, and the queue and the platform of a client of it."""
    fal_settings = Fal(**{"outputs": "blank", "foreign": (4, 3), "task_s": 0.0, **options})
    async with open_fal(fal_settings) as fal:
        fal.script(*scripts)
        where = Settings.from_environment(fal.environment())
        clock = SystemClock()
        async with open_api(where, connect_s=5, clock=clock) as api:
            yield fal, Queue(api), Platform(api, clock)


class Shop:
    """A platform API that answers with what a test puts on its pages."""

    def __init__(self, *pages, **headers):
        self.pages, self.headers, self.queries = list(pages), headers, []

    async def __call__(self, request):
        self.queries.append(dict(request.query))
        page = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        if isinstance(page, int):
            return web.json_response({"detail": "no"}, status=page, headers=self.headers)
        return web.json_response(page)


@asynccontextmanager
async def selling(shop):
    clock = Clock(NOW)
    async with serving(shop) as address, open_api(settings(address), connect_s=5, clock=clock) as api:
        yield Platform(api, clock), clock


def past(request_id, number=1, at=NOW, **others):
    text = at.isoformat() if at else None
    return {
        "request_id": request_id,
        "endpoint_id": ENDPOINT,
        "sent_at": text,
        "json_input": body(number),
        **others,
    }


def history(*items, cursor=None):
    return {"items": list(items), "has_more": cursor is not None, "next_cursor": cursor}


async def test_a_lost_submission_is_found_by_its_whole_body():
    async with rehearsed() as (fal, queue, platform):
        for number in range(120):  # more than a page
            await queue.submit(ENDPOINT, body(number))
        found = await platform.find(ENDPOINT, body(3), datetime.now(UTC), ())
        missing = await platform.find(ENDPOINT, {**body(3), "seed": 1}, datetime.now(UTC), ())

    assert found == fal.accepted[3].id
    assert missing is None


async def test_of_many_with_one_body_each_is_found_once_and_known_ones_never():
    async with rehearsed() as (_, queue, platform):
        tickets = [await queue.submit(ENDPOINT, body(1)) for _ in range(5)]
        known = {tickets[0].request_id, tickets[4].request_id}
        found = []

        async def look():
            found.append(await platform.find(ENDPOINT, body(1), datetime.now(UTC), known))

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(look)

    ids = {ticket.request_id for ticket in tickets}
    assert set(found) == (ids - known) | {None}


async def test_searches_that_wait_for_each_other_share_a_reading():
    async with rehearsed() as (fal, queue, platform):
        for number in range(20):
            await queue.submit(ENDPOINT, body(number))
        sent_at, found = datetime.now(UTC), []

        async def look(number):
            at = sent_at - timedelta(seconds=number)
            found.append(await platform.find(ENDPOINT, body(number), at, ()))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(look, number)

    assert None not in found
    assert fal.calls["history"] <= 3


async def test_a_later_search_reads_again():
    async with rehearsed() as (_, queue, platform):
        before = await platform.find(ENDPOINT, body(1), datetime.now(UTC), ())
        ticket = await queue.submit(ENDPOINT, body(1))
        after = await platform.find(ENDPOINT, body(1), datetime.now(UTC), ())

    assert (before, after) == (None, ticket.request_id)


@pytest.mark.parametrize(
    ("minutes", "is_found"),
    [(-6, False), (-4, True), (0, True), (4, True), (7, True), (9, False)],
    ids=["6 before", "4 before", "then", "4 after", "7 after", "9 after"],
)
async def test_clocks_may_differ_by_five_minutes(minutes, is_found):
    shop = Shop(history(past("a", at=NOW + timedelta(minutes=minutes))))

    async with selling(shop) as (platform, _):
        found = await platform.find(ENDPOINT, body(1), NOW, ())

    assert (found == "a") is is_found
    assert shop.queries[0]["start"] == "2026-11-08T11:55:00Z"


async def test_the_nearest_of_several_is_taken():
    shop = Shop(
        history(
            past("a", at=NOW + timedelta(seconds=90)),
            past("b", at=NOW + timedelta(seconds=2)),
            past("c", at=NOW - timedelta(seconds=30)),
        )
    )

    async with selling(shop) as (platform, _):
        assert await platform.find(ENDPOINT, body(1), NOW, ()) == "b"


@pytest.mark.parametrize(
    ("kept", "is_found"),
    [
        ({"a": 2, "b": [1, {"c": 0.5}], "d": None}, True),
        ({"d": None, "b": [1.0, {"c": 0.5}], "a": 2.0}, True),
        ({"a": 2, "b": [1, {"c": 0.5}]}, False),
        ({"a": True, "b": [1, {"c": 0.5}], "d": None}, False),
        ({"a": "2", "b": [1, {"c": 0.5}], "d": None}, False),
        ({"a": 2, "b": [1, {"c": 0.5}], "d": None, "e": 1}, False),
        (None, False),
    ],
    ids=["itself", "spelt differently", "a part", "a boolean", "a text", "more", "not kept"],
)
async def test_a_body_is_compared_whole_and_as_json(kept, is_found):
    shop = Shop(history({**past("a"), "json_input": kept}))

    async with selling(shop) as (platform, _):
        found = await platform.find(ENDPOINT, {"a": 2, "b": [1, {"c": 0.5}], "d": None}, NOW, ())

    assert (found == "a") is is_found


async def test_the_history_is_read_page_by_page_and_each_request_once():
    shop = Shop(
        history(past("a"), past("b"), cursor="Mg=="),
        history(past("b"), past("c", sent_at=None), cursor="Mw=="),
        history(past("d"), cursor="Mw=="),
    )

    async with selling(shop) as (platform, _):
        ids = [one.request_id async for one in platform.requests(ENDPOINT, NOW, NOW + timedelta(hours=1))]

    assert ids == ["a", "b", "c", "d"]
    assert [query.get("cursor") for query in shop.queries] == [None, "Mg==", "Mw=="]
    assert shop.queries[0] == {
        "endpoint_id": ENDPOINT,
        "start": "2026-11-08T12:00:00Z",
        "end": "2026-11-08T13:00:00Z",
        "limit": "100",
        "expand": "payloads",
    }


@pytest.mark.parametrize(
    "page",
    [401, 403, 404, 500, 503, 302, [], {"items": [{"sent_at": 5}]}],
    ids=["401", "403", "404", "500", "503", "redirect", "a list", "no id"],
)
async def test_a_platform_that_gives_no_usable_answer_cannot_be_asked(page):
    async with selling(Shop(page)) as (platform, _):
        for ask in (
            platform.find(ENDPOINT, body(1), NOW, ()),
            platform.charges(["a"], NOW),
            platform.unit_price(ENDPOINT),
        ):
            if not isinstance(page, dict):
                with pytest.raises(PlatformUnavailable):
                    await ask
            else:
                ask.close()
        with pytest.raises(PlatformUnavailable):
            await platform.find(ENDPOINT, body(1), NOW, ())


async def test_a_platform_that_hangs_up_cannot_be_asked():
    async with rehearsed(Script("pricing", Cut("before"), times=0)) as (_, _, platform):
        with pytest.raises(PlatformUnavailable):
            await platform.unit_price(ENDPOINT)


async def test_a_history_that_cannot_be_read_is_asked_for_once_by_all_that_wait():
    async with rehearsed(Script("history", answers.broken(503), times=0)) as (fal, _, platform):
        refused = []

        async def look(number):
            try:
                await platform.find(ENDPOINT, body(number), datetime.now(UTC), ())
            except PlatformUnavailable as error:
                refused.append(error)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(look, number)

    assert len(refused) == 20
    assert fal.calls["history"] <= 3


async def test_a_429_is_waited_out_and_only_so_often():
    shop = Shop(429, 429, history(past("a")), **{"Retry-After": "7"})
    async with selling(shop) as (platform, clock):
        assert await platform.find(ENDPOINT, body(1), NOW, ()) == "a"
    assert clock.slept == [7.0, 7.0]

    shop = Shop(429)
    async with selling(shop) as (platform, clock):
        with pytest.raises(PlatformUnavailable):
            await platform.unit_price(ENDPOINT)
    assert len(shop.queries) == PATIENCE


async def test_charges_are_exact_and_summed_for_each_request():
    event = '{{"request_id": "{}", "cost_total": {}}}'
    events = [event.format("a", "0.1"), event.format("a", "0.2"), event.format("b", "0.0010000000000000001")]
    events += [event.format("c", "null"), event.format("stranger", "9")]

    async def answer_it(_):
        text = f'{{"billing_events": [{", ".join(events)}], "has_more": false, "next_cursor": null}}'
        return web.Response(text=text, content_type="application/json")

    async with selling(answer_it) as (platform, _):
        charged = await platform.charges(["a", "b", "c"], NOW)

    assert charged == {"a": Decimal("0.3"), "b": Decimal("0.0010000000000000001")}


async def test_charges_of_many_and_old_requests_are_asked_for_in_parts():
    shop = Shop({"billing_events": []})

    async with selling(shop) as (platform, _):
        await platform.charges([f"r{number}" for number in range(IDS_AT_ONCE + 1)], NOW - timedelta(days=100))

    assert len(shop.queries) == 4
    assert max(len(query["request_id"].split(",")) for query in shop.queries) == IDS_AT_ONCE
    spans = {(query["start"], query["end"]) for query in shop.queries}
    assert len(spans) == 2
    assert min(start for start, _ in spans) == "2026-07-31T11:55:00Z"
    assert max(end for _, end in spans) == "2026-11-08T12:05:00Z"


async def test_what_the_rehearsal_bills_is_what_is_found():
    async with rehearsed() as (fal, queue, platform):
        tickets = [await queue.submit(ENDPOINT, body(number)) for number in range(3)]
        for job in fal.accepted:
            await job.end()
        charged = await platform.charges([ticket.request_id for ticket in tickets], datetime.now(UTC) - SKEW)

    assert charged == {job.id: job.cost_usd for job in fal.accepted}


@pytest.mark.parametrize(
    ("prices", "price"),
    [
        ([{"endpoint_id": ENDPOINT, "unit_price": 0.001, "unit": "megapixel", "currency": "USD"}], "0.001"),
        ([{"endpoint_id": "fal-ai/other", "unit_price": 1}, {"endpoint_id": ENDPOINT, "unit_price": 2}], "2"),
        ([{"endpoint_id": ENDPOINT, "unit_price": 0.001, "currency": "EUR"}], None),
        ([{"endpoint_id": ENDPOINT, "unit_price": None}], None),
        ([{"endpoint_id": ENDPOINT, "unit_price": -1}], None),
        ([], None),
    ],
    ids=["it", "among others", "other money", "null", "negative", "none"],
)
async def test_todays_price_is_the_endpoints_own_in_dollars(prices, price):
    async with selling(Shop({"prices": prices})) as (platform, _):
        assert await platform.unit_price(ENDPOINT) == (Decimal(price) if price else None)
