"""The inputs that were met already, in 8 to 16 bytes each."""

from array import array

_MASK = (1 << 64) - 1
_FULL = 0.7


class Seen:
    """A set of 64-bit hashes, as an open-addressing table; a set of ints would take six times the memory.

    Two different keys are taken for one with a probability of 3 in 10^8 among a million.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._count = 0

    def __contains__(self, key: object) -> bool:
        hashed = _hash(key)
        return self._slots[_place(self._slots, hashed)] == hashed

    def add(self, key: object) -> bool:
        """Remember *key*, and return whether it is new."""
        hashed = _hash(key)
        place = _place(self._slots, hashed)
        if self._slots[place]:
            return False
        self._slots[place] = hashed
        self._count += 1
        if self._count > _FULL * len(self._slots):
            self._grow()
        return True

    def _grow(self) -> None:
        larger = array("Q", bytes(8 * 2 * len(self._slots)))
        for hashed in self._slots:
            if hashed:
                larger[_place(larger, hashed)] = hashed
        self._slots = larger


def _hash(key: object) -> int:
    """Return 64 bits, never 0: that marks a free slot."""
    return (hash(key) & _MASK) or 1


def _place(slots: "array[int]", hashed: int) -> int:
    """Return where *hashed* stands or would stand."""
    mask = len(slots) - 1
    place = hashed & mask
    while slots[place] and slots[place] != hashed:
        place = (place + 1) & mask
    return place
