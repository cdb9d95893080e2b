# ruff: noqa: ARG002 - the interface says which arguments there are
"""The provider acme: its platform keeps inputs by their hash, jobs by their number, and lists them for who asks."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import aiohttp
from anyio import to_thread

from batchup.errors import (
    FatalError,
    GoneError,
    NotSentError,
    RateLimitedError,
    RejectedError,
    RunFailedError,
    SubmissionUnknown,
    TransientError,
)
from batchup.providers.base import Completed, Request, Ticket, Upload
from batchup.providers.plugin import Supplies

ASK_EVERY_S = 0.02
KEPT = timedelta(hours=1)
SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class AcmeProvider:
    session: aiohttp.ClientSession
    supplies: Supplies
    url: str
    durable: bool = True
    takes_urls: bool = False

    def endpoint(self, model):
        return ""

    async def reach(self):
        await self._ask("GET", "/")

    async def prepare(self, job):
        data = await to_thread.run_sync(job.file.read_bytes)
        sha256 = hashlib.sha256(data).hexdigest()
        upload = self.supplies.uploaded(sha256)
        new = None
        if upload is None:
            await self._ask("PUT", f"/inputs/{sha256}", data=data)
            upload = new = Upload(sha256, f"{self.url}/inputs/{sha256}", self.supplies.clock.utc() + KEPT)
        body = {"input": upload.url, "scale": job.task.params.get("scale", 2)}
        return Request(job.task.model, body, new, sha256)

    async def submit(self, job, request):
        try:
            answer = await self._ask("POST", "/jobs", json={"model": request.endpoint, **request.body})
        except (NotSentError, RateLimitedError):
            raise
        except TransientError as error:
            raise SubmissionUnknown(f"{error}; it may have been accepted", kind=error.kind) from error
        return Ticket(answer["id"], {"path": f"/jobs/{answer['id']}"})

    async def complete(self, job, ticket):
        while True:
            answer = await self._ask("GET", ticket.data["path"])
            match answer["state"]:
                case "done":
                    return Completed((answer["url"],), Decimal(answer["usd"]))
                case "failed":
                    raise RunFailedError("acme's work came to nothing", kind="acme_failed")
                case "rejected":
                    raise RejectedError("acme cannot read it", kind="acme_rejected")
            await self.supplies.clock.sleep(ASK_EVERY_S)

    async def fetch(self, job, completed):
        try:
            await self.supplies.transport.download(
                completed.urls[0], job.part, allow_private=True, tell=job.tell
            )
        except RejectedError as error:
            if error.kind != "url_not_found":
                raise
            raise GoneError(str(error), kind="result_expired") from error

    async def find(self, endpoint, body, sent_at):
        for past in await self._ask("GET", "/jobs"):
            is_late_enough = datetime.fromisoformat(past["at"]) > sent_at - SKEW
            if (
                past["body"] == {"model": endpoint, **body}
                and is_late_enough
                and past["id"] not in self.supplies.known
            ):
                return Ticket(past["id"], {"path": f"/jobs/{past['id']}"})
        return None

    def charged_usd(self, job, completed, size):
        return None

    async def _ask(self, method, path, **more):
        try:
            async with self.session.request(method, f"{self.url}{path}", **more) as answer:
                if answer.status >= 400:
                    raise _failure(answer)
                return await answer.json()
        except aiohttp.ClientConnectorError as error:
            raise NotSentError(f"acme cannot be reached: {error}", kind="acme_unreachable") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TransientError(f"no answer of acme: {error}", kind="acme_lost") from error


def _failure(answer):
    said = f"{answer.method} {answer.url.path}: HTTP {answer.status}"
    match answer.status:
        case 429:
            return RateLimitedError(
                said, kind="acme_busy", retry_after_s=float(answer.headers["Retry-After"])
            )
        case 401 | 403:
            return FatalError("acme refuses the key; set ACME_KEY", stopped="account")
        case 404:
            return GoneError(said, kind="acme_gone")
        case status if status < 500:
            return RejectedError(said, kind="acme_rejected")
    return TransientError(said, kind="acme_broken")
