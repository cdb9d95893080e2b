"""Call: what a worker is asked for, and its outcome, as they go over the network."""

import pickle
from collections.abc import Mapping
from typing import Any

import msgspec

from batchup import errors

ABOUT, OPEN, READ, WRITE, CLEAR = (
    "batchup_about",
    "batchup_open",
    "batchup_read",
    "batchup_write",
    "batchup_clear",
)
"""What a worker answers: see :mod:`batchup.cluster.worker`."""

CLAIM, DONE, REVOKE = "batchup_claim", "batchup_done", "batchup_revoke"
"""What the scheduler answers, see :mod:`batchup.cluster.fence`."""

STOP, TOLD = "batchup-stop", "batchup-told"
"""What the scheduler tells a worker, and a worker the scheduler, without waiting for an answer."""

PREFIX = "batchup-"
"""Of the names of all attempts, and of the topics that tell of them."""

WORKERS = "batchup-workers"
"""Topic of who comes and goes."""

PIECE_BYTES = 4 << 20
"""Of a file that is carried."""


class Call(msgspec.Struct, frozen=True):
    """One thing to do.

    Attributes:
        attempt: Its name, never used twice: ``run-number``.
        step: ``pool`` for a function by name, or a step of a provider; ``nothing`` measures what a call costs.
        name: Of the function (``package.module:name``), or of the provider.
        arguments: Of the step.
        memory_bytes: Estimated peak of a function.
        stoppable: Whether it may be cut when nobody waits for it any more; what may be paid must not be.
        tells: Whether somebody wants to hear how far it is.
        writes: Files that it writes; removed where nobody waits for them any more.
    """

    attempt: str
    step: str
    name: str
    arguments: tuple[Any, ...] = ()
    memory_bytes: int = 0
    stoppable: bool = True
    tells: bool = False
    writes: tuple[str, ...] = ()


class Outcome(msgspec.Struct, frozen=True):
    """How a call ended.

    Attributes:
        value: What it returned.
        error: Name of our error's class; ``OSError`` for the system's; empty for none.
        details: What the error is made of.
    """

    value: Any = None
    error: str = ""
    details: tuple[Any, ...] = ()
    attributes: Mapping[str, Any] = {}

    def get(self) -> Any:
        """Return the value, or raise the error."""
        if not self.error:
            return self.value
        if self.error == "OSError":
            raise OSError(*self.details)
        raise getattr(errors, self.error)(*self.details, **self.attributes)


def failed(error: Exception) -> Outcome:
    """Return the outcome of a call that raised *error*."""
    if isinstance(error, errors.BatchupError) and not isinstance(error, errors.ManifestError):
        attributes = {name: value for name, value in vars(error).items() if not name.startswith("_")}
        return Outcome(error=type(error).__name__, details=(str(error),), attributes=attributes)
    if isinstance(error, OSError) and error.errno is not None:
        file = None if error.filename is None else str(error.filename)
        return Outcome(error="OSError", details=(error.errno, error.strerror or "", file))
    message = f"unexpected {type(error).__name__}: {error}".removesuffix(": ")
    return Outcome(error="RejectedError", details=(message,), attributes={"kind": "unexpected"})


async def perform(data: bytes) -> None:
    """Make a call, packed. What Dask runs; the scheduler imports this module, too, which is why it is a small one."""
    from batchup.cluster import worker

    await worker.perform(data)


def pack(value: Any) -> bytes:
    """Return *value* as it goes through the scheduler, which never looks into it."""
    return pickle.dumps(value)


def unpack(data: bytes) -> Any:
    """Return what :func:`pack` was given. Only what a member of the cluster sent: Dask itself runs what they send."""
    return pickle.loads(data)  # noqa: S301 - see above
