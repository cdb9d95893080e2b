"""What a model is: its parameters, what comes out, and what it takes. Descriptions only, no I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from batchup.source import Kind, Media, Size


class Params(BaseModel):
    """Base of every model's parameters: unknown names are faults, values are not coerced from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Model(Protocol):
    """What the rest of batchup may ask of any model."""

    @property
    def name(self) -> str:
        """``provider/name``, as manifests write it."""

    @property
    def kind(self) -> Kind:
        """What it takes and gives."""

    @property
    def params(self) -> type[Params]:
        """Its parameters: names, types, ranges, defaults."""

    @property
    def summary(self) -> str:
        """One sentence for ``batchup models``."""

    @property
    def endpoint(self) -> str:
        """A user's own endpoint, which is part of a task's identity; empty for shipped models."""

    def size(self, params: Any, media: Media) -> Size | None:
        """Return the size that comes out, or None where only the work tells."""

    def ext(self, params: Any, media: Media | None, ending: str) -> str:
        """Return the ending of what comes out, with its dot, in lower case.

        Args:
            params: An instance of :attr:`params`.
            media: The input, None for a URL that nobody has read yet.
            ending: The input's own ending with its dot, as written.
        """

    def refuse(self, params: Any, media: Media) -> str | None:
        """Return why this input cannot be taken, as a person would say it; None if it can."""

    def price_usd(self, params: Any, media: Media | None) -> Decimal | None:
        """Return the estimated price of one task in USD; None where it cannot be known beforehand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A model that runs on this machine, free of charge, in a worker process.

    Attributes:
        work: ``package.module:function`` that does the work, imported in the worker process only. See
            :class:`batchup.providers.local.work.Work` for what it is given.
        memory_bytes: Estimated peak memory of one task in bytes.
    """

    name: str
    kind: Kind
    params: type[Params]
    summary: str
    work: str
    size_of: Callable[[Any, Media], Size | None]
    ext_of: Callable[[Any, Media | None, str], str]
    refusal: Callable[[Any, Media], str | None]
    memory_bytes: Callable[[Any, Media], int]
    endpoint: str = ""

    def size(self, params: Any, media: Media) -> Size | None:
        """See :meth:`Model.size`."""
        return self.size_of(params, media)

    def ext(self, params: Any, media: Media | None, ending: str) -> str:
        """See :meth:`Model.ext`."""
        return self.ext_of(params, media, ending)

    def refuse(self, params: Any, media: Media) -> str | None:
        """See :meth:`Model.refuse`."""
        return self.refusal(params, media)

    def price_usd(self, params: Any, media: Media | None) -> Decimal | None:  # noqa: ARG002 - it costs nothing
        """Nothing."""
        return Decimal(0)
