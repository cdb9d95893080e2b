"""The contract finds a provider that would cost somebody money, and a run survives one that has mistakes."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
import pytest

from batchup import plugins
from batchup.errors import (
    AnswerLostError,
    FatalError,
    NotSentError,
    RejectedError,
    SubmissionUnknown,
    TransientError,
)
from batchup.providers.base import Completed, Ticket
from batchup.providers.guard import Guarded
from batchup.source import Size
from batchup.testing import Bench, ProviderContract, job, opened
from tests.plugins.server import KEY, open_acme


class Flawed:
    """Acme's provider with one step made worse."""

    def __init__(self, provider, **worse):
        self._provider = provider
        for step, way in worse.items():
            setattr(self, step, partial(way, provider))

    def __getattr__(self, name):
        return getattr(self._provider, name)


async def again_when_lost(provider, task, request):
    try:
        return await provider.submit(task, request)
    except SubmissionUnknown:
        return await provider.submit(task, request)


async def lost_is_no_answer(provider, task, request):
    try:
        return await provider.submit(task, request)
    except SubmissionUnknown as error:
        raise TransientError(str(error), kind="lost") from error


async def twice(provider, task, request):
    await provider.submit(task, request)
    return await provider.submit(task, request)


async def with_the_key(provider, task, request):
    ticket = await provider.submit(task, request)
    return Ticket(ticket.request_id, {**ticket.data, "key": KEY})


async def anyones(provider, _endpoint, _body, _sent_at):
    past = await provider._ask("GET", "/jobs")
    return Ticket(past[0]["id"], {"path": f"/jobs/{past[0]['id']}"}) if past else None


async def submits(provider, task, ticket):
    await provider.submit(task, await provider.prepare(task))
    return await provider.complete(task, ticket)


async def never_cancelled(provider, task, ticket):
    with anyio.CancelScope(shield=True):
        return await provider.complete(task, ticket)


async def in_memory(provider, task, request, known={}):  # noqa: B006 - it is the flaw
    ticket = await provider.submit(task, request)
    known[id(provider)] = ticket
    return Ticket(data={"number": id(provider)})


async def leaves_more(provider, task, completed):
    await provider.fetch(task, completed)
    task.part.with_suffix(".more").write_text("left")


async def half(provider, task, completed):
    await provider.fetch(task, completed)
    task.part.write_bytes(task.part.read_bytes()[:80])


async def gives_up(provider, task, ticket):
    try:
        return await provider.complete(task, ticket)
    except TransientError as error:
        raise RejectedError(str(error), kind="acme") from error


FLAWS = {
    "a lost answer is sent again": (
        {"submit": again_when_lost},
        "a_submission_whose_answer_was_lost_is_told_so_and_found",
    ),
    "a lost answer is none": (
        {"submit": lost_is_no_answer},
        "a_submission_whose_answer_was_lost_is_told_so_and_found",
    ),
    "submits twice": ({"submit": twice}, "a_job_is_accepted_once_and_only_by_submitting"),
    "completing submits": ({"complete": submits}, "a_job_is_accepted_once_and_only_by_submitting"),
    "the key is in the ticket": (
        {"submit": with_the_key},
        "what_becomes_durable_is_json_and_holds_no_secret",
    ),
    "any job is found": ({"find": anyones}, "what_was_never_submitted_is_not_found"),
    "cancellation is swallowed": ({"complete": never_cancelled}, "a_cancelled_call_ends_at_once"),
    "the ticket is of no use later": (
        {"submit": in_memory},
        "a_later_run_collects_what_an_earlier_one_submitted",
    ),
    "something is left": ({"fetch": leaves_more}, "a_job_goes_from_its_input_to_its_output"),
    "half of the output": ({"fetch": half}, "a_job_goes_from_its_input_to_its_output"),
    "a failed question fails the work": ({"complete": gives_up}, "an_error_of_asking_is_none_of_the_work"),
}


@pytest.fixture(autouse=True)
def _installed(here, acme_site):
    here(acme_site)


@pytest.mark.parametrize(("worse", "test"), FLAWS.values(), ids=FLAWS)
def test_the_contract_finds_what_is_wrong(worse, test):
    with open_acme(task_s=0.1) as acme:

        @asynccontextmanager
        async def flawed():
            async with opened(plugins.installed().provider("acme"), acme.environment) as provider:
                yield Flawed(provider, **worse)

        class Tested(ProviderContract):
            PROMPT_S = 0.2

            @asynccontextmanager
            async def bench(self, folder):
                causes: dict[Any, Any] = {
                    ("submit", "lost"): lambda _job: acme.fault("submit", "lost"),
                    ("complete", "broken"): lambda _job: acme.fault("complete", "broken"),
                    ("complete", "slow"): lambda _job: setattr(acme, "task_s", 0.6),
                }
                yield Bench(
                    flawed, partial(job, folder, "acme/enlarge"), lambda: len(acme.jobs), causes, secret=KEY
                )

        with pytest.raises((AssertionError, RejectedError, KeyError)):
            getattr(Tested(), f"test_{test}")()


NOTHING: Any = None


class Mistaken:
    """A provider every step of which raises what it may not."""

    def __init__(self, error):
        self.error = error

    async def reach(self, *_):
        raise self.error

    prepare = submit = complete = fetch = find = reach

    def charged_usd(self, *_):
        raise self.error


def guarded(error):
    provider: Any = Mistaken(error)
    provider.durable = True
    return Guarded("acme", provider)


CALLS = {
    "prepare": (lambda one: one.prepare(None), TransientError),
    "submit": (lambda one: one.submit(NOTHING, NOTHING), SubmissionUnknown),
    "complete": (lambda one: one.complete(None, None), TransientError),
    "fetch": (lambda one: one.fetch(None, None), TransientError),
    "find": (lambda one: one.find("", {}, datetime.now(UTC)), TransientError),
    "reach": (lambda one: one.reach(), TransientError),
}


@pytest.mark.parametrize(("call", "wanted"), CALLS.values(), ids=CALLS)
async def test_a_mistake_of_a_provider_is_in_the_branch_that_costs_nothing(call, wanted):
    with pytest.raises(wanted, match=r"acme: unexpected in .*: KeyError: 'id'"):
        await call(guarded(KeyError("id")))


def test_a_price_that_cannot_be_worked_out_is_not_known():
    one = guarded(KeyError("id"))

    assert one.charged_usd(NOTHING, Completed(), Size(1, 1)) is None


@pytest.mark.parametrize(
    "error", [AnswerLostError("cut", kind="cut"), ConnectionResetError("cut"), TimeoutError()]
)
async def test_a_submission_that_was_cut_may_have_been_accepted(error):
    with pytest.raises(SubmissionUnknown, match="it may have been accepted"):
        await guarded(error).submit(NOTHING, NOTHING)


@pytest.mark.parametrize(
    "error",
    [FatalError("no", stopped="account"), NotSentError("no", kind="no"), FileNotFoundError(2, "no", "a.png")],
)
async def test_what_a_provider_may_raise_comes_through(error):
    with pytest.raises(type(error)) as met:
        await guarded(error).submit(NOTHING, NOTHING)

    assert met.value is error


async def test_who_cannot_be_connected_to_cannot_be_reached():
    with pytest.raises(NotSentError):
        await guarded(ConnectionRefusedError("no")).reach()
