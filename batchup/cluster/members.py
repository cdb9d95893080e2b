"""Members: the workers of a cluster, what each has to do, and who is next. Pure, but for those who wait."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import anyio

from batchup.errors import NotSentError

Kind = Literal["work", "transfer"]


class _Waiter:
    __slots__ = ("fits", "kind", "label", "member", "waits", "woken")

    def __init__(self, kind: Kind, label: str, fits: Callable[["Member"], bool], *, waits: bool) -> None:
        self.kind, self.label, self.fits, self.waits = kind, label, fits, waits
        self.woken = anyio.Event()
        self.member: Member | None = None


@dataclass(eq=False, slots=True)
class Member:
    """A worker.

    Attributes:
        address: Where it listens.
        room: How many calls of each kind it takes at a time.
        labels: What it has beside, such as ``GPU``, and how many calls may use that at a time.
        shares: Whether it sees the coordinator's files.
        has_account: Whether it uses the coordinator's account.
        folder: Where it keeps carried files.
        used: What it has to do, by kind and by label.
        lacks: What it has turned out to have no means for, see :attr:`batchup.cluster.engine.Errand.needs`.
    """

    address: str
    room: Mapping[Kind, int]
    labels: Mapping[str, float]
    shares: bool
    has_account: bool
    folder: str
    used: Counter[str] = field(default_factory=Counter)
    lacks: set[tuple[str, ...]] = field(default_factory=set)

    def load(self, kind: Kind) -> float:
        """Return which part of its room is used."""
        return self.used[kind] / max(1, self.room[kind])

    def has_room(self, kind: Kind, label: str) -> bool:
        """Return whether it takes one more."""
        if label and self.used[label] >= self.labels.get(label, 0):
            return False
        return self.used[kind] < self.room[kind]


class Members:
    """All workers that may be given something.

    Attributes:
        changed: Called when one has come or is gone.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.changed: Callable[[], None] = lambda: None
        self._members: dict[str, Member] = {}
        self._ends = False
        self._line: deque[_Waiter] = deque()

    def __iter__(self) -> Iterator[Member]:
        """Yield them, in no order that means anything."""
        return iter(self._members.values())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._members)

    def __contains__(self, member: Member) -> bool:
        """Return whether it is still there."""
        return self._members.get(member.address) is member

    @property
    def slots(self) -> int:
        """How many calls are worked on at a time."""
        return sum(member.room["work"] for member in self)

    def has_label(self, label: str) -> bool:
        """Return whether any has *label*."""
        return any(label in member.labels for member in self)

    def came(self, member: Member) -> None:
        """Take in a worker."""
        self._members[member.address] = member
        self._call()
        self.changed()

    def gone(self, address: str) -> bool:
        """Forget a worker, and return whether it was known."""
        known = self._members.pop(address, None) is not None
        self._call()
        self.changed()
        return known

    def end(self) -> None:
        """Wait no more for workers that are not there."""
        self._ends = True
        self._call()

    async def take(
        self, kind: Kind, label: str, fits: Callable[[Member], bool], *, waits: bool = True
    ) -> Member:
        """Return the worker that has the least to do, with a place for one call; wait until there is one.

        Args:
            kind: Of the call.
            label: What the worker must have; empty for nothing.
            fits: Whether a worker can do it at all.
            waits: Whether one may yet come that fits.

        Raises:
            NotSentError: There is none that fits, and nobody waits for it.
        """
        waiter = _Waiter(kind, label, fits, waits=waits)
        self._line.append(waiter)
        self._call()
        try:
            await waiter.woken.wait()
        except BaseException:
            if waiter.member is not None:
                self.give_back(waiter.member, kind, label)
            elif waiter in self._line:
                self._line.remove(waiter)
            raise
        if waiter.member is None:
            raise NotSentError("no worker is there that could do it", kind="no_worker")
        return waiter.member

    def give_back(self, member: Member, kind: Kind, label: str) -> None:
        """End what :meth:`take` began."""
        member.used[kind] -= 1
        if label:
            member.used[label] -= 1
        self._call()

    def _call(self) -> None:
        full: set[tuple[Kind, str]] = set()
        for waiter in list(self._line):
            # Who wants what nobody has waits; who wants something else is not held up by that.
            wanted = (waiter.kind, waiter.label)
            if wanted in full:
                continue
            free = [one for one in self if waiter.fits(one) and one.has_room(waiter.kind, waiter.label)]
            if not free and (self._ends or not waiter.waits) and not any(map(waiter.fits, self)):
                self._line.remove(waiter)
                waiter.woken.set()
                continue
            if not free:
                # Who has room, and not the means for this one, may have them for the next.
                if not any(one.has_room(waiter.kind, waiter.label) for one in self):
                    full.add(wanted)
                continue
            member = min(free, key=lambda one: one.load(waiter.kind))
            member.used[waiter.kind] += 1
            if waiter.label:
                member.used[waiter.label] += 1
            self._line.remove(waiter)
            waiter.member = member
            waiter.woken.set()
