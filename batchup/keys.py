"""Many small keys, and a number for each, in arrays: a set or a dict takes 100 to 150 bytes more a key."""

from array import array
from struct import iter_unpack

_FIRST_SLOTS = 1024
_FULL = 0.7


class Keys:
    """Different keys of one length, numbered from 0 in the order in which they came. Takes that length and 6 to 12 bytes.

    Args:
        width: Length of each key in bytes.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._keys = bytearray()
        # A slot holds a key's number + 1, at its hash or behind that; 0 is free.
        self._slots = array("I", bytes(4 * _FIRST_SLOTS))
        self._most = int(_FULL * _FIRST_SLOTS) * width

    def __len__(self) -> int:
        return len(self._keys) // self._width

    def __getitem__(self, number: int) -> bytes:
        return bytes(self._keys[number * self._width : (number + 1) * self._width])

    def find(self, key: bytes) -> int:
        """Return the number of *key*, -1 if it is not there."""
        slots, width, stands = self._slots, self._width, self._keys.startswith
        mask = len(slots) - 1
        place = hash(key) & mask
        while number := slots[place]:
            if stands(key, number * width - width):
                return number - 1
            place = (place + 1) & mask
        return -1

    def add(self, key: bytes) -> int:
        """Return the number of *key*, which is the next one if it was not there."""
        keys, slots, width = self._keys, self._slots, self._width
        stands, mask = keys.startswith, len(slots) - 1
        place = hash(key) & mask
        while number := slots[place]:
            if stands(key, number * width - width):
                return number - 1
            place = (place + 1) & mask
        keys += key
        slots[place] = number = len(keys) // width
        if len(keys) >= self._most:
            self.expect(number + 1)
        return number - 1

    def expect(self, count: int) -> None:
        """Make room for so many keys in all; 0.3 seconds for a million that are there."""
        size = len(self._slots)
        while size * _FULL <= count:
            size *= 2
        slots, mask = array("I", bytes(4 * size)), size - 1
        for number, (key,) in enumerate(iter_unpack(f"{self._width}s", self._keys), 1):
            place = hash(key) & mask
            while slots[place]:
                place = (place + 1) & mask
            slots[place] = number
        self._slots, self._most = slots, int(_FULL * size) * self._width


class Index:
    """Keys of one length → numbers. What is put in is only noted down until somebody asks for the first time.

    Most of what a ledger names is never asked for: to note it takes a tenth of the time.

    Args:
        width: Length of each key in bytes.
        kind: Of the numbers, as :mod:`array` names it.
        first: Whether the first number that a key was given counts; else the last.
    """

    def __init__(self, width: int, kind: str, *, first: bool = False) -> None:
        self._width, self._first = width, first
        self._noted, self._numbers = bytearray(), array(kind)
        self._keys: Keys | None = None

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def put(self, key: bytes, number: int) -> None:
        """Give *key* a number."""
        if self._keys is None:
            self._noted += key
            self._numbers.append(number)
        else:
            self._enter(self._keys, key, number)

    def get(self, key: bytes) -> int:
        """Return the number of *key*, -1 if it has none."""
        if self._keys is None:
            self._keys = self._all()
        place = self._keys.find(key)
        return self._numbers[place] if place >= 0 else -1

    def _all(self) -> Keys:
        keys, noted, numbers = Keys(self._width), self._noted, self._numbers
        self._noted, self._numbers = bytearray(), array(numbers.typecode)
        keys.expect(len(numbers) // 2)
        for (key,), number in zip(iter_unpack(f"{self._width}s", noted), numbers, strict=True):
            self._enter(keys, key, number)
        return keys

    def _enter(self, keys: Keys, key: bytes, number: int) -> None:
        place = keys.add(key)
        if place == len(self._numbers):
            self._numbers.append(number)
        elif not self._first:
            self._numbers[place] = number


class Offsets:
    """Text → offset in the ledger of the line that was the last to name it.

    A text is known by 64 bits of it: who reads the line sees whether it is the one that was meant.
    """

    def __init__(self) -> None:
        self._index = Index(8, "q")

    def __bool__(self) -> bool:
        return bool(self._index)

    def __contains__(self, text: str) -> bool:
        return self.of(text) >= 0

    def __setitem__(self, text: str, offset: int) -> None:
        self._index.put(_short(text), offset)

    def of(self, text: str) -> int:
        """Return the offset, -1 if no line named *text*."""
        return self._index.get(_short(text))


class Texts:
    """A set of texts that cannot be listed. One that is not there is taken for one among a million once in 10^13 times."""

    def __init__(self) -> None:
        self._index = Index(8, "B")

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and self._index.get(_short(text)) >= 0

    def add(self, text: str) -> None:
        """Remember *text*. May be called twice."""
        self._index.put(_short(text), 0)


def _short(text: str) -> bytes:
    return hash(text).to_bytes(8, "little", signed=True)
