"""What a provider can do, as the runner sees it: prepare, submit, complete, fetch.

A provider does not retry, count, name files or touch the ledger; the runner does that, the same way for everyone.

Another package adds one by :class:`batchup.providers.plugin.Plugin`, and tests it by
:class:`batchup.testing.ProviderContract`, which says the same as this file in a form that can fail.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import msgspec

from batchup.source import Size
from batchup.task import Task


class Job(msgspec.Struct, frozen=True):
    """A task as its provider gets it.

    Attributes:
        task: What to do.
        file: The input on this machine.
        part: File to write the output to, in the output's own folder; does not exist before.
        sha256: Content hash of the input, where it was taken.
        keep_metadata: Whether EXIF and its kin come through.
        tell: Called now and then with the done part, 0.0 to 1.0.
    """

    task: Task
    file: Path
    part: Path
    sha256: str = ""
    keep_metadata: bool = True
    tell: Callable[[float], None] = lambda _: None


class Upload(msgspec.Struct, frozen=True):
    """An input that lies where the provider can read it, until it expires."""

    sha256: str
    url: str
    expires_at: datetime


class Request(msgspec.Struct, frozen=True):
    """What is going to be submitted, whole.

    Attributes:
        endpoint: Where to.
        body: JSON.
        upload: A new upload that it refers to.
        sha256: Content hash of the input, where it was read.
        content: Id of this work on these contents, likewise; filled in by whoever asked for the request.
    """

    endpoint: str = ""
    body: Mapping[str, Any] = {}
    upload: Upload | None = None
    sha256: str = ""
    content: str = ""


class Ticket(msgspec.Struct, frozen=True):
    """What a provider needs to find a submission again, in this run or a later one.

    Attributes:
        request_id: The provider's own name for it; empty where it has none.
        data: The provider's business, JSON.
    """

    request_id: str = ""
    data: Mapping[str, Any] = {}


class Completed(msgspec.Struct, frozen=True):
    """A finished submission.

    Attributes:
        urls: Where the output can be fetched, again and again; empty where it is in ``job.part`` already.
        charged_usd: What it really cost; None where the provider does not say.
    """

    urls: tuple[str, ...] = ()
    charged_usd: Decimal | None = Decimal(0)


class Provider(Protocol):
    """Does tasks in four steps, so that what may cost money is a step of its own.

    Every step raises TaskError (its branch says what happens next, see :mod:`batchup.errors`), FatalError where the
    account is refused, or OSError of the local disk. It may be cancelled at any await, and ends then at once.

    A file that :class:`Job` names is read or written off the event loop. Waits are the provider's own business, tries
    are not: an error that may pass is raised as TransientError, and the step is called again.
    """

    @property
    def durable(self) -> bool:
        """Whether submissions outlive this process and may cost money.

        If so, the intent to submit, the ticket and the result are made durable, in this order, each before the next
        step.
        """

    @property
    def takes_urls(self) -> bool:
        """Whether an input that is a URL can be handed on as it is; else it is downloaded for ``job.file``."""

    def endpoint(self, model: str) -> str:
        """Return the endpoint that is part of the identity of a model's tasks; empty but for a user's own."""

    async def reach(self) -> None:
        """Return if the other side answers at all, whatever it says; free.

        Raises:
            NotSentError: It cannot be reached.
        """

    async def prepare(self, job: Job) -> Request:
        """Bring the input to where the provider reads it, and say what is to be submitted. May be repeated; free."""

    async def submit(self, job: Job, request: Request) -> Ticket:
        """Start the work. The only step that may cost money: sent once an attempt, never resent blindly.

        What else goes wrong decides about money, where the provider is durable:

        Raises:
            NotSentError: Nothing was sent; RateLimitedError: it was refused for now. It is submitted again.
            TransientError: Nothing was accepted, for certain. It is submitted again, as often as the manifest says.
            RejectedError: It was refused for good.
            SubmissionUnknown: It was sent, and may have been accepted. It is looked for by :meth:`find`.
        """

    async def complete(self, job: Job, ticket: Ticket) -> Completed:
        """Wait until the work is finished. May be called again, by a later run too; free.

        Raises:
            RunFailedError: The work came to nothing; a new submission may succeed.
            RejectedError: So would every other.
            TransientError: Nobody knows how it stands; ask again.
            GoneError: The other side does not know it, or no longer.
        """

    async def fetch(self, job: Job, completed: Completed) -> None:
        """Bring the output to ``job.part``. May be called again; free.

        Raises:
            GoneError: It is not there any more.
        """

    async def find(self, endpoint: str, body: Mapping[str, Any], sent_at: datetime) -> Ticket | None:
        """Return the ticket of a submission whose answer was lost; None where it is not known, or not yet.

        Never that of another submission: the body must be the same, the time near, and the id none that is accounted
        for.

        Raises:
            GoneError: Nobody can be asked, now or later.
            NotSentError: Nobody can be reached. Where that is the network, one asks again when it is back.
        """

    def charged_usd(self, job: Job, completed: Completed, size: Size) -> Decimal | None:
        """Return what the output really cost in USD, by its own *size* where the provider did not say."""
