"""Ticker: how far something has come that takes long and has nothing to show yet."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from batchup.clock import Clock, SystemClock

CLEAR = "\x1b[K"
"""Clears a terminal's line from here to its end."""

SHOWN_EVERY_S = 0.1
LINE_EVERY_S = 10.0
"""Where there is no terminal; what is over before is not told at all."""

HEEDED_LINES = 10_000
"""Lines of a ledger: some fifty milliseconds."""


class Ticker:
    """Says on standard error how far it has come: in one line of a terminal, elsewhere in a line now and then.

    May be called by any thread, one at a time.
    """

    def __init__(self, *, show: bool, clock: Clock | None = None) -> None:
        """Begin with nothing to say.

        Args:
            show: Whether anything is said.
            clock: Of the time between two lines.
        """
        self._show, self._terminal = show, is_terminal()
        self._clock = clock or SystemClock()
        self._next_s = self._clock.now_s() + (0.0 if self._terminal else LINE_EVERY_S)
        self._stands = False

    def tick(self, text: str) -> None:
        """Say where it is now, unless that was said a moment ago. Takes a microsecond."""
        now_s = self._clock.now_s()
        if not self._show or now_s < self._next_s:
            return
        self._next_s = now_s + (SHOWN_EVERY_S if self._terminal else LINE_EVERY_S)
        self._write(f"\r{text} …{CLEAR}" if self._terminal else f"{text}\n")
        self._stands = self._terminal

    def clear(self) -> None:
        """Take away what stands there; the next tick is shown at once."""
        if self._stands:
            self._write("\r" + CLEAR)
            self._stands, self._next_s = False, self._clock.now_s()

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:  # the terminal was closed, and what takes long goes on
            self._show = False


@contextmanager
def ticking(*, show: bool) -> Iterator[Callable[[str], None]]:
    """Give :meth:`Ticker.tick`, and take away what was said, however the block ends."""
    ticker = Ticker(show=show)
    try:
        yield ticker.tick
    finally:
        ticker.clear()


def is_terminal() -> bool:
    """Return whether standard error is a terminal that takes a line back."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def end_line() -> None:
    """Go on below the line where a terminal shows ``^C``, so that a shell's prompt begins one of its own."""
    if sys.stderr.isatty():
        with suppress(OSError):  # it was closed
            sys.stderr.write("\n")
            sys.stderr.flush()


def heeded(lines: Iterable[tuple[int, bytes]], told: Callable[[int], None]) -> Iterator[tuple[int, bytes]]:
    """Pass a ledger's lines on, and tell now and then which offset was reached."""
    for number, (offset, line) in enumerate(lines):
        if number % HEEDED_LINES == 0:
            told(offset)
        yield offset, line


def reading(ledger: Path, tell: Callable[[str], None]) -> Callable[[int], None]:
    """Return what is called with the offset up to which a ledger has been read; *tell* is told that in words.

    Args:
        ledger: Its size is taken now; it need not exist.
        tell: What it raises goes through.
    """
    size_bytes = ledger.stat().st_size if ledger.exists() else 0

    def told(offset: int) -> None:
        part = min(1.0, offset / size_bytes) if size_bytes else 1.0
        tell(f"reading the ledger: {part:.0%}")

    return told
