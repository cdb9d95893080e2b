"""Quantities as people write them, and back: durations, sizes, pixels, rates, money.

Every reader raises ``ValueError`` with a sentence for the person who wrote the value: what was found, what to write.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any, Literal, TypeVar, get_args

from batchup.manifest.wording import found

# 15 digits fit a float exactly and leave nothing to overflow.
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_MAX = 10**15

DURATION_UNITS = {"d": 86400.0, "h": 3600.0, "min": 60.0, "m": 60.0, "s": 1.0, "ms": 0.001}
"""Unit -> seconds, the longest first."""

SIZE_UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("KMGT", 1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
}
"""Unit -> bytes."""

DURATION_PATTERN = rf"(?:{_NUMBER} ?(?:ms|min|[smhd]) ?)+"
SIZE_PATTERN = rf"{_NUMBER} ?[KMGTkmgt]?i?[Bb]"
PIXELS_PATTERN = rf"{_NUMBER} ?[Mm][Pp]"
RATE_PATTERN = rf"{_NUMBER} ?/ ?(?:s|min|m|h)"
USD_PATTERN = rf"{_NUMBER} ?USD"
PRICE_PATTERN = rf"{_NUMBER} ?USD ?/ ?(?:MP|s|output)"

_DURATION_PART = re.compile(rf"({_NUMBER}) ?(ms|min|[smhd]) ?")
_QUANTITY = re.compile(rf"({_NUMBER}) ?([A-Za-z]+)")
_RATE = re.compile(rf"({_NUMBER}) ?/ ?(s|min|m|h)")
_USD = re.compile(rf"({_NUMBER})(?: ?USD)?")
_PRICE = re.compile(rf"({_NUMBER}) ?USD ?/ ?(MP|s|output)")

Per = Literal["MP", "s", "output"]
_Amount = TypeVar("_Amount", int, float)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may start: *count* in every *interval_s* seconds."""

    count: float
    interval_s: float

    @property
    def per_second(self) -> float:
        """Starts a second."""
        return self.count / self.interval_s

    def __str__(self) -> str:
        unit = next(name for name in ("h", "min", "s") if DURATION_UNITS[name] == self.interval_s)
        return f"{self.count:g}/{unit}"


@dataclass(frozen=True, slots=True)
class Price:
    """A unit price: *usd* for each megapixel of output, second, or output."""

    usd: Decimal
    per: Per

    def __str__(self) -> str:
        return f"{self.usd:f} USD/{self.per}"


def duration(value: Any) -> float:
    """Return seconds: ``90s``, ``1h30m``, ``250 ms``. A number alone has no unit and is refused."""
    seconds, smallest, end = 0.0, float("inf"), 0
    text = value.strip() if isinstance(value, str) else ""
    while part := _DURATION_PART.match(text, end):
        unit_s = DURATION_UNITS[part[2]]
        # 30m1h and 1h1h are slips of the pen more often than not.
        if unit_s >= smallest:
            raise ValueError(f"{found(value)}: units go from long to short, each once, as in 1h30m")
        seconds, smallest, end = seconds + float(part[1]) * unit_s, unit_s, part.end()
    if not text or end != len(text):
        bare = _is_number(value)
        raise ValueError(
            f"{value} has no unit; write {value}s" if bare else _no(value, "duration", "90s or 1h30m")
        )
    return seconds


def positive_duration(value: Any) -> float:
    """Return seconds as :func:`duration`, but not 0."""
    return _above_0(duration(value), value)


def size(value: Any) -> int:
    """Return bytes: ``500 KB``, ``1.5GiB``, or a whole number of bytes."""
    if _is_number(value):
        return _whole(value, "size", "500 KB or 2GiB")
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    units = {unit.casefold(): factor for unit, factor in SIZE_UNITS.items()}
    if not match or match[2].casefold() not in units:
        raise ValueError(_no(value, "size", "500 KB or 2GiB"))
    return int(Decimal(match[1]) * units[match[2].casefold()])


def positive_size(value: Any) -> int:
    """Return bytes as :func:`size`, but not 0."""
    return _above_0(size(value), value)


def pixels(value: Any) -> int:
    """Return pixels: ``4MP``, ``0.5 MP``, or a whole number of pixels."""
    if _is_number(value):
        return _whole(value, "number of pixels", "4MP")
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match or match[2].casefold() != "mp":
        raise ValueError(_no(value, "number of pixels", "4MP"))
    return round(Decimal(match[1]) * 1_000_000)


def rate(value: Any) -> Rate:
    """Return ``10/s``, ``120/min`` or ``500/h``."""
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(_no(value, "rate", "10/s or 120/min"))
    return Rate(_above_0(float(match[1]), value), DURATION_UNITS[match[2]])


def usd(value: Any) -> Decimal:
    """Return dollars: ``5 USD``, or a number, which is USD. Never through a binary fraction."""
    # The shortest text of a float is what was written, up to 17 digits.
    text = format(Decimal(str(value)), "f") if _is_number(value) else value
    match = _USD.fullmatch(text.strip()) if isinstance(text, str) else None
    if not match:
        raise ValueError(_no(value, "amount", "5 USD"))
    return Decimal(match[1])


def price(value: Any) -> Price:
    """Return ``0.03 USD/MP``, ``0.01 USD/s`` or ``0.05 USD/output``."""
    match = _PRICE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(_no(value, "unit price", "0.03 USD/MP, 0.01 USD/s or 0.05 USD/output"))
    per = next(unit for unit in get_args(Per) if unit == match[2])
    return Price(Decimal(match[1]), per)


def format_duration(seconds: float) -> str:
    """Return *seconds* in its two largest units: ``1h30m``, ``45s``, ``250ms``."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms" if seconds > 0 else "0s"
    rest = round(seconds)
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(DURATION_UNITS[unit]))
        if parts or count:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:  # noqa: PLR2004 - its two largest units
            break
    return "".join(parts)


def format_guess(seconds: float) -> str:
    """Return a guess at a duration, rounded up: from ten minutes on without seconds, and never less than ``1s``."""
    unit_s = 60 if seconds >= 600 else 1  # noqa: PLR2004 - ten minutes
    return format_duration(max(1, ceil(seconds / unit_s)) * unit_s)


def format_bytes(count: int) -> str:
    """Return *count* bytes with three digits and a unit of 1000: ``1.50 GB``, ``12.3 KB``, ``999 B``."""
    amount, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if amount < 999.5:  # noqa: PLR2004 - what three digits can still show
            break
        amount, unit = amount / 1000, larger
    digits = 0 if unit == "B" or amount >= 99.95 else 1 if amount >= 9.995 else 2  # noqa: PLR2004 - three in all
    return f"{amount:.{digits}f} {unit}"


def format_usd(amount: Decimal) -> str:
    """Return *amount* as ``12.50 USD``; below ten cents with two digits that count: ``0.0042 USD``."""
    if amount == 0 or abs(amount) >= Decimal("0.1"):
        return f"{amount:.2f} USD"
    return f"{amount:.{1 - amount.adjusted()}f} USD"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: float, noun: str, example: str) -> int:
    if not 0 <= value < _MAX or value != int(value):
        raise ValueError(_no(value, noun, example))
    return int(value)


def _above_0(amount: _Amount, value: Any) -> _Amount:
    if amount <= 0:
        raise ValueError(f"{found(value)} must be above 0")
    return amount


def _no(value: Any, noun: str, example: str) -> str:
    article = "an" if noun[0] in "aeiou" else "a"
    if isinstance(value, str) or _is_number(value):
        return f"{found(value)} is no {noun}; write {example}"
    return f"{found(value)}, where {article} {noun} is wanted; write {example}"
