"""From a provider's name to a provider that works."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from batchup import plugins
from batchup.catalogue import Catalogue
from batchup.clock import Clock
from batchup.history import History
from batchup.manifest import Manifest
from batchup.models import FAL, LOCAL, PROVIDERS
from batchup.models.base import FalModel
from batchup.processors import cores
from batchup.providers.base import Provider, Upload
from batchup.providers.guard import Guarded
from batchup.providers.local.pool import Pool
from batchup.providers.local.provider import LocalProvider
from batchup.providers.plugin import SLOTS, Supplies

if TYPE_CHECKING:
    from batchup.transport import Transport


@dataclass(frozen=True, slots=True)
class Tools:
    """What providers are made of.

    Attributes:
        pool: Runs what would block the event loop.
        transport: Speaks HTTP; None where nothing needs it.
        history: Knows what was uploaded and submitted before.
        environment: Holds accounts' keys, and where their platforms are.
        log: Called with what is only told to who asks for more.
    """

    manifest: Manifest
    catalogue: Catalogue
    clock: Clock
    pool: Pool
    transport: "Transport | None"
    history: History
    environment: Mapping[str, str]
    log: Callable[[str], None] = lambda _: None


def check_accounts(providers: Iterable[str], environment: Mapping[str, str]) -> None:
    """Look whether each provider has an account to work with; asks nobody.

    Raises:
        FatalError: There is no key, or none that can be sent.
        ManifestError: An address cannot be trusted with it.
    """
    for name in sorted(providers):
        if name == FAL:
            from batchup.providers.fal.settings import Settings

            Settings.from_environment(environment)
        elif name != LOCAL:
            plugins.installed().provider(name).check(environment)


def slots_of(provider: str) -> int:
    """Return how many tasks at a time a provider is given where nobody says another number."""
    if provider in PROVIDERS:
        return cores() if provider == LOCAL else SLOTS
    return plugins.installed().provider(provider).slots


async def live_prices(
    manifest: Manifest,
    catalogue: Catalogue,
    names: Iterable[str],
    clock: Clock,
    environment: Mapping[str, str],
) -> dict[str, Decimal]:
    """Return those of fal's models among *names* whose unit price in USD is higher today than the table's.

    A platform that cannot be asked changes nothing; what is missing of the account is found out by the first request.
    """
    from batchup.providers.fal.api import open_api
    from batchup.providers.fal.platform import Platform, PlatformUnavailable
    from batchup.providers.fal.settings import Settings

    higher: dict[str, Decimal] = {}
    asked = {name: model for name in names if isinstance(model := catalogue.find(name), FalModel)}
    if not asked:
        return higher
    settings = Settings.from_environment(environment)
    async with open_api(settings, connect_s=manifest.timeouts.connect_s, clock=clock) as api:
        platform = Platform(api, clock)
        for name, model in asked.items():
            if name in manifest.prices or model.price is None:
                continue
            try:
                usd = await platform.unit_price(model.app)
            except PlatformUnavailable:
                break
            if usd is not None and usd > model.price.usd:
                higher[name] = usd
    return higher


@asynccontextmanager
async def open_provider(name: str, tools: Tools) -> AsyncIterator[Provider]:
    """Give the provider called *name* while the block lasts.

    Raises:
        ManifestError: Its account's settings are wrong.
    """
    if name == LOCAL:
        yield LocalProvider(tools.pool, tools.log)
    elif name == FAL:
        async with _open_fal(tools) as provider:
            yield provider
    else:
        async with plugins.installed().provider(name).open(_supplies(tools)) as plugged_in:
            yield Guarded(name, plugged_in)


def _supplies(tools: Tools) -> Supplies:
    assert tools.transport is not None
    times = tools.manifest.timeouts
    return Supplies(
        environment=tools.environment,
        clock=tools.clock,
        transport=tools.transport,
        pool=tools.pool,
        model=tools.catalogue.find,
        uploaded=partial(_uploaded, tools.history),
        known=tools.history.requests,
        connect_s=times.connect_s,
        stall_s=times.stall_s,
    )


def _uploaded(history: History, sha256: str) -> Upload | None:
    known = history.uploaded(sha256)
    return Upload(known.sha256, known.url, known.expires_at) if known else None


@asynccontextmanager
async def _open_fal(tools: Tools) -> AsyncIterator[Provider]:
    from batchup.providers.fal.api import open_api
    from batchup.providers.fal.platform import Platform
    from batchup.providers.fal.poller import open_poller
    from batchup.providers.fal.provider import FalProvider, Ways
    from batchup.providers.fal.queue import Queue, Terms
    from batchup.providers.fal.settings import Settings
    from batchup.providers.fal.storage import Storage
    from batchup.transport.addresses import is_loopback

    manifest, clock = tools.manifest, tools.clock
    fal = manifest.fal
    settings = Settings.from_environment(tools.environment)
    assert tools.transport is not None

    async with open_api(settings, connect_s=manifest.timeouts.connect_s, clock=clock) as api:
        queue = Queue(api)
        async with open_poller(queue.status, clock) as poller:
            yield FalProvider(
                queue,
                poller,
                Storage(api, retry=manifest.retry.policy, clock=clock, stall_s=manifest.timeouts.stall_s),
                Platform(api, clock),
                tools.transport,
                tools.pool,
                clock,
                Ways(
                    Terms(priority=fal.priority, store_io=fal.store_payloads),
                    fal.mode == "sync",
                    fal.keep_inputs_s,
                    is_loopback(settings.queue.raw_host or ""),
                ),
                model=tools.catalogue.fal,
                uploaded=partial(_uploaded, tools.history),
                known=tools.history.requests,
            )
