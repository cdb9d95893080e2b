"""The provider ``local``: models that run on this machine, free of charge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from batchup.disk import translated
from batchup.errors import RejectedError
from batchup.models.base import LocalModel
from batchup.plugins import find
from batchup.providers.base import Completed, Job, Request, Ticket
from batchup.providers.local.pool import Pool
from batchup.providers.local.work import Work
from batchup.source import Media, Size


@dataclass(frozen=True, slots=True)
class LocalProvider:
    """Runs local models in a pool of worker processes. Nothing outlives this process, nothing costs money.

    Attributes:
        pool: Of the processes.
        log: Told once of each device that a model runs on.
    """

    pool: Pool
    log: Callable[[str], None] = lambda _: None
    _logged: set[str] = field(default_factory=set)
    durable: bool = False
    takes_urls: bool = False

    def endpoint(self, model: str) -> str:  # noqa: ARG002 - no local model has one
        """None."""
        return ""

    async def reach(self) -> None:
        """Return: it is here."""

    async def prepare(self, job: Job) -> Request:  # noqa: ARG002 - the input is here
        """Do nothing."""
        return Request()

    async def submit(self, job: Job, request: Request) -> Ticket:  # noqa: ARG002 - there is nobody to submit to
        """Do nothing: the work is done in :meth:`complete`, and may be repeated."""
        return Ticket()

    async def complete(self, job: Job, ticket: Ticket) -> Completed:  # noqa: ARG002 - likewise
        """Do the work, straight into ``job.part``."""
        task = job.task
        model = find(task.model)
        assert isinstance(model, LocalModel)
        params = model.params(**task.params)
        media = task.source.media or await self._probe(job.file)
        refusal = f"it is a {media.kind}" if media.kind != model.kind else model.refuse(params, media)
        size = model.size(params, media)
        if refusal or size is None:
            raise RejectedError(f"{model.name} does not take it: {refusal}", kind="not_taken")
        work = Work(
            params=task.params,
            source=str(job.file),
            output=str(job.part),
            ext=Path(task.output).suffix.lower(),
            width=size.width,
            height=size.height,
            keep_metadata=job.keep_metadata,
        )
        try:
            await self.pool.call(
                model.work,
                work,
                memory_bytes=model.memory_bytes(params, media),
                tell=job.tell,
                note=lambda text: self._tell_once(f"{model.name}: {text}"),
                home=model.home(params) if model.home else "",
            )
        except OSError as error:
            if error.filename == work.source:
                message = f"it cannot be read: {error.strerror or error}"
                raise RejectedError(message, kind="input_unreadable") from error
            raise translated(error, job.part) from error
        return Completed()

    async def fetch(self, job: Job, completed: Completed) -> None:
        """Do nothing: the output is in ``job.part`` already."""

    async def find(self, endpoint: str, body: Mapping[str, Any], sent_at: datetime) -> Ticket | None:  # noqa: ARG002
        """Nothing is ever lost here."""
        return None

    def charged_usd(self, job: Job, completed: Completed, size: Size) -> Decimal | None:  # noqa: ARG002 - free
        """Nothing."""
        return Decimal(0)

    def _tell_once(self, note: str) -> None:
        if note not in self._logged:
            self._logged.add(note)
            self.log(note)

    async def _probe(self, file: Path) -> Media:
        """Find out what a downloaded file is."""
        found = await self.pool.call("batchup.providers.local.probe:probe", {"path": str(file)})
        if found is None:
            raise RejectedError("it is no image or video", kind="no_media")
        return msgspec.convert(found, Media)
