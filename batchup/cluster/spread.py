"""Spread: what a run's lanes are made of where their work is done by a cluster."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from batchup.cluster.connection import Wanted, open_engine
from batchup.cluster.engine import Engine
from batchup.cluster.pool import ClusterPool
from batchup.cluster.provider import ClusterProvider
from batchup.history import History
from batchup.limits import Slots
from batchup.models import FAL
from batchup.providers.base import Provider
from batchup.providers.local.pool import Pool


class Spread:
    """Puts a cluster behind pools and providers."""

    def __init__(self, engine: Engine, history: History) -> None:
        """Take the cluster, and what is known of uploads."""
        self._engine, self._history = engine, history

    @property
    def slots(self) -> int:
        """How many local tasks are under way at a time: one more than it works on for each worker that is there.

        So none is idle while its last output is put in its place; the next one waits here.
        """
        return self._engine.members.slots + len(self._engine.members)

    def follow(self, slots: Slots) -> None:
        """Let *slots* be as many as those of the workers, as they come and go, until somebody else sets them."""
        last = slots.most

        def changed() -> None:
            nonlocal last
            if slots.most == last:
                last = max(1, self.slots)
                slots.set(last)

        self._engine.members.changed = changed

    def pool(self, here: Pool) -> Pool:
        """Return a pool of the workers; *here* is left what only this machine can do."""
        return ClusterPool(here, self._engine)

    def provider(self, name: str, inner: Provider) -> Provider:
        """Return *inner* with its up- and downloads made by workers, where they know how."""
        if name != FAL:
            return inner
        return ClusterProvider(
            name, inner, self._engine, lambda sha256: self._history.uploaded(sha256) is not None
        )


@asynccontextmanager
async def open_spread(wanted: Wanted, history: History) -> AsyncIterator[Spread]:
    """Give the means of a cluster while the block lasts.

    Raises:
        ManifestError: It cannot be used.
        FatalError: Its scheduler went away.
    """
    async with open_engine(wanted) as engine:
        yield Spread(engine, history)
