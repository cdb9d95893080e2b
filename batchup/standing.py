"""Where a task stands: its state, and what else is known of it."""

from enum import IntEnum

import msgspec


class State(IntEnum):
    """Where a task stands."""

    PENDING = 0
    DONE = 1
    FAILED = 2
    HELD = 3
    SUBMITTING = 4
    """A submission was about to be sent; nobody knows yet whether it was."""
    SUBMITTED = 5
    COMPLETED = 6
    """The provider has finished; the output has not been fetched."""


IN_FLIGHT = frozenset({State.SUBMITTING, State.SUBMITTED, State.COMPLETED})


class Record(msgspec.Struct, gc=False):
    """What is known of one task. Small: a library has many.

    Attributes:
        model: Its name; all tasks of a model share the text.
        seen: Offset in the ledger of the line that names its input.
        last: Offset of the line that made its state.
        result: Offset of the ``result`` line of its last submission; -1 where that has none.
        attempts: Submissions so far.
        failure: Class of the error, where it failed.
        orphaned: Whether the manifest no longer makes it.
        present: Whether this run's manifest makes it; set while planning.
    """

    state: State = State.PENDING
    model: str = ""
    seen: int = -1
    last: int = -1
    result: int = -1
    attempts: int = 0
    failure: str = ""
    orphaned: bool = False
    present: bool = False
