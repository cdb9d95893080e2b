"""What can happen, and how it stands in the ledger: one JSON object a line, its kind under ``event``.

Fields at their default are left out. Moments are RFC 3339 in UTC, amounts of money decimal strings in USD, and file
names path texts (:func:`batchup.source.to_text`). A reader ignores fields that it does not know, so that a later
version may add some.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

import msgspec

from batchup.source import Source
from batchup.task import Scalar

FORMAT = 1
"""Version of the ledger's format, in every ``run`` event."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event"):
    """Something that happened. Every kind below has its moment in ``at``."""


class Run(Event, frozen=True, kw_only=True, tag="run"):
    """A run begins. The first line of every ledger is one.

    Attributes:
        format: :data:`FORMAT`. Stands first, so that a foreign file is told from a ledger by its first bytes.
        job: The manifest's ``name``.
        manifest: SHA-256 of the manifest's bytes.
        version: Of batchup.
        skipped: Reason -> number of inputs left out.
        budget_usd: The cap for this run.
        agreed_usd: What a person has agreed that the whole job may cost.
    """

    format: int
    job: str
    manifest: str
    version: str
    host: str
    pid: int
    skipped: Mapping[str, int] = {}
    budget_usd: Decimal | None = None
    agreed_usd: Decimal = Decimal(0)
    at: datetime


class Seen(Event, frozen=True, kw_only=True, tag="task"):
    """A task is part of the job: first seen, or back after it was orphaned.

    Attributes:
        root: Of the source; see :class:`batchup.source.Source`.
        params: Those that differ from the model's defaults.
        output: Path text below ``output.dir``.
        width: Expected of the output, 0 where unknown; likewise *height*.
        sha256: Content hash of the input, where it was taken before the work began.
        content: Id of this work on these contents (:meth:`batchup.task.Recipe.content_id`), likewise.
    """

    id: str
    root: str = ""
    path: str = ""
    url: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    kind: str = ""
    model: str
    params: Mapping[str, Scalar] = {}
    output: str
    width: int = 0
    height: int = 0
    estimated_usd: Decimal | None = Decimal(0)
    sha256: str = ""
    content: str = ""
    at: datetime

    @property
    def label(self) -> str:
        """How people know the input."""
        return Source(root=self.root, path=self.path, url=self.url).label


class Orphaned(Event, frozen=True, kw_only=True, tag="orphaned"):
    """The manifest no longer makes this task. What it cost and wrote stays."""

    id: str
    at: datetime


class Uploaded(Event, frozen=True, kw_only=True, tag="uploaded"):
    """An input lies on the provider's storage.

    Attributes:
        sha256: Of the contents; identical contents are uploaded once.
    """

    sha256: str
    url: str
    expires_at: datetime
    at: datetime


class Submitting(Event, frozen=True, kw_only=True, tag="submitting"):
    """A submission that may cost money is about to be sent. Durable before it is.

    Attributes:
        attempt: Number of this submission of the task, from 1.
        body: What is sent, whole: a lost answer is looked for by it.
        content: Id of this work on these contents (:meth:`batchup.task.Recipe.content_id`).
    """

    id: str
    attempt: int
    endpoint: str
    body: Mapping[str, Any]
    content: str = ""
    reserved_usd: Decimal | None = None
    at: datetime


class Submitted(Event, frozen=True, kw_only=True, tag="submitted"):
    """The provider accepted a submission. Durable before anything is asked about it.

    Attributes:
        ticket: What the provider needs to find it again; its own business, JSON.
    """

    id: str
    attempt: int
    request_id: str
    ticket: Mapping[str, Any] = {}
    at: datetime


class Result(Event, frozen=True, kw_only=True, tag="result"):
    """The provider finished. Durable before the output is fetched.

    Attributes:
        urls: Where the output can be fetched, and fetched again without paying.
    """

    id: str
    attempt: int
    urls: tuple[str, ...]
    charged_usd: Decimal | None = None
    at: datetime


class Done(Event, frozen=True, kw_only=True, tag="done"):
    """The output is complete, under its final name, and on disk.

    Attributes:
        output: Path text below ``output.dir``.
        size_bytes: Of the output; likewise *mtime_ns*, *sha256*, *width* and *height*.
        source_sha256: Content hash of the input.
        content: Id of this work on these contents (:meth:`batchup.task.Recipe.content_id`).
        copied_from: Id of the task whose output was copied, where nothing had to be run.
        stripped: Whether it was made without EXIF and its kin.
        unexpected_size: The output decodes, but has not the size that was expected.
        pixels: Of the output, all its frames together; 0 in ledgers of versions that did not tell it.
        seconds: From the start of the attempt to here.
    """

    id: str
    output: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    width: int
    height: int
    source_sha256: str = ""
    content: str = ""
    copied_from: str = ""
    stripped: bool = False
    unexpected_size: bool = False
    pixels: int = 0
    attempt: int = 1
    seconds: float = 0.0
    estimated_usd: Decimal | None = Decimal(0)
    charged_usd: Decimal | None = Decimal(0)
    at: datetime


class Retried(Event, frozen=True, kw_only=True, tag="retried"):
    """Something failed in a way that may pass; it is tried again after *wait_s* seconds.

    Attributes:
        step: Empty for a submission, which has definitely failed; else what is tried again for free: ``prepare``,
            ``complete``, ``fetch``.
    """

    id: str
    attempt: int
    kind: str
    message: str
    step: str = ""
    wait_s: float
    at: datetime


class Failed(Event, frozen=True, kw_only=True, tag="failed"):
    """The task was given up. It waits for ``--retry-failed``.

    Attributes:
        kind: Class of the error, in snake_case.
        may_retry: Whether it was given up only because its attempts were used.
        reserved_usd: What it may be charged all the same; only an audit can tell.
    """

    id: str
    attempt: int
    kind: str
    message: str
    may_retry: bool = False
    reserved_usd: Decimal | None = None
    at: datetime


class Held(Event, frozen=True, kw_only=True, tag="held"):
    """A submission may have been accepted, and paid, and nobody can tell. A person decides."""

    id: str
    attempt: int
    message: str
    reserved_usd: Decimal | None = None
    at: datetime


class Audited(Event, frozen=True, kw_only=True, tag="audited"):
    """The account's bill has told what a submission was really charged: that counts, whatever was known before.

    Attributes:
        request_id: Where the ledger did not know it: the answer to the submission was lost.
        charged_usd: 0 where it was surely not billed. Nothing of it stays reserved.
        model: Set where the task itself was forgotten, and only what it cost is remembered; *id* is nobody's then.
    """

    id: str
    attempt: int
    request_id: str = ""
    charged_usd: Decimal
    model: str = ""
    at: datetime


class Stopped(Event, frozen=True, kw_only=True, tag="stopped"):
    """A run ended.

    Attributes:
        why: None when it went to its end; else ``budget``, ``window``, ``limit``, ``failures``,
            ``interrupted``, ``account`` or ``disk``.
    """

    why: str | None = None
    elapsed_s: float = 0.0
    at: datetime


AnyEvent = (
    Run
    | Seen
    | Orphaned
    | Uploaded
    | Submitting
    | Submitted
    | Result
    | Done
    | Retried
    | Failed
    | Held
    | Audited
    | Stopped
)

KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(AnyEvent))
"""All that this version knows. A later one may write others, which are passed over."""

_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """Return *event* as one JSON line without its newline."""
    return _encoder.encode(event)


def decode(line: bytes) -> AnyEvent:
    """Undo :func:`encode`.

    Raises:
        msgspec.DecodeError: The line is no event of this format.
    """
    return _decoder.decode(line)
