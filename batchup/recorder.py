"""Where events go: to the ledger first, then to everyone who counts them."""

from collections.abc import Callable, Iterable, Sequence

from batchup.events import Done, Event, encode
from batchup.history import History
from batchup.ledger import Ledger

Listener = Callable[[Event], None]


class Recorder:
    """Makes events durable, then tells the history and the listeners.

    Attributes:
        done: Task id -> how it became done, in this run, for the tasks in *wanted*.
    """

    def __init__(self, ledger: Ledger, history: History, listeners: Sequence[Listener] = ()) -> None:
        self.done: dict[str, Done] = {}
        self.wanted: set[str] = set()
        self._ledger = ledger
        self._history = history
        self._listeners = listeners

    async def record(self, *events: Event) -> None:
        """Append *events* to the ledger; return when they are durable.

        Raises:
            FatalError: The disk refuses. Nobody has been told of them.
        """
        await self._ledger.append(*events)
        self._tell(events)

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

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            self._history.add(encode(event))
            if isinstance(event, Done) and event.id in self.wanted:
                self.done[event.id] = event
            for listener in self._listeners:
                listener(event)


CHUNK = 5000
"""Events that are encoded and written in one go: some megabytes."""
