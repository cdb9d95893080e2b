"""The queue: submit, status, result, cancel; and the synchronous run, which is the same without the waiting list."""

import json
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import anyio
from aiohttp import web
from yarl import URL

from batchup.rehearsal import answers
from batchup.rehearsal.account import Account
from batchup.rehearsal.answers import Answer, said
from batchup.rehearsal.faults import Cut, Fault
from batchup.rehearsal.gate import Gate
from batchup.rehearsal.job import Job, Wishes
from batchup.rehearsal.settings import Settings
from batchup.rehearsal.wire import cut
from batchup.rehearsal.work import Work

Start = Callable[[Job], None]
"""Lets the work on a job begin, in the background."""

PING_S = 10.0
"""How often a silent stream says that it is alive."""


class Queue:
    """Answers the calls of both services."""

    def __init__(self, settings: Settings, account: Account, work: Work, start: Start) -> None:
        self._settings = settings
        self._account = account
        self._work = work
        self._start = start
        self._moments: deque[float] = deque()

    def add_queue(self, router: web.UrlDispatcher, gate: Gate) -> None:
        """Put the queue's addresses into *router*."""
        one = r"/{owner}/{app}/requests/{id}"
        router.add_get(f"{one}/status/stream", gate.door("queue", "stream", self.stream, streams=True))
        router.add_get(f"{one}/status", gate.door("queue", "status", self.status))
        router.add_put(f"{one}/cancel", gate.door("queue", "cancel", self.cancel))
        router.add_get(one, gate.door("queue", "result", self.result))
        router.add_post("/{endpoint:.+}", gate.door("queue", "submit", self.submit))

    def add_run(self, router: web.UrlDispatcher, gate: Gate) -> None:
        """Put the synchronous service's addresses into *router*."""
        router.add_post("/{endpoint:.+}", gate.door("run", "run", self.run))

    async def submit(self, request: web.Request, _: Fault | None) -> Answer:
        """Take a request."""
        job = await self._accepted(request, "queue")
        if isinstance(job, Answer):
            return job
        here = f"{URL(str(request.url)).origin()}/{job.endpoint.app}/requests/{job.id}"
        return said(
            {
                "status": "IN_QUEUE",
                "request_id": job.id,
                "response_url": here,
                "status_url": f"{here}/status",
                "cancel_url": f"{here}/cancel",
                "logs": None,
                "metrics": {},
                "queue_position": self._work.runners.position(job.wishes.priority, job.ticket),
            },
            headers={"X-Fal-Request-Id": job.id},
        )

    async def run(self, request: web.Request, _: Fault | None) -> Answer:
        """Take a request and answer with its output. Whoever hangs up has paid all the same."""
        job = await self._accepted(request, "run")
        if isinstance(job, Answer):
            return job
        await job.end()
        return self._told(job)

    async def _accepted(self, request: web.Request, mode: Literal["queue", "run"]) -> Job | Answer:
        endpoint = self._account.endpoints.get(request.match_info["endpoint"])
        try:
            body: Any = await request.json()
        except ValueError:
            return answers.platform_error("bad_request", "The body is not valid JSON")
        refused = self._too_fast() or self._too_many()
        if refused:
            return refused
        if self._account.is_locked:
            return answers.locked()
        if endpoint is None:
            return said({"detail": f'Application "{request.match_info["endpoint"]}" not found'}, 404)
        headers = dict(request.headers)
        job = Job(endpoint, body, mode, Wishes.of(headers), headers, self._account.clock)
        job.ticket = self._work.runners.ticket(job.wishes.priority)
        self._account.accept(job)
        self._start(job)
        return job

    def _too_many(self) -> Answer | None:
        limit = self._settings.accept_in_flight
        if limit is not None and self._account.unfinished >= limit:
            return answers.too_many(self._settings.retry_after_s)
        return None

    def _too_fast(self) -> Answer | None:
        limit = self._settings.calls_per_s
        if limit is None:
            return None
        now = self._account.clock.now_s()
        while self._moments and self._moments[0] <= now - 1:
            self._moments.popleft()
        if len(self._moments) >= limit:
            return answers.too_many(self._settings.retry_after_s)
        self._moments.append(now)
        return None

    def _found(self, request: web.Request) -> Job | None:
        match = request.match_info
        return self._account.find(f"{match['owner']}/{match['app']}", match["id"])

    def _asked_after(self, request: web.Request) -> Job | Answer:
        """Return the job that is asked after, or why nothing is said of it."""
        return self._too_fast() or self._found(request) or answers.gone()

    async def status(self, request: web.Request, _: Fault | None) -> Answer:
        """Say how a request stands."""
        job = self._asked_after(request)
        if isinstance(job, Answer):
            return job
        status = 200 if job.state == "COMPLETED" else 202
        return said(self._standing(job, request), status, {"X-Fal-Request-Id": job.id})

    def _standing(self, job: Job, request: web.Request) -> dict[str, Any]:
        here = f"{URL(str(request.url)).origin()}/{job.endpoint.app}/requests/{job.id}"
        found: dict[str, Any] = {
            "status": job.state,
            "request_id": job.id,
            "response_url": here,
            "status_url": f"{here}/status",
            "cancel_url": f"{here}/cancel",
            "logs": _logs(job) if request.query.get("logs", "").lower() in {"1", "true"} else None,
        }
        if job.state == "IN_QUEUE":
            found["queue_position"] = self._work.runners.position(job.wishes.priority, job.ticket)
        if job.state == "COMPLETED":
            found["metrics"] = {"inference_time": round(job.compute_s, 3)}
            if job.failure:
                found["error"] = f"Invalid status code: {job.failure.status}"
                found["error_type"] = job.failure.kind or None
        return found

    async def stream(self, request: web.Request, fault: Fault | None) -> Answer | web.StreamResponse:
        """Tell every change of a request as it happens."""
        job = self._found(request)
        if job is None:
            return answers.gone()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while True:
            state = job.state
            await response.write(f"data: {json.dumps(self._standing(job, request))}\n\n".encode())
            if isinstance(fault, Cut):
                cut(request, fault)
            if state == "COMPLETED" or isinstance(fault, Cut):
                return response
            while job.state == state:
                with anyio.move_on_after(PING_S):
                    await job.change()
                if job.state == state:
                    await response.write(b": ping\n\n")

    async def result(self, request: web.Request, _: Fault | None) -> Answer:
        """Give the output, or the failure in its place."""
        job = self._asked_after(request)
        if isinstance(job, Answer):
            return job
        if job.state != "COMPLETED":
            return said({"detail": "Request is still in progress"}, 400, {"X-Fal-Request-Id": job.id})
        return self._told(job)

    def _told(self, job: Job) -> Answer:
        headers = {"X-Fal-Request-Id": job.id}
        if self._settings.billable_units and job.units is not None:
            headers["X-Fal-Billable-Units"] = f"{job.units.normalize():f}"
        if job.failure:
            failure = job.failure
            if failure.traced:
                headers |= failure.headers
            return Answer(
                failure.status,
                failure.body,
                headers if failure.traced else failure.headers,
                failure.media_type,
                failure.retry_after_s,
                failure.retry_after_form,
            )
        return said(job.output, headers=headers)

    async def cancel(self, request: web.Request, _: Fault | None) -> Answer:
        """Ask for the end of a request. What already runs may be finished, and billed, all the same."""
        job = self._found(request)
        if job is None:
            return said({"status": "NOT_FOUND"}, 404)
        if job.state == "COMPLETED":
            return said({"status": "ALREADY_COMPLETED"}, 400)
        if job.state == "IN_QUEUE" and job.waiting:
            job.cancelled = True
            job.waiting.cancel()
        elif self._settings.stops_cancelled and job.working:
            job.cancelled = True
            job.working.cancel()
        return said({"status": "CANCELLATION_REQUESTED"}, 202)


def _logs(job: Job) -> list[dict[str, str]]:
    """Return what a runner would have written."""
    if job.started_at is None:
        return []
    return [
        {"timestamp": job.started_at.isoformat(), "level": "INFO", "message": "Upscaling", "source": "USER"}
    ]
