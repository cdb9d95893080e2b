"""Memory: how much this machine has, and a limit on how much may be in use at once."""

import os
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio

from batchup.errors import RejectedError

MB = 1_000_000
GB = 1_000 * MB
UNKNOWN_MACHINE_BYTES = 4 * GB
"""What is assumed where the system does not tell: little, so that a guess never exhausts a machine."""


class _Waiter(NamedTuple):
    wanted_bytes: int
    granted: anyio.Event


class MemoryLimit:
    """Admits work while the sum of what it needs stays below a limit, first come, first served.

    Nothing overtakes work that waits, or large work would wait for ever behind small work.

    Attributes:
        limit_bytes: The most that is reserved at once.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._free_bytes = limit_bytes
        self._waiting: deque[_Waiter] = deque()

    @asynccontextmanager
    async def reserve(self, wanted_bytes: int) -> AsyncIterator[None]:
        """Hold *wanted_bytes* inside the block; wait for them before it.

        Raises:
            RejectedError: It is above the whole limit (``too_large``); told at once.
        """
        if wanted_bytes > self.limit_bytes:
            raise RejectedError(
                f"needs about {_readable(wanted_bytes, up=True)} of memory, run.memory allows"
                f" {_readable(self.limit_bytes, up=False)}: lower the scale or raise run.memory",
                kind="too_large",
            )
        await self._take(wanted_bytes)
        try:
            yield
        finally:
            self._give(wanted_bytes)

    async def _take(self, wanted_bytes: int) -> None:
        if wanted_bytes <= 0 or (not self._waiting and wanted_bytes <= self._free_bytes):
            self._free_bytes -= max(0, wanted_bytes)
            return
        waiter = _Waiter(wanted_bytes, anyio.Event())
        self._waiting.append(waiter)
        entered = False
        try:
            await waiter.granted.wait()
            entered = True
        finally:
            if not entered:
                self._forget(waiter)

    def _forget(self, waiter: _Waiter) -> None:
        # Cancelled. The grant may have come in the same turn of the loop, and nobody else would give it back.
        if waiter.granted.is_set():
            self._give(waiter.wanted_bytes)
        else:
            self._waiting.remove(waiter)
            self._give(0)  # what waits behind it may fit

    def _give(self, wanted_bytes: int) -> None:
        self._free_bytes += max(0, wanted_bytes)
        while self._waiting and self._waiting[0].wanted_bytes <= self._free_bytes:
            waiter = self._waiting.popleft()
            self._free_bytes -= waiter.wanted_bytes
            waiter.granted.set()


def _readable(size_bytes: int, *, up: bool) -> str:
    """Write a size so that a need never looks smaller than it is, nor an allowance larger."""
    unit, name = (GB, "GB") if size_bytes >= GB else (MB, "MB")
    tenths = -(-size_bytes * 10 // unit) if up else size_bytes * 10 // unit
    return f"{tenths / 10:g} {name}"


def machine_memory_bytes() -> int:
    """Return the memory that this process can have: the machine's, or its control group's if that is less."""
    return min([_physical_bytes(), *_control_group_limits()])


def _physical_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return UNKNOWN_MACHINE_BYTES


def _control_group_limits() -> Iterable[int]:
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return []
    return control_group_limits(groups, Path("/sys/fs/cgroup"))


def control_group_limits(groups: str, mount: Path) -> list[int]:
    """Return every memory limit, in bytes, that binds a process of these control groups.

    Args:
        groups: What ``/proc/self/cgroup`` holds.
        mount: Where the control groups are mounted: version 2 itself, version 1 in its folder ``memory``.

    A group's limit binds its children, so all ancestors count. In a container the named group may lie outside of
    what is mounted; the mount's own root is then the container's group.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.high: "max" is none) and
    cgroup-v1/memory.rst (memory.limit_in_bytes).
    """
    limits: list[int] = []
    for line in groups.splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0":
            limits += _limits(mount, path, ("memory.max", "memory.high"))
        elif "memory" in controllers.split(","):
            limits += _limits(mount / "memory", path, ("memory.limit_in_bytes",))
    return limits


def _limits(root: Path, path: str, names: tuple[str, ...]) -> Iterable[int]:
    group = root / path.lstrip("/")
    for folder in (group, *group.parents):
        for name in names:
            try:
                text = (folder / name).read_text(encoding="ascii").strip()
            except OSError:
                continue
            if text.isdigit():
                yield int(text)
        if folder == root:
            return
