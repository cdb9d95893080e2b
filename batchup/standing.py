"""Where a task may stand."""

from enum import IntEnum


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
