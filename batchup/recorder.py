"""Where events go: to the ledger first, then to everyone who counts them."""

from collections.abc import Callable, Iterable, Sequence

from batchup.events import Event
from batchup.history import History
from batchup.ledger import Ledger

Listener = Callable[[Event], None]

CHUNK = 1000
"""Events that are written and folded in one go: ten milliseconds of the event loop."""


class Recorder:
    """Makes events durable, then tells the history and the listeners."""

    def __init__(self, ledger: Ledger, history: History, listeners: Sequence[Listener] = ()) -> None:
        self._ledger = ledger
        self._history = history
        self._listeners = listeners

    async def record(self, *events: Event) -> None:
        """Append *events* to the ledger; return when they are durable.

        Raises:
            FatalError: The disk refuses. Nobody has been told of them.
        """
        placed = await self._ledger.append(*events)
        for event, (offset, line) in zip(events, placed, strict=True):
            self._history.add(line, offset)
            for listener in self._listeners:
                listener(event)

    async def record_all(self, events: Iterable[Event]) -> None:
        """Append many events; return when all are durable."""
        chunk: list[Event] = []
        for event in events:
            chunk.append(event)
            if len(chunk) == CHUNK:
                await self.record(*chunk)
                chunk.clear()
        if chunk:
            await self.record(*chunk)
