"""Gate: every call passes it. It takes note, asks for the key, and lets go wrong what is to go wrong."""

import uuid
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from batchup.clock import Clock
from batchup.rehearsal import answers, wire
from batchup.rehearsal.answers import Answer
from batchup.rehearsal.faults import Cut, Delay, Dice, Fault, Redirect, Step
from batchup.rehearsal.record import Record
from batchup.rehearsal.wire import Content

Handler = Callable[[web.Request, Fault | None], Awaitable[Content | web.StreamResponse]]
"""Answers a call. Of the fault it heeds what no one else can: how a body comes in, how a stream goes out."""

Door = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """Stands before every service."""

    def __init__(
        self, record: Record, dice: Dice, clock: Clock, key: str, endpoint_of: Callable[[str], str]
    ) -> None:
        self._record = record
        self._dice = dice
        self._clock = clock
        self._key = f"Key {key}"
        self._endpoint_of = endpoint_of

    def door(self, service: str, step: Step, handler: Handler, *, streams: bool = False) -> Door:
        """Return *handler* behind the gate.

        Args:
            service: Of its kind; all but the CDN ask for the account's key.
            step: What the calls are counted as.
            handler: See :data:`Handler`.
            streams: Whether it writes its own answer.
        """

        async def pass_(request: web.Request) -> web.StreamResponse:
            with self._record.call(service, step, request.method, request.path_qs, request.headers):
                if service != "cdn" and request.headers.get("Authorization") != self._key:
                    return await self._send(request, answers.wrong_key(), None)
                match = request.match_info
                endpoint = match.get("endpoint") or self._endpoint_of(match.get("id", ""))
                fault = self._dice.throw(step, endpoint)
                if fault is not None:
                    self._record.faults[f"{step} {type(fault).__name__}"] += 1
                try:
                    early = await self._instead(request, fault)
                    if early is not None:
                        return early
                    return await self._through(request, handler, fault, streams=streams)
                except (ConnectionError, web.RequestPayloadError):
                    # The other side has gone, perhaps killed: nobody is left to be told anything.
                    return web.Response()

        return pass_

    async def _instead(self, request: web.Request, fault: Fault | None) -> web.StreamResponse | None:
        """Do what keeps a call from taking effect."""
        if isinstance(fault, Answer) and not fault.acted:
            return await self._send(request, _traced(fault, request), None)
        if isinstance(fault, Redirect):
            to = Answer(fault.status, headers={"Location": fault.to})
            return await self._send(request, to, None)
        if isinstance(fault, Cut) and fault.when in {"reading", "before"}:
            await wire.swallow(request, fault.at if fault.when == "reading" else 1.0)
            return _silence(request, fault)
        return None

    async def _through(
        self, request: web.Request, handler: Handler, fault: Fault | None, *, streams: bool
    ) -> web.StreamResponse:
        content = await handler(request, fault)
        if isinstance(fault, Delay):
            await self._clock.sleep(fault.seconds)
        if isinstance(fault, Cut) and fault.when == "after" and not streams:
            return _silence(request, fault)
        if isinstance(content, web.StreamResponse):
            return content
        if isinstance(fault, Answer):
            content = fault
        if isinstance(content, Answer):
            content = _traced(content, request)
        return await self._send(request, content, fault)

    async def _send(self, request: web.Request, content: Content, fault: Fault | None) -> web.StreamResponse:
        said = content.said_at(self._clock.utc()) if isinstance(content, Answer) else content
        return await wire.send(request, said, fault)

    def stranger(self, service: str) -> Door:
        """Return what answers calls that no service knows."""

        async def refuse(request: web.Request) -> web.StreamResponse:
            with self._record.call(service, "", request.method, request.path_qs, request.headers):
                return await self._send(request, answers.said({"detail": "Not Found"}, 404), None)

        return refuse


def _traced(answer: Answer, request: web.Request) -> Answer:
    """Return *answer* with the id of the request that it is about, or one of its own."""
    if not answer.traced or "X-Fal-Request-Id" in answer.headers:
        return answer
    headers = {**answer.headers, "X-Fal-Request-Id": request.match_info.get("id") or str(uuid.uuid4())}
    return msgspec.structs.replace(answer, headers=headers)


def _silence(request: web.Request, fault: Cut) -> web.StreamResponse:
    wire.cut(request, fault)
    # aiohttp finds the connection closed, and writes nothing.
    return web.Response()
