"""Rules: what an endpoint takes as the value of one parameter, and what it says of one that it does not take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from batchup.rehearsal.answers import fault

Fault = dict[str, Any]


class Rule(Protocol):
    """One parameter."""

    @property
    def default(self) -> Any:
        """What is taken where the body does not name it; None where nothing is."""

    def check(self, name: str, value: Any) -> Fault | None:
        """Return what is wrong with *value*, or None."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]
    default: Any = None

    def check(self, name: str, value: Any) -> Fault | None:
        """See :class:`Rule`."""
        if value in self.values and not isinstance(value, bool):
            return None
        listed = ", ".join(repr(one) for one in self.values)
        return fault("one_of", f"Input should be {listed}", ("body", name), expected=list(self.values))


@dataclass(frozen=True, slots=True)
class Number:
    """A number between two others, which belong to it."""

    low: float
    high: float
    default: float | None = None
    whole: bool = False

    def check(self, name: str, value: Any) -> Fault | None:
        """See :class:`Rule`."""
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or (self.whole and value != int(value))
        ):
            kind = "int_type" if self.whole else "float_type"
            return fault(kind, "Input should be a valid number", ("body", name))
        if value < self.low:
            return fault(
                "greater_than_equal", f"Input should be at least {self.low:g}", ("body", name), ge=self.low
            )
        if value > self.high:
            return fault(
                "less_than_equal", f"Input should be at most {self.high:g}", ("body", name), le=self.high
            )
        return None


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    default: bool | None = None

    def check(self, name: str, value: Any) -> Fault | None:
        """See :class:`Rule`."""
        if isinstance(value, bool):
            return None
        return fault("bool_type", "Input should be a valid boolean", ("body", name))


def checked(body: Any, rules: Mapping[str, Rule], required: str, *, closed: bool) -> list[Fault]:
    """Return all that is wrong with a request's body.

    Args:
        body: As it came.
        rules: Parameter -> what it may be.
        required: The parameter that names the input.
        closed: Whether parameters without a rule are faults.
    """
    if not isinstance(body, dict):
        return [fault("dict_type", "Input should be a valid dictionary", ("body",))]
    faults = []
    if required not in body:
        faults.append(fault("missing", "Field required", ("body", required)))
    elif not isinstance(body[required], str):
        faults.append(fault("string_type", "Input should be a valid string", ("body", required)))
    for name, value in body.items():
        if name in rules:
            wrong = rules[name].check(name, value)
            faults += [wrong] if wrong else []
        elif closed and name != required:
            faults.append(fault("extra_forbidden", "Extra inputs are not permitted", ("body", name)))
    return faults


def filled(body: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Return *body* with the defaults of what it leaves out."""
    defaults = {name: rule.default for name, rule in rules.items() if rule.default is not None}
    return {**defaults, **body}
