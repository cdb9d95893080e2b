"""Bench: what a provider is put on to be tested, and what makes the other side fail."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from batchup import media, plugins
from batchup.clock import SystemClock
from batchup.models.base import Model
from batchup.providers.base import Job, Provider
from batchup.providers.local.pool import open_pool
from batchup.providers.plugin import Plugin, Supplies
from batchup.source import Source
from batchup.task import Recipe, Task
from batchup.transport import open_transport

Step = Literal["reach", "prepare", "submit", "complete", "fetch", "find"]

Fault = Literal[
    "unreachable", "busy", "broken", "account", "rejected", "lost", "failed", "forgotten", "expired", "slow"
]
"""What can go wrong on the other side: no connection; it asks to wait; it answers with an error that may pass; the
account is refused; the input is refused for good; it has accepted, and its answer does not arrive; the work came to
nothing; it does not know the submission any more; the result is gone; the work takes a minute."""

Cause = Callable[[Job], AbstractAsyncContextManager[Any] | None]
"""Makes the next call of a step, for this job, meet a fault: once, or while the block lasts that it returns.

What becomes of the work (``failed``, ``rejected`` or ``slow`` at ``complete``) is decided before it is submitted.
"""

POOL_WORKERS = 2
POOL_BYTES = 4 << 30


@dataclass(frozen=True)
class Bench:
    """A provider with another side that does as it is told.

    Attributes:
        open: Gives a provider while a block lasts: each time a new one, as a run of its own would, to the same other
            side.
        job: Makes the job of this number, from 0, on an input of its own that is taken.
        accepted: Tells how many submissions the other side has accepted, which is what is paid for.
        causes: Makes faults happen. What is not here cannot be made to happen, and is not tested; a durable provider
            is tested with those that :attr:`ProviderContract.NEEDED` names.
        secret: A key that must not be found in what becomes durable or is told; empty where there is none.
        remembers: Whether the other side can be asked what it has accepted.
    """

    open: Callable[[], AbstractAsyncContextManager[Provider]]
    job: Callable[[int], Job]
    accepted: Callable[[], int] = lambda: 0
    causes: Mapping[tuple[Step, Fault], Cause] = field(default_factory=dict)
    secret: str = ""
    remembers: bool = True


def job(
    folder: Path,
    model: str,
    number: int,
    *,
    params: Mapping[str, Any] | None = None,
    file: Path | None = None,
) -> Job:
    """Return a job for *model* on a small picture.

    Args:
        folder: Where the input is written, and where the output will be.
        model: Its name, which an installed package declares.
        number: Of the job; each has a picture of its own.
        params: Of the model, where they are not its defaults.
        file: The input, in place of a picture.
    """
    made: Model = plugins.find(model)
    values = made.params(**(params or {}))
    if file is None:
        file = folder / f"input-{number}.png"
        Image.linear_gradient("L").resize((40 + number, 30)).convert("RGB").save(file)
    found = media.probe(file)
    stat = file.stat()
    source = Source(
        str(folder),
        file.name,
        base=str(folder),
        size_bytes=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        media=found,
    )
    size = made.size(values, found) if found else None
    task = Task(
        id=Recipe(model, params or {}, made.endpoint).task_id(source),
        model=model,
        params=values.model_dump(),
        changed=params or {},
        source=source,
        output=f"output-{number}{made.ext(values, found, file.suffix)}",
        width=size.width if size else 0,
        height=size.height if size else 0,
        cost_usd=made.price_usd(values, found),
    )
    out = folder / "out"
    out.mkdir(exist_ok=True)
    return Job(task=task, file=file, part=out / f".{task.id[:16]}.part")


@asynccontextmanager
async def opened(plugin: Plugin, environment: Mapping[str, str] | None = None) -> AsyncIterator[Provider]:
    """Give a plug-in's provider while the block lasts, with supplies as a run would give them.

    Args:
        plugin: As its entry point leads to it.
        environment: With the account's key; by default that of this process.
    """
    clock = SystemClock()
    async with (
        open_pool(POOL_WORKERS, POOL_BYTES) as pool,
        open_transport(connect_s=5.0, stall_s=5.0, clock=clock) as transport,
    ):
        supplies = Supplies(
            environment=os.environ if environment is None else environment,
            clock=clock,
            transport=transport,
            pool=pool,
            model=plugins.find,
            uploaded=lambda _sha256: None,
            known=(),
            connect_s=5.0,
            stall_s=5.0,
        )
        async with plugin.open(supplies) as provider:
            yield provider
