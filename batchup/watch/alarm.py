"""Alarm: rings when something changes below folders, as far as the system tells."""

import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from batchup.errors import BatchupError

STEP_MS, DEBOUNCE_MS, BEAT_MS = 50, 400, 2_000
"""How the system's news are gathered; and how often folders are looked for that were not there, or were replaced."""

UNTOLD_S = 60.0
"""How long nobody listens where a name that is not UTF-8 ended it: reading that file is news, too, and ends it again."""

EXTRA = "pip install 'batchup[watch]'"


class AlarmError(BatchupError):
    """The system does not tell of changes; the text says what to do about that."""


class Alarm:
    """Made by :func:`open_alarm`.

    Attributes:
        folders: What is listened to; may be set at any time. Those that do not exist are, once they do.
    """

    def __init__(self) -> None:
        self.folders: tuple[Path, ...] = ()
        self._rung = anyio.Event()

    def ring(self) -> None:
        """Say that something has changed."""
        self._rung.set()

    async def wait(self, timeout_s: float) -> bool:
        """Return when it has rung since the last call, or after *timeout_s*; and whether it has rung."""
        with anyio.move_on_after(max(0.0, timeout_s)):
            await self._rung.wait()
        has_rung = self._rung.is_set()
        self._rung = anyio.Event()
        return has_rung


@asynccontextmanager
async def open_alarm(tell: Callable[[str], None], *, listens: bool = True) -> AsyncIterator[Alarm]:
    """Give an alarm that listens while the block lasts.

    Args:
        tell: Called where the system refuses to tell of changes.
        listens: Whether to listen at all; without, it only ever waits.

    Raises:
        AlarmError: The library that listens is not installed.
    """
    alarm = Alarm()
    if not listens:
        yield alarm
        return
    try:
        import watchfiles  # noqa: F401 - found out now rather than in the background
    except ImportError as error:
        message = f"watching needs the extra: {EXTRA}; --poll 1min works without it"
        raise AlarmError(message) from error
    async with anyio.create_task_group() as group:
        group.start_soon(_listen, alarm, tell)
        yield alarm
        group.cancel_scope.cancel()


async def _listen(alarm: Alarm, tell: Callable[[str], None]) -> None:
    told = ""
    while True:
        known = _there(alarm.folders)
        try:
            why = await _listen_to(alarm, known) if known else ""
            if why:
                if why != told:
                    told = why
                    tell(
                        f"the system does not tell of changes ({why}): looking every minute instead. "
                        "A file whose name is not UTF-8 is best renamed"
                    )
                await anyio.sleep(UNTOLD_S)
        except (OSError, RuntimeError) as error:
            # A folder that has just gone, or the system's limit on what it watches.
            if str(error) != told and _there(alarm.folders) == known:
                told = str(error)
                tell(
                    f"the system does not tell of changes ({error}): looking every minute instead. On Linux, a larger "
                    "fs.inotify.max_user_watches may help; --poll says how often to look"
                )
        await anyio.sleep(BEAT_MS / 1000)


async def _listen_to(alarm: Alarm, known: dict[Path, tuple[int, int]]) -> str:
    """Ring for every change below these folders, until they are others, or one cannot be told.

    Returns:
        Why it cannot, as for a name that is not UTF-8; empty for other folders.
    """
    alarm.ring()  # what came before anybody listened
    try:
        await _ring_for_changes(alarm, known)
    except ExceptionGroup as errors:
        untold = errors.subgroup(RuntimeError)
        if untold is None:
            raise
        return str(untold.exceptions[0])
    return ""


async def _ring_for_changes(alarm: Alarm, known: dict[Path, tuple[int, int]]) -> None:
    from watchfiles import awatch

    async for changes in awatch(
        *known,
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        rust_timeout=BEAT_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    ):
        if changes:
            alarm.ring()
        if _there(alarm.folders) != known:
            return


def _there(folders: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return those folders that are there, and which they are: another disk may lie in the place of one."""
    found = {}
    for folder in folders:
        try:
            status = os.stat(folder)  # noqa: PTH116 - as quick as can be, every other second
        except OSError:
            continue
        found[folder] = status.st_dev, status.st_ino
    return found
