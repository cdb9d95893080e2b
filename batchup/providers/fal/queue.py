"""The queue: submit, status, result, cancel; and the synchronous call, one long answer instead of all these."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

import msgspec

from batchup.errors import (
    AnswerLostError,
    BatchupError,
    FatalError,
    GoneError,
    RateLimitedError,
    RejectedError,
    SubmissionUnknown,
)
from batchup.providers.base import Ticket
from batchup.providers.fal.answers import Answer, Step, failed_request, failure
from batchup.providers.fal.api import Api
from batchup.providers.fal.schedule import State

REACH_S = 10.0
"""A platform that says nothing for so long is none that can be reached."""

SUBMIT_S = 120.0
"""Most seconds until a submission is answered. As patient as the official client: an answer lost is dearer than a
late one.

Source: fal-client 1.0.3, ``default_timeout``, read 2026-11.
"""

# Workflows and ComfyUI apps have a name more. Source: fal-client 1.0.3, ``APP_NAMESPACES``, read 2026-11.
_NAMESPACES = frozenset({"workflows", "comfy"})
_REQUEST_ID = "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$"
_URLS = ("status_url", "response_url", "cancel_url")


class Terms(msgspec.Struct, frozen=True):
    """How a submission is to be treated.

    Attributes:
        priority: ``low`` lets the account's other requests pass.
        store_io: Whether the platform keeps what was sent and answered. Without it a result can be fetched for
            minutes only, and a lost answer cannot be looked for.
    """

    priority: Literal["normal", "low"] = "normal"
    store_io: bool = True

    @property
    def headers(self) -> dict[str, str]:
        """What says so. Source: https://fal.ai/docs/documentation/model-apis/inference/queue, read 2026-11."""
        headers: dict[str, str] = {}
        if self.priority != "normal":
            headers["X-Fal-Queue-Priority"] = self.priority
        if not self.store_io:
            headers["X-Fal-Store-IO"] = "0"
        return headers


USUAL = Terms()


class Status(msgspec.Struct, frozen=True):
    """How a request stands.

    Attributes:
        state: A failed request is ``COMPLETED``, too.
        position: In the queue, from 0; None where it is not said.
        inference_s: How long it ran, once it is complete; None where it is not said.
        error: What it failed with, once it is complete: RunFailedError (a new submission may work) or RejectedError.
    """

    state: State
    position: int | None = None
    inference_s: float | None = None
    error: BatchupError | None = None


class Output(msgspec.Struct, frozen=True):
    """What a request came to.

    Attributes:
        value: The model's answer, JSON.
        billable_units: The quantity that is billed, in the endpoint's own unit; None where it is not said.
    """

    value: Any
    billable_units: Decimal | None = None


class _Accepted(msgspec.Struct, frozen=True):
    request_id: Annotated[str, msgspec.Meta(pattern=_REQUEST_ID)]
    status_url: str
    response_url: str
    cancel_url: str


class Queue:
    """Calls of the queue, each sent once. They follow URLs that the queue named, and only to the queue itself."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def reach(self) -> None:
        """Return if the queue answers at all, whatever it says.

        Raises:
            NotSentError: It cannot be reached.
            AnswerLostError: It can, and says nothing.
        """
        await self._api.ask("queue", "GET", "/", within_s=REACH_S)

    async def submit(self, endpoint: str, body: Mapping[str, Any], terms: Terms = USUAL) -> Ticket:
        """Put a request into the queue. Costs money once it is accepted.

        Raises:
            NotSentError: Nothing was sent.
            TransientError: It was refused for now; nothing was accepted.
            RejectedError: It was refused for good.
            FatalError: The key or the account is refused.
            SubmissionUnknown: It may have been accepted.
        """
        answer = await self._sent("submit", endpoint, body, terms, SUBMIT_S)
        return self._ticket(answer)

    async def run(self, endpoint: str, body: Mapping[str, Any], terms: Terms = USUAL) -> Output:
        """Do a request without the queue: the answer comes over the same connection when it is done.

        It is waited for without a limit. Whoever gives up, by a deadline of their own, has paid all the same.

        Raises:
            As :meth:`submit`; SubmissionUnknown also where the connection broke.
        """
        answer = await self._sent("run", endpoint, body, terms, None)
        try:
            return _output(answer)
        except AnswerLostError as error:
            raise SubmissionUnknown(f"{error}; it was paid", kind=error.kind) from error

    async def status(self, ticket: Ticket) -> Status:
        """Ask once how a request stands; free.

        Raises:
            TransientError: Ask again.
            GoneError: The platform does not know it, or no longer.
            RejectedError: It cannot be asked for, or its URL is not the queue's.
            FatalError: The key or the account is refused.
        """
        answer = await self._asked("status", "GET", _url(ticket, "status_url"))
        value = answer.json()
        if not isinstance(value, dict) or value.get("status") not in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED"):
            raise AnswerLostError(f"{answer.label}: no status of a request", kind="answer_unreadable")
        state: State = value["status"]
        if state != "COMPLETED":
            return Status(state, position=_position(value.get("queue_position")))
        metrics = value.get("metrics")
        inference_s = _seconds(metrics.get("inference_time")) if isinstance(metrics, dict) else None
        if not value.get("error") and not value.get("error_type"):
            return Status(state, inference_s=inference_s)
        return Status(state, inference_s=inference_s, error=await self._error(ticket, value))

    async def result(self, ticket: Ticket) -> Output:
        """Fetch what a complete request came to; free.

        Raises:
            As :meth:`status`. A server's error is a failed fetch, never a failed request.
        """
        return _output(await self._asked("result", "GET", _url(ticket, "response_url")))

    async def cancel(self, ticket: Ticket) -> Literal["requested", "completed", "gone"]:
        """Ask for the end of a request. One that runs already may still be finished, and billed.

        Raises:
            TransientError: Ask again.
            RejectedError: It may not be cancelled, or its URL is not the queue's.
            FatalError: The key or the account is refused.
        """
        answer = await self._asked("cancel", "PUT", _url(ticket, "cancel_url"))
        if answer.status == 404:  # noqa: PLR2004 - Not Found
            return "gone"
        return "completed" if answer.status == 400 else "requested"  # noqa: PLR2004 - Bad Request

    def ticket(self, endpoint: str, request_id: str) -> Ticket:
        """Return the ticket of a request of which only the id is known, from the history or from a person.

        The one place where the URLs are built. They have only the owner and the app, not the rest of the endpoint.
        Source: fal-client 1.0.3, ``AsyncRequestHandle.from_request_id``, read 2026-11.

        Raises:
            RejectedError: *request_id* cannot be one (``request_id_invalid``).
        """
        if not re.fullmatch(_REQUEST_ID, request_id):
            raise RejectedError(f"{request_id!r} is no request id of fal", kind="request_id_invalid")
        parts = endpoint.split("/")
        app = "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])
        base = str(self._api.settings.address("queue", f"{app}/requests/{request_id}"))
        urls = {"status_url": f"{base}/status", "response_url": base, "cancel_url": f"{base}/cancel"}
        return Ticket(request_id=request_id, data=urls)

    async def _sent(
        self,
        step: Literal["submit", "run"],
        endpoint: str,
        body: Mapping[str, Any],
        terms: Terms,
        within_s: float | None,
    ) -> Answer:
        """Send what costs money, once."""
        service: Literal["queue", "run"] = "queue" if step == "submit" else "run"
        try:
            answer = await self._api.ask(
                service, "POST", endpoint, body=body, headers=terms.headers, within_s=within_s
            )
        except AnswerLostError as error:
            raise SubmissionUnknown(f"{error}; it may have been accepted", kind=error.kind) from error
        _raise(failure(step, answer))
        return answer

    def _ticket(self, answer: Answer) -> Ticket:
        """Return the ticket of a submission that was accepted: whatever is wrong with the answer, it is paid."""
        try:
            accepted = msgspec.convert(answer.json(), _Accepted)
            urls = {name: self._api.settings.address("queue", getattr(accepted, name)) for name in _URLS}
        except (AnswerLostError, RejectedError, msgspec.ValidationError) as error:
            msg = f"{answer.label}: accepted, but its answer cannot be used: {error}"
            raise SubmissionUnknown(msg, kind="answer_unreadable") from error
        return Ticket(request_id=accepted.request_id, data={name: str(url) for name, url in urls.items()})

    async def _asked(self, step: Step, method: str, url: str) -> Answer:
        answer = await self._api.ask("queue", method, url)
        _raise(failure(step, answer))
        return answer

    async def _error(self, ticket: Ticket, status: Mapping[str, Any]) -> BatchupError | None:
        """Return the error of a failed request. Its result's headers decide, where there still is a result."""
        answer = await self._api.ask("queue", "GET", _url(ticket, "response_url"))
        told = failure("result", answer)
        if isinstance(told, FatalError | RateLimitedError):
            raise told
        return failed_request(status, None if isinstance(told, GoneError) else answer)


def _raise(error: BatchupError | None) -> None:
    if error is not None:
        raise error


def _url(ticket: Ticket, name: str) -> str:
    url = ticket.data.get(name)
    if not isinstance(url, str) or not url:
        raise RejectedError(f"request {ticket.request_id}: its ticket has no {name}", kind="ticket_damaged")
    return url


def _output(answer: Answer) -> Output:
    return Output(answer.json(), _units(answer.headers.get("X-Fal-Billable-Units")))


def _units(text: str | None) -> Decimal | None:
    try:
        units = Decimal((text or "").strip())
    except InvalidOperation:
        return None
    return units if units.is_finite() and units >= 0 else None


def _position(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < float("inf") else None
