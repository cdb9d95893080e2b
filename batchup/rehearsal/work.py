"""Work: one accepted request, from the queue to its bill."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from batchup.clock import Clock
from batchup.rehearsal import film, picture
from batchup.rehearsal.answers import Answer, WorkError, invalid, model_error, not_started, platform_error
from batchup.rehearsal.endpoints import Endpoint
from batchup.rehearsal.faults import Delay, Dice, Fault, Resized
from batchup.rehearsal.inputs import Input, Inputs
from batchup.rehearsal.job import Job
from batchup.rehearsal.prices import Made
from batchup.rehearsal.rules import checked, filled
from batchup.rehearsal.runners import Runners
from batchup.rehearsal.settings import Settings
from batchup.rehearsal.store import Store, Stored, hashed
from batchup.source import Size

REJECTED = 422
"""Status of a failure that stays, and the only one that may be billed."""

Bill = Callable[[Job, Decimal], None]
"""Puts so many units of a job on the account's bill."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be made of an input."""

    endpoint: Endpoint
    params: Mapping[str, Any]
    source: Input
    to: Size
    form: str

    def made(self, compute_s: float) -> Made:
        """Return what it is billed by."""
        media = self.source.media
        video = self.endpoint.kind == "video"
        return Made(
            self.params,
            self.to,
            film.frames(media) if video else 1,
            film.seconds(media) if video else Decimal(0),
            Decimal(str(round(compute_s, 3))),
        )


class Work:
    """Does what the platform's runners do."""

    def __init__(
        self, settings: Settings, clock: Clock, dice: Dice, store: Store, inputs: Inputs, bill: Bill
    ) -> None:
        self.runners = Runners(settings.concurrency)
        self._settings = settings
        self._clock = clock
        self._dice = dice
        self._store = store
        self._inputs = inputs
        self._bill = bill
        self._threads = anyio.CapacityLimiter(2)
        self._blanks: dict[tuple[Size, str, str], tuple[Path, str]] = {}

    async def process(self, job: Job, address: Callable[[Stored], str]) -> None:
        """Take *job* from the queue to its end; *address* says where a file can be downloaded."""
        job.failure = await self._wait(job)
        if job.failure is None:
            try:
                await self._run(job, address)
            finally:
                self.runners.release()
        job.enter("COMPLETED")

    async def _wait(self, job: Job) -> Answer | None:
        """Wait for a runner; return why there will be none."""
        limit_s = job.wishes.start_within_s
        async with anyio.create_task_group() as group:
            job.waiting = group.cancel_scope
            if limit_s is not None:
                group.start_soon(self._end, group.cancel_scope, self._settings.clock_s(limit_s))
            await self.runners.acquire(job.wishes.priority)
            group.cancel_scope.cancel()
            return None
        return cancelled() if job.cancelled else not_started()

    async def _end(self, scope: anyio.CancelScope, after_s: float) -> None:
        await self._clock.sleep(after_s)
        scope.cancel()

    async def _run(self, job: Job, address: Callable[[Stored], str]) -> None:
        job.enter("IN_PROGRESS")
        began_s = self._clock.now_s()
        with anyio.CancelScope() as job.working:
            try:
                plan, stored = await self._made(job, self._dice.throw("task", job.endpoint.id))
            except WorkError as error:
                job.failure = error.answer
                if error.used_gpu and self._settings.bills_rejected and error.answer.status == REJECTED:
                    self._bill(job, Decimal(1))
                return
            job.compute_s = (self._clock.now_s() - began_s) * self._settings.time_scale
            job.output = self._output(job, plan, stored, address(stored))
            self._bill(job, job.endpoint.price.units(plan.made(job.compute_s)))
            return
        job.failure = cancelled()

    async def _made(self, job: Job, fault: Fault | None) -> tuple[_Plan, Stored]:
        plan = await self._planned(job, fault)
        until_s = self._clock.now_s() + self._settings.clock_s(self._task_s(job))
        if isinstance(fault, Delay):
            until_s += fault.seconds
        path, sha256, name, media_type = await self._file(plan)
        await self._clock.sleep(max(0.0, until_s - self._clock.now_s()))
        if isinstance(fault, Answer):
            raise WorkError(fault, used_gpu=True)
        kept_s = job.wishes.file_lifetime_s or self._settings.file_ttl_s
        lifetime_s = None if kept_s is None else self._settings.clock_s(kept_s)
        return plan, self._store.add(path, sha256, name, media_type, lifetime_s)

    def _task_s(self, job: Job) -> float:
        spread = self._settings.task_spread
        dice = random.Random(f"{self._settings.seed}/{job.ticket}")  # noqa: S311 - not a secret
        return self._settings.task_s * dice.uniform(1 - spread, 1 + spread)

    async def _planned(self, job: Job, fault: Fault | None) -> _Plan:
        endpoint = job.endpoint
        faults = checked(job.body, endpoint.rules, endpoint.input, closed=endpoint.closed)
        if faults:
            raise WorkError(invalid(faults))
        params = filled(job.body, endpoint.rules)
        source = await self._inputs.read(params[endpoint.input], endpoint.kind, endpoint.input)
        job.input_sha256 = source.sha256
        size = picture.size(source.media) if endpoint.kind == "image" else source.media.size
        to = endpoint.size(params, size)
        if isinstance(fault, Resized):
            to = Size(max(2, round(to.width * fault.factor)), max(2, round(to.height * fault.factor)))
        if endpoint.max_side_px and max(to) > endpoint.max_side_px:
            limit: dict[str, Any] = {"max_width": endpoint.max_side_px, "max_height": endpoint.max_side_px}
            raise WorkError(model_error("image_too_large", loc=("body", endpoint.input), **limit))
        known = film.FORMS if endpoint.kind == "video" else picture.FORMATS
        wanted = str(params.get("output_format", endpoint.format))
        return _Plan(endpoint, params, source, to, wanted if wanted in known else next(iter(known)))

    async def _file(self, plan: _Plan) -> tuple[Path, str, str, str]:
        """Return the output: where it lies, its hash, its name, its type."""
        if plan.endpoint.kind == "video":
            name, media_type = f"output{film.FORMS[plan.form].ending}", film.FORMS[plan.form].media_type
        else:
            name, media_type = f"output.{plan.form}", picture.MEDIA_TYPES[plan.form]
        if self._settings.outputs == "real" and plan.source.path:
            path, sha256 = await to_thread.run_sync(self._enlarged, plan, limiter=self._threads)
        else:
            length = str(film.seconds(plan.source.media)) if plan.endpoint.kind == "video" else ""
            key = plan.to, plan.form, length
            if key not in self._blanks:
                self._blanks[key] = await to_thread.run_sync(self._blank, plan, limiter=self._threads)
            path, sha256 = self._blanks[key]
        return path, sha256, name, media_type

    def _enlarged(self, plan: _Plan) -> tuple[Path, str]:
        path = self._store.room()
        source = plan.source
        assert source.path is not None
        write = film.enlarge if plan.endpoint.kind == "video" else picture.enlarge
        write(source.path, source.media, path, plan.to, plan.form)
        return path, hashed(path)

    def _blank(self, plan: _Plan) -> tuple[Path, str]:
        path = self._store.room()
        if plan.endpoint.kind == "video":
            film.blank(path, plan.to, plan.form, film.seconds(plan.source.media))
        else:
            picture.blank(path, plan.to, plan.form)
        return path, hashed(path)

    def _output(self, job: Job, plan: _Plan, stored: Stored, url: str) -> dict[str, Any]:
        file: dict[str, Any] = {"url": url}
        if self._settings.details:
            file |= {
                "content_type": stored.media_type,
                "file_name": stored.name,
                "file_size": stored.size_bytes,
                "width": plan.to.width,
                "height": plan.to.height,
            }
        found = _nested(job.endpoint.output.split("."), file)
        assert isinstance(found, dict)
        extra = {
            "seed": plan.params.get("seed", 0),
            "duration": float(film.seconds(plan.source.media)),
            "timings": {"inference": round(job.compute_s, 3)},
        }
        return found | {name: extra[name] for name in job.endpoint.extra}


def cancelled() -> Answer:
    """Return what a request gets that was cancelled."""
    return platform_error("client_cancelled", "Request was cancelled")


def _nested(path: list[str], file: dict[str, Any]) -> Any:
    """Return *file* where *path*, which ends with the address itself, leads: ``images.0.url``."""
    if len(path) == 1:
        return {path[0]: file["url"], **{name: value for name, value in file.items() if name != "url"}}
    inner = _nested(path[1:], file)
    return [inner] if path[0].isdigit() else {path[0]: inner}
