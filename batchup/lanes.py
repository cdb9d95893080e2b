"""Lanes: from a plan and the run's limits to a lane for each provider."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from batchup.attempt import Attempts
from batchup.backlog import Backlog, Numbered
from batchup.catalogue import Catalogue
from batchup.clock import Clock
from batchup.cluster.address import check_address
from batchup.delivery import Delivery
from batchup.errors import FatalError
from batchup.examiner import Examiner
from batchup.gate import Gate
from batchup.history import History
from batchup.lane import Lane
from batchup.limits import Slots
from batchup.manifest import Manifest
from batchup.models import FAL, LOCAL, PROVIDERS
from batchup.models.base import LocalModel
from batchup.outage import Outage, Sources
from batchup.patience import Patience, Record
from batchup.plan import Action, Plan
from batchup.processors import cores
from batchup.providers.base import Provider
from batchup.providers.local.memory import machine_memory_bytes
from batchup.providers.local.pool import open_pool
from batchup.provision import Tools, open_provider, slots_of
from batchup.scribe import Scribe
from batchup.source import Source
from batchup.submission import Submissions
from batchup.throttle import Throttle
from batchup.turns import Turns
from batchup.workplace import Place, Watcher, Workplace

if TYPE_CHECKING:
    from batchup.cluster.spread import Spread
    from batchup.transport import Transport

MANY = 1_000_000
"""As good as any number at once."""

UPLOADS = 8
DOWNLOADS = 8
"""Transfers at once: enough to keep the slots busy, few enough to leave the line to others."""


@dataclass(frozen=True, slots=True)
class Means:
    """What all lanes of a run share.

    Attributes:
        record: Makes events durable, in order, and returns then.
        gate: What a step must pass before it is begun.
        throttle: Bounds how often something is submitted.
        watcher: Hears of what runs.
        concurrency: Tasks at a time, instead of the manifest's.
        environment: Holds accounts' keys, and where their platforms are.
        stop: Called with what makes further work useless.
        log: Called with what is only told to who asks for more.
        scribe: Writes a sidecar beside each output; None where nobody asks for them.
        cluster: Address of a cluster's scheduler, whose workers do what is heavy; empty for none.
        tell: Called with what a person wants to know.
    """

    manifest: Manifest
    plan: Plan
    history: History
    catalogue: Catalogue
    record: Record
    clock: Clock
    gate: Gate
    throttle: Throttle
    watcher: Watcher
    concurrency: int | None
    environment: Mapping[str, str]
    stop: Callable[[FatalError], None]
    log: Callable[[str], None]
    scribe: Scribe | None = None
    cluster: str = ""
    tell: Callable[[str], None] = lambda _: None


@asynccontextmanager
async def open_lanes(means: Means) -> AsyncIterator[list[Lane]]:
    """Give a lane for each provider that has something to do, while the block lasts.

    Raises:
        ManifestError: An account's settings are wrong, or the cluster cannot be used.
    """
    memory_bytes = means.manifest.run.memory_bytes or machine_memory_bytes() // 2
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(_open_transport(means))
        here = await stack.enter_async_context(open_pool(cores(), memory_bytes))
        spread = await stack.enter_async_context(_open_spread(means))
        tools = Tools(
            means.manifest,
            means.catalogue,
            means.clock,
            spread.pool(here) if spread else here,
            transport,
            means.history,
            means.environment,
            means.log,
        )
        place = _place(means, tools, memory_bytes)
        lanes: list[Lane] = []
        for name in sorted(means.plan.providers):
            # What a plug-in's provider has run in processes may be its own code, which workers need not have.
            own = tools if name in PROVIDERS else replace(tools, pool=here)
            provider = await stack.enter_async_context(open_provider(name, own))
            slots = spread.slots if spread and name == LOCAL else slots_of(name)
            lane = _lane(means, name, spread.provider(name, provider) if spread else provider, place, slots)
            lanes.append(lane)
            if spread and name == LOCAL and not (means.concurrency or means.manifest.run.concurrency):
                spread.follow(lane.slots)
        yield lanes


@asynccontextmanager
async def _open_spread(means: Means) -> AsyncIterator["Spread | None"]:
    """Reach the cluster, if there is to be one."""
    if not means.cluster:
        yield None
        return
    check_address(means.cluster)
    from batchup.cluster.connection import Wanted  # Dask: an extra
    from batchup.cluster.spread import open_spread

    wanted = Wanted(
        means.manifest, means.cluster, means.plan.busy, means.environment, means.gate.shutdown, means.tell
    )
    async with open_spread(wanted, means.history) as spread:
        yield spread


@asynccontextmanager
async def _open_transport(means: Means) -> AsyncIterator["Transport | None"]:
    """Open the network, if it is needed."""
    if not means.plan.urls and not means.plan.providers - {LOCAL}:
        yield None
        return
    from batchup.transport import open_transport  # aiohttp: a fifth of a start that needs none

    times = means.manifest.timeouts
    async with open_transport(
        connect_s=times.connect_s, stall_s=times.stall_s, clock=means.clock
    ) as transport:
        yield transport


def _place(means: Means, tools: Tools, memory_bytes: int) -> Place:
    async def ask(source: Source) -> None:
        assert tools.transport is not None
        await tools.transport.reach(source.url, allow_private=source.allow_private)

    async def download(source: Source, file: Path) -> None:
        assert tools.transport is not None
        with sources.hearing(source):
            await tools.transport.download(source.url, file, allow_private=source.allow_private)

    sources = Sources(ask, means.clock)
    keep_metadata = means.manifest.output.metadata == "keep"
    return Place(
        means.manifest.output_dir,
        keep_metadata,
        Examiner(tools.pool, memory_bytes).examine,
        download,
        means.scribe,
        Outage(sources.reach, means.clock, means.gate.shutdown, means.gate.notices.waiting),
    )


def _lane(means: Means, name: str, provider: Provider, place: Place, slots_usual: int) -> Lane:
    is_local = name == LOCAL
    most = means.concurrency or means.manifest.run.concurrency or slots_usual
    caps = _caps(means, name)
    # Uploads run ahead of the paid slots, and downloads after them. Local tasks are bounded by their slots alone.
    ahead, after = (MANY, MANY) if is_local else (UPLOADS, DOWNLOADS)
    backlog = Backlog(
        means.plan.pick(Action.HEAL, name),
        {model: _numbered(means.plan, model) for model in means.plan.models_of(name)},
        {model: cap if is_local else cap + ahead for model, cap in caps.items()},
        means.gate,
    )
    patience = _patience(means, provider)
    slots = Slots(most, means.clock, caps, means.log)
    submissions = _submissions(means, name, provider, patience, slots)
    attempts = Attempts(
        provider=provider,
        submissions=submissions,
        workplace=Workplace(
            provider, patience, place, means.watcher, anyio.Semaphore(after, fast_acquire=True)
        ),
        patience=patience,
        budget=means.gate.budget,
        ahead=anyio.Semaphore(ahead, fast_acquire=True),
        stop=means.stop,
        put_back=backlog.put_back,
    )
    # What is brought there ahead for a model that may run few at once takes no worker from the others.
    more = 0 if is_local else (1 + len(caps)) * ahead + after
    return Lane(
        name,
        means.plan,
        means.history,
        attempts,
        lambda: slots.most + more,
        slots,
        backlog,
        means.gate.budget,
        means.gate.shutdown,
    )


def _caps(means: Means, provider: str) -> dict[str, int]:
    """Return how many tasks of a model may be under way at once, for those of a provider where that is bounded."""
    caps: dict[str, int] = {}
    for name in means.plan.models_of(provider):
        limit, model = means.manifest.run.limits.get(name), means.catalogue.find(name)
        if limit is not None and limit.concurrency:
            caps[name] = limit.concurrency
        elif not means.cluster and isinstance(model, LocalModel) and model.home is not None:
            # It needs a device for itself: what waits for that takes no slot from others. A cluster has more than one
            # of each, and knows how many.
            caps[name] = 1
    return caps


def _numbered(plan: Plan, model: str) -> Iterator[Numbered]:
    numbers = plan.numbers.get((Action.RUN, model), ())
    return ((number, plan.steps[number]) for number in numbers)


def _patience(means: Means, provider: Provider) -> Patience:
    gate = means.gate
    outage = Outage(provider.reach, means.clock, gate.shutdown, gate.notices.waiting)
    return Patience(
        means.record,
        means.manifest.retry.policy,
        means.clock,
        gate.shutdown,
        frozenset({"complete", "find"} if provider.durable else ()),
        outage if provider.durable else None,
    )


def _submissions(
    means: Means, name: str, provider: Provider, patience: Patience, slots: Slots
) -> Submissions:
    fal = means.manifest.fal
    delivery = Delivery(
        provider,
        patience,
        means.gate.budget,
        slots,
        task_s=means.manifest.timeouts.task_s,
        settle_s=fal.settle_s,
        resubmit_below_usd=fal.resubmit_below_usd,
        is_synchronous=fal.mode == "sync" and name == FAL,
    )
    turns = Turns(slots, means.throttle, patience, means.gate.check, means.gate.notices.waiting)
    return Submissions(delivery, turns, patience, means.history.get)
