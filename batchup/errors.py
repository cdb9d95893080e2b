"""Errors, named for what happens next.

::

    BatchupError
    ├── ManifestError        the manifest or the command line is wrong: nothing was done        exit 2
    ├── LedgerError          the ledger is in use, damaged, missing, or some other file         exit 4
    ├── Interrupted          a person ended it before anything was run                        exit 128 + signal
    ├── FatalError           nothing will work any more: stop the run, the rest stays pending   exit 5, 6
    └── TaskError            about one task:
        ├── TransientError       try again, after ``retry_after_s`` if that is given
        │   ├── NotSentError         nothing was sent: the same may be sent again, whatever it costs
        │   ├── AnswerLostError      it was sent, or may have been: what costs money may have been accepted
        │   ├── RateLimitedError     wait: it counts for nothing
        │   └── RunFailedError       the provider's run failed for good: only a new submission can help
        ├── RejectedError        give up this task; the others go on
        ├── GoneError            the provider no longer knows it: look for it in its history
        ├── LeftError            it goes on without us: the next run takes it up
        │   └── PostponedError       not now: a limit does not allow it to begin; perhaps later in this run
        └── SubmissionUnknown    it may have been paid: never sent again blindly

The branch is decided once, where a foreign error becomes one of ours; everyone above only asks which branch.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong in a manifest or list, said to the person who wrote it.

    Attributes:
        file: The file as the person named it.
        line: From 1; 0 where a fault has no place.
        column: From 1; 0 where a fault has no place.
        message: ``run.rate: "fast" is no rate; write 10/s or 120/min``.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message


class BatchupError(Exception):
    """Anything that batchup itself reports. Its text is written for a person."""


class ManifestError(BatchupError):
    """The manifest, a list it names, or the command line is wrong. Holds every fault found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


class Faults:
    """The first faults of many, and how many more there are.

    Attributes:
        first: As many as are told.
        more: Number of the others.
    """

    def __init__(self, most: int) -> None:
        """Take how many are told."""
        self.first: list[Fault] = []
        self.more = 0
        self._most = most

    def add(self, fault: Fault) -> None:
        """Take in one more."""
        if len(self.first) < self._most:
            self.first.append(fault)
        else:
            self.more += 1

    def tell(self) -> None:
        """Raise what there is, as a ManifestError; return if there is nothing."""
        more = [Fault("", 0, 0, f"and {self.more:,} more such faults")] if self.more else []
        if self.first:
            raise ManifestError([*self.first, *more])


class LedgerError(BatchupError):
    """The ledger cannot be used: in use by another run, damaged, missing, or some other file."""


class FatalError(BatchupError):
    """Nothing will work any more. The run stops; what has not started stays pending."""

    def __init__(self, message: str, *, stopped: Literal["account", "disk"]) -> None:
        super().__init__(message)
        self.stopped = stopped


class Interrupted(BatchupError):  # noqa: N818 - it is what happened, and no error
    """A person ended the command before anything was run."""

    def __init__(self, signum: int) -> None:
        super().__init__("interrupted before anything was run")
        self.signum = signum


class TaskError(BatchupError):
    """One task met an error.

    Attributes:
        kind: The class that failures are counted by, in snake_case: ``image_truncated``.
    """

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class TransientError(TaskError):
    """It may work next time."""

    def __init__(self, message: str, *, kind: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, kind=kind)
        self.retry_after_s = retry_after_s


class NotSentError(TransientError):
    """Nothing was sent: no address for the name, no connection, no TLS. Safe to send again, whatever it costs."""


class AnswerLostError(TransientError):
    """It was sent, or may have been, and no whole answer came. A submission that meets this may have been accepted."""


class RateLimitedError(TransientError):
    """The other side asks to wait (HTTP 429). That is no failure and counts as no attempt."""


class RunFailedError(TransientError):
    """A submission was accepted and came to a definite end without success: asking for it again is of no use.

    Only a new submission may work. Other TransientErrors of the same step mean: ask again, submit nothing.
    """


class RejectedError(TaskError):
    """This task will never work as it is.

    Attributes:
        may_cost: Whether it may be charged all the same.
    """

    def __init__(self, message: str, *, kind: str, may_cost: bool = False) -> None:
        super().__init__(message, kind=kind)
        self.may_cost = may_cost


class GoneError(TaskError):
    """The provider does not know the submission, or no longer. It may have been paid: its history is asked first."""


class LeftError(TaskError):
    """It goes on without us. Nothing is recorded: the next run takes it up where the ledger says it is."""


class PostponedError(LeftError):
    """It may not be begun now; nothing was sent. It may still be in this run."""


class SubmissionUnknown(TaskError):  # noqa: N818 - it is the field's word, and a state rather than an error
    """The request may have been accepted, and paid. It is settled, never blindly sent again."""


def only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error in nested groups, the first of several of ours, or the group itself."""
    errors: list[BaseException] = [group]
    while any(isinstance(error, BaseExceptionGroup) for error in errors):
        errors = [one for error in errors for one in getattr(error, "exceptions", (error,))]
    ours = all(isinstance(error, BatchupError) for error in errors)
    return errors[0] if ours or len(errors) == 1 else group
