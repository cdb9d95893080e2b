"""Amounts of money in columns: exact, at eight bytes each."""

from array import array
from decimal import Decimal

DIGITS = 18
"""Behind the point. What has more, or is 9 USD or more, lies apart and takes more memory."""

_NOTHING = Decimal(0)
_MOST = Decimal(9)
_ODD = -1


class Amounts:
    """Amounts in USD by the number of their row, 0 or more; 0 where none was set."""

    def __init__(self) -> None:
        self._units = array("q")
        self._odd: dict[int, Decimal] = {}

    def __getitem__(self, number: int) -> Decimal:
        units = self._units[number] if number < len(self._units) else 0
        if not units:
            return _NOTHING
        return self._odd[number] if units == _ODD else Decimal(units).scaleb(-DIGITS)

    def __setitem__(self, number: int, usd: Decimal) -> None:
        """Set one amount. NaN may be set, too."""
        units = _units(usd)
        if number >= len(self._units):
            if not units:
                return
            self._units.frombytes(bytes(8 * (number + 1 - len(self._units))))
        if self._units[number] == _ODD:
            del self._odd[number]
        if units == _ODD:
            self._odd[number] = usd
        self._units[number] = units


def _units(usd: Decimal) -> int:
    if usd.is_nan() or not 0 <= usd < _MOST:
        return _ODD
    units = int(usd.scaleb(DIGITS))
    return units if Decimal(units).scaleb(-DIGITS) == usd else _ODD
