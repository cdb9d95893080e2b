"""Prices: what one unit of a model's work costs, as one data file holds it."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from batchup.models import fal

Per = Literal["MP", "s", "output"]


class Step(msgspec.Struct, frozen=True):
    """What an output up to some size costs.

    Attributes:
        units: Units of the price.
        to: The largest size, in megapixels or pixels of height; None is any.
        line: Nothing is published below it, down to the step before: a straight line is assumed there.
    """

    units: Decimal
    to: Decimal | None = None
    line: bool = False


class UnitPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The price of one unit of work.

    Attributes:
        usd: Of one unit.
        per: What a unit is called in a manifest.
        unit: The same in words.
        measure: What *steps* go by: megapixels (``MP``) or pixels of height (``p``).
        steps: From the smallest; none where all sizes cost the same.
        times: A choice that makes a unit dearer, and how many times.
        seconds_per_megapixel: Assumed compute seconds for each output megapixel, where seconds are what is billed.
        source: Address where the price was read; empty where a manifest says it.
        read: The date of that, as ``2026-11-22``.
    """

    usd: Decimal
    per: Per
    unit: str
    measure: Literal["MP", "p"] = "MP"
    steps: tuple[Step, ...] = ()
    times: Mapping[str, Decimal] = {}
    seconds_per_megapixel: Decimal = Decimal(2)
    source: str = ""
    read: str = ""

    def step(self, size: Decimal) -> Decimal:
        """Return the units of an output of *size*, in what :attr:`measure` says; 1 where there are no steps.

        Beyond the last step it is the last one's.
        """
        below = Step(Decimal(0), Decimal(0))
        for step in self.steps:
            if step.to is None or size <= step.to:
                return _between(below, step, size) if step.line and size != step.to else step.units
            below = step
        return below.units if self.steps else Decimal(1)

    def at(self, usd: Decimal) -> "UnitPrice":
        """Return the price with another one for its unit, which a manifest states."""
        return msgspec.structs.replace(self, usd=usd, source="", read="")

    def __str__(self) -> str:
        """Say it to a person, on one line."""
        where = f"read {self.read}" if self.read else "from the manifest"
        if not self.usd:
            return f"free, {where}"
        said = [f"{_plain(self.usd)} USD per {self.unit}"]
        if self.steps:
            said[0] += f" to {self.steps[0].to} {self.measure}"
            said += [self._said(step) for step in self.steps[1:]]
        said += [f"{_plain(times)} times with {choice}" for choice, times in self.times.items()]
        return ", ".join([*said, where])

    def _said(self, step: Step) -> str:
        usd = _plain(self.usd * step.units)
        if step.to is None:
            return f"{usd} above"
        return (
            f"rising to {usd} at {step.to} {self.measure}"
            if step.line
            else f"{usd} to {step.to} {self.measure}"
        )


class _Table(msgspec.Struct, frozen=True):
    read: str
    models: Mapping[str, UnitPrice]


@cache
def _table() -> _Table:
    return msgspec.yaml.decode((files(fal) / "prices.yaml").read_bytes(), type=_Table)


def price_of(model: str) -> UnitPrice:
    """Return the price of the shipped model called *model*, such as ``fal/esrgan``.

    Raises:
        KeyError: The table has none.
    """
    table = _table()
    return msgspec.structs.replace(table.models[model], read=table.read)


def _between(low: Step, high: Step, size: Decimal) -> Decimal:
    """Return the units on the straight line, in steps of 0.0001 and leaning high."""
    assert low.to is not None, "the step below has an end"
    assert high.to is not None, "a line has an end"
    share = (size - low.to) / (high.to - low.to)
    units = low.units + (high.units - low.units) * share
    return units.quantize(Decimal("0.0001"), "ROUND_CEILING")


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
