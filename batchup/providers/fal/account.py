"""Account: the queue and the platform API with the user's key, for those who ask without running anything."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from batchup.clock import Clock
from batchup.providers.fal.api import open_api
from batchup.providers.fal.platform import Platform
from batchup.providers.fal.queue import Queue
from batchup.providers.fal.settings import Settings


class Account(NamedTuple):
    """What can be asked."""

    queue: Queue
    platform: Platform


@asynccontextmanager
async def open_account(
    environment: Mapping[str, str], *, connect_s: float, clock: Clock
) -> AsyncIterator[Account]:
    """Give the account of *environment* while the block lasts.

    Args:
        environment: Holds the key, and where the services are.
        connect_s: Most seconds until a connection stands.
        clock: For waits.

    Raises:
        FatalError: There is no key.
        ManifestError: An address cannot be trusted with it.
    """
    settings = Settings.from_environment(environment)
    async with open_api(settings, connect_s=connect_s, clock=clock) as api:
        yield Account(Queue(api), Platform(api, clock))
