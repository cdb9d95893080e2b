"""From a provider's name to a provider that works."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchup.clock import Clock
from batchup.history import History
from batchup.manifest import Manifest
from batchup.providers.base import Provider
from batchup.providers.local.pool import Pool
from batchup.providers.local.provider import LocalProvider

if TYPE_CHECKING:
    from batchup.transport import Transport


@dataclass(frozen=True, slots=True)
class Tools:
    """What providers are made of.

    Attributes:
        pool: Runs what would block the event loop.
        transport: Speaks HTTP; None where nothing needs it.
        history: Knows what was uploaded before.
    """

    manifest: Manifest
    clock: Clock
    pool: Pool
    transport: "Transport | None"
    history: History


@asynccontextmanager
async def open_provider(name: str, tools: Tools) -> AsyncIterator[Provider]:
    """Give the provider called *name* while the block lasts."""
    assert name == "local"
    yield LocalProvider(tools.pool)
