"""The provider ``fal``: uploads, submits, waits, and fetches; it decides nothing about retries, names or the ledger."""

from collections.abc import AsyncIterator, Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from anyio import to_thread

from batchup import digest
from batchup.aside import aside
from batchup.clock import Clock
from batchup.errors import GoneError, NotSentError, RejectedError, TransientError
from batchup.models.base import FalModel
from batchup.models.formats import may_lose_transparency
from batchup.providers.base import Completed, Job, Request, Ticket, Upload
from batchup.providers.fal import opacity, upright
from batchup.providers.fal.piece import Opened, hashed
from batchup.providers.fal.platform import Past, Platform, PlatformUnavailable
from batchup.providers.fal.poller import Poller
from batchup.providers.fal.queue import Output, Queue, Terms
from batchup.providers.fal.settings import is_trusted
from batchup.providers.fal.storage import Storage, Stored
from batchup.providers.local.pool import Pool
from batchup.source import Size
from batchup.transport import Transport
from batchup.transport.addresses import parsed

HISTORY = timedelta(days=1)
"""How far back a request whose result is gone is looked for."""

_TYPES = {"MOV": "video/quicktime", "MKV": "video/x-matroska", "AVI": "video/x-msvideo"}
_GONE = frozenset({"url_not_found", "url_refused"})


@dataclass(frozen=True, slots=True)
class Ways:
    """How an account's requests are made.

    Attributes:
        terms: Of every submission.
        is_synchronous: Whether the answer is waited for on the submission's own connection.
        keep_inputs_s: How long uploaded inputs live.
        loopback: Whether the platform is on this machine, so that results may be too.
    """

    terms: Terms
    is_synchronous: bool
    keep_inputs_s: float
    loopback: bool


@dataclass(frozen=True, slots=True)
class FalProvider:
    """Does tasks on fal.

    Attributes:
        model: Finds a model by its name.
        uploaded: Finds what was uploaded before, by its content hash.
        known: Ids of all requests that are accounted for.
    """

    queue: Queue
    poller: Poller
    storage: Storage
    platform: Platform
    transport: Transport
    pool: Pool
    clock: Clock
    ways: Ways
    model: Callable[[str], FalModel]
    uploaded: Callable[[str], Upload | None]
    known: Container[str]
    durable: bool = True
    takes_urls: bool = True
    _uploads: dict[str, Upload] = field(default_factory=dict)
    _sent_s: dict[str, float] = field(default_factory=dict)

    def endpoint(self, model: str) -> str:
        """Return a user's own endpoint."""
        return self.model(model).endpoint

    async def reach(self) -> None:
        """Ask for nothing: an answer of any kind will do."""
        await self.queue.reach()

    async def prepare(self, job: Job) -> Request:
        """Upload the input, unless it lies there still."""
        model = self.model(job.task.model)
        params = model.params(**job.task.params)
        if job.task.source.url:
            return Request(model.app, model.body(params, job.task.source.url))
        if may_lose_transparency(job.task):
            await self._check_opaque(job)
        sha256, read = (job.sha256, None) if job.sha256 else await self._hash(job)
        upload = self._known_upload(sha256)
        if upload is not None:
            return Request(model.app, model.body(params, upload.url), sha256=sha256)

        stored = await self.storage.once(sha256, lambda: self._upload(job, read))
        new = self._uploads[sha256] = Upload(sha256, stored.url, stored.expires_at)
        return Request(model.app, model.body(params, new.url), new, sha256)

    async def _check_opaque(self, job: Job) -> None:
        """Raise RejectedError if transparency would be paid for and lost."""
        media = job.task.source.media
        assert media is not None
        wanted = media.size.pixels * opacity.PIXEL_BYTES
        found = await self.pool.call(opacity.FUNCTION, opacity.Looked(str(job.file)), memory_bytes=wanted)
        if msgspec.convert(found, opacity.Found).is_transparent:
            ending = job.task.output.rpartition(".")[2]
            raise RejectedError(
                f"it has transparency, and .{ending} holds none; nothing was sent. Choose another output_format (png), or "
                "local/lanczos",
                kind="transparency_lost",
            )

    async def _hash(self, job: Job) -> tuple[str, Opened | None]:
        """Return the input's content hash, and the input itself where it is small."""
        is_small = job.task.source.size_bytes <= digest.SMALL_BYTES
        return await (aside if is_small else to_thread.run_sync)(hashed, job.file)

    async def submit(self, job: Job, request: Request) -> Ticket:  # noqa: ARG002 - the request says it all
        """Submit, once. In the synchronous way this waits for the answer, too."""
        if not self.ways.is_synchronous:
            ticket = await self.queue.submit(request.endpoint, request.body, self.ways.terms)
            self._sent_s[ticket.request_id] = self.clock.now_s()
            return ticket
        output = await self.queue.run(request.endpoint, request.body, self.ways.terms)
        units = None if output.billable_units is None else str(output.billable_units)
        return Ticket(data={"answer": output.value, "units": units})

    async def complete(self, job: Job, ticket: Ticket) -> Completed:
        """Wait for a request and take its answer."""
        model = self.model(job.task.model)
        if "answer" in ticket.data:
            units = ticket.data.get("units")
            return self._completed(
                job, model, Output(ticket.data["answer"], Decimal(units) if units else None)
            )
        try:
            status = await self.poller.wait(ticket, model.app, age_s=self._age_s(ticket))
            if status.error is not None:
                raise status.error
            output = await self.queue.result(ticket)
        except GoneError:
            output = await self._remembered(model.app, ticket)
        self._sent_s.pop(ticket.request_id, None)
        return self._completed(job, model, output)

    def _age_s(self, ticket: Ticket) -> float | None:
        """Return how long ago a request was sent; None for one of an earlier run, which may be complete by now."""
        sent_s = self._sent_s.get(ticket.request_id)
        return None if sent_s is None else self.clock.now_s() - sent_s

    async def fetch(self, job: Job, completed: Completed) -> None:
        """Download the output: without the key, which only the platform's own services get."""
        url = completed.urls[0]
        try:
            await self.transport.download(url, job.part, allow_private=self.ways.loopback, tell=job.tell)
        except RejectedError as error:
            if error.kind in _GONE:
                raise GoneError(str(error), kind="result_expired") from error
            raise

    async def find(self, endpoint: str, body: Mapping[str, Any], sent_at: datetime) -> Ticket | None:
        """Look for a submission in the account's request history."""
        try:
            request_id = await self.platform.find(endpoint, body, sent_at, self.known)
        except PlatformUnavailable as error:
            if isinstance(error.__cause__, NotSentError):
                raise NotSentError(str(error), kind=error.__cause__.kind) from error
            if isinstance(error.__cause__, TransientError):
                return None  # it may answer yet
            raise GoneError(str(error), kind="no_history") from error
        return self.queue.ticket(endpoint, request_id) if request_id else None

    def charged_usd(self, job: Job, completed: Completed, size: Size) -> Decimal | None:  # noqa: ARG002 - it did not say
        """Return the price of an output of this size."""
        model = self.model(job.task.model)
        return model.charged_usd(model.params(**job.task.params), job.task.source.media, size)

    def _known_upload(self, sha256: str) -> Upload | None:
        upload = self._uploads.get(sha256) or self.uploaded(sha256)
        # What is submitted now may wait in a queue for long before it is read.
        needed = self.clock.utc() + timedelta(seconds=self.ways.keep_inputs_s / 2)
        return upload if upload is not None and upload.expires_at > needed else None

    async def _upload(self, job: Job, read: Opened | None) -> Stored:
        media = job.task.source.media
        assert media is not None
        kind, file = _TYPES.get(media.format, f"{media.kind}/{media.format.lower()}"), job.file
        turned = job.part.with_suffix(".upright")
        lies_turned = media.kind == "image" and media.orientation != 1
        try:
            if lies_turned:
                found = await self.pool.call(
                    upright.FUNCTION,
                    upright.Turned(str(job.file), str(turned)),
                    memory_bytes=upright.memory_bytes(media),
                )
                kind, file, read = msgspec.convert(found, upright.Upright).content_type, turned, None
            return await self.storage.upload(
                file, content_type=kind, keep_s=self.ways.keep_inputs_s, read=read
            )
        finally:
            if lies_turned:
                await aside(turned.unlink, True)

    async def _remembered(self, endpoint: str, ticket: Ticket) -> Output:
        """Return what a forgotten request came to, as the history has it.

        Raises:
            GoneError: It does not have it either.
        """
        message = f"fal does not know request {ticket.request_id} any more"
        try:
            async for past in self._past(endpoint):
                if past.request_id == ticket.request_id and past.json_output is not None:
                    return Output(past.json_output)
        except PlatformUnavailable as error:
            raise GoneError(f"{message}, and has no history: {error}", kind="request_gone") from error
        raise GoneError(message, kind="request_gone")

    def _past(self, endpoint: str) -> AsyncIterator[Past]:
        return self.platform.requests(endpoint, self.clock.utc() - HISTORY)

    def _completed(self, job: Job, model: FalModel, output: Output) -> Completed:
        """Return what an answer says.

        Raises:
            RejectedError: It has no output where the model says; it was paid all the same.
        """
        file = model.file(output.value)
        if file is None or not self._is_trusted(file["url"]):
            found = "none" if file is None else "an address that cannot be trusted"
            message = f"fal's answer has {found} at {model.output}"
            raise RejectedError(message, kind="answer_unusable", may_cost=True)
        charged = None
        if output.billable_units is not None:
            params, media = model.params(**job.task.params), job.task.source.media
            charged = model.charged_usd(params, media, None, output.billable_units)
        return Completed((file["url"],), charged)

    def _is_trusted(self, url: str) -> bool:
        try:
            return is_trusted(parsed(url), loopback=self.ways.loopback)
        except RejectedError:
            return False
