"""Somebody at a terminal, who reads what the command line shows and types."""

import os
import pty
import signal
import subprocess
import termios
import time
from pathlib import Path
from select import select
from typing import Self

from tests.library import BATCHUP

WAIT_S = 30.0


class Typist:
    """Runs one command on a terminal of its own.

    Attributes:
        shown: All that has appeared so far.
    """

    def __init__(self, *args: object, cwd: Path, columns: int = 100, **more) -> None:
        self.shown, self._seen = "", 0
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        # What these say would count for more than the terminal itself.
        env = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        self._process = subprocess.Popen(
            [*BATCHUP, *map(str, args)], cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env=env, **more
        )
        os.close(theirs)

    def until(self, text: str) -> str:
        """Return what appeared up to *text* since the last time; a test that waits longer fails."""
        begun, end = self._seen, time.monotonic() + WAIT_S
        while (at := self.shown.find(text, begun)) < 0:
            assert select([self._ours], [], [], end - time.monotonic())[0], (
                f"{text!r} never came: {self.shown}"
            )
            assert self._read(), f"{text!r} never came: {self.shown}"
        self._seen = at + len(text)
        return self.shown[begun : self._seen]

    def type(self, text: str) -> None:
        """Type."""
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.type("\x03")  # what the terminal shows of it
        self.until("^C")
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the end, and return the exit status."""
        while self._read():
            pass
        return self._process.wait(WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def _read(self) -> bool:
        try:
            part = os.read(self._ours, 4096)
        except OSError:  # it has ended
            part = b""
        self.shown += part.decode(errors="replace")
        return bool(part)
