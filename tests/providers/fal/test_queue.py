import json
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio
import pytest
from aiohttp import web

from batchup.clock import SystemClock
from batchup.errors import (
    AnswerLostError,
    FatalError,
    GoneError,
    NotSentError,
    RateLimitedError,
    RejectedError,
    RunFailedError,
    SubmissionUnknown,
    TransientError,
)
from batchup.providers.base import Ticket
from batchup.providers.fal.api import open_api
from batchup.providers.fal.poller import open_poller
from batchup.providers.fal.queue import Queue, Terms
from batchup.providers.fal.settings import Settings
from batchup.rehearsal import Cut, Elsewhere, Script, answers, open_fal
from batchup.rehearsal import Settings as Fal
from tests.providers.fal.servers import serving, settings

ENDPOINT = "fal-ai/seedvr/upscale/image"
BODY = {"image_url": "https://example.com/cat.jpg", "upscale_factor": 2}


@asynccontextmanager
async def rehearsed(*scripts, connect_s=5, **options):
    """Yield a fal of our own and the queue of a client of it."""
    fal_settings = Fal(**{"outputs": "blank", "foreign": (40, 30), "task_s": 0.01, **options})
    async with open_fal(fal_settings) as fal:
        fal.script(*scripts)
        where = Settings.from_environment(fal.environment())
        async with open_api(where, connect_s=connect_s, clock=SystemClock()) as api:
            yield fal, Queue(api)


@asynccontextmanager
async def answering(handler):
    """Yield the queue of a client of a server that answers with *handler*."""
    async with (
        serving(handler) as address,
        open_api(settings(address), connect_s=5, clock=SystemClock()) as api,
    ):
        yield Queue(api)


async def completed(queue, ticket):
    async with open_poller(queue.status, SystemClock()) as poller:
        with anyio.fail_after(10):
            return await poller.wait(ticket, ENDPOINT)


async def test_a_request_goes_from_submit_to_result_by_the_urls_that_were_answered():
    async with rehearsed() as (fal, queue):
        ticket = await queue.submit(ENDPOINT, BODY)
        status = await completed(queue, ticket)
        output = await queue.result(ticket)

    job = fal.accepted[0]
    assert ticket.request_id == job.id
    assert ticket.data["status_url"].endswith(f"/fal-ai/seedvr/requests/{job.id}/status")
    assert (status.state, status.error) == ("COMPLETED", None)
    assert output.value["image"]["width"] == 80
    assert output.billable_units == job.units


async def test_a_synchronous_call_answers_with_the_output():
    async with rehearsed() as (fal, queue):
        output = await queue.run(ENDPOINT, BODY)

    assert output.value["image"]["width"] == 80
    assert output.billable_units == fal.accepted[0].units


async def test_terms_are_sent_as_headers_and_nothing_where_they_are_the_usual():
    async with rehearsed() as (fal, queue):
        terms = Terms(priority="low", store_io=False)
        await queue.submit(ENDPOINT, BODY, terms)
        await queue.submit(ENDPOINT, BODY)

    special, usual = (
        {name: value for name, value in job.headers.items() if name.startswith("X-Fal-")}
        for job in fal.accepted
    )
    assert special == {"X-Fal-Queue-Priority": "low", "X-Fal-Store-IO": "0"}
    assert usual == {}


@pytest.mark.parametrize("call", ["submit", "run"])
@pytest.mark.parametrize("when", ["after", "during"])
async def test_a_paid_call_whose_answer_is_lost_may_have_been_accepted_and_is_sent_once(call, when):
    async with rehearsed(Script(call, Cut(when))) as (fal, queue):
        with pytest.raises(SubmissionUnknown):
            await getattr(queue, call)(ENDPOINT, BODY)

    assert len(fal.accepted) == 1


async def test_a_paid_call_that_was_never_connected_can_be_sent_again():
    async with rehearsed() as (fal, _):
        pass

    async with open_api(
        Settings.from_environment(fal.environment()), connect_s=5, clock=SystemClock()
    ) as api:
        with pytest.raises(NotSentError):
            await Queue(api).submit(ENDPOINT, BODY)


GOOD = "{origin}/fal-ai/seedvr/requests/r1"


@pytest.mark.parametrize(
    "answer",
    [
        "no JSON",
        "[]",
        '{"status_url": "x"}',
        '{"request_id": "r1"}',
        '{"request_id": "../r1", "status_url": "S", "response_url": "S", "cancel_url": "S"}',
        '{"request_id": "r1", "status_url": "https://evil.example/a", "response_url": "S", "cancel_url": "S"}',
        '{"request_id": "r1", "status_url": "S", "response_url": "http://127.0.0.1:1/a", "cancel_url": "S"}',
        '{"request_id": "r1", "status_url": "S", "response_url": "S", "cancel_url": 7}',
    ],
    ids=["none", "a list", "no id", "no urls", "an id that is a path", "foreign", "other port", "a number"],
)
async def test_an_accepted_submission_with_an_answer_that_cannot_be_used_is_not_sent_again(answer):
    async def answer_it(request):
        text = answer.replace('"S"', json.dumps(GOOD.format(origin=request.url.origin())))
        return web.Response(text=text, content_type="application/json")

    async with answering(answer_it) as queue:
        with pytest.raises(SubmissionUnknown, match="accepted"):
            await queue.submit(ENDPOINT, BODY)


async def test_urls_that_lead_elsewhere_are_not_followed_though_the_ledger_names_them():
    asked = []

    async def note(request):
        asked.append(request.path)
        return web.json_response({})

    async with serving(note) as foreign, rehearsed() as (_, queue):
        urls = dict.fromkeys(("status_url", "response_url", "cancel_url"), f"{foreign}/a/b/requests/r1")
        for call in (queue.status, queue.result, queue.cancel):
            with pytest.raises(RejectedError, match="the key is not sent there"):
                await call(Ticket(request_id="r1", data=urls))

    assert asked == []


async def test_a_submit_that_names_another_origin_is_settled_not_repeated():
    async with rehearsed(Script("submit", Elsewhere("http://127.0.0.1:9"))) as (fal, queue):
        with pytest.raises(SubmissionUnknown):
            await queue.submit(ENDPOINT, BODY)

    assert len(fal.accepted) == 1


async def test_a_ticket_without_its_urls_is_refused_in_words():
    async with rehearsed() as (_, queue):
        with pytest.raises(RejectedError, match="request r1: its ticket has no status_url"):
            await queue.status(Ticket(request_id="r1"))


@pytest.mark.parametrize(
    ("endpoint", "app"),
    [
        ("fal-ai/seedvr/upscale/image", "fal-ai/seedvr"),
        ("fal-ai/esrgan", "fal-ai/esrgan"),
        ("workflows/me/mine/part", "workflows/me/mine"),
    ],
)
async def test_a_request_of_which_only_the_id_is_known_gets_its_urls_by_owner_and_app(endpoint, app):
    async with rehearsed() as (fal, queue):
        ticket = queue.ticket(endpoint, "0f1e-2d")

    base = f"{fal.addresses['queue']}/{app}/requests/0f1e-2d"
    assert ticket.data == {
        "status_url": f"{base}/status",
        "response_url": base,
        "cancel_url": f"{base}/cancel",
    }


async def test_a_ticket_that_was_built_is_the_one_that_was_answered():
    async with rehearsed() as (_, queue):
        ticket = await queue.submit(ENDPOINT, BODY)

        assert queue.ticket(ENDPOINT, ticket.request_id) == ticket


@pytest.mark.parametrize("request_id", ["", "../../other", "a/b", "a?b", "a b", "é", "-x"])
async def test_what_cannot_be_a_request_id_builds_no_url(request_id):
    async with rehearsed() as (_, queue):
        with pytest.raises(RejectedError, match="no request id"):
            queue.ticket(ENDPOINT, request_id)


async def test_a_status_says_the_place_in_the_queue():
    async with rehearsed(concurrency=1, task_s=30) as (_, queue):
        tickets = [await queue.submit(ENDPOINT, BODY) for _ in range(3)]
        await anyio.wait_all_tasks_blocked()
        states = [await queue.status(ticket) for ticket in tickets]

    assert [(status.state, status.position) for status in states] == [
        ("IN_PROGRESS", None),
        ("IN_QUEUE", 0),
        ("IN_QUEUE", 1),
    ]


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        (answers.model_error("generation_timeout"), RunFailedError, "generation_timeout"),
        (answers.model_error("image_too_small"), RejectedError, "image_too_small"),
        (answers.platform_error("runner_disconnected"), RunFailedError, "runner_disconnected"),
    ],
    ids=["may pass", "for good", "of the platform"],
)
async def test_a_failed_request_is_complete_with_its_error(fault, error, kind):
    async with rehearsed(Script("task", fault)) as (_, queue):
        status = await completed(queue, await queue.submit(ENDPOINT, BODY))

    assert status.state == "COMPLETED"
    assert type(status.error) is error
    assert status.error.kind == kind


async def test_a_failed_request_whose_result_has_expired_is_told_by_its_status():
    async with rehearsed(
        Script("task", answers.model_error("image_too_small")), Script("result", answers.gone())
    ) as (
        _,
        queue,
    ):
        status = await completed(queue, await queue.submit(ENDPOINT, BODY))

    assert status.error.kind == "image_too_small"


@pytest.mark.parametrize("step", ["status", "result", "cancel"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answers.broken(), TransientError),
        (answers.too_many(), RateLimitedError),
        (answers.wrong_key(), FatalError),
        (Cut("after"), AnswerLostError),
    ],
    ids=["server", "too many", "key", "cut"],
)
async def test_what_goes_wrong_at_a_free_call_never_fails_the_request(step, fault, error):
    async with rehearsed(task_s=30) as (fal, queue):
        ticket = await queue.submit(ENDPOINT, BODY)
        fal.script(Script(step, fault, times=0))
        with pytest.raises(error):
            await getattr(queue, step)(ticket)


async def test_a_request_that_nobody_knows_any_more_is_gone():
    async with rehearsed(task_s=30) as (fal, queue):
        ticket = await queue.submit(ENDPOINT, BODY)
        fal.expire(ticket.request_id)

        for call in (queue.status, queue.result):
            with pytest.raises(GoneError):
                await call(ticket)
        assert await queue.cancel(ticket) == "gone"


async def test_a_cancel_tells_whether_it_came_in_time():
    async with rehearsed() as (_, queue):
        ticket = await queue.submit(ENDPOINT, BODY)
        await completed(queue, ticket)

        assert await queue.cancel(ticket) == "completed"

    async with rehearsed(task_s=30) as (_, queue):
        assert await queue.cancel(await queue.submit(ENDPOINT, BODY)) == "requested"


@pytest.mark.parametrize(
    "status",
    ['"COMPLETED"', "{}", '{"status": "SLEEPING"}', '{"status": ["COMPLETED"]}', "<html>"],
)
async def test_a_status_that_is_none_is_asked_for_again(status):
    async def answer_it(_):
        return web.Response(text=status, content_type="application/json")

    async with answering(answer_it) as queue:
        with pytest.raises(TransientError):
            await queue.status(queue.ticket(ENDPOINT, "r1"))


@pytest.mark.parametrize(
    ("value", "position", "inference_s"),
    [
        ({"status": "IN_QUEUE", "queue_position": 3}, 3, None),
        ({"status": "IN_QUEUE", "queue_position": "3"}, None, None),
        ({"status": "IN_QUEUE", "queue_position": -1}, None, None),
        ({"status": "IN_QUEUE"}, None, None),
        ({"status": "IN_PROGRESS", "logs": []}, None, None),
        ({"status": "COMPLETED", "metrics": {"inference_time": 1.5}}, None, 1.5),
        ({"status": "COMPLETED", "metrics": {"inference_time": "x"}}, None, None),
        ({"status": "COMPLETED", "metrics": None}, None, None),
        ({"status": "COMPLETED", "error": None, "error_type": None}, None, None),
    ],
    ids=str,
)
async def test_a_status_is_read_as_far_as_it_can_be(value, position, inference_s):
    async def answer_it(_):
        return web.json_response(value)

    async with answering(answer_it) as queue:
        status = await queue.status(queue.ticket(ENDPOINT, "r1"))

    assert (status.position, status.inference_s, status.error) == (position, inference_s, None)


@pytest.mark.parametrize(
    ("header", "units"),
    [("2.5", Decimal("2.5")), ("0", Decimal(0)), ("", None), ("x", None), ("NaN", None), ("-1", None)],
)
async def test_billable_units_are_exact_or_not_there(header, units):
    async def answer_it(_):
        return web.json_response({}, headers={"X-Fal-Billable-Units": header})

    async with answering(answer_it) as queue:
        output = await queue.result(queue.ticket(ENDPOINT, "r1"))

    assert output.billable_units == units


async def test_hundreds_of_requests_over_http_cost_two_or_three_calls_each():
    async with (
        rehearsed(task_s=0.2, task_spread=0.3, concurrency=64) as (fal, queue),
        open_poller(queue.status, SystemClock()) as poller,
    ):

        async def work():
            for _ in range(3):
                await poller.wait(await queue.submit(ENDPOINT, BODY), ENDPOINT)

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(work)

    assert fal.calls["submit"] == 150
    assert fal.calls["status"] <= 3 * 150
