"""What a model is: its parameters, what comes out, and what it takes. Descriptions only, no I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from pydantic import ConfigDict

from batchup.described import Described
from batchup.models.billing import FLAT, Quantity, compute_seconds
from batchup.models.prices import Per, UnitPrice
from batchup.source import Kind, Media, Size


class Params(Described):
    """Base of every model's parameters: unknown names are faults, values are not coerced from text."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    apart: ClassVar[frozenset[str]] = frozenset()
    """Parameters that make no other task: where something lies, how fast it goes."""

    def settled(self, folder: Path) -> Self:  # noqa: ARG002 - most have nothing to settle
        """Return the same with what only this machine's disk can tell.

        Args:
            folder: What relative paths start from.

        Raises:
            ValueError: What they name is not there or broken: the rest of a sentence about the parameters.
        """
        return self


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
        """Return the estimated price of one task in USD; None where it cannot be known beforehand.

        Args:
            params: An instance of :attr:`params`.
            media: The input, None for a URL that nobody has read yet.
        """

    @property
    def price_note(self) -> str:
        """The price as ``batchup models`` shows it, with the date on which it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A model that runs on this machine, free of charge, in a worker process.

    Attributes:
        work: ``package.module:function`` that does the work, imported in the worker process only. See
            :class:`batchup.providers.local.work.Work` for what it is given.
        memory_bytes: Estimated peak memory of one task in bytes.
        home: The device that a task needs for itself, so that one runs at a time, in a process that stays; none for
            what runs anywhere.
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
    home: Callable[[Any], str] | None = None
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

    @property
    def price_note(self) -> str:
        """See :attr:`Model.price_note`."""
        return "free"


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedModel:
    """A model with a price, that its provider runs wherever that is.

    Attributes:
        price: Of one unit; None where nobody has said it, and a price of 0 USD where it is free.
        quantity: How many units one output is; by default what the price's unit means for this kind.
        endpoint: As :attr:`Model.endpoint`.
        learned: Takes the pixels that come out and the price that is to be expected by what is said of the model.
            Gives the price by what earlier tasks were charged, where only the work tells it.
    """

    name: str
    kind: Kind
    params: type[Params]
    summary: str
    size_of: Callable[[Any, Media], Size | None]
    ext_of: Callable[[Any, Media | None, str], str]
    refusal: Callable[[Any, Media], str | None]
    price: UnitPrice | None
    quantity: Quantity | None = None
    endpoint: str = ""
    learned: Callable[[int, Decimal], Decimal] | None = None

    def size(self, params: Any, media: Media) -> Size | None:
        """See :meth:`Model.size`."""
        return self.size_of(params, media) if media.width and media.height else None

    def ext(self, params: Any, media: Media | None, ending: str) -> str:
        """See :meth:`Model.ext`."""
        return self.ext_of(params, media, ending)

    def refuse(self, params: Any, media: Media) -> str | None:
        """See :meth:`Model.refuse`."""
        return self.refusal(params, media)

    def units(self, params: Any, media: Media | None) -> Decimal | None:
        """Return how many units of its price one task is; None where it cannot be known beforehand."""
        return self._units(params, media, self.size(params, media) if media else None)

    def price_usd(self, params: Any, media: Media | None) -> Decimal | None:
        """See :meth:`Model.price_usd`."""
        usd = self._usd(self.units(params, media))
        size = self.size(params, media) if self.learned is not None and media is not None else None
        if self.learned is None or media is None or size is None or not usd:
            return usd
        return self.learned(size.pixels * max(1, media.frames), usd)

    @property
    def is_priced_by_work(self) -> bool:
        """Whether only the work tells the price: beforehand it is an estimate."""
        return self._quantity is compute_seconds

    def charged_usd(
        self,
        params: Any,
        media: Media | None,
        size: Size | None,
        billable_units: Decimal | None = None,
    ) -> Decimal | None:
        """Return what was really billed in USD; None where neither the provider nor the output tells.

        Args:
            params: An instance of :attr:`params`.
            media: The input; for a URL the output, which lasts as long.
            size: Of the output.
            billable_units: What the provider says it billed.
        """
        if billable_units is not None:
            return self._usd(billable_units)
        return self._usd(self._units(params, media, size))

    def repriced(self, usd: Decimal, per: Per | None = None) -> Self:
        """Return the same model at another price.

        Args:
            usd: Of one unit.
            per: What a unit is. The model's own, or None, keeps all else that the price depends on; another one is
                the whole price.
        """
        if self.price and per in {None, self.price.per}:
            return replace(self, price=self.price.at(usd))
        flat: Per = per or "output"
        return replace(self, price=UnitPrice(usd=usd, per=flat, unit=flat), quantity=FLAT[self.kind][flat])

    @property
    def price_note(self) -> str:
        """See :attr:`Model.price_note`."""
        return str(self.price) if self.price else "unknown"

    def _units(self, params: Any, media: Media | None, size: Size | None) -> Decimal | None:
        if self.price is None or self._quantity is None:
            return None
        return self._quantity(self.price, params, media, size)

    @property
    def _quantity(self) -> Quantity | None:
        return self.quantity or (FLAT[self.kind][self.price.per] if self.price else None)

    def _usd(self, units: Decimal | None) -> Decimal | None:
        usd = self.price.usd if self.price else None
        # What is free is free, however much of it there is.
        return usd if usd == 0 else usd * units if usd is not None and units is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalModel(PricedModel):
    """A model that runs on fal.

    Attributes:
        app: Id of its endpoint on fal, with the sub-path: ``fal-ai/seedvr/upscale/image``.
        input: The parameter that takes the input's URL.
        output: Path to the file in the answer, with dots: ``image``, ``images.0``.
    """

    app: str
    input: str
    output: str

    def body(self, params: Params, url: str) -> dict[str, Any]:
        """Return what is sent: the input's URL and all parameters that have a value, whole numbers without a fraction."""
        given = {name: _plain(value) for name, value in params.model_dump().items() if value is not None}
        return {**given, self.input: url}

    def file(self, answer: Any) -> Mapping[str, Any] | None:
        """Return the file that an answer holds: its ``url`` and often ``content_type``, ``width`` and ``height``.

        None if there is none where :attr:`output` says.
        """
        for part in self.output.split("."):
            if isinstance(answer, list) and part.isdecimal() and int(part) < len(answer):
                answer = answer[int(part)]
            else:
                answer = answer.get(part) if isinstance(answer, dict) else None
        found = {"url": answer} if isinstance(answer, str) else answer
        return found if isinstance(found, dict) and isinstance(found.get("url"), str) else None


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
